//! Planning changes of membership.

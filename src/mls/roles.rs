//! Who was what at which place in the log.

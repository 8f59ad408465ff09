//! Collecting into ordered maps and sets.
//!
//! `collect()` into a `BTreeMap` or `BTreeSet` sorts first, and so brings a sorting routine of several
//! kilobytes for each type of element. Ours are small: inserting one by one is as fast, and the
//! browser need not download the routines.

/// [`Gather::gather`] on every iterator.
pub(crate) trait Gather: Iterator + Sized {
    /// Like `collect()` into an ordered map or set, by insertion: of equal keys the last value counts.
    fn gather<C: Default + Extend<Self::Item>>(self) -> C {
        let mut all = C::default();
        all.extend(self);
        all
    }

    /// The same of results: the first error is the answer.
    fn try_gather<T, E, C: Default + Extend<T>>(self) -> Result<C, E>
    where
        Self: Iterator<Item = Result<T, E>>,
    {
        let mut all = C::default();
        for item in self {
            all.extend(Some(item?));
        }
        Ok(all)
    }
}

impl<I: Iterator> Gather for I {}

//! Collecting all that is wrong with an object, instead of stopping at the first.

use metallb_core::refusal::{AnyRefusal, ConfigRefusal};

use super::Stored;

/// What is wrong with an object so far.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<ConfigRefusal>);

impl Faults {
    /// Notes `refusal`.
    pub(super) fn add(&mut self, refusal: impl Into<ConfigRefusal>) {
        self.0.push(refusal.into());
    }

    /// The value, or a note of why there is none.
    pub(super) fn take<T, R: Into<ConfigRefusal>>(&mut self, result: Result<T, R>) -> Option<T> {
        result.map_err(|refusal| self.add(refusal)).ok()
    }

    /// The values of those items that have one; the others are noted.
    pub(super) fn take_all<T, R: Into<ConfigRefusal>>(
        &mut self,
        results: impl IntoIterator<Item = Result<T, R>>,
    ) -> Vec<T> {
        results.into_iter().filter_map(|result| self.take(result)).collect()
    }

    /// `value`, unless something is wrong.
    pub(super) fn unless<T>(self, value: Option<T>) -> Result<T, Vec<ConfigRefusal>> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            Some(_) | None => Err(self.0),
        }
    }
}

/// Reads `stored` by `read`. One that is not readable has that for its only fault.
pub(super) fn read<K, T>(
    stored: &Stored<K>,
    read: impl FnOnce(&K) -> Result<T, Vec<ConfigRefusal>>,
) -> Result<T, Vec<ConfigRefusal>> {
    match stored {
        Stored::Readable(object) => read(object),
        Stored::Unreadable { error, .. } => Err(vec![AnyRefusal::Unreadable { error: error.clone() }.into()]),
    }
}

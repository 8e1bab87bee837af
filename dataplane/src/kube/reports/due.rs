//! Which subjects have to be looked at: what they say, or what is to be said about them, is different.
//!
//! Of ten thousand services mostly one changes, and to compare all of them takes tens of milliseconds.

use std::collections::BTreeSet;

/// The subjects that are looked at next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due<Subject> {
    /// These.
    These(BTreeSet<Subject>),
    /// All of them.
    Everything,
}

impl<Subject: Ord + Clone> Due<Subject> {
    /// This one too.
    pub fn add(&mut self, subject: &Subject) {
        if let Self::These(subjects) = self {
            subjects.insert(subject.clone());
        }
    }

    /// Is it among them?
    pub fn concerns(&self, subject: &Subject) -> bool {
        match self {
            Self::These(subjects) => subjects.contains(subject),
            Self::Everything => true,
        }
    }
}

impl<Subject> Due<Subject> {
    /// Is there nothing to look at?
    pub fn is_nothing(&self) -> bool {
        matches!(self, Self::These(subjects) if subjects.is_empty())
    }
}

/// None of them.
impl<Subject> Default for Due<Subject> {
    fn default() -> Self {
        Self::These(BTreeSet::new())
    }
}

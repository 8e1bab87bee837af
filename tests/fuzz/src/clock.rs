//! Where virtual time starts: an [`Instant`] can only be had from the system, so one is had, here.

use std::time::Instant;

/// Some instant. What tests do with it depends on differences only.
pub fn epoch() -> Instant {
    Instant::now()
}

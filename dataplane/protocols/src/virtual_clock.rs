//! Where virtual time starts. For tests: an [`Instant`] can only be had from the system, so one is had, here.

use std::time::Instant;

/// Some instant. What tests do with it depends on differences only.
#[allow(clippy::disallowed_methods)] // the one place where a virtual clock gets its zero from
pub fn start() -> Instant {
    Instant::now()
}

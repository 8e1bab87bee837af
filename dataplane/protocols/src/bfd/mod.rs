//! BFD (RFC 5880, 5881, 5883): is the router still there?

mod wire;

#[cfg(test)]
mod tests;

pub use wire::{Control, Diagnostic, Discriminator, Interval, Malformed, OtherDiagnostic, Sequence, State};

//! The certificate that the API server trusts our webhooks by: self-issued, and renewed without a restart, a dropped
//! connection or a failed request.
//!
//! | room | holds |
//! |---|---|
//! | [`material`] | what the Secret holds, and what that is worth at a given time |
//! | [`issue`] | making authorities and certificates |
//! | [`plan`] | what is to be done next: pure; start here |
//! | [`publish`] | the authorities in the webhook configurations and the definition |
//! | [`expiry`] | until when the certificate is valid, for those who watch |
//! | [`keep`] | the task that does it, in every replica |
//!
//! One Secret is the truth. Every replica follows it, and any may write it: the API server lets one of two writers
//! win, and the other one follows. A new authority is made known everywhere before anything that it signed is shown,
//! and an old one stays known until nobody can show what it signed.
//!
//! Not here: certificates that others provide (OLM, cert-manager). Those are files, and this whole room is off,
//! [`expiry`] apart.

pub mod expiry;
pub mod issue;
pub mod keep;
pub mod material;
pub mod plan;
pub mod publish;
#[cfg(test)]
mod tests;

pub use expiry::{Expiry, Shown};
pub use keep::{Certificates, keep};
pub use plan::Timing;

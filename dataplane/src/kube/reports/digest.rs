//! What an object says, remembered by a digest: whether it still says the same is all that is asked, and ten thousand statuses are
//! several megabytes.

use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// Of a status. Equal ones say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest([u8; 16]);

impl Digest {
    /// Of what is written of it.
    pub fn of(status: &impl Serialize) -> Self {
        // A status that cannot be written equals none: it is tried to write it, and that tells why not.
        let text = serde_json::to_vec(status).unwrap_or_default();
        let mut digest = [0; 16];
        for (byte, of_it) in digest.iter_mut().zip(Sha256::digest(text)) {
            *byte = of_it;
        }
        Self(digest)
    }
}

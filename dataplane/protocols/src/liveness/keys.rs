//! The keys that prove who sent a datagram, and how they are replaced.
//!
//! A key is derived (HKDF with SHA-256) from the Secret that speakers share. When the Secret changes, the kubelets bring it
//! to the nodes one by one, over a minute or so. So whoever has the new key accepts both, says in every datagram which is
//! its newest, and uses it only towards those who said they have it.

use std::fmt;
use std::time::{Duration, Instant};

use ring::hkdf::{HKDF_SHA256, Salt};
use ring::hmac;

const SALT: &[u8] = b"metallb.io";
/// What the key is for, and in which version of the datagram.
const PURPOSE: &[u8] = b"liveness heartbeat v2";
/// The octets of a proof: HMAC-SHA-256, whole.
pub(super) const PROOF: usize = 32;
/// For how long the key before is still accepted: a few times what kubelets need to bring a Secret to every node.
const KEEP: Duration = Duration::from_mins(10);

/// Tells keys apart, and says nothing about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyId(pub u32);

/// What all speakers of a cluster know, and nobody else.
#[derive(Clone)]
pub struct Key {
    id: KeyId,
    hmac: hmac::Key,
}

impl Key {
    /// The key that a Secret stands for. `None` if it is empty: that proves nothing.
    pub fn from_secret(secret: &[u8]) -> Option<Self> {
        if secret.is_empty() {
            return None;
        }
        let extracted = Salt::new(HKDF_SHA256, SALT).extract(secret);
        // Fails only for keys of more than 8,160 octets.
        let hmac = hmac::Key::from(extracted.expand(&[PURPOSE], hmac::HMAC_SHA256).ok()?);
        let id = hmac::sign(&hmac, b"id");
        let id = id.as_ref().first_chunk().map(|octets| u32::from_be_bytes(*octets))?;
        Some(Self { id: KeyId(id), hmac })
    }

    /// Its name in datagrams.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// What proves that somebody with this key wrote `bytes`.
    pub(super) fn prove(&self, bytes: &[u8]) -> impl AsRef<[u8]> + use<> {
        hmac::sign(&self.hmac, bytes)
    }

    /// Whether somebody with this key wrote `bytes`.
    pub(super) fn proves(&self, bytes: &[u8], proof: &[u8]) -> bool {
        hmac::verify(&self.hmac, bytes, proof).is_ok()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.id).finish()
    }
}

/// The newest key, and for a while the one before.
#[derive(Clone, Debug)]
pub(super) struct Keyring {
    newest: Key,
    before: Option<(Key, Instant)>,
}

impl Keyring {
    pub(super) const fn new(key: Key) -> Self {
        Self { newest: key, before: None }
    }

    pub(super) const fn newest(&self) -> KeyId {
        self.newest.id
    }

    /// The Secret changed.
    pub(super) fn renew(&mut self, now: Instant, key: Key) {
        if key.id != self.newest.id {
            self.before = Some((std::mem::replace(&mut self.newest, key), now + KEEP));
        }
    }

    /// The keys that prove something now, the newest first.
    fn valid(&self, now: Instant) -> impl Iterator<Item = &Key> {
        let before = self.before.as_ref().filter(|(_, until)| now < *until);
        std::iter::once(&self.newest).chain(before.map(|(key, _)| key))
    }

    /// Which key it was that wrote `bytes`.
    pub(super) fn prover(&self, now: Instant, bytes: &[u8], proof: &[u8]) -> Option<&Key> {
        self.valid(now).find(|key| key.proves(bytes, proof))
    }

    /// That key, while it is valid.
    pub(super) fn by_id(&self, now: Instant, id: KeyId) -> Option<&Key> {
        self.valid(now).find(|key| key.id == id)
    }

    /// The key for somebody whose newest is `held`: the newest that both have. While that is not known, each in turn.
    pub(super) fn towards(&self, now: Instant, held: Option<KeyId>, turn: u64) -> &Key {
        let before = self.valid(now).nth(1);
        let wanted = match held {
            // One that we do not have is newer than ours, which is then the one before.
            Some(held) => self.by_id(now, held),
            None => before.filter(|_| !turn.is_multiple_of(2)),
        };
        wanted.unwrap_or(&self.newest)
    }
}

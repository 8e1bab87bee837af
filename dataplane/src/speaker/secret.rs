//! The Secret that speakers share, as a mounted directory: read at the start, and again while the speaker runs, for the
//! kubelet brings a changed one without a word.
//!
//! Not here: what a key proves (`metallb_protocols::liveness`).

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use metallb_protocols::liveness::Key;

/// The entry of the Secret.
const ENTRY: &str = "secretkey";
/// How often to look. Kubelets take a minute to bring a change, and both keys are accepted for ten.
const LOOK: Duration = Duration::from_secs(5);

/// The Secret, and what was last read of it.
#[derive(Debug)]
pub struct Secret {
    /// `None`: the speaker was given no Secret.
    file: Option<PathBuf>,
    last: Vec<u8>,
}

impl Secret {
    /// Reads the Secret in `directory`; empty: there is none. One that is meant to be there and is not is an error, as
    /// upstream: a speaker that starts without it would be on its own.
    pub fn read(directory: &str) -> anyhow::Result<Self> {
        if directory.is_empty() {
            return Ok(Self { file: None, last: Vec::new() });
        }
        let file = Path::new(directory).join(ENTRY);
        let last = std::fs::read(&file)
            .with_context(|| format!("cannot read the Secret that speakers share: {}", file.display()))?;
        Ok(Self { file: Some(file), last })
    }

    /// The key it stands for. `None` if there is no Secret, or it is empty: then there is nothing to prove anything with.
    pub fn key(&self) -> Option<Key> {
        Key::from_secret(&self.last)
    }

    /// Whether the Secret is another one than it was. One that cannot be read, or became empty, changes nothing.
    fn look(&mut self) -> io::Result<bool> {
        let Some(file) = &self.file else { return Ok(false) };
        let now = std::fs::read(file)?;
        if now.is_empty() || now == self.last {
            return Ok(false);
        }
        self.last = now;
        Ok(true)
    }

    /// Hands every new key to `renew`. Ends with the runtime, and at once if the speaker was given no Secret.
    pub async fn follow(mut self, renew: impl Fn(Key)) {
        while self.file.is_some() {
            tokio::time::sleep(LOOK).await;
            match self.look() {
                Ok(true) => {
                    tracing::info!(
                        event = "secretChanged",
                        "the Secret that speakers share is another one now"
                    );
                    if let Some(key) = self.key() {
                        renew(key);
                    }
                }
                Ok(false) => {}
                Err(error) => {
                    tracing::debug!(event = "secretUnreadable", %error, "the last one stays in force")
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_secret_is_a_new_key_and_one_that_is_gone_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(ENTRY);
        let path = directory.path().to_str().unwrap();
        assert!(Secret::read(path).unwrap_err().to_string().contains("secretkey"));
        std::fs::write(&file, "one").unwrap();
        let mut secret = Secret::read(path).unwrap();
        let one = secret.key().unwrap().id();
        assert!(!secret.look().unwrap());
        std::fs::write(&file, "two").unwrap();
        assert!(secret.look().unwrap());
        let two = secret.key().unwrap().id();
        assert_ne!(one, two);
        std::fs::write(&file, "").unwrap();
        assert!(!secret.look().unwrap());
        std::fs::remove_file(&file).unwrap();
        assert!(secret.look().is_err());
        assert_eq!(secret.key().unwrap().id(), two, "the last one stays in force");
    }

    #[test]
    fn without_a_secret_or_with_an_empty_one_there_is_no_key() {
        assert!(Secret::read("").unwrap().key().is_none());
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(ENTRY), "").unwrap();
        assert!(Secret::read(directory.path().to_str().unwrap()).unwrap().key().is_none());
    }
}

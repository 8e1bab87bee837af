//! One holder at a time, over processes: `flock` on a file that may be deleted by its holder.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

/// Held until dropped. The file goes with it.
#[derive(Debug)]
pub(crate) struct Lock {
    path: PathBuf,
    _file: Flock<File>,
}

impl Lock {
    /// Waits for the lock; `busy` is called once when it has to.
    pub(crate) fn acquire(path: &Path, busy: impl FnOnce()) -> Result<Self> {
        let mut busy = Some(busy);
        loop {
            let file = File::options()
                .create(true)
                .append(true)
                .open(path)
                .with_context(|| format!("open the lock {}", path.display()))?;
            let file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(file) => file,
                Err((file, Errno::EWOULDBLOCK)) => {
                    if let Some(busy) = busy.take() {
                        busy();
                    }
                    match Flock::lock(file, FlockArg::LockExclusive) {
                        Ok(file) => file,
                        Err((_, errno)) => bail!("lock {}: {errno}", path.display()),
                    }
                }
                Err((_, errno)) => bail!("lock {}: {errno}", path.display()),
            };
            // The previous holder may have deleted it between our open and our lock: then this is nobody's file.
            let ours = file.metadata().context("look at the lock")?.ino();
            if fs::metadata(path).is_ok_and(|there| there.ino() == ours) {
                return Ok(Self { path: path.to_owned(), _file: file });
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Still locked here, so nobody else can hold this file; who waits for it notices and opens a new one.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn only_one_holder_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let inside = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let lock = Lock::acquire(&path, || ()).unwrap();
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(lock);
                    }
                });
            }
        });
        assert!(!path.exists());
    }
}

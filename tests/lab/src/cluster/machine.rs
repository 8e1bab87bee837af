//! What all clusters on a machine share: empty directories the nodes mount theirs on.
//!
//! They are recorded before they are made, and the last cluster takes them away again.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::node_files::PLACES;
use super::state::{all, lock_machine, root};

/// Makes the directories that are missing.
pub(super) async fn prepare() -> Result<()> {
    let _lock = lock_machine().await?;
    let mut made = recorded();
    for (_, place) in PLACES {
        let missing = Path::new(place).ancestors().take_while(|directory| !directory.exists());
        let mut missing: Vec<PathBuf> = missing.map(Path::to_owned).collect();
        missing.reverse();
        made.extend(missing);
    }
    made.dedup();
    fs::write(record(), serde_json::to_vec_pretty(&made)?)
        .with_context(|| format!("write {}", record().display()))?;
    for directory in &made {
        fs::create_dir_all(directory).with_context(|| format!("create {}", directory.display()))?;
    }
    Ok(())
}

/// Takes them away, if no cluster is left.
pub(super) async fn tidy() -> Result<()> {
    let lock = lock_machine().await?;
    if !all().is_empty() {
        return Ok(());
    }
    for directory in recorded().iter().rev() {
        // Not empty: somebody else uses it by now.
        let _ = fs::remove_dir(directory);
    }
    let _ = fs::remove_file(record());
    drop(lock);
    // Not empty: a cluster is being made.
    let _ = fs::remove_dir(root());
    Ok(())
}

fn recorded() -> Vec<PathBuf> {
    fs::read(record()).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

fn record() -> PathBuf {
    root().join("machine.json")
}

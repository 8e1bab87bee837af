//! Comparing what is generated with a checkout.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use super::{bundle, configuration, crds, manifest, monitoring, refusals, yaml};

/// The first line of every generated file.
pub const HEADER: &str =
    "# Generated from the Rust types; change those and run `cargo run --bin generate`.\n";

/// The first line of a generated file of Markdown.
pub const MARKDOWN_HEADER: &str =
    "<!-- Generated from the Rust types; change those and run `cargo run --bin generate`. -->\n";

/// A generated file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Where it belongs, from the root of the repository.
    pub path: PathBuf,
    /// All of it, the header included.
    pub content: String,
}

/// A file of the checkout that is not what would be generated.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stale {
    /// It is not there.
    Missing(PathBuf),
    /// It has another content.
    Differs(PathBuf),
    /// It was generated once and no longer is.
    Left(PathBuf),
}

/// Why the files could not be made, read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value that cannot be written as YAML.
    #[error("cannot write {path} as YAML")]
    Yaml {
        /// The file it was for.
        path: PathBuf,
        /// What the serialiser says.
        source: yaml::Error,
    },
    /// A file or directory that cannot be read or written.
    #[error("cannot read or write {path}")]
    Io {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Every generated file.
pub fn all() -> Result<Vec<Artifact>, Error> {
    let documents = vec![configuration::artifact(), refusals::artifact()];
    let generated =
        [crds::artifacts()?, manifest::artifacts()?, bundle::artifacts()?, monitoring::artifacts()?];
    Ok([generated.concat(), documents].concat())
}

/// What in the checkout at `root` is not as it would be generated.
pub fn stale(root: &Path, artifacts: &[Artifact]) -> Result<Vec<Stale>, Error> {
    let mut stale = Vec::new();
    for Artifact { path, content } in artifacts {
        match fs::read_to_string(root.join(path)) {
            Ok(found) if found == *content => {}
            Ok(_) => stale.push(Stale::Differs(path.clone())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => stale.push(Stale::Missing(path.clone())),
            Err(source) => return Err(Error::Io { path: path.clone(), source }),
        }
    }
    stale.extend(left_behind(root, artifacts)?.into_iter().map(Stale::Left));
    Ok(stale)
}

/// Brings the checkout at `root` up to date, and says what that took.
pub fn write(root: &Path, artifacts: &[Artifact]) -> Result<Vec<Stale>, Error> {
    let stale = stale(root, artifacts)?;
    for Artifact { path, content } in artifacts {
        if stale.iter().any(|entry| entry.path() == path) {
            let target = root.join(path);
            let directory = target.parent().unwrap_or(root);
            fs::create_dir_all(directory)
                .and_then(|()| fs::write(&target, content))
                .map_err(|source| Error::Io { path: path.clone(), source })?;
        }
    }
    for entry in &stale {
        if let Stale::Left(path) = entry {
            fs::remove_file(root.join(path)).map_err(|source| Error::Io { path: path.clone(), source })?;
        }
    }
    Ok(stale)
}

/// Files with our header, beside generated ones, that are not generated.
fn left_behind(root: &Path, artifacts: &[Artifact]) -> Result<BTreeSet<PathBuf>, Error> {
    let made: BTreeSet<&Path> = artifacts.iter().map(|artifact| artifact.path.as_path()).collect();
    let directories: BTreeSet<&Path> = made.iter().filter_map(|path| path.parent()).collect();
    let mut left = BTreeSet::new();
    for directory in directories {
        let error = |source| Error::Io { path: directory.to_path_buf(), source };
        let entries = match fs::read_dir(root.join(directory)) {
            Ok(entries) => entries,
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => return Err(error(source)),
        };
        for entry in entries {
            let entry = entry.map_err(error)?;
            let path = directory.join(entry.file_name());
            let ours = || fs::read(entry.path()).is_ok_and(|content| is_generated(&content));
            if !made.contains(path.as_path()) && entry.path().is_file() && ours() {
                left.insert(path);
            }
        }
    }
    Ok(left)
}

fn is_generated(content: &[u8]) -> bool {
    [HEADER, MARKDOWN_HEADER].into_iter().any(|header| content.starts_with(header.as_bytes()))
}

impl Stale {
    /// The file in question, from the root of the repository.
    pub fn path(&self) -> &Path {
        match self {
            Self::Missing(path) | Self::Differs(path) | Self::Left(path) => path,
        }
    }
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(path) => write!(f, "{}: missing", path.display()),
            Self::Differs(path) => write!(f, "{}: differs", path.display()),
            Self::Left(path) => write!(f, "{}: no longer generated", path.display()),
        }
    }
}

//! The programs a cluster is made of: found, or built once and kept.
//!
//! In this room: where the Kubernetes binaries come from. They are compiled from upstream's own Go modules (the
//! recipes are in `kubes/`, `images/`, `metallb/`, `frr-k8s/` and `olm/`), because that needs neither a container registry nor a download server,
//! and gives exactly the version `kubes/go.mod` names.
//! Not here: starting them.
//! Start at [`Tools::ensure`]; what the distribution has to bring is in [`packages`].

mod build;
pub mod packages;
mod recipe;

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use recipe::{ALL, CATALOG, IMAGES, KUBES, MANAGER};

/// Directories holding etcd, kube-apiserver and kubectl and, unless somebody else provided these three, the rest
/// of Kubernetes, kwok and the test images.
#[derive(Clone, Debug)]
pub struct Tools {
    directories: Vec<PathBuf>,
    built_in: Duration,
}

impl Tools {
    /// The full set from the cache, built first when it is missing: minutes the first time, milliseconds after.
    ///
    /// Blocks. Several processes may call it at once; one builds, the others wait for it.
    pub fn ensure() -> Result<Self> {
        Self::ensure_in(&cache_directory()?, &[&KUBES, &IMAGES])
    }

    /// The full set, with the Operator Lifecycle Manager and what catalogs are made with.
    pub fn with_olm() -> Result<Self> {
        Self::ensure_in(&cache_directory()?, &[&KUBES, &IMAGES, &CATALOG, &MANAGER])
    }

    /// One program, built with those it belongs to.
    pub fn one(name: &str) -> Result<PathBuf> {
        let Some(recipe) = ALL.into_iter().find(|recipe| recipe.yields.contains(&name)) else {
            let known: Vec<&str> = ALL.into_iter().flat_map(|recipe| recipe.yields).copied().collect();
            bail!("there is no program {name}; there are: {}", known.join(", "));
        };
        Self::ensure_in(&cache_directory()?, &[recipe])?.program(name)
    }

    /// The set for an API server alone: from `KUBEBUILDER_ASSETS` when that is set, as with envtest, else from
    /// the cache.
    pub fn for_api_server() -> Result<Self> {
        let Some(directory) = env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from) else {
            return Self::ensure_in(&cache_directory()?, &[&KUBES]);
        };
        let tools = Self { directories: vec![directory], built_in: Duration::ZERO };
        for program in ["etcd", "kube-apiserver", "kubectl"] {
            tools.program(program).context("KUBEBUILDER_ASSETS is set, but its directory is not complete")?;
        }
        Ok(tools)
    }

    fn ensure_in(cache: &Path, recipes: &[&recipe::Recipe]) -> Result<Self> {
        let mut tools = Self { directories: Vec::new(), built_in: Duration::ZERO };
        for recipe in recipes {
            let (directory, took) = build::ensure(cache, recipe)?;
            tools.directories.push(directory);
            tools.built_in += took;
        }
        Ok(tools)
    }

    /// The path of one program (`"kube-apiserver"`) or image archive (`"hello.tar"`).
    pub fn program(&self, name: &str) -> Result<PathBuf> {
        let paths = self.directories.iter().map(|directory| directory.join(name));
        let Some(path) = paths.into_iter().find(|path| path.exists()) else {
            bail!(
                "{name} is not in {:?}; unset KUBEBUILDER_ASSETS to use the lab's own build",
                self.directories
            );
        };
        Ok(path)
    }

    /// Where they all are.
    pub fn directories(&self) -> &[PathBuf] {
        &self.directories
    }

    /// How long building them took just now; zero when they were there already.
    pub fn built_in(&self) -> Duration {
        self.built_in
    }
}

/// Outside the source tree, so that cleaning the tree does not cost a build.
fn cache_directory() -> Result<PathBuf> {
    let given = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    given("METALLB_LAB_CACHE")
        .or_else(|| given("XDG_CACHE_HOME").map(|directory| directory.join("metallb-lab")))
        .or_else(|| given("HOME").map(|directory| directory.join(".cache/metallb-lab")))
        .context(
            "no place for the built tools: set METALLB_LAB_CACHE (XDG_CACHE_HOME and HOME are unset too)",
        )
}

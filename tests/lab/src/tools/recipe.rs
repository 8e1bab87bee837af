//! The build recipes, compiled into this crate: what is built does not depend on where the checkout lies.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest as _, Sha256};

/// Sources, the script that builds them, and what comes out.
pub(super) struct Recipe {
    /// First part of the cache directory's name.
    pub(super) name: &'static str,
    /// For people: what is built, and how long it takes.
    pub(super) announce: &'static str,
    /// Run with the output directory as its only argument.
    pub(super) script: &'static str,
    /// Go modules whose toolchain demands are checked before the build.
    pub(super) module: Option<&'static str>,
    /// What a finished build has.
    pub(super) yields: &'static [&'static str],
    sources: &'static [(&'static str, &'static str)],
}

/// etcd and all of Kubernetes in one binary, and kwok.
pub(super) const KUBES: Recipe = Recipe {
    name: "kubes",
    announce: "etcd, Kubernetes and kwok (once; about 6 minutes on two cores)",
    script: "kubes/build.sh",
    module: Some("kubes/kwok"),
    yields: &[
        "etcd",
        "kube-apiserver",
        "kubectl",
        "kube-controller-manager",
        "kube-scheduler",
        "kubelet",
        "kube-proxy",
        "kwok",
        "kwok-stages.yaml",
    ],
    sources: &[
        ("kubes/build.sh", include_str!("../../kubes/build.sh")),
        ("kubes/full.go", include_str!("../../kubes/full.go")),
        ("kubes/go.mod", include_str!("../../kubes/go.mod")),
        ("kubes/go.sum", include_str!("../../kubes/go.sum")),
        ("kubes/kwok/go.mod", include_str!("../../kubes/kwok/go.mod")),
        ("kubes/kwok/go.sum", include_str!("../../kubes/kwok/go.sum")),
        ("kubes/main.go", include_str!("../../kubes/main.go")),
    ],
};

/// `pause` and `hello`, as programs and as image archives.
pub(super) const IMAGES: Recipe = Recipe {
    name: "images",
    announce: "the test images (once; seconds)",
    script: "images/build.sh",
    module: None,
    yields: &["pause", "pause.tar", "hello", "hello.tar"],
    sources: &[
        ("images/build.sh", include_str!("../../images/build.sh")),
        ("images/hello.go", include_str!("../../images/hello.go")),
        ("images/pause.go", include_str!("../../images/pause.go")),
    ],
};

/// What makes and checks bundles and catalogs for the Operator Lifecycle Manager.
pub(super) const CATALOG: Recipe = Recipe {
    name: "catalog",
    announce: "opm and the validators of bundles (once; about 3 minutes on two cores)",
    script: "olm/catalog/build.sh",
    module: Some("olm/catalog"),
    yields: &["opm", "grpc_health_probe", "validate-bundle"],
    sources: &[
        ("olm/catalog/build.sh", include_str!("../../olm/catalog/build.sh")),
        ("olm/catalog/go.mod", include_str!("../../olm/catalog/go.mod")),
        ("olm/catalog/go.sum", include_str!("../../olm/catalog/go.sum")),
        ("olm/catalog/main.go", include_str!("../../olm/catalog/main.go")),
    ],
};

/// The Operator Lifecycle Manager itself.
pub(super) const MANAGER: Recipe = Recipe {
    name: "olm",
    announce: "the Operator Lifecycle Manager (once; about 4 minutes on two cores)",
    script: "olm/manager/build.sh",
    module: Some("olm/manager"),
    yields: &["olm", "catalog", "package-server", "copy-content", "cpb", "cp", "olm-crds.yaml"],
    sources: &[
        ("olm/manager/build.sh", include_str!("../../olm/manager/build.sh")),
        ("olm/manager/cp.go", include_str!("../../olm/manager/cp.go")),
        ("olm/manager/go.mod", include_str!("../../olm/manager/go.mod")),
        ("olm/manager/go.sum", include_str!("../../olm/manager/go.sum")),
    ],
};

/// Upstream's MetalLB, to be taken over from.
const METALLB: Recipe = Recipe {
    name: "metallb",
    announce: "upstream's MetalLB (once; about 4 minutes on two cores)",
    script: "metallb/build.sh",
    module: Some("metallb"),
    yields: &[
        "upstream-controller",
        "upstream-speaker",
        "upstream-cp-tool",
        "upstream-frr-metrics",
        "upstream-frr-reloader.sh",
        "metallb-native.yaml",
        "metallb-frr.yaml",
        "metallb-frr-k8s.yaml",
    ],
    sources: &[
        ("metallb/build.sh", include_str!("../../metallb/build.sh")),
        ("metallb/go.mod", include_str!("../../metallb/go.mod")),
        ("metallb/go.sum", include_str!("../../metallb/go.sum")),
        ("metallb/tools.go", include_str!("../../metallb/tools.go")),
    ],
};

/// Upstream's frr-k8s with FRR, which speaks BGP for upstream's MetalLB.
const FRR_K8S: Recipe = Recipe {
    name: "frr-k8s",
    announce: "upstream's frr-k8s with FRR (once; about 5 minutes on two cores)",
    script: "frr-k8s/build.sh",
    module: None,
    yields: &["frr-k8s.tar"],
    sources: &[
        ("frr-k8s/build.sh", include_str!("../../frr-k8s/build.sh")),
        ("frr-k8s/docker-start", include_str!("../../frr-k8s/docker-start")),
    ],
};

/// All of them.
pub(super) const ALL: [&Recipe; 6] = [&KUBES, &IMAGES, &CATALOG, &MANAGER, &METALLB, &FRR_K8S];

impl Recipe {
    /// The cache directory's name: for people the Kubernetes version, and a hash of everything that goes in.
    pub(super) fn key(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(std::env::consts::ARCH);
        for (path, text) in self.sources {
            hash.update(format!("\n{path} {}\n", text.len()));
            hash.update(text);
        }
        let mut lines = self.sources.iter().flat_map(|(_, text)| text.lines());
        let version = lines.find_map(|line| line.trim().strip_prefix("k8s.io/kubernetes v"));
        let version = version.map(|version| format!("v{version}-")).unwrap_or_default();
        let mut key = format!("{}-{version}", self.name);
        for byte in hash.finalize().iter().take(6) {
            let _ = write!(key, "{byte:02x}"); // writing to a String cannot fail
        }
        key
    }

    /// Writes the sources into a directory, ready to run.
    pub(super) fn unpack(&self, directory: &Path) -> Result<()> {
        for (path, text) in self.sources {
            let path = directory.join(path);
            let parent = path.parent().context("a source file lies in a directory")?;
            fs::create_dir_all(parent).with_context(|| format!("create {}", parent.display()))?;
            fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
            if path.extension().is_some_and(|extension| extension == "sh") {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_source_file_is_part_of_a_key() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut found = BTreeSet::new();
        for directory in ["frr-k8s", "images", "kubes", "kubes/kwok", "metallb", "olm/catalog", "olm/manager"]
        {
            for entry in fs::read_dir(root.join(directory)).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_file() {
                    found.insert(format!("{directory}/{}", entry.file_name().to_str().unwrap()));
                }
            }
        }
        let known = ALL.into_iter().flat_map(|recipe| recipe.sources);
        assert_eq!(found, known.map(|(path, _)| (*path).to_owned()).collect());
    }

    #[test]
    fn a_program_comes_from_one_recipe() {
        let mut seen = BTreeSet::new();
        assert!(ALL.iter().flat_map(|recipe| recipe.yields).all(|name| seen.insert(*name)));
    }

    #[test]
    fn the_key_of_kubernetes_names_its_version() {
        assert!(KUBES.key().starts_with("kubes-v1.34."), "{}", KUBES.key());
        assert_eq!(IMAGES.key().len(), "images-".len() + 12);
    }

    #[test]
    fn the_unpacked_recipe_is_complete_and_runnable() {
        let directory = tempfile::tempdir().unwrap();
        KUBES.unpack(directory.path()).unwrap();
        for (path, text) in KUBES.sources {
            assert_eq!(&fs::read_to_string(directory.path().join(path)).unwrap(), text);
        }
        let script = fs::metadata(directory.path().join(KUBES.script)).unwrap();
        assert_eq!(script.permissions().mode() & 0o111, 0o111);
    }
}

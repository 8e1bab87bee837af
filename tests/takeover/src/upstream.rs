//! Upstream's MetalLB: its programs as the images that its manifest names, and the manifest.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use metallb_images::Image;
use metallb_lab::tools::Tools;
use metallb_scenarios::installation::Installation;
use tempfile::TempDir;

/// What its images run as unless the manifest says otherwise.
const USER: &str = "0:0";
/// The lab's image with everything of FRR and frr-k8s, and those of the manifests that it stands for.
const FRR: &str = "lab.local/frr-k8s:1";
const FRRS: [&str; 2] = ["quay.io/frrouting/frr:", "quay.io/metallb/frr-k8s:"];

/// Who speaks BGP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The speaker.
    Native,
    /// FRR in the speaker's pod.
    Frr,
    /// FRR in a pod of frr-k8s, to which the speaker writes.
    FrrK8s,
}

impl Mode {
    /// What a MetalLB resource calls it, and the file of upstream's manifest.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Frr => "frr",
            Self::FrrK8s => "frr-k8s",
        }
    }
}

/// Upstream's MetalLB, ready to be installed.
pub struct Upstream {
    /// Its images, for the nodes.
    pub archives: Vec<PathBuf>,
    mode: Mode,
    manifest: String,
    _directory: TempDir,
}

impl Upstream {
    /// Builds it, unless that was done before.
    pub fn pack(mode: Mode) -> anyhow::Result<Self> {
        let path = Tools::one(&format!("metallb-{}.yaml", mode.name()))?;
        let manifest = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let directory = tempfile::tempdir()?;
        let mut archives = vec![
            pack(directory.path(), &manifest, "controller", &["controller"], None)?,
            pack(
                directory.path(),
                &manifest,
                "speaker",
                &["speaker", "cp-tool", "frr-metrics"],
                Some("frr-reloader.sh"),
            )?,
        ];
        match mode {
            Mode::Native => {}
            Mode::Frr | Mode::FrrK8s => archives.push(Tools::one("frr-k8s.tar")?),
        }
        Ok(Self { archives, mode, manifest: with_our_frr(&manifest), _directory: directory })
    }

    /// Applies its manifest, and waits until its pods are ready.
    pub async fn install(&self, metallb: &Installation) -> anyhow::Result<()> {
        metallb.admin.apply_yaml(&self.manifest).await?;
        metallb.deployment_ready("controller").await;
        metallb.speakers_ready().await;
        match self.mode {
            Mode::Native | Mode::Frr => {}
            Mode::FrrK8s => {
                metallb.deployment_ready("frr-k8s-statuscleaner").await;
                metallb.daemon_set_ready("frr-k8s-daemon").await;
            }
        }
        Ok(())
    }
}

/// An image by the name that the manifest has for `part`.
fn pack(
    directory: &Path,
    manifest: &str,
    part: &str,
    programs: &[&str],
    script: Option<&str>,
) -> anyhow::Result<PathBuf> {
    let mut names = manifest.lines().filter_map(|line| line.trim().strip_prefix("image: "));
    let name = names
        .find(|name| name.contains(&format!("/{part}:")))
        .with_context(|| format!("the manifest has no image of the {part}"))?;
    let built = |name: &&str| Ok((Tools::one(&format!("upstream-{name}"))?, format!("/{name}")));
    let image = Image {
        name: name.to_owned(),
        programs: programs.iter().map(built).collect::<anyhow::Result<_>>()?,
        user: USER.to_owned(),
        labels: Vec::new(),
        files: script.iter().map(built).collect::<anyhow::Result<_>>()?,
    };
    let archive = directory.join(format!("{part}.tar"));
    image.pack(&archive)?;
    Ok(archive)
}

fn with_our_frr(manifest: &str) -> String {
    let line = |line: &str| {
        let (before, name) = line.split_once("image: ")?;
        FRRS.iter().any(|frr| name.starts_with(frr)).then(|| format!("{before}image: {FRR}\n"))
    };
    manifest.lines().map(|it| line(it).unwrap_or_else(|| format!("{it}\n"))).collect()
}

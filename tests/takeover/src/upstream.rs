//! Upstream's MetalLB: its programs as the images that its manifest names, and the manifest.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use metallb_images::Image;
use metallb_lab::tools::Tools;
use metallb_scenarios::installation::Installation;
use tempfile::TempDir;

/// What its images run as unless the manifest says otherwise.
const USER: &str = "0:0";

/// Upstream's MetalLB, ready to be installed.
pub struct Upstream {
    /// Its images, for the nodes.
    pub archives: Vec<PathBuf>,
    manifest: String,
    _directory: TempDir,
}

impl Upstream {
    /// Builds it, unless that was done before.
    pub fn pack() -> anyhow::Result<Self> {
        let path = Tools::one("metallb-native.yaml")?;
        let manifest = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let directory = tempfile::tempdir()?;
        let mut archives = Vec::new();
        for (program, inside) in [("upstream-controller", "/controller"), ("upstream-speaker", "/speaker")] {
            let mut names = manifest.lines().filter_map(|line| line.trim().strip_prefix("image: "));
            let name = names
                .find(|name| name.contains(inside))
                .with_context(|| format!("the manifest has no image of {inside}"))?;
            let programs = vec![(Tools::one(program)?, inside.to_owned())];
            let image = Image {
                name: name.to_owned(),
                programs,
                user: USER.to_owned(),
                labels: Vec::new(),
                files: Vec::new(),
            };
            let archive = directory.path().join(format!("{program}.tar"));
            image.pack(&archive)?;
            archives.push(archive);
        }
        Ok(Self { archives, manifest, _directory: directory })
    }

    /// Applies its manifest, and waits until its pods are ready.
    pub async fn install(&self, metallb: &Installation) -> anyhow::Result<()> {
        metallb.admin.apply_yaml(&self.manifest).await?;
        metallb.deployment_ready("controller").await;
        metallb.speakers_ready().await;
        Ok(())
    }
}

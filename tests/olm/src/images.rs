//! Everything that becomes an image: two releases, their bundles and catalogs, opm, and the manager.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use metallb_images::Image;
use metallb_lab::tools::Tools;
use metallb_operator::generate::{self, Images, Release};
use metallb_scenarios::installation;
use tempfile::TempDir;

/// Nobody, as whom everything runs that does not say otherwise.
const USER: &str = "65534:65534";

/// The archives, and the names by which the images in them are known.
pub struct Packed {
    /// For the nodes.
    pub archives: Vec<PathBuf>,
    /// Of opm.
    pub opm: String,
    /// Of the manager.
    pub manager: String,
    /// The release before this one.
    pub previous: Packaged,
    /// The one that a checkout builds.
    pub current: Packaged,
    /// Where the archives are, until this is dropped.
    pub directory: TempDir,
}

/// A release, and the catalog that offers it and no other.
#[derive(Clone, Debug)]
pub struct Packaged {
    /// Its version and images.
    pub release: Release,
    /// The image of that catalog.
    pub catalog: String,
}

impl Packed {
    /// Packs them all. Programs of ours are those of the images that `make images` leaves behind; no release was made
    /// before, so the one before has the same ones, in images of its own.
    pub fn pack() -> anyhow::Result<Self> {
        let tools = Tools::with_olm()?;
        let mut packing = Packing { directory: tempfile::tempdir()?, archives: Vec::new() };
        let programs = |names: &[&str]| -> anyhow::Result<Vec<(PathBuf, String)>> {
            names.iter().map(|name| Ok((tools.program(name)?, format!("/bin/{name}")))).collect()
        };
        let opm = packing.tool("opm", programs(&["opm", "grpc_health_probe"])?)?;
        let manager = ["olm", "catalog", "package-server", "copy-content", "cpb", "cp"];
        let manager = packing.tool("olm", programs(&manager)?)?;
        let current = Release::default();
        let version = current.replaces.clone().context("there is no release to upgrade from")?;
        let previous = Release { version, replaces: None, ..current.clone() };
        let (previous, current) = (packing.release(previous)?, packing.release(current)?);
        let Packing { directory, archives } = packing;
        Ok(Self { archives, opm, manager, previous, current, directory })
    }
}

struct Packing {
    directory: TempDir,
    archives: Vec<PathBuf>,
}

impl Packing {
    fn release(&mut self, mut release: Release) -> anyhow::Result<Packaged> {
        let version = release.version.clone();
        let [operator, dataplane] = installation::images()?
            .try_into()
            .map_err(|archives| anyhow::anyhow!("two archives of ours, not {archives:?}"))?;
        release.images =
            Images { operator: self.ours(&operator, &version)?, dataplane: self.ours(&dataplane, &version)? };
        // What the bundle holds does not depend on the name it gets; what the catalog holds does.
        let (bundle, catalog) = self.generate(&release)?;
        release.bundle = self.files(
            "metallb-operator-bundle",
            &version,
            vec![
                (bundle.join("manifests"), "/manifests".to_owned()),
                (bundle.join("metadata"), "/metadata".to_owned()),
            ],
        )?;
        self.generate(&release)?;
        validate(&bundle, &catalog)?;
        let files = vec![(catalog, "/configs".to_owned())];
        let catalog = self.files("metallb-operator-catalog", &version, files)?;
        Ok(Packaged { release, catalog })
    }

    /// Bundle and catalog of a release, and where they are.
    fn generate(&self, release: &Release) -> anyhow::Result<(PathBuf, PathBuf)> {
        let root = self.directory.path().join(&release.version);
        fs::create_dir_all(&root)?;
        generate::write(&root, &generate::package(release)?)?;
        Ok((root.join("bundle"), root.join("catalog")))
    }

    /// An image of ours once more, of that version.
    fn ours(&mut self, archive: &Path, version: &str) -> anyhow::Result<String> {
        let name = archive.file_stem().and_then(|name| name.to_str()).context("an archive has a name")?;
        let programs = self.directory.path().join(format!("{name}-{version}"));
        let mut image = Image::unpack(archive, &programs)?;
        image.name = format!("localhost/metallb-{name}:{version}");
        image.labels.push(("org.opencontainers.image.version".to_owned(), version.to_owned()));
        self.pack(&image)
    }

    fn tool(&mut self, name: &str, programs: Vec<(PathBuf, String)>) -> anyhow::Result<String> {
        self.pack(&Image {
            name: format!("lab.local/{name}:1"),
            programs,
            files: Vec::new(),
            user: USER.to_owned(),
            labels: Vec::new(),
        })
    }

    fn files(&mut self, name: &str, tag: &str, files: Vec<(PathBuf, String)>) -> anyhow::Result<String> {
        self.pack(&Image {
            name: format!("localhost/{name}:{tag}"),
            programs: Vec::new(),
            files,
            user: USER.to_owned(),
            labels: Vec::new(),
        })
    }

    fn pack(&mut self, image: &Image) -> anyhow::Result<String> {
        let archive = self.directory.path().join(format!("{}.tar", self.archives.len()));
        let name = image.pack_by_digest(&archive)?;
        self.archives.push(archive);
        Ok(name)
    }
}

/// Whether the official validators take a bundle, and a catalog with it.
pub fn validate(bundle: &Path, catalog: &Path) -> anyhow::Result<()> {
    run("validate-bundle", &[bundle, catalog])?;
    run("opm", &[Path::new("validate"), catalog])
}

fn run(program: &str, arguments: &[&Path]) -> anyhow::Result<()> {
    let output = Command::new(Tools::one(program)?).args(arguments).output()?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{program} {arguments:?}: {}\n{out}{err}", output.status);
    Ok(())
}

//! An archive, back to what it was packed from.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use crate::Image;

impl Image {
    /// What is in an archive that [`pack`](Image::pack) wrote. Programs and files are put into `directory`.
    pub fn unpack(archive: &Path, directory: &Path) -> anyhow::Result<Self> {
        let bytes = fs::read(archive).with_context(|| format!("cannot read {}", archive.display()))?;
        let read = || {
            let blobs = files(&bytes)?;
            let index: Value = serde_json::from_slice(blobs.get("index.json").context("no index.json")?)?;
            let manifest: Value = serde_json::from_slice(blob(&blobs, &index["manifests"][0])?)?;
            let config: Value = serde_json::from_slice(blob(&blobs, &manifest["config"])?)?;
            let layer = files(blob(&blobs, &manifest["layers"][0])?)?;
            from_parts(&index["manifests"][0], &config["config"], layer, directory)
        };
        read().with_context(|| format!("{} is none of our images", archive.display()))
    }
}

fn from_parts(
    entry: &Value,
    config: &Value,
    layer: BTreeMap<String, Vec<u8>>,
    directory: &Path,
) -> anyhow::Result<Image> {
    let entry_point = config["Entrypoint"][0].as_str().unwrap_or_default();
    let (mut programs, mut others) = (Vec::new(), Vec::new());
    for (inside, bytes) in layer {
        let path = directory.join(&inside);
        fs::create_dir_all(path.parent().unwrap_or(directory))?;
        fs::write(&path, &bytes).with_context(|| format!("cannot write {}", path.display()))?;
        let is_program = bytes.starts_with(b"\x7fELF");
        if is_program { &mut programs } else { &mut others }.push((path, format!("/{inside}")));
    }
    programs.sort_by_key(|(_, inside)| inside != entry_point);
    let labels = config["Labels"].as_object().into_iter().flatten();
    Ok(Image {
        name: entry["annotations"]["io.containerd.image.name"].as_str().unwrap_or_default().to_owned(),
        programs,
        files: others,
        user: config["User"].as_str().unwrap_or_default().to_owned(),
        labels: labels
            .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect(),
    })
}

fn files(archive: &[u8]) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let mut found = BTreeMap::new();
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        found.insert(entry.path()?.display().to_string(), bytes);
    }
    Ok(found)
}

fn blob<'b>(blobs: &'b BTreeMap<String, Vec<u8>>, descriptor: &Value) -> anyhow::Result<&'b [u8]> {
    let path = format!("blobs/{}", descriptor["digest"].as_str().unwrap_or_default().replace(':', "/"));
    Ok(blobs.get(&path).with_context(|| format!("no {path}"))?)
}

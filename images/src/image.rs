//! One image, from its programs to the archive.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// What goes into an image.
#[derive(Clone, Debug)]
pub struct Image {
    /// Its full name, such as `localhost/metallb-dataplane:dev`.
    pub name: String,
    /// Its programs: where each lies, and its path in the image (`/speaker`). The first is the entry point.
    pub programs: Vec<(PathBuf, String)>,
    /// What else is in it, file or directory: where it lies, and its path in the image (`/manifests`). A script that can be
    /// run here can be run there.
    pub files: Vec<(PathBuf, String)>,
    /// `uid:gid` that it runs as unless the pod says otherwise.
    pub user: String,
    /// Labels, such as `org.opencontainers.image.source`.
    pub labels: Vec<(String, String)>,
}

struct Blob {
    digest: String,
    bytes: Vec<u8>,
}

impl Blob {
    fn new(bytes: Vec<u8>) -> Self {
        Self { digest: format!("{:x}", Sha256::digest(&bytes)), bytes }
    }

    fn json(value: &Value) -> Self {
        Self::new(value.to_string().into_bytes())
    }

    fn path(&self) -> String {
        format!("blobs/sha256/{}", self.digest)
    }

    fn descriptor(&self, media_type: &str) -> Value {
        json!({ "mediaType": media_type, "digest": format!("sha256:{}", self.digest), "size": self.bytes.len() })
    }
}

impl Image {
    /// Writes the archive to `path`, whole or not at all.
    pub fn pack(&self, path: &Path) -> anyhow::Result<()> {
        self.repository()?;
        self.write(path, |_| self.name.clone())?;
        Ok(())
    }

    /// The same, but whoever loads the archive knows the image by its digest, and not by its tag. The answer is that
    /// name, such as `localhost/metallb-dataplane@sha256:…`.
    pub fn pack_by_digest(&self, path: &Path) -> anyhow::Result<String> {
        let repository = self.repository()?;
        self.write(path, |digest| format!("{repository}@sha256:{digest}"))
    }

    /// The name without the tag.
    fn repository(&self) -> anyhow::Result<&str> {
        match self.name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')) {
            Some((repository, _)) => Ok(repository),
            None => bail!("the image name {:?} has no tag; write {}:dev, say", self.name, self.name),
        }
    }

    fn write(&self, path: &Path, name: impl FnOnce(&str) -> String) -> anyhow::Result<String> {
        let layer = Blob::new(self.layer()?);
        // Of an image that only holds files, nothing can be started.
        let entry_point: Vec<_> = self.programs.first().map(|(_, inside)| inside).into_iter().collect();
        let config = Blob::json(&json!({
            "architecture": architecture(),
            "os": "linux",
            "config": {
                "Entrypoint": entry_point,
                "User": self.user,
                "Labels": self.labels.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            },
            "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{}", layer.digest)] },
        }));
        let manifest = Blob::json(&json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": config.descriptor("application/vnd.oci.image.config.v1+json"),
            "layers": [layer.descriptor("application/vnd.oci.image.layer.v1.tar")],
        }));
        let name = name(&manifest.digest);
        let mut entry = manifest.descriptor("application/vnd.oci.image.manifest.v1+json");
        entry["annotations"] = json!({
            "io.containerd.image.name": name,
            "org.opencontainers.image.ref.name": name,
        });
        let index = json!({ "schemaVersion": 2, "manifests": [entry] });
        let docker = json!([{ "Config": config.path(), "RepoTags": [name], "Layers": [layer.path()] }]);

        let unfinished = path.with_extension("unfinished");
        let file = fs::File::create(&unfinished)
            .with_context(|| format!("cannot write {}", unfinished.display()))?;
        let mut archive = tar::Builder::new(io::BufWriter::new(file));
        append(&mut archive, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#, 0o644)?;
        append(&mut archive, "index.json", index.to_string().as_bytes(), 0o644)?;
        append(&mut archive, "manifest.json", docker.to_string().as_bytes(), 0o644)?;
        for blob in [&config, &manifest, &layer] {
            append(&mut archive, &blob.path(), &blob.bytes, 0o644)?;
        }
        archive.into_inner()?.flush()?;
        fs::rename(&unfinished, path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(name)
    }

    fn layer(&self) -> anyhow::Result<Vec<u8>> {
        let mut layer = tar::Builder::new(Vec::new());
        for (path, inside) in &self.programs {
            let program =
                fs::read(path).with_context(|| format!("cannot read {}; was it built?", path.display()))?;
            if !is_static(&program) {
                bail!("{} is no static program: nothing in an empty image could load it", path.display());
            }
            append(&mut layer, inside.trim_start_matches('/'), &program, 0o755)?;
        }
        for (path, inside) in &self.files {
            append_tree(&mut layer, inside.trim_start_matches('/'), path)?;
        }
        Ok(layer.into_inner()?)
    }
}

fn append_tree(archive: &mut tar::Builder<Vec<u8>>, inside: &str, path: &Path) -> anyhow::Result<()> {
    if !path.is_dir() {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let can_be_run = fs::metadata(path)?.permissions().mode() & 0o111 != 0;
        return append(archive, inside, &bytes, if can_be_run { 0o755 } else { 0o644 });
    }
    let entries = fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut entries = entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
    entries.sort();
    for name in entries {
        let below = format!("{inside}/{}", name.to_string_lossy());
        append_tree(archive, &below, &path.join(&name))?;
    }
    Ok(())
}

fn append(archive: &mut tar::Builder<impl Write>, path: &str, bytes: &[u8], mode: u32) -> anyhow::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_size(bytes.len() as u64);
    header.set_mode(mode);
    header.set_mtime(0); // the same programs, the same archive
    archive.append_data(&mut header, path, bytes).with_context(|| format!("cannot pack {path}"))
}

/// The name Go gives this machine's architecture, as images use it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// An ELF program that asks for no interpreter (program header `PT_INTERP`) needs no file beside itself.
fn is_static(program: &[u8]) -> bool {
    const PT_INTERP: u32 = 3;
    let number = |offset: usize, size: usize| -> Option<usize> {
        let bytes = program.get(offset..offset.checked_add(size)?)?;
        let value = bytes.iter().rev().fold(0_u64, |value, byte| (value << 8) | u64::from(*byte));
        usize::try_from(value).ok()
    };
    let interpreters = || -> Option<bool> {
        // 64-bit, little-endian: what we build.
        if program.get(..6)? != b"\x7fELF\x02\x01" {
            return None;
        }
        let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
        let types = (0..count).map(|n| number(table.checked_add(n.checked_mul(size)?)?, 4));
        Some(types.flatten().any(|kind| kind == PT_INTERP as usize))
    };
    interpreters() == Some(false)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read as _;

    use super::*;

    /// The smallest thing that counts as a static program: an ELF header without program headers.
    fn static_program() -> Vec<u8> {
        let mut program = vec![0; 64];
        program[..6].copy_from_slice(b"\x7fELF\x02\x01");
        program
    }

    fn packed(directory: &Path) -> BTreeMap<String, Vec<u8>> {
        let archive = directory.join("image.tar");
        image(directory).pack(&archive).unwrap();
        files(&fs::read(archive).unwrap())
    }

    fn image(directory: &Path) -> Image {
        let program = directory.join("program");
        fs::write(&program, static_program()).unwrap();
        fs::create_dir_all(directory.join("more/below")).unwrap();
        fs::write(directory.join("more/below/file"), "text").unwrap();
        Image {
            name: "localhost/test:dev".into(),
            programs: vec![(program, "/program".into())],
            files: vec![(directory.join("more"), "/more".into())],
            user: "65534:65534".into(),
            labels: vec![("a".into(), "b".into())],
        }
    }

    fn files(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut archive = tar::Archive::new(archive);
        let file = |entry: io::Result<tar::Entry<'_, _>>| {
            let mut entry: tar::Entry<'_, &[u8]> = entry.unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (entry.path().unwrap().display().to_string(), bytes)
        };
        archive.entries().unwrap().map(file).collect()
    }

    fn json(files: &BTreeMap<String, Vec<u8>>, path: &str) -> Value {
        serde_json::from_slice(&files[path]).unwrap()
    }

    #[test]
    fn from_the_index_every_blob_is_found_under_its_digest() {
        let directory = tempfile::tempdir().unwrap();
        let files = packed(directory.path());
        let blob = |descriptor: &Value| {
            let path = format!("blobs/{}", descriptor["digest"].as_str().unwrap().replace(':', "/"));
            let bytes = &files[&path];
            assert_eq!(descriptor["size"], bytes.len());
            assert_eq!(Blob::new(bytes.clone()).path(), path);
            bytes.clone()
        };
        let entry = &json(&files, "index.json")["manifests"][0];
        assert_eq!(entry["annotations"]["io.containerd.image.name"], "localhost/test:dev");
        let manifest: Value = serde_json::from_slice(&blob(entry)).unwrap();
        let config: Value = serde_json::from_slice(&blob(&manifest["config"])).unwrap();
        assert_eq!(config["config"]["Entrypoint"], json!(["/program"]));
        assert_eq!(config["rootfs"]["diff_ids"][0], manifest["layers"][0]["digest"]);
        let layer = self::files(&blob(&manifest["layers"][0]));
        assert_eq!(layer["program"], static_program());
        assert_eq!(layer["more/below/file"], b"text");
    }

    #[test]
    fn an_image_can_go_by_its_digest() {
        let directory = tempfile::tempdir().unwrap();
        let archive = directory.path().join("image.tar");
        let name = image(directory.path()).pack_by_digest(&archive).unwrap();
        let index = json(&files(&fs::read(&archive).unwrap()), "index.json");
        let entry = &index["manifests"][0];
        assert_eq!(name, format!("localhost/test@{}", entry["digest"].as_str().unwrap()));
        assert_eq!(entry["annotations"]["io.containerd.image.name"], name);
    }

    #[test]
    fn what_was_packed_can_be_packed_anew_under_another_label() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let archive = from.path().join("image.tar");
        let before = image(from.path()).pack_by_digest(&archive).unwrap();
        let mut read = Image::unpack(&archive, to.path()).unwrap();
        read.name = "localhost/test:dev".into();
        assert_eq!(read.pack_by_digest(&archive).unwrap(), before, "nothing was lost");
        read.labels.push(("version".into(), "2".into()));
        assert_ne!(read.pack_by_digest(&archive).unwrap(), before);
    }

    #[test]
    fn a_script_can_be_run_and_what_is_read_cannot() {
        let directory = tempfile::tempdir().unwrap();
        let mut image = image(directory.path());
        let script = directory.path().join("script.sh");
        fs::write(&script, "#!/bin/sh").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
        image.files.push((script, "/script.sh".into()));
        let layer = image.layer().unwrap();
        let mut layer = tar::Archive::new(layer.as_slice());
        let entries = layer.entries().unwrap().map(Result::unwrap);
        let modes: BTreeMap<_, _> = entries
            .map(|entry| (entry.path().unwrap().display().to_string(), entry.header().mode().unwrap()))
            .collect();
        assert_eq!((modes["script.sh"], modes["more/below/file"]), (0o755, 0o644));
    }

    #[test]
    fn packing_twice_gives_the_same_bytes() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert_eq!(packed(one.path()), packed(other.path()));
    }

    #[test]
    fn a_program_that_needs_a_loader_is_refused() {
        let mut dynamic = static_program();
        dynamic.resize(128, 0);
        dynamic[32] = 64; // where the program headers are
        dynamic[54] = 56; // their size
        dynamic[56] = 1; // their number
        dynamic[64] = 3; // PT_INTERP
        assert!(is_static(&static_program()));
        assert!(!is_static(&dynamic));
        assert!(!is_static(b"#!/bin/sh"));
    }

    #[test]
    fn a_name_without_a_tag_is_refused() {
        let image = Image {
            name: "localhost:5000/test".into(),
            programs: vec![],
            files: vec![],
            user: String::new(),
            labels: vec![],
        };
        assert!(image.pack(Path::new("/nowhere")).unwrap_err().to_string().contains("no tag"));
    }
}

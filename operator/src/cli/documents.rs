//! Files, directories and standard input, into objects with the place they came from.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde_json::Value;

/// An object, and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Document {
    /// The file, and which of its documents, counted from 1.
    pub source: String,
    /// The object.
    pub object: Value,
}

const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// Reads all of `paths` in order; files of a directory by name, as kubectl does, and not those below it.
pub(super) fn read_all(paths: &[PathBuf]) -> anyhow::Result<Vec<Document>> {
    let mut documents = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
            parse("standard input", &text, &mut documents)?;
        } else if path.is_dir() {
            for file in files_of(path)? {
                read_file(&file, &mut documents)?;
            }
        } else {
            read_file(path, &mut documents)?;
        }
    }
    Ok(documents)
}

fn files_of(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let cannot = || format!("cannot read the directory {}", directory.display());
    let entries = fs::read_dir(directory).with_context(cannot)?;
    let mut files = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .with_context(cannot)?;
    files.retain(|file| {
        let ending = file.extension().and_then(|ending| ending.to_str());
        file.is_file() && ending.is_some_and(|ending| ENDINGS.contains(&ending))
    });
    files.sort();
    if files.is_empty() {
        bail!("{} holds no file that ends in .yaml, .yml or .json", directory.display());
    }
    Ok(files)
}

fn read_file(path: &Path, documents: &mut Vec<Document>) -> anyhow::Result<()> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&path.display().to_string(), &text, documents)
}

/// Takes the objects from `text`, lists apart. JSON is YAML.
pub(super) fn parse(source: &str, text: &str, documents: &mut Vec<Document>) -> anyhow::Result<()> {
    let parsed: Vec<Value> =
        serde_saphyr::from_multiple(text).with_context(|| format!("{source} is no YAML"))?;
    let several = parsed.len() > 1;
    for (index, object) in parsed.into_iter().enumerate() {
        let source = if several { format!("{source} (document {})", index + 1) } else { source.to_owned() };
        take(source, object, documents)?;
    }
    Ok(())
}

fn take(source: String, mut object: Value, documents: &mut Vec<Document>) -> anyhow::Result<()> {
    if object.is_null() {
        return Ok(()); // nothing but comments
    }
    let Some(kind) = object["kind"].as_str().map(str::to_owned) else {
        bail!("{source} is no object of Kubernetes: it has no kind");
    };
    if kind.ends_with("List") && object["items"].is_array() {
        let item_kind = kind.trim_end_matches("List").to_owned();
        let version = object["apiVersion"].clone();
        for mut item in object["items"].as_array_mut().map(std::mem::take).unwrap_or_default() {
            if !item.is_object() {
                bail!("{source}: an item of {kind} is no object");
            }
            // Items of a typed list do not repeat their kind.
            if item["kind"].is_null() && !item_kind.is_empty() {
                item["kind"] = item_kind.clone().into();
                item["apiVersion"] = version.clone();
            }
            take(source.clone(), item, documents)?;
        }
        return Ok(());
    }
    documents.push(Document { source, object });
    Ok(())
}

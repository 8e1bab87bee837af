//! What is generated is what is committed.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use serde_json::Value;

const CHECKOUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

#[test]
fn the_checkout_holds_what_the_types_say() {
    let stale = stale(Path::new(CHECKOUT), &all().unwrap()).unwrap();
    assert_eq!(stale, [], "run `cargo run --bin generate`");
}

#[test]
fn a_definition_survives_being_written() {
    let written = crds::artifacts().unwrap();
    let definitions = metallb_crds::schema::all();
    assert_eq!(written.len(), definitions.len());
    for (artifact, definition) in written.iter().zip(&definitions) {
        let read: Value = serde_saphyr::from_str(&artifact.content).unwrap();
        let read: k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition =
            serde_json::from_value(read).unwrap();
        assert_eq!(read, *definition, "{}", artifact.path.display());
    }
}

#[test]
fn every_file_says_where_it_comes_from_and_ends_its_last_line() {
    let has_comments = |file: &Artifact| file.path.extension().is_none_or(|it| it != "json");
    for Artifact { path, content } in all().unwrap().into_iter().filter(has_comments) {
        let header = if path.extension().is_some_and(|it| it == "md") { MARKDOWN_HEADER } else { HEADER };
        assert!(content.starts_with(header), "{}", path.display());
        assert!(content.ends_with('\n') && !content.ends_with("\n\n"), "{}", path.display());
        assert!(content.lines().all(|line| !line.ends_with(' ')), "{}", path.display());
    }
}

#[test]
fn bounds_are_written_as_whole_numbers() {
    let peers =
        all().unwrap().into_iter().find(|file| file.path.ends_with("metallb.io_bgppeers.yaml")).unwrap();
    assert!(peers.content.contains("maximum: 4294967295\n"));
    assert!(!peers.content.contains(".0\n"));
}

#[test]
fn only_what_is_stale_is_written_and_only_our_own_files_are_removed() {
    let root = tempfile::tempdir().unwrap();
    let wanted = [file("crds/a.yaml", "a: 1\n"), file("crds/b.yaml", "b: 1\n")];
    let path = |name: &str| PathBuf::from("crds").join(name);

    let missing = vec![Stale::Missing(path("a.yaml")), Stale::Missing(path("b.yaml"))];
    assert_eq!(stale(root.path(), &wanted).unwrap(), missing, "nothing is there yet");
    assert_eq!(write(root.path(), &wanted).unwrap(), missing);
    assert_eq!(stale(root.path(), &wanted).unwrap(), [], "and now it is");

    fs::write(root.path().join("crds/b.yaml"), "by hand\n").unwrap();
    fs::write(root.path().join("crds/old.yaml"), format!("{HEADER}old: 1\n")).unwrap();
    fs::write(root.path().join("crds/Cargo.toml"), "not ours\n").unwrap();
    let changed = vec![Stale::Differs(path("b.yaml")), Stale::Left(path("old.yaml"))];
    assert_eq!(stale(root.path(), &wanted).unwrap(), changed);
    assert_eq!(write(root.path(), &wanted).unwrap(), changed);
    assert_eq!(stale(root.path(), &wanted).unwrap(), []);
    assert!(root.path().join("crds/Cargo.toml").exists());
    assert!(!root.path().join("crds/old.yaml").exists());
}

fn file(path: &str, body: &str) -> Artifact {
    Artifact { path: path.into(), content: format!("{HEADER}{body}") }
}

//! The house rules, each a test. A rule that is broken names the file, and what to do.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Files over [`COMFORTABLE`] lines, each with why it is one idea all the same.
const LONG: &[(&str, &str)] = &[];
/// Lines beyond which a file has to say why.
const COMFORTABLE: usize = 500;
/// Lines beyond which there is no excuse: look for the second idea in it.
const TOO_LONG: usize = 800;
/// Lines beyond which a `mod.rs` or `lib.rs` is a room and not a door.
const DOOR: usize = 120;

/// Which of our crates each of them may use. Arrows point one way.
const MAY_USE: &[(&str, &[&str])] = &[
    ("metallb-core", &[]),
    ("metallb-protocols", &["metallb-core"]),
    ("metallb-crds", &["metallb-core"]),
    ("metallb-process", &["metallb-core"]),
    ("metallb-dataplane", &["metallb-core", "metallb-crds", "metallb-process", "metallb-protocols"]),
    ("metallb-operator", &["metallb-core", "metallb-crds", "metallb-process"]),
    ("metallb-fuzz", &[]),
    ("metallb-images", &[]),
    ("metallb-lab", &[]),
    ("metallb-olm", &["metallb-images", "metallb-lab", "metallb-operator", "metallb-scenarios"]),
    ("metallb-scenarios", &["metallb-crds", "metallb-lab"]),
    ("metallb-takeover", &["metallb-crds", "metallb-images", "metallb-lab", "metallb-scenarios"]),
    ("metallb-tidy", &[]),
];

/// What a crate is a promise of the absence of.
const NEVER_USES: &[(&str, &[&str])] = &[
    ("metallb-core", &["kube", "k8s-openapi", "tokio", "socket2", "nix", "libc", "rand"]),
    ("metallb-protocols", &["kube", "k8s-openapi", "tokio", "socket2", "nix", "libc", "rand"]),
    ("metallb-crds", &["tokio", "hyper", "kube-client"]),
    ("metallb-operator", &["pnet_packet", "socket2"]),
];

fn tree() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The files that git knows or would take, with that ending.
fn files(ending: &str) -> Vec<(String, String)> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(tree())
        .output()
        .expect("git lists the files of the tree");
    let names = String::from_utf8(listed.stdout).expect("file names are text");
    let wanted = names.lines().filter(|name| name.ends_with(ending) && !name.contains("/target/"));
    let read = |name: &str| Some((name.to_owned(), fs::read_to_string(tree().join(name)).ok()?));
    let files: Vec<_> = wanted.filter_map(read).collect();
    assert!(!files.is_empty(), "no file ends with {ending}: is this a git checkout?");
    files
}

fn broken(rule: &str, places: &[String]) {
    let mut text = String::new();
    for place in places {
        let _ = write!(text, "\n  {place}");
    }
    assert!(places.is_empty(), "{rule}:{text}");
}

#[test]
fn every_file_says_first_what_is_in_it() {
    let silent =
        files(".rs").into_iter().filter(|(_, text)| !text.starts_with("//!") && !text.starts_with("#!"));
    broken(
        "a file opens with `//!`: what is in this room, and what is not",
        &silent.map(|(name, _)| name).collect::<Vec<_>>(),
    );
}

#[test]
fn no_file_grows_without_a_reason() {
    let mut places = Vec::new();
    let reasons: BTreeMap<_, _> = LONG.iter().copied().collect();
    let mut used = BTreeSet::new();
    for (name, text) in files(".rs") {
        let lines = text.lines().count();
        if lines > TOO_LONG {
            places.push(format!("{name} has {lines} lines: look for the second idea in it"));
        } else if lines > COMFORTABLE && !reasons.contains_key(name.as_str()) {
            places.push(format!(
                "{name} has {lines} lines: split it by noun, or say in LONG why it is one idea"
            ));
        }
        if lines > COMFORTABLE {
            used.insert(name);
        }
    }
    for (name, _) in LONG.iter().filter(|(name, _)| !used.contains(*name)) {
        places.push(format!("{name} is short by now: take it off LONG"));
    }
    broken("files hold one idea", &places);
}

#[test]
fn doors_are_doors() {
    // What integration tests share has to be called mod.rs.
    let is_door = |name: &str| {
        let shared = name.starts_with("tests/lab/tests/") || name.contains("/tests/common/");
        (name.ends_with("/mod.rs") || name.ends_with("/lib.rs")) && !shared
    };
    let doors = files(".rs").into_iter().filter(|(name, _)| is_door(name));
    let rooms = doors.filter(|(_, text)| {
        text.lines().count() > DOOR
            || text.lines().any(|line| line.trim_start().starts_with("impl ") || line.starts_with("fn "))
    });
    broken("mod.rs and lib.rs open rooms and are none", &rooms.map(|(name, _)| name).collect::<Vec<_>>());
}

/// Whether this is the text of a test: a file for tests, or what follows `#[cfg(test)]` in another.
fn test_text<'t>(name: &str, text: &'t str) -> Option<&'t str> {
    if name.contains("/tests/") || name.ends_with("/tests.rs") {
        return Some(text);
    }
    text.find("#[cfg(test)]\nmod tests {").and_then(|start| text.get(start..))
}

#[test]
fn tests_do_not_sleep() {
    let mut places = Vec::new();
    for (name, text) in files(".rs") {
        // The one place that polls, and this rule's own text.
        if name == "tests/lab/src/wait.rs" || name == "tests/tidy/tests/house_rules.rs" {
            continue;
        }
        let in_lab = name.starts_with("tests/lab/src/") || name.starts_with("tests/kind/src/");
        let text = if in_lab { Some(text.as_str()) } else { test_text(&name, &text) };
        let sleeps = text.is_some_and(|text| {
            text.lines().any(|line| line.contains("sleep(") && !line.trim_start().starts_with("//"))
        });
        if sleeps {
            places.push(name);
        }
    }
    broken("tests move a virtual clock, or wait with `eventually`", &places);
}

#[test]
fn unsafe_code_is_in_its_one_place_and_says_why_it_is_sound() {
    let mut places = Vec::new();
    for (name, text) in files(".rs") {
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let is_unsafe =
                code.contains("unsafe {") || code.contains("unsafe fn") || code.contains("unsafe impl");
            if !is_unsafe || name == "tests/tidy/tests/house_rules.rs" {
                continue;
            }
            let before: Vec<_> = text.lines().take(number).collect();
            let reason = before.iter().rev().take_while(|line| line.trim_start().starts_with("//"));
            if !name.starts_with("dataplane/src/net/sys/") {
                places.push(format!("{name}:{}: unsafe code belongs into dataplane/src/net/sys", number + 1));
            } else if !reason.into_iter().any(|line| line.contains("SAFETY:")) {
                places.push(format!("{name}:{}: a line above says `SAFETY:` and why", number + 1));
            }
        }
    }
    broken("unsafe code", &places);
}

#[test]
fn nothing_is_left_for_later_and_no_test_is_switched_off() {
    let mut places = Vec::new();
    for (name, text) in files(".rs") {
        if name == "tests/tidy/tests/house_rules.rs" {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let unfinished = ["todo!(", "unimplemented!(", "dbg!(", "FIXME", "XXX"]
                .iter()
                .find(|word| line.contains(*word));
            let ignored = line.trim_start().starts_with("#[ignore]"); // with a reason it is allowed
            if let Some(word) = unfinished.copied().or(ignored.then_some("#[ignore] without a reason")) {
                places.push(format!("{name}:{}: {word}", number + 1));
            }
        }
    }
    broken("what is committed is finished", &places);
}

/// The names under `[dependencies]` of a manifest.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let section = manifest.split("\n[").find(|section| section.starts_with("dependencies]"));
    let lines = section.into_iter().flat_map(str::lines).skip(1);
    let name = |line: &str| line.split(['.', ' ', '=']).next().unwrap_or_default().trim().to_owned();
    lines.map(name).filter(|name| !name.is_empty() && !name.starts_with('#')).collect()
}

#[test]
fn dependencies_point_one_way() {
    let mut places = Vec::new();
    let mut seen = BTreeSet::new();
    for (file, manifest) in files("Cargo.toml") {
        let Some(name) = manifest.lines().find_map(|line| line.strip_prefix("name = ")) else { continue };
        let name = name.trim_matches('"').to_owned();
        if !name.starts_with("metallb-") {
            continue;
        }
        let used = dependencies(&manifest);
        let Some((_, allowed)) = MAY_USE.iter().find(|(known, _)| *known == name) else {
            places.push(format!("{file}: say in MAY_USE which of our crates {name} may use"));
            continue;
        };
        for ours in
            used.iter().filter(|used| used.starts_with("metallb-") && !allowed.contains(&used.as_str()))
        {
            places.push(format!("{file}: {name} may not use {ours}"));
        }
        let never = NEVER_USES.iter().filter(|(known, _)| *known == name).flat_map(|(_, never)| never.iter());
        for never in never.filter(|never| used.contains(**never)) {
            places.push(format!("{file}: {name} promises to do without {never}"));
        }
        seen.insert(name);
    }
    for (gone, _) in MAY_USE.iter().filter(|(name, _)| !seen.contains(*name)) {
        places.push(format!("{gone} is gone: take it off MAY_USE"));
    }
    broken("core ← crds ← operator, core ← protocols ← dataplane", &places);
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let manifests = files("Cargo.toml").into_iter().filter(|(_, text)| text.contains("[package]"));
    let without = manifests.filter(|(_, text)| !text.contains("[lints]\nworkspace = true"));
    broken(
        "`[lints] workspace = true` in every manifest",
        &without.map(|(name, _)| name).collect::<Vec<_>>(),
    );
}

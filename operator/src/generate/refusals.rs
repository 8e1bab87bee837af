//! `docs/refusals.md`: every "no" there is, by its code.

use std::fmt::Write as _;
use std::path::PathBuf;

use metallb_core::refusal::{ConfigRefusal, Refusal, catalogue};
use metallb_crds::config::examples;

use super::{Artifact, MARKDOWN_HEADER};

const INTRODUCTION: &str = "
# Refusals

Whatever MetalLB does not do, it says why, with a code that never changes its meaning. The code is in the logs; the
sentence and what to do about it are also in events, conditions and answers of `kubectl apply`. The sentences below are
examples: names and numbers are those of the case.
";

const CONFIGURATION: &str = "
## Objects of the configuration

An object may have several. What a code does to its object is one of:

* **denied**: the object is not in force, or the part of it that the sentence names is not. Admission denies an edit
  that brings this about. One that is stored all the same is set aside; everything else stays in force.
* **waits**: the object refers to something that is not there, and is set aside until it is. Admission warns only, so
  that objects can be applied in any order.
* **warning**: the object is in force, and probably not what was meant.

| code | effect | for example | what to do |
|---|---|---|---|
";

const ALLOCATION: &str = "
## Services without an address

| code | for example | what to do |
|---|---|---|
";

const ANNOUNCEMENT: &str = "
## Addresses that a node does not announce

| code | for example | what to do |
|---|---|---|
";

pub(super) fn artifact() -> Artifact {
    let mut text = format!("{MARKDOWN_HEADER}{INTRODUCTION}{CONFIGURATION}");
    for example in examples::all() {
        if let Some(refusal) = &example.refusal {
            let code = refusal.code();
            let effect = effect(&refusal.refusal);
            let _ = writeln!(
                text,
                "| `{code}` | {effect} | {} | {} |",
                cell(&refusal.sentence()),
                cell(&refusal.fix())
            );
        }
    }
    text.push_str(ALLOCATION);
    rows(&mut text, &catalogue::allocation());
    text.push_str(ANNOUNCEMENT);
    rows(&mut text, &catalogue::announcement());
    Artifact { path: PathBuf::from("docs/refusals.md"), content: text }
}

fn rows(text: &mut String, refusals: &[impl Refusal]) {
    for refusal in refusals {
        let _ = writeln!(
            text,
            "| `{}` | {} | {} |",
            refusal.code(),
            cell(&refusal.sentence()),
            cell(&refusal.fix())
        );
    }
}

fn effect(refusal: &ConfigRefusal) -> &'static str {
    match refusal.effect() {
        metallb_core::refusal::Effect::SetsAside => "denied",
        metallb_core::refusal::Effect::Dangling => "waits",
        metallb_core::refusal::Effect::Warning => "warning",
    }
}

/// What Markdown would take for the end of a cell, or for its own.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;").replace('\n', " ")
}

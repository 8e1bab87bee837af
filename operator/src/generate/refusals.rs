//! `docs/refusals.md`: every "no" there is, by its code.

use std::fmt::Write as _;
use std::path::PathBuf;

use metallb_core::refusal::{ConfigRefusal, Refusal, catalogue};
use metallb_crds::config::examples;
use metallb_crds::schema::{Coverage, coverage};

use super::{Artifact, MARKDOWN_HEADER};
use crate::wanted;

const INTRODUCTION: &str = "
# Refusals

Whatever MetalLB does not do, it says why, in a sentence, with what to do about it, and under a code that never changes its
meaning. The sentences below are examples: names and numbers are those of the case. People read the sentence where they are:

| what is wrong | where it is told |
|---|---|
| an edit | the answer of `kubectl apply`; before that, `kubectl metallb validate -f FILE` |
| an object of the configuration | an event `ConfigurationError` on it, `kubectl -n metallb-system get configurationstates` |
| a service has no address | an event on it (`AllocationFailed`, `LoadBalancerFailed`, `AddressHeld`, …), `kubectl metallb explain service` |
| a node does not announce an address | `kubectl metallb explain service`; `kubectl metallb owners ADDRESS` for layer 2 |
| a BGP session is not there | `kubectl metallb peers` ([its codes](bgp-sessions.md)) |
| what is meant for FRR, or for heartbeats | `kubectl -n metallb-system get configurationstates` |
| the MetalLB resource | its condition `Degraded`, and an event `InvalidSpec` |

The code is for programs and for this list. It stands

* in the JSON of `kubectl metallb validate`, `plan`, `explain`, `owners` and `peers` (`-o json`), in the column CODE of `validate`, and
  in the text of `explain` in brackets behind the sentence;
* in `/debug/state` of [controller and speakers](metrics.md);
* in their logs: as `code` with `setAside` (controller), `notInForce` (speakers) and `allocation` (controller), as `reason` with
  `serviceWithdrawn` and, at log level `debug`, `notAnnounced` (speakers).

Answers of `kubectl apply`, events, conditions and ConfigurationStates hold the sentence and not the code: search this page for a
few words of it that are no names.
";

const CONFIGURATION: &str = "
## Objects of the configuration

An object may have several. What a code does to its object is one of:

* **denied**: the object is not in force, or the part of it that the sentence names is not. Admission denies an edit
  that brings this about. One that is stored all the same is set aside; everything else stays in force.
* **waits**: the object refers to something that is not there, and is set aside until it is. Admission warns only, so
  that objects can be applied in any order.
* **warning**: the object is in force, and probably not what was meant.

What is **in the schema** the API server refuses by itself, webhook or not: a new object, and an edit of the value in
question (or, of several fields together, one that brings the fault about). What was stored before stays as it is, takes
status writes, and can be edited elsewhere. This needs Kubernetes 1.33 or newer: there, a definition may gain rules
without holding them against values that do not change.

| code | effect | in the schema | for example | what to do |
|---|---|---|---|---|
";

const NOT_IN_THE_SCHEMA: &str = "
What is not in the schema is told by the webhook, and by the controller and the speakers. Why not:

";

const METALLB: &str = "
## The MetalLB resource

Admission denies an edit that brings one of these about. Where it is stored all the same, the MetalLB is Degraded with the reason
`InvalidSpec`, and what was installed before stays in force; see [the operator](operator.md).

| code | for example | what to do |
|---|---|---|
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

const FRR: &str = "
## What does not reach FRR

Raw configuration has no effect with any backend. The others are met with `bgpBackend: frr-k8s-external` only, see
[frr-k8s](frr-k8s.md).

| code | for example | what to do |
|---|---|---|
";

const HEARTBEATS: &str = "
## What heartbeats do without

A node announces all the same; see [layer 2](layer2.md).

| code | for example | what to do |
|---|---|---|
";

pub(super) fn artifact() -> Artifact {
    let mut text = format!("{MARKDOWN_HEADER}{INTRODUCTION}{CONFIGURATION}");
    for example in examples::all() {
        if let Some(refusal) = &example.refusal {
            let code = refusal.code();
            let effect = effect(&refusal.refusal);
            let schema = match coverage(code) {
                Some(Coverage::Whole) => "yes",
                Some(Coverage::Part(_)) => "in part",
                Some(Coverage::Nothing(_)) | None => "no",
            };
            let _ = writeln!(
                text,
                "| `{code}` | {effect} | {schema} | {} | {} |",
                cell(&refusal.sentence()),
                cell(&refusal.fix())
            );
        }
    }
    text.push_str(NOT_IN_THE_SCHEMA);
    text.push_str(&not_in_the_schema());
    text.push_str(METALLB);
    rows(&mut text, &wanted::catalogue());
    text.push_str(ALLOCATION);
    rows(&mut text, &catalogue::allocation());
    text.push_str(ANNOUNCEMENT);
    rows(&mut text, &catalogue::announcement());
    text.push_str(FRR);
    rows(&mut text, &catalogue::frr());
    text.push_str(HEARTBEATS);
    rows(&mut text, &catalogue::heartbeat());
    Artifact { path: PathBuf::from("docs/refusals.md"), content: text }
}

/// The reasons, each with the codes that it is for.
fn not_in_the_schema() -> String {
    let mut reasons: Vec<(String, Vec<String>)> = Vec::new();
    for code in ConfigRefusal::codes() {
        let reason = match coverage(code) {
            Some(Coverage::Whole) | None => continue,
            Some(Coverage::Part(but)) => format!("all but {but}"),
            Some(Coverage::Nothing(reason)) => reason.to_owned(),
        };
        let code = format!("`{code}`");
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, codes)) => codes.push(code),
            None => reasons.push((reason, vec![code])),
        }
    }
    let line = |(reason, codes): &(String, Vec<String>)| format!("* {}: {reason}.\n", codes.join(", "));
    reasons.iter().map(line).collect()
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

//! May this cluster be taken over, or installed into? Go or no-go, with everything that speaks against it or is to be done
//! before.
//!
//! | room | holds |
//! |---|---|
//! | [`cluster`] | what is looked at; pure data |
//! | [`gather`] | reading it |
//! | [`installation`] | who installed what is there |
//! | [`workloads`], [`frr`], [`surroundings`], [`objects`] | the checks: from that data to remarks |
//!
//! Not here: rules about objects. Those are what [`super::validate`] and [`super::plan`] ask too.

use std::process::ExitCode;

use serde::Serialize;

use super::output::{Answer, table};
use cluster::Cluster;
use installation::Installation;

pub(super) mod cluster;
mod frr;
pub(super) mod gather;
mod installation;
mod objects;
mod surroundings;
#[cfg(test)]
mod tests;
mod workloads;

/// What became of looking at a cluster.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Preflight {
    /// Nothing speaks against it.
    pub go: bool,
    /// MetalLB's namespace.
    pub namespace: String,
    /// The version of the API server.
    pub kubernetes: String,
    /// What runs already.
    pub installation: Option<Installation>,
    /// What is to be said, the weightiest first.
    pub remarks: Vec<Remark>,
}

/// How much a remark weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Level {
    /// Not before that is mended.
    NoGo,
    /// Something is to be done on the way.
    Step,
    /// To be known.
    Note,
}

/// Something that is to be said.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Remark {
    /// How much it weighs.
    pub level: Level,
    /// For programs: never changes its meaning.
    pub code: String,
    /// What it is about.
    pub object: String,
    /// What is the case.
    pub sentence: String,
    /// What to do about it.
    pub fix: String,
}

impl Remark {
    fn new(
        level: Level,
        code: &str,
        object: impl Into<String>,
        sentence: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        let (code, object) = (code.to_owned(), object.into());
        Self { level, code, object, sentence: sentence.into(), fix: fix.into() }
    }
}

/// The verdict on `cluster`.
pub(super) fn preflight(cluster: &Cluster) -> Preflight {
    let installation = Installation::of(cluster);
    let mut remarks = workloads::remarks(cluster, installation.as_ref());
    remarks.extend(frr::remarks(cluster, installation.as_ref()));
    remarks.extend(surroundings::remarks(cluster));
    remarks.extend(objects::remarks(cluster, installation.as_ref()));
    remarks.sort();
    let go = remarks.iter().all(|remark| remark.level != Level::NoGo);
    Preflight {
        go,
        namespace: cluster.namespace.clone(),
        kubernetes: cluster.kubernetes.text.clone(),
        installation,
        remarks,
    }
}

impl Preflight {
    fn verdict(&self) -> String {
        let count = |level| self.remarks.iter().filter(|remark| remark.level == level).count();
        match (count(Level::NoGo), count(Level::Step)) {
            (0, 0) => "go\n".to_owned(),
            (0, steps) => {
                format!("go, with {steps} to be done on the way: docs/migration.md has the order\n")
            }
            (reasons, _) => format!("no-go, for {reasons} of the above\n"),
        }
    }

    fn found(&self) -> String {
        let kubernetes = &self.kubernetes;
        match &self.installation {
            None => format!("Kubernetes {kubernetes}; no MetalLB runs in namespace {}\n", self.namespace),
            Some(it) => format!("Kubernetes {kubernetes}; {}\n", it.sentence()),
        }
    }
}

impl Answer for Preflight {
    fn text(&self) -> String {
        let rows = self.remarks.iter().map(|remark| {
            let level = match remark.level {
                Level::NoGo => "no-go",
                Level::Step => "step",
                Level::Note => "note",
            };
            let why = format!("{}; {}", remark.sentence, remark.fix);
            [level.to_owned(), remark.code.clone(), remark.object.clone(), why]
        });
        let table = table(["LEVEL", "CODE", "OBJECT", "WHY, AND WHAT TO DO"], rows);
        self.found() + &table + &self.verdict()
    }

    fn exit(&self) -> ExitCode {
        if self.go { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

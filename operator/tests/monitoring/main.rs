//! The alerts and the dashboard, held against Prometheus' own `promtool`, against what is exported, and against the
//! documents that they lead to.
//!
//! promtool is in the Debian package `prometheus`, which `lab tools --install` brings.

mod alerts;
mod cases;
mod dashboard;
mod documents;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use metallb_operator::environment::Environment;

fn environment() -> Environment {
    let variables =
        [("OPERATOR_NAMESPACE", "metallb-system"), ("CONTROLLER_IMAGE", "c"), ("SPEAKER_IMAGE", "s")];
    let variables: BTreeMap<&str, &str> = variables.into();
    let read = Environment::read(|name| variables.get(name).map(|value| (*value).to_owned()));
    Environment { own_metrics: Some(8081), ..read.expect("nothing more is needed") }
}

fn promtool(directory: &Path, arguments: &[&str]) -> Result<()> {
    let output = Command::new("promtool").args(arguments).current_dir(directory).output();
    let output = output.context("promtool is not on this machine; run `lab tools --install`")?;
    let said = [output.stdout, output.stderr].concat();
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    Ok(())
}

//! `lab tools`, `lab tool`.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};
use metallb_lab::tools::{Tools, packages};
use serde_json::json;

use crate::{Format, answer};

/// Builds what clusters are made of, or finds it in the cache; says what this machine lacks
///
/// etcd, Kubernetes, kwok and the test images are compiled from source, once, in about 6 minutes.
///
/// The cache is $METALLB_LAB_CACHE, else $XDG_CACHE_HOME/metallb-lab, else ~/.cache/metallb-lab. Building needs Go
/// 1.26 and the Go module proxy; a finished cache needs neither and can be copied to another machine.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Install missing programs with apt-get, as root or through sudo
    #[arg(long)]
    install: bool,
    /// How the answer is printed
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

impl Args {
    pub(crate) fn run(self) -> Result<ExitCode> {
        if self.install {
            packages::install()?;
        }
        let missing = packages::missing();
        let tools = Tools::ensure()?;
        match self.output {
            Format::Text => {
                let mut lines: Vec<String> =
                    tools.directories().iter().map(|directory| directory.display().to_string()).collect();
                if let Some(command) = packages::install_command(&missing) {
                    let names: Vec<&str> = missing.iter().map(|needed| needed.program).collect();
                    lines.push(format!("not on this machine: {}", names.join(", ")));
                    lines.push(format!(
                        "install them with `lab tools --install`, that is: {}",
                        command.join(" ")
                    ));
                }
                answer(&lines.join("\n"));
            }
            Format::Json => {
                let missing: Vec<_> =
                    missing.iter().map(|it| json!({"program": it.program, "package": it.package})).collect();
                let all = json!({
                    "directories": tools.directories(),
                    "buildSeconds": tools.built_in().as_secs_f32(),
                    "missing": missing,
                });
                answer(&format!("{all:#}"));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Runs one of the programs that the lab builds, such as opm
///
/// It is built first if it is not in the cache, with those it belongs to: 3 minutes for opm, 4 for the Operator
/// Lifecycle Manager, 6 for Kubernetes, on two cores.
#[derive(clap::Args)]
pub(crate) struct One {
    /// Its name
    program: String,
    /// What it is told
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

impl One {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let program = Tools::one(&self.program)?;
        let error = Command::new(&program).args(self.arguments).exec();
        Err(error).with_context(|| format!("run {}", program.display()))
    }
}

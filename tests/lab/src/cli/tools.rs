//! `lab tools`.

use std::process::ExitCode;

use anyhow::Result;
use metallb_lab::tools::{Tools, packages};
use serde_json::json;

use crate::Format;

/// Builds etcd, Kubernetes, kwok and the test images from source (once; about 6 minutes), or finds them in the
/// cache, and says which programs of the distribution are missing.
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
                for directory in tools.directories() {
                    println!("{}", directory.display());
                }
                if let Some(command) = packages::install_command(&missing) {
                    let names: Vec<&str> = missing.iter().map(|needed| needed.program).collect();
                    println!("not on this machine: {}", names.join(", "));
                    println!("install them with `lab tools --install`, that is: {}", command.join(" "));
                }
            }
            Format::Json => {
                let missing: Vec<_> =
                    missing.iter().map(|it| json!({"program": it.program, "package": it.package})).collect();
                let answer = json!({
                    "directories": tools.directories(),
                    "buildSeconds": tools.built_in().as_secs_f32(),
                    "missing": missing,
                });
                println!("{answer:#}");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

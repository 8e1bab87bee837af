//! Writes the files of the repository that follow from the Rust types, or checks that they are up to date.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use metallb_operator::generate::{self, Images};

/// Writes the generated files of the repository.
#[derive(Parser)]
#[command(name = "generate")]
struct Arguments {
    /// Write nothing; list the files that are not up to date, and fail if there are any.
    #[arg(long)]
    check: bool,

    /// The checkout to work on.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/.."))]
    root: PathBuf,

    /// Write the manifest of the operator to this file (`-` for standard output), and nothing else.
    #[arg(long, short, conflicts_with = "check")]
    output: Option<PathBuf>,

    /// The operator's image in that manifest.
    #[arg(long, requires = "output", default_value_t = Images::default().operator)]
    operator_image: String,

    /// The image of controller and speaker in that manifest.
    #[arg(long, requires = "output", default_value_t = Images::default().dataplane)]
    dataplane_image: String,
}

fn main() -> anyhow::Result<ExitCode> {
    let Arguments { check, root, output, operator_image, dataplane_image } = Arguments::parse();
    if let Some(output) = output {
        let images = Images { operator: operator_image, dataplane: dataplane_image };
        let manifest = generate::manifest(&images)?.content;
        if output.as_os_str() == "-" {
            print!("{manifest}");
        } else {
            fs::write(&output, manifest).with_context(|| format!("cannot write {}", output.display()))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let artifacts = generate::all()?;
    let stale = if check { generate::stale(&root, &artifacts)? } else { generate::write(&root, &artifacts)? };
    for entry in &stale {
        println!("{entry}");
    }
    Ok(if check && !stale.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

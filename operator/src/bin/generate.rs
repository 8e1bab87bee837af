//! Writes the files of the repository that follow from the Rust types, or checks that they are up to date.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Parser;
use metallb_operator::generate::{self, Images, Release};

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

    /// Write a bundle and a catalog for OLM into this directory, and nothing else.
    #[arg(long, conflicts_with_all = ["check", "output"])]
    package: Option<PathBuf>,

    /// The operator's image in that manifest or bundle.
    #[arg(long, default_value_t = Images::default().operator)]
    operator_image: String,

    /// The image of controller and speaker in that manifest or bundle.
    #[arg(long, default_value_t = Images::default().dataplane)]
    dataplane_image: String,

    /// The image that the bundle will be, in that catalog.
    #[arg(long, requires = "package", default_value_t = Release::default().bundle)]
    bundle_image: String,

    /// The version of that bundle.
    #[arg(long, requires = "package", default_value_t = Release::default().version)]
    version: String,

    /// The version that it comes after; empty if there is none.
    #[arg(long, requires = "package", default_value_t = Release::default().replaces.unwrap_or_default())]
    replaces: String,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let images = Images { operator: arguments.operator_image, dataplane: arguments.dataplane_image };
    if let Some(output) = arguments.output {
        let manifest = generate::manifest(&images)?.content;
        if output.as_os_str() == "-" {
            print!("{manifest}");
        } else {
            fs::write(&output, manifest).with_context(|| format!("cannot write {}", output.display()))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(directory) = arguments.package {
        let replaces = Some(arguments.replaces).filter(|version| !version.is_empty());
        let release =
            Release { version: arguments.version, replaces, images, bundle: arguments.bundle_image };
        generate::write(&directory, &generate::package(&release)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    if images != Images::default() {
        bail!(
            "images can be given with --output or --package only: what is committed names those of a checkout"
        );
    }
    let (check, root) = (arguments.check, arguments.root);
    let artifacts = generate::all()?;
    let stale = if check { generate::stale(&root, &artifacts)? } else { generate::write(&root, &artifacts)? };
    for entry in &stale {
        println!("{entry}");
    }
    Ok(if check && !stale.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

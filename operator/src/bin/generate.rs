//! Writes the files of the repository that follow from the Rust types, or checks that they are up to date.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use metallb_operator::generate;

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
}

fn main() -> anyhow::Result<ExitCode> {
    let Arguments { check, root } = Arguments::parse();
    let artifacts = generate::all()?;
    let stale = if check { generate::stale(&root, &artifacts)? } else { generate::write(&root, &artifacts)? };
    for entry in &stale {
        println!("{entry}");
    }
    Ok(if check && !stale.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

//! `lab`: the test cluster at the command line.

mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

/// Kubernetes for tests, on one machine and without Docker.
#[derive(Parser)]
#[command(name = "lab", version, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Tools(tools::Args),
}

/// How results are printed.
#[derive(Clone, Copy, Default, ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Tools(args) => tools::run(&args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

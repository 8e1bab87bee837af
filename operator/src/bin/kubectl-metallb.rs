//! `kubectl metallb`. See `metallb_operator::cli`.

use std::process::ExitCode;

use clap::Parser as _;
use metallb_operator::cli::{self, args::Cli};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match cli::run(Cli::parse()).await {
        Ok(status) => status,
        Err(error) => {
            eprintln!("kubectl-metallb: {error:#}");
            ExitCode::from(2)
        }
    }
}

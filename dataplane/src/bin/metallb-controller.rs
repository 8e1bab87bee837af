//! The controller. See `metallb_dataplane::controller`.

use clap::Parser as _;
use metallb_dataplane::controller::{args::Args, run};
use metallb_process::{cluster, flags, logging, shutdown::Shutdown};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    cluster::install_tls_provider();
    let args = Args::parse_from(flags::from_go(std::env::args_os()));
    logging::init(args.log_level);
    let shutdown = Shutdown::on_signal()?;
    run(args, shutdown).await
}

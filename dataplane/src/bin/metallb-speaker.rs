//! The speaker. See `metallb_dataplane::speaker`.

use clap::Parser as _;
use metallb_dataplane::net::heap;
use metallb_dataplane::speaker::{args::Args, run};
use metallb_process::{cluster, flags, logging, shutdown::Shutdown};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    heap::keep_small();
    cluster::install_tls_provider();
    let args = Args::parse_from(flags::from_go(std::env::args_os()));
    logging::init(args.log_level);
    let shutdown = Shutdown::on_signal()?;
    run(args, shutdown).await
}

//! The operator. See `metallb_operator`.

use clap::Parser as _;
use metallb_operator::args::Args;
use metallb_operator::environment::Environment;
use metallb_operator::run;
use metallb_process::logging::{self, LogLevel};
use metallb_process::shutdown::Shutdown;
use metallb_process::{cluster, flags};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    cluster::install_tls_provider();
    let args = Args::parse_from(flags::from_go(std::env::args_os()));
    logging::init(LogLevel::Info);
    let environment = Environment::read(|variable| std::env::var(variable).ok())?;
    let client = cluster::client(args.kubeconfig.as_deref()).await?;
    let shutdown = Shutdown::on_signal()?;
    run(args, environment, client, shutdown).await
}

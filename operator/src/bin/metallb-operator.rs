//! The operator. See `metallb_operator`.

use clap::Parser as _;
use metallb_operator::args::{Args, Role};
use metallb_operator::environment::{Environment, WebhookEnvironment};
use metallb_operator::{run, run_webhooks};
use metallb_process::logging::{self, LogLevel};
use metallb_process::shutdown::Shutdown;
use metallb_process::{cluster, flags};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    cluster::install_tls_provider();
    let args = Args::parse_from(flags::from_go(std::env::args_os()));
    logging::init(LogLevel::Info);
    let variable = |variable: &str| std::env::var(variable).ok();
    match args.role {
        Role::Operator => {
            let environment = Environment::read(variable)?;
            let client = cluster::client(args.kubeconfig.as_deref()).await?;
            run(args, environment, client, Shutdown::on_signal()?).await
        }
        Role::Webhook => {
            let environment = WebhookEnvironment::read(variable)?;
            let client = cluster::client(args.kubeconfig.as_deref()).await?;
            run_webhooks(args, environment, client, Shutdown::on_signal()?).await
        }
    }
}

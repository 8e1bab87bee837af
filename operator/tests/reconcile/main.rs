//! The operator against a real API server that has no controllers: workloads have the status that a test gives them.

#[path = "../common/mod.rs"]
mod common;

mod neighbours;
mod status;
mod takeover;
mod upstream;
mod workloads;

use anyhow::Result;
use metallb_lab::ApiServer;

use common::Installation;

/// An operator in a namespace of its own.
async fn start() -> Result<Installation> {
    Installation::start(&ApiServer::shared().await?.admin().await?).await
}

//! Probes over plain HTTP.

use std::net::SocketAddr;

use anyhow::Context as _;
use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::shutdown::Shutdown;

/// `/healthz` and `/readyz`, which answer 200 as upstream's do: the process runs.
pub fn probes() -> Router {
    Router::new().route("/healthz", get(|| async { "ok" })).route("/readyz", get(|| async { "ok" }))
}

/// Serves `router` on `address` until `shutdown`. Fails at once when the port cannot be had.
pub async fn serve(address: SocketAddr, router: Router, shutdown: Shutdown) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; is another process on that port?"))?;
    tokio::spawn(async move {
        let served =
            axum::serve(listener, router).with_graceful_shutdown(async move { shutdown.requested().await });
        if let Err(error) = served.await {
            tracing::error!(event = "serverFailed", %address, error = &error as &dyn std::error::Error, "stopped");
        }
    });
    Ok(())
}

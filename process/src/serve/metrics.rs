//! `/metrics` over HTTPS, for whoever holds a token that may read it.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus::{Encoder, Registry, TextEncoder};

use super::access::Gate;
use super::http::{On, run};
use super::tls::{CertificateSource, TlsOptions, listen};
use crate::shutdown::Shutdown;

/// Serves what `registry` holds until `shutdown`. Port 0 serves nothing, as upstream's flag.
pub fn serve(
    on: On,
    registry: Registry,
    gate: Gate,
    certificate: CertificateSource,
    options: &TlsOptions,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    if on.port() == 0 {
        return Ok(());
    }
    let listener = listen(on, certificate, options)?;
    let router = Router::new().route("/metrics", get(scrape)).with_state((registry, gate));
    run(listener, router, shutdown);
    Ok(())
}

async fn scrape(
    State((registry, gate)): State<(Registry, Gate)>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, StatusCode> {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    gate.admit(authorization, &method.as_str().to_lowercase(), uri.path()).await?;
    let mut text = Vec::new();
    let encoder = TextEncoder::new();
    encoder.encode(&registry.gather(), &mut text).map_err(|error| {
        tracing::error!(
            event = "scrapeFailed",
            error = &error as &dyn std::error::Error,
            "cannot write the metrics"
        );
        StatusCode::INTERNAL_SERVER_ERROR
    })?;
    Ok(([(header::CONTENT_TYPE, encoder.format_type().to_owned())], text).into_response())
}

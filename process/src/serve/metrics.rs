//! `/metrics` over HTTPS, and what else is for whoever holds a token that may have it.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
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
    serve_with(on, metrics(registry), gate, certificate, options, shutdown)
}

/// Serves `router` until `shutdown`, to those whom `gate` admits: it asks for every request whether its bearer token may
/// do `get`, `put` and so on with the path. Port 0 serves nothing.
pub fn serve_with(
    on: On,
    router: Router,
    gate: Gate,
    certificate: CertificateSource,
    options: &TlsOptions,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    if on.port() == 0 {
        return Ok(());
    }
    let listener = listen(on, certificate, options)?;
    run(listener, router.layer(middleware::from_fn_with_state(gate, guard)), shutdown);
    Ok(())
}

/// `/metrics`: what `registry` holds.
pub fn metrics(registry: Registry) -> Router {
    Router::new().route("/metrics", get(scrape)).with_state(registry)
}

async fn guard(State(gate): State<Gate>, request: Request, next: Next) -> Result<Response, StatusCode> {
    let authorization = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let verb = request.method().as_str().to_lowercase();
    gate.admit(authorization, &verb, request.uri().path()).await?;
    Ok(next.run(request).await)
}

async fn scrape(State(registry): State<Registry>) -> Result<Response, StatusCode> {
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

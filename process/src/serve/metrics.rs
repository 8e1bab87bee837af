//! `/metrics` in the text format of Prometheus.
//!
//! Not here: who may read it ([`super::guarded`]), and which metrics there are.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus::{Encoder, Registry, TextEncoder};

/// `/metrics`: what `registry` holds.
pub fn metrics(registry: Registry) -> Router {
    Router::new().route("/metrics", get(scrape)).with_state(registry)
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

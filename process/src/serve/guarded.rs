//! What a process tells those whose token may have it, over HTTPS: its metrics, its state, and how much it logs.

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use prometheus::Registry;
use tokio::sync::mpsc;

use super::access::Gate;
use super::debug::{self, Question};
use super::http::{On, run};
use super::metrics::metrics;
use super::tls::{CertificateSource, TlsOptions, listen};
use crate::shutdown::Shutdown;

/// Serves until `shutdown`, to those whom `gate` admits: it asks for every request whether its bearer token may do `get`,
/// `put` and so on with the path. Whoever owns the state of the process answers the questions that come out. Port 0 serves
/// nothing, as upstream's flag, and then nobody asks.
pub fn serve(
    on: On,
    registry: Registry,
    gate: Gate,
    certificate: CertificateSource,
    options: &TlsOptions,
    shutdown: Shutdown,
) -> anyhow::Result<mpsc::Receiver<Question>> {
    let (state, questions) = debug::state();
    if on.port() != 0 {
        let router = metrics(registry).merge(state).merge(debug::log_level());
        let router = router.layer(middleware::from_fn_with_state(gate, guard));
        run(listen(on, certificate, options)?, router, shutdown);
    }
    Ok(questions)
}

async fn guard(State(gate): State<Gate>, request: Request, next: Next) -> Result<Response, StatusCode> {
    let authorization = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let verb = request.method().as_str().to_lowercase();
    gate.admit(authorization, &verb, request.uri().path()).await?;
    Ok(next.run(request).await)
}

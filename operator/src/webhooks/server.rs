//! Listening for the API server, and leaving without a request being lost.
//!
//! On its way out the server is no longer ready, so nobody new is sent to it; it serves on for a while, and asks
//! whoever still comes to close the connection after the answer. Only then does it stop to listen.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use metallb_process::serve::http::On;
use metallb_process::serve::tls::{self, CertificateSource, TlsOptions};
use metallb_process::shutdown::Shutdown;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::admission::{About, Reviewer};
use super::{conversion, paths};

/// What one question may hold: a list of peers in another version is the longest.
const LARGEST_BODY: usize = 16 << 20;
/// How long answers that are under way when the server stops may take.
const LAST_ANSWERS: Duration = Duration::from_secs(10);

/// A server at work.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    /// Returns when it has stopped.
    pub async fn stopped(self) {
        if let Err(error) = self.task.await {
            tracing::error!(event = "serverFailed", %error, "the webhook server ended by itself");
        }
    }
}

/// Serves until `drain` after `shutdown`. Fails at once when the port or the certificate cannot be had.
pub fn serve(
    on: On,
    certificate: CertificateSource,
    options: watch::Receiver<TlsOptions>,
    reviewer: Reviewer,
    shutdown: Shutdown,
    drain: Duration,
) -> anyhow::Result<Server> {
    let listener = tls::listen_as_told(on, certificate, options)?;
    let address = listener.address();
    let leaving = shutdown.clone();
    let router = router(reviewer).layer(middleware::from_fn(move |request, next: Next| {
        let leaving = leaving.clone();
        async move {
            let mut response: Response = next.run(request).await;
            if leaving.is_requested() {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            response
        }
    }));
    let task = tokio::spawn(async move {
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving = axum::serve(listener, router).with_graceful_shutdown(async {
            let _ = stopped.await; // the sender is gone: all the same
        });
        let mut serving = tokio::spawn(serving.into_future());
        tokio::select! {
            ended = &mut serving => {
                tracing::error!(event = "serverFailed", ?ended, "the webhook server ended by itself");
                return;
            }
            () = async { shutdown.requested().await; tokio::time::sleep(drain).await } => {}
        }
        drop(stop);
        if tokio::time::timeout(LAST_ANSWERS, serving).await.is_err() {
            tracing::warn!(event = "answersLost", "answers took too long to be waited for");
        }
    });
    Ok(Server { address, task })
}

fn router(reviewer: Reviewer) -> Router {
    let mut router = Router::new();
    let validated = paths::VALIDATED.iter().map(|it| (it.path, About::Configuration(it.kind)));
    for (path, about) in
        validated.chain([(paths::METALLB, About::MetalLb), (paths::DELETION, About::Deletions)])
    {
        let handler = move |State(reviewer): State<Reviewer>, body: Bytes| async move {
            answer(reviewer.answer(about, &body).await)
        };
        router = router.route(path, post(handler));
    }
    router
        .route(paths::CONVERSION, post(|body: Bytes| async move { answer(conversion::answer(&body)) }))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(reviewer)
}

fn answer<T: serde::Serialize, E: std::error::Error>(answer: Result<T, E>) -> Response {
    match answer {
        Ok(answer) => axum::Json(answer).into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

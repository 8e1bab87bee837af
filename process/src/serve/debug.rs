//! What a process thinks, and how much it says: `/debug/state` and `/debug/loglevel`.
//!
//! Only behind a gate ([`super::guarded`]). Not here: what the state of a process is; secrets are no part of it.

use std::time::Duration;

use axum::http::StatusCode;
use axum::routing::{get, put};
use axum::{Json, Router};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use crate::logging::{self, LogLevel};

/// Questions that wait for the owner of the state. When it is full the next one is refused.
const QUESTIONS: usize = 4;
/// An owner that has not answered by then is busy.
const PATIENCE: Duration = Duration::from_secs(5);

/// Somebody wants to know the state.
pub type Question = oneshot::Sender<Value>;

/// `GET /debug/state`: whatever the owner of the state answers to the questions that it finds in the receiver.
pub fn state() -> (Router, mpsc::Receiver<Question>) {
    let (sender, questions) = mpsc::channel(QUESTIONS);
    let answer = get(async move || {
        let (question, answer) = oneshot::channel();
        sender.try_send(question).map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(state)) => Ok(Json(state)),
            Ok(Err(_)) | Err(_) => Err(StatusCode::SERVICE_UNAVAILABLE),
        }
    });
    (Router::new().route("/debug/state", answer), questions)
}

/// `PUT /debug/loglevel`, with one of the words of `--log-level` as its body: from now on, until a restart.
pub fn log_level() -> Router {
    Router::new().route("/debug/loglevel", put(set_log_level))
}

async fn set_log_level(word: String) -> Result<String, (StatusCode, String)> {
    let level: LogLevel =
        word.trim().parse().map_err(|unknown| (StatusCode::BAD_REQUEST, format!("{unknown}\n")))?;
    if !logging::set_level(level) {
        return Err((StatusCode::SERVICE_UNAVAILABLE, "this process does not log\n".to_owned()));
    }
    tracing::warn!(event = "logLevel", level = word.trim(), "changed until the next restart");
    Ok(format!("{}\n", word.trim()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::serve::http::{On, run};
    use crate::shutdown::Shutdown;

    /// Asks for `path` over plain HTTP: the status line and the body.
    async fn ask(router: Router, method: &str, path: &str, body: &str) -> (String, String) {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = On::Loopback(0).listen().unwrap();
        let address = listener.local_addr().unwrap();
        let (_stop, shutdown) = Shutdown::by_hand();
        run(listener, router, shutdown);
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), body.to_owned())
    }

    #[tokio::test]
    async fn the_owner_of_the_state_answers() {
        let (router, mut questions) = state();
        tokio::spawn(async move {
            while let Some(question) = questions.recv().await {
                let _ = question.send(json!({ "pools": 2 }));
            }
        });
        let (status, body) = ask(router, "GET", "/debug/state", "").await;
        assert_eq!((status.as_str(), body.as_str()), ("HTTP/1.1 200 OK", "{\"pools\":2}"));
    }

    #[tokio::test]
    async fn without_an_owner_the_state_is_unavailable() {
        let (router, questions) = state();
        drop(questions);
        let (status, _) = ask(router, "GET", "/debug/state", "").await;
        assert!(status.contains("503"), "{status}");
    }

    #[tokio::test]
    async fn a_word_that_is_no_level_is_refused_and_named() {
        let (status, body) = ask(log_level(), "PUT", "/debug/loglevel", "loud").await;
        assert!(status.contains("400") && body.contains("loud"), "{status} {body}");
    }
}

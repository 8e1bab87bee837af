//! Who may read metrics: a bearer token that the API server knows (TokenReview), whose user may `get` the path
//! (SubjectAccessReview). Answers are remembered for a while, as upstream does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::{Api, Client};

const TOKEN_KNOWN_FOR: Duration = Duration::from_mins(1);
const ALLOWED_FOR: Duration = Duration::from_mins(5);
const DENIED_FOR: Duration = Duration::from_secs(30);
/// Entries remembered; at this many everything is forgotten, so that random tokens cannot fill the memory.
const REMEMBERED: usize = 1024;

/// Asks the API server who somebody is and what they may do.
#[derive(Clone)]
pub struct Gate {
    client: Client,
    memory: Arc<Mutex<Memory>>,
}

#[derive(Default)]
struct Memory {
    users: BTreeMap<String, (UserInfo, Instant)>,
    verdicts: BTreeMap<(String, String, String), (bool, Instant)>,
}

impl Gate {
    /// A gate that asks through `client`, which must be allowed to create TokenReviews and SubjectAccessReviews.
    pub fn new(client: Client) -> Self {
        Self { client, memory: Arc::default() }
    }

    /// May whoever presents this `Authorization` header do `verb` on `path`? `Err` is what to answer instead: 401
    /// for nobody known, 403 for somebody not allowed, 500 when the API server cannot be asked.
    pub async fn admit(&self, authorization: Option<&str>, verb: &str, path: &str) -> Result<(), StatusCode> {
        let token = authorization.and_then(bearer_token).ok_or(StatusCode::UNAUTHORIZED)?;
        let user = self.user(token).await?;
        if self.may(&user, verb, path).await? { Ok(()) } else { Err(StatusCode::FORBIDDEN) }
    }

    async fn user(&self, token: &str) -> Result<UserInfo, StatusCode> {
        if let Some(user) = self.remembered(|memory| fresh(memory.users.get(token))) {
            return Ok(user);
        }
        let spec = TokenReviewSpec { token: Some(token.to_owned()), audiences: None };
        let review = TokenReview { spec, ..TokenReview::default() };
        let api: Api<TokenReview> = Api::all(self.client.clone());
        let review = api.create(&PostParams::default(), &review).await.map_err(|error| cannot_ask(&error))?;
        let status = review.status.unwrap_or_default();
        let user =
            status.user.filter(|_| status.authenticated == Some(true)).ok_or(StatusCode::UNAUTHORIZED)?;
        let until = Instant::now() + TOKEN_KNOWN_FOR;
        self.remembered(|memory| remember(&mut memory.users, token.to_owned(), (user.clone(), until)));
        Ok(user)
    }

    async fn may(&self, user: &UserInfo, verb: &str, path: &str) -> Result<bool, StatusCode> {
        let name = user.username.clone().unwrap_or_default();
        let question = (name.clone(), verb.to_owned(), path.to_owned());
        if let Some(verdict) = self.remembered(|memory| fresh(memory.verdicts.get(&question))) {
            return Ok(verdict);
        }
        let attributes = NonResourceAttributes { path: Some(path.to_owned()), verb: Some(verb.to_owned()) };
        let spec = SubjectAccessReviewSpec {
            user: Some(name),
            groups: user.groups.clone(),
            uid: user.uid.clone(),
            extra: user.extra.clone(),
            non_resource_attributes: Some(attributes),
            resource_attributes: None,
        };
        let api: Api<SubjectAccessReview> = Api::all(self.client.clone());
        let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
        let review = api.create(&PostParams::default(), &review).await.map_err(|error| cannot_ask(&error))?;
        let allowed = review.status.is_some_and(|status| status.allowed);
        let until = Instant::now() + if allowed { ALLOWED_FOR } else { DENIED_FOR };
        self.remembered(|memory| remember(&mut memory.verdicts, question, (allowed, until)));
        Ok(allowed)
    }

    fn remembered<T>(&self, look: impl FnOnce(&mut Memory) -> T) -> T {
        look(&mut self.memory.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn bearer_token(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

fn fresh<T: Clone>(entry: Option<&(T, Instant)>) -> Option<T> {
    entry.filter(|(_, until)| Instant::now() < *until).map(|(value, _)| value.clone())
}

fn remember<K: Ord, V>(entries: &mut BTreeMap<K, V>, key: K, value: V) {
    if entries.len() >= REMEMBERED {
        entries.clear();
    }
    entries.insert(key, value);
}

fn cannot_ask(error: &kube::Error) -> StatusCode {
    tracing::warn!(
        event = "reviewFailed",
        error = error as &dyn std::error::Error,
        "cannot ask who may read metrics"
    );
    StatusCode::INTERNAL_SERVER_ERROR
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bearer_token_is_a_token() {
        assert_eq!(bearer_token("Bearer abc"), Some("abc"));
        assert_eq!(bearer_token("bearer  abc "), Some("abc"));
        assert_eq!(bearer_token("Bearer "), None);
        assert_eq!(bearer_token("Basic abc"), None);
        assert_eq!(bearer_token("abc"), None);
    }
}

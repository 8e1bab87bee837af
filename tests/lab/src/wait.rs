//! Waiting for what other processes do.
//!
//! In this room: the one place that polls and sleeps. A scenario calls [`eventually`]; the lab itself uses the
//! fallible forms below it.
//! Not here: what is waited for.

use std::fmt::{Debug, Display};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Error, Result, anyhow};

/// How often is looked. Short beside the deadlines, long beside a look.
const PAUSE: Duration = Duration::from_millis(50);

/// What one look showed.
#[derive(Debug)]
pub enum Verdict<T> {
    /// It is as wanted.
    Yes(T),
    /// Not yet; in words, what there is instead.
    NotYet(String),
    /// It never will be: stop waiting.
    Never(Error),
}

/// A look's answer: `bool`, `Option`, `Result` (an error means "not yet", and is shown if the wait fails), or a
/// [`Verdict`] when waiting longer can be pointless.
pub trait Attempt {
    /// What the wait gives.
    type Value;
    /// The same as a verdict.
    fn verdict(self) -> Verdict<Self::Value>;
}

impl Attempt for bool {
    type Value = ();
    fn verdict(self) -> Verdict<()> {
        if self { Verdict::Yes(()) } else { Verdict::NotYet("it is not so".into()) }
    }
}

impl<T> Attempt for Option<T> {
    type Value = T;
    fn verdict(self) -> Verdict<T> {
        self.map_or_else(|| Verdict::NotYet("nothing".into()), Verdict::Yes)
    }
}

impl<T, E: Debug> Attempt for Result<T, E> {
    type Value = T;
    fn verdict(self) -> Verdict<T> {
        match self {
            Ok(value) => Verdict::Yes(value),
            Err(error) => Verdict::NotYet(format!("{error:?}")),
        }
    }
}

impl<T> Attempt for Verdict<T> {
    type Value = T;
    fn verdict(self) -> Self {
        self
    }
}

/// Looks again and again until it is so, and gives what was seen.
///
/// ```no_run
/// # async fn story(admin: metallb_lab::User) -> anyhow::Result<()> {
/// use std::time::Duration;
/// use anyhow::Context as _;
/// use metallb_lab::{eventually, load_balancer};
///
/// let web = admin.create_service(load_balancer("web").port(80)).await?;
/// let address = eventually(Duration::from_secs(10), "web has an address", async || {
///     admin.ingress_ips(&web).await?.pop().context("its status is empty")
/// })
/// .await;
/// # Ok(()) }
/// ```
///
/// # Panics
/// When it is not so within the deadline: with what was waited for and what was seen last.
#[expect(clippy::panic, reason = "a wait that ends in vain is a failed test")]
pub async fn eventually<A: Attempt>(within: Duration, what: &str, look: impl AsyncFnMut() -> A) -> A::Value {
    match until(within, what, look).await {
        Ok(value) => value,
        Err(error) => panic!("{error:#}"),
    }
}

/// [`eventually`] for those who handle the failure.
pub(crate) async fn until<A: Attempt>(
    within: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> A,
) -> Result<A::Value> {
    let began = Instant::now();
    let mut seen = String::from("the first look did not end");
    loop {
        let left = within.saturating_sub(began.elapsed());
        let Ok(attempt) = tokio::time::timeout(left, look()).await else {
            return Err(in_vain(within, what, seen));
        };
        match attempt.verdict() {
            Verdict::Yes(value) => return Ok(value),
            Verdict::Never(error) => return Err(error.context(format!("gave up waiting: {what}"))),
            Verdict::NotYet(now) if began.elapsed() >= within => return Err(in_vain(within, what, now)),
            Verdict::NotYet(now) => seen = now,
        }
        // The last look is at the deadline, not up to a pause before it.
        tokio::time::sleep(PAUSE.min(within.saturating_sub(began.elapsed()))).await;
    }
}

/// The same where no runtime is: in `Drop`. Looks more often, as what is waited for there takes milliseconds.
pub(crate) fn until_blocking<A: Attempt>(
    within: Duration,
    what: &str,
    mut look: impl FnMut() -> A,
) -> Result<A::Value> {
    let began = Instant::now();
    loop {
        match look().verdict() {
            Verdict::Yes(value) => return Ok(value),
            Verdict::Never(error) => return Err(error.context(format!("gave up waiting: {what}"))),
            Verdict::NotYet(seen) if began.elapsed() > within => return Err(in_vain(within, what, seen)),
            Verdict::NotYet(_) => thread::sleep(PAUSE / 10),
        }
    }
}

fn in_vain(within: Duration, what: &str, seen: impl Display) -> Error {
    anyhow!("waited {within:?} in vain for: {what}; last seen: {seen}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn what_was_seen_is_given() {
        let mut looks = 0;
        let value = eventually(SOON, "the third look", async || {
            looks += 1;
            (looks == 3).then_some("seen")
        });
        assert_eq!(value.await, "seen");
    }

    #[tokio::test]
    #[should_panic(expected = "waited 200ms in vain for: a pig flies; last seen: \"it walks\"")]
    async fn a_vain_wait_says_what_for_and_what_was_seen() {
        eventually(SOON, "a pig flies", async || Err::<(), _>("it walks")).await;
    }

    #[tokio::test]
    async fn a_look_that_hangs_does_not_outlive_the_deadline() {
        let error =
            until(SOON, "an answer", async || std::future::pending::<bool>().await).await.unwrap_err();
        assert!(error.to_string().contains("the first look did not end"), "{error}");
    }

    #[tokio::test]
    async fn a_hopeless_wait_ends_at_once() {
        let began = Instant::now();
        let hopeless = async || Verdict::<()>::Never(anyhow!("the server has died"));
        let error = until(Duration::from_mins(1), "an answer", hopeless).await.unwrap_err();
        assert!(began.elapsed() < Duration::from_secs(10));
        assert_eq!(format!("{error:#}"), "gave up waiting: an answer: the server has died");
    }
}

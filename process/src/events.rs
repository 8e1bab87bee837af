//! core/v1 Events: what happened to an object, where `kubectl describe` shows it.
//!
//! The same event again within [`REPEAT_WITHIN`] raises the count of the first instead of writing another. (kube's
//! own recorder keeps the first message when a later one of the same reason says something else; here the message is
//! part of what makes two events the same.)
//!
//! Not here: what deserves an event.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::mpsc;

use crate::cluster::REQUEST_TIMEOUT;

/// An event repeated after this long is a new one.
pub const REPEAT_WITHIN: Duration = Duration::from_mins(10);

/// Events that wait to be written. When it is full further ones are dropped, and the log says so: they are news, not
/// state.
const QUEUE: usize = 4096;
/// Written events that are remembered, at the most, before the old ones among them are forgotten.
const REMEMBERED: usize = 8192;

/// core/v1 cuts nothing: a longer message is refused.
const LONGEST_MESSAGE: usize = 1024;

/// Is it worth somebody's attention?
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// No.
    Normal,
    /// Yes.
    Warning,
}

/// Something that happened to an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Happening {
    /// The object.
    pub regarding: ObjectReference,
    /// Is it worth somebody's attention?
    pub severity: Severity,
    /// One word, as machines compare it.
    pub reason: &'static str,
    /// A sentence, as people read it.
    pub message: String,
}

/// Hands events to the task that writes them. Never waits.
#[derive(Clone, Debug)]
pub struct Recorder(mpsc::Sender<Happening>);

impl Recorder {
    /// Starts the task that writes events in the name of `component`, from the Pod or host `instance`.
    pub fn start(client: Client, component: &'static str, instance: String) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        tokio::spawn(write_all(client, component, instance, receiver));
        Self(sender)
    }

    /// Writes the event soon. When the queue is full it is dropped: the log has it.
    pub fn record(&self, happening: Happening) {
        if let Err(mpsc::error::TrySendError::Full(happening)) = self.0.try_send(happening) {
            let Happening { reason, message, .. } = happening;
            tracing::warn!(event = "eventDropped", reason, message, "too many events at once");
        }
    }
}

/// What makes two events the same: object (by uid), reason, message. Of all three only a digest is kept, which is a sixth
/// of it; that two events share one is less likely than that one gets lost.
type Identity = u64;

/// There may be thousands: what its name is follows from when it was written first.
struct Written {
    first: Timestamp,
    count: i32,
    last: Instant,
}

/// What was written in the last [`REPEAT_WITHIN`], and what was not forgotten since.
struct Lately {
    written: BTreeMap<Identity, Written>,
    tidied: Instant,
}

impl Lately {
    const fn since(now: Instant) -> Self {
        Self { written: BTreeMap::new(), tidied: now }
    }

    /// When the same was written first, and how often since.
    fn earlier(&self, identity: Identity, now: Instant) -> Option<(Timestamp, i32)> {
        self.written
            .get(&identity)
            .filter(|event| event.is_recent(now))
            .map(|event| (event.first, event.count))
    }

    fn remember(&mut self, identity: Identity, (first, count): (Timestamp, i32), now: Instant) {
        self.written.insert(identity, Written { first, count, last: now });
    }

    fn forget(&mut self, identity: Identity) {
        self.written.remove(&identity);
    }

    /// Forgets what is old, if that is due.
    fn tidy(&mut self, now: Instant) {
        if now.saturating_duration_since(self.tidied) >= REPEAT_WITHIN || self.written.len() >= REMEMBERED {
            self.written.retain(|_, event| event.is_recent(now));
            self.tidied = now;
        }
    }
}

impl Written {
    fn is_recent(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) < REPEAT_WITHIN
    }
}

async fn write_all(
    client: Client,
    component: &'static str,
    instance: String,
    mut receiver: mpsc::Receiver<Happening>,
) {
    let mut lately = Lately::since(Instant::now());
    loop {
        let happening = tokio::time::timeout(REPEAT_WITHIN, receiver.recv()).await;
        let now = Instant::now();
        lately.tidy(now);
        let happening = match happening {
            Ok(Some(happening)) => happening,
            Ok(None) => return,
            Err(_) => continue,
        };
        let (identity, reason) = (identity(&happening), happening.reason);
        let namespace = happening.regarding.namespace.clone().unwrap_or_else(|| "default".to_owned());
        let events: Api<Event> = Api::namespaced(client.clone(), &namespace);
        let write = write(&events, component, &instance, happening, lately.earlier(identity, now));
        match tokio::time::timeout(REQUEST_TIMEOUT, write).await {
            Ok(Ok(written)) => lately.remember(identity, written, Instant::now()),
            Ok(Err(error)) => {
                lately.forget(identity);
                tracing::warn!(
                    event = "eventFailed",
                    reason,
                    error = &error as &dyn std::error::Error,
                    "not written"
                );
            }
            Err(_) => {
                tracing::warn!(event = "eventFailed", reason, "the API server did not answer")
            }
        }
    }
}

fn identity(happening: &Happening) -> Identity {
    let object = &happening.regarding;
    let uid = object.uid.clone().unwrap_or_else(|| {
        let part = |text: &Option<String>| text.clone().unwrap_or_default();
        format!("{}/{}/{}", part(&object.kind), part(&object.namespace), part(&object.name))
    });
    let mut digest = DefaultHasher::new();
    (uid, happening.reason, &happening.message).hash(&mut digest);
    digest.finish()
}

/// Raises the count of `earlier`, or writes a new event. When it was written first, and its count now.
async fn write(
    events: &Api<Event>,
    component: &str,
    instance: &str,
    happening: Happening,
    earlier: Option<(Timestamp, i32)>,
) -> kube::Result<(Timestamp, i32)> {
    let now = Timestamp::now();
    if let Some((first, count)) = earlier {
        let name = name(&happening, first);
        let count = count.saturating_add(1);
        let patch = json!({ "count": count, "lastTimestamp": Time(now) });
        match events.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await {
            Ok(_) => return Ok((first, count)),
            Err(kube::Error::Api(status)) if status.is_not_found() => {} // it expired: write it anew
            Err(error) => return Err(error),
        }
    }
    let event = new_event(component, instance, happening, now);
    events.create(&PostParams::default(), &event).await?;
    Ok((now, 1))
}

/// As client-go names them.
fn name(happening: &Happening, first: Timestamp) -> String {
    let subject = happening.regarding.name.as_deref().unwrap_or_default();
    format!("{subject}.{:x}", first.as_nanosecond())
}

fn new_event(component: &str, instance: &str, happening: Happening, now: Timestamp) -> Event {
    let name = name(&happening, now);
    let Happening { regarding, severity, reason, mut message } = happening;
    if message.len() > LONGEST_MESSAGE {
        message.truncate(message.floor_char_boundary(LONGEST_MESSAGE));
    }
    Event {
        metadata: ObjectMeta {
            name: Some(name),
            namespace: Some(regarding.namespace.clone().unwrap_or_else(|| "default".to_owned())),
            ..ObjectMeta::default()
        },
        involved_object: regarding,
        type_: Some(match severity {
            Severity::Normal => "Normal".to_owned(),
            Severity::Warning => "Warning".to_owned(),
        }),
        reason: Some(reason.to_owned()),
        message: Some(message),
        count: Some(1),
        first_timestamp: Some(Time(now)),
        last_timestamp: Some(Time(now)),
        event_time: None::<MicroTime>,
        source: Some(EventSource { component: Some(component.to_owned()), host: Some(instance.to_owned()) }),
        reporting_component: Some(component.to_owned()),
        reporting_instance: Some(instance.to_owned()),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn the_same_again_is_counted_for_ten_minutes_after_the_last_time() {
        let start = Instant::now();
        let mut lately = Lately::since(start);
        let first = Timestamp::now();
        lately.remember(7, (first, 1), start);
        assert_eq!(lately.earlier(7, start + 9 * MINUTE), Some((first, 1)));
        lately.remember(7, (first, 2), start + 9 * MINUTE);
        assert_eq!(lately.earlier(7, start + 18 * MINUTE), Some((first, 2)));
        assert_eq!(lately.earlier(7, start + 19 * MINUTE), None, "that is a new one");
        assert_eq!(lately.earlier(8, start), None, "another one");
    }

    #[test]
    fn what_is_old_is_forgotten_however_many_follow() {
        let start = Instant::now();
        let mut lately = Lately::since(start);
        for second in 0..3600 {
            let now = start + Duration::from_secs(second);
            lately.tidy(now);
            lately.remember(second, (Timestamp::now(), 1), now);
        }
        assert!(lately.written.len() <= 1200, "those of twenty minutes, not of an hour");
        lately.tidy(start + 120 * MINUTE);
        assert!(lately.written.is_empty());
    }

    #[test]
    fn when_there_are_too_many_old_ones_go_before_it_is_time() {
        let start = Instant::now();
        let mut lately = Lately::since(start);
        for number in 0..REMEMBERED as u64 {
            lately.remember(number, (Timestamp::now(), 1), start + Duration::from_millis(number));
        }
        lately.tidied = start + 5 * MINUTE; // it is done again in ten
        lately.tidy(start + 10 * MINUTE);
        assert_eq!(lately.written.len(), REMEMBERED - 1, "the first was written ten minutes ago");
    }
}

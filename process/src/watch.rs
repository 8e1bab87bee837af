//! Watching one kind: a list, then changes, as [`table::Event`](metallb_core::table::Event)s for whoever owns the
//! world.
//!
//! Every object is read into what the reader makes of it as soon as it arrives, so what waits in the queue is small.
//! An object that does not decode is a fact about that object (`Err`), never an error of the watch.
//!
//! Not here: what the objects mean.

use std::collections::BTreeMap;
use std::fmt::Debug;

use futures::{StreamExt, pin_mut};

use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Resource, ResourceExt};
use metallb_core::table::Event;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

/// Namespace (empty for cluster-scoped kinds) and name.
pub type ObjectKey = (String, String);

/// An object of kind `K` that may fail to decode without failing the list it is in.
pub use kube::core::DeserializeGuard as Guarded;

/// What arrived: the object, or why it cannot be read.
pub type Read<K> = Result<K, kube::core::error_boundary::InvalidObject>;

/// Watches what `api` lists until the receiver is gone, and sends what `read` makes of them, wrapped by `wrap`.
///
/// `read` returning `None` means "as if it were not there". A full queue makes the watch wait: the API server keeps
/// the changes.
pub async fn watch<K, V, E>(
    api: Api<Guarded<K>>,
    config: watcher::Config,
    sender: mpsc::Sender<E>,
    read: impl Fn(Read<K>) -> Option<V>,
    wrap: impl Fn(Event<ObjectKey, V>) -> E,
) where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let stream = watcher(api, config).default_backoff();
    pin_mut!(stream);
    let mut listing = BTreeMap::new();
    loop {
        let event = tokio::select! {
            () = sender.closed() => return,
            event = stream.next() => event,
        };
        let event = match event {
            None => return,
            Some(Ok(event)) => event,
            Some(Err(error)) => {
                let kind = K::kind(&());
                tracing::warn!(event = "watchInterrupted", %kind, error = &error as &dyn std::error::Error, "will retry");
                continue;
            }
        };
        let event = match event {
            watcher::Event::Init => {
                listing = BTreeMap::new();
                continue;
            }
            watcher::Event::InitApply(object) => {
                let key = key(&object);
                if let Some(value) = read(object.0) {
                    listing.insert(key, value);
                }
                continue;
            }
            watcher::Event::InitDone => Event::Listed(std::mem::take(&mut listing)),
            watcher::Event::Apply(object) => {
                let key = key(&object);
                match read(object.0) {
                    Some(value) => Event::Applied(key, value),
                    None => Event::Deleted(key),
                }
            }
            watcher::Event::Delete(object) => Event::Deleted(key(&object)),
        };
        if sender.send(wrap(event)).await.is_err() {
            return;
        }
    }
}

fn key<K: Resource<DynamicType = ()>>(object: &Guarded<K>) -> ObjectKey {
    (object.namespace().unwrap_or_default(), object.name_any())
}

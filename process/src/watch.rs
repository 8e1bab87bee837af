//! Watching one kind: a list, then changes, as [`table::Event`](metallb_core::table::Event)s for whoever owns the
//! world.
//!
//! Every object is read into what the reader makes of it as soon as it arrives, so what waits in the queue is small.
//! An object that does not decode is a fact about that object (`Err`), never an error of the watch.
//!
//! Not here: what the objects mean.

mod raw;

use std::collections::BTreeMap;
use std::marker::PhantomData;

use futures::{StreamExt, pin_mut};
use kube::core::{ApiResource, NamespaceResourceScope};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource};
use metallb_core::table::Event;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use raw::Raw;

/// Objects asked for at once. They are in memory together, with all that they say, until each is read.
const PAGE: u32 = 100;

/// Namespace (empty for cluster-scoped kinds) and name.
pub type ObjectKey = (String, String);

/// What arrived: the object, or why it cannot be read.
pub type Read<K> = Result<K, kube::core::error_boundary::InvalidObject>;

/// The objects of kind `K` to watch.
#[derive(Debug)]
pub struct Source<K> {
    api: Api<Raw>,
    kind: String,
    read_as: PhantomData<fn() -> K>,
}

impl<K: Resource<DynamicType = ()>> Source<K> {
    /// Those of all namespaces, or of a kind that is in none.
    pub fn everywhere(client: Client) -> Self {
        let resource = ApiResource::erase::<K>(&());
        Self { api: Api::all_with(client, &resource), kind: resource.kind, read_as: PhantomData }
    }

    /// Those of a namespace.
    pub fn within(client: Client, namespace: &str) -> Self
    where
        K: Resource<Scope = NamespaceResourceScope>,
    {
        let resource = ApiResource::erase::<K>(&());
        let api = Api::namespaced_with(client, namespace, &resource);
        Self { api, kind: resource.kind, read_as: PhantomData }
    }
}

impl<K> Source<K> {
    /// The same, and of what they say only this is read. A decoder of all that a Pod may say is half a megabyte of program.
    pub fn read_as<R>(self) -> Source<R> {
        let Self { api, kind, read_as: _ } = self;
        Source { api, kind, read_as: PhantomData }
    }
}

/// Watches the objects of `source` until the receiver is gone, and sends what `read` makes of them, wrapped by `wrap`.
///
/// `read` returning `None` means "as if it were not there". A full queue makes the watch wait: the API server keeps
/// the changes.
pub async fn watch<K, V, E>(
    source: Source<K>,
    config: watcher::Config,
    sender: mpsc::Sender<E>,
    read: impl Fn(Read<K>) -> Option<V>,
    wrap: impl Fn(Event<ObjectKey, V>) -> E,
) where
    K: DeserializeOwned,
{
    let Source { api, kind, read_as: _ } = source;
    let stream = watcher(api, config.page_size(PAGE)).default_backoff();
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
                tracing::warn!(
                    event = "watchInterrupted",
                    kind,
                    error = &error as &dyn std::error::Error,
                    "will retry"
                );
                continue;
            }
        };
        let event = match event {
            watcher::Event::Init => {
                listing = BTreeMap::new();
                continue;
            }
            watcher::Event::InitApply(object) => {
                if let Some(value) = read(object.read()) {
                    listing.insert(object.key(), value);
                }
                continue;
            }
            watcher::Event::InitDone => Event::Listed(std::mem::take(&mut listing)),
            watcher::Event::Apply(object) => match read(object.read()) {
                Some(value) => Event::Applied(object.key(), value),
                None => Event::Deleted(object.key()),
            },
            watcher::Event::Delete(object) => Event::Deleted(object.key()),
        };
        if sender.send(wrap(event)).await.is_err() {
            return;
        }
    }
}

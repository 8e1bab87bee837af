//! The watches of the configuration: one a kind, all alike.

use kube::runtime::watcher;
use kube::{Client, Resource};
use metallb_core::config::Password;
use metallb_core::refusal::PeerRefusal;
use metallb_core::table::Event;
use metallb_crds::cluster::secret;
use metallb_crds::config::Stored;
use metallb_crds::{BFDProfile, BGPAdvertisement, BGPPeer, Community, IPAddressPool, L2Advertisement};
use metallb_process::watch::{self, ObjectKey};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{Change, Configuration, KeyedSecret, Scope};

impl Configuration {
    /// Starts the watches of `scope` in `namespace`; changes arrive through `sender`, made into its type by `wrap`.
    pub fn watch<E: Send + 'static>(
        scope: &Scope,
        client: &Client,
        namespace: &str,
        sender: &mpsc::Sender<E>,
        wrap: impl Fn(Change) -> E + Copy + Send + 'static,
        tasks: &mut JoinSet<()>,
    ) {
        follow(client, namespace, sender, move |event| wrap(Change::Pool(event)), tasks);
        follow(client, namespace, sender, move |event| wrap(Change::L2Advertisement(event)), tasks);
        follow(client, namespace, sender, move |event| wrap(Change::BgpAdvertisement(event)), tasks);
        follow(client, namespace, sender, move |event| wrap(Change::BgpPeer(Box::new(event))), tasks);
        follow(client, namespace, sender, move |event| wrap(Change::BfdProfile(event)), tasks);
        follow(client, namespace, sender, move |event| wrap(Change::Community(event)), tasks);
        match scope {
            Scope::Allocation => {}
            Scope::Announcement(_) => drop(tasks.spawn(watch::watch(
                watch::Source::within(client.clone(), namespace),
                watcher::Config::default(),
                sender.clone(),
                |read| Some(keyed(&read.ok()?)),
                move |event| wrap(Change::Secret(event)),
            ))),
        }
    }
}

fn follow<K, E>(
    client: &Client,
    namespace: &str,
    sender: &mpsc::Sender<E>,
    wrap: impl Fn(Event<ObjectKey, Stored<K>>) -> E + Send + 'static,
    tasks: &mut JoinSet<()>,
) where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
    K: HasStatus + Clone + std::fmt::Debug + DeserializeOwned + Send + 'static,
    E: Send + 'static,
{
    tasks.spawn(watch::watch(
        watch::Source::<K>::within(client.clone(), namespace),
        watcher::Config::default(),
        sender.clone(),
        |read| Some(without_noise(read.into())),
        wrap,
    ));
}

/// Of its values only the one that may be a password of a peer: the rest is nobody's business here.
fn keyed(secret: &k8s_openapi::api::core::v1::Secret) -> KeyedSecret {
    let shape = secret::read(secret);
    let password = secret.data.as_ref().and_then(|data| data.get("password"));
    let password = password.filter(|_| shape.kind == PeerRefusal::SECRET_TYPE);
    KeyedSecret { shape, password: password.map(|octets| Password::new(&octets.0)) }
}

/// Drops what changes without the configuration changing, so that such changes touch nothing.
fn without_noise<K: Resource + HasStatus>(stored: Stored<K>) -> Stored<K> {
    match stored {
        Stored::Readable(mut object) => {
            let metadata = object.meta_mut();
            metadata.managed_fields = None;
            metadata.resource_version = None;
            object.drop_status();
            Stored::Readable(object)
        }
        Stored::Unreadable { mut metadata, error } => {
            metadata.managed_fields = None;
            metadata.resource_version = None;
            Stored::Unreadable { metadata, error }
        }
    }
}

/// Kinds whose status says nothing about the configuration.
trait HasStatus {
    fn drop_status(&mut self);
}

macro_rules! has_status {
    ($($kind:ty),+) => {
        $(impl HasStatus for $kind {
            fn drop_status(&mut self) {
                self.status = None;
            }
        })+
    };
}

has_status!(BFDProfile, BGPAdvertisement, BGPPeer, Community, IPAddressPool, L2Advertisement);

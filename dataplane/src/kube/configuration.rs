//! Watching the objects of metallb.io that make up the configuration.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::watcher;
use kube::{Api, Client, Resource as _};
use metallb_core::config::Config;
use metallb_core::refusal::{Kind, ObjectRef, ObjectRefusal};
use metallb_core::table::{Event, Table};
use metallb_crds::config::{Objects, Parsed, Stored, parse};
use metallb_crds::{BFDProfile, BGPAdvertisement, BGPPeer, Community, IPAddressPool, L2Advertisement};
use metallb_process::watch::{self, ObjectKey};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// A change to an object of the configuration.
#[derive(Clone, Debug)]
pub enum Change {
    /// Of an IPAddressPool.
    Pool(Event<ObjectKey, Stored<IPAddressPool>>),
    /// Of an L2Advertisement.
    L2Advertisement(Event<ObjectKey, Stored<L2Advertisement>>),
}

/// The objects, and what they amount to.
#[derive(Debug, Default)]
pub struct Configuration {
    pools: Table<ObjectKey, Stored<IPAddressPool>>,
    l2_advertisements: Table<ObjectKey, Stored<L2Advertisement>>,
    parsed: Parsed,
}

impl Configuration {
    /// Starts the watches in `namespace`; changes arrive through `sender`, made into its type by `wrap`.
    pub fn watch<E: Send + 'static>(
        client: &Client,
        namespace: &str,
        sender: &mpsc::Sender<E>,
        wrap: impl Fn(Change) -> E + Copy + Send + 'static,
        tasks: &mut JoinSet<()>,
    ) {
        tasks.spawn(watch::watch(
            Api::namespaced(client.clone(), namespace),
            watcher::Config::default(),
            sender.clone(),
            |read| Some(without_noise(read.into())),
            move |event| wrap(Change::Pool(event)),
        ));
        tasks.spawn(watch::watch(
            Api::namespaced(client.clone(), namespace),
            watcher::Config::default(),
            sender.clone(),
            |read| Some(without_noise(read.into())),
            move |event| wrap(Change::L2Advertisement(event)),
        ));
    }

    /// Takes in a change. True when the configuration or its refusals are now different.
    pub fn apply(&mut self, change: Change) -> bool {
        let touched = match change {
            Change::Pool(event) => self.pools.reduce(event),
            Change::L2Advertisement(event) => self.l2_advertisements.reduce(event),
        };
        if touched.is_empty() {
            return false;
        }
        let mut parsed = parse(&Objects {
            pools: by_name(&self.pools),
            l2_advertisements: by_name(&self.l2_advertisements),
            ..Objects::default()
        });
        self.keep_last_good(&mut parsed);
        if parsed == self.parsed {
            return false;
        }
        self.parsed = parsed;
        true
    }

    /// An advertisement that was valid and is not any more stays in force as it was: a slip of the pen must not take
    /// everything it announces off the air. It is told as set aside all the same, and a restart forgets it.
    fn keep_last_good(&self, parsed: &mut Parsed) {
        for refusal in parsed.refusals.iter().filter(|refusal| refusal.object.kind == Kind::L2Advertisement) {
            let name = refusal.object.name.as_str();
            if let Some((name, last_good)) = self.parsed.config.l2_advertisements.get_key_value(name) {
                parsed.config.l2_advertisements.insert(name.clone(), last_good.clone());
            }
        }
    }

    /// Has every watch delivered its list? Before that an absent object means nothing.
    pub fn is_listed(&self) -> bool {
        self.pools.is_listed() && self.l2_advertisements.is_listed()
    }

    /// What is in force.
    pub fn config(&self) -> &Config {
        &self.parsed.config
    }

    /// What was set aside, each with the object that an event about it belongs to.
    pub fn refusals(&self) -> impl Iterator<Item = (&ObjectRefusal, ObjectReference)> {
        let refusals = self.parsed.refusals.iter().filter(|refusal| refusal.effect().sets_aside());
        refusals.map(|refusal| (refusal, self.reference(refusal)))
    }

    fn reference(&self, refusal: &ObjectRefusal) -> ObjectReference {
        let ObjectRef { kind, name } = &refusal.object;
        let (metadata, mut reference) = match kind {
            Kind::IpAddressPool => (metadata(&self.pools, name), IPAddressPool::default().object_ref(&())),
            Kind::L2Advertisement => {
                (metadata(&self.l2_advertisements, name), L2Advertisement::default().object_ref(&()))
            }
            Kind::BgpAdvertisement => (None, BGPAdvertisement::default().object_ref(&())),
            Kind::BgpPeer => (None, BGPPeer::default().object_ref(&())),
            Kind::BfdProfile => (None, BFDProfile::default().object_ref(&())),
            Kind::Community => (None, Community::default().object_ref(&())),
        };
        reference.name = Some(name.clone());
        reference.namespace = metadata.and_then(|metadata| metadata.namespace.clone());
        reference.uid = metadata.and_then(|metadata| metadata.uid.clone());
        reference
    }
}

fn metadata<'t, K: kube::Resource + PartialEq>(
    table: &'t Table<ObjectKey, Stored<K>>,
    name: &str,
) -> Option<&'t ObjectMeta> {
    table.rows().iter().find(|((_, row), _)| row == name).map(|(_, stored)| match stored {
        Stored::Readable(object) => object.meta(),
        Stored::Unreadable { metadata, .. } => metadata,
    })
}

fn by_name<K: Clone + PartialEq>(table: &Table<ObjectKey, Stored<K>>) -> BTreeMap<String, Stored<K>> {
    table.rows().iter().map(|((_, name), stored)| (name.clone(), stored.clone())).collect()
}

/// Drops what changes without the configuration changing, so that such changes touch nothing.
fn without_noise<K: kube::Resource + HasStatus>(stored: Stored<K>) -> Stored<K> {
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

impl HasStatus for IPAddressPool {
    fn drop_status(&mut self) {
        self.status = None;
    }
}

impl HasStatus for L2Advertisement {
    fn drop_status(&mut self) {
        self.status = None;
    }
}

#[cfg(test)]
mod tests {
    use metallb_core::refusal::Refusal;
    use serde_json::{Value, json};

    use super::*;

    fn advertisement(spec: &Value) -> Change {
        let object = json!({ "metadata": { "name": "lab" }, "spec": spec });
        let stored = Stored::Readable(serde_json::from_value(object).unwrap());
        Change::L2Advertisement(Event::Applied(("metallb-system".into(), "lab".into()), stored))
    }

    #[test]
    fn an_advertisement_that_becomes_invalid_stays_in_force_as_it_was_until_it_is_mended_or_gone() {
        let valid = |interface: &str| advertisement(&json!({ "interfaces": [interface] }));
        let mut configuration = Configuration::default();
        configuration.apply(valid("eth0"));
        let good = configuration.config().clone();
        assert!(configuration.apply(advertisement(&json!({ "nodeSelectors": [{}, {}] }))));
        assert_eq!(configuration.config(), &good);
        let codes: Vec<_> = configuration.refusals().map(|(refusal, _)| refusal.code()).collect();
        assert_eq!(codes, ["bad-selector"]);
        assert!(configuration.apply(valid("eth1")));
        assert_ne!(configuration.config(), &good);
        assert_eq!(configuration.refusals().count(), 0);
        configuration.apply(Change::L2Advertisement(Event::Deleted(("metallb-system".into(), "lab".into()))));
        assert!(configuration.config().l2_advertisements.is_empty());
    }
}

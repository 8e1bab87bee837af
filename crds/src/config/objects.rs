//! The objects that make up the configuration, as the API server holds them, and what their rules ask of others.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::error_boundary::InvalidObject;
use metallb_core::labels::Labels;

use crate::admission::Object;
use crate::{BFDProfile, BGPAdvertisement, BGPPeer, Community, IPAddressPool, L2Advertisement};

/// An object as it is stored: readable as its kind, or not. The API server may hold ones that predate its schema.
#[derive(Clone, Debug, PartialEq)]
pub enum Stored<K> {
    /// It has the shape of its kind.
    Readable(K),
    /// It has not.
    Unreadable {
        /// What could be read of it.
        metadata: Box<ObjectMeta>,
        /// What the decoder says.
        error: String,
    },
}

impl<K: Resource> Stored<K> {
    /// Its `metadata`, as far as it could be read.
    pub fn metadata(&self) -> &ObjectMeta {
        match self {
            Self::Readable(object) => object.meta(),
            Self::Unreadable { metadata, .. } => metadata,
        }
    }
}

/// The objects, the oldest first; by name where that does not tell them apart. One that the API server has not seen yet
/// is the youngest.
pub(super) fn by_age<K: Resource>(objects: &BTreeMap<String, Stored<K>>) -> Vec<(&str, &Stored<K>)> {
    let mut by_age: Vec<_> = objects.iter().map(|(name, stored)| (name.as_str(), stored)).collect();
    by_age.sort_by_key(|(name, stored)| {
        let created = stored.metadata().creation_timestamp.clone();
        (created.is_none(), created, *name)
    });
    by_age
}

impl<K> From<Result<K, InvalidObject>> for Stored<K> {
    fn from(read: Result<K, InvalidObject>) -> Self {
        match read {
            Ok(object) => Self::Readable(object),
            Err(InvalidObject { error, metadata }) => {
                Self::Unreadable { metadata: Box::new(metadata), error }
            }
        }
    }
}

/// The objects of MetalLB's namespace that make up the configuration, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Objects {
    /// IPAddressPools.
    pub pools: BTreeMap<String, Stored<IPAddressPool>>,
    /// L2Advertisements.
    pub l2_advertisements: BTreeMap<String, Stored<L2Advertisement>>,
    /// BGPAdvertisements.
    pub bgp_advertisements: BTreeMap<String, Stored<BGPAdvertisement>>,
    /// BGPPeers, as v1beta2.
    pub bgp_peers: BTreeMap<String, Stored<BGPPeer>>,
    /// BFDProfiles.
    pub bfd_profiles: BTreeMap<String, Stored<BFDProfile>>,
    /// Communities.
    pub communities: BTreeMap<String, Stored<Community>>,
    /// The cluster's nodes; `None` when the caller does not know them, and rules about them do not apply.
    pub nodes: Option<BTreeMap<String, Node>>,
    /// The Secrets of MetalLB's namespace; `None` when the caller does not know them.
    pub secrets: Option<BTreeMap<String, Secret>>,
}

impl Objects {
    /// Puts an object in place of the one of its name, or beside the others.
    pub fn put(&mut self, object: Object) {
        object.put_into(self);
    }
}

/// What the rules ask of a Node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// `metadata.labels`.
    pub labels: Labels,
    /// Those of `status.addresses` that are IP addresses.
    pub addresses: BTreeSet<IpAddr>,
}

/// What the rules ask of a Secret; never its values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secret {
    /// `type`.
    pub kind: String,
    /// The keys of `data`.
    pub keys: BTreeSet<String>,
}

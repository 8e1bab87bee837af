//! The edit: one object that is created, updated or deleted.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Resource;
use metallb_core::refusal::{Kind, ObjectRef};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::config::{Objects, Stored};
use crate::{BFDProfile, BGPAdvertisement, BGPPeer, Community, IPAddressPool, L2Advertisement};

/// An edit of the configuration.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and it is soon taken apart")]
pub enum Change {
    /// A new object.
    Create(Object),
    /// Another content of an object.
    Update {
        /// What is stored.
        old: Object,
        /// What shall be.
        new: Object,
    },
    /// An object goes.
    Delete(Object),
}

/// An object of the configuration, of whichever kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    /// An IPAddressPool.
    Pool(Stored<IPAddressPool>),
    /// An L2Advertisement.
    L2Advertisement(Stored<L2Advertisement>),
    /// A BGPAdvertisement.
    BgpAdvertisement(Stored<BGPAdvertisement>),
    /// A BGPPeer, as v1beta2.
    BgpPeer(Stored<BGPPeer>),
    /// A BFDProfile.
    BfdProfile(Stored<BFDProfile>),
    /// A Community.
    Community(Stored<Community>),
}

/// The name of an object that is yet to be given one. No object can have it.
const TO_BE_NAMED: &str = "(to be named)";

impl Change {
    /// The object that is edited.
    pub(super) fn target(&self) -> ObjectRef {
        match self {
            Self::Create(object) | Self::Update { new: object, .. } | Self::Delete(object) => {
                object.reference()
            }
        }
    }

    /// The namespace it is edited in.
    pub(super) fn namespace(&self) -> Option<&str> {
        match self {
            Self::Create(object) | Self::Update { new: object, .. } | Self::Delete(object) => {
                object.metadata().namespace.as_deref()
            }
        }
    }
}

impl Object {
    /// Reads an object of that kind. One that does not have the shape of its kind is an object too.
    pub fn read(kind: Kind, object: &Value) -> Self {
        match kind {
            Kind::IpAddressPool => Self::Pool(stored(object)),
            Kind::L2Advertisement => Self::L2Advertisement(stored(object)),
            Kind::BgpAdvertisement => Self::BgpAdvertisement(stored(object)),
            Kind::BgpPeer => Self::BgpPeer(stored(object)),
            Kind::BfdProfile => Self::BfdProfile(stored(object)),
            Kind::Community => Self::Community(stored(object)),
        }
    }

    /// Kind and name.
    pub fn reference(&self) -> ObjectRef {
        let kind = match self {
            Self::Pool(_) => Kind::IpAddressPool,
            Self::L2Advertisement(_) => Kind::L2Advertisement,
            Self::BgpAdvertisement(_) => Kind::BgpAdvertisement,
            Self::BgpPeer(_) => Kind::BgpPeer,
            Self::BfdProfile(_) => Kind::BfdProfile,
            Self::Community(_) => Kind::Community,
        };
        let metadata = self.metadata();
        let name = metadata.name.as_deref().filter(|name| !name.is_empty()).unwrap_or(TO_BE_NAMED);
        ObjectRef { kind, name: name.to_owned() }
    }

    /// Its metadata, as far as it could be read.
    pub fn metadata(&self) -> &ObjectMeta {
        match self {
            Self::Pool(stored) => metadata(stored),
            Self::L2Advertisement(stored) => metadata(stored),
            Self::BgpAdvertisement(stored) => metadata(stored),
            Self::BgpPeer(stored) => metadata(stored),
            Self::BfdProfile(stored) => metadata(stored),
            Self::Community(stored) => metadata(stored),
        }
    }

    /// Puts it among `objects`, in place of the one of its name.
    pub(crate) fn put_into(self, objects: &mut Objects) {
        let name = self.reference().name;
        match self {
            Self::Pool(stored) => drop(objects.pools.insert(name, stored)),
            Self::L2Advertisement(stored) => drop(objects.l2_advertisements.insert(name, stored)),
            Self::BgpAdvertisement(stored) => drop(objects.bgp_advertisements.insert(name, stored)),
            Self::BgpPeer(stored) => drop(objects.bgp_peers.insert(name, stored)),
            Self::BfdProfile(stored) => drop(objects.bfd_profiles.insert(name, stored)),
            Self::Community(stored) => drop(objects.communities.insert(name, stored)),
        }
    }

    /// The same, younger than everything that is stored: of two objects that exclude each other the younger one is
    /// refused, and that has to be this one.
    pub(super) fn just_created(mut self) -> Self {
        let created = Some(Time(jiff::Timestamp::MAX));
        match &mut self {
            Self::Pool(stored) => metadata_mut(stored).creation_timestamp = created,
            Self::L2Advertisement(stored) => metadata_mut(stored).creation_timestamp = created,
            Self::BgpAdvertisement(stored) => metadata_mut(stored).creation_timestamp = created,
            Self::BgpPeer(stored) => metadata_mut(stored).creation_timestamp = created,
            Self::BfdProfile(stored) => metadata_mut(stored).creation_timestamp = created,
            Self::Community(stored) => metadata_mut(stored).creation_timestamp = created,
        }
        self
    }
}

/// Takes the object of that kind and name from `objects`.
pub(super) fn remove(objects: &mut Objects, ObjectRef { kind, name }: &ObjectRef) {
    match kind {
        Kind::IpAddressPool => drop(objects.pools.remove(name)),
        Kind::L2Advertisement => drop(objects.l2_advertisements.remove(name)),
        Kind::BgpAdvertisement => drop(objects.bgp_advertisements.remove(name)),
        Kind::BgpPeer => drop(objects.bgp_peers.remove(name)),
        Kind::BfdProfile => drop(objects.bfd_profiles.remove(name)),
        Kind::Community => drop(objects.communities.remove(name)),
    }
}

fn stored<K: DeserializeOwned>(object: &Value) -> Stored<K> {
    match crate::read(object) {
        Ok(object) => Stored::Readable(object),
        Err(malformed) => Stored::Unreadable {
            metadata: object.get("metadata").and_then(|it| crate::read(it).ok()).unwrap_or_default(),
            error: malformed.to_string(),
        },
    }
}

fn metadata<K: Resource>(stored: &Stored<K>) -> &ObjectMeta {
    match stored {
        Stored::Readable(object) => object.meta(),
        Stored::Unreadable { metadata, .. } => metadata,
    }
}

fn metadata_mut<K: Resource>(stored: &mut Stored<K>) -> &mut ObjectMeta {
    match stored {
        Stored::Readable(object) => object.meta_mut(),
        Stored::Unreadable { metadata, .. } => metadata,
    }
}

//! ServiceL2Status: which node answers for a service, for everybody to read.
//!
//! Each node that announces an address of a service writes one object, which names what it announces; it also deletes what
//! others left behind that say so of the same.
//!
//! Not here: who announces, and how objects are kept in line ([`super::reports`]).

use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Client;
use metallb_core::config::Interfaces;
use metallb_core::few::FewSet;
use metallb_core::names::{InterfaceName, NodeName, ServiceKey};
use metallb_core::shared::SharedMap;
use metallb_crds::{AddressConflict, AnnouncingInterface, ServiceL2Status, ServiceL2StatusStatus};
use tokio::sync::watch;

use super::reports::{self, Report, Voices};
use super::service_labels;

/// The services of which this node announces an address, and what is to be said of each.
pub type Announced = SharedMap<ServiceKey, OnLayer2>;

/// How a service is announced.
#[derive(Clone, Debug, PartialEq)]
pub struct OnLayer2 {
    /// Those of its addresses that this node announces, in the service's order.
    pub addresses: Arc<[IpAddr]>,
    /// The first address of the service is among them.
    pub has_first: bool,
    /// Where it announces one of them.
    pub interfaces: Interfaces,
    /// Stations that have one of them too.
    pub conflicts: Arc<[AddressConflict]>,
    /// Since which epoch this node has the first of them, where ownership is sticky.
    pub epoch: Option<u64>,
}

/// Keeps the objects in `namespace` in line with `wanted` (`None`: not known yet) until its sender is gone.
pub async fn keep(
    client: Client,
    namespace: String,
    node: NodeName,
    owner: OwnerReference,
    wanted: watch::Receiver<Option<Announced>>,
) {
    reports::keep::<ServiceL2Status>(client, namespace, node, owner, wanted).await;
}

impl Report for ServiceL2Status {
    type Subject = ServiceKey;
    type Said = OnLayer2;
    type Status = ServiceL2StatusStatus;

    const FIELD_MANAGER: &'static str = "metallb-speaker-l2status";
    const NODE_LABEL: &'static str = service_labels::NODE;
    const VOICES: Voices = Voices::One;

    fn name_prefix(_: &NodeName) -> String {
        "l2-".to_owned()
    }

    fn labels(service: &ServiceKey) -> Vec<(&'static str, String)> {
        service_labels::of(service)
    }

    fn subject(label: impl Fn(&str) -> Option<String>) -> Option<ServiceKey> {
        service_labels::read(label)
    }

    fn status(node: &NodeName, service: &ServiceKey, said: &OnLayer2) -> ServiceL2StatusStatus {
        let name = |name: &InterfaceName| AnnouncingInterface { name: Some(name.to_string()) };
        ServiceL2StatusStatus {
            node: Some(node.to_string()),
            service_name: Some(service.name.to_string()),
            service_namespace: Some(service.namespace.to_string()),
            interfaces: match &said.interfaces {
                Interfaces::All => Vec::new(),
                Interfaces::Only(names) => names.iter().map(name).collect(),
            },
            conflicts: said.conflicts.to_vec(),
            epoch: said.epoch.and_then(|epoch| i64::try_from(epoch).ok()),
            addresses: said.addresses.iter().map(ToString::to_string).collect(),
        }
    }

    fn addresses(status: &ServiceL2StatusStatus) -> FewSet<IpAddr> {
        status.addresses.iter().filter_map(|address| address.parse().ok()).collect()
    }

    /// One that names no address is upstream's, or of an older version: then the node that announces the first address says so of all.
    /// To delete it because of another address would never end: its speaker lives, and writes it again.
    fn contradicts(said: &OnLayer2, theirs: &FewSet<IpAddr>) -> bool {
        if theirs.is_empty() {
            return said.has_first;
        }
        said.addresses.iter().any(|address| theirs.contains(address))
    }

    fn found(&self) -> Option<&ServiceL2StatusStatus> {
        self.status.as_ref()
    }

    fn object(metadata: ObjectMeta) -> Self {
        Self { metadata, ..Self::default() }
    }
}

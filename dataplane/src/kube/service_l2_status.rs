//! ServiceL2Status: which node answers for a service, for everybody to read.
//!
//! One object a service, written by the node that announces it; that node also deletes what others left behind.
//!
//! Not here: who announces, and how objects are kept in line ([`super::reports`]).

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Client;
use metallb_core::config::Interfaces;
use metallb_core::names::{InterfaceName, NodeName, ServiceKey};
use metallb_core::shared::SharedMap;
use metallb_crds::{AddressConflict, AnnouncingInterface, ServiceL2Status, ServiceL2StatusStatus};
use tokio::sync::watch;

use super::reports::{self, Report, Voices};
use super::service_labels;

/// The services that this node announces, and what is to be said of each.
pub type Announced = SharedMap<ServiceKey, OnLayer2>;

/// How a service is announced.
#[derive(Clone, Debug, PartialEq)]
pub struct OnLayer2 {
    /// Where.
    pub interfaces: Interfaces,
    /// Stations that have an address of it too.
    pub conflicts: Arc<[AddressConflict]>,
    /// Since which epoch this node has its first address, where ownership is sticky.
    pub epoch: Option<u64>,
}

/// Nobody else has its addresses.
impl From<Interfaces> for OnLayer2 {
    fn from(interfaces: Interfaces) -> Self {
        Self { interfaces, conflicts: [].into(), epoch: None }
    }
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
            addresses: Vec::new(),
        }
    }

    fn found(&self) -> Option<&ServiceL2StatusStatus> {
        self.status.as_ref()
    }

    fn object(metadata: ObjectMeta) -> Self {
        Self { metadata, ..Self::default() }
    }
}

//! ServiceBGPStatus: to which BGP peers a node announces a service, for everybody to read.
//!
//! One object a service and node: with BGP every node speaks for itself. It says what is meant to be announced, and not
//! whether the sessions are up ([`super::bgp_node_status`] does).
//!
//! Not here: to whom, and how objects are kept in line ([`super::reports`]).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Client;
use metallb_core::few::FewSet;
use metallb_core::names::{NodeName, PeerName, ServiceKey};
use metallb_core::shared::SharedMap;
use metallb_crds::{ServiceBGPStatus, ServiceBGPStatusStatus};
use tokio::sync::watch;

use super::reports::{self, Report, Voices};
use super::service_labels;

/// The services that this node announces over BGP, and to whom. One without peers is not announced, and has no object.
pub type Announced = SharedMap<ServiceKey, FewSet<PeerName>>;

/// Keeps the objects of `node` in `namespace` in line with `wanted` (`None`: not known yet) until its sender is gone.
pub async fn keep(
    client: Client,
    namespace: String,
    node: NodeName,
    owner: OwnerReference,
    wanted: watch::Receiver<Option<Announced>>,
) {
    reports::keep::<ServiceBGPStatus>(client, namespace, node, owner, wanted).await;
}

impl Report for ServiceBGPStatus {
    type Subject = ServiceKey;
    type Said = FewSet<PeerName>;
    type Status = ServiceBGPStatusStatus;

    const FIELD_MANAGER: &'static str = "metallb-speaker-bgpstatus";
    const NODE_LABEL: &'static str = service_labels::NODE;
    const VOICES: Voices = Voices::EachNode;

    fn name_prefix(_: &NodeName) -> String {
        "bgp-".to_owned()
    }

    fn labels(service: &ServiceKey) -> Vec<(&'static str, String)> {
        service_labels::of(service)
    }

    fn subject(label: impl Fn(&str) -> Option<String>) -> Option<ServiceKey> {
        service_labels::read(label)
    }

    fn is_nothing(peers: &FewSet<PeerName>) -> bool {
        peers.is_empty()
    }

    fn status(node: &NodeName, service: &ServiceKey, peers: &FewSet<PeerName>) -> ServiceBGPStatusStatus {
        ServiceBGPStatusStatus {
            node: Some(node.to_string()),
            service_name: Some(service.name.to_string()),
            service_namespace: Some(service.namespace.to_string()),
            peers: peers.iter().map(ToString::to_string).collect(),
        }
    }

    fn found(&self) -> Option<&ServiceBGPStatusStatus> {
        self.status.as_ref()
    }

    fn object(metadata: ObjectMeta) -> Self {
        Self { metadata, ..Self::default() }
    }
}

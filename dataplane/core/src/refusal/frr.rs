//! What is meant for FRR and does not reach it: raw configuration, and what an frr-k8s that somebody else runs cannot
//! be told.

use super::{Refusal, TTL_SECURITY};
use crate::names::{NodeName, PeerName};

/// Why something does not reach FRR.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive] // callers print refusals; only this file matches on them
pub enum FrrRefusal {
    /// The ConfigMap `bgpextras` holds raw configuration.
    RawConfiguration,
    /// The API server knows no FRRConfigurations.
    NotInstalled,
    /// frr-k8s should be in a namespace that is not there.
    NoNamespace {
        /// The namespace.
        namespace: String,
    },
    /// The speaker may not keep FRRConfigurations.
    Forbidden {
        /// The namespace they belong into.
        namespace: String,
        /// What the API server says.
        error: String,
    },
    /// The FRRConfiguration is refused as a whole.
    Rejected {
        /// Its name.
        name: String,
        /// What the API server says, or the webhook of frr-k8s.
        error: String,
    },
    /// The API refuses what is said of one peer, and takes the rest.
    PeerRejected {
        /// The peer.
        peer: PeerName,
        /// What the API server says.
        error: String,
    },
    /// The API has no such field, and dropped it.
    UnknownField {
        /// The peer, where the field is one of a neighbour.
        peer: Option<PeerName>,
        /// The field, as FRRConfiguration spells it.
        field: String,
    },
    /// A password that is no text has no place in an FRRConfiguration.
    PasswordNotText {
        /// The peer.
        peer: PeerName,
    },
    /// An FRRConfiguration has no word for the generalized TTL security mechanism.
    TtlSecurity {
        /// The peer.
        peer: PeerName,
    },
    /// FRRConfigurations find their node by a label that it does not carry.
    NoHostname {
        /// The node.
        node: NodeName,
    },
}

/// What FRRConfigurations select their node by.
pub const HOSTNAME: &str = "kubernetes.io/hostname";

impl Refusal for FrrRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::RawConfiguration => "raw-frr-configuration",
            Self::NotInstalled => "frr-k8s-not-installed",
            Self::NoNamespace { .. } => "frr-k8s-namespace",
            Self::Forbidden { .. } => "frr-k8s-forbidden",
            Self::Rejected { .. } => "frr-k8s-rejected",
            Self::PeerRejected { .. } => "frr-k8s-peer-rejected",
            Self::UnknownField { .. } => "frr-k8s-unknown-field",
            Self::PasswordNotText { .. } => "frr-k8s-password",
            Self::TtlSecurity { .. } => "frr-k8s-ttl-security",
            Self::NoHostname { .. } => "frr-k8s-hostname",
        }
    }

    fn sentence(&self) -> String {
        match self {
            Self::RawConfiguration => {
                "ConfigMap bgpextras: extras holds raw FRR configuration, which has no effect: no FRR is run here".into()
            }
            Self::NotInstalled => {
                "the BGP backend is frr-k8s-external, but the API server knows no FRRConfiguration \
                 (frrk8s.metallb.io/v1beta1), so no route reaches a router"
                    .into()
            }
            Self::NoNamespace { namespace } => {
                format!("frr-k8s should be in namespace {namespace}, which is not there")
            }
            Self::Forbidden { namespace, error } => {
                format!("the speaker may not keep its FRRConfiguration in namespace {namespace}: {error}")
            }
            Self::Rejected { name, error } => {
                format!("FRRConfiguration {name} is refused, and stays as it was: {error}")
            }
            Self::PeerRejected { peer, error } => {
                format!("BGPPeer {peer} is left out of the FRRConfiguration, which is refused with it: {error}")
            }
            Self::UnknownField { peer: Some(peer), field } => {
                format!("BGPPeer {peer}: this cluster's FRRConfigurations have no field {field}; it was dropped")
            }
            Self::UnknownField { peer: None, field } => {
                format!("this cluster's FRRConfigurations have no field {field}; it was dropped")
            }
            Self::PasswordNotText { peer } => {
                format!(
                    "BGPPeer {peer} is left out of the FRRConfiguration, which cannot hold its password: \
                     that is no UTF-8 text"
                )
            }
            Self::TtlSecurity { peer } => {
                format!("BGPPeer {peer}: annotation {TTL_SECURITY} has no effect: an FRRConfiguration cannot say it")
            }
            Self::NoHostname { node } => {
                format!("node {node} lacks the label {HOSTNAME}, so no FRRConfiguration can select it")
            }
        }
    }

    fn fix(&self) -> String {
        match self {
            Self::RawConfiguration => "say it with BGPPeers and BGPAdvertisements, or choose bgpBackend \
                 frr-k8s-external and put it into spec.raw.rawConfig of an FRRConfiguration; then delete the ConfigMap"
                .into(),
            Self::NotInstalled => "install frr-k8s (its custom resource definitions too), or choose another \
                 bgpBackend: with frr-k8s the speaker speaks BGP itself"
                .into(),
            Self::NoNamespace { .. } => "create it, or name the namespace in which frr-k8s is: \
                 spec.frrk8sConfig.namespace of the MetalLB, --frrk8s-namespace of the speaker"
                .into(),
            Self::Forbidden { .. } => "give the speaker's ServiceAccount get, list, watch, create, update and delete on \
                 frrconfigurations.frrk8s.metallb.io there"
                .into(),
            Self::Rejected { .. } => {
                "change what it names: a BGPPeer, or an FRRConfiguration that contradicts it".into()
            }
            Self::PeerRejected { .. } => "change the BGPPeer, or update frr-k8s".into(),
            Self::UnknownField { .. } => "update frr-k8s and its custom resource definitions, or do without it".into(),
            Self::PasswordNotText { .. } => {
                "choose a password that is text, or keep the Secret in the namespace of frr-k8s and set \
                 spec.frrk8sConfig.secretPassthrough of the MetalLB"
                    .into()
            }
            Self::TtlSecurity { .. } => "remove the annotation, or choose another bgpBackend: with frr-k8s the \
                 speaker speaks BGP itself"
                .into(),
            Self::NoHostname { .. } => "label the node as kubelets do, with its host name".into(),
        }
    }
}

//! Which path is about which kind. Upstream's, as configurations that are installed name them.

use metallb_core::refusal::Kind;

/// A kind of the configuration, and where it is validated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validated {
    /// The kind.
    pub kind: Kind,
    /// Its plural in the API.
    pub resource: &'static str,
    /// The version that is asked about.
    pub version: &'static str,
    /// The path.
    pub path: &'static str,
    /// The name of the webhook in its configuration.
    pub webhook: &'static str,
    /// The operations that are asked about. Upstream's, and the UPDATE of a BFDProfile.
    pub operations: &'static [&'static str],
}

const WRITES: &[&str] = &["CREATE", "UPDATE"];

/// The kinds of the configuration.
pub const VALIDATED: [Validated; 6] = [
    Validated {
        kind: Kind::BgpPeer,
        resource: "bgppeers",
        version: "v1beta2",
        path: "/validate-metallb-io-v1beta2-bgppeer",
        webhook: "bgppeersvalidationwebhook.metallb.io",
        operations: WRITES,
    },
    Validated {
        kind: Kind::BfdProfile,
        resource: "bfdprofiles",
        version: "v1beta1",
        path: "/validate-metallb-io-v1beta1-bfdprofile",
        webhook: "bfdprofilevalidationwebhook.metallb.io",
        operations: &["CREATE", "UPDATE", "DELETE"],
    },
    Validated {
        kind: Kind::BgpAdvertisement,
        resource: "bgpadvertisements",
        version: "v1beta1",
        path: "/validate-metallb-io-v1beta1-bgpadvertisement",
        webhook: "bgpadvertisementvalidationwebhook.metallb.io",
        operations: WRITES,
    },
    Validated {
        kind: Kind::Community,
        resource: "communities",
        version: "v1beta1",
        path: "/validate-metallb-io-v1beta1-community",
        webhook: "communityvalidationwebhook.metallb.io",
        operations: WRITES,
    },
    Validated {
        kind: Kind::IpAddressPool,
        resource: "ipaddresspools",
        version: "v1beta1",
        path: "/validate-metallb-io-v1beta1-ipaddresspool",
        webhook: "ipaddresspoolvalidationwebhook.metallb.io",
        operations: WRITES,
    },
    Validated {
        kind: Kind::L2Advertisement,
        resource: "l2advertisements",
        version: "v1beta1",
        path: "/validate-metallb-io-v1beta1-l2advertisement",
        webhook: "l2advertisementvalidationwebhook.metallb.io",
        operations: WRITES,
    },
];

/// Where the `MetalLB` object is validated.
pub const METALLB: &str = "/validate-metallb-io-v1beta1-metallb";
/// The name of the webhook for it.
pub const METALLB_WEBHOOK: &str = "metallbvalidationwebhook.metallb.io";
/// Where the authors of deletions are warned of what they take away. Nothing is denied there.
pub const DELETION: &str = "/warn-metallb-io-deletion";
/// The name of the webhook for it.
pub const DELETION_WEBHOOK: &str = "deletionwarningwebhook.metallb.io";
/// Where BGPPeers are converted.
pub const CONVERSION: &str = "/convert";

/// The Service of the webhooks about the configuration, and of the conversion.
pub const SERVICE: &str = "metallb-webhook-service";
/// The Service of the webhook about the `MetalLB` object.
pub const OPERATOR_SERVICE: &str = "metallb-operator-webhook-service";
/// The configuration of the webhooks about the configuration.
pub const CONFIGURATION: &str = "metallb-webhook-configuration";
/// The configuration of the webhook about the `MetalLB` object.
pub const OPERATOR_CONFIGURATION: &str = "metallb-operator-webhook-configuration";
/// The configuration of the webhook that only warns.
pub const DELETION_CONFIGURATION: &str = "metallb-deletion-warning-configuration";
/// The definition with a conversion.
pub const CONVERTED: &str = "bgppeers.metallb.io";

/// The kind of the configuration with that plural.
pub fn kind_of(resource: &str) -> Option<Kind> {
    VALIDATED.iter().find(|validated| validated.resource == resource).map(|validated| validated.kind)
}

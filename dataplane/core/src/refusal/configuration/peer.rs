//! What is wrong with a BGPPeer.

use std::fmt;
use std::net::IpAddr;

use super::{Effect, codes};
use crate::config::{Asn, BadTimers};
use crate::names::{BfdProfileName, NamespaceName, PeerName, SecretName};
use crate::refusal::Refusal;

/// The annotation of a BGPPeer that turns the generalized TTL security mechanism on (RFC 5082): how many hops away the
/// router is at most. Upstream has no such field; the router must have it turned on too.
pub const TTL_SECURITY: &str = "metallb.io/ttl-security-hops";

const BASIC_AUTH: &str = "kubernetes.io/basic-auth";

/// What is wrong with a BGPPeer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerRefusal {
    /// `spec.myASN` is 0.
    NoOwnAsn,
    /// Neither `spec.peerASN` nor `spec.dynamicASN`.
    NoPeerAsn,
    /// Both.
    TwoPeerAsns,
    /// `spec.ebgpMultiHop` within one autonomous system.
    InternalMultihop {
        /// The system.
        asn: Asn,
    },
    /// Neither `spec.peerAddress` nor `spec.interface`.
    NoEndpoint,
    /// Both.
    TwoEndpoints,
    /// `spec.peerAddress` is no IP address.
    BadAddress {
        /// As written.
        text: String,
    },
    /// `spec.sourceAddress` is no IP address.
    BadSource {
        /// As written.
        text: String,
    },
    /// `spec.sourceAddress` and `spec.peerAddress` are of different families.
    SourceFamily {
        /// The source.
        source: IpAddr,
        /// The peer.
        address: IpAddr,
    },
    /// `spec.routerID` is none.
    RouterId {
        /// As written.
        text: String,
        /// What is wrong with it.
        cause: BadRouterId,
    },
    /// A time that is none.
    Duration {
        /// The field, from `spec` on.
        field: &'static str,
        /// As written.
        text: String,
    },
    /// `spec.holdTime` and `spec.keepaliveTime` do not go together, or with the protocol.
    Timers {
        /// Why not.
        cause: BadTimers,
    },
    /// `spec.connectTime` is not 1 to 65535 whole seconds.
    ConnectTime {
        /// As written.
        text: String,
    },
    /// `spec.password` and `spec.passwordSecret`.
    TwoPasswords,
    /// The Secret does not exist.
    UnknownSecret {
        /// The peer's namespace.
        namespace: NamespaceName,
        /// The Secret.
        secret: SecretName,
    },
    /// The Secret is of another type.
    SecretType {
        /// The Secret's namespace.
        namespace: NamespaceName,
        /// The Secret.
        secret: SecretName,
        /// Its type.
        found: String,
    },
    /// The Secret has no `password`.
    SecretWithoutPassword {
        /// The Secret's namespace.
        namespace: NamespaceName,
        /// The Secret.
        secret: SecretName,
    },
    /// The BFDProfile does not exist, or is not in force.
    UnknownBfdProfile {
        /// The profile.
        profile: BfdProfileName,
        /// There is one of this name, but it is set aside.
        set_aside: bool,
    },
    /// An older peer is the same router, and a node selects both.
    SameEndpoint {
        /// The address or interface, and the VRF.
        identity: String,
        /// The older peer.
        other: PeerName,
    },
    /// An older peer has another router ID, and a node selects both.
    RouterIdsDiffer {
        /// This one's.
        ours: Option<String>,
        /// The older peer.
        other: PeerName,
        /// The older one's.
        theirs: Option<String>,
    },
    /// An older peer has another own system, and a node selects both.
    OwnAsnsDiffer {
        /// This one's.
        ours: Asn,
        /// The older peer.
        other: PeerName,
        /// The older one's.
        theirs: Asn,
    },
    /// The annotation [`TTL_SECURITY`] is no number of hops.
    TtlSecurity {
        /// As written.
        text: String,
    },
    /// `spec.disableMP`, which does nothing.
    DisableMp,
}

/// Why a text is no router ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadRouterId {
    /// It is not written like an IPv4 address.
    NotFourOctets,
    /// RFC 6286 §2.1: it is not 0.0.0.0.
    Zero,
}

impl fmt::Display for BadRouterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFourOctets => "a router ID is written like an IPv4 address",
            Self::Zero => "0.0.0.0 identifies nobody",
        })
    }
}

codes!(PeerRefusal {
    NoOwnAsn => "peer-without-own-asn",
    NoPeerAsn => "peer-without-asn",
    TwoPeerAsns => "peer-with-two-asns",
    InternalMultihop => "peer-internal-multihop",
    NoEndpoint => "peer-without-address",
    TwoEndpoints => "peer-with-two-addresses",
    BadAddress => "peer-bad-address",
    BadSource => "peer-bad-source-address",
    SourceFamily => "peer-source-family",
    RouterId => "peer-bad-router-id",
    Duration => "peer-bad-duration",
    Timers => "peer-bad-timers",
    ConnectTime => "peer-bad-connect-time",
    TwoPasswords => "peer-with-two-passwords",
    UnknownSecret => "peer-unknown-secret",
    SecretType => "peer-secret-type",
    SecretWithoutPassword => "peer-secret-without-password",
    UnknownBfdProfile => "peer-unknown-bfd-profile",
    SameEndpoint => "peers-of-one-router",
    RouterIdsDiffer => "router-ids-differ",
    OwnAsnsDiffer => "own-asns-differ",
    TtlSecurity => "peer-bad-ttl-security",
    DisableMp => "peer-disable-mp",
});

impl PeerRefusal {
    /// The type that a Secret with a password must have.
    pub const SECRET_TYPE: &str = BASIC_AUTH;

    pub(super) const fn effect(&self) -> Effect {
        match self {
            Self::DisableMp => Effect::Warning,
            Self::UnknownSecret { .. }
            | Self::SecretType { .. }
            | Self::SecretWithoutPassword { .. }
            | Self::UnknownBfdProfile { .. } => Effect::Dangling,
            Self::NoOwnAsn
            | Self::NoPeerAsn
            | Self::TwoPeerAsns
            | Self::InternalMultihop { .. }
            | Self::NoEndpoint
            | Self::TwoEndpoints
            | Self::BadAddress { .. }
            | Self::BadSource { .. }
            | Self::SourceFamily { .. }
            | Self::RouterId { .. }
            | Self::Duration { .. }
            | Self::Timers { .. }
            | Self::ConnectTime { .. }
            | Self::TwoPasswords
            | Self::TtlSecurity { .. }
            | Self::SameEndpoint { .. }
            | Self::RouterIdsDiffer { .. }
            | Self::OwnAsnsDiffer { .. } => Effect::SetsAside,
        }
    }

    /// The texts that tools compare as a whole, letter for letter (one has a space before the end of its line).
    pub(super) fn summary(&self, peer: &str) -> Option<String> {
        match self {
            Self::UnknownBfdProfile { profile, set_aside: false } => {
                Some(format!("peer {peer} referencing non existing bfd profile {profile}"))
            }
            Self::UnknownSecret { namespace, .. } => {
                let cause = format!("secret ref not found for peer config \"{namespace}\"/{peer:?}");
                Some(password_failed(peer, &cause))
            }
            Self::SecretType { namespace, secret, .. } => {
                let cause = format!(
                    "secret type mismatch on \"{namespace}\"/\"{secret}\", type {BASIC_AUTH:?} is expected "
                );
                Some(password_failed(peer, &cause))
            }
            Self::SecretWithoutPassword { .. } => Some(password_failed(peer, &self.sentence())),
            Self::SameEndpoint { identity, .. } => Some(format!(
                "peer {identity} already exists, FRR mode doesn't support duplicate BGPPeers selecting the same node"
            )),
            _ => None,
        }
    }
}

fn password_failed(peer: &str, cause: &str) -> String {
    format!("parsing peer {peer} {cause}\nfailed to parse peer {peer} password secret")
}

impl Refusal for PeerRefusal {
    fn code(&self) -> &'static str {
        self.own_code()
    }

    fn sentence(&self) -> String {
        match self {
            Self::NoOwnAsn => "spec.myASN is 0, which is no autonomous system".to_owned(),
            Self::NoPeerAsn => "neither spec.peerASN nor spec.dynamicASN is set".to_owned(),
            Self::TwoPeerAsns => "both spec.peerASN and spec.dynamicASN are set".to_owned(),
            Self::InternalMultihop { asn } => {
                format!("spec.ebgpMultiHop is set, but spec.myASN and spec.peerASN are both {asn}")
            }
            Self::NoEndpoint => "neither spec.peerAddress nor spec.interface is set".to_owned(),
            Self::TwoEndpoints => "both spec.peerAddress and spec.interface are set".to_owned(),
            Self::BadAddress { text } => format!("invalid BGPPeer address {text:?} in spec.peerAddress"),
            Self::BadSource { text } => {
                format!("invalid source address {text:?} in spec.sourceAddress")
            }
            Self::SourceFamily { source, address } => {
                format!(
                    "spec.sourceAddress {source} and spec.peerAddress {address} are of different families"
                )
            }
            Self::RouterId { text, cause } => format!("invalid router ID {text:?} in spec.routerID: {cause}"),
            Self::Duration { field, text } => format!("invalid duration {text:?} in {field}"),
            Self::Timers { cause } => match cause {
                BadTimers::HoldTimeRoundsToZero(time) => {
                    format!(
                        "invalid hold time {time:?}: in whole seconds it is 0, which means no hold timer at all"
                    )
                }
                BadTimers::HoldTimeTooShort(time) => {
                    format!("invalid hold time {time:?}: BGP knows 0, and 3 seconds or more")
                }
                BadTimers::HoldTimeTooLong(time) => {
                    format!("invalid hold time {time:?}: BGP has room for 65535 seconds")
                }
                BadTimers::KeepaliveRoundsToZero(time) => {
                    format!(
                        "invalid keepalive time {time:?}: in whole seconds it is 0, which means no keepalives at all"
                    )
                }
                BadTimers::KeepaliveExceedsHoldTime { keepalive, hold } => {
                    format!("invalid keepalive time {keepalive:?}: it is longer than the hold time {hold:?}")
                }
            },
            Self::ConnectTime { text } => {
                format!("invalid spec.connectTime {text:?}: it is no whole number of seconds from 1 to 65535")
            }
            Self::TwoPasswords => "both spec.password and spec.passwordSecret are set".to_owned(),
            Self::UnknownSecret { namespace, secret } => {
                format!(
                    "spec.passwordSecret names {secret}, and there is no such Secret in namespace {namespace}"
                )
            }
            Self::SecretType { namespace, secret, found } => {
                format!(
                    "Secret {namespace}/{secret} of spec.passwordSecret is of type {found:?}, not {BASIC_AUTH:?}"
                )
            }
            Self::SecretWithoutPassword { namespace, secret } => {
                format!("Secret {namespace}/{secret} of spec.passwordSecret has no key \"password\"")
            }
            Self::UnknownBfdProfile { profile, set_aside: false } => {
                format!("spec.bfdProfile names {profile}, and there is no such BFDProfile")
            }
            Self::UnknownBfdProfile { profile, set_aside: true } => {
                format!("BFDProfile {profile} of spec.bfdProfile is invalid and set aside")
            }
            Self::SameEndpoint { identity, other } => {
                format!("peer {identity} already exists as BGPPeer {other}, and a node may select both")
            }
            Self::RouterIdsDiffer { ours, other, theirs } => format!(
                "spec.routerID is {}, but that of BGPPeer {other} is {}, and a node may select both",
                or_unset(ours.as_ref()),
                or_unset(theirs.as_ref())
            ),
            Self::OwnAsnsDiffer { ours, other, theirs } => format!(
                "spec.myASN is {ours}, but that of BGPPeer {other} is {theirs}, and a node may select both"
            ),
            Self::TtlSecurity { text } => {
                format!("annotation {TTL_SECURITY} is {text:?}, which is no number of hops from 1 to 254")
            }
            Self::DisableMp => "spec.disableMP is deprecated and does nothing".to_owned(),
        }
    }

    fn fix(&self) -> String {
        match self {
            Self::NoOwnAsn => "set it to the number of your own autonomous system".to_owned(),
            Self::NoPeerAsn => "set one of the two".to_owned(),
            Self::TwoPeerAsns | Self::TwoEndpoints | Self::TwoPasswords => "remove one of the two".to_owned(),
            Self::TtlSecurity { .. } => "set it to 1 for a router next door, as the router has it".to_owned(),
            Self::InternalMultihop { .. } => {
                "remove ebgpMultiHop: inside one system it is not needed, and between two the numbers differ"
                    .to_owned()
            }
            Self::NoEndpoint => {
                "set peerAddress, or interface for a router found by its advertisements".to_owned()
            }
            Self::BadAddress { .. } | Self::BadSource { .. } => {
                "write an address such as 192.0.2.1 or 2001:db8::1".to_owned()
            }
            Self::SourceFamily { .. } => "choose a source of the family of the peer".to_owned(),
            Self::RouterId { .. } => {
                "write four octets such as 192.0.2.1, or leave it out: the node's address is taken".to_owned()
            }
            Self::Duration { .. } => "write a number and a unit, such as 90s or 1m30s".to_owned(),
            Self::Timers { cause } => match cause {
                BadTimers::HoldTimeRoundsToZero(_) | BadTimers::HoldTimeTooShort(_) => {
                    "choose 3s or more, or 0s for none; BFD notices a dead router faster".to_owned()
                }
                BadTimers::HoldTimeTooLong(_) => "choose 65535s or less".to_owned(),
                BadTimers::KeepaliveRoundsToZero(_) => "choose 1s or more, or 0s for none".to_owned(),
                BadTimers::KeepaliveExceedsHoldTime { .. } => {
                    "choose a third of the hold time, or leave it out".to_owned()
                }
            },
            Self::ConnectTime { .. } => "write whole seconds, such as 10s".to_owned(),
            Self::UnknownSecret { .. } => {
                format!("create the Secret, of type {BASIC_AUTH} and with a key \"password\"")
            }
            Self::SecretType { .. } => {
                format!("delete it and create it with type {BASIC_AUTH}: a type cannot be changed")
            }
            Self::SecretWithoutPassword { .. } => "add the key \"password\" to it".to_owned(),
            Self::UnknownBfdProfile { set_aside: false, .. } => {
                "create the profile, or correct the name".to_owned()
            }
            Self::UnknownBfdProfile { set_aside: true, .. } => "correct the profile".to_owned(),
            Self::SameEndpoint { other, .. } => {
                format!("delete one, or give them different nodes; {other} is older and stays in force")
            }
            Self::RouterIdsDiffer { other, .. } | Self::OwnAsnsDiffer { other, .. } => {
                format!(
                    "make them equal, or give the peers different nodes or VRFs; {other} is older and stays in force"
                )
            }
            Self::DisableMp => {
                "remove it: the families of a session follow from bgpBackend and dualStackAddressFamily"
                    .to_owned()
            }
        }
    }
}

fn or_unset(value: Option<&String>) -> &str {
    value.map_or("not set", String::as_str)
}

//! Why a session failed, in words that name the likely cause and what to do.

use std::fmt;
use std::time::Duration;

use metallb_core::address::Family;
use metallb_core::config::{Asn, RemoteAs};

use super::ending::Ending;
use super::fsm::State;
use super::offer::Refused;
use super::settings::Settings;
use crate::bgp::wire::{Notification, Reason};

/// Why a connection could not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unconnected {
    /// The router's machine says that nobody listens.
    Refused,
    /// Nobody said anything.
    NoAnswer,
    /// There is no way to it.
    Unreachable,
    /// This node lacks something: the source address, the VRF, the password's place in the kernel.
    Here {
        /// What, in words.
        text: String,
    },
}

/// Why a session, or an attempt at one, ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No connection.
    Unconnected {
        /// Why not.
        why: Unconnected,
        /// Is there a password?
        password: bool,
    },
    /// The router said why it leaves.
    Notified {
        /// What it said.
        notification: Notification,
        /// Our system, as it knows it.
        our_asn: Asn,
    },
    /// The router closed the connection without a word.
    Closed {
        /// What the connection was good for at that time.
        state: State,
        /// What the system said of it.
        text: Option<String>,
    },
    /// Nothing was heard from the router for too long.
    HoldTimerExpired {
        /// What the connection was good for at that time.
        state: State,
        /// That long.
        after: Duration,
    },
    /// The router read nothing for too long (RFC 9687).
    SendHoldTimerExpired {
        /// That long.
        after: Duration,
    },
    /// Its OPEN was not accepted.
    Refused(Refused),
    /// It sent something that cannot be, or not now.
    BadMessage {
        /// What we answered.
        answer: Notification,
    },
    /// There were two connections, and this was the one too many.
    Collision,
    /// The router came back on a new connection before the old one was known to be dead (RFC 4724 §4.2).
    Replaced,
    /// We ended it.
    Ended(Ending),
}

impl Failure {
    /// Every code.
    pub const CODES: [&str; 15] = [
        "bad-message",
        "collision",
        "connection-closed",
        "connection-refused",
        "ended",
        "hold-timer-expired",
        "local-socket",
        "no-answer",
        "no-common-family",
        "notification-received",
        "replaced",
        "same-router-id",
        "send-hold-timer-expired",
        "unreachable",
        "wrong-asn",
    ];

    /// The codes of a router that may not be there at all.
    pub const ABSENT: [&str; 3] = ["connection-refused", "no-answer", "unreachable"];

    /// Stable: a label, and what scripts compare.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unconnected { why: Unconnected::Refused, .. } => "connection-refused",
            Self::Unconnected { why: Unconnected::NoAnswer, .. } => "no-answer",
            Self::Unconnected { why: Unconnected::Unreachable, .. } => "unreachable",
            Self::Unconnected { why: Unconnected::Here { .. }, .. } => "local-socket",
            Self::Notified { .. } => "notification-received",
            Self::Closed { .. } => "connection-closed",
            Self::HoldTimerExpired { .. } => "hold-timer-expired",
            Self::SendHoldTimerExpired { .. } => "send-hold-timer-expired",
            Self::Refused(Refused::Asn { .. }) => "wrong-asn",
            Self::Refused(Refused::SameRouterId(_)) => "same-router-id",
            Self::Refused(Refused::NoCommonFamily(_)) => "no-common-family",
            Self::BadMessage { .. } => "bad-message",
            Self::Collision => "collision",
            Self::Replaced => "replaced",
            Self::Ended(_) => "ended",
        }
    }

    pub(super) fn notified(notification: Notification, settings: &Settings) -> Self {
        Self::Notified { notification, our_asn: settings.shown_asn() }
    }
}

/// What went wrong, and after a colon the likely cause and what to do about it.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unconnected { why, password } => unconnected(why, *password, f),
            Self::Notified { notification, our_asn } => {
                write!(f, "the router ended the session: {notification}")?;
                hint(notification.cause().reason, *our_asn, f)
            }
            Self::Closed { state, text } => {
                f.write_str("the router closed the connection")?;
                if let Some(text) = text {
                    write!(f, " ({text})")?;
                }
                match state {
                    State::Idle | State::Connect | State::Active | State::OpenSent => f.write_str(
                        " before it said anything: it may not know this node's address as that of a neighbour, or \
                         expect another source address",
                    ),
                    State::OpenConfirm => f.write_str(" before it accepted ours: see its log for the reason"),
                    State::Established => Ok(()),
                }
            }
            Self::HoldTimerExpired { state: State::Established, after } => write!(
                f,
                "nothing was heard from the router for {} s, the hold time: it is down, overloaded, or cut off",
                after.as_secs()
            ),
            Self::HoldTimerExpired { state: _, after } => write!(
                f,
                "the router took the connection and then said nothing for {} s: is it a BGP router that listens there?",
                after.as_secs()
            ),
            Self::SendHoldTimerExpired { after } => {
                write!(f, "the router read nothing for {} s: it hangs, or is overloaded", after.as_secs())
            }
            Self::Refused(refused) => not_accepted(refused, f),
            Self::BadMessage { answer } => {
                write!(f, "the router sent what cannot be: {answer}; the two may disagree on a capability")
            }
            Self::Collision => f.write_str("of two connections to the router this was the one too many"),
            Self::Replaced => f.write_str("the router restarted and came back on a new connection"),
            Self::Ended(ending) => f.write_str(&ending.sentence()),
        }
    }
}

impl std::error::Error for Failure {}

fn unconnected(why: &Unconnected, password: bool, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match why {
        Unconnected::Refused => f.write_str(
            "the router refused the connection: BGP is not running there, listens on another port than \
             spec.peerPort, or does not know this node as a neighbour",
        ),
        Unconnected::NoAnswer if password => f.write_str(
            "the router did not answer: it is down, spec.peerAddress is wrong, a firewall drops the packets, or the \
             password is not the one the router has (routers ignore whoever gets it wrong)",
        ),
        Unconnected::NoAnswer => f.write_str(
            "the router did not answer: it is down, spec.peerAddress is wrong, a firewall drops the packets, or the \
             router expects a password and the BGPPeer has none",
        ),
        Unconnected::Unreachable => f.write_str(
            "there is no route to the router: check spec.peerAddress and the node's routes; a router that is not \
             on the node's own network needs spec.ebgpMultiHop",
        ),
        Unconnected::Here { text } => write!(f, "this node cannot connect: {text}"),
    }
}

fn not_accepted(refused: &Refused, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match refused {
        Refused::Asn { wanted, got } => match wanted {
            RemoteAs::Number(wanted) => write!(
                f,
                "the router is in AS {got}, and the BGPPeer says AS {wanted}: set spec.peerASN to {got}, or correct the router"
            ),
            RemoteAs::Internal => write!(
                f,
                "the router is in AS {got}, and spec.dynamicASN internal wants it in spec.myASN: set it to external, or \
                 correct spec.myASN or the router"
            ),
            RemoteAs::External => write!(
                f,
                "the router is in AS {got}, which is spec.myASN, and spec.dynamicASN is external: set it to internal, or \
                 correct spec.myASN or the router"
            ),
        },
        Refused::SameRouterId(id) => write!(
            f,
            "the router's identifier is {id}, as is this node's: give the BGPPeer another spec.routerID, or correct the router"
        ),
        Refused::NoCommonFamily(wanted) => {
            let names: Vec<_> = wanted.iter().map(Family::to_string).collect();
            write!(
                f,
                "the router carries no {} routes: activate that family for this neighbour",
                names.join(" and no ")
            )
        }
    }
}

/// What the router most often means.
fn hint(reason: Reason, our_asn: Asn, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match reason {
        Reason::BAD_PEER_AS => write!(
            f,
            "; it has another AS than ours, {our_asn}, for this neighbour: correct spec.myASN (or spec.localASN), or the router"
        ),
        Reason::BAD_IDENTIFIER => f.write_str(
            "; it may have the identifier of this node itself: give the BGPPeer another spec.routerID",
        ),
        Reason::UNACCEPTABLE_HOLD_TIME => f.write_str("; it wants a longer spec.holdTime"),
        Reason::UNSUPPORTED_CAPABILITY => {
            f.write_str("; activate the address families of the BGPPeer for this neighbour")
        }
        Reason::CONNECTION_REJECTED => {
            f.write_str("; it may not know this node as a neighbour, or have enough of them")
        }
        Reason::ADMINISTRATIVE_SHUTDOWN => f.write_str("; the neighbour is switched off on the router"),
        Reason::HOLD_TIMER_EXPIRED => f.write_str(
            "; our messages did not reach it in time: loss on the way, or a node without CPU to spare",
        ),
        Reason { .. } => Ok(()),
    }
}

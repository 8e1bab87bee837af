//! Why we end a session, and what the router is told.

use super::offer::Negotiated;
use crate::bgp::wire::{Notification, Reason};

/// Why we end a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The BGPPeer is gone, or does not select this node any more.
    Deconfigured,
    /// It changed in a way that needs a new session.
    Reconfigured,
    /// Somebody asked for it.
    Reset {
        /// In words, for the router's operator.
        text: String,
    },
    /// This node leaves.
    Leaving {
        /// In words, for the router's operator.
        text: String,
    },
    /// The speaker stops, and another takes its place at once.
    Restarting,
    /// BFD says that the router cannot be reached (RFC 9384).
    BfdDown,
    /// The connection is of no use any more: its address went, or its password changed.
    Transport {
        /// In words.
        text: String,
    },
}

impl Ending {
    /// What to tell the router; `None`: nothing, as then it keeps our routes until we are back (RFC 4724).
    pub(super) fn farewell(&self, negotiated: Option<&Negotiated>) -> Option<Notification> {
        let hard = |notification: Notification| {
            // RFC 8538 §4: without this, a router that we agreed with on it would keep routes to nowhere.
            let agreed = negotiated.is_some_and(|negotiated| negotiated.hard_reset);
            if agreed { notification.hard() } else { notification }
        };
        match self {
            Self::Deconfigured => Some(hard(Reason::DECONFIGURED.into())),
            // Not hard: it is back in a moment, and who may keep our routes that long should.
            Self::Reconfigured => Some(Reason::CONFIGURATION_CHANGE.into()),
            Self::Reset { text } | Self::Transport { text } => {
                Some(Notification::with_communication(Reason::ADMINISTRATIVE_RESET, text))
            }
            Self::Leaving { text } => {
                Some(hard(Notification::with_communication(Reason::ADMINISTRATIVE_SHUTDOWN, text)))
            }
            Self::Restarting if negotiated.is_some_and(Negotiated::keeps_our_routes) => None,
            Self::Restarting => Some(Reason::DECONFIGURED.into()),
            Self::BfdDown => Some(hard(Reason::BFD_DOWN.into())),
        }
    }

    /// For people.
    pub fn sentence(&self) -> String {
        match self {
            Self::Deconfigured => "the BGPPeer is gone, or not for this node any more".to_owned(),
            Self::Reconfigured => "the BGPPeer changed in a way that needs a new session".to_owned(),
            Self::Reset { text } => format!("reset: {text}"),
            Self::Leaving { text } => format!("this node leaves: {text}"),
            Self::Restarting => "the speaker restarts".to_owned(),
            Self::BfdDown => "BFD lost the router".to_owned(),
            Self::Transport { text } => format!("its connection is of no use any more: {text}"),
        }
    }

    /// Is the session to come back by itself?
    pub(super) const fn comes_back(&self) -> bool {
        match self {
            Self::Reconfigured | Self::Reset { .. } | Self::BfdDown | Self::Transport { .. } => true,
            Self::Deconfigured | Self::Leaving { .. } | Self::Restarting => false,
        }
    }
}

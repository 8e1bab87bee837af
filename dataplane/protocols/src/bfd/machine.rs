//! The state machine (RFC 5880 §6.2, §6.8.6, §6.8.16): four states, and what may happen to them. Every pair is named.
//!
//! Not here: timers, and what a change means for routes.

use super::wire::{Diagnostic, State};

/// What may change the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A control packet says that the other side is in this state.
    Heard(State),
    /// No control packet arrived for the detection time.
    DetectionExpired,
    /// Echo packets were sent and did not return.
    EchoExpired,
    /// The session is to rest.
    SwitchedOff,
    /// The session is to run.
    SwitchedOn,
}

/// Why a session changed its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// The sides came to hear each other.
    Handshake,
    /// No control packet arrived for the detection time.
    Silence,
    /// Echo packets did not return.
    EchoLost,
    /// The other side says that it is down: it does not hear us, or has started anew.
    NeighborDown,
    /// The other side was switched off. This says nothing about the path (RFC 5882 §3.2): it is no failure.
    NeighborAdminDown,
    /// Switched off on this side.
    SwitchedOff,
    /// Switched on on this side.
    SwitchedOn,
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Handshake => "both sides hear each other",
            Self::Silence => "nothing was heard for the detection time",
            Self::EchoLost => "echo packets did not return",
            Self::NeighborDown => {
                "the router says that it is down: it does not hear this node, or has started anew"
            }
            Self::NeighborAdminDown => "it was switched off on the router",
            Self::SwitchedOff => "it was switched off here",
            Self::SwitchedOn => "it was switched on here",
        })
    }
}

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The state afterwards; never the one before.
    pub to: State,
    /// Why.
    pub why: Why,
}

impl Transition {
    /// What control packets tell about it. Coming up explains nothing: the reason of the last failure stands.
    pub const fn diagnostic(self) -> Option<Diagnostic> {
        match self.why {
            Why::Handshake => None,
            Why::Silence => Some(Diagnostic::DetectionTimeExpired),
            Why::EchoLost => Some(Diagnostic::EchoFailed),
            Why::NeighborDown | Why::NeighborAdminDown => Some(Diagnostic::NeighborSignaledDown),
            Why::SwitchedOff => Some(Diagnostic::AdministrativelyDown),
            Why::SwitchedOn => Some(Diagnostic::None),
        }
    }
}

impl State {
    /// What `event` does to a session in this state; `None`: nothing.
    pub const fn on(self, event: Event) -> Option<Transition> {
        use State::{AdminDown, Down, Init, Up};
        let (to, why) = match (self, event) {
            (AdminDown, Event::SwitchedOn) => (Down, Why::SwitchedOn),
            (Down | Init | Up, Event::SwitchedOff) => (AdminDown, Why::SwitchedOff),

            (Down, Event::Heard(Down)) => (Init, Why::Handshake),
            (Down | Init, Event::Heard(Init)) | (Init, Event::Heard(Up)) => (Up, Why::Handshake),
            (Up, Event::Heard(Down)) => (Down, Why::NeighborDown),
            (Init | Up, Event::Heard(AdminDown)) => (Down, Why::NeighborAdminDown),
            (Init | Up, Event::DetectionExpired) => (Down, Why::Silence),
            (Up, Event::EchoExpired) => (Down, Why::EchoLost),

            (AdminDown, Event::Heard(AdminDown | Down | Init | Up) | Event::SwitchedOff)
            | (AdminDown | Down, Event::DetectionExpired | Event::EchoExpired)
            | (Down, Event::Heard(AdminDown | Up))
            | (Init, Event::Heard(Down) | Event::EchoExpired)
            | (Up, Event::Heard(Init | Up))
            | (Down | Init | Up, Event::SwitchedOn) => return None,
        };
        Some(Transition { to, why })
    }
}

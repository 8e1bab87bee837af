//! Which of two connections to one router stays: RFC 4271 §6.8, RFC 6286 §2.3, RFC 4724 §4.2.

use metallb_core::config::{Asn, RouterId};

use super::fsm::State;
use super::line::Connection;

/// Which connection goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goes {
    /// Neither, so far.
    None,
    /// The one whose OPEN just came.
    This,
    /// The other.
    Other,
    /// The other, without a word: its router restarted, and does not know it any more.
    OtherSilently,
}

/// One side of the two connections.
pub type Speaker = (RouterId, Asn);

/// An OPEN came on `this` connection, and there is an `other` in that state.
pub fn resolve(
    ours: Speaker,
    theirs: Speaker,
    this: Connection,
    other: (Connection, State),
    peer_restarts: bool,
) -> Goes {
    match other.1 {
        State::Idle | State::Connect | State::Active | State::OpenSent => return Goes::None,
        State::Established if peer_restarts => return Goes::OtherSilently,
        State::Established => return Goes::This,
        State::OpenConfirm => {}
    }
    // Tuples compare their identifiers first, and their systems where these are equal.
    let keep_ours = ours > theirs;
    match (this, other.0) {
        (Connection::Dialled(_), Connection::Accepted(_)) if keep_ours => Goes::Other,
        (Connection::Accepted(_), Connection::Dialled(_)) if keep_ours => Goes::This,
        (Connection::Dialled(_), Connection::Accepted(_)) => Goes::This,
        // Or one after the other from the same side: it tried again, so it does not believe in the first any more.
        (Connection::Accepted(_), Connection::Dialled(_) | Connection::Accepted(_))
        | (Connection::Dialled(_), Connection::Dialled(_)) => Goes::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIALLED: Connection = Connection::Dialled(1);
    const ACCEPTED: Connection = Connection::Accepted(1);

    fn speaker(id: u8, asn: u32) -> Speaker {
        (RouterId::new([10, 0, 0, id].into()).unwrap(), Asn::new(asn).unwrap())
    }

    fn goes(ours: Speaker, theirs: Speaker, this: Connection, other: Connection) -> Goes {
        resolve(ours, theirs, this, (other, State::OpenConfirm), false)
    }

    #[test]
    fn what_the_higher_identifier_dialled_stays() {
        let (low, high) = (speaker(1, 64_513), speaker(2, 64_512));
        assert_eq!(goes(low, high, DIALLED, ACCEPTED), Goes::This);
        assert_eq!(goes(low, high, ACCEPTED, DIALLED), Goes::Other);
        assert_eq!(goes(high, low, DIALLED, ACCEPTED), Goes::Other);
        assert_eq!(goes(high, low, ACCEPTED, DIALLED), Goes::This);
    }

    #[test]
    fn of_equal_identifiers_the_larger_system_has_its_way() {
        let (low, high) = (speaker(1, 64_512), speaker(1, 64_513));
        assert_eq!(goes(low, high, DIALLED, ACCEPTED), Goes::This);
        assert_eq!(goes(high, low, DIALLED, ACCEPTED), Goes::Other);
    }

    #[test]
    fn a_session_that_is_up_stays_unless_its_router_may_have_restarted() {
        let (low, high) = (speaker(1, 64_512), speaker(2, 64_512));
        let up = (DIALLED, State::Established);
        assert_eq!(resolve(low, high, ACCEPTED, up, false), Goes::This);
        assert_eq!(resolve(low, high, ACCEPTED, up, true), Goes::OtherSilently);
    }

    #[test]
    fn there_is_no_collision_before_the_other_has_heard_an_open() {
        for state in [State::Idle, State::Connect, State::Active, State::OpenSent] {
            let other = (DIALLED, state);
            assert_eq!(resolve(speaker(1, 1), speaker(2, 2), ACCEPTED, other, false), Goes::None);
        }
    }
}

//! Is all announced that this node should announce? A roll-out asks that before it goes on to the next node.
//!
//! Once it was so it stays so: that a router goes away later is no matter of this speaker's start, and told elsewhere
//! (BGPNodeStatus). No clock: time is handed in.
//!
//! A router that is not there must not keep a cluster from being updated, nor may one session that was always wrong. But a speaker
//! that comes to terms with no router at all, while some are there, is one that must not be put on the next node. So it is on layer 2:
//! an interface that was always wrong must not keep a cluster from being updated, but a speaker that may open no socket at all is broken.

use std::time::{Duration, Instant};

use metallb_core::names::{InterfaceName, PeerName};
use metallb_protocols::bgp::session::Failure;

use super::bgp::seen::{PeerSeen, Seen};
use super::lane::Needed;

/// How long sessions may take to come up, and sockets to open. A router that keeps our routes over a restart waits two minutes.
const PATIENCE: Duration = Duration::from_mins(1);

/// The answer, so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// All is announced.
    Yes,
    /// Not yet; what is waited for.
    NotYet(String),
}

/// Where the start of this speaker stands.
#[derive(Debug, Default)]
pub struct Progress {
    /// Since when it is known what to tell which router.
    known: Option<Instant>,
    done: bool,
}

impl Progress {
    /// What is known now: what has not arrived yet of what decides, with whom there are to be sessions, how those stand that the
    /// BGP lane knows of, and the sockets that layer 2 needs.
    pub fn look<'p>(
        &mut self,
        now: Instant,
        waits_for: &[&str],
        mut peers: impl Iterator<Item = &'p PeerName>,
        sessions: &Seen,
        sockets: &Needed,
    ) -> Answer {
        if self.done {
            return Answer::Yes;
        }
        if !waits_for.is_empty() {
            self.known = None;
            return Answer::NotYet(format!("not known yet: {}", waits_for.join(", ")));
        }
        let known = *self.known.get_or_insert(now);
        if let Some(peer) = peers.find(|peer| !sessions.contains_key(*peer)) {
            return Answer::NotYet(format!("sessions: {peer}: not begun"));
        }
        let missing: Vec<(&PeerName, &PeerSeen)> = sessions
            .iter()
            .map(|(peer, seen)| (peer, &**seen))
            .filter(|(_, seen)| !seen.is_up() || !seen.is_synchronised)
            .collect();
        let all_fail = missing.len() == sessions.len() && missing.iter().any(|(_, seen)| is_at_odds(seen));
        let Needed { open, missing: closed } = sockets;
        let is_mute = *open == 0 && !closed.is_empty();
        let is_over = now >= known + PATIENCE && !all_fail && !is_mute;
        if (missing.is_empty() && closed.is_empty()) || is_over {
            self.done = true;
            for (peer, seen) in missing {
                tracing::warn!(event = "notAnnounced", %peer, text = why(seen), "not waited for any longer");
            }
            for (interface, text) in closed {
                tracing::warn!(event = "notAnnounced", %interface, text, "not waited for any longer");
            }
            return Answer::Yes;
        }
        let missing = missing.into_iter().map(|(peer, seen)| format!("{peer}: {}", why(seen)));
        let closed =
            closed.iter().map(|(interface, why): &(InterfaceName, String)| format!("{interface}: {why}"));
        let waits = [("sessions", missing.collect::<Vec<_>>()), ("layer 2", closed.collect())];
        let waits = waits.into_iter().filter(|(_, those)| !those.is_empty());
        let waits = waits.map(|(what, those)| format!("{what}: {}", those.join("; ")));
        Answer::NotYet(waits.collect::<Vec<_>>().join("; "))
    }

    /// Is all announced? It stays so.
    pub const fn is_done(&self) -> bool {
        self.done
    }

    /// When [`Self::look`] may have another answer than at `now` though nothing has changed.
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let due = self.known.filter(|_| !self.done).map(|known| known + PATIENCE);
        due.filter(|due| now < *due)
    }
}

/// The router is there, and does not come to terms with us.
fn is_at_odds(seen: &PeerSeen) -> bool {
    let failure = seen.last_failure.as_ref().filter(|_| !seen.is_up());
    failure.is_some_and(|last| !Failure::ABSENT.contains(&last.code))
}

fn why(seen: &PeerSeen) -> String {
    match &seen.last_failure {
        _ if seen.is_up() && seen.pending == 0 => "not told yet that it knows all".to_owned(),
        _ if seen.is_up() => format!("{} routes on their way", seen.pending),
        Some(last) => last.text.clone(),
        None => "no session yet".to_owned(),
    }
}

#[cfg(test)]
mod tests;

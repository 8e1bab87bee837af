//! Speakers that are seen and not heard, as [`crate::speaker::lane::driver`] takes them in.

use std::net::IpAddr;
use std::time::Instant;

use metallb_core::plan::Speakers;
use metallb_protocols::ethernet::Mac;
use metallb_protocols::sighting;

use super::Speaker;

impl Speaker {
    /// Whether what `from` says of `by` shows the speaker of a node of which no heartbeat is heard.
    pub(super) fn sight(&mut self, now: Instant, interface: u32, address: IpAddr, by: Mac, from: Mac) {
        let stood_in_for = self.succession.predecessor(&self.tables, address, interface, by);
        let Some(node) = stood_in_for.or_else(|| self.conflicts.node_of(by)) else { return };
        if by == from && matches!(&self.heard, Some(Speakers::Alive(nodes)) if !nodes.contains(node)) {
            let is_here = self.has(address);
            self.sightings.handle_input(now, sighting::Input::Seen { node, address, station: by, is_here });
        }
    }

    pub(super) fn settle_sightings(&mut self) {
        let mut is_news = false;
        while let Some(output) = self.sightings.poll_output() {
            match output {
                sighting::Output::Ask(address) => self.ask(address),
                sighting::Output::Appeared(_)
                | sighting::Output::Vanished(_)
                | sighting::Output::Disputes(_) => {
                    is_news = true;
                }
            }
        }
        if is_news {
            self.count_who_is_seen();
        }
    }

    pub(super) fn tell_who_lives(&mut self, now: Instant) {
        let heard = self.liveness.alive();
        for node in &heard {
            self.sightings.handle_input(now, sighting::Input::Heard(node));
        }
        self.heard = Some(Speakers::Alive(heard));
        self.count_who_is_seen();
    }

    /// Who is seen counts as well.
    pub(super) fn count_who_is_seen(&mut self) {
        if let Some(Speakers::Alive(heard)) = &self.heard {
            let all = heard.iter().chain(self.sightings.nodes()).cloned().collect();
            self.membership.speakers = Some(Speakers::Alive(all));
        }
        self.membership.all_keep = self.liveness.all_keep() && !self.sightings.has_dispute();
        self.is_news = true;
    }
}

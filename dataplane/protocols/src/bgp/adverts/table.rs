//! The difference between what is wanted and what the router was told, and the messages that make up for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnet::IpNet;
use metallb_core::address::Family;

use super::RouteAttributes;
use super::route::{Outlook, Unsendable};
use crate::bgp::wire::{Demarcation, Prefixes, RouteRefresh, Update};

/// What is announced to one router.
#[derive(Debug, Default)]
pub struct Adverts {
    entries: BTreeMap<IpNet, Entry>,
    /// Entries that are wanted.
    wanted: usize,
    /// Told, and no longer wanted.
    withdrawals: BTreeSet<IpNet>,
    /// Wanted, and not told like that. Equal routes are beside each other: they share messages.
    announcements: BTreeMap<(Family, Arc<RouteAttributes>), BTreeSet<IpNet>>,
    /// What is wanted and cannot be told.
    unsendable: BTreeMap<IpNet, Unsendable>,
    /// Is all that is wanted known? Before that, nothing is complete.
    loaded: bool,
    draining: bool,
    /// Of the session that is up.
    families: BTreeMap<Family, Progress>,
    told: usize,
}

#[derive(Debug, Default)]
struct Entry {
    wanted: Option<Arc<RouteAttributes>>,
    told: Option<Told>,
    /// In [`Adverts::announcements`], under these attributes.
    queued: Option<Arc<RouteAttributes>>,
}

#[derive(Debug, PartialEq, Eq)]
struct Told {
    attributes: Arc<RouteAttributes>,
    draining: bool,
}

#[derive(Debug, Default)]
struct Progress {
    /// Has the first dump been closed?
    ended: bool,
    /// A ROUTE-REFRESH waits for its answer. Further ones ask for no more than that.
    asked: Option<Asked>,
    answer: Answer,
}

/// How a ROUTE-REFRESH wants to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Plainly,
    WithMarks,
}

/// Where an answer to a ROUTE-REFRESH with marks stands (RFC 7313 §4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Answer {
    #[default]
    None,
    ToBegin,
    Begun,
}

impl Adverts {
    /// Wants `prefix` announced like that, or not at all.
    pub fn want(&mut self, prefix: IpNet, attributes: Option<Arc<RouteAttributes>>) {
        let prefix = prefix.trunc();
        if attributes.is_none() && !self.entries.contains_key(&prefix) {
            return;
        }
        self.wanted += usize::from(attributes.is_some());
        let before = std::mem::replace(&mut self.entries.entry(prefix).or_default().wanted, attributes);
        self.wanted -= usize::from(before.is_some());
        self.settle(prefix);
    }

    /// Wants these announced and no others. From now on it is known what is wanted: the first dump can be closed.
    pub fn want_all(&mut self, wanted: &BTreeMap<IpNet, Arc<RouteAttributes>>) {
        self.want_only(wanted);
        self.loaded = true;
    }

    /// The same of routes that are no dump of their own, and are closed with none.
    pub(super) fn want_only(&mut self, wanted: &BTreeMap<IpNet, Arc<RouteAttributes>>) {
        let unwanted: Vec<_> =
            self.entries.keys().filter(|prefix| !wanted.contains_key(*prefix)).copied().collect();
        for prefix in unwanted {
            self.want(prefix, None);
        }
        for (prefix, attributes) in wanted {
            self.want(*prefix, Some(Arc::clone(attributes)));
        }
    }

    /// Nobody says any more what is wanted: what is known has to do.
    pub fn stop_waiting(&mut self) {
        self.loaded = true;
    }

    /// Is it known what is wanted?
    pub const fn is_loaded(&self) -> bool {
        self.loaded
    }

    /// This node is about to leave, or no longer: tell every route anew (RFC 8326).
    pub fn set_draining(&mut self, draining: bool) {
        self.draining = draining;
        self.settle_all();
    }

    /// A session came up that carries these families: its router knows nothing.
    pub fn begin(&mut self, families: &BTreeSet<Family>) {
        self.end();
        self.families = families.iter().map(|family| (*family, Progress::default())).collect();
        self.settle_all();
    }

    /// The session went down, and with it what the router was told.
    pub fn end(&mut self) {
        self.families.clear();
        self.withdrawals.clear();
        self.announcements.clear();
        self.unsendable.clear();
        self.told = 0;
        self.entries.retain(|_, entry| entry.wanted.is_some());
        for entry in self.entries.values_mut() {
            (entry.told, entry.queued) = (None, None);
        }
    }

    /// The router asks for all routes of `family` again (RFC 2918); `marked`: between marks (RFC 7313). It is told them
    /// when it has read what waits already. `false` if the session does not carry the family.
    pub fn refresh(&mut self, family: Family, marked: bool) -> bool {
        let Some(progress) = self.families.get_mut(&family) else { return false };
        // No more than a note: a router can send thousands of these at once.
        progress.asked = Some(if marked { Asked::WithMarks } else { Asked::Plainly });
        true
    }

    /// Prefixes that the router knows from us.
    pub const fn announced(&self) -> usize {
        self.told
    }

    /// Prefixes of which the router does not know yet what has become of them; without a session, all.
    pub fn pending(&self) -> usize {
        if self.families.is_empty() {
            return self.entries.len();
        }
        self.announcements.values().map(BTreeSet::len).sum::<usize>() + self.withdrawals.len()
    }

    /// Prefixes that the router is to know from us, whether it does or not.
    pub const fn wanted(&self) -> usize {
        self.wanted
    }

    /// What is wanted and cannot be told to this router, and why.
    pub fn unsendable(&self) -> impl Iterator<Item = (&IpNet, &Unsendable)> {
        self.unsendable.iter()
    }

    /// Does the router know all that it should, and that this is all?
    pub fn is_synchronised(&self) -> bool {
        let ended = |progress: &Progress| progress.ended && progress.answer == Answer::None;
        !self.families.is_empty()
            && self.families.values().all(ended)
            && self.pending() == 0
            && !self.is_asked()
    }

    /// Is there something to tell?
    pub fn has_message(&self) -> bool {
        !self.families.is_empty()
            && (self.pending() > 0 || self.is_asked() || (self.loaded && !self.is_synchronised()))
    }

    fn is_asked(&self) -> bool {
        self.families.values().any(|progress| progress.asked.is_some())
    }

    /// The next message, which from now on counts as told. Routes that go leave first: sending somebody to a place that
    /// is no more is worse than not sending him.
    pub fn next_message(&mut self, outlook: &Outlook) -> Option<Vec<u8>> {
        let outlook = &Outlook { draining: self.draining, ..*outlook };
        self.next_owed(outlook).or_else(|| {
            // One answer at a time: what it costs is paid for by a router that reads.
            self.answer_requests();
            self.next_owed(outlook)
        })
    }

    fn next_owed(&mut self, outlook: &Outlook) -> Option<Vec<u8>> {
        self.next_withdrawal(outlook)
            .or_else(|| self.mark(Answer::ToBegin, Answer::Begun, Demarcation::Beginning))
            .or_else(|| self.next_announcement(outlook))
            // What turned out just now not to be tellable may have been told before.
            .or_else(|| self.next_withdrawal(outlook))
            .or_else(|| self.end_of_rib(outlook))
            .or_else(|| self.mark(Answer::Begun, Answer::None, Demarcation::End))
    }

    /// Takes up what was asked for: from now on it is owed.
    fn answer_requests(&mut self) {
        let mut families = BTreeSet::new();
        for (family, progress) in &mut self.families {
            let Some(asked) = progress.asked.take() else { continue };
            families.insert(*family);
            match asked {
                Asked::WithMarks if progress.ended => progress.answer = Answer::ToBegin,
                Asked::WithMarks | Asked::Plainly => {}
            }
        }
        if families.is_empty() {
            return;
        }
        let of_families = |prefix: &&IpNet| families.contains(&family_of(**prefix));
        let told: Vec<_> = self.entries.keys().filter(of_families).copied().collect();
        for prefix in told {
            self.queue(prefix);
        }
    }

    fn next_withdrawal(&mut self, outlook: &Outlook) -> Option<Vec<u8>> {
        let family = family_of(*self.withdrawals.first()?);
        let mut prefixes = Prefixes::none(family);
        let empty = outlook.withdrawal(Prefixes::none(family));
        let mut room = room(&empty, outlook, family)?;
        while let Some(prefix) = self.withdrawals.first().copied() {
            if !fits(outlook.octets(prefix), &mut room) || !prefixes.push(prefix) {
                break;
            }
            self.withdrawals.remove(&prefix);
            let gone = self.entries.get_mut(&prefix).is_some_and(|entry| {
                self.told = self.told.saturating_sub(usize::from(entry.told.take().is_some()));
                entry.wanted.is_none()
            });
            if gone {
                self.entries.remove(&prefix);
            }
        }
        outlook.emit(&outlook.withdrawal(prefixes), family).ok()
    }

    fn next_announcement(&mut self, outlook: &Outlook) -> Option<Vec<u8>> {
        while let Some(((family, attributes), _)) = self.announcements.first_key_value() {
            let (family, attributes) = (*family, Arc::clone(attributes));
            match self.announcement(outlook, family, &attributes) {
                Ok(message) => return message,
                Err(why) => self.give_up(family, &attributes, why),
            }
        }
        None
    }

    /// As many of the routes with these attributes as fit a message.
    fn announcement(
        &mut self,
        outlook: &Outlook,
        family: Family,
        attributes: &Arc<RouteAttributes>,
    ) -> Result<Option<Vec<u8>>, Unsendable> {
        let empty = outlook.announcement(attributes, Prefixes::none(family))?;
        let mut room = room(&empty, outlook, family).unwrap_or_default();
        let key = (family, Arc::clone(attributes));
        let waiting = self.announcements.get(&key).into_iter().flatten().copied();
        let mut prefixes = Prefixes::none(family);
        for prefix in waiting {
            if prefixes.is_empty() {
                // Alone it has to fit, or it never will.
                prefixes.push(prefix);
                let alone = outlook.announcement(attributes, prefixes.clone())?;
                outlook.emit(&alone, family).map_err(Unsendable::TooLong)?;
                fits(outlook.octets(prefix), &mut room);
            } else if !fits(outlook.octets(prefix), &mut room) || !prefixes.push(prefix) {
                break;
            }
        }
        for prefix in prefixes.nets() {
            self.unqueue(prefix);
            let Some(entry) = self.entries.get_mut(&prefix) else { continue };
            let told = Told { attributes: Arc::clone(attributes), draining: outlook.draining };
            self.told += usize::from(entry.told.replace(told).is_none());
        }
        let update = outlook.announcement(attributes, prefixes)?;
        outlook.emit(&update, family).map(Some).map_err(Unsendable::TooLong)
    }

    /// None of these routes can be told. What the router was told of them before holds no longer.
    fn give_up(&mut self, family: Family, attributes: &Arc<RouteAttributes>, why: Unsendable) {
        let Some(prefixes) = self.announcements.remove(&(family, Arc::clone(attributes))) else { return };
        for prefix in prefixes {
            self.unsendable.insert(prefix, why);
            if let Some(entry) = self.entries.get_mut(&prefix) {
                entry.queued = None;
                if entry.told.is_some() {
                    self.withdrawals.insert(prefix);
                }
            }
        }
    }

    fn end_of_rib(&mut self, outlook: &Outlook) -> Option<Vec<u8>> {
        if !self.loaded {
            return None;
        }
        let (family, progress) = self.families.iter_mut().find(|(_, progress)| !progress.ended)?;
        progress.ended = true;
        outlook.emit(&Update::end_of_rib(*family), *family).ok()
    }

    fn mark(&mut self, from: Answer, to: Answer, demarcation: Demarcation) -> Option<Vec<u8>> {
        let (family, progress) = self.families.iter_mut().find(|(_, progress)| progress.answer == from)?;
        progress.answer = to;
        Some(RouteRefresh { family: (*family).into(), demarcation }.emit())
    }

    fn settle_all(&mut self) {
        let prefixes: Vec<_> = self.entries.keys().copied().collect();
        for prefix in prefixes {
            self.settle(prefix);
        }
    }

    /// Puts `prefix` where it belongs: among what to withdraw, among what to announce, or nowhere.
    fn settle(&mut self, prefix: IpNet) {
        self.unqueue(prefix);
        self.withdrawals.remove(&prefix);
        self.unsendable.remove(&prefix);
        let Some(entry) = self.entries.get(&prefix) else { return };
        let draining = self.draining;
        match (&entry.wanted, &entry.told) {
            (None, None) => {
                self.entries.remove(&prefix);
            }
            (None, Some(_)) => {
                self.withdrawals.insert(prefix);
            }
            (Some(wanted), Some(told)) if told.attributes == *wanted && told.draining == draining => {}
            (Some(_), Some(_) | None) => self.queue(prefix),
        }
    }

    /// To be announced, be it again.
    fn queue(&mut self, prefix: IpNet) {
        let family = family_of(prefix);
        if !self.families.contains_key(&family) {
            return;
        }
        let Some(entry) = self.entries.get_mut(&prefix) else { return };
        let Some(wanted) = &entry.wanted else { return };
        entry.queued = Some(Arc::clone(wanted));
        self.announcements.entry((family, Arc::clone(wanted))).or_default().insert(prefix);
    }

    fn unqueue(&mut self, prefix: IpNet) {
        let queued = self.entries.get_mut(&prefix).and_then(|entry| entry.queued.take());
        let Some(attributes) = queued else { return };
        let key = (family_of(prefix), attributes);
        if let Some(waiting) = self.announcements.get_mut(&key) {
            waiting.remove(&prefix);
            if waiting.is_empty() {
                self.announcements.remove(&key);
            }
        }
    }
}

fn family_of(prefix: IpNet) -> Family {
    Family::of(prefix.addr())
}

/// Octets left for prefixes in `empty`. An attribute that grows past 255 octets takes one more for its length.
fn room(empty: &Update, outlook: &Outlook, family: Family) -> Option<usize> {
    let used = outlook.emit(empty, family).ok()?.len() + 1;
    outlook.limit.checked_sub(used)
}

fn fits(octets: usize, room: &mut usize) -> bool {
    match room.checked_sub(octets) {
        Some(left) => *room = left,
        None => return false,
    }
    true
}

//! The rule: what a service should hold, given what it claims, what it holds, and the pools.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::choose::{self, Namespaces, admits};
use super::{Assignment, Books, Claim, FamilyDemand, Vips};
use crate::address::Family;
use crate::config::{Pool, Pools};
use crate::names::{PoolName, ServiceKey};
use crate::refusal::{AllocationRefusal as Refused, Unknown};

/// What the status of a service should be, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settlement {
    /// The addresses its status should show; `None` for none.
    pub vips: Option<Vips>,
    /// The pool they come from.
    pub pool: Option<PoolName>,
    /// Why it does not have all it asks for.
    pub refusal: Option<Refused>,
    /// What happened, in order, for events on the service.
    pub notes: Vec<Note>,
    /// Younger services that lost an address to this one, which held it in its status too: settle them next.
    pub evicted: BTreeSet<ServiceKey>,
    /// Addresses that others may be able to use now: given up, or free for other ports or on other terms than before.
    pub opened: BTreeSet<IpAddr>,
}

/// Something that happened to a service's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// It was given these.
    Allocated(Vec<IpAddr>),
    /// It asked in vain.
    AllocationFailed(Refused),
    /// It lost what it held.
    Cleared(Refused),
    /// It could not be given an address of the second family.
    AdditionalFailed(Refused),
    /// What it asks for cannot be read; what it holds stays.
    BadRequest(Refused),
    /// What its status holds cannot be read.
    BadStatus(Refused),
    /// What its cluster IPs are cannot be read.
    BadClusterIps(Refused),
    /// RequireDualStack without two cluster IPs.
    NotDualStack(Refused),
    /// It keeps an address that no valid pool owns.
    Held(Refused),
}

impl Books {
    /// Takes into the books what the status of `service` shows, and gives out nothing. At a start this comes first,
    /// for every service: only then is it known what is free. [`Books::settle`] decides later whether it may stay.
    pub fn adopt(&mut self, service: &ServiceKey, claim: &Claim, pools: &Pools) {
        let Ok(addresses) = &claim.held else { return };
        let Ok(vips) = Vips::try_from(addresses.as_slice()) else { return };
        if claim.is_load_balancer {
            let pool = pools.owner_of(vips).map(|pool| pool.name.clone());
            self.make_room(service, claim, vips);
            // Refused: an older service is on one of them. Settling this one will say so.
            let _ = self.record(service, claim, vips, pool.as_ref());
        }
    }

    /// Of services whose status claims one address that they may not share the older keeps it: strikes out the others
    /// if `service` is older than all of them. Not where it is in the books with `vips` already and only changed its
    /// terms: then it is this one that has to go.
    fn make_room(
        &mut self,
        service: &ServiceKey,
        claim: &Claim,
        vips: Vips,
    ) -> BTreeMap<ServiceKey, Assignment> {
        if self.assignment(service).is_some_and(|assignment| assignment.vips == vips) {
            return BTreeMap::new();
        }
        let conflicts = vips.iter().flat_map(|address| self.conflicts(address, service, claim));
        let holders: BTreeSet<_> = conflicts.map(|(holder, _)| holder.clone()).collect();
        let we = (claim.created, service);
        let younger =
            |holder: &ServiceKey| self.assignment(holder).is_some_and(|it| (it.created, holder) > we);
        if !holders.iter().all(younger) {
            return BTreeMap::new();
        }
        holders.into_iter().filter_map(|holder| Some((holder.clone(), self.release(&holder)?))).collect()
    }

    /// Brings the books in line with what `service` claims. Total: whatever the claim, the outcome says what the
    /// status should be. Calling it again with nothing changed changes nothing.
    pub fn settle(
        &mut self,
        service: &ServiceKey,
        claim: &Claim,
        pools: &Pools,
        namespaces: &Namespaces,
    ) -> Settlement {
        let before = self.assignment(service).cloned();
        let mut settling = Settling {
            books: self,
            service,
            claim,
            pools,
            namespaces,
            notes: Vec::new(),
            evicted: BTreeSet::new(),
            opened: BTreeSet::new(),
            given_up: None,
            forgot: false,
        };
        let outcome = settling.run();
        let Settling { notes, evicted, mut opened, given_up, .. } = settling;
        let refusal = match outcome {
            Outcome::Holds(refusal) => refusal,
            Outcome::Clear(refusal) => {
                self.release(service);
                refusal
            }
        };
        let after = self.assignment(service).cloned();
        if let Some(after) = after.as_ref().filter(|after| !after.terms.key.is_empty()) {
            let is_new =
                |address: &IpAddr| before.as_ref().is_none_or(|before| !before.vips.contains(*address));
            opened.extend(after.vips.iter().filter(is_new)); // others may join it there
        }
        // Before this it may have held something by its status alone, which the books did not know yet.
        for before in [before, given_up].into_iter().flatten() {
            opened.extend(opened_by(&before, after.as_ref()));
            let gone = |address: &IpAddr| after.as_ref().is_none_or(|after| !after.vips.contains(*address));
            self.cool_down(service, &before, before.vips.iter().filter(gone));
        }
        Settlement {
            vips: after.as_ref().map(|assignment| assignment.vips),
            pool: after.and_then(|assignment| assignment.pool),
            refusal,
            notes,
            evicted,
            opened,
        }
    }
}

/// Of what `before` had, and of what is shared from now on, the addresses that somebody else may be able to use now.
fn opened_by(before: &Assignment, after: Option<&Assignment>) -> Vec<IpAddr> {
    let Some(after) = after else { return before.vips.to_vec() };
    let left = before.vips.iter().filter(|address| !after.vips.contains(*address));
    if before.terms != after.terms || !before.ports.is_subset(&after.ports) {
        return left.chain(after.vips.iter()).collect();
    }
    left.collect()
}

enum Outcome {
    /// What the books say is what the status should say.
    Holds(Option<Refused>),
    /// The status should be empty.
    Clear(Option<Refused>),
}

struct Settling<'a> {
    books: &'a mut Books,
    service: &'a ServiceKey,
    claim: &'a Claim,
    pools: &'a Pools,
    namespaces: &'a Namespaces,
    notes: Vec<Note>,
    evicted: BTreeSet<ServiceKey>,
    /// What those had beside what this one wants, and what this one is the first to share.
    opened: BTreeSet<IpAddr>,
    /// What it held when it gave that up.
    given_up: Option<Assignment>,
    /// It has given up what its status shows.
    forgot: bool,
}

impl<'a> Settling<'a> {
    fn run(&mut self) -> Outcome {
        let claim = self.claim;
        if !claim.is_load_balancer {
            return Outcome::Clear(None);
        }
        if self.pools.is_empty() && !claim.is_marked && claim.held.as_ref().is_ok_and(|held| !held.is_empty())
        {
            // Nobody has set MetalLB up, and somebody else gave this service its address: leave it.
            return self.keep(Note::Held(Refused::NoPools));
        }
        if self.pools.is_empty() {
            return self.clear(Note::AllocationFailed(Refused::NoPools));
        }
        let demand = match &claim.families {
            Ok(demand) => *demand,
            Err(refusal @ Refused::NoClusterIp) => {
                return self.clear(Note::AllocationFailed(refusal.clone()));
            }
            Err(refusal @ Refused::NotDualStack) => return self.clear(Note::NotDualStack(refusal.clone())),
            Err(refusal) => return self.keep(Note::BadClusterIps(refusal.clone())),
        };
        if let Some(vips) = self.held(demand) {
            match self.reassert(vips) {
                Ok(()) => {}
                Err(outcome) => return outcome,
            }
        } else {
            self.books.release(self.service);
        }
        let requested = match &claim.requested {
            Ok(requested) => *requested,
            Err(problem) => {
                return self.keep(Note::BadRequest(Refused::BadRequest { problem: problem.clone() }));
            }
        };
        match self.books.assignment(self.service).map(|assignment| assignment.vips) {
            Some(vips) if requested.is_some_and(|requested| requested != vips) => {
                self.forget(Note::Cleared(Refused::RequestChanged { held: vips.to_vec() }));
                self.allocate(demand, requested)
            }
            Some(vips) => Outcome::Holds(self.second_family(demand, vips, requested)),
            None => self.allocate(demand, requested),
        }
    }

    /// The addresses of the status, as far as they can be kept.
    fn held(&mut self, demand: FamilyDemand) -> Option<Vips> {
        let addresses = match &self.claim.held {
            Ok(addresses) if addresses.is_empty() => return None,
            Ok(addresses) => addresses,
            Err(problem) => {
                self.forget(Note::BadStatus(Refused::BadStatus { problem: problem.clone() }));
                return None;
            }
        };
        match Vips::try_from(addresses.as_slice()) {
            Err(bad) => {
                self.forget(Note::BadStatus(Refused::BadStatus { problem: bad.to_string() }));
                None
            }
            Ok(vips) if !demand.accepts(vips) => {
                let (held, families) = (vips.to_vec(), demand.families());
                self.forget(Note::Cleared(Refused::HeldFamilies { held, families }));
                None
            }
            Ok(vips) => Some(vips),
        }
    }

    /// Records what the service holds. `Err` ends the settling: its addresses are held until the pools are known.
    fn reassert(&mut self, vips: Vips) -> Result<(), Outcome> {
        if self.owner(vips).is_ok() || self.pools.any_set_aside() {
            for (holder, assignment) in self.books.make_room(self.service, self.claim, vips) {
                self.opened.extend(assignment.vips.iter().filter(|address| !vips.contains(*address)));
                self.evicted.insert(holder);
            }
        }
        match self.assign(vips) {
            Ok(pool) => match &self.claim.requested_pool {
                Some(wanted) if *wanted != pool && self.pools.is_set_aside(wanted) => Err(self
                    .keep(Note::Held(Refused::UnknownPool { pool: wanted.clone(), why: Unknown::SetAside }))),
                Some(wanted) if *wanted != pool => {
                    self.forget(Note::Cleared(Refused::RequestChanged { held: vips.to_vec() }));
                    Ok(())
                }
                Some(_) | None => Ok(()),
            },
            Err(Refused::OutsidePools { addresses }) if self.pools.any_set_aside() => {
                // Which pool owns them is not known, so nobody takes them away, and nobody else gets them.
                match self.books.record(self.service, self.claim, vips, None) {
                    Ok(()) => Err(self.keep(Note::Held(Refused::PoolInvalid { addresses }))),
                    Err(refusal) => {
                        self.forget(Note::Cleared(refusal));
                        Ok(())
                    }
                }
            }
            Err(refusal) => {
                self.forget(Note::Cleared(refusal));
                Ok(())
            }
        }
    }

    /// PreferDualStack with one address: the pool may have one of the other family by now. Not where the service
    /// asked for exactly what it holds.
    fn second_family(
        &mut self,
        demand: FamilyDemand,
        vips: Vips,
        requested: Option<Vips>,
    ) -> Option<Refused> {
        let (FamilyDemand::Prefer(_), Vips::One(address), None) = (demand, vips, requested) else {
            return None;
        };
        let pool = self.books.assignment(self.service)?.pool.clone()?;
        let pool = self.pools.get(&pool)?;
        let family = Family::of(address).other();
        let added = self
            .books
            .first_acceptable(pool, family, self.service, self.claim)
            .and_then(|second| Some((second, Vips::pair(address, second).ok()?)));
        let refusal = match added {
            None => Refused::NoSecondFamily { pool: pool.name.clone(), family },
            Some((second, both)) => match self.books.record(self.service, self.claim, both, Some(&pool.name))
            {
                Ok(()) => {
                    self.notes.push(Note::Allocated(vec![second]));
                    return None;
                }
                Err(refusal) => refusal,
            },
        };
        self.notes.push(Note::AdditionalFailed(refusal.clone()));
        Some(refusal)
    }

    fn allocate(&mut self, demand: FamilyDemand, requested: Option<Vips>) -> Outcome {
        match self.find(demand, requested) {
            Ok(vips) => {
                self.notes.push(Note::Allocated(vips.to_vec()));
                Outcome::Holds(None)
            }
            Err(refusal) => self.clear(Note::AllocationFailed(refusal)),
        }
    }

    fn find(&mut self, demand: FamilyDemand, requested: Option<Vips>) -> Result<Vips, Refused> {
        let wanted = match &self.claim.requested_pool {
            None => None,
            Some(name) => Some(self.pools.get(name).ok_or_else(|| self.unknown(name))?),
        };
        let (vips, pool) = match (requested, wanted) {
            (Some(vips), wanted) => (vips, self.requested_addresses(demand, vips, wanted)?),
            (None, Some(pool)) => {
                self.admitted(pool)?;
                choose::best_of(self.books, &[pool], self.service, self.claim, demand).ok_or_else(|| {
                    Refused::PoolsFull { pools: vec![pool.name.clone()], families: demand.families() }
                })?
            }
            (None, None) => choose::from_any_pool(
                self.books,
                self.pools,
                self.service,
                self.claim,
                demand,
                self.namespaces,
            )?,
        };
        self.books.record(self.service, self.claim, vips, Some(&pool.name))?;
        Ok(vips)
    }

    fn requested_addresses(
        &self,
        demand: FamilyDemand,
        vips: Vips,
        wanted: Option<&Pool>,
    ) -> Result<&'a Pool, Refused> {
        if !demand.accepts(vips) {
            return Err(Refused::RequestFamilies { requested: vips.to_vec(), families: demand.families() });
        }
        let pool = self.owner(vips)?;
        match wanted {
            Some(wanted) if wanted.name != pool.name => {
                Err(Refused::RequestContradicts { pool: wanted.name.clone(), owner: pool.name.clone() })
            }
            Some(_) | None => Ok(pool),
        }
    }

    /// Records `vips` as long as a pool owns and admits them.
    fn assign(&mut self, vips: Vips) -> Result<PoolName, Refused> {
        let name = self.owner(vips)?.name.clone();
        self.books.record(self.service, self.claim, vips, Some(&name))?;
        Ok(name)
    }

    /// The pool that owns `vips` and admits the service.
    fn owner(&self, vips: Vips) -> Result<&'a Pool, Refused> {
        let pool =
            self.pools.owner_of(vips).ok_or_else(|| Refused::OutsidePools { addresses: vips.to_vec() })?;
        self.admitted(pool)?;
        Ok(pool)
    }

    fn unknown(&self, pool: &PoolName) -> Refused {
        let why = if self.pools.is_set_aside(pool) {
            Unknown::SetAside
        } else {
            let open = self.pools.iter().filter(|pool| self.admitted(pool).is_ok());
            Unknown::Missing { open: open.map(|pool| pool.name.clone()).collect() }
        };
        Refused::UnknownPool { pool: pool.clone(), why }
    }

    fn admitted(&self, pool: &Pool) -> Result<(), Refused> {
        if admits(pool, self.service, self.claim, self.namespaces) {
            Ok(())
        } else {
            Err(Refused::NotAdmitted { pool: pool.name.clone() })
        }
    }

    /// Gives up what it holds and goes on.
    fn forget(&mut self, note: Note) {
        self.given_up = self.books.release(self.service).or(self.given_up.take());
        self.notes.push(note);
        self.forgot = true;
    }

    /// Gives up what it holds and stops.
    fn clear(&mut self, note: Note) -> Outcome {
        let refusal = note.refusal().cloned();
        self.notes.push(note);
        Outcome::Clear(refusal)
    }

    /// Stops with what it holds, also right after a start, when the books do not know it yet. What was given up in this
    /// very settling stays given up.
    fn keep(&mut self, note: Note) -> Outcome {
        if self.forgot {
            return self.clear(note);
        }
        if self.books.assignment(self.service).is_none()
            && let Ok(addresses) = &self.claim.held
            && let Ok(vips) = Vips::try_from(addresses.as_slice())
        {
            let pool = self.pools.owner_of(vips).map(|pool| pool.name.clone());
            if let Err(refusal) = self.books.record(self.service, self.claim, vips, pool.as_ref()) {
                return self.clear(Note::Cleared(refusal));
            }
        }
        let refusal = note.refusal().cloned();
        self.notes.push(note);
        Outcome::Holds(refusal)
    }
}

impl Note {
    /// The refusal it carries.
    pub fn refusal(&self) -> Option<&Refused> {
        match self {
            Self::Allocated(_) => None,
            Self::AllocationFailed(refusal)
            | Self::Cleared(refusal)
            | Self::AdditionalFailed(refusal)
            | Self::BadRequest(refusal)
            | Self::BadStatus(refusal)
            | Self::BadClusterIps(refusal)
            | Self::NotDualStack(refusal)
            | Self::Held(refusal) => Some(refusal),
        }
    }
}

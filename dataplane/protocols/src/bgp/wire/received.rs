//! UPDATE as it comes in: what an error costs (RFC 7606). The least that is safe: an attribute, the routes, or, where
//! it cannot be told any more which routes are meant, the session.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ipnet::IpNet;
use metallb_core::config::Asn;

use super::as_path::{AS_TRANS, AsPath};
use super::attribute::{Category, Raw, code};
use super::attributes::{Aggregator, Attributes, Origin};
use super::community;
use super::family::AddressFamily;
use super::next_hop::NextHop;
use super::notification::Notification;
use super::prefix::{Prefixes, parse_v4};
use super::reader::Reader;
use super::reason::Reason;
use super::update::{MpReach, Update};

/// What has to be known of the sender to read its UPDATEs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Do systems have four octets between us?
    pub four_octet_as: bool,
    /// Is it in our own system?
    pub internal: bool,
}

/// What is wrong with an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Its flags are those of another category.
    Flags(u8),
    /// Its length or its value is none that it can have.
    Value(u8),
    /// It may not come from there.
    Unexpected(u8),
    /// It came before.
    Repeated(u8),
    /// It has to be there, and is not.
    Missing(u8),
    /// It goes on behind the end of the attributes; which one, and what would follow, cannot be told.
    Overrun,
}

/// An UPDATE that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // read, counted and dropped: there is one at a time
pub enum Parsed {
    /// To be honoured, without the attributes that were set aside.
    Sound {
        /// What it says.
        update: Update,
        /// What was set aside.
        set_aside: BTreeSet<Fault>,
    },
    /// Its routes are gone: those it withdraws, and those that it announces with an attribute that nobody can honour.
    Withdraw {
        /// The routes.
        routes: Vec<IpNet>,
        /// What is wrong.
        faults: BTreeSet<Fault>,
    },
}

impl Update {
    /// Reads the body of a message.
    pub fn parse(body: &[u8], sender: Sender) -> Result<Parsed, Notification> {
        let malformed = || Notification::from(Reason::MALFORMED_ATTRIBUTES);
        let mut reader = Reader::new(body);
        let withdrawn = reader.sized_u16().ok_or_else(malformed)?;
        let attributes = reader.sized_u16().ok_or_else(malformed)?;
        let bad_prefix = || Notification::from(Reason::BAD_PREFIX);
        let withdrawn = parse_v4(withdrawn).ok_or_else(bad_prefix)?;
        let announced = parse_v4(reader).ok_or_else(bad_prefix)?;

        let mut reading = Reading { sender, ..Reading::default() };
        reading.update.withdrawn = withdrawn;
        reading.update.announced = announced;
        reading.attributes(attributes)?;
        reading.finish()
    }
}

impl Default for Sender {
    fn default() -> Self {
        Self { four_octet_as: true, internal: false }
    }
}

/// What one attribute turned out to be.
enum Outcome {
    Taken,
    /// RFC 7606 "attribute discard".
    SetAside(Fault),
    /// RFC 7606 "treat-as-withdraw".
    Withdraw(Fault),
}

#[derive(Default)]
struct Reading {
    sender: Sender,
    update: Update,
    as4_path: Option<AsPath>,
    as4_aggregator: Option<Aggregator>,
    set_aside: BTreeSet<Fault>,
    withdraw: BTreeSet<Fault>,
    /// Anything but MP_UNREACH_NLRI?
    beyond_withdrawal: bool,
}

impl Reading {
    fn attributes(&mut self, mut reader: Reader<'_>) -> Result<(), Notification> {
        let mut seen = BTreeSet::new();
        while !reader.is_empty() {
            let Some(raw) = Raw::read(&mut reader) else {
                self.beyond_withdrawal = true;
                self.withdraw.insert(Fault::Overrun);
                return Ok(());
            };
            self.beyond_withdrawal |= raw.code != code::MP_UNREACH_NLRI;
            let outcome = match (seen.insert(raw.code), raw.code) {
                (true, _) => self.attribute(&raw)?,
                // RFC 7606 §3g: two lists of routes, and no telling which is meant.
                (false, code::MP_REACH_NLRI | code::MP_UNREACH_NLRI) => {
                    return Err(Reason::MALFORMED_ATTRIBUTES.into());
                }
                (false, _) => Outcome::SetAside(Fault::Repeated(raw.code)),
            };
            match outcome {
                Outcome::Taken => {}
                Outcome::SetAside(fault) => {
                    self.set_aside.insert(fault);
                }
                Outcome::Withdraw(fault) => {
                    self.withdraw.insert(fault);
                }
            }
        }
        Ok(())
    }

    fn attribute(&mut self, raw: &Raw<'_>) -> Result<Outcome, Notification> {
        let Some(category) = Category::of(raw.code) else {
            if !raw.is_optional() {
                return Err(Notification::new(Reason::UNRECOGNISED_WELL_KNOWN, raw.octets()));
            }
            self.update.attributes.unrecognised.push(raw.unrecognised());
            return Ok(Outcome::Taken);
        };
        // Routes first: whatever else is wrong, they must be found.
        match raw.code {
            code::MP_REACH_NLRI => self.mp_reach(raw)?,
            code::MP_UNREACH_NLRI => self.mp_unreach(raw)?,
            _ => {}
        }
        if !raw.is(category) {
            return Ok(Outcome::Withdraw(Fault::Flags(raw.code)));
        }
        if self.may_not_come(raw.code) {
            return Ok(Outcome::SetAside(Fault::Unexpected(raw.code)));
        }
        let fault = Fault::Value(raw.code);
        Ok(match self.value(raw) {
            Some(()) => Outcome::Taken,
            None if is_harmless(raw.code) => Outcome::SetAside(fault),
            None => Outcome::Withdraw(fault),
        })
    }

    /// RFC 7606 §7.5, §7.9, §7.10: from another system; RFC 6793 §4.1: from one that has better means.
    const fn may_not_come(&self, attribute: u8) -> bool {
        match attribute {
            code::LOCAL_PREF | code::ORIGINATOR_ID | code::CLUSTER_LIST => !self.sender.internal,
            code::AS4_PATH | code::AS4_AGGREGATOR => self.sender.four_octet_as,
            _ => false,
        }
    }

    /// Takes the value of an attribute; `None` if it is none that it can have.
    fn value(&mut self, raw: &Raw<'_>) -> Option<()> {
        let mut value = raw.value;
        let four_octets = self.sender.four_octet_as;
        let attributes = &mut self.update.attributes;
        match raw.code {
            code::ORIGIN => attributes.origin = Some(Origin::from_octet(value.u8()?)?),
            code::AS_PATH => attributes.as_path = Some(AsPath::parse(whole(&mut value)?, four_octets)?),
            code::NEXT_HOP => attributes.next_hop = Some(address(&mut value)?),
            code::MULTI_EXIT_DISC => attributes.med = Some(value.u32()?),
            code::LOCAL_PREF => attributes.local_preference = Some(value.u32()?),
            code::ATOMIC_AGGREGATE => attributes.atomic_aggregate = value.is_empty(),
            code::AGGREGATOR => attributes.aggregator = Some(aggregator(&mut value, four_octets)?),
            code::COMMUNITIES => {
                attributes.communities.extend(community::parse_standard(whole(&mut value)?)?);
            }
            code::LARGE_COMMUNITIES => {
                attributes.communities.extend(community::parse_large(whole(&mut value)?)?);
            }
            code::EXTENDED_COMMUNITIES => {
                attributes.extended_communities = community::parse_extended(whole(&mut value)?)?;
            }
            code::ORIGINATOR_ID => attributes.originator_id = Some(address(&mut value)?),
            code::CLUSTER_LIST => {
                let mut clusters = Vec::new();
                while clusters.is_empty() || !value.is_empty() {
                    clusters.push(address(&mut value)?);
                }
                attributes.cluster_list = clusters;
            }
            code::AS4_PATH => self.as4_path = Some(AsPath::parse(whole(&mut value)?, true)?),
            code::AS4_AGGREGATOR => self.as4_aggregator = Some(aggregator(&mut value, true)?),
            // The routes, which were read before.
            _ => return Some(()),
        }
        value.is_empty().then_some(())
    }

    fn mp_reach(&mut self, raw: &Raw<'_>) -> Result<(), Notification> {
        let broken = || Notification::new(Reason::OPTIONAL_ATTRIBUTE, raw.octets());
        let mut value = raw.value;
        let family = AddressFamily::from_octets(value.array().ok_or_else(broken)?);
        let next_hop = value.sized_u8().ok_or_else(broken)?;
        value.u8().ok_or_else(broken)?;
        let Some(family) = family.unicast() else {
            self.update.attributes.unrecognised.push(raw.unrecognised());
            return Ok(());
        };
        let next_hop = NextHop::parse(family, next_hop.rest()).ok_or_else(broken)?;
        let prefixes = Prefixes::parse(family, value).ok_or_else(broken)?;
        self.update.mp_announced = Some(MpReach { next_hop, prefixes });
        Ok(())
    }

    fn mp_unreach(&mut self, raw: &Raw<'_>) -> Result<(), Notification> {
        let broken = || Notification::new(Reason::OPTIONAL_ATTRIBUTE, raw.octets());
        let mut value = raw.value;
        let family = AddressFamily::from_octets(value.array().ok_or_else(broken)?);
        let Some(family) = family.unicast() else {
            self.update.attributes.unrecognised.push(raw.unrecognised());
            return Ok(());
        };
        self.update.mp_withdrawn = Some(Prefixes::parse(family, value).ok_or_else(broken)?);
        Ok(())
    }

    /// What can be said only when all attributes are known.
    fn finish(mut self) -> Result<Parsed, Notification> {
        self.old_sender();
        let update = self.update;
        let mp_announced = update.mp_announced.as_ref().map(|reach| &reach.prefixes);
        let announces = !update.announced.is_empty() || mp_announced.is_some_and(|routes| !routes.is_empty());
        if announces {
            let Attributes { origin, as_path, next_hop, local_preference, .. } = &update.attributes;
            let missing = [
                (code::ORIGIN, origin.is_none()),
                (code::AS_PATH, as_path.is_none()),
                (code::NEXT_HOP, next_hop.is_none() && !update.announced.is_empty()),
                (code::LOCAL_PREF, local_preference.is_none() && self.sender.internal),
            ];
            // RFC 7606 §3d. One that is there and wrong is not missing.
            let absent = missing.into_iter().filter(|(_, missing)| *missing);
            if self.withdraw.is_empty() {
                self.withdraw.extend(absent.map(|(code, _)| Fault::Missing(code)));
            }
        }
        if self.withdraw.is_empty() {
            return Ok(Parsed::Sound { update, set_aside: self.set_aside });
        }
        if !announces && self.beyond_withdrawal {
            // RFC 7606 §5.2: attributes for routes that are not to be found.
            return Err(Reason::MALFORMED_ATTRIBUTES.into());
        }
        let plain = update.withdrawn.iter().chain(&update.announced).copied().map(IpNet::V4);
        let lists = update.mp_withdrawn.iter().chain(mp_announced);
        let routes = plain.chain(lists.flat_map(Prefixes::nets)).collect();
        self.withdraw.extend(self.set_aside);
        Ok(Parsed::Withdraw { routes, faults: self.withdraw })
    }

    /// RFC 6793 §4.2.3: what a sender that knows two octets passed on.
    fn old_sender(&mut self) {
        let attributes = &mut self.update.attributes;
        if let Some(aggregator) = &mut attributes.aggregator
            && let Some(as4_aggregator) = self.as4_aggregator
        {
            if aggregator.asn.get() != u32::from(AS_TRANS) {
                // A system in between aggregated without knowing what is carried along: none of that is of use.
                return;
            }
            *aggregator = as4_aggregator;
        }
        if let Some(as4_path) = self.as4_path.take() {
            attributes.as_path = attributes.as_path.take().map(|path| path.merged(as4_path));
        }
    }
}

/// RFC 7606 §7.6, §7.7 and RFC 6793 §6: without these a route is still itself.
const fn is_harmless(attribute: u8) -> bool {
    matches!(attribute, code::ATOMIC_AGGREGATE | code::AGGREGATOR | code::AS4_PATH | code::AS4_AGGREGATOR)
}

/// All that is left, taken away.
fn whole<'a>(value: &mut Reader<'a>) -> Option<Reader<'a>> {
    value.bytes(value.rest().len()).map(Reader::new)
}

fn address(value: &mut Reader<'_>) -> Option<Ipv4Addr> {
    value.array::<4>().map(Ipv4Addr::from)
}

fn aggregator(value: &mut Reader<'_>, four_octets: bool) -> Option<Aggregator> {
    let number = if four_octets { value.u32()? } else { value.u16()?.into() };
    let asn = Asn::new(number)?;
    let address = address(value)?;
    value.is_empty().then_some(Aggregator { asn, address })
}

//! Communities: names for BGP communities.

use std::collections::BTreeMap;

use metallb_core::config::Community;
use metallb_core::refusal::{CommunityRefusal, ConfigRefusal, Kind};

use super::faults::{Faults, read};
use super::objects::by_age;
use super::{Objects, Parsed};
use crate::CommunityAlias;

/// Older objects first: of two that define one alias the older one stays.
pub(super) fn parse_all(objects: &Objects, parsed: &mut Parsed) {
    let mut definers: BTreeMap<String, &str> = BTreeMap::new();
    for (name, stored) in by_age(&objects.communities) {
        match read(stored, |object| one(object, &definers)) {
            Ok(aliases) => {
                definers.extend(aliases.keys().map(|alias| (alias.clone(), name)));
                parsed.config.communities.extend(aliases);
            }
            Err(refusals) => parsed.refuse_all(Kind::Community, name, refusals),
        }
    }
}

fn one(
    object: &crate::Community,
    definers: &BTreeMap<String, &str>,
) -> Result<BTreeMap<String, Community>, Vec<ConfigRefusal>> {
    let mut faults = Faults::default();
    let mut aliases = BTreeMap::new();
    for CommunityAlias { name, value } in &object.spec.communities {
        let alias = name.clone().unwrap_or_default();
        let value = value.clone().unwrap_or_default();
        let community = value.parse::<Community>().map_err(|cause| CommunityRefusal::BadValue {
            alias: alias.clone(),
            value,
            cause,
        });
        let community = faults.take(community);
        let other = definers.get(&alias).map(|other| (*other).to_owned());
        if other.is_some() || aliases.contains_key(&alias) {
            faults.add(CommunityRefusal::DuplicateAlias { alias, other });
        } else {
            aliases.insert(alias, community);
        }
    }
    let values = aliases.into_iter().map(|(alias, community)| Some((alias, community?)));
    faults.unless(values.collect())
}

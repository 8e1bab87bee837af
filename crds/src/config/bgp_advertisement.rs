//! BGPAdvertisements.

use std::collections::BTreeSet;

use metallb_core::address::Family;
use metallb_core::config::{
    Aggregation, BadCommunity, BgpAdvertisement, Community, Config, Pool, share_a_node, widest_block,
};
use metallb_core::names::{AdvertisementName, PeerName};
use metallb_core::refusal::{AdvertisementRefusal, AnyRefusal, ConfigRefusal, Kind};

use super::faults::{Faults, read};
use super::l2_advertisement::{pool_selection, unknown_pools};
use super::objects::by_age;
use super::{Objects, Parsed, Stored, selector};
use crate::{BGPAdvertisement, BGPAdvertisementSpec};

/// Older advertisements first: of two that contradict each other the older one stays.
///
/// One that only misses something counts all the same: what it misses may come at any moment, and then it must not
/// throw out a younger one that is in force by then.
pub(super) fn parse_all(objects: &Objects, parsed: &mut Parsed) {
    let mut older: Vec<(AdvertisementName, BgpAdvertisement)> = Vec::new();
    for (name, stored) in by_age(&objects.bgp_advertisements) {
        let (mut advertisement, missing) = match read(stored, |object| one(object, &parsed.config)) {
            Ok(read) => read,
            Err(refusals) => {
                parsed.refuse_all(Kind::BgpAdvertisement, name, refusals);
                continue;
            }
        };
        let contradictions: Vec<_> = older
            .iter()
            .filter_map(|older| contradiction(&advertisement, older, &parsed.config, objects))
            .collect();
        let in_force = contradictions.is_empty() && missing.is_empty();
        let withheld = withheld(&mut advertisement, &parsed.config, objects);
        let refusals = [contradictions.as_slice(), &missing, &withheld].concat();
        for refusal in refusals.into_iter().chain(unknown(&advertisement, objects)) {
            parsed.refuse(Kind::BgpAdvertisement, name, refusal);
        }
        if contradictions.is_empty() {
            older.push((name.into(), advertisement.clone()));
        }
        if in_force {
            parsed.config.bgp_advertisements.insert(name.into(), advertisement);
        }
    }
}

/// The advertisement by itself, and the communities that it misses.
fn one(
    object: &BGPAdvertisement,
    config: &Config,
) -> Result<(BgpAdvertisement, Vec<AdvertisementRefusal>), Vec<ConfigRefusal>> {
    let BGPAdvertisementSpec {
        aggregation_length,
        aggregation_length_v6,
        local_pref,
        communities,
        ip_address_pools,
        ip_address_pool_selectors,
        node_selectors,
        peers,
        service_selectors,
    } = &object.spec;
    let mut faults = Faults::default();
    for (field, family, value) in [
        ("spec.aggregationLength", Family::V4, *aggregation_length),
        ("spec.aggregationLengthV6", Family::V6, *aggregation_length_v6),
    ] {
        let allowed = Aggregation::allowed(family);
        if !allowed.contains(&value) {
            let (min, max) = (i64::from(*allowed.start()), i64::from(*allowed.end()));
            faults.add(AnyRefusal::OutOfRange { field, value: i64::from(value), min, max });
        }
    }
    let aggregation = Aggregation::new(*aggregation_length, *aggregation_length_v6);
    if !service_selectors.is_empty() && aggregation.is_some_and(|aggregation| !aggregation.is_none()) {
        faults.add(AdvertisementRefusal::AggregationOfSelected);
    }
    let mut peer_names = BTreeSet::new();
    for peer in peers {
        let peer = PeerName::from(peer.as_str());
        if !peer_names.insert(peer.clone()) {
            faults.add(AdvertisementRefusal::DuplicatePeer { peer });
        }
    }
    let pools = pool_selection(ip_address_pools, ip_address_pool_selectors, &mut faults);
    let node_selectors = faults.take(selector::list("spec.nodeSelectors", node_selectors));
    let service_selectors = faults.take(selector::list("spec.serviceSelectors", service_selectors));
    let (communities, missing) = resolve(communities, config, &mut faults);
    let advertisement = aggregation.map(|aggregation| BgpAdvertisement {
        pools,
        withheld: BTreeSet::new(),
        node_selectors: node_selectors.unwrap_or_default(),
        service_selectors: service_selectors.unwrap_or_default(),
        peers: peer_names,
        aggregation,
        local_preference: local_pref.filter(|preference| *preference != 0),
        communities,
    });
    faults.unless(advertisement.map(|advertisement| (advertisement, missing)))
}

/// Each item is an alias, or a community itself. One without a colon can only be an alias, so it is missing rather than
/// wrong.
fn resolve(
    items: &[String],
    config: &Config,
    faults: &mut Faults,
) -> (BTreeSet<Community>, Vec<AdvertisementRefusal>) {
    let (mut communities, mut missing) = (BTreeSet::new(), Vec::new());
    let mut seen = BTreeSet::new();
    for item in items {
        let community = item.clone();
        if !seen.insert(item) {
            faults.add(AdvertisementRefusal::DuplicateCommunity { community });
            continue;
        }
        let resolved = config.communities.get(item).copied().map_or_else(|| item.parse(), Ok);
        match resolved {
            Ok(resolved) => {
                communities.insert(resolved);
            }
            Err(BadCommunity::Format) if !item.contains(':') => {
                missing.push(AdvertisementRefusal::UnknownCommunity { community });
            }
            Err(cause) => faults.add(AdvertisementRefusal::BadCommunity { community, cause }),
        }
    }
    (communities, missing)
}

fn contradiction(
    ours: &BgpAdvertisement,
    (other, theirs): &(AdvertisementName, BgpAdvertisement),
    config: &Config,
    objects: &Objects,
) -> Option<AdvertisementRefusal> {
    let nodes = objects.nodes.as_ref().map(|nodes| nodes.values().map(|node| &node.labels));
    let selected_by_both = |pool: &&Pool| {
        ours.pools.selects(&pool.name, &pool.labels) && theirs.pools.selects(&pool.name, &pool.labels)
    };
    let mut pools = config.pools.iter().filter(selected_by_both);
    let pool = pools.find(|pool| ours.contradicts(theirs, pool))?;
    share_a_node(&ours.node_selectors, &theirs.node_selectors, nodes).then(|| {
        AdvertisementRefusal::LocalPreferences {
            ours: ours.local_preference.unwrap_or_default(),
            other: other.clone(),
            theirs: theirs.local_preference.unwrap_or_default(),
            pool: pool.name.clone(),
        }
    })
}

/// Withholds the pools that `advertisement` must not announce. The others it may.
fn withheld(
    advertisement: &mut BgpAdvertisement,
    config: &Config,
    objects: &Objects,
) -> Vec<AdvertisementRefusal> {
    let mut refusals = Vec::new();
    for pool in config.pools.iter() {
        if !advertisement.pools.selects(&pool.name, &pool.labels) {
            continue;
        }
        let reasons = [too_wide(advertisement, pool, objects), echo(advertisement, pool, config)];
        let before = refusals.len();
        refusals.extend(reasons.into_iter().flatten());
        if refusals.len() > before {
            advertisement.withheld.insert(pool.name.clone());
        }
    }
    refusals
}

/// An aggregate must fit into each entry of the pool, or it attracts traffic for addresses that are not the pool's.
fn too_wide(
    advertisement: &BgpAdvertisement,
    pool: &Pool,
    objects: &Objects,
) -> Option<AdvertisementRefusal> {
    pool.ranges().iter().enumerate().find_map(|(i, range)| {
        let length = advertisement.aggregation.length(range.family());
        let prefix = widest_block(range);
        let entry = match objects.pools.get(pool.name.as_str()) {
            Some(Stored::Readable(object)) => object.spec.addresses.get(i).cloned(),
            Some(Stored::Unreadable { .. }) | None => None,
        };
        (length < prefix).then(|| AdvertisementRefusal::AggregationTooWide {
            length,
            prefix,
            entry: entry.unwrap_or_else(|| range.to_string()),
            pool: pool.name.clone(),
        })
    })
}

fn echo(advertisement: &BgpAdvertisement, pool: &Pool, config: &Config) -> Option<AdvertisementRefusal> {
    pool.ranges_of(Family::V6).next()?;
    let peers = config.peers.iter().filter(|(name, _)| advertisement.covers_peer(name));
    let mut watched = peers.filter_map(|(name, peer)| Some((name, peer.bfd.as_ref()?)));
    let (peer, bfd) = watched.find(|(_, bfd)| bfd.profile.echo_mode)?;
    let (pool, peer, profile) = (pool.name.clone(), peer.clone(), bfd.name.clone());
    Some(AdvertisementRefusal::EchoWithIpv6 { pool, peer, profile })
}

fn unknown(advertisement: &BgpAdvertisement, objects: &Objects) -> Vec<AdvertisementRefusal> {
    let peers = advertisement.peers.iter().filter(|peer| !objects.bgp_peers.contains_key(peer.as_str()));
    let peers = peers.map(|peer| AdvertisementRefusal::UnknownPeer { peer: peer.clone() });
    unknown_pools(&advertisement.pools, objects).chain(peers).collect()
}

//! BGPAdvertisements, and the Communities that they refer to.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{codes, read, refused, set_aside};
use crate::config::{Node, Objects, Stored, parse};

fn named<K: DeserializeOwned>(name: &str, spec: &Value) -> (String, Stored<K>) {
    let created = if name.starts_with("young") { "2026-01-02T00:00:00Z" } else { "2026-01-01T00:00:00Z" };
    (name.to_owned(), read(json!({ "metadata": {}, "spec": spec }), name, created))
}

fn advertisement(spec: &Value) -> Objects {
    Objects { bgp_advertisements: [named("lab", spec)].into(), ..Objects::default() }
}

fn with_pool(addresses: &[&str], spec: &Value) -> Objects {
    let pools = [named("pool", &json!({ "addresses": addresses }))].into();
    Objects { pools, ..advertisement(spec) }
}

fn community(name: &str, aliases: &[(&str, &str)]) -> (String, Stored<crate::Community>) {
    let aliases = aliases.iter().map(|(name, value)| json!({ "name": name, "value": value }));
    named(name, &json!({ "communities": aliases.collect::<Value>() }))
}

#[test]
fn a_complete_advertisement_is_read_field_by_field() {
    let mut objects = advertisement(&json!({
        "aggregationLength": 24,
        "aggregationLengthV6": 64,
        "localPref": 200,
        "communities": ["64512:1", "quiet", "large:1:2:3"],
        "ipAddressPools": ["pool"],
        "ipAddressPoolSelectors": [{ "matchLabels": { "zone": "a" } }],
        "nodeSelectors": [{ "matchLabels": { "edge": "" } }],
        "peers": ["tor"],
    }));
    objects.communities = [community("names", &[("quiet", "65535:65281")])].into();
    assert_eq!(set_aside(&objects), []);
    let parsed = parse(&objects);
    let lab = &parsed.config.bgp_advertisements["lab"];
    assert_eq!(lab.aggregation.route("10.1.2.3".parse().unwrap()).to_string(), "10.1.2.0/24");
    assert_eq!(lab.aggregation.route("fd00::1".parse().unwrap()).to_string(), "fd00::/64");
    assert_eq!(lab.local_preference, Some(200));
    let communities: Vec<_> = lab.communities.iter().map(ToString::to_string).collect();
    assert_eq!(communities, ["64512:1", "65535:65281", "large:1:2:3"]);
    assert!(lab.covers_peer(&"tor".into()) && !lab.covers_peer(&"other".into()));
    assert!(lab.covers_node(&[("edge".to_owned(), String::new())].into()) && !lab.covers_node(&[].into()));
    assert!(lab.covers_pool(&"any".into(), &[("zone".to_owned(), "a".to_owned())].into()));
}

#[test]
fn an_advertisement_with_nothing_but_a_name_announces_every_address_to_everybody() {
    let parsed = parse(&advertisement(&json!({})));
    assert_eq!(parsed.refusals, []);
    assert_eq!(parsed.config.bgp_advertisements["lab"], metallb_core::config::BgpAdvertisement::default());
    let zero = parse(&advertisement(&json!({ "localPref": 0 })));
    assert_eq!(zero.config, parsed.config, "0 is \"not set\"");
}

#[test]
fn every_fault_of_an_advertisement_has_its_code_and_names_the_value() {
    for (spec, code, told) in [
        (json!({ "aggregationLength": 34 }), "out-of-range", "spec.aggregationLength is 34"),
        (json!({ "aggregationLength": 0 }), "out-of-range", "spec.aggregationLength is 0"),
        (json!({ "aggregationLengthV6": 129 }), "out-of-range", "spec.aggregationLengthV6 is 129"),
        (json!({ "ipAddressPools": ["a", "a"] }), "duplicate-pool", "pool a"),
        (json!({ "peers": ["a", "a"] }), "duplicate-peer", "peer a"),
        (json!({ "communities": ["1:2", "1:2"] }), "duplicate-community", "1:2"),
        (
            json!({ "communities": ["99999999:1"] }),
            "bad-community",
            "invalid community value: invalid section",
        ),
        (json!({ "communities": ["1:99999999"] }), "bad-community", "99999999"),
        (
            json!({ "communities": ["lar:1:2:3"] }),
            "bad-community",
            "expected community to be of format large",
        ),
        (json!({ "communities": ["1:2:3"] }), "bad-community", "invalid community format: 1:2:3"),
        (json!({ "communities": ["1234"] }), "unknown-community", "1234"),
        (json!({ "ipAddressPoolSelectors": [{}, {}] }), "bad-selector", "spec.ipAddressPoolSelectors"),
        (json!({ "nodeSelectors": [{}, {}] }), "bad-selector", "spec.nodeSelectors"),
        (json!({ "serviceSelectors": [{}, {}] }), "bad-selector", "spec.serviceSelectors"),
        (
            json!({ "serviceSelectors": [{}], "aggregationLength": 24 }),
            "aggregation-of-selected",
            "serviceSelectors and aggregationLength are mutually exclusive",
        ),
        (
            json!({ "serviceSelectors": [{}], "aggregationLengthV6": 64 }),
            "aggregation-of-selected",
            "exclusive",
        ),
    ] {
        let (found, text) = refused(&advertisement(&spec));
        assert_eq!(found, code, "{spec}");
        assert!(text.contains(told) && text.starts_with("BGPAdvertisement lab: "), "{text}");
    }
    let allowed = json!({ "serviceSelectors": [{}], "aggregationLength": 32, "aggregationLengthV6": 128 });
    assert_eq!(set_aside(&advertisement(&allowed)), []);
}

#[test]
fn an_alias_that_is_not_defined_yet_is_waited_for() {
    let mut objects = advertisement(&json!({ "communities": ["quiet"] }));
    let summary = "invalid community format: quiet\ninvalid community \"quiet\" in BGP advertisement";
    assert_eq!(set_aside(&objects)[0].summary(), summary);
    assert!(parse(&objects).config.bgp_advertisements.is_empty(), "without its mark a route may go too far");
    objects.communities = [community("names", &[("quiet", "1:2")])].into();
    assert_eq!(set_aside(&objects), []);
}

#[test]
fn every_fault_of_a_community_has_its_code() {
    for (aliases, code, told) in [
        (&[("a", "1234")][..], "community-bad-value", "invalid community format: 1234"),
        (&[("a", "99999999:1")], "community-bad-value", "invalid community value: invalid section"),
        (&[("a", "lar:123:9999:123")], "community-bad-value", "expected community to be of format large"),
        (
            &[("a", "1:2"), ("a", "1:3")],
            "community-duplicate-alias",
            "duplicate definition of community \"a\"",
        ),
    ] {
        let objects = Objects { communities: [community("names", aliases)].into(), ..Objects::default() };
        let (found, text) = refused(&objects);
        assert_eq!(found, code);
        assert!(text.contains(told), "{text}");
    }
}

#[test]
fn of_two_communities_that_define_one_alias_the_older_stays() {
    let communities = [community("young", &[("a", "1:2")]), community("zz-old", &[("a", "1:1")])].into();
    let objects = Objects { communities, ..Objects::default() };
    let (code, text) = refused(&objects);
    assert_eq!(code, "community-duplicate-alias");
    assert!(text.starts_with("Community young: duplicate definition of community \"a\""), "{text}");
    assert_eq!(parse(&objects).config.communities["a"].to_string(), "1:1");
}

#[test]
fn an_aggregate_wider_than_a_pool_keeps_that_pool_off_the_air_and_no_other() {
    for (addresses, length, fits) in [
        (&["10.0.0.0/24"][..], 24, true),
        (&["10.0.0.0/28"], 26, false),
        (&["3.3.3.2-3.3.3.254"], 26, true),
        (&["3.3.3.2-3.3.3.254"], 24, false),
        (&["10.0.0.0/16", "10.1.0.0/28"], 24, false),
    ] {
        let objects = with_pool(addresses, &json!({ "aggregationLength": length }));
        assert_eq!(set_aside(&objects).is_empty(), fits, "{addresses:?} {length}");
        let parsed = parse(&objects);
        let lab = &parsed.config.bgp_advertisements["lab"];
        assert_eq!(lab.covers_pool(&"pool".into(), &[].into()), fits);
        assert!(lab.covers_pool(&"other".into(), &[].into()));
    }
    let (code, text) = refused(&with_pool(&["1.1.1.0/28"], &json!({ "aggregationLength": 26 })));
    assert_eq!(code, "aggregation-too-wide");
    let expected = "invalid aggregation length 26: prefix 28 in this pool is more specific than the aggregation length for addresses 1.1.1.0/28";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn lengths_of_the_other_family_do_not_matter() {
    assert_eq!(set_aside(&with_pool(&["10.0.0.0/28"], &json!({ "aggregationLengthV6": 1 }))), []);
    assert_eq!(
        refused(&with_pool(&["fd00::/120"], &json!({ "aggregationLengthV6": 64 }))).0,
        "aggregation-too-wide"
    );
}

/// Two advertisements of one pool with different local preferences, and what else the younger one says.
#[test]
fn a_route_has_one_local_preference() {
    let v4 = &["10.0.0.0/16"][..];
    let both = &["10.0.0.0/16", "fd00::/48"][..];
    let on = |node: &str| json!({ "nodeSelectors": [{ "matchLabels": { "name": node } }] });
    for (why, addresses, older, younger, agree) in [
        ("the same", v4, json!({}), json!({}), false),
        ("another length", v4, json!({ "aggregationLength": 26 }), json!({}), true),
        ("another length of one family", both, json!({ "aggregationLength": 26 }), json!({}), false),
        (
            "other lengths",
            both,
            json!({ "aggregationLength": 26, "aggregationLengthV6": 64 }),
            json!({}),
            true,
        ),
        ("another length of no matter", v4, json!({ "aggregationLengthV6": 64 }), json!({}), false),
        ("other nodes", v4, on("a"), on("b"), true),
        ("the same node", v4, on("a"), on("a"), false),
        ("other peers", v4, json!({ "peers": ["a"] }), json!({ "peers": ["b"] }), true),
        ("a peer among all", v4, json!({ "peers": ["a"] }), json!({}), false),
        ("selected services", v4, json!({ "serviceSelectors": [{}] }), json!({}), true),
        ("another pool", v4, json!({ "ipAddressPools": ["elsewhere"] }), json!({}), true),
        ("the same preference", v4, json!({ "localPref": 100 }), json!({}), true),
    ] {
        let with = |mut spec: Value, preference| {
            if spec.get("localPref").is_none() {
                spec["localPref"] = preference;
            }
            spec
        };
        let mut objects = with_pool(addresses, &json!({}));
        objects.bgp_advertisements =
            [named("zz-old", &with(older, json!(200))), named("young", &with(younger, json!(100)))].into();
        let expected: &[&str] = if agree { &[] } else { &["local-preferences-differ"] };
        let told = |objects: &Objects| -> Vec<_> {
            let refusals = set_aside(objects);
            assert!(
                refusals.iter().all(|refusal| refusal.object.name == "young"),
                "{why}: the older one stays"
            );
            refusals.iter().map(metallb_core::refusal::Refusal::code).collect()
        };
        assert_eq!(told(&objects), expected, "{why}, nodes unknown");
        let node = |name: &str| {
            (
                name.to_owned(),
                Node { labels: [("name".to_owned(), name.to_owned())].into(), ..Node::default() },
            )
        };
        objects.nodes = Some([node("a"), node("b")].into());
        assert_eq!(told(&objects), expected, "{why}, nodes known");
    }
}

#[test]
fn a_pool_with_ipv6_addresses_is_not_announced_to_a_peer_in_echo_mode() {
    let echo = |addresses: &[&str], echo: bool| {
        let mut objects = with_pool(addresses, &json!({}));
        objects.bfd_profiles = [named("bfd", &json!({ "echoMode": echo }))].into();
        let peer = json!({ "myASN": 1, "peerASN": 2, "peerAddress": "10.0.0.1", "bfdProfile": "bfd" });
        objects.bgp_peers = [named("tor", &peer)].into();
        objects
    };
    assert_eq!(codes(&echo(&["10.0.0.0/24", "fd00::/64"], true)), ["BGPAdvertisement lab: echo-with-ipv6"]);
    assert_eq!(codes(&echo(&["10.0.0.0/24"], true)), [""; 0]);
    assert_eq!(codes(&echo(&["fd00::/64"], false)), [""; 0]);
    let mut elsewhere = echo(&["fd00::/64"], true);
    elsewhere.bgp_advertisements = [named("lab", &json!({ "peers": ["other"] }))].into();
    assert_eq!(codes(&elsewhere), ["BGPAdvertisement lab: advertises-to-unknown-peer"]);
}

#[test]
fn names_of_pools_and_peers_that_do_not_exist_are_warned_about() {
    let objects = advertisement(&json!({ "ipAddressPools": ["nowhere"], "peers": ["nobody"] }));
    assert_eq!(
        codes(&objects),
        ["BGPAdvertisement lab: advertises-unknown-pool", "BGPAdvertisement lab: advertises-to-unknown-peer"]
    );
    let parsed = parse(&objects);
    assert!(!parsed.any_set_aside());
    assert_eq!(parsed.config.bgp_advertisements.len(), 1);
}

//! For every code of a configuration refusal, objects that bring it about.
//!
//! What the document of codes shows is what [`parse`] says about these; a test holds the list complete.

use metallb_core::refusal::{ObjectRefusal, PeerRefusal, TTL_SECURITY};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Node, Objects, Secret, Stored, parse};

/// Objects, and the refusal that they are an example of.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// The code.
    pub code: &'static str,
    /// The objects.
    pub objects: Objects,
    /// What is said; `None` if the objects fail to bring it about.
    pub refusal: Option<ObjectRefusal>,
}

/// An example of every code, in the order of the document.
pub fn all() -> Vec<Example> {
    let tables = [any(), pools(), advertisements(), peers(), secrets_and_profiles(), pairs(), communities()];
    let example = |(code, objects)| {
        let refusals = parse(&objects).refusals;
        let found = |refusal: &ObjectRefusal| metallb_core::refusal::Refusal::code(refusal) == code;
        Example { code, objects, refusal: refusals.into_iter().find(found) }
    };
    tables.into_iter().flatten().map(example).collect()
}

type Table = Vec<(&'static str, Objects)>;

fn any() -> Table {
    let decoder = "invalid type: string \"10.0.0.0/24\", expected a sequence".to_owned();
    let unreadable = Stored::Unreadable { metadata: Box::default(), error: decoder };
    let broken = Objects { pools: [("lab".to_owned(), unreadable)].into(), ..Objects::default() };
    let selector = json!({ "matchExpressions": [{ "key": "rack", "operator": "Sometimes" }] });
    vec![
        ("unreadable", broken),
        ("bad-selector", none().l2_advertisement("lab", &json!({ "nodeSelectors": [selector] }))),
        ("out-of-range", none().bfd_profile("fast", &json!({ "transmitInterval": 5 }))),
    ]
}

fn pools() -> Table {
    let pool = |spec: Value| none().pool("lab", &spec);
    let of = |addresses: &[&str]| pool(json!({ "addresses": addresses }));
    let allocation =
        json!({ "addresses": ["192.0.2.0/28"], "serviceAllocation": { "namespaces": ["web", "web"] } });
    let older = none().pool("first", &json!({ "addresses": ["192.0.2.0/24"] }));
    let node = Node {
        addresses: ["192.0.2.7"].iter().filter_map(|ip| ip.parse().ok()).collect(),
        ..Node::default()
    };
    let mut with_node = of(&["192.0.2.0/28"]);
    with_node.nodes = Some([("node-1".to_owned(), node)].into());
    vec![
        ("pool-empty", of(&[])),
        ("pool-bad-addresses", of(&["192.0.2.9-192.0.2.1"])),
        ("pool-unusable-range", of(&["224.0.0.0/24"])),
        ("pool-ranges-overlap", of(&["192.0.2.0/24", "192.0.2.7/32"])),
        ("pools-overlap", older.pool("second", &json!({ "addresses": ["192.0.2.64-192.0.2.80"] }))),
        ("duplicate-namespace", pool(allocation)),
        ("pool-holds-node-address", with_node),
        ("pool-not-advertised", of(&["192.0.2.0/28"])),
    ]
}

fn advertisements() -> Table {
    let l2 = |spec: Value| none().l2_advertisement("lab", &spec);
    let bgp = |spec: Value| none().bgp_advertisement("lab", &spec);
    let with_pool = |addresses: &str| none().pool("lab", &json!({ "addresses": [addresses] }));
    let preferred = json!({ "preferredNodeSelectors": [{ "weight": 200, "preference": {} }] });
    let echo = with_pool("fd00::/120")
        .bfd_profile("echo", &json!({ "echoMode": true }))
        .peer("tor", &json!({ "bfdProfile": "echo" }))
        .bgp_advertisement("lab", &json!({}));
    let local_preferences = with_pool("192.0.2.0/24")
        .bgp_advertisement("first", &json!({ "localPref": 200 }))
        .bgp_advertisement("second", &json!({ "localPref": 100 }));
    vec![
        ("duplicate-pool", l2(json!({ "ipAddressPools": ["lab", "lab"] }))),
        ("duplicate-peer", bgp(json!({ "peers": ["tor", "tor"] }))),
        ("duplicate-community", bgp(json!({ "communities": ["64512:1", "64512:1"] }))),
        ("bad-weight", l2(preferred)),
        ("aggregation-of-selected", bgp(json!({ "aggregationLength": 24, "serviceSelectors": [{}] }))),
        (
            "aggregation-too-wide",
            with_pool("192.0.2.0/28").bgp_advertisement("lab", &json!({ "aggregationLength": 26 })),
        ),
        ("bad-community", bgp(json!({ "communities": ["64512:99999"] }))),
        ("unknown-community", bgp(json!({ "communities": ["no-export"] }))),
        ("local-preferences-differ", local_preferences),
        ("echo-with-ipv6", echo),
        ("advertises-unknown-pool", l2(json!({ "ipAddressPools": ["lab"] }))),
        ("advertises-to-unknown-peer", bgp(json!({ "peers": ["tor"] }))),
    ]
}

fn peers() -> Table {
    let peer = |spec: Value| none().peer("tor", &spec);
    vec![
        ("peer-without-own-asn", peer(json!({ "myASN": 0 }))),
        ("peer-without-asn", peer(json!({ "peerASN": null }))),
        ("peer-with-two-asns", peer(json!({ "dynamicASN": "external" }))),
        ("peer-internal-multihop", peer(json!({ "peerASN": 64500, "ebgpMultiHop": true }))),
        ("peer-without-address", peer(json!({ "peerAddress": null }))),
        ("peer-with-two-addresses", peer(json!({ "interface": "eth1" }))),
        ("peer-bad-address", peer(json!({ "peerAddress": "192.0.2" }))),
        ("peer-bad-source-address", peer(json!({ "sourceAddress": "192.0.2" }))),
        ("peer-source-family", peer(json!({ "sourceAddress": "2001:db8::7" }))),
        ("peer-bad-router-id", peer(json!({ "routerID": "2001:db8::7" }))),
        ("peer-bad-duration", peer(json!({ "holdTime": "90" }))),
        ("peer-bad-timers", peer(json!({ "holdTime": "2s" }))),
        ("peer-bad-connect-time", peer(json!({ "connectTime": "1500ms" }))),
        (
            "peer-with-two-passwords",
            peer(json!({ "password": "secret", "passwordSecret": { "name": "tor" } })),
        ),
    ]
}

fn secrets_and_profiles() -> Table {
    let with_secret = |secret: Option<(&str, &[&str])>| {
        let mut objects = none().peer("tor", &json!({ "passwordSecret": { "name": "tor" } }));
        let secret = secret.map(|(kind, keys)| {
            let keys = keys.iter().map(|key| (*key).to_owned()).collect();
            ("tor".to_owned(), Secret { kind: kind.to_owned(), keys })
        });
        objects.secrets = Some(secret.into_iter().collect());
        objects
    };
    vec![
        ("peer-unknown-secret", with_secret(None)),
        ("peer-secret-type", with_secret(Some(("Opaque", &["password"])))),
        ("peer-secret-without-password", with_secret(Some((PeerRefusal::SECRET_TYPE, &[])))),
        ("peer-unknown-bfd-profile", none().peer("tor", &json!({ "bfdProfile": "fast" }))),
    ]
}

fn pairs() -> Table {
    let pair = |younger: Value| none().peer("first", &json!({})).peer("second", &younger);
    let mut near = none().peer("tor", &json!({}));
    if let Some(Stored::Readable(peer)) = near.bgp_peers.get_mut("tor") {
        peer.metadata.annotations = Some([(TTL_SECURITY.to_owned(), "near".to_owned())].into());
    }
    vec![
        ("peers-of-one-router", pair(json!({}))),
        ("router-ids-differ", pair(json!({ "peerAddress": "192.0.2.2", "routerID": "192.0.2.7" }))),
        ("own-asns-differ", pair(json!({ "peerAddress": "192.0.2.2", "myASN": 64501 }))),
        ("peer-bad-ttl-security", near),
        ("peer-disable-mp", none().peer("tor", &json!({ "disableMP": true }))),
    ]
}

fn communities() -> Table {
    let alias = |name: &str, value: &str| json!({ "communities": [{ "name": name, "value": value }] });
    let twice = none().community("first", &alias("quiet", "64512:1"));
    vec![
        ("community-bad-value", none().community("lab", &alias("quiet", "lar:1:2:3"))),
        ("community-duplicate-alias", twice.community("second", &alias("quiet", "64512:2"))),
    ]
}

fn none() -> Objects {
    Objects::default()
}

/// Objects one by one. Of two objects of a kind, the one whose name comes first is the older.
impl Objects {
    fn pool(mut self, name: &str, spec: &Value) -> Self {
        self.pools.insert(name.to_owned(), stored(name, spec));
        self
    }

    fn l2_advertisement(mut self, name: &str, spec: &Value) -> Self {
        self.l2_advertisements.insert(name.to_owned(), stored(name, spec));
        self
    }

    fn bgp_advertisement(mut self, name: &str, spec: &Value) -> Self {
        self.bgp_advertisements.insert(name.to_owned(), stored(name, spec));
        self
    }

    /// A peer that has what it needs, with the changes of `spec`.
    fn peer(mut self, name: &str, spec: &Value) -> Self {
        let mut complete = json!({ "myASN": 64500, "peerASN": 64510, "peerAddress": "192.0.2.1" });
        for (field, value) in spec.as_object().into_iter().flatten() {
            complete[field] = value.clone();
        }
        self.bgp_peers.insert(name.to_owned(), stored(name, &complete));
        self
    }

    fn bfd_profile(mut self, name: &str, spec: &Value) -> Self {
        self.bfd_profiles.insert(name.to_owned(), stored(name, spec));
        self
    }

    fn community(mut self, name: &str, spec: &Value) -> Self {
        self.communities.insert(name.to_owned(), stored(name, spec));
        self
    }
}

fn stored<K: DeserializeOwned>(name: &str, spec: &Value) -> Stored<K> {
    let object = json!({ "metadata": { "name": name, "namespace": "metallb-system" }, "spec": spec });
    serde_json::from_value(object).map_or_else(
        |error| Stored::Unreadable { metadata: Box::default(), error: error.to_string() },
        Stored::Readable,
    )
}

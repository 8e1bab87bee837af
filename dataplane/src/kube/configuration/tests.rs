//! Last good values, and what counts for whom.

use metallb_core::refusal::Refusal;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;

fn applied<K: DeserializeOwned>(name: &str, spec: &Value) -> Event<ObjectKey, Stored<K>> {
    let object = json!({ "metadata": { "name": name, "namespace": "metallb-system" }, "spec": spec });
    Event::Applied(key(name), Stored::Readable(serde_json::from_value(object).unwrap()))
}

fn key(name: &str) -> ObjectKey {
    ("metallb-system".into(), name.into())
}

fn advertisement(spec: &Value) -> Change {
    Change::L2Advertisement(applied("lab", spec))
}

fn peer(name: &str, changes: &Value) -> Change {
    let mut spec = json!({ "myASN": 64500, "peerASN": 64510, "peerAddress": "10.0.0.1" });
    for (field, value) in changes.as_object().unwrap() {
        spec[field] = value.clone();
    }
    Change::BgpPeer(Box::new(applied(name, &spec)))
}

fn codes(configuration: &Configuration) -> Vec<&'static str> {
    configuration.refusals().map(|(refusal, _)| refusal.code()).collect()
}

fn list_everything(configuration: &mut Configuration) {
    configuration.apply(Change::Pool(Event::Listed([].into())));
    configuration.apply(Change::L2Advertisement(Event::Listed([].into())));
    configuration.apply(Change::BgpAdvertisement(Event::Listed([].into())));
    configuration.apply(Change::BgpPeer(Box::new(Event::Listed([].into()))));
    configuration.apply(Change::BfdProfile(Event::Listed([].into())));
    configuration.apply(Change::Community(Event::Listed([].into())));
    configuration.apply(Change::Secret(Event::Listed([].into())));
}

fn of_speaker() -> Configuration {
    let mut configuration = Configuration::new(Scope::Announcement("n1".into()));
    configuration.set_node(Some([("name".to_owned(), "n1".to_owned())].into()));
    list_everything(&mut configuration);
    configuration
}

fn summary(configuration: &Configuration) -> String {
    configuration.verdict().unwrap().message()
}

#[test]
fn an_advertisement_that_becomes_invalid_stays_in_force_as_it_was_until_it_is_mended_or_gone() {
    let valid = |interface: &str| advertisement(&json!({ "interfaces": [interface] }));
    let mut configuration = of_speaker();
    configuration.apply(valid("eth0"));
    let good = configuration.config().clone();
    assert!(!configuration.apply(advertisement(&json!({ "nodeSelectors": [{}, {}] }))));
    assert_eq!(configuration.config(), &good);
    assert_eq!(codes(&configuration), ["bad-selector"]);
    assert!(configuration.apply(valid("eth1")));
    assert_ne!(configuration.config(), &good);
    assert_eq!(configuration.refusals().count(), 0);
    configuration.apply(Change::L2Advertisement(Event::Deleted(key("lab"))));
    assert!(configuration.config().l2_advertisements.is_empty());
}

#[test]
fn a_peer_whose_profile_is_deleted_stays_in_force_with_what_the_profile_said() {
    let mut configuration = of_speaker();
    configuration.apply(Change::BfdProfile(applied("fast", &json!({ "receiveInterval": 50 }))));
    configuration.apply(peer("tor", &json!({ "bfdProfile": "fast" })));
    let good = configuration.config().peers.clone();
    assert_eq!(good.len(), 1);
    configuration.apply(Change::BfdProfile(Event::Deleted(key("fast"))));
    assert_eq!(configuration.config().peers, good);
    assert_eq!(codes(&configuration), ["peer-unknown-bfd-profile"]);
}

#[test]
fn a_last_good_peer_goes_where_another_has_taken_its_place() {
    let mut configuration = of_speaker();
    configuration.apply(peer("b", &json!({})));
    configuration.apply(peer("b", &json!({ "myASN": 0 })));
    assert!(configuration.config().peers.contains_key("b"));
    configuration.apply(peer("c", &json!({})));
    assert_eq!(configuration.config().peers.keys().collect::<Vec<_>>(), [&"c".into()]);
}

#[test]
fn nothing_is_called_missing_before_everything_is_listed() {
    let mut configuration = Configuration::new(Scope::Announcement("n1".into()));
    configuration.apply(peer("tor", &json!({ "bfdProfile": "fast" })));
    assert_eq!((codes(&configuration), configuration.verdict()), (vec![], None));
    let mut configuration = of_speaker();
    configuration.apply(peer("tor", &json!({ "bfdProfile": "fast" })));
    assert_eq!(codes(&configuration), ["peer-unknown-bfd-profile"]);
}

#[test]
fn a_speaker_reports_on_what_concerns_its_node() {
    let on =
        |node: &str| json!({ "bfdProfile": "fast", "nodeSelectors": [{ "matchLabels": { "name": node } }] });
    let mut configuration = of_speaker();
    configuration.apply(peer("tor", &on("n2")));
    assert_eq!(summary(&configuration), "");
    configuration.apply(peer("tor", &on("n1")));
    assert_eq!(
        summary(&configuration),
        "configuration error: peer tor referencing non existing bfd profile fast"
    );
}

#[test]
fn peers_that_contradict_each_other_do_so_where_a_node_selects_both() {
    let on = |node: &str| json!({ "nodeSelectors": [{ "matchLabels": { "name": node } }] });
    let mut configuration = of_speaker();
    configuration.apply(peer("a", &on("n1")));
    configuration.apply(peer("b", &on("n2")));
    assert_eq!(summary(&configuration), "");
    configuration.apply(peer("b", &on("n1")));
    let expected = "configuration error: peer 10.0.0.1 already exists, FRR mode doesn't support duplicate BGPPeers selecting the same node";
    assert_eq!(summary(&configuration), expected);
    configuration.set_node(Some([("name".to_owned(), "n3".to_owned())].into()));
    assert_eq!(summary(&configuration), "", "a node that selects neither has no conflict");
}

#[test]
fn for_whoever_allocates_pools_count_and_nothing_else() {
    let mut configuration = Configuration::default();
    list_everything(&mut configuration);
    assert!(!configuration.apply(peer("tor", &json!({}))));
    assert!(!configuration.apply(peer("tor", &json!({ "myASN": 0 }))));
    assert_eq!(codes(&configuration), ["peer-without-own-asn"], "it is told all the same");
    assert_eq!(summary(&configuration), "");
    assert!(configuration.apply(Change::Pool(applied("lab", &json!({ "addresses": ["10.0.0.0/24"] })))));
    assert_eq!(summary(&configuration), "", "that nothing advertises it is no error");
    configuration.apply(Change::Pool(applied("lab", &json!({ "addresses": [] }))));
    assert_eq!(summary(&configuration), "configuration error: IPAddressPool lab: spec.addresses is empty");
}

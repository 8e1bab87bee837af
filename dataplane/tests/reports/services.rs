//! ServiceBGPStatus and ServiceL2Status.

use std::time::{Duration, Instant};

use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use metallb_core::config::Interfaces;
use metallb_core::names::ServiceKey;
use metallb_crds::{ServiceBGPStatus, ServiceL2Status};
use metallb_dataplane::kube::service_l2_status::OnLayer2;
use metallb_dataplane::kube::{service_bgp_status, service_l2_status};
use metallb_lab::{User, eventually};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::setup::{SOON, namespace, pod};

struct Speaker {
    announced: watch::Sender<Option<service_bgp_status::Announced>>,
    keeper: JoinHandle<()>,
}

impl Speaker {
    async fn start(user: &User, node: &str, name: &str, announced: &[(&str, &[&str])]) -> Self {
        Self::knowing(user, node, name, Some(announcing(announced))).await
    }

    async fn knowing(
        user: &User,
        node: &str,
        name: &str,
        announced: Option<service_bgp_status::Announced>,
    ) -> Self {
        let owner = pod(user, name).await;
        let (sender, wanted) = watch::channel(announced);
        let namespace = user.namespace().to_owned();
        let keep = service_bgp_status::keep(user.client(), namespace, node.into(), owner, wanted);
        Self { announced: sender, keeper: tokio::spawn(keep) }
    }

    fn announces(&self, announced: &[(&str, &[&str])]) {
        self.announced.send_replace(Some(announcing(announced)));
    }

    /// Ends as a process does: what it has written stays.
    async fn ends(self) {
        drop(self.announced);
        self.keeper.await.unwrap();
    }
}

fn announcing(services: &[(&str, &[&str])]) -> service_bgp_status::Announced {
    let peers = |peers: &[&str]| peers.iter().map(|peer| (*peer).into()).collect();
    services.iter().map(|(name, to)| (ServiceKey::new("shop", *name), peers(to))).collect()
}

fn objects(user: &User) -> Api<ServiceBGPStatus> {
    Api::namespaced(user.client(), user.namespace())
}

/// Node, service and peers of every object, in order.
async fn told(user: &User) -> Vec<(String, String, String)> {
    let objects = objects(user).list(&<_>::default()).await.unwrap();
    let mut told: Vec<_> = objects
        .iter()
        .map(|object| {
            let status = object.status.clone().unwrap_or_default();
            (status.node.unwrap_or_default(), status.service_name.unwrap_or_default(), status.peers.join(" "))
        })
        .collect();
    told.sort();
    told
}

async fn tells(user: &User, wanted: &[(&str, &str, &str)]) {
    let wanted: Vec<_> = wanted
        .iter()
        .map(|(node, service, peers)| ((*node).to_owned(), (*service).to_owned(), (*peers).to_owned()))
        .collect();
    eventually(SOON, "it is told", async || {
        let told = told(user).await;
        if told == wanted { Ok(()) } else { Err(format!("{told:?}")) }
    })
    .await;
}

#[tokio::test]
async fn each_node_says_to_whom_it_announces_a_service() {
    let user = namespace().await;
    let one = Speaker::start(&user, "n1", "speaker-1", &[("web", &["tor-2", "tor-1"])]).await;
    let two = Speaker::start(&user, "n2", "speaker-2", &[("web", &["tor-1"]), ("dns", &["tor-1"])]).await;
    tells(&user, &[("n1", "web", "tor-1 tor-2"), ("n2", "dns", "tor-1"), ("n2", "web", "tor-1")]).await;
    let all = objects(&user).list(&<_>::default()).await.unwrap();
    let of_one = all.iter().find(|object| object.labels()["metallb.io/node"] == "n1").unwrap();
    assert!(of_one.name_any().starts_with("bgp-"));
    assert_eq!(of_one.labels()["metallb.io/service-name"], "web");
    assert_eq!(of_one.labels()["metallb.io/service-namespace"], "shop");
    let owner = &of_one.owner_references()[0];
    assert_eq!((owner.name.as_str(), owner.controller), ("speaker-1", None));

    // The same object changes; nobody left is no object; and the other node's stay.
    one.announces(&[("web", &["tor-2"])]);
    tells(&user, &[("n1", "web", "tor-2"), ("n2", "dns", "tor-1"), ("n2", "web", "tor-1")]).await;
    assert_eq!(objects(&user).get(&of_one.name_any()).await.unwrap().uid(), of_one.uid());
    one.announces(&[("web", &[])]);
    tells(&user, &[("n2", "dns", "tor-1"), ("n2", "web", "tor-1")]).await;
    two.announces(&[]);
    tells(&user, &[]).await;
}

#[tokio::test]
async fn a_speaker_that_comes_back_takes_over_what_it_left_and_takes_away_what_is_no_more() {
    let user = namespace().await;
    let before = Speaker::start(&user, "n1", "before", &[("web", &["tor"]), ("gone", &["tor"])]).await;
    tells(&user, &[("n1", "gone", "tor"), ("n1", "web", "tor")]).await;
    let named = |all: &[ServiceBGPStatus]| {
        let is_it = |object: &&ServiceBGPStatus| {
            let labels = object.labels();
            labels["metallb.io/service-name"] == "web" && labels["metallb.io/node"] == "n1"
        };
        let web = all.iter().find(is_it).unwrap();
        (web.name_any(), web.uid())
    };
    let web = named(&objects(&user).list(&<_>::default()).await.unwrap().items);
    before.ends().await;

    // While it does not know yet what it announces, it leaves everything as it is; others are not held up.
    let after = Speaker::knowing(&user, "n1", "after", None).await;
    let _other = Speaker::start(&user, "n2", "other", &[("web", &["tor"])]).await;
    tells(&user, &[("n1", "gone", "tor"), ("n1", "web", "tor"), ("n2", "web", "tor")]).await;
    after.announces(&[("web", &["tor"])]);
    tells(&user, &[("n1", "web", "tor"), ("n2", "web", "tor")]).await;
    eventually(SOON, "it belongs to the new Pod too", async || {
        let object = objects(&user).get(&web.0).await.unwrap();
        object.owner_references().iter().any(|owner| owner.name == "after")
    })
    .await;
    assert_eq!(named(&objects(&user).list(&<_>::default()).await.unwrap().items), web);
}

#[tokio::test]
async fn what_others_write_or_delete_is_set_right() {
    let user = namespace().await;
    let _speaker = Speaker::start(&user, "n1", "speaker", &[("web", &["tor"])]).await;
    tells(&user, &[("n1", "web", "tor")]).await;
    let name = objects(&user).list(&<_>::default()).await.unwrap().items[0].name_any();
    let edit = Patch::Merge(json!({ "status": { "peers": ["nobody"] } }));
    let begun = Instant::now();
    for _ in 0..3 {
        objects(&user).patch_status(&name, &PatchParams::default(), &edit).await.unwrap();
        tells(&user, &[("n1", "web", "tor")]).await;
    }
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "by the watch, not by looking at all from time to time"
    );
    objects(&user).delete(&name, &DeleteParams::default()).await.unwrap();
    tells(&user, &[("n1", "web", "tor")]).await;
    assert_ne!(objects(&user).list(&<_>::default()).await.unwrap().items[0].name_any(), name);
}

#[tokio::test]
async fn on_layer_2_the_node_that_takes_over_removes_what_the_other_said() {
    let user = namespace().await;
    let speaks = async |node: &str, on: Interfaces| {
        let said = OnLayer2 { interfaces: on, ..announcing_on_layer2(&["192.0.2.1"]) };
        speaks_on_layer2(&user, node, said).await
    };
    let statuses: Api<ServiceL2Status> = Api::namespaced(user.client(), user.namespace());
    let told = async || {
        let statuses = statuses.list(&<_>::default()).await.unwrap();
        let status = statuses.iter().map(|object| object.status.clone().unwrap_or_default());
        status.map(|status| (status.node.unwrap_or_default(), status.interfaces.len())).collect::<Vec<_>>()
    };
    let first = speaks("n1", Interfaces::All).await;
    eventually(SOON, "n1 says so", async || told().await == [("n1".to_owned(), 0)]).await;
    first.send_replace(Some(service_l2_status::Announced::new()));
    let _second = speaks("n2", Interfaces::Only(["eth1".into()].into())).await;
    eventually(SOON, "only n2 says so", async || told().await == [("n2".to_owned(), 1)]).await;
}

/// What is said of a service whose addresses are 192.0.2.1 and 2001:db8::1.
fn announcing_on_layer2(addresses: &[&str]) -> OnLayer2 {
    OnLayer2 {
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        has_first: addresses.contains(&"192.0.2.1"),
        interfaces: Interfaces::All,
        conflicts: [].into(),
        epoch: None,
    }
}

async fn speaks_on_layer2(
    user: &User,
    node: &str,
    said: OnLayer2,
) -> watch::Sender<Option<service_l2_status::Announced>> {
    let owner = pod(user, node).await;
    let (sender, wanted) = watch::channel(Some([(ServiceKey::new("shop", "web"), said)].into()));
    let namespace = user.namespace().to_owned();
    tokio::spawn(service_l2_status::keep(user.client(), namespace, node.into(), owner, wanted));
    sender
}

#[tokio::test]
async fn of_a_service_whose_addresses_two_nodes_have_both_say_so_and_leave_each_other_alone() {
    let user = namespace().await;
    let statuses: Api<ServiceL2Status> = Api::namespaced(user.client(), user.namespace());
    let told = async || {
        let statuses = statuses.list(&<_>::default()).await.unwrap();
        let status = statuses.iter().map(|object| object.status.clone().unwrap_or_default());
        let mut told: Vec<_> =
            status.map(|status| (status.node.unwrap_or_default(), status.addresses.join(" "))).collect();
        told.sort();
        told
    };
    let both = announcing_on_layer2(&["192.0.2.1", "2001:db8::1"]);
    let first = speaks_on_layer2(&user, "n1", both.clone()).await;
    let all = ("n1".to_owned(), "192.0.2.1 2001:db8::1".to_owned());
    eventually(SOON, "n1 says so of both", async || told().await == [all.clone()]).await;
    // One moves to n2.
    first.send_replace(Some([(ServiceKey::new("shop", "web"), announcing_on_layer2(&["192.0.2.1"]))].into()));
    let second = speaks_on_layer2(&user, "n2", announcing_on_layer2(&["2001:db8::1"])).await;
    let each = [("n1", "192.0.2.1"), ("n2", "2001:db8::1")];
    let each = each.map(|(node, address)| (node.to_owned(), address.to_owned()));
    eventually(SOON, "each says so of its own", async || told().await == each).await;
    // n1 is no more, and n2 has both.
    first.send_replace(None);
    second.send_replace(Some([(ServiceKey::new("shop", "web"), both)].into()));
    let all = ("n2".to_owned(), "192.0.2.1 2001:db8::1".to_owned());
    eventually(SOON, "n2 says so of both", async || told().await == [all.clone()]).await;
}

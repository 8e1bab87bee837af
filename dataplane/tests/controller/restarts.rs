//! Kills, replicas, and an API server that goes away: nothing is given twice, and nothing changes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams};
use metallb_crds::cluster::service::ingress_addresses;
use metallb_lab::{ApiServer, eventually, load_balancer};
use nix::sys::signal::Signal;
use serde_json::json;

use crate::installation::*;

#[tokio::test]
async fn five_kills_in_the_middle_of_allocating_change_no_address_and_give_none_twice() {
    let metallb = Installation::new().await;
    metallb.pool("lab", &["10.1.0.0/24"]).await.unwrap();
    let mut controller = metallb.controller("a");
    let mut seen: BTreeMap<String, IpAddr> = BTreeMap::new();
    for round in 0..5 {
        for n in 0..20 {
            metallb.service(load_balancer(format!("web-{round}-{n}")).port(80)).await;
        }
        let before = seen.len();
        eventually(SOON, "it is in the middle of it", async || metallb.all_given().await.len() > before)
            .await;
        controller.kill();
        for (name, address) in metallb.all_given().await {
            assert_eq!(*seen.entry(name).or_insert(address), address, "an address changed");
        }
        controller = metallb.controller("a"); // the same pod: a container that restarts
    }
    eventually(SOON, "all are served", async || metallb.all_given().await.len() == 100).await;
    let all = metallb.all_given().await;
    assert!(seen.iter().all(|(name, address)| all[name] == *address), "an address changed");
    assert_eq!(all.values().collect::<BTreeSet<_>>().len(), 100, "an address was given twice");
}

#[tokio::test]
async fn a_rolling_update_with_two_at_once_changes_nothing_and_the_second_goes_on() {
    let metallb = Installation::new().await;
    metallb.pool("lab", &["10.1.0.0/24"]).await.unwrap();
    let old = metallb.controller("old");
    for n in 0..20 {
        metallb.service(load_balancer(format!("web-{n:02}")).port(80)).await;
    }
    eventually(SOON, "all are served", async || metallb.all_given().await.len() == 20).await;
    let before = metallb.all_given().await;
    let _new = metallb.controller("new");
    for n in 20..40 {
        metallb.service(load_balancer(format!("web-{n:02}")).port(80)).await;
    }
    eventually(SOON, "the old one still works", async || metallb.all_given().await.len() == 40).await;
    old.terminate();
    let last = metallb.service(load_balancer("last").port(80)).await;
    metallb.given(&last).await;
    let after = metallb.all_given().await;
    assert!(before.iter().all(|(name, address)| after[name] == *address), "an address changed");
    assert_eq!(after.values().collect::<BTreeSet<_>>().len(), 41, "an address was given twice");
}

#[tokio::test]
async fn the_api_server_may_restart_and_allocation_goes_on() {
    let server = ApiServer::start_plain().await.unwrap();
    let metallb = Installation::on(&server).await;
    metallb.pool("lab", &["10.1.0.0/24"]).await.unwrap();
    let _controller = metallb.controller("a");
    let before = metallb.service(load_balancer("before").port(80)).await;
    let address = metallb.given(&before).await;
    server.restart().await.unwrap();
    let after = metallb.service(load_balancer("after").port(80)).await;
    assert_eq!(metallb.given(&after).await, ip("10.1.0.1"));
    assert_eq!(metallb.addresses(&before).await, [address]);
}

#[tokio::test]
async fn a_status_that_somebody_else_wrote_is_taken_over() {
    let metallb = Installation::new().await;
    metallb.pool("lab", &["10.1.0.0/24"]).await.unwrap();
    let entry = json!({ "ip": "10.1.0.9", "ipMode": "VIP", "ports": [{ "port": 80, "protocol": "TCP" }] });
    for (name, ingress) in [
        ("kept", json!([{ "hostname": "lb.example" }, entry])),
        ("replaced", json!([{ "ip": "10.1.0.1" }, { "ip": "10.1.0.2" }])),
    ] {
        metallb.service(load_balancer(name).port(80)).await;
        let status = json!({ "status": { "loadBalancer": { "ingress": ingress } } });
        metallb.services().patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    }
    let _controller = metallb.controller("a");
    let annotation = "metallb.io/ip-allocated-from-pool";
    let marked =
        async |name: &str| metallb.services().get(name).await.unwrap().annotations().contains_key(annotation);
    eventually(SOON, "both are taken over", async || marked("kept").await && marked("replaced").await).await;
    let kept = metallb.services().get("kept").await.unwrap().status.unwrap().load_balancer.unwrap();
    let kept = kept.ingress.unwrap();
    assert_eq!((kept.len(), kept[1].ip.as_deref(), kept[1].ports.is_some()), (2, Some("10.1.0.9"), true));
    let replaced = metallb.services().get("replaced").await.unwrap();
    assert_eq!(ingress_addresses(&replaced).unwrap(), [ip("10.1.0.0")]);
}

#[tokio::test]
async fn a_holder_that_is_stopped_past_the_end_of_its_lease_gives_nothing_twice_when_it_goes_on() {
    const PATIENCE: Duration = Duration::from_mins(1); // its lease has to run out
    let metallb = Installation::new().await;
    metallb.pool("lab", &["10.1.0.0/25"]).await.unwrap();
    let stopped = metallb.controller("stopped");
    for n in 0..60 {
        metallb.service(load_balancer(format!("web-{n:03}")).port(80)).await;
    }
    eventually(SOON, "it is in the middle of it", async || !metallb.all_given().await.is_empty()).await;
    stopped.signal(Signal::SIGSTOP);
    for n in 60..120 {
        metallb.service(load_balancer(format!("web-{n:03}")).port(80)).await;
    }
    let _other = metallb.controller("other");
    eventually(PATIENCE, "the other one serves all", async || metallb.all_given().await.len() == 120).await;
    let before = metallb.all_given().await;
    stopped.signal(Signal::SIGCONT);
    for n in 120..128 {
        metallb.service(load_balancer(format!("web-{n:03}")).port(80)).await;
    }
    eventually(SOON, "the rest is served", async || metallb.all_given().await.len() == 128).await;
    let after = metallb.all_given().await;
    assert!(before.iter().all(|(name, address)| after[name] == *address), "an address changed");
    assert_eq!(after.values().collect::<BTreeSet<_>>().len(), 128, "an address was given twice");
}

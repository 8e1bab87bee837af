//! The object is in line with what is wanted, whoever touches it, and is written no more than that takes.

use std::collections::BTreeSet;
use std::num::NonZeroU16;
use std::time::Duration;

use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams};
use metallb_core::config::{
    Asn, Bfd, BfdInterval, BfdProfile, ConnectTime, DetectMultiplier, Endpoint, MinimumTtl, PasswordSource,
    Peer, RemoteAs, RouterId, SessionFamilies, Timers,
};
use metallb_core::plan::RouteAttributes;
use metallb_lab::{ApiServer, SharedApiServer, User, eventually};
use serde_json::{Value, json};

use crate::site::{SOON, Writer, install, objects, peer, version};

static SERVER: SharedApiServer = SharedApiServer::new(ApiServer::builder());

async fn user() -> User {
    let admin = SERVER.get().await.unwrap().admin().await.unwrap();
    install(&admin, |_| {}).await;
    admin.in_new_namespace().await.unwrap()
}

/// Waits until `writer` has certainly seen the object as it is: it has written something after that.
async fn barrier(writer: &Writer, prefix: &str) {
    writer.announce(&[prefix]);
    writer.until_announced(&[prefix]).await;
}

#[tokio::test]
async fn the_api_takes_every_field_and_drops_none() {
    let user = user().await;
    let writer = Writer::start(&user).await;
    let profile = BfdProfile {
        receive_interval: BfdInterval::from_millis(10).unwrap(),
        transmit_interval: BfdInterval::from_millis(60_000).unwrap(),
        detect_multiplier: DetectMultiplier::new(255).unwrap(),
        echo_interval: BfdInterval::from_millis(10).unwrap(),
        echo_mode: true,
        passive_mode: true,
        minimum_ttl: MinimumTtl::new(1).unwrap(),
    };
    let full = Peer {
        my_asn: Asn::new(u32::MAX).unwrap(),
        local_asn: Asn::new(u32::MAX),
        port: NonZeroU16::new(16_384).unwrap(),
        source_address: Some("192.0.2.7".parse().unwrap()),
        router_id: RouterId::new([192, 0, 2, 9].into()),
        vrf: Some("red".into()),
        timers: Timers::new(Some(Duration::from_secs(0xffff)), None).unwrap(),
        connect_time: ConnectTime::new(Duration::from_secs(0xffff)),
        password: Some(PasswordSource::Secret("keys".into())),
        bfd: Some(Bfd { name: "fast".into(), profile }),
        graceful_restart: true,
        multihop: true,
        families: SessionFamilies::Both,
        ..peer("192.0.2.1")
    };
    let unnumbered = Peer {
        endpoint: Endpoint::Interface("eth1".into()),
        remote: RemoteAs::External,
        ..peer("192.0.2.1")
    };
    writer.set_peers(&[("full", full), ("unnumbered", unnumbered)]);
    let communities = ["65535:65535", "large:4294967295:0:1"].map(|text| text.parse().unwrap()).into();
    let attributes = RouteAttributes { communities, local_preference: Some(u32::MAX) };
    for peer in ["full", "unnumbered"] {
        writer.set_routes(peer, &["10.0.0.0/24", "fd00::1/128"], &attributes);
    }
    writer.inbox.set_complete();
    let object = writer.until("/bgp/routers/1/asn", json!(u32::MAX)).await;
    let full = &object.data["spec"]["bgp"]["routers"][1]["neighbors"][0];
    assert_eq!(full["localASN"], json!(u32::MAX));
    assert_eq!(full["connectTime"], "18h12m15s");
    assert_eq!(full["passwordSecret"], json!({ "name": "keys", "namespace": user.namespace() }));
    let selector = json!({ "matchLabels": { "kubernetes.io/hostname": "host" } });
    assert_eq!(object.data["spec"]["nodeSelector"], selector);
    writer.until_told(&[]).await;
}

#[tokio::test]
async fn the_object_belongs_to_its_node() {
    let user = user().await;
    let writer = Writer::start(&user).await;
    writer.announce(&["10.0.0.1/32"]);
    let object = writer.until_announced(&["10.0.0.1/32"]).await;
    let [owner] = object.owner_references() else { panic!("{:?}", object.owner_references()) };
    assert_eq!((owner.kind.as_str(), owner.name.as_str()), ("Node", user.namespace()));
}

#[tokio::test]
async fn what_others_do_to_the_object_is_undone() {
    let user = user().await;
    let writer = Writer::start(&user).await;
    writer.announce(&["10.0.0.1/32"]);
    let before = writer.until_announced(&["10.0.0.1/32"]).await;

    let edit = json!({ "spec": { "raw": { "rawConfig": "no router bgp" } } });
    let patch = Patch::Merge(&edit);
    objects(&user).patch(&writer.object, &PatchParams::default(), &patch).await.unwrap();
    let after = writer.until("/raw", Value::Null).await;
    assert_eq!(after.data["spec"], before.data["spec"]);

    writer.delete().await;
    let again = writer.until_announced(&["10.0.0.1/32"]).await;
    assert_ne!(again.uid(), before.uid(), "it is a new one");
}

#[tokio::test]
async fn it_is_deleted_when_no_peer_is_left() {
    let user = user().await;
    let writer = Writer::start(&user).await;
    writer.announce(&["10.0.0.1/32"]);
    writer.until_announced(&["10.0.0.1/32"]).await;
    writer.set_peers(&[]);
    eventually(SOON, "it is deleted", async || writer.get().await.is_none()).await;
}

#[tokio::test]
async fn after_a_restart_it_stays_as_it_is_until_everything_was_decided() {
    let user = user().await;
    let first = Writer::start(&user).await;
    first.announce(&["10.0.0.1/32", "10.0.0.2/32"]);
    let before = first.until_announced(&["10.0.0.1/32", "10.0.0.2/32"]).await;
    drop(first);

    let second = Writer::again(&user);
    second.set_peers(&[]); // nothing is known yet
    second.set_peers(&[("spine", peer("192.0.2.1"))]);
    second.set_routes("spine", &["10.0.0.1/32"], &RouteAttributes::default());
    second.set_routes("spine", &["10.0.0.1/32", "10.0.0.2/32"], &RouteAttributes::default());
    // That nothing happens can be seen only by what happens next: this is the one write there is.
    barrier(&second, "10.0.0.3/32").await;
    let writes = second.get().await.unwrap().metadata.generation.unwrap();
    assert_eq!(writes, before.metadata.generation.unwrap() + 1);
    assert_eq!(second.get().await.unwrap().uid(), before.uid());
}

#[tokio::test]
async fn the_first_change_is_written_at_once_and_a_burst_in_few_writes() {
    let user = user().await;
    let pace = Duration::from_secs(5);
    let writer = Writer::start_paced(&user, pace).await;
    let began = std::time::Instant::now();
    writer.announce(&["10.0.0.1/32"]);
    let object = writer.until_announced(&["10.0.0.1/32"]).await;
    let first = object.creation_timestamp().map(|_| began.elapsed()).unwrap();
    for n in 2..=100 {
        let prefix = format!("10.0.0.{n}/32");
        writer.set_routes("spine", &[prefix.as_str()], &RouteAttributes::default());
        tokio::task::yield_now().await;
    }
    let object = writer.until_announced(&["10.0.0.100/32"]).await;
    let last = began.elapsed();
    assert_eq!(object.metadata.generation, Some(2), "one write for all that came within the pace");
    assert!(first < last && last >= pace, "{first:?} {last:?}");
}

#[tokio::test]
async fn equal_things_are_written_once() {
    let user = user().await;
    let writer = Writer::start(&user).await;
    writer.announce(&["10.0.0.1/32"]);
    let before = writer.until_announced(&["10.0.0.1/32"]).await;
    for _ in 0..3 {
        writer.announce(&["10.0.0.1/32"]);
    }
    let label = json!({ "metadata": { "labels": { "touched": "yes" } } });
    let params = PatchParams::default();
    let touched = objects(&user).patch(&writer.object, &params, &Patch::Merge(&label)).await.unwrap();
    barrier(&writer, "10.0.0.2/32").await;
    let after = writer.get().await.unwrap();
    let generation = |of: &kube::api::DynamicObject| of.metadata.generation.unwrap();
    assert_eq!(generation(&touched), generation(&before), "nothing was written in between");
    assert_eq!(generation(&after), generation(&before) + 1);
    assert_eq!(after.labels()["touched"], "yes", "labels are nobody's business here");
    let versions: BTreeSet<_> = [&before, &touched, &after].map(version).into();
    assert_eq!(versions.len(), 3);
}

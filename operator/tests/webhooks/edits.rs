//! What is denied, warned of and permitted, for each kind.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use metallb_lab::{ApiServer, User, load_balancer};

use super::replica::Replica;
use super::setup::{CRDS, install, until_asked};

/// A namespace of MetalLB with webhooks, another one, and the administrator who works in the first one.
struct Stage {
    admin: User,
    elsewhere: User,
    _replica: Replica,
}

async fn stage() -> Result<Stage> {
    stage_with("").await
}

/// With these objects from before there were webhooks.
async fn stage_with(objects: &str) -> Result<Stage> {
    let admin = ApiServer::shared().await?.admin().await?;
    admin.apply_dir(CRDS).await?;
    let (admin, elsewhere) = (admin.in_new_namespace().await?, admin.in_new_namespace().await?);
    if !objects.is_empty() {
        admin.apply_yaml(objects).await?;
    }
    let names = names(&admin);
    let replica = Replica::start(&admin, names, std::time::Duration::ZERO)?;
    install(&admin, replica.address, &[admin.namespace(), elsewhere.namespace()]).await?;
    until_asked(&admin).await;
    Ok(Stage { admin, elsewhere, _replica: replica })
}

fn names(admin: &User) -> Vec<String> {
    [
        "metallb-webhook-configuration",
        "metallb-operator-webhook-configuration",
        "metallb-deletion-warning-configuration",
    ]
    .map(|name| format!("{name}-{}", admin.namespace()))
    .into()
}

/// Applies it as users do. `Ok` are the warnings, `Err` the refusal.
async fn apply(user: &User, object: &str) -> Result<std::result::Result<String, String>> {
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(object.as_bytes())?;
    let path = file.path().to_str().context("a path in UTF-8")?.to_owned();
    let outcome = user.kubectl(["apply", "-f", &path]).await?;
    Ok(if outcome.is_success() { Ok(outcome.stderr) } else { Err(outcome.stderr) })
}

#[track_caller]
fn denied(outcome: std::result::Result<String, String>, fragment: &str) {
    let said = outcome.expect_err("it is denied");
    assert!(said.contains(fragment), "{said}");
}

/// Without a word.
#[track_caller]
fn permitted(outcome: std::result::Result<String, String>) {
    let said = outcome.expect("it is permitted");
    assert_eq!(said, "");
}

#[track_caller]
fn warned(outcome: std::result::Result<String, String>, fragment: &str) {
    let said = outcome.expect("it is permitted");
    assert!(said.contains("Warning: ") && said.contains(fragment), "{said}");
}

fn object(kind: &str, name: &str, spec: &str) -> String {
    let version = if kind == "BGPPeer" { "v1beta2" } else { "v1beta1" };
    format!("{{apiVersion: metallb.io/{version}, kind: {kind}, metadata: {{name: {name}}}, spec: {spec}}}")
}

const SOUND: [(&str, &str); 6] = [
    ("IPAddressPool", "{addresses: [10.0.0.0/24]}"),
    ("L2Advertisement", "{}"),
    ("BGPAdvertisement", "{}"),
    ("BGPPeer", "{myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.1}"),
    ("BFDProfile", "{}"),
    ("Community", "{communities: [{name: a, value: '1:2'}]}"),
];

#[tokio::test]
async fn every_kind_is_asked_about_and_belongs_into_the_namespace_of_metallb() -> Result<()> {
    let stage = stage().await?;
    let Stage { admin, elsewhere, .. } = &stage;
    let fragment = format!("resource must be created in {} namespace", admin.namespace());
    for (kind, spec) in SOUND {
        denied(apply(elsewhere, &object(kind, "x", spec)).await?, &fragment);
        assert!(apply(admin, &object(kind, "x", spec)).await?.is_ok(), "{kind}");
    }
    Ok(())
}

#[tokio::test]
async fn a_fault_is_denied_when_it_is_new_and_in_nobodys_way_when_it_is_old() -> Result<()> {
    let old = object("IPAddressPool", "old", "{addresses: [10.0.0.1, 10.1.0.0/24]}");
    let stage = stage_with(&old).await?;
    let Stage { admin, .. } = &stage;
    let pool = |name: &str, spec: &str| object("IPAddressPool", name, spec);
    // Without it every pool would be warned of.
    permitted(apply(admin, &object("L2Advertisement", "all", "{}")).await?);
    permitted(apply(admin, &pool("new", "{addresses: [10.2.0.0/24]}")).await?);
    denied(
        apply(admin, &pool("other", "{addresses: [10.2.0.128/25]}")).await?,
        "overlaps with already defined CIDR 10.2.0.0-10.2.0.255 of pool new",
    );
    denied(apply(admin, &pool("new", "{addresses: [10.2.0.9]}")).await?, "10.2.0.9/32");
    denied(
        apply(admin, &object("L2Advertisement", "twice", "{ipAddressPools: [a, a]}")).await?,
        "L2Advertisement twice",
    );
    // The old one may stay as it is, and may be mended.
    admin.kubectl(["label", "ipaddresspool", "old", "a=b"]).await?.success()?;
    let edited = admin.kubectl(["annotate", "ipaddresspool", "old", "a=b"]).await?;
    warned(Ok(edited.stderr.clone()), "IPAddressPool old: ");
    edited.success()?;
    // Applied with kubectl for the first time: it says so.
    assert!(apply(admin, &pool("old", "{addresses: [10.1.0.0/24]}")).await?.is_ok());
    permitted(apply(admin, &pool("old", "{addresses: [10.1.0.0/25]}")).await?);
    Ok(())
}

#[tokio::test]
async fn services_that_lose_their_address_are_listed_when_a_pool_shrinks_and_when_it_goes() -> Result<()> {
    let stage = stage().await?;
    let Stage { admin, elsewhere, .. } = &stage;
    let pool = |spec: &str| object("IPAddressPool", "lab", spec);
    permitted(apply(admin, &object("L2Advertisement", "all", "{}")).await?);
    permitted(apply(admin, &pool("{addresses: [10.0.0.0/24]}")).await?);
    let web = elsewhere.create_service(load_balancer("web").port(80)).await?;
    elsewhere.set_ingress_ips(&web, &["10.0.0.200".parse()?]).await?;
    let service = format!("{}/web (10.0.0.200)", elsewhere.namespace());
    // Services come from the API server's cache.
    metallb_lab::eventually(super::setup::SOON, "the service is warned of", async || {
        let dry = admin.kubectl(["delete", "ipaddresspool", "lab", "--dry-run=server"]).await?;
        anyhow::ensure!(dry.stderr.contains(&service), "{dry:?}");
        Ok(())
    })
    .await;
    permitted(apply(admin, &pool("{addresses: [10.0.0.0/24], autoAssign: false}")).await?);
    warned(apply(admin, &pool("{addresses: [10.0.0.0/25]}")).await?, &service);
    permitted(apply(admin, &pool("{addresses: [10.0.0.0/24]}")).await?);
    let gone = admin.kubectl(["delete", "ipaddresspool", "lab"]).await?;
    warned(Ok(gone.stderr.clone()), &service);
    gone.success()?;
    Ok(())
}

#[tokio::test]
async fn a_bfd_profile_in_use_stays() -> Result<()> {
    let stage = stage().await?;
    let Stage { admin, .. } = &stage;
    assert!(apply(admin, &object("BFDProfile", "fast", "{}")).await?.is_ok());
    let peer = "{myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.1, bfdProfile: fast}";
    assert!(apply(admin, &object("BGPPeer", "router", peer)).await?.is_ok());
    let kept = admin.kubectl(["delete", "bfdprofile", "fast"]).await?;
    denied(Err(kept.stderr), "failed to delete BFDProfile fast: it is used by BGPPeer router");
    admin.kubectl(["delete", "bgppeer.v1beta2.metallb.io", "router"]).await?.success()?;
    admin.kubectl(["delete", "bfdprofile", "fast"]).await?.success()?;
    Ok(())
}

#[tokio::test]
async fn a_metallb_is_checked_and_one_that_has_no_effect_is_warned_of() -> Result<()> {
    let stage = stage().await?;
    let Stage { admin, elsewhere, .. } = &stage;
    permitted(apply(admin, &object("MetalLB", "metallb", "{}")).await?);
    denied(
        apply(admin, &object("MetalLB", "metallb", "{frrk8sConfig: {alwaysBlock: [nowhere]}}")).await?,
        "\"nowhere\", which is no prefix",
    );
    warned(apply(admin, &object("MetalLB", "other", "{}")).await?, "has no effect");
    warned(apply(elsewhere, &object("MetalLB", "metallb", "{}")).await?, "has no effect");
    Ok(())
}

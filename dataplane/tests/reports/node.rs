//! BGPNodeStatus, and frr-k8s' BGPSessionState.

use std::num::NonZeroU16;

use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use metallb_core::config::Asn;
use metallb_crds::{BGPNodeStatus, BGPState};
use metallb_dataplane::kube::bgp_node_status::{self, Prefixes, Session, SessionError, Sessions};
use metallb_dataplane::kube::bgp_session_state::{self, BGPSessionState};
use metallb_lab::{User, eventually};
use metallb_protocols::bgp::session::State;
use serde_json::json;
use tokio::sync::watch;

use crate::setup::{SOON, namespace, pod};

fn session(state: State) -> Session {
    Session {
        address: Some("192.0.2.1".parse().unwrap()),
        interface: None,
        port: NonZeroU16::new(179).unwrap(),
        vrf: None,
        state,
        since: Timestamp::now(),
        flaps: 0,
        last_error: None,
        prefixes: Prefixes { announced: 2, pending: 0, unsendable: 0 },
        local_asn: Asn::new(64512).unwrap(),
        remote_asn: Asn::new(64513),
        router_id: None,
        families: [].into(),
        graceful_restart: false,
        bfd: None,
    }
}

fn sessions(states: &[(&str, State)]) -> Sessions {
    states.iter().map(|(peer, state)| ((*peer).into(), session(*state))).collect()
}

fn objects(user: &User) -> Api<BGPNodeStatus> {
    Api::namespaced(user.client(), user.namespace())
}

async fn says(user: &User, established: &str) -> BGPNodeStatus {
    eventually(SOON, "it is said", async || {
        let found = objects(user).get_opt("n1").await.unwrap()?;
        let status = found.status.as_ref()?;
        (status.established.as_deref() == Some(established)).then_some(found)
    })
    .await
}

#[tokio::test]
async fn the_sessions_of_a_node_are_one_object_that_is_kept_right() {
    let user = namespace().await;
    let owner = pod(&user, "speaker").await;
    let (sender, wanted) = watch::channel(None);
    let namespace = user.namespace().to_owned();
    let keep = bgp_node_status::keep(user.client(), namespace.clone(), "n1".into(), owner, wanted);
    let keeper = tokio::spawn(keep);

    sender.send_replace(Some(sessions(&[("tor-1", State::Established), ("tor-2", State::Connect)])));
    let first = says(&user, "1/2").await;
    assert_eq!(first.labels()["metallb.io/component-type"], "speaker");
    assert_eq!(first.labels()["metallb.io/node-name"], "n1");
    assert_eq!(first.owner_references()[0].name, "speaker");
    let columns = user.kubectl(["get", "bgpnodestatuses", "--no-headers"]).await.unwrap().success().unwrap();
    let columns: Vec<_> = columns.split_whitespace().take(3).collect();
    assert_eq!(columns, ["n1", "n1", "1/2"], "name, node, sessions");

    let mut down = sessions(&[("tor-1", State::Idle), ("tor-2", State::Established)]);
    down.get_mut("tor-1").unwrap().last_error = Some(SessionError {
        code: "hold-timer-expired",
        message: "nothing was heard".to_owned(),
        time: Timestamp::now(),
    });
    sender.send_replace(Some(down));
    let status = eventually(SOON, "that one went down is said", async || {
        let status = objects(&user).get("n1").await.unwrap().status.unwrap();
        (status.sessions[0].state == BGPState::Idle).then_some(status)
    })
    .await;
    assert_eq!(status.sessions[0].last_error.as_ref().unwrap().code, "hold-timer-expired");

    let edit = Patch::Merge(json!({ "status": { "established": "9/9" } }));
    objects(&user).patch_status("n1", &PatchParams::default(), &edit).await.unwrap();
    says(&user, "1/2").await;
    objects(&user).delete("n1", &DeleteParams::default()).await.unwrap();
    let again = says(&user, "1/2").await;
    assert_ne!(again.uid(), first.uid());

    // Its successor takes it over, and a node that has no sessions has no object.
    drop(sender);
    keeper.await.unwrap();
    let owner = pod(&user, "successor").await;
    let (sender, wanted) = watch::channel(Some(sessions(&[("tor-1", State::Established)])));
    tokio::spawn(bgp_node_status::keep(user.client(), namespace, "n1".into(), owner, wanted));
    let taken = says(&user, "1/1").await;
    assert_eq!(taken.uid(), again.uid());
    assert!(taken.owner_references().iter().any(|owner| owner.name == "successor"));
    sender.send_replace(Some(Sessions::new()));
    eventually(SOON, "it is gone", async || objects(&user).get_opt("n1").await.unwrap().is_none()).await;
}

/// The kind, as frr-k8s installs it.
const FRR_K8S: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: bgpsessionstates.frrk8s.metallb.io}
spec:
  group: frrk8s.metallb.io
  names: {kind: BGPSessionState, listKind: BGPSessionStateList, plural: bgpsessionstates, singular: bgpsessionstate}
  scope: Namespaced
  versions:
  - name: v1beta1
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          apiVersion: {type: string}
          kind: {type: string}
          metadata: {type: object}
          spec: {type: object}
          status:
            type: object
            properties:
              bfdStatus: {type: string}
              bgpStatus: {type: string}
              node: {type: string}
              peer: {type: string}
              vrf: {type: string}
";

#[tokio::test]
async fn where_frr_k8s_has_its_kind_each_session_is_told_in_it_too() {
    let user = namespace().await;
    let owner = pod(&user, "speaker").await;
    let keep = |wanted| {
        let namespace = user.namespace().to_owned();
        bgp_session_state::keep(user.client(), namespace, "n1".into(), owner.clone(), wanted)
    };
    let (sender, wanted) = watch::channel(Some(sessions(&[("tor", State::Established)])));
    drop(sender);
    keep(wanted).await; // without the kind there is nothing to keep, and it ends with the sessions

    user.apply_yaml(FRR_K8S).await.unwrap();
    let objects: Api<BGPSessionState> = Api::namespaced(user.client(), user.namespace());
    eventually(SOON, "the kind is served", async || objects.list(&<_>::default()).await).await;
    let (sender, wanted) = watch::channel(Some(sessions(&[("tor", State::Established)])));
    let keeper = tokio::spawn(keep(wanted));
    let told = async |state: &str| {
        eventually(SOON, "the session is told", async || {
            let found = objects.list(&<_>::default()).await.unwrap().items.pop()?;
            (found.status.as_ref()?.bgp_status == state).then_some(found)
        })
        .await
    };
    let object = told("Established").await;
    assert!(object.name_any().starts_with("n1-"));
    assert_eq!(object.labels()["frrk8s.metallb.io/node"], "n1");
    assert_eq!(object.labels()["frrk8s.metallb.io/peer"], "192.0.2.1");
    assert_eq!(object.labels()["frrk8s.metallb.io/vrf"], "");
    assert_eq!(object.owner_references()[0].name, "speaker");
    let status = object.status.clone().unwrap();
    assert_eq!((status.node.as_str(), status.peer.as_str()), ("n1", "192.0.2.1"));
    assert_eq!(status.bfd_status, "N/A");

    sender.send_replace(Some(sessions(&[("tor", State::Active)])));
    assert_eq!(told("Active").await.uid(), object.uid());
    sender.send_replace(Some(Sessions::new()));
    eventually(SOON, "it is gone", async || objects.list(&<_>::default()).await.unwrap().items.is_empty())
        .await;
    drop(sender);
    keeper.await.unwrap();
}

//! ConfigurationState on a real API server: written as tools expect it, given back when deleted.

#![allow(clippy::unwrap_used)] // a scenario ends where it fails

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use metallb_core::refusal::{Kind, ObjectRef, ObjectRefusal, PeerRefusal};
use metallb_crds::{ConfigurationResult, ConfigurationState, ConfigurationStateStatus, schema};
use metallb_dataplane::kube::configuration_state::{Component, Verdict, keep, publish};
use metallb_lab::{ApiServer, SharedApiServer, User, eventually};
use serde_json::json;
use tokio::sync::watch;

static SERVER: SharedApiServer = SharedApiServer::new(ApiServer::builder());

const SOON: Duration = Duration::from_secs(20);
const POD: &str = "its-pod";

/// A namespace with the kinds of metallb.io and a Pod.
async fn namespace() -> User {
    let admin = SERVER.get().await.unwrap().admin().await.unwrap();
    for crd in schema::all() {
        admin.apply_yaml(&serde_json::to_string(&crd).unwrap()).await.unwrap();
    }
    let user = admin.in_new_namespace().await.unwrap();
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": POD, "namespace": user.namespace() },
        "spec": { "containers": [{ "name": "main", "image": "none.example/none:1" }] },
    });
    user.apply_yaml(&pod.to_string()).await.unwrap();
    eventually(SOON, "the kinds are served", async || states(&user).list(&<_>::default()).await).await;
    user
}

fn states(user: &User) -> Api<ConfigurationState> {
    Api::namespaced(user.client(), user.namespace())
}

async fn status(user: &User, name: &str) -> Option<ConfigurationStateStatus> {
    states(user).get_opt(name).await.unwrap()?.status
}

async fn said(user: &User, name: &str, result: ConfigurationResult, summary: &str) -> ConfigurationState {
    eventually(SOON, "it is said", async || {
        let status = status(user, name).await.unwrap_or_default();
        status.result == Some(result) && status.error_summary.unwrap_or_default() == summary
    })
    .await;
    states(user).get(name).await.unwrap()
}

async fn pool(user: &User, name: &str, addresses: &[&str]) {
    let pool = json!({
        "apiVersion": "metallb.io/v1beta1",
        "kind": "IPAddressPool",
        "metadata": { "name": name, "namespace": user.namespace() },
        "spec": { "addresses": addresses },
    });
    user.apply_yaml(&pool.to_string()).await.unwrap();
}

struct Controller(Child);

impl Controller {
    fn start(user: &User, pod: &str) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_metallb-controller"))
            .args(["--port=0", "--health-probe-port=0", "--webhook-mode=disabled"])
            .arg(format!("--namespace={}", user.namespace()))
            .arg(format!("--lb-class=lab.example/{}", user.namespace()))
            .arg(format!("--pod-name={pod}"))
            .arg(format!("--kubeconfig={}", user.kubeconfig().display()))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn the_controller_says_whether_the_pools_are_in_force() {
    let user = namespace().await;
    let _controller = Controller::start(&user, POD);
    said(&user, "controller", ConfigurationResult::Valid, "").await;

    pool(&user, "lab", &["10.0.0.0-nonsense"]).await;
    let summary = "configuration error: IPAddressPool lab: invalid CIDR or range \"10.0.0.0-nonsense\" in spec.addresses: neither a CIDR nor a range";
    let state = said(&user, "controller", ConfigurationResult::Invalid, summary).await;
    assert_eq!(state.labels()["metallb.io/component-type"], "controller");
    assert_eq!(state.owner_references()[0].name, POD);
    let condition = &state.status.as_ref().unwrap().conditions[0];
    assert_eq!((condition.type_.as_str(), condition.status.as_str()), ("poolReconcilerValid", "False"));
    assert_eq!(condition.reason, "ConfigurationError");
    let writes_status = |manager: &str| {
        state.managed_fields().iter().any(|entry| {
            entry.manager.as_deref() == Some(manager) && entry.subresource.as_deref() == Some("status")
        })
    };
    assert!(writes_status("poolReconciler"));

    let api = states(&user);
    api.delete("controller", &DeleteParams::default()).await.unwrap();
    let again = said(&user, "controller", ConfigurationResult::Invalid, summary).await;
    assert_ne!(again.uid(), state.uid(), "it is a new one");

    pool(&user, "lab", &["10.0.0.0/24"]).await;
    said(&user, "controller", ConfigurationResult::Valid, "").await;
}

#[tokio::test]
async fn a_controller_whose_pod_is_not_there_yet_says_so_once_it_is() {
    let user = namespace().await;
    let _controller = Controller::start(&user, "late");
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": "late", "namespace": user.namespace() },
        "spec": { "containers": [{ "name": "main", "image": "none.example/none:1" }] },
    });
    user.apply_yaml(&pod.to_string()).await.unwrap();
    let state = said(&user, "controller", ConfigurationResult::Valid, "").await;
    assert_eq!(state.owner_references()[0].name, "late");
}

#[tokio::test]
async fn a_speaker_tells_each_cause_and_keeps_the_time_of_the_change() {
    let user = namespace().await;
    let (verdicts, verdict) = watch::channel(None);
    let keeper = tokio::spawn(keep(
        user.client(),
        user.namespace().to_owned(),
        Component::Speaker("n1".into()),
        POD.to_owned(),
        verdict,
    ));
    said(&user, "speaker-n1", ConfigurationResult::Unknown, "").await;

    let refusal = |peer: &str| ObjectRefusal {
        object: ObjectRef { kind: Kind::BgpPeer, name: peer.to_owned() },
        refusal: PeerRefusal::UnknownBfdProfile { profile: "fast".into(), set_aside: false }.into(),
    };
    let summary = "configuration error: peer a referencing non existing bfd profile fast";
    publish(&verdicts, Verdict::on([refusal("a")].iter()));
    let first = said(&user, "speaker-n1", ConfigurationResult::Invalid, summary).await;
    assert_eq!(first.labels()["metallb.io/component-type"], "speaker");
    assert_eq!(first.labels()["metallb.io/node-name"], "n1");

    publish(&verdicts, Verdict::on([refusal("a"), refusal("b")].iter()));
    let both = eventually(SOON, "the condition tells both", async || {
        let condition = status(&user, "speaker-n1").await?.conditions.pop()?;
        (condition.message.lines().count() == 2).then_some(condition)
    })
    .await;
    let before = &first.status.unwrap().conditions[0];
    assert_eq!(both.last_transition_time, before.last_transition_time);
    assert_eq!(status(&user, "speaker-n1").await.unwrap().error_summary.as_deref(), Some(summary));

    // What somebody else writes is set right, and nothing is written without need.
    let edit = json!({ "status": { "result": "Valid" } });
    states(&user).patch_status("speaker-n1", &PatchParams::default(), &Patch::Merge(edit)).await.unwrap();
    said(&user, "speaker-n1", ConfigurationResult::Invalid, summary).await;
    publish(&verdicts, Verdict::default());
    let valid = said(&user, "speaker-n1", ConfigurationResult::Valid, "").await;
    assert_eq!(valid.status.unwrap().error_summary, None, "no text is no field");
    drop(verdicts);
    keeper.await.unwrap();
}

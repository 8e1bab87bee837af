//! The small size of the lab does what its documentation says.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ListParams, PostParams};
use metallb_lab::{ApiServer, eventually, load_balancer, refusal};

const SOON: Duration = Duration::from_secs(20);

const WIDGETS: &str = "
apiVersion: example.com/v1
kind: Widget
metadata: {name: first}
spec: {size: 3}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Widget, plural: widgets, singular: widget}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties: {spec: {type: object, properties: {size: {type: integer}}}}
";

#[tokio::test]
async fn a_service_is_created_and_its_status_read_back() -> Result<()> {
    let admin = ApiServer::shared().await?.admin().await?.in_new_namespace().await?;
    let web = admin.create_service(load_balancer("web").dual_stack().external_traffic_policy_local()).await?;
    assert_eq!(web.spec.as_ref().unwrap().cluster_ips.as_ref().unwrap().len(), 2, "dual stack");
    assert!(admin.ingress_ips(&web).await?.is_empty());
    let addresses = ["192.0.2.1".parse()?, "2001:db8::1".parse()?];
    admin.set_ingress_ips(&web, &addresses).await?;
    assert_eq!(admin.ingress_ips(&web).await?, addresses);
    Ok(())
}

#[tokio::test]
async fn a_kind_may_be_defined_in_the_manifest_that_uses_it() -> Result<()> {
    let admin = ApiServer::shared().await?.admin().await?.in_new_namespace().await?;
    let applied = admin.apply_yaml(WIDGETS).await?;
    assert_eq!(applied.len(), 2);
    assert_eq!(applied[1].metadata.namespace.as_deref(), Some(admin.namespace()));
    assert_eq!(applied[1].data["spec"]["size"], 3);
    Ok(())
}

#[tokio::test]
async fn a_directory_is_applied_in_the_order_of_its_files() -> Result<()> {
    let admin = ApiServer::shared().await?.admin().await?.in_new_namespace().await?;
    let directory = tempfile::tempdir()?;
    for (file, name) in [("2.yaml", "second"), ("1.yaml", "first"), ("README.md", "no")] {
        let text = format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}}}}}");
        fs::write(directory.path().join(file), text)?;
    }
    let applied = admin.apply_dir(directory.path()).await?;
    let names: Vec<&str> = applied.iter().filter_map(|object| object.metadata.name.as_deref()).collect();
    assert_eq!(names, ["first", "second"]);
    Ok(())
}

#[tokio::test]
async fn what_happened_to_a_service_is_told_with_reason_and_reporter() -> Result<()> {
    let admin = ApiServer::shared().await?.admin().await?.in_new_namespace().await?;
    let web = admin.create_service(load_balancer("web")).await?;
    let namespace = admin.namespace();
    admin
        .apply_yaml(&format!(
            "{{apiVersion: events.k8s.io/v1, kind: Event, metadata: {{name: web.1}}, type: Warning, \
              eventTime: \"2026-01-02T03:04:05.000000Z\", action: Allocate, reason: AllocationFailed, \
              note: no address left, reportingController: some-controller, reportingInstance: it, \
              regarding: {{apiVersion: v1, kind: Service, name: web, namespace: {namespace}}}}}"
        ))
        .await?;
    let events = admin.events_of(&web).await?;
    let ours: Vec<_> = events.iter().filter(|event| event.reporter == "some-controller").collect();
    let [event] = ours[..] else { bail!("not one of ours: {events:?}") };
    assert_eq!((event.severity.as_str(), event.reason.as_str()), ("Warning", "AllocationFailed"));
    assert_eq!(event.message, "no address left");
    Ok(())
}

#[tokio::test]
async fn a_user_may_do_what_rbac_grants_and_no_more() -> Result<()> {
    let server = ApiServer::shared().await?;
    let admin = server.admin().await?.in_new_namespace().await?;
    let namespace = admin.namespace().to_owned();
    admin
        .apply_yaml(&format!(
            "
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: reader}}
rules: [{{apiGroups: [''], resources: [configmaps], verbs: [list]}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: reader}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}}
subjects:
- {{kind: User, name: jane}}
- {{kind: Group, name: readers, apiGroup: rbac.authorization.k8s.io}}
- {{kind: ServiceAccount, name: robot, namespace: {namespace}}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {{name: robot}}
"
        ))
        .await?;
    for user in [
        server.user("jane").await?,
        server.user_in_group("joe", "readers").await?,
        server.service_account(&namespace, "robot").await?,
    ] {
        let maps: Api<ConfigMap> = Api::namespaced(user.client(), &namespace);
        maps.list(&ListParams::default()).await?;
        let refused = maps.create(&PostParams::default(), &ConfigMap::default()).await.unwrap_err();
        assert_eq!(refusal(&refused.into()).map(|status| status.code), Some(403));
    }
    let nobody = server.user("joe").await?.in_namespace(&namespace)?;
    let refused = nobody.kubectl(["get", "configmaps"]).await?.success().unwrap_err();
    assert!(refused.to_string().contains("User \"joe\" cannot list resource"), "{refused}");
    Ok(())
}

#[tokio::test]
async fn a_refusal_is_found_in_the_error_of_a_verb() -> Result<()> {
    let admin = ApiServer::shared().await?.admin().await?.in_new_namespace().await?;
    let error = admin.create_service(load_balancer("Not_A_Name")).await.unwrap_err();
    let status = refusal(&error).context("the API server refuses")?;
    assert_eq!((status.code, status.reason.as_str()), (422, "Invalid"));
    Ok(())
}

#[tokio::test]
async fn a_restarted_server_has_its_address_and_its_data() -> Result<()> {
    let server = ApiServer::start_plain().await?;
    let admin = server.admin().await?.in_new_namespace().await?;
    let web = admin.create_service(load_balancer("web")).await?;
    server.kill()?;
    admin.ingress_ips(&web).await.expect_err("a killed server answers nobody");
    server.restart().await?;
    assert!(admin.ingress_ips(&web).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_dropped_server_leaves_nothing_behind() -> Result<()> {
    let server = ApiServer::start_plain().await?;
    let directory = server.log("etcd").parent().context("logs lie in a directory")?.to_owned();
    assert!(mentioned_in_proc(&directory) >= 2, "etcd and kube-apiserver");
    drop(server);
    assert!(!directory.exists());
    assert_eq!(mentioned_in_proc(&directory), 0);
    Ok(())
}

#[tokio::test]
async fn controllers_collect_garbage_and_fake_nodes_run_pods() -> Result<()> {
    let began = Instant::now();
    let server = ApiServer::builder().with_fake_nodes(2).start().await?;
    eprintln!("up after {:?}", began.elapsed());
    let admin = server.admin().await?.in_new_namespace().await?;
    admin
        .apply_yaml(
            "
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: speaker}
spec:
  selector: {matchLabels: {app: speaker}}
  template:
    metadata: {labels: {app: speaker}}
    spec: {containers: [{name: speaker, image: none}]}
",
        )
        .await?;
    let sets: Api<DaemonSet> = Api::default_namespaced(admin.client());
    eventually(SOON, "the set is ready on both nodes", async || {
        let status = sets.get("speaker").await?.status;
        status.filter(|status| status.number_ready == 2).context("not ready")
    })
    .await;
    admin.kubectl(["delete", "namespace", admin.namespace(), "--wait=false"]).await?.success()?;
    eventually(SOON, "the namespace is gone with all in it", async || {
        let gone = admin.kubectl(["get", "namespace", admin.namespace()]).await;
        gone.is_ok_and(|outcome| outcome.stderr.contains("NotFound"))
    })
    .await;
    Ok(())
}

/// How many processes were started with this path in their command line.
fn mentioned_in_proc(path: &Path) -> usize {
    let path = path.to_str().expect("a temporary directory has a plain name");
    let processes = fs::read_dir("/proc").expect("/proc is there").filter_map(Result::ok);
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(path)).count()
}

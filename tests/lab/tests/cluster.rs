//! The full size of the lab does what its documentation says. Needs root.

mod traces;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::{Node, Pod, Service};
use kube::api::{Api, ListParams};
use metallb_lab::{
    ApiServer, Cluster, ClusterOptions, HELLO, Host, SharedCluster, User, eventually, load_balancer,
};

use traces::{needs_root, traces_of};

const SOON: Duration = Duration::from_mins(1);

static CLUSTER: SharedCluster = SharedCluster::new(|| ClusterOptions::named("self-shared"));

#[tokio::test]
async fn a_client_reaches_a_service_through_any_node_as_its_traffic_policy_says() -> Result<()> {
    if needs_root() {
        return Ok(());
    }
    let cluster = CLUSTER.get().await?;
    let admin = cluster.admin().await?.in_new_namespace().await?;
    let pods = hello_pods(&admin, 3).await?;
    let anywhere = load_balancer("anywhere").for_app("hello").port(80).udp_port(80).dual_stack();
    let anywhere = admin.create_service(anywhere).await?;
    let here = load_balancer("here").for_app("hello").port(80).udp_port(80).dual_stack();
    let here = admin.create_service(here.external_traffic_policy_local()).await?;
    set_addresses(&admin, &anywhere, ["10.77.0.200", "fd77::200"]).await?;
    set_addresses(&admin, &here, ["10.77.0.201", "fd77::201"]).await?;

    let client = cluster.host("client");
    for node in cluster.nodes() {
        let node = cluster.host(&node);
        for address in ["10.77.0.200", "10.77.0.201", "fd77::200", "fd77::201"] {
            client.route_via(address.parse()?, &node).await?;
        }
        for (address, ours) in [("10.77.0.201", "10.77.0.50"), ("fd77::201", "fd77::50")] {
            let local = pods.iter().find(|(_, on)| on == node.name()).context("a pod on every node")?;
            let expected = format!("{} {ours}", local.0);
            eventually(SOON, "the service is programmed", async || ask_tcp(&client, address).await).await;
            assert_eq!(ask_tcp(&client, address).await?, expected, "Local keeps node and client, TCP");
            assert_eq!(ask_udp(&client, address)?, expected, "Local keeps node and client, UDP");
        }
        for address in ["10.77.0.200", "fd77::200"] {
            eventually(SOON, "the service is programmed", async || ask_tcp(&client, address).await).await;
            let mut answering = BTreeSet::new();
            for _ in 0..20 {
                answering.insert(ask_tcp(&client, address).await?.split(' ').next().map(String::from));
                answering.insert(ask_udp(&client, address)?.split(' ').next().map(String::from));
            }
            assert_eq!(answering.len(), 3, "Cluster spreads over all pods, through {}", node.name());
        }
        let cluster_ip =
            here.spec.as_ref().and_then(|spec| spec.cluster_ip.clone()).context("no cluster IP")?;
        node.curl(&format!("http://{cluster_ip}/")).await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_remote_client_is_routed_both_ways() -> Result<()> {
    if needs_root() {
        return Ok(());
    }
    let cluster = CLUSTER.get().await?;
    for node in cluster.nodes() {
        for (family, from) in [("-4", "10.78.0.2"), ("-6", "fd78::2")] {
            let ping = ["ping", family, "-c", "1", "-W", "2", from];
            cluster.host(&node).exec(ping).await?.success()?;
        }
    }
    Ok(())
}

/// kubectl comes into the pods from the machine's own build: there is no image with a shell.
#[tokio::test]
async fn pods_reach_the_api_server_at_its_service_address_with_their_own_account() -> Result<()> {
    if needs_root() {
        return Ok(());
    }
    let cluster = CLUSTER.get().await?;
    let admin = cluster.admin().await?.in_new_namespace().await?;
    let tools = metallb_lab::tools::Tools::ensure()?.program("kubectl")?.canonicalize()?;
    let namespace = admin.namespace();
    let pod = |name: &str, host_network: bool| {
        format!(
            "
---
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  hostNetwork: {host_network}
  restartPolicy: Never
  serviceAccountName: robot
  containers:
  - name: it
    image: lab.local/hello:1
    imagePullPolicy: Never
    command: [/tools/kubectl, auth, whoami, -o, 'jsonpath={{.status.userInfo.username}}']
    volumeMounts: [{{name: tools, mountPath: /tools/kubectl, readOnly: true}}]
  volumes: [{{name: tools, hostPath: {{path: {}, type: File}}}}]
",
            tools.display()
        )
    };
    let account = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: robot}\n";
    admin
        .apply_yaml(&format!("{account}{}{}", pod("in-pod-network", false), pod("in-host-network", true)))
        .await?;
    let pods: Api<Pod> = Api::default_namespaced(admin.client());
    for name in ["in-pod-network", "in-host-network"] {
        eventually(SOON, "the pod has ended", async || {
            let phase = pods.get(name).await?.status.and_then(|status| status.phase);
            ensure!(phase.as_deref() == Some("Succeeded"), "{phase:?}");
            Ok(())
        })
        .await;
        let said = admin.kubectl(["logs", name]).await?.success()?;
        assert_eq!(said, format!("system:serviceaccount:{namespace}:robot"));
    }
    Ok(())
}

#[tokio::test]
async fn a_pod_in_the_host_network_has_the_capabilities_and_the_filter_it_asks_for() -> Result<()> {
    if needs_root() {
        return Ok(());
    }
    let cluster = CLUSTER.get().await?;
    let admin = cluster.admin().await?.in_new_namespace().await?;
    let privileges = "
apiVersion: v1
kind: Pod
metadata: {name: raw}
spec:
  nodeName: n1
  hostNetwork: true
  containers:
  - name: raw
    image: lab.local/hello:1
    imagePullPolicy: Never
    env: [{name: PORT, value: '9123'}]
    readinessProbe: {httpGet: {port: 9123}, periodSeconds: 1}
    securityContext:
      runAsUser: 0
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities: {drop: [ALL], add: [NET_RAW]}
      seccompProfile: {type: RuntimeDefault}
";
    // A namespace is there a moment before the account of its pods.
    let applied = async || admin.apply_yaml(privileges).await.map_err(|error| format!("{error:#}"));
    eventually(SOON, "the pod is taken", applied).await;
    let node = cluster.host("n1");
    let answer =
        eventually(SOON, "the pod answers on its node", async || node.curl("http://127.0.0.1:9123/").await)
            .await;
    assert_eq!(answer, "n1 127.0.0.1");
    let find =
        "for p in /proc/[0-9]*; do tr '\\0' '\\n' <$p/environ | grep -qx PORT=9123 && cat $p/status; done";
    let status = node.exec(["sh", "-c", find]).await?.stdout;
    assert!(status.contains("CapEff:\t0000000000002000"), "only NET_RAW: {status}");
    assert!(status.contains("Seccomp:\t2"), "filtered: {status}");
    Ok(())
}

#[tokio::test]
async fn a_node_without_power_is_gone_and_comes_back_with_its_pods() -> Result<()> {
    if needs_root() {
        return Ok(());
    }
    let options = ClusterOptions::named("self-power").nodes(2).node_monitor_grace(Duration::from_secs(8));
    let cluster = Cluster::up(options).await?;
    let admin = cluster.admin().await?;
    hello_pods(&admin, 2).await?;
    let client = cluster.host("client");
    let ping = || async { client.exec(["ping", "-c", "1", "-W", "1", "10.77.0.12"]).await };
    ping().await?.success()?;

    cluster.unplug("n2").await?;
    assert!(!ping().await?.is_success(), "an unplugged node is silent");
    assert_eq!(host_state(&cluster, "n2").await?, (true, Some(false)));
    cluster.plug("n2").await?;
    cluster.plug("n2").await?;
    eventually(SOON, "a plugged node answers", async || ping().await?.success()).await;

    cluster.power_off("n2").await?;
    cluster.power_off("n2").await?;
    assert_eq!(host_state(&cluster, "n2").await?, (false, Some(false)));
    let refused = cluster.host("n2").exec(["true"]).await.unwrap_err().to_string();
    assert_eq!(refused, "n2 is off; `lab power-on n2` switches it on");
    assert_eq!(traces_of("self-power-n2"), Vec::<String>::new());
    eventually(SOON, "the API server notices", async || Ok::<_, kube::Error>(!ready(&admin, "n2").await?))
        .await;

    cluster.power_on("n2").await?;
    assert!(ready(&admin, "n2").await?);
    eventually(SOON, "its pod is Ready again", async || hello_pods(&admin, 2).await).await;
    Ok(())
}

#[tokio::test]
async fn two_clusters_and_an_api_server_live_side_by_side_and_leave_nothing() -> Result<()> {
    if needs_root() {
        return Ok(());
    }
    let (one, other, api) = tokio::try_join!(
        Cluster::up(ClusterOptions::named("self-one").nodes(1)),
        Cluster::up(ClusterOptions::named("self-other").nodes(1)),
        ApiServer::start_plain(),
    )?;
    for cluster in [&one, &other] {
        assert!(ready(&cluster.admin().await?, "n1").await?);
        cluster.host("client").spawn("sleeper", ["sleep", "1000"]).await?;
        cluster.host("n1").spawn("sleeper", ["sleep", "1000"]).await?;
    }
    api.admin().await?.in_new_namespace().await?;
    assert!(!traces_of("self-one").is_empty());
    drop(one);
    assert_eq!(traces_of("self-one"), Vec::<String>::new());
    assert!(ready(&other.admin().await?, "n1").await?, "the other one is not touched");
    drop(other);
    assert_eq!(traces_of("self-other"), Vec::<String>::new());
    Ok(())
}

async fn host_state(cluster: &Cluster, host: &str) -> Result<(bool, Option<bool>)> {
    let status = Cluster::status(cluster.name()).await?.context("the cluster is up")?;
    let host = status.hosts.iter().find(|known| known.name == host).context("the host is known")?;
    Ok((host.on, host.plugged))
}

async fn ready(admin: &User, node: &str) -> kube::Result<bool> {
    let node = Api::<Node>::all(admin.client()).get(node).await?;
    let conditions = node.status.and_then(|status| status.conditions).unwrap_or_default();
    Ok(conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True"))
}

/// The names of the hello pods and where they are, once that many are Ready.
async fn hello_pods(admin: &User, count: usize) -> Result<Vec<(String, String)>> {
    admin.apply_yaml(HELLO).await?;
    let pods: Api<Pod> = Api::default_namespaced(admin.client());
    let ready = |pod: &Pod| {
        let conditions =
            pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
        conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
    };
    let listed = eventually(SOON, "the hello pods are Ready", async || {
        let listed = pods.list(&ListParams::default().labels("app=hello")).await?.items;
        let phases: Vec<_> = listed.iter().filter_map(|pod| pod.status.as_ref()?.phase.clone()).collect();
        ensure!(listed.iter().filter(|pod| ready(pod)).count() == count, "{phases:?}");
        Ok(listed)
    })
    .await;
    let place = |pod: Pod| Some((pod.metadata.name?, pod.spec?.node_name?));
    Ok(listed.into_iter().filter_map(place).collect())
}

async fn set_addresses(admin: &User, service: &Service, addresses: [&str; 2]) -> Result<()> {
    let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse()).collect::<Result<_, _>>()?;
    admin.set_ingress_ips(service, &addresses).await?;
    Ok(())
}

async fn ask_tcp(client: &Host, address: &str) -> Result<String> {
    client.curl(&format!("http://{}/", SocketAddr::new(address.parse()?, 80))).await
}

fn ask_udp(client: &Host, address: &str) -> Result<String> {
    let target = SocketAddr::new(address.parse()?, 80);
    client.inside(|| -> Result<String> {
        let any: IpAddr = if target.is_ipv4() { "0.0.0.0".parse()? } else { "::".parse()? };
        let socket = UdpSocket::bind((any, 0))?;
        socket.set_read_timeout(Some(Duration::from_secs(3)))?;
        socket.send_to(b"who is there?", target)?;
        let mut answer = [0; 256];
        let (length, _) = socket.recv_from(&mut answer).with_context(|| format!("{target} over UDP"))?;
        Ok(String::from_utf8_lossy(&answer[..length]).trim_end().to_owned())
    })?
}

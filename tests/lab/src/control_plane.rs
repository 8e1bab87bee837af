//! The command lines of etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kwok.
//!
//! In this room: what both sizes of the lab have in common. The servers are upstream's own; the flags make them
//! start fast and need no more than one address and one port.
//! Not here: starting them, and where they run.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use crate::pki::{Authority, Pki, Subject};
use crate::process::Launch;
use crate::tools::Tools;

/// The ranges service addresses come from.
pub(crate) const SERVICE_CIDR: &str = "10.96.0.0/16,fd00:10:96::/112";
/// The ranges pod addresses come from; node N has `10.244.N.0/24` and `fd00:10:244:N::/64`.
pub(crate) const POD_CIDR: &str = "10.244.0.0/16,fd00:10:244::/56";
const API_SERVICE_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 96, 0, 1));

/// Who the administrator is.
pub(crate) const ADMIN: Subject<'_> = Subject { user: "admin", group: Some("system:masters") };

/// One control plane: one etcd and one of each server.
#[derive(Clone, Debug)]
pub(crate) struct ControlPlane {
    pub(crate) tools: Tools,
    pub(crate) pki: Pki,
    /// Where data, sockets and logs go.
    pub(crate) directory: PathBuf,
    /// The API server's address: it listens there, and tells the world to come there.
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
}

impl ControlPlane {
    /// Where clients find the API server.
    pub(crate) fn url(&self) -> String {
        format!("https://{}:{}", self.address, self.port)
    }

    /// The certificates of the servers. Each has its own, as permissions hang on names.
    pub(crate) fn certificates(&self) -> Result<()> {
        let localhost = IpAddr::V4(Ipv4Addr::LOCALHOST);
        self.pki.certificate(
            "kube-apiserver",
            Authority::Cluster,
            Subject { user: "kube-apiserver", group: None },
            &[self.address, localhost, API_SERVICE_ADDRESS],
            &["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"],
        )?;
        let kubelet_client = Subject { user: "apiserver-kubelet-client", group: Some("system:masters") };
        self.pki.certificate("kubelet-client", Authority::Cluster, kubelet_client, &[], &[])?;
        let front_proxy = Subject { user: "front-proxy-client", group: None };
        self.pki.certificate("front-proxy-client", Authority::FrontProxy, front_proxy, &[], &[])?;
        self.pki.kubeconfig("admin", ADMIN, &self.url())?;
        for name in ["kube-controller-manager", "kube-scheduler", "kube-proxy"] {
            let user = format!("system:{name}");
            self.pki.kubeconfig(name, Subject { user: &user, group: None }, &self.url())?;
        }
        Ok(())
    }

    /// etcd on a socket: nobody else has a use for it. It writes without waiting for the disk, so it survives a
    /// kill, not a power cut.
    pub(crate) fn etcd(&self) -> Result<Launch> {
        let socket = |name: &str| format!("unix://{}", self.directory.join(name).display());
        Ok(self.launch("etcd")?.args([
            "--name=lab".into(),
            format!("--data-dir={}", self.directory.join("etcd").display()),
            "--unsafe-no-fsync".into(),
            "--log-level=warn".into(),
            format!("--listen-client-urls={}", socket("etcd.sock")),
            format!("--listen-peer-urls={}", socket("etcd-peer.sock")),
            // Must look like host:port. The only member never dials itself.
            "--advertise-client-urls=http://lab:1".into(),
            "--initial-advertise-peer-urls=http://lab:2".into(),
            "--initial-cluster=lab=http://lab:2".into(),
        ]))
    }

    /// kube-apiserver with RBAC and the node authoriser.
    pub(crate) fn api_server(&self, extra: &[String]) -> Result<Launch> {
        let path = |path: PathBuf| path.display().to_string();
        let (certificate, key) =
            (|name| path(self.pki.certificate_path(name)), |name| path(self.pki.key_path(name)));
        // Endpoints may not hold a loopback address.
        let reconciler = if self.address.is_loopback() { "none" } else { "lease" };
        let launch = self.launch("kube-apiserver")?.args([
            format!("--etcd-servers=unix://{}", self.directory.join("etcd.sock").display()),
            format!("--bind-address={}", self.address),
            format!("--advertise-address={}", self.address),
            format!("--secure-port={}", self.port),
            format!("--endpoint-reconciler-type={reconciler}"),
            format!("--tls-cert-file={}", certificate("kube-apiserver")),
            format!("--tls-private-key-file={}", key("kube-apiserver")),
            format!("--client-ca-file={}", certificate("ca")),
            format!("--kubelet-client-certificate={}", certificate("kubelet-client")),
            format!("--kubelet-client-key={}", key("kubelet-client")),
            "--kubelet-preferred-address-types=InternalIP".into(),
            "--authorization-mode=Node,RBAC".into(),
            "--allow-privileged=true".into(),
            "--service-account-issuer=https://kubernetes.default.svc".into(),
            format!("--service-account-key-file={}", path(self.pki.path("service-accounts.pub"))),
            format!("--service-account-signing-key-file={}", key("service-accounts")),
            format!("--requestheader-client-ca-file={}", certificate("front-proxy-ca")),
            "--requestheader-allowed-names=front-proxy-client".into(),
            "--requestheader-username-headers=X-Remote-User".into(),
            "--requestheader-group-headers=X-Remote-Group".into(),
            "--requestheader-extra-headers-prefix=X-Remote-Extra-".into(),
            format!("--proxy-client-cert-file={}", certificate("front-proxy-client")),
            format!("--proxy-client-key-file={}", key("front-proxy-client")),
            // The API server dials webhook pods itself, without a kube-proxy beside it.
            "--enable-aggregator-routing=true".into(),
            format!("--service-cluster-ip-range={SERVICE_CIDR}"),
            "--profiling=false".into(),
        ]);
        Ok(launch.args(extra))
    }

    /// kube-controller-manager; `node_monitor_grace` is how long a silent node counts as Ready.
    pub(crate) fn controller_manager(&self, node_monitor_grace: Duration) -> Result<Launch> {
        let path = |path: PathBuf| path.display().to_string();
        let ca = path(self.pki.certificate_path("ca"));
        let seconds = node_monitor_grace.as_secs();
        Ok(self.launch("kube-controller-manager")?.args([
            format!("--kubeconfig={}", path(self.kubeconfig("kube-controller-manager"))),
            "--secure-port=0".into(),
            "--leader-elect=false".into(),
            // Its usual throttle of 20 requests a second delays its own start by 4 s.
            "--kube-api-qps=500".into(),
            "--kube-api-burst=1000".into(),
            "--use-service-account-credentials=true".into(),
            format!("--service-account-private-key-file={}", path(self.pki.key_path("service-accounts"))),
            format!("--root-ca-file={ca}"),
            format!("--cluster-signing-cert-file={ca}"),
            format!("--cluster-signing-key-file={}", path(self.pki.key_path("ca"))),
            "--allocate-node-cidrs=true".into(),
            format!("--cluster-cidr={POD_CIDR}"),
            "--node-cidr-mask-size-ipv6=64".into(),
            format!("--service-cluster-ip-range={SERVICE_CIDR}"),
            format!("--node-monitor-grace-period={seconds}s"),
            "--node-monitor-period=1s".into(),
        ]))
    }

    /// kube-scheduler.
    pub(crate) fn scheduler(&self) -> Result<Launch> {
        Ok(self.launch("kube-scheduler")?.args([
            format!("--kubeconfig={}", self.kubeconfig("kube-scheduler").display()),
            "--secure-port=0".into(),
            "--leader-elect=false".into(),
        ]))
    }

    /// kwok, which plays the kubelet for nodes annotated as fake.
    pub(crate) fn kwok(&self) -> Result<Launch> {
        Ok(self.launch("kwok")?.args([
            format!("--config={}", self.tools.program("kwok-stages.yaml")?.display()),
            format!("--kubeconfig={}", self.kubeconfig("admin").display()),
            "--manage-all-nodes=false".into(),
            "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake".into(),
            "--node-lease-duration-seconds=40".into(),
            "--node-port=0".into(),
        ]))
    }

    /// The kubeconfig of one of the names in [`certificates`](ControlPlane::certificates).
    pub(crate) fn kubeconfig(&self, name: &str) -> PathBuf {
        self.pki.path(&format!("{name}.kubeconfig"))
    }

    fn launch(&self, name: &str) -> Result<Launch> {
        let program: OsString = self.tools.program(name)?.into();
        Ok(Launch::new(name, program, self.log(name)))
    }

    fn log(&self, name: &str) -> PathBuf {
        log_in(&self.directory, name)
    }
}

/// The log of a process of that name.
pub(crate) fn log_in(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}.log"))
}

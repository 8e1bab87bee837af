//! The configuration files of a node: containerd, CNI, kubelet, kube-proxy.
//!
//! They ask for nothing a root without `CAP_SYS_RESOURCE` lacks: no lower `oom_score_adj`, no higher limit.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::layout::Node;
use super::options::ProxyMode;
use crate::control_plane::POD_CIDR;

/// What the machine has at one place or another.
const CNI_DIRECTORIES: &[&str] = &["/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"];

/// Directories of a node, and where the node sees them. The usual places, so that nothing in kubelet, containerd
/// and CNI needs to be told another.
pub(super) const PLACES: &[(&str, &str)] = &[
    ("kubelet", "/var/lib/kubelet"),
    ("containerd", "/var/lib/containerd"),
    ("run", "/run/containerd"),
    ("netns", "/run/netns"),
    ("cni", "/etc/cni/net.d"),
    ("cni-state", "/var/lib/cni"),
    ("log", "/var/log"),
];

/// Those of a node that do not survive its power-off, as they are in memory on a real one.
pub(super) const VOLATILE: &[&str] = &["run", "netns"];

/// Where one node's files are.
#[derive(Clone, Debug)]
pub(super) struct Files {
    pub(super) directory: PathBuf,
}

impl Files {
    pub(super) fn containerd(&self) -> PathBuf {
        self.directory.join("containerd.toml")
    }

    pub(super) fn kubelet(&self) -> PathBuf {
        self.directory.join("kubelet.yaml")
    }

    pub(super) fn proxy(&self) -> PathBuf {
        self.directory.join("kube-proxy.yaml")
    }

    /// Writes them all, and makes the directories.
    pub(super) fn write(
        &self,
        node: Node,
        cgroup: &str,
        client_ca: &Path,
        proxy_kubeconfig: &Path,
        mode: ProxyMode,
    ) -> Result<()> {
        for (directory, _) in PLACES {
            fs::create_dir_all(self.directory.join(directory))?;
        }
        let put = |path: PathBuf, text: String| {
            fs::write(&path, text).with_context(|| format!("write {}", path.display()))
        };
        put(self.containerd(), containerd()?)?;
        put(self.directory.join("cni/10-lab.conflist"), cni(node))?;
        put(self.kubelet(), kubelet(cgroup, client_ca)?)?;
        put(self.proxy(), proxy(node, proxy_kubeconfig, mode))
    }
}

fn containerd() -> Result<String> {
    let Some(bin) = CNI_DIRECTORIES.iter().find(|directory| Path::new(directory).join("ptp").exists()) else {
        bail!("the CNI plugin ptp is in none of {CNI_DIRECTORIES:?}; run `lab tools --install`");
    };
    Ok(format!(
        r#"version = 2
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.opt", "io.containerd.internal.v1.tracing",
  "io.containerd.tracing.processor.v1.otlp",
]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "lab.local/pause:1"
  restrict_oom_score_adj = true
  disable_hugetlb_controller = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{bin}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
"#
    ))
}

/// `ptp` and not `bridge`: nobody has to ask whether bridged packets pass iptables.
fn cni(node: Node) -> String {
    let [v4, v6] = node.pod_cidrs();
    json!({
        "cniVersion": "1.0.0",
        "name": "lab",
        "plugins": [
            {"type": "ptp", "ipMasq": false, "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": v4}], [{"subnet": v6}]],
                "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}],
            }},
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    })
    .to_string()
}

fn kubelet(cgroup: &str, client_ca: &Path) -> Result<String> {
    let config = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": client_ca},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{cgroup}"),
        "failCgroupV1": false,
        "failSwapOn": false,
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "resolvConf": "",
        "oomScoreAdj": 0,
        "maxOpenFiles": hard_limit_of_open_files()?,
        // The machine's disk is not the node's.
        "evictionHard": {
            "memory.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%",
            "imagefs.available": "0%", "imagefs.inodesFree": "0%",
        },
        "imageGCHighThresholdPercent": 100,
        "localStorageCapacityIsolation": false,
        // Renewed at a quarter of this: short, so that tests may have short grace periods.
        "nodeLeaseDurationSeconds": 8,
        "nodeStatusUpdateFrequency": "4s",
        "syncFrequency": "10s",
        "registerWithTaints": [],
    });
    Ok(serde_json::to_string_pretty(&config)?)
}

fn proxy(node: Node, kubeconfig: &Path, mode: ProxyMode) -> String {
    let config = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": mode,
        "hostnameOverride": node.name(),
        "clientConnection": {"kubeconfig": kubeconfig},
        "clusterCIDR": POD_CIDR,
        // Not writable in a network namespace.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "oomScoreAdj": 0,
        "iptables": {"minSyncPeriod": "0s"},
        "nftables": {"minSyncPeriod": "0s"},
        "bindAddress": "::",
        "detectLocalMode": "ClusterCIDR",
    });
    format!("{config:#}")
}

fn hard_limit_of_open_files() -> Result<u64> {
    let limits = fs::read_to_string("/proc/self/limits").context("read /proc/self/limits")?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let hard =
        line.and_then(|line| line.split_whitespace().nth(1)).context("no limit of open files is known")?;
    Ok(hard.parse().unwrap_or(1_000_000)) // "unlimited"
}

//! What the processes of a node need.

use anyhow::Context as _;
use metallb_lab::Cluster;

/// The proportional set size, in KiB, of the process on `node` whose program is `program` (a path in its image).
/// Pages shared with other processes count by their share.
pub async fn pss(cluster: &Cluster, node: &str, program: &str) -> anyhow::Result<u64> {
    let host = cluster.host(node);
    let pid = host.exec(["pgrep", "--full", &format!("^{program}")]).await?.success()?;
    let pid = pid.lines().next().with_context(|| format!("{program} does not run on {node}"))?.to_owned();
    share(&host.exec(["cat", &format!("/proc/{pid}/smaps_rollup")]).await?.success()?)
}

/// The same of a process of this machine, by its id.
pub fn pss_of(pid: u32) -> anyhow::Result<u64> {
    let file = format!("/proc/{pid}/smaps_rollup");
    share(&std::fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?)
}

fn share(rollup: &str) -> anyhow::Result<u64> {
    let line = rollup.lines().find(|line| line.starts_with("Pss:")).context("no Pss in smaps_rollup")?;
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).context("Pss is no number")
}

//! What the processes of a node need: memory, and processor time.

use std::time::Duration;

use anyhow::Context as _;
use metallb_lab::Cluster;

/// The proportional set size, in KiB, of the process on `node` whose program is `program` (a path in its image).
/// Pages shared with other processes count by their share.
pub async fn pss(cluster: &Cluster, node: &str, program: &str) -> anyhow::Result<u64> {
    let pid = pid(cluster, node, program).await?;
    share(&cluster.host(node).exec(["cat", &format!("/proc/{pid}/smaps_rollup")]).await?.success()?)
}

/// The same of a process of this machine, by its id.
pub fn pss_of(pid: u32) -> anyhow::Result<u64> {
    let file = format!("/proc/{pid}/smaps_rollup");
    share(&std::fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?)
}

/// The processor time that a process of this machine has used, by its id: a clock of a hundred ticks a second.
pub fn processor_time_of(pid: u32) -> anyhow::Result<Duration> {
    let file = format!("/proc/{pid}/stat");
    ticks(&std::fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?)
}

/// The same of the process on `node` whose program is `program`.
pub async fn processor_time(cluster: &Cluster, node: &str, program: &str) -> anyhow::Result<Duration> {
    let pid = pid(cluster, node, program).await?;
    ticks(&cluster.host(node).exec(["cat", &format!("/proc/{pid}/stat")]).await?.success()?)
}

async fn pid(cluster: &Cluster, node: &str, program: &str) -> anyhow::Result<String> {
    let host = cluster.host(node);
    let pid = host.exec(["pgrep", "--full", &format!("^{program}")]).await?.success()?;
    Ok(pid.lines().next().with_context(|| format!("{program} does not run on {node}"))?.to_owned())
}

/// `utime` and `stime` of proc_pid_stat(5), which come after the name in brackets.
fn ticks(stat: &str) -> anyhow::Result<Duration> {
    let (_, rest) = stat.rsplit_once(')').context("no name in stat")?;
    let ticks = rest.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    let ticks: Vec<u64> = ticks.collect::<Result<_, _>>().context("times in stat are no numbers")?;
    Ok(Duration::from_millis(ticks.iter().sum::<u64>() * 10))
}

fn share(rollup: &str) -> anyhow::Result<u64> {
    let line = rollup.lines().find(|line| line.starts_with("Pss:")).context("no Pss in smaps_rollup")?;
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).context("Pss is no number")
}

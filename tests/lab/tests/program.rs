//! The program `lab`, and clusters whose making was cut short. Needs root.

mod traces;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use metallb_lab::{Cluster, ClusterOptions, eventually};
use serde_json::Value;

use traces::{needs_root, traces_of};

const SOON: Duration = Duration::from_secs(30);

fn lab(name: &str, args: &[&str]) -> Result<Output> {
    let output = Command::new(env!("CARGO_BIN_EXE_lab")).args(["--name", name]).args(args).output()?;
    Ok(output)
}

fn succeed(name: &str, args: &[&str]) -> Result<String> {
    let output = lab(name, args)?;
    ensure!(output.status.success(), "lab {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

fn status(name: &str) -> Result<Value> {
    Ok(serde_json::from_slice(&lab(name, &["status", "-o", "json"])?.stdout)?)
}

fn pid_of(status: &Value, process: &str) -> Option<u64> {
    let processes = status["processes"].as_array()?;
    processes.iter().find(|known| known["name"] == process)?["pid"].as_u64()
}

/// Whatever a test below does, its cluster does not stay.
struct Down(&'static str);

impl Drop for Down {
    fn drop(&mut self) {
        let _ = lab(self.0, &["down"]);
    }
}

#[tokio::test]
async fn up_twice_restarts_what_has_died_and_nothing_else() -> Result<()> {
    if needs_root() {
        return Ok(());
    }
    let name = "self-cli";
    let _down = Down(name);
    let said = succeed(name, &["up", "--nodes", "1"])?;
    let kubeconfig = said.trim().strip_prefix("export KUBECONFIG=").context("up says what to do next")?;
    assert_eq!(succeed(name, &["kubeconfig"])?.trim(), kubeconfig);
    assert!(fs::read_to_string(kubeconfig)?.contains("https://127.0.0.1:"));

    let before = status(name)?;
    assert_eq!(before["healthy"], true);
    let kubelet = pid_of(&before, "n1-kubelet").context("the kubelet runs")?;
    let killed = Command::new("kill").args(["-9", &kubelet.to_string()]).status()?;
    ensure!(killed.success());
    eventually(SOON, "the kubelet is dead", async || status(name).is_ok_and(|it| it["healthy"] == false))
        .await;
    let broken = lab(name, &["status"])?;
    assert!(!broken.status.success());
    assert!(String::from_utf8_lossy(&broken.stdout).contains("DEAD"));

    succeed(name, &["up", "--nodes", "1"])?;
    let after = status(name)?;
    assert_eq!(after["healthy"], true);
    assert_ne!(pid_of(&after, "n1-kubelet"), Some(kubelet));
    for process in ["etcd", "kube-apiserver", "n1-init", "n1-containerd", "n1-kube-proxy", "forward"] {
        assert_eq!(pid_of(&after, process), pid_of(&before, process), "{process}");
    }

    assert_eq!(succeed(name, &["exec", "n1", "hostname"])?, "n1\n");
    assert!(succeed(name, &["kubectl", "get", "nodes", "--no-headers"])?.starts_with("n1 "));
    assert!(succeed(name, &["logs"])?.contains("n1-kubelet"));
    assert!(succeed(name, &["logs", "n1-kubelet"])?.contains("kubelet"));
    assert_eq!(lab(name, &["exec", "client", "--", "sh", "-c", "exit 7"])?.status.code(), Some(7));
    let error = lab(name, &["exec", "n9", "true"])?.stderr;
    assert!(String::from_utf8_lossy(&error).contains("it has lan, cp, client, router, remote, n1"));
    let error = lab(name, &["up", "--nodes", "1", "--proxy-mode", "iptables"])?.stderr;
    assert!(String::from_utf8_lossy(&error).contains("`lab down --name self-cli` first"));

    succeed(name, &["down"])?;
    assert_eq!(traces_of(name), Vec::<String>::new());
    assert!(succeed(name, &["down"]).is_ok(), "nothing to do is no failure");
    assert!(!lab(name, &["status"])?.status.success());
    Ok(())
}

#[test]
fn down_works_after_up_was_killed_at_any_step() -> Result<()> {
    if needs_root() {
        return Ok(());
    }
    let name = "self-crash";
    let _down = Down(name);
    // After the first line, the second… the network, containerd, the API server; and before any.
    for lines in 0..4 {
        let mut up = start_up(name)?;
        let mut said = BufReader::new(up.stderr.take().context("no pipe")?).lines();
        for _ in 0..lines {
            said.next().context("up has more to say")??;
        }
        up.kill()?;
        up.wait()?;
        succeed(name, &["down"])?;
        assert_eq!(traces_of(name), Vec::<String>::new(), "killed after {lines} lines");
    }
    Ok(())
}

/// Run by the test below, in a process of its own.
#[tokio::test]
#[ignore = "waits to be killed"]
async fn makes_a_cluster_and_waits() -> Result<()> {
    let _cluster = Cluster::up(ClusterOptions::named("self-killed").nodes(1)).await?;
    println!("the cluster is up");
    std::future::pending().await
}

#[tokio::test]
async fn a_killed_test_takes_its_cluster_along() -> Result<()> {
    if needs_root() {
        return Ok(());
    }
    let name = "self-killed";
    let _down = Down(name);
    let mut test = Command::new(std::env::current_exe()?)
        .args(["--exact", "makes_a_cluster_and_waits", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut said = BufReader::new(test.stdout.take().context("no pipe")?).lines();
    let up = said.any(|line| line.is_ok_and(|line| line.contains("the cluster is up")));
    let alive = traces_of(name).len();
    test.kill()?;
    test.wait()?;
    assert!(up && alive > 10, "{alive} traces");
    eventually(SOON, "nothing is left", async || {
        let left = traces_of(name);
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
    Ok(())
}

fn start_up(name: &str) -> Result<Child> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
    Ok(command
        .args(["--name", name, "up", "--nodes", "2"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?)
}

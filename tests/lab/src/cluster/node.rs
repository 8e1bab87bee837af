//! A node's life: its namespaces, its daemons, its power button.
//!
//! A node is a network, mount, pid and host name namespace around a process that does nothing (`pause`). That process
//! is the node's pid 1: when it dies the kernel ends everything in the node and drops every mount.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use futures::future::try_join_all;
use nix::mount::{MsFlags, mount};
use tokio::process::Command;

use super::cgroup::{self, Groups};
use super::layout::{Node, addresses};
use super::node_files::{Files, PLACES, VOLATILE};
use super::site::Site;
use super::state::{Ledger, State};
use crate::command::output;
use crate::netns;
use crate::pki::Subject;
use crate::process::{Launch, Process};
use crate::wait::{Verdict, until};

const UNSHARE: &[&str] = &[
    "unshare",
    "--mount",
    "--propagation=slave", // what the machine unmounts goes here too
    "--pid",
    "--fork",
    "--kill-child",
    "--uts",
    "--mount-proc",
    "--",
];

/// The node's pid 1, by its name in the state.
pub(super) fn init(node: &str) -> String {
    format!("{node}-init")
}

/// Enters all of a node's namespaces. To be followed by a command.
pub(super) fn nsenter(init: &Process) -> Vec<OsString> {
    ["nsenter", "-t", &init.pid.to_string(), "-n", "-m", "-p", "-u", "--"].map(OsString::from).into()
}

/// The node's pid 1, if the node is on.
pub(super) fn running_init(state: &State, node: &str) -> Option<Process> {
    state.processes.get(&init(node)).filter(|process| process.alive()).cloned()
}

/// Switches a node on as far as containerd, with its images. What runs already stays.
pub(super) async fn start(site: &Site, ledger: &Ledger, node: Node) -> Result<()> {
    let name = node.name();
    let files = files(site, node);
    let groups = groups(site, node);
    if running_init(&ledger.read(), &name).is_none() {
        ledger.write(|state| state.cgroups.extend(groups.directories.iter().cloned()))?;
        cgroup::destroy(&groups.directories.iter().cloned().collect())?; // what a dead node left
        groups.create()?;
        for directory in VOLATILE {
            let _ = fs::remove_dir_all(files.directory.join(directory)); // made anew below
        }
        files.write(
            node,
            &site.layout.scoped(&name),
            &site.plane.pki.certificate_path("ca"),
            &site.plane.kubeconfig("kube-proxy"),
            ledger.read().options.proxy_mode,
        )?;
        start_init(site, ledger, node, &groups).await?;
    }
    let containerd =
        Launch::new(format!("{name}-containerd"), "containerd", site.log(&format!("{name}-containerd")))
            .args([OsString::from("-c"), files.containerd().into()]);
    if start_daemon(site, ledger, node, containerd).await? {
        until(Duration::from_secs(30), &format!("containerd of {name} answers"), async || {
            ctr(ledger, &name, &["version"]).await
        })
        .await?;
        for archive in ["pause.tar", "hello.tar"] {
            import(ledger, node, &site.plane.tools.program(archive)?).await?;
        }
        try_join_all(ledger.read().options.images.iter().map(|archive| import(ledger, node, archive)))
            .await?;
    }
    Ok(())
}

/// Starts kubelet and kube-proxy, unless they run; whether the kubelet is new.
pub(super) async fn join(site: &Site, ledger: &Ledger, node: Node) -> Result<bool> {
    let name = node.name();
    let files = files(site, node);
    let (v4, v6) = addresses(&name).context("a node has addresses")?;
    let user = format!("system:node:{name}");
    let subject = Subject { user: &user, group: Some("system:nodes") };
    let kubeconfig = site.plane.pki.kubeconfig(&format!("kubelet-{name}"), subject, &site.plane.url())?;
    let launch = |program: &str| -> Result<Launch> {
        let process = format!("{name}-{program}");
        let log = site.log(&process);
        Ok(Launch::new(process, site.plane.tools.program(program)?, log))
    };
    let kubelet = launch("kubelet")?.args([
        format!("--config={}", files.kubelet().display()),
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--hostname-override={name}"),
        format!("--node-ip={v4},{v6}"),
    ]);
    let proxy = launch("kube-proxy")?.args([format!("--config={}", files.proxy().display())]);
    let new = start_daemon(site, ledger, node, kubelet).await?;
    start_daemon(site, ledger, node, proxy).await?;
    Ok(new)
}

/// Ends a node in the midst of everything. Its network is not touched here: whoever calls this has cut it.
pub(super) fn kill(site: &Site, ledger: &Ledger, node: Node) -> Result<()> {
    let groups: BTreeSet<_> = groups(site, node).directories.into_iter().collect();
    cgroup::destroy(&groups)?;
    let prefix = format!("{}-", node.name());
    ledger.write(|state| {
        state.processes.retain(|process, _| !process.starts_with(&prefix));
        state.cgroups.retain(|directory| !groups.contains(directory));
    })
}

/// Loads an image archive into a node.
pub(super) async fn import(ledger: &Ledger, node: Node, archive: &Path) -> Result<()> {
    let path = archive.to_str().context("the archive's name is no text")?;
    let imported = ctr(ledger, &node.name(), &["-n", "k8s.io", "image", "import", path]).await;
    imported.with_context(|| format!("import {path} into {}", node.name()))
}

async fn ctr(ledger: &Ledger, node: &str, args: &[&str]) -> Result<()> {
    let init = running_init(&ledger.read(), node).with_context(|| format!("{node} is off"))?;
    let mut words = nsenter(&init);
    words.push("ctr".into());
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).args(args);
    output(command).await?.success()?;
    Ok(())
}

async fn start_init(site: &Site, ledger: &Ledger, node: Node, groups: &Groups) -> Result<()> {
    let name = node.name();
    let pause = site.plane.tools.program("pause")?;
    let launch = Launch::new(init(&name), &pause, site.log(&init(&name)))
        .through(UNSHARE)
        .through(site.layout.nsenter(&name))
        .in_cgroups(groups.join.clone());
    let wrapper = ledger.start(launch)?;
    let init = adopt_child(ledger, &wrapper).await?;
    let directory = files(site, node).directory;
    netns::within_mounts_of(init.pid, || furnish(&name, &directory))
        .with_context(|| format!("set up the mounts of {name}"))
}

/// Starts a daemon inside a node; false when it runs already.
async fn start_daemon(site: &Site, ledger: &Ledger, node: Node, launch: Launch) -> Result<bool> {
    if ledger.read().runs(launch.name()) {
        return Ok(false);
    }
    start_inside(site, ledger, node, launch).await?;
    Ok(true)
}

/// Starts something inside a node, in its control groups.
pub(super) async fn start_inside(
    site: &Site,
    ledger: &Ledger,
    node: Node,
    launch: Launch,
) -> Result<Process> {
    let init =
        running_init(&ledger.read(), &node.name()).with_context(|| format!("{} is off", node.name()))?;
    let wrapper = ledger.start(launch.through(nsenter(&init)).in_cgroups(groups(site, node).join))?;
    adopt_child(ledger, &wrapper).await
}

/// Who enters a pid namespace stays outside and waits for a child. The child is what is recorded in the end.
async fn adopt_child(ledger: &Ledger, wrapper: &Process) -> Result<Process> {
    let child = until(Duration::from_secs(20), &format!("{} runs", wrapper.name), async || {
        match wrapper.wrapped_child() {
            Some(pid) => Verdict::Yes(pid),
            None if wrapper.alive() => Verdict::NotYet("a wrapper without a child".into()),
            None => Verdict::Never(anyhow!("it ended; its last words:\n{}", wrapper.last_words())),
        }
    })
    .await?;
    let process = Process::observe(&wrapper.name, child, &wrapper.log)?;
    ledger.write(|state| {
        state.processes.insert(process.name.clone(), process.clone());
    })?;
    Ok(process)
}

/// Runs inside the node's mount and host name namespaces.
fn furnish(name: &str, directory: &Path) -> Result<()> {
    nix::unistd::sethostname(name).context("set the host name")?;
    // A peer group of its own: nothing reaches the machine, and volumes propagate inside the node.
    let (none, everything) = (None::<&str>, MsFlags::MS_REC | MsFlags::MS_SHARED);
    mount(none, "/", none, everything, none).context("share the mounts within the node")?;
    for (source, target) in PLACES {
        let source = directory.join(source);
        mount(Some(&source), *target, none, MsFlags::MS_BIND, none)
            .with_context(|| format!("mount {} on {target}", source.display()))?;
    }
    Ok(())
}

fn files(site: &Site, node: Node) -> Files {
    Files { directory: site.directory.join(node.name()) }
}

fn groups(site: &Site, node: Node) -> Groups {
    site.cgroups.node(&site.layout.scoped(&node.name()))
}

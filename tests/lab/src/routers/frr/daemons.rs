//! FRR's programs: started, spoken to with vtysh.

use std::fs;

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;

use super::configuration::{Texts, difference};
use crate::routers::config::{Config, Peer};
use crate::routers::running::Running;

/// Whom FRR's programs become.
pub(in crate::routers) const USER: &str = "frr";

/// Starts what the configuration needs, and waits until it listens.
pub(in crate::routers) async fn start(running: &mut Running, config: &Config) -> Result<()> {
    let Texts { bgpd, bfdd } = Texts::of(config);
    running.write("zebra.conf", "log stdout informational\n")?;
    running.write("bgpd.conf", &format!("log stdout informational\ndebug bgp neighbor-events\n{bgpd}"))?;
    running.write("bfdd.conf", &format!("log stdout informational\n{bfdd}"))?;
    for socket in ["zserv.api", "zebra.vty", "bfdd.vty", "bgpd.vty"] {
        let path = running.directory().join(socket);
        if path.exists() {
            fs::remove_file(&path).with_context(|| format!("remove the old {socket}"))?;
        }
    }
    launch(running, "zebra", &[])?;
    running.until_there("zserv.api").await?;
    // It is there also when nobody uses it yet: a changed configuration may.
    let control = running.file("bfdctl.sock");
    launch(running, "bfdd", &["--bfdctl", &control])?;
    until_configured(running, "bfdd").await?;
    if config.speaks_bgp() {
        launch(running, "bgpd", &["-p", &config.port.to_string()])?;
        until_configured(running, "bgpd").await?;
    }
    Ok(())
}

fn launch(running: &mut Running, daemon: &str, more: &[&str]) -> Result<()> {
    let (configuration, pid) =
        (running.file(&format!("{daemon}.conf")), running.file(&format!("{daemon}.pid")));
    let (zserv, sockets) = (running.file("zserv.api"), running.file(""));
    let args =
        ["-f", &configuration, "-i", &pid, "-z", &zserv, "--vty_socket", sockets.trim_end_matches('/')];
    let args = [&args[..], &["-P", "0"], more].concat();
    running.launch(daemon, &format!("/usr/lib/frr/{daemon}"), &args)
}

/// Waits until a daemon answers: by then it has read its configuration, and said what of it it passed over.
async fn until_configured(running: &Running, daemon: &str) -> Result<()> {
    running.until_there(&format!("{daemon}.vty")).await?;
    vtysh(running, &["-d", daemon, "-c", "show version"]).await?;
    let log = fs::read_to_string(running.file(&format!("{daemon}.log"))).unwrap_or_default();
    if let Some(line) = log.lines().find(|line| line.contains("on config line")) {
        bail!("{daemon} does not take its configuration: {line}");
    }
    Ok(())
}

/// What a command of FRR gives.
pub(super) async fn show<T: DeserializeOwned>(running: &Running, daemon: &str, command: &str) -> Result<T> {
    let said = vtysh(running, &["-d", daemon, "-c", command]).await?;
    serde_json::from_str(&said).with_context(|| format!("FRR's answer to {command:?}: {said}"))
}

/// Applies the difference between two configurations; sessions that are the same in both stay.
pub(in crate::routers) async fn reconfigure(running: &Running, old: &Config, new: &Config) -> Result<()> {
    let (old, new) = (Texts::of(old), Texts::of(new));
    let bfd = difference(&old.bfdd, &new.bfdd);
    let bgp = difference(&old.bgpd, &new.bgpd);
    for (daemon, commands) in [("bfdd", bfd), ("bgpd", bgp)] {
        let mut args = vec!["-d", daemon, "-c", "configure terminal"];
        args.extend(commands.iter().flat_map(|command| ["-c", command.as_str()]));
        vtysh(running, &args).await?;
    }
    Ok(())
}

/// Ends a session; it begins again by itself.
pub(in crate::routers) async fn clear(running: &Running, neighbour: &Peer) -> Result<()> {
    vtysh(running, &["-d", "bgpd", "-c", &format!("clear bgp {}", name_of(neighbour))]).await.map(drop)
}

/// Asks a neighbour for all its routes again.
pub(in crate::routers) async fn refresh(running: &Running, neighbour: &Peer) -> Result<()> {
    vtysh(running, &["-d", "bgpd", "-c", &format!("clear bgp {} soft in", name_of(neighbour))])
        .await
        .map(drop)
}

fn name_of(neighbour: &Peer) -> String {
    match neighbour {
        Peer::Address(address) => address.to_string(),
        Peer::LinkLocal(address, _) => address.to_string(),
        Peer::Interface(interface) => interface.clone(),
        Peer::Range(_) => "*".to_owned(),
    }
}

async fn vtysh(running: &Running, args: &[&str]) -> Result<String> {
    let sockets = running.directory().to_string_lossy().into_owned();
    running.ask("vtysh", &[&["--vty_socket", sockets.as_str()], args].concat()).await
}

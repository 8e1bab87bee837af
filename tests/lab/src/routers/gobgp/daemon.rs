//! The program `gobgpd`: started, spoken to with gobgp.

use anyhow::{Context, Result, bail};
use ipnet::IpNet;
use nix::sys::signal::Signal;

use super::configuration::text;
use crate::routers::config::{Config, Family, Peer, Restarting};
use crate::routers::running::{Running, Start};

/// Where it listens for gobgp, in its own network.
const API: &str = "127.0.0.1:50051";

pub(in crate::routers) async fn start(running: &mut Running, config: &Config) -> Result<()> {
    running.write("gobgpd.toml", &text(config)?)?;
    let configuration = running.file("gobgpd.toml");
    let mut args = vec!["-t", "toml", "-f", &configuration, "-p", "--pprof-disable", "--api-hosts", API];
    match (running.starting(), config.restarting) {
        // It says that its forwarding has survived.
        (Start::Again, Restarting::Graceful(_)) => args.push("-r"),
        (Start::Again, Restarting::Off | Restarting::Helper) | (Start::First, _) => {}
    }
    running.launch("gobgpd", "gobgpd", &args)?;
    running.until("GoBGP answers", async || gobgp(running, &["global"]).await).await?;
    for prefix in &config.originates {
        originate(running, "add", prefix).await?;
    }
    Ok(())
}

/// What GoBGP says to a command.
pub(super) async fn gobgp(running: &Running, words: &[&str]) -> Result<String> {
    running.host().run(&[&["gobgp"], words].concat()).await?.success()
}

pub(in crate::routers) async fn reconfigure(running: &Running, old: &Config, new: &Config) -> Result<()> {
    running.write("gobgpd.toml", &text(new)?)?;
    running.process("gobgpd").context("GoBGP does not run")?.signal(Signal::SIGHUP);
    for gone in old.originates.iter().filter(|prefix| !new.originates.contains(prefix)) {
        originate(running, "del", gone).await?;
    }
    for added in new.originates.iter().filter(|prefix| !old.originates.contains(prefix)) {
        originate(running, "add", added).await?;
    }
    Ok(())
}

pub(in crate::routers) async fn clear(running: &Running, neighbour: &Peer) -> Result<()> {
    let name = match neighbour {
        Peer::Address(address) => address.to_string(),
        Peer::LinkLocal(address, interface) => format!("{address}%{interface}"),
        Peer::Interface(_) | Peer::Range(_) => bail!("GoBGP clears a neighbour by its address only"),
    };
    // After `reset` it would stay idle for half a minute, whatever its configuration says.
    gobgp(running, &["neighbor", &name, "disable"]).await?;
    gobgp(running, &["neighbor", &name, "enable"]).await.map(drop)
}

async fn originate(running: &Running, action: &str, prefix: &IpNet) -> Result<()> {
    let family = match Family::of(prefix) {
        Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    };
    gobgp(running, &["global", "rib", action, &prefix.to_string(), "-a", family]).await.map(drop)
}

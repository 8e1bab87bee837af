//! The program `bird`: started, spoken to with birdc.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::configuration::{name_of, text};
use crate::routers::config::{Config, Peer, Restarting};
use crate::routers::running::{Running, Start};

pub(in crate::routers) async fn start(running: &mut Running, config: &Config) -> Result<()> {
    running.write("bird.conf", &text(config)?)?;
    let socket = running.directory().join("bird.ctl");
    if socket.exists() {
        fs::remove_file(&socket).context("remove the old socket of BIRD")?;
    }
    let (configuration, control) = (running.file("bird.conf"), running.file("bird.ctl"));
    let mut args = vec!["-f", "-c", &configuration, "-s", &control];
    match (running.starting(), config.restarting) {
        // It waits for its neighbours before it removes what is in the kernel.
        (Start::Again, Restarting::Graceful(_)) => args.push("-R"),
        (Start::Again, Restarting::Off | Restarting::Helper) | (Start::First, _) => {}
    }
    running.launch("bird", "bird", &args)?;
    running.until("BIRD answers", async || birdc(running, "show status").await).await.map(drop)
}

/// What BIRD says to a command.
pub(super) async fn birdc(running: &Running, command: &str) -> Result<String> {
    running.ask("birdc", &["-s", &running.file("bird.ctl"), command]).await
}

pub(in crate::routers) async fn reconfigure(running: &Running, new: &Config) -> Result<()> {
    running.write("bird.conf", &text(new)?)?;
    let said = birdc(running, "configure").await?;
    ensure!(said.contains("Reconfigur"), "BIRD does not take its new configuration: {said}");
    Ok(())
}

pub(in crate::routers) async fn clear(running: &Running, config: &Config, neighbour: &Peer) -> Result<()> {
    let said = birdc(running, &format!("restart {}", names_of(config, neighbour)?)).await?;
    ensure!(said.contains("restarted"), "BIRD does not restart the session: {said}");
    Ok(())
}

pub(in crate::routers) async fn refresh(running: &Running, config: &Config, neighbour: &Peer) -> Result<()> {
    let said = birdc(running, &format!("reload in {}", names_of(config, neighbour)?)).await?;
    ensure!(said.contains("reloading"), "BIRD does not ask for the routes again: {said}");
    Ok(())
}

/// The protocols for a neighbour, as a pattern.
fn names_of(config: &Config, neighbour: &Peer) -> Result<String> {
    let number = config.neighbours.iter().position(|known| known.at == *neighbour);
    let number = number.with_context(|| format!("BIRD was told of no neighbour at {neighbour:?}"))?;
    Ok(format!("\"{}*\"", name_of(number)))
}

//! What the LAN sees: who answers for an address.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use anyhow::Context as _;
use metallb_lab::eventually;

use crate::place::{Machine, Place};

/// The hardware address that `client` finds for `address`, asking anew.
pub async fn resolve(client: &impl Machine, address: IpAddr) -> anyhow::Result<String> {
    forget(client).await?;
    let said =
        client.run(&["arping", "-c", "1", "-w", "1", "-I", "eth0", &address.to_string()]).await?.success()?;
    let (_, rest) = said.split_once('[').with_context(|| format!("nobody answers for {address}: {said}"))?;
    Ok(rest.split(']').next().unwrap_or_default().to_lowercase())
}

/// The hardware address that `client` finds for an IPv6 address, asking anew.
pub async fn resolve_v6(client: &impl Machine, address: Ipv6Addr) -> anyhow::Result<String> {
    let said = client.run(&["ndisc6", "-q", "-1", &address.to_string(), "eth0"]).await?.success()?;
    Ok(said.trim().to_lowercase())
}

/// Empties the neighbour cache of `client`: whatever it reaches next it has to ask for.
pub async fn forget(client: &impl Machine) -> anyhow::Result<()> {
    client.run(&["ip", "neigh", "flush", "dev", "eth0"]).await?.success()?;
    Ok(())
}

/// The hardware address of a node. By netlink: a host of the lab sees the machine's /sys.
pub async fn mac(node: &impl Machine) -> anyhow::Result<String> {
    let link = node.run(&["ip", "-brief", "link", "show", "eth0"]).await?.success()?;
    let mac = link.split_whitespace().nth(2).with_context(|| format!("no hardware address in {link:?}"))?;
    Ok(mac.to_owned())
}

/// Every node that answers for `address` when asked by broadcast. More than one is a split.
pub async fn answering(client: &impl Machine, address: IpAddr) -> anyhow::Result<Vec<String>> {
    let outcome =
        client.run(&["arping", "-b", "-c", "2", "-w", "2", "-I", "eth0", &address.to_string()]).await?;
    let mut macs: Vec<_> = outcome
        .stdout
        .lines()
        .filter_map(|line| line.split_once('[')?.1.split(']').next().map(str::to_lowercase))
        .collect();
    macs.sort();
    macs.dedup();
    Ok(macs)
}

/// Waits until exactly one node answers for `address`. Its name.
pub async fn answered_by_one(place: &impl Place, address: IpAddr) -> anyhow::Result<String> {
    let client = place.client();
    let mut names = Vec::new();
    for node in place.nodes() {
        names.push((mac(&place.node(&node)).await.unwrap_or_default(), node));
    }
    let mac = eventually(Duration::from_secs(20), &format!("one node answers for {address}"), async || {
        let macs = answering(&client, address).await.ok()?;
        let [one] = macs.as_slice() else { return None };
        Some(one.clone())
    })
    .await;
    let found = names.into_iter().find(|(known, _)| *known == mac);
    found.map(|(_, node)| node).with_context(|| format!("{mac}, which answers for {address}, is no node"))
}

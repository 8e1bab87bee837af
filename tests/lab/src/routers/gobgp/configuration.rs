//! GoBGP's configuration file.

use std::fmt::Write as _;

use anyhow::{Result, bail};

use crate::routers::config::{Config, Distance, Family, Initiative, Neighbour, Peer, Remote, Restarting};

pub(super) fn text(config: &Config) -> Result<String> {
    let Config { asn, router_id, port, neighbours, originates: _, restarting: _, bfd_peers } = config;
    if !bfd_peers.is_empty() {
        bail!("GoBGP has no BFD: leave bfd_peers out, or take FRR or BIRD");
    }
    let mut text = format!(
        "[global.config]\n  as = {asn}\n  router-id = \"{router_id}\"\n  port = {port}\n\
         [global.use-multiple-paths.config]\n  enabled = true\n"
    );
    for (number, neighbour) in neighbours.iter().enumerate() {
        session(&mut text, config, number, neighbour)?;
    }
    Ok(text)
}

fn session(text: &mut String, config: &Config, number: usize, neighbour: &Neighbour) -> Result<()> {
    let Neighbour {
        at,
        remote,
        port,
        local_asn,
        password,
        initiative,
        distance,
        timers,
        families,
        additional_paths,
        extended_next_hop: _, // announced wherever the neighbour's address is IPv6
        source,
        bfd,
    } = neighbour;
    if bfd.is_some() {
        bail!("GoBGP has no BFD: leave bfd out, or take FRR or BIRD");
    }
    let remote = match remote {
        Remote::As(asn) => *asn,
        Remote::Internal => local_asn.unwrap_or(config.asn),
        Remote::External => bail!("GoBGP has to know the neighbour's AS: Remote::As, or take FRR or BIRD"),
    };
    let group = format!("group{number}");
    let (table, identity) = match at {
        Peer::Address(address) => ("neighbors", format!("neighbor-address = \"{address}\"")),
        Peer::LinkLocal(address, interface) => {
            ("neighbors", format!("neighbor-address = \"{address}%{interface}\""))
        }
        Peer::Interface(_) => {
            bail!("GoBGP sends no router advertisements: unnumbered neighbours take FRR or BIRD")
        }
        Peer::Range(range) => {
            let _ = write!(
                text,
                "[[dynamic-neighbors]]\n[dynamic-neighbors.config]\n  prefix = \"{range}\"\n  peer-group = \"{group}\"\n"
            );
            ("peer-groups", format!("peer-group-name = \"{group}\""))
        }
    };
    let _ = write!(text, "[[{table}]]\n[{table}.config]\n  {identity}\n  peer-as = {remote}\n");
    if let Some(asn) = local_asn {
        let _ = writeln!(text, "  local-as = {asn}");
    }
    if let Some(password) = password {
        let _ = writeln!(text, "  auth-password = \"{password}\"");
    }
    let passive = *initiative == Initiative::Passive;
    let _ = write!(text, "[{table}.transport.config]\n  passive-mode = {passive}\n  remote-port = {port}\n");
    if let Some(source) = source {
        let _ = writeln!(text, "  local-address = \"{source}\"");
    }
    let (keepalive, hold, retry) =
        (timers.keepalive.as_secs(), timers.hold.as_secs(), timers.connect_retry.as_secs().max(1));
    let _ = write!(
        text,
        "[{table}.timers.config]\n  hold-time = {hold}\n  keepalive-interval = {keepalive}\n  connect-retry = {retry}\n"
    );
    match distance {
        Distance::Default => {}
        Distance::Multihop(hops) => {
            let _ =
                write!(text, "[{table}.ebgp-multihop.config]\n  enabled = true\n  multihop-ttl = {hops}\n");
        }
        Distance::TtlSecurity(hops) => {
            let least = 255 - hops.saturating_sub(1);
            let _ = write!(text, "[{table}.ttl-security.config]\n  enabled = true\n  ttl-min = {least}\n");
        }
    }
    let keeps = match config.restarting {
        Restarting::Off => None,
        Restarting::Helper => Some("helper-only = true".to_owned()),
        Restarting::Graceful(time) => Some(format!("restart-time = {}", time.as_secs())),
    };
    if let Some(keeps) = keeps {
        let _ = write!(text, "[{table}.graceful-restart.config]\n  enabled = true\n  {keeps}\n");
    }
    for family in families {
        let name = match family {
            Family::V4 => "ipv4-unicast",
            Family::V6 => "ipv6-unicast",
        };
        let keeps = config.restarting != Restarting::Off;
        let _ = write!(
            text,
            "[[{table}.afi-safis]]\n[{table}.afi-safis.config]\n  afi-safi-name = \"{name}\"\n\
             [{table}.afi-safis.mp-graceful-restart.config]\n  enabled = {keeps}\n\
             [{table}.afi-safis.add-paths.config]\n  receive = {additional_paths}\n"
        );
    }
    Ok(())
}

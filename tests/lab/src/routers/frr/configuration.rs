//! FRR's configuration files.

use std::fmt::Write as _;
use std::time::Duration;

use crate::routers::config::{
    Administration, Bfd, BfdPeer, Config, Distance, Echo, Family, Initiative, Neighbour, Peer, Remote,
    Restarting,
};

/// What bgpd and bfdd are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::routers) struct Texts {
    pub(super) bgpd: String,
    pub(super) bfdd: String,
}

impl Texts {
    pub(in crate::routers) fn of(config: &Config) -> Self {
        Self { bgpd: bgpd(config), bfdd: bfdd(config) }
    }
}

fn bgpd(config: &Config) -> String {
    let Config { asn, router_id, port: _, neighbours, originates, restarting, bfd_peers: _ } = config;
    let mut text = format!(
        "router bgp {asn}\n \
         bgp router-id {router_id}\n \
         no bgp ebgp-requires-policy\n \
         no bgp default ipv4-unicast\n \
         no bgp network import-check\n \
         bgp bestpath as-path multipath-relax\n"
    );
    match restarting {
        Restarting::Off => text.push_str(" bgp graceful-restart-disable\n"),
        Restarting::Helper => {}
        Restarting::Graceful(time) => {
            let seconds = time.as_secs();
            let _ = write!(
                text,
                " bgp graceful-restart\n \
                 bgp graceful-restart restart-time {seconds}\n \
                 bgp graceful-restart preserve-fw-state\n"
            );
        }
    }
    for (number, neighbour) in neighbours.iter().enumerate() {
        session(&mut text, number, neighbour);
    }
    for family in Family::ALL {
        let name = match family {
            Family::V4 => "ipv4",
            Family::V6 => "ipv6",
        };
        let _ = writeln!(text, " address-family {name} unicast");
        for (number, neighbour) in neighbours.iter().enumerate() {
            if neighbour.families.contains(&family) {
                let _ = writeln!(text, "  neighbor {} activate", name_of(number, neighbour));
            }
        }
        for prefix in originates.iter().filter(|prefix| Family::of(prefix) == family) {
            let _ = writeln!(text, "  network {prefix}");
        }
        text.push_str("  maximum-paths 64\n  maximum-paths ibgp 64\n exit-address-family\n");
    }
    text
}

fn name_of(number: usize, neighbour: &Neighbour) -> String {
    match &neighbour.at {
        Peer::Address(address) => address.to_string(),
        Peer::LinkLocal(address, _) => address.to_string(),
        Peer::Interface(interface) => interface.clone(),
        Peer::Range(_) => format!("range{number}"),
    }
}

fn session(text: &mut String, number: usize, neighbour: &Neighbour) {
    let Neighbour {
        at,
        remote,
        port,
        local_asn,
        password,
        initiative,
        distance,
        timers,
        families: _,
        extended_next_hop,
        additional_paths: _, // taken in any case
        source,
        bfd,
    } = neighbour;
    let name = name_of(number, neighbour);
    let remote = match remote {
        Remote::As(asn) => asn.to_string(),
        Remote::Internal => "internal".into(),
        Remote::External => "external".into(),
    };
    let mut line = |words: String| {
        let _ = writeln!(text, " {words}");
    };
    match at {
        Peer::Address(_) => line(format!("neighbor {name} remote-as {remote}")),
        Peer::LinkLocal(_, interface) => {
            line(format!("neighbor {name} remote-as {remote}"));
            line(format!("neighbor {name} interface {interface}"));
        }
        Peer::Interface(_) => line(format!("neighbor {name} interface v6only remote-as {remote}")),
        Peer::Range(range) => {
            line(format!("neighbor {name} peer-group"));
            line(format!("neighbor {name} remote-as {remote}"));
            line(format!("bgp listen range {range} peer-group {name}"));
        }
    }
    if *port != 179 {
        line(format!("neighbor {name} port {port}"));
    }
    if let Some(asn) = local_asn {
        line(format!("neighbor {name} local-as {asn} no-prepend replace-as"));
    }
    if let Some(password) = password {
        line(format!("neighbor {name} password {password}"));
    }
    match initiative {
        Initiative::Active => {}
        Initiative::Passive => line(format!("neighbor {name} passive")),
    }
    match distance {
        Distance::Default => {}
        Distance::Multihop(hops) => line(format!("neighbor {name} ebgp-multihop {hops}")),
        Distance::TtlSecurity(hops) => line(format!("neighbor {name} ttl-security hops {hops}")),
    }
    line(format!("neighbor {name} timers {} {}", timers.keepalive.as_secs(), timers.hold.as_secs()));
    line(format!("neighbor {name} timers connect {}", seconds_at_least_one(timers.connect_retry)));
    if *extended_next_hop && !matches!(at, Peer::Interface(_)) {
        line(format!("neighbor {name} capability extended-nexthop"));
    }
    if let Some(source) = source {
        line(format!("neighbor {name} update-source {source}"));
    }
    if bfd.is_some() {
        line(format!("neighbor {name} bfd"));
        line(format!("neighbor {name} bfd profile {}", profile_of(number)));
    }
}

fn seconds_at_least_one(time: Duration) -> u64 {
    time.as_secs().max(1)
}

fn profile_of(number: usize) -> String {
    format!("of{number}")
}

fn bfdd(config: &Config) -> String {
    let mut text = String::from("bfd\n");
    for (number, neighbour) in config.neighbours.iter().enumerate() {
        if let Some(bfd) = &neighbour.bfd {
            let _ = writeln!(text, " profile {}", profile_of(number));
            parameters(&mut text, *bfd);
        }
    }
    for BfdPeer { address, interface, source, bfd } in &config.bfd_peers {
        let _ = write!(text, " peer {address}");
        if interface.is_none() {
            text.push_str(" multihop");
        }
        // FRR wants the local address before the interface.
        if let Some(source) = source {
            let _ = write!(text, " local-address {source}");
        }
        if let Some(interface) = interface {
            let _ = write!(text, " interface {interface}");
        }
        text.push('\n');
        parameters(&mut text, *bfd);
    }
    text
}

fn parameters(text: &mut String, bfd: Bfd) {
    let Bfd { receive, transmit, multiplier, echo, initiative, minimum_ttl, administration } = bfd;
    let _ = write!(
        text,
        "  receive-interval {}\n  transmit-interval {}\n  detect-multiplier {multiplier}\n",
        receive.as_millis(),
        transmit.as_millis()
    );
    match echo {
        Echo::On => {
            let (receive, transmit) = (receive.as_millis(), transmit.as_millis());
            let _ = write!(
                text,
                "  echo-mode\n  echo receive-interval {receive}\n  echo transmit-interval {transmit}\n"
            );
        }
        Echo::Off => {}
    }
    match initiative {
        Initiative::Active => {}
        Initiative::Passive => text.push_str("  passive-mode\n"),
    }
    if let Some(ttl) = minimum_ttl {
        let _ = writeln!(text, "  minimum-ttl {ttl}");
    }
    match administration {
        Administration::Up => {}
        Administration::Down => text.push_str("  shutdown\n"),
    }
    text.push_str(" exit\n");
}

/// The commands that lead from one text to another: what is gone is negated, the last line first, and everything that
/// stays is said again, as a line may have gone with another one.
pub(super) fn difference(old: &str, new: &str) -> Vec<String> {
    let (old, new) = (flat(old), flat(new));
    let mut commands = Vec::new();
    let is_gone = |line: &(Vec<String>, String)| !new.contains(line);
    for gone in old.iter().rev().filter(|line| is_gone(line)) {
        let (path, line) = gone;
        // It goes with what it stands under; and not every such line can be negated.
        let above = path.split_last().map(|(last, above)| (above.to_vec(), last.clone()));
        if above.is_some_and(|above| is_gone(&above)) {
            continue;
        }
        commands.extend(path.iter().cloned());
        commands.push(line.strip_prefix("no ").map_or_else(|| format!("no {line}"), str::to_owned));
        commands.extend(path.iter().map(|_| "exit".to_owned()));
    }
    for (path, line) in &new {
        commands.extend(path.iter().cloned());
        commands.push(line.clone());
        commands.extend(path.iter().map(|_| "exit".to_owned()));
    }
    commands
}

/// Every line with the lines it stands under.
fn flat(text: &str) -> Vec<(Vec<String>, String)> {
    let mut path: Vec<String> = Vec::new();
    let mut lines = Vec::new();
    for line in text.lines() {
        let depth = line.len() - line.trim_start().len();
        let line = line.trim_start().to_owned();
        path.truncate(depth);
        if line.starts_with("exit") {
            continue;
        }
        lines.push((path.clone(), line.clone()));
        path.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stood_under_something_goes_with_it() {
        let old = "bfd\n profile a\n  detect-multiplier 3\n";
        assert_eq!(difference(old, "bfd\n").join("; "), "bfd; no profile a; exit; bfd");
    }

    #[test]
    fn what_is_gone_is_negated_first_and_the_rest_said_again() {
        let old = "router bgp 1\n neighbor a remote-as 2\n neighbor a password x\n no bgp y\n";
        let new = "router bgp 1\n neighbor a remote-as 2\n neighbor a password z\n";
        let commands = difference(old, new).join("; ");
        assert_eq!(
            commands,
            "router bgp 1; bgp y; exit; router bgp 1; no neighbor a password x; exit; router bgp 1; \
             router bgp 1; neighbor a remote-as 2; exit; router bgp 1; neighbor a password z; exit"
        );
    }
}

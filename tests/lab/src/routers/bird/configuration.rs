//! BIRD's configuration file.

use std::fmt::Write as _;

use anyhow::{Result, bail};

use crate::routers::config::{
    Administration, Bfd, BfdPeer, Config, Distance, Echo, Family, Initiative, Neighbour, Peer, Remote,
    Restarting,
};

pub(super) fn text(config: &Config) -> Result<String> {
    let Config { asn: _, router_id, port: _, neighbours, originates, restarting: _, bfd_peers } = config;
    let mut text = format!(
        "log stderr all;\n\
         router id {router_id};\n\
         timeformat protocol \"%s\";\n\
         graceful restart wait 10;\n\
         protocol device {{ scan time 1; }}\n\
         protocol direct {{ ipv4; ipv6; }}\n"
    );
    for family in Family::ALL {
        let channel = channel_of(family);
        let _ = writeln!(
            text,
            "protocol kernel {{ {channel} {{ export where source = RTS_BGP; }}; merge paths on limit 64; }}"
        );
        let _ = writeln!(text, "protocol static own_{channel} {{\n  {channel};");
        for prefix in originates.iter().filter(|prefix| Family::of(prefix) == family) {
            let _ = writeln!(text, "  route {prefix} blackhole;");
        }
        text.push_str("}\n");
    }
    watching(&mut text, bfd_peers)?;
    for (number, neighbour) in neighbours.iter().enumerate() {
        session(&mut text, config, number, neighbour)?;
    }
    Ok(text)
}

fn channel_of(family: Family) -> &'static str {
    match family {
        Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    }
}

/// The name of the protocol for a neighbour. Those of a range have that name, an underscore and a number.
pub(super) fn name_of(number: usize) -> String {
    format!("n{number}")
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
        extended_next_hop,
        additional_paths,
        source,
        bfd,
    } = neighbour;
    let name = name_of(number);
    let asn = local_asn.unwrap_or(config.asn);
    let remote = match remote {
        Remote::As(asn) => format!("as {asn}"),
        Remote::Internal => "internal".into(),
        Remote::External => "external".into(),
    };
    let (place, interface) = match at {
        Peer::Address(address) => (format!("{address} port {port}"), None),
        Peer::LinkLocal(address, interface) => (format!("{address} port {port}"), Some(interface)),
        Peer::Interface(interface) => ("range fe80::/10".to_owned(), Some(interface)),
        Peer::Range(range) => (format!("range {range}"), None),
    };
    if let Peer::Interface(interface) = at {
        let _ = writeln!(
            text,
            "protocol radv {{ interface \"{interface}\" {{ max ra interval 4; min ra interval 3; }}; }}"
        );
    }
    let _ = writeln!(
        text,
        "protocol bgp {name} {{\n  local port {} as {asn};\n  neighbor {place} {remote};",
        config.port
    );
    let mut line = |words: String| {
        let _ = writeln!(text, "  {words};");
    };
    if let Some(interface) = interface {
        line(format!("interface \"{interface}\""));
    }
    if matches!(at, Peer::Interface(_) | Peer::Range(_)) {
        line(format!("dynamic name \"{name}_\""));
    }
    if let Some(password) = password {
        line(format!("password \"{password}\""));
    }
    match initiative {
        Initiative::Active => {}
        Initiative::Passive => line("passive on".into()),
    }
    match distance {
        Distance::Default => {}
        Distance::Multihop(hops) => line(format!("multihop {hops}")),
        Distance::TtlSecurity(1) => line("direct; ttl security on".into()),
        Distance::TtlSecurity(hops) => line(format!("multihop {hops}; ttl security on")),
    }
    if let Some(source) = source {
        line(format!("source address {source}"));
    }
    line(format!("hold time {}", timers.hold.as_secs()));
    line(format!("keepalive time {}", timers.keepalive.as_secs()));
    line(format!("connect delay time 1; connect retry time {}", timers.connect_retry.as_secs().max(1)));
    line("error wait time 1, 2".into());
    match config.restarting {
        Restarting::Off => line("graceful restart off".into()),
        Restarting::Helper => line("graceful restart aware".into()),
        Restarting::Graceful(time) => {
            line(format!("graceful restart on; graceful restart time {}", time.as_secs()));
        }
    }
    if let Some(bfd) = bfd {
        line(format!("bfd {{ {} }}", parameters(*bfd)?));
    }
    for family in families {
        let next_hop = match (family, extended_next_hop) {
            (Family::V4, true) => " extended next hop on;",
            (Family::V4, false) | (Family::V6, _) => "",
        };
        let paths = if *additional_paths { " add paths rx;" } else { "" };
        let channel = channel_of(*family);
        line(format!(
            "{channel} {{ import all; export where source ~ [RTS_STATIC, RTS_BGP];{next_hop}{paths} }}"
        ));
    }
    text.push_str("}\n");
    Ok(())
}

fn watching(text: &mut String, peers: &[BfdPeer]) -> Result<()> {
    text.push_str("protocol bfd watch {\n");
    for BfdPeer { address, interface, source, bfd } in peers {
        let parameters = parameters(*bfd)?;
        let local = source.map_or_else(String::new, |source| format!(" local {source}"));
        let _ = match interface {
            Some(interface) => writeln!(
                text,
                "  interface \"{interface}\" {{ {parameters} }};\n  neighbor {address} dev \"{interface}\"{local};"
            ),
            None => {
                writeln!(text, "  multihop {{ {parameters} }};\n  neighbor {address}{local} multihop yes;")
            }
        };
    }
    text.push_str("}\n");
    Ok(())
}

fn parameters(bfd: Bfd) -> Result<String> {
    let Bfd { receive, transmit, multiplier, echo, initiative, minimum_ttl, administration } = bfd;
    if administration == Administration::Down {
        bail!("BIRD switches BFD off with its session only: leave administration out, or take FRR");
    }
    if echo == Echo::On {
        bail!("BIRD has no BFD echo function: leave echo off, or take FRR");
    }
    if minimum_ttl.is_some() {
        bail!("BIRD knows no minimum TTL of BFD packets: leave minimum_ttl out, or take FRR");
    }
    let passive = match initiative {
        Initiative::Active => "no",
        Initiative::Passive => "yes",
    };
    let (receive, transmit) = (receive.as_millis(), transmit.as_millis());
    Ok(format!(
        "min rx interval {receive} ms; min tx interval {transmit} ms; idle tx interval {transmit} ms; \
         multiplier {multiplier}; passive {passive};"
    ))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_bird_cannot_do_is_refused_with_a_way_out() {
        let echo = Bfd { echo: Echo::On, ..Bfd::every(Duration::from_millis(100), 3) };
        let config = Config::new(1, [192, 0, 2, 1])
            .neighbour(Neighbour::at("192.0.2.2".parse().unwrap(), Remote::External).bfd(echo));
        let error = text(&config).unwrap_err().to_string();
        assert!(error.contains("no BFD echo") && error.contains("take FRR"), "{error}");
    }
}

//! Networks of the lab: what they do to packets, and that nothing of them stays. Needs root.

#![allow(clippy::unwrap_used)] // a scenario ends where it fails

use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Result;
use metallb_lab::eventually;
use metallb_lab::network::{Forwarding, Hook, Host, Network};
use metallb_lab::routers::{Config, Family, Make, Router};

const SOON: Duration = Duration::from_secs(10);

/// One question, and an answer within four seconds: the kernel asks for a new neighbour three times, a second apart, and keeps the
/// question meanwhile.
async fn hears(from: &Host, address: &str) -> bool {
    from.run(&["ping", "-c", "1", "-W", "4", address]).await.unwrap().is_success()
}

/// `one` ── `192.0.2.0/24` ── `middle` ── a bridge, `198.51.100.0/24` ── `two`
fn line() -> Result<(Network, [Host; 3])> {
    let network = Network::new()?;
    let hosts = [network.host("one")?, network.host("middle")?, network.host("two")?];
    let [one, middle, two] = &hosts;
    let bridge = network.bridge("lan")?;
    for host in [middle, two] {
        bridge.join(host, "eth0")?;
    }
    middle.addresses("eth0", &["198.51.100.1/24", "2001:db8:2::1/64"])?;
    two.addresses("eth0", &["198.51.100.2/24", "2001:db8:2::2/64"])?;
    two.route("default", "198.51.100.1")?;
    two.route("default", "2001:db8:2::1")?;
    middle.forward(Forwarding::On)?;
    assert!(one.name() == "one" && one.namespace().ends_with("-one"));
    Ok((network, hosts))
}

#[tokio::test]
async fn a_link_that_was_cut_or_replaced_has_its_addresses_and_routes_again() -> Result<()> {
    let (network, [one, middle, _two]) = line()?;
    let link = network.link((&one, "v0"), (&middle, "v0"))?;
    one.addresses("v0", &["192.0.2.1/24", "2001:db8:1::1/64"])?;
    middle.addresses("v0", &["192.0.2.2/24", "2001:db8:1::2/64"])?;
    one.route("198.51.100.0/24", "192.0.2.2")?;
    one.route("2001:db8:2::/64", "2001:db8:1::2")?;
    let far = ["198.51.100.2", "2001:db8:2::2"];
    for address in far {
        assert!(hears(&one, address).await, "{address}");
    }
    let routes = one.kernel_routes(Family::V4)?;
    let link_local = one.link_local("v0")?;

    link.cut()?;
    assert!(!hears(&one, far[0]).await);
    link.mend()?;
    link.replace()?;
    for address in far {
        assert!(hears(&one, address).await, "{address}");
    }
    assert_eq!(one.kernel_routes(Family::V4)?, routes);
    assert_ne!(one.link_local("v0")?, link_local, "it is another interface");

    middle.forward(Forwarding::Off)?;
    assert!(!hears(&one, far[0]).await);
    Ok(())
}

#[tokio::test]
async fn packets_are_lost_as_long_as_the_rule_lives() -> Result<()> {
    let (_network, [_, middle, two]) = line()?;
    let receiver = two.inside(|| UdpSocket::bind("198.51.100.2:7000"))??;
    let sender = middle.inside(|| UdpSocket::bind("198.51.100.1:0"))??;
    receiver.set_read_timeout(Some(Duration::from_secs(1)))?;
    let arrived = |count: u16| {
        for number in 0..count {
            // A filter that drops tells the sender so.
            let _ = sender.send_to(&number.to_be_bytes(), "198.51.100.2:7000");
        }
        let _ = sender.send_to(b"end", "198.51.100.2:7000");
        let mut packet = [0; 8];
        let mut arrived = 0;
        while receiver.recv(&mut packet).is_ok_and(|length| length == 2) {
            arrived += 1;
        }
        arrived
    };
    let rule = two.lose(Hook::Input, "udp dport 7000 udp length 10", 100)?;
    assert_eq!(arrived(20), 0);
    drop(rule);
    assert_eq!(arrived(20), 20);
    let _rule = middle.lose(Hook::Output, "udp dport 7000 udp length 10", 50)?;
    let arrived = arrived(200);
    assert!((40..160).contains(&arrived), "{arrived} of 200");
    Ok(())
}

/// Set in the process that is killed.
const VICTIM: &str = "LAB_NETWORK_VICTIM";

#[tokio::test]
async fn nothing_stays_of_a_killed_process() -> Result<()> {
    if env::var_os(VICTIM).is_some() {
        let network = Network::new()?;
        let host = network.host("host")?;
        let config = Config::new(64512, [192, 0, 2, 1]).originates("192.0.2.0/24".parse::<ipnet::IpNet>()?);
        let _router = Router::start(Make::Frr, &host, config).await?;
        println!("\nin {}", host.namespace());
        std::io::stdin().read_line(&mut String::new())?;
        return Ok(());
    }
    let mut victim = Command::new(env::current_exe()?)
        .args(["--exact", "--nocapture", "nothing_stays_of_a_killed_process"])
        .env(VICTIM, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines().map_while(Result::ok);
    let namespace = lines.find_map(|line| line.strip_prefix("in ").map(str::to_owned)).unwrap();
    let path = Path::new("/run/netns").join(&namespace);
    let routers = processes_in(&namespace);
    assert!(path.exists() && !routers.is_empty());
    victim.kill()?;
    victim.wait()?;
    eventually(SOON, "its namespaces and processes are gone", async || {
        !path.exists() && !routers.iter().any(|pid| command_line(pid).contains("router-"))
    })
    .await;
    Ok(())
}

/// The numbers of the processes there.
fn processes_in(namespace: &str) -> Vec<String> {
    let said = Command::new("ip").args(["netns", "pids", namespace]).output().unwrap();
    let pids = String::from_utf8(said.stdout).unwrap();
    pids.lines().map(str::to_owned).collect()
}

/// Of FRR's programs it names the directory of their router.
fn command_line(pid: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default()
}

//! The routers of the lab, speaking with each other. Needs root, and the routers' packages.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use metallb_lab::network::{Host, Network};
use metallb_lab::routers::{Bfd, Config, Family, Make, Neighbour, Remote, Router};

const SOON: Duration = Duration::from_secs(20);

/// Two hosts on one link: `192.0.2.1`, `2001:db8::1` and `192.0.2.2`, `2001:db8::2`.
fn pair() -> Result<[Host; 2]> {
    let network = Network::new()?;
    let hosts = [network.host("one")?, network.host("two")?];
    network.link((&hosts[0], "v0"), (&hosts[1], "v0"))?;
    hosts[0].addresses("v0", &["192.0.2.1/24", "2001:db8::1/64"])?;
    hosts[1].addresses("v0", &["192.0.2.2/24", "2001:db8::2/64"])?;
    Ok(hosts)
}

fn at(address: &str) -> IpAddr {
    address.parse().unwrap()
}

fn config(number: u8) -> Config {
    Config::new(64500 + u32::from(number), [192, 0, 2, number])
}

#[tokio::test]
async fn frr_is_configured_anew_without_a_flap_of_what_stays() -> Result<()> {
    let [one, two] = pair()?;
    let neighbour = |address| Neighbour::at(at(address), Remote::External).password("secret");
    let fast = Bfd::every(Duration::from_millis(100), 3);
    let passive = neighbour("192.0.2.1").passive().bfd(fast);
    let first = config(1).originates("203.0.113.0/24".parse::<ipnet::Ipv4Net>()?);
    let mut one = Router::start(Make::Frr, &one, first.neighbour(neighbour("192.0.2.2").bfd(fast))).await?;
    let two = Router::start(Make::Frr, &two, config(2).neighbour(passive)).await?;
    one.established("192.0.2.2").await;
    let paths = two.route("203.0.113.0/24", |paths| paths.len() == 1).await;
    assert_eq!((paths[0].as_path.as_slice(), paths[0].from), (&[64501][..], Some(at("192.0.2.1"))));
    two.eventually(SOON, "BFD is up", async || {
        two.bfd_with("192.0.2.1").await?.filter(|it| it.up).context("down")
    })
    .await;
    two.eventually(SOON, "the kernel knows the route", async || {
        let routes = two.host().kernel_routes(Family::V4)?;
        routes.get(&"203.0.113.0/24".parse()?).cloned().context("it does not")
    })
    .await;

    let more = one.config().clone().originates("198.51.100.0/24".parse::<ipnet::Ipv4Net>()?);
    one.reconfigure(more.clone()).await?;
    two.route("198.51.100.0/24", |paths| paths.len() == 1).await;
    assert_eq!(two.established("192.0.2.1").await.dropped, Some(0));

    let mut wrong = more.clone();
    wrong.neighbours[0].password = Some("wrong".into());
    wrong.originates.clear();
    one.reconfigure(wrong).await?;
    two.neighbour_is("192.0.2.1", "down", |state| state.dropped == Some(1)).await;
    one.reconfigure(more).await?;
    two.established("192.0.2.1").await;
    Ok(())
}

//! The routers of the lab, speaking with each other. Needs root, and the routers' packages.

#![allow(clippy::unwrap_used)] // a scenario ends where it fails

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use metallb_lab::network::{Host, Network};
use metallb_lab::routers::{Bfd, Config, Family, Make, Neighbour, Peer, Remote, Restarting, Router};

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

/// FRR on the first host and another make on the second one are neighbours in every family, and each announces a
/// prefix in each.
async fn frr_and(make: Make, more: impl Fn(Neighbour) -> Neighbour) -> Result<[Router; 2]> {
    let [one, two] = pair()?;
    let neighbours = |number: u8| {
        let asn = Remote::As(64500 + u32::from(number));
        let v4 = Neighbour::at(at(&format!("192.0.2.{number}")), asn).families([Family::V4]);
        let v6 = Neighbour::at(at(&format!("2001:db8::{number}")), asn).families([Family::V6]);
        [more(v4).password("secret"), more(v6).password("secret")]
    };
    let originating = |mut config: Config, prefixes: [&str; 2], neighbours: [Neighbour; 2]| {
        config.originates = prefixes.map(|prefix| prefix.parse().unwrap()).to_vec();
        config.neighbours = neighbours.to_vec();
        config
    };
    let first = originating(config(1), ["203.0.113.0/24", "2001:db8:1::/48"], neighbours(2));
    let second = originating(config(2), ["198.51.100.0/24", "2001:db8:2::/48"], neighbours(1));
    let graceful = Restarting::Graceful(Duration::from_secs(20));
    let (first, second) = (first.restarting(graceful), second.restarting(graceful));
    let one = Router::start(Make::Frr, &one, first).await?;
    let two = Router::start(make, &two, second).await?;
    Ok([one, two])
}

async fn exchange_routes([one, two]: &[Router; 2]) -> Result<()> {
    for (router, number, asn, prefixes) in [
        (one, 2, 64502, ["198.51.100.0/24", "2001:db8:2::/48"]),
        (two, 1, 64501, ["203.0.113.0/24", "2001:db8:1::/48"]),
    ] {
        let neighbours = [format!("192.0.2.{number}"), format!("2001:db8::{number}")];
        for (prefix, neighbour) in prefixes.into_iter().zip(&neighbours) {
            let state = router.established(neighbour).await;
            assert_eq!(state.remote_asn, Some(asn));
            assert_eq!(state.hold_time, Some(Duration::from_secs(9)));
            let paths = router.route(prefix, |paths| paths.len() == 1 && paths[0].best).await;
            assert_eq!(paths[0].as_path, [asn]);
            assert_eq!(paths[0].from, Some(at(neighbour)));
            assert_eq!(paths[0].next_hops.first(), Some(&at(neighbour)));
            assert!(!paths[0].stale, "{paths:?}");
        }
        let routes = router.routes().await?;
        assert_eq!(routes.len(), 4, "{routes:?}");
    }
    let heard = one.neighbour_is("192.0.2.2", "restarts gracefully", |state| {
        state.graceful_restart.as_ref().is_some_and(|it| it.time == Some(Duration::from_secs(20)))
    });
    assert!(heard.await.prefixes[&Family::V4] == 1);
    Ok(())
}

/// A session that one ends is told to the other, which says so, and comes back.
async fn end_and_begin([one, two]: &mut [Router; 2]) -> Result<()> {
    // FRR counts a session that ends for two reasons at once twice.
    let before = one.established("192.0.2.2").await.dropped;
    two.clear(&Peer::Address(at("192.0.2.1"))).await?;
    let state = one.neighbour_is("192.0.2.2", "down", |state| state.dropped > before).await;
    assert!(state.last_error.is_some());
    let before = one.established("192.0.2.2").await.dropped;

    let without = two.config().originates.iter().filter(|prefix| Family::of(prefix) == Family::V6);
    let without = Config { originates: without.copied().collect(), ..two.config().clone() };
    two.reconfigure(without).await?;
    one.route("198.51.100.0/24", <[_]>::is_empty).await;
    assert_eq!(one.established("192.0.2.2").await.dropped, before, "the session stayed");
    Ok(())
}

#[tokio::test]
async fn frr_and_bird_exchange_routes_with_a_password_and_bfd() -> Result<()> {
    let fast = Bfd::every(Duration::from_millis(100), 3);
    let mut routers = frr_and(Make::Bird, |neighbour| neighbour.bfd(fast)).await?;
    exchange_routes(&routers).await?;
    for (router, peer) in [(&routers[0], "2001:db8::2"), (&routers[1], "192.0.2.1")] {
        let what = format!("{} has BFD with {peer}", router.make());
        let state = async || router.bfd_with(peer).await?.filter(|state| state.up).context("it is down");
        router.eventually(SOON, &what, state).await;
    }
    let kernel = routers[1].host().kernel_routes(Family::V4)?;
    assert_eq!(kernel[&"203.0.113.0/24".parse()?].protocol, "bird");
    end_and_begin(&mut routers).await?;

    let before = routers[0].established("2001:db8::2").await.dropped;
    routers[1].freeze();
    // Sooner than the hold time of nine seconds ends.
    let lost =
        async || routers[0].neighbour("2001:db8::2").await.is_ok_and(|it| it.unwrap().dropped > before);
    routers[0].eventually(Duration::from_secs(6), "the session is lost to BFD", lost).await;
    routers[1].thaw();
    routers[0].established("2001:db8::2").await;
    Ok(())
}

#[tokio::test]
async fn frr_and_gobgp_exchange_routes_with_a_password() -> Result<()> {
    let mut routers = frr_and(Make::GoBgp, |neighbour| neighbour).await?;
    exchange_routes(&routers).await?;
    end_and_begin(&mut routers).await
}

/// Each in turn dies, and the other one keeps its routes until it is back.
async fn keep_routes_of_who_restarts(mut routers: [Router; 2]) -> Result<()> {
    for (dying, prefix, neighbour) in
        [(0, "203.0.113.0/24", "192.0.2.1"), (1, "198.51.100.0/24", "192.0.2.2")]
    {
        let staying = 1 - dying;
        routers[staying].established(neighbour).await;
        routers[staying].route(prefix, |paths| paths.len() == 1 && !paths[0].stale).await;
        routers[dying].kill()?;
        routers[staying].route(prefix, |paths| paths.len() == 1 && paths[0].stale).await;
        routers[dying].begin().await?;
        routers[staying].route(prefix, |paths| paths.len() == 1 && !paths[0].stale).await;
    }
    Ok(())
}

#[tokio::test]
async fn frr_and_bird_keep_the_routes_of_each_other_over_a_restart() -> Result<()> {
    keep_routes_of_who_restarts(frr_and(Make::Bird, |neighbour| neighbour).await?).await
}

#[tokio::test]
async fn frr_and_gobgp_keep_the_routes_of_each_other_over_a_restart() -> Result<()> {
    keep_routes_of_who_restarts(frr_and(Make::GoBgp, |neighbour| neighbour).await?).await
}

#[tokio::test]
async fn routers_find_each_other_behind_an_interface_and_in_a_range() -> Result<()> {
    let [one, two] = pair()?;
    let mut configs = [1, 2].map(config);
    configs[0].neighbours =
        vec![Neighbour::unnumbered("v0", Remote::External), Neighbour::at(at("192.0.2.2"), Remote::External)];
    configs[1].neighbours = vec![
        Neighbour::unnumbered("v0", Remote::External),
        Neighbour::range("192.0.2.0/24".parse::<ipnet::Ipv4Net>()?, Remote::External),
    ];
    let [first, second] = configs;
    let first = first.originates("203.0.113.0/24".parse::<ipnet::Ipv4Net>()?);
    let link_local = one.link_local("v0")?;
    let one = Router::start(Make::Frr, &one, first).await?;
    let two = Router::start(Make::Bird, &two, second).await?;
    for (router, neighbours) in [(&one, ["v0", "192.0.2.2"]), (&two, ["v0", "192.0.2.1"])] {
        for neighbour in neighbours {
            router.established(neighbour).await;
        }
    }
    let paths = two.route("203.0.113.0/24", |paths| paths.len() == 2).await;
    let unnumbered = paths.iter().find(|path| path.from == Some(link_local.into()));
    assert!(unnumbered.is_some_and(|path| path.next_hops.contains(&link_local.into())), "{paths:?}");
    Ok(())
}

//! Many routes, in both directions.

use std::time::Duration;

use metallb_lab::eventually;
use metallb_lab::routers::{Family, Make};

use super::node::{Node, peer};
use super::site::{NODE, ROUTER, Site, VIP, config, ip, neighbour, with_each};

#[tokio::test]
async fn ten_thousand_routes_go_in_a_few_messages_and_all_arrive() {
    with_each(Make::ALL, async |make| {
        let site = Site::new();
        let tor = site.router(make, neighbour()).await;
        let mut node = Node::start(&site.node);
        node.peer("tor", peer(ROUTER));
        let routes: Vec<String> = (0..10_000).map(|n| format!("10.1.{}.{}/32", n / 256, n % 256)).collect();
        let routes: Vec<&str> = routes.iter().map(String::as_str).collect();
        node.announce(&routes);
        node.until("tor", "has told all", |seen| seen.announced == 10_000 && seen.pending == 0).await;
        let all = |count: u64| {
            move |prefixes: &std::collections::BTreeMap<Family, u64>| {
                prefixes.get(&Family::V4) == Some(&count)
            }
        };
        tor.neighbour_is(NODE, "took 10,000 routes", |it| all(10_000)(&it.prefixes)).await;
        // 800 fit a message of 4,096 octets; and one says that this was all.
        let sent = node.counted("metallb_bgp_updates_total");
        assert!(sent <= 14.0, "{make}: {sent}");
        node.announce(&routes[..10]);
        tor.neighbour_is(NODE, "took 10 routes", |it| all(10)(&it.prefixes)).await;
        let sent = node.counted("metallb_bgp_updates_total") - sent;
        assert!(sent <= 13.0, "{make}: {sent} to withdraw");
    })
    .await;
}

#[tokio::test]
async fn ten_thousand_routes_in_anothers_name_come_and_go_and_leave_our_own() {
    with_each(Make::ALL, async |make| {
        let site = Site::new();
        let tor = site.router(make, neighbour().additional_paths()).await;
        let mut node = Node::start(&site.node);
        node.peer("tor", peer(ROUTER));
        let routes: Vec<String> = (0..10_000).map(|n| format!("10.1.{}.{}/32", n / 256, n % 256)).collect();
        let routes: Vec<&str> = routes.iter().map(String::as_str).collect();
        let has = async |count: u64| {
            let what = format!("knows {count} paths");
            tor.neighbour_is(NODE, &what, |it| it.prefixes.get(&Family::V4) == Some(&count)).await;
        };
        node.announce(&routes);
        has(10_000).await;
        node.stand_in(Some(([192, 0, 2, 77].into(), &routes)));
        has(20_000).await;
        node.stand_in(None);
        has(10_000).await;
        // FRR counts a path as gone before it has taken it out of its table.
        tor.eventually(Duration::from_secs(30), "has our own path alone", async || {
            let left = tor.paths(routes[9_999]).await?;
            let left: Vec<_> = left.iter().map(|path| path.next_hops[0]).collect();
            anyhow::ensure!(left == [ip(NODE)], "{make}: {left:?}");
            anyhow::Ok(())
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_router_that_tells_all_it_knows_is_listened_to_and_no_more() {
    with_each([Make::Frr, Make::Bird], async |make| {
        let site = Site::new();
        let mut told = config().neighbour(neighbour());
        told.originates =
            (0..20_000).map(|n| format!("10.2.{}.{}/32", n / 256, n % 256).parse().unwrap()).collect();
        let tor = site.configured(make, told).await;
        let mut node = Node::start(&site.node);
        node.peer("tor", peer(ROUTER));
        node.announce(&[VIP]);
        let counted = async || {
            let counted = node.counted("metallb_bgp_received_prefixes_total");
            if counted >= 20_000.0 { Ok(()) } else { Err(counted) }
        };
        eventually(Duration::from_secs(40), &format!("{make}: all are counted"), counted).await;
        tor.route(VIP, |paths| paths.len() == 1).await;
        assert_eq!(node.is_up("tor").await.flaps, 0);
    })
    .await;
}

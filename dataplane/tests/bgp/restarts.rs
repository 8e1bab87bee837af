//! Our own end: for a restart, for good, and announced beforehand. And that of routers.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use metallb_core::config::{Peer, RemoteAs};
use metallb_dataplane::speaker::bgp::Ending;
use metallb_lab::eventually;
use metallb_lab::network::{Hook, Host};
use metallb_lab::routers::{Bfd, Config, Family, Make, NeighbourState, Path, Restarting, Router};

use super::node::{Node, OURS, bfd_every, leaving, peer};
use super::site::{NODE, ROUTER, Site, VIP, asn, config, ip, neighbour, with_each};

const OTHER: &str = "203.0.113.2/32";
const THIRD: &str = "203.0.113.3/32";

fn graceful() -> Peer {
    Peer { graceful_restart: true, ..peer(ROUTER) }
}

/// Looks at a kernel's routes without a pause.
struct Watch {
    over: Arc<AtomicBool>,
    looks: Arc<AtomicU64>,
    missing: JoinHandle<u64>,
}

impl Watch {
    fn on(host: &Host) -> Self {
        let (over, looks) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (host, ended, looked) = (host.clone(), over.clone(), looks.clone());
        let missing = thread::spawn(move || {
            let mut missing = 0;
            while !ended.load(Ordering::Relaxed) {
                let there = host.kernel_routes(Family::V4).unwrap().contains_key(&VIP.parse().unwrap());
                missing += u64::from(!there);
                looked.fetch_add(1, Ordering::Relaxed);
            }
            missing
        });
        Self { over, looks, missing }
    }

    /// How often the route was not there, of how many looks.
    fn end(self) -> (u64, u64) {
        self.over.store(true, Ordering::Relaxed);
        (self.missing.join().unwrap(), self.looks.load(Ordering::Relaxed))
    }
}

async fn in_kernel(tor: &Router, make: Make) {
    if make == Make::GoBgp {
        return; // it has nothing to do with the kernel
    }
    let has_it = async || tor.host().kernel_routes(Family::V4).unwrap().contains_key(&VIP.parse().unwrap());
    eventually(Duration::from_secs(20), "the kernel has the route", has_it).await;
}

/// The next hops of the prefix, as the router knows them.
fn next_hops(paths: &[Path]) -> BTreeSet<IpAddr> {
    paths.iter().filter_map(|path| path.next_hops.first().copied()).collect()
}

#[tokio::test]
async fn a_router_that_takes_several_routes_to_a_prefix_hears_those_of_a_restarting_node_with_its_next_hop() {
    let other = Ipv4Addr::new(192, 0, 2, 77);
    with_each(Make::ALL, async |make| {
        let site = Site::new();
        let tor = site.router(make, neighbour().additional_paths()).await;
        let mut node = Node::start(&site.node);
        node.peer("tor", peer(ROUTER));
        node.announce(&[VIP, OTHER]);
        tor.route(VIP, |paths| paths.len() == 1).await;
        assert!(node.is_up("tor").await.agreed.as_ref().unwrap().additional_paths, "{make}");

        node.stand_in(Some((other, &[VIP])));
        let both = BTreeSet::from([ip(NODE), IpAddr::V4(other)]);
        tor.route(VIP, |paths| paths.len() == 2 && next_hops(paths) == both).await;
        assert_eq!(tor.paths(OTHER).await.unwrap().len(), 1, "{make}: the other does not announce that");

        // GoBGP remembers all, and never asks.
        if make != Make::GoBgp {
            tor.refresh(&tor.config().neighbours[0].at).await.unwrap();
            let asked = async || node.counted("metallb_bgp_route_refresh_received") >= 1.0;
            eventually(Duration::from_secs(20), "it asks for all again", asked).await;
        }
        // Behind the answer, and behind the mark at its end.
        node.add(&[THIRD]);
        tor.route(THIRD, |paths| paths.len() == 1).await;
        assert_eq!(next_hops(&tor.paths(VIP).await.unwrap()), both, "{make}: none of it counts as gone");
        node.announce(&[OTHER]);
        tor.route(VIP, |paths| next_hops(paths) == [IpAddr::V4(other)].into()).await;
        node.announce(&[VIP]);
        tor.route(VIP, |paths| next_hops(paths) == both).await;
        tor.route(OTHER, <[_]>::is_empty).await;

        assert_eq!(node.is_up("tor").await.flaps, 0, "{make}");

        node.remove("tor");
        tor.route(VIP, <[_]>::is_empty).await;
        node.peer("tor", peer(ROUTER));
        node.announce(&[VIP]);
        tor.route(VIP, |paths| next_hops(paths) == both).await;
        node.stand_in(None);
        tor.route(VIP, |paths| next_hops(paths) == [ip(NODE)].into()).await;
    })
    .await;
}

#[tokio::test]
async fn who_takes_one_route_to_a_prefix_or_is_elsewhere_hears_nothing_in_anothers_name() {
    let (near, far) = (Ipv4Addr::new(192, 0, 2, 77), Ipv4Addr::new(198, 51, 100, 77));
    for (make, takes, other) in
        [(Make::Bird, false, near), (Make::GoBgp, false, near), (Make::Frr, true, far)]
    {
        let site = Site::new();
        let tor = site.router(make, neighbour()).await;
        let mut node = Node::start(&site.node);
        node.peer("tor", peer(ROUTER));
        node.stand_in(Some((other, &[VIP, OTHER])));
        node.announce(&[VIP]);
        tor.route(VIP, |paths| next_hops(paths) == [ip(NODE)].into()).await;
        let seen = node.is_up("tor").await;
        assert_eq!((seen.agreed.as_ref().unwrap().additional_paths, seen.flaps), (takes, 0), "{make}");
        // Written before, had there been anything to say.
        node.add(&[THIRD]);
        tor.route(THIRD, |paths| paths.len() == 1).await;
        assert!(tor.paths(OTHER).await.unwrap().is_empty(), "{make}");
    }
}

#[tokio::test]
async fn a_speaker_that_restarts_gracefully_leaves_no_gap_and_takes_stale_routes_back_when_it_knows_all() {
    with_each(Make::ALL, async |make| {
        let site = Site::new();
        // Of families that no session carries GoBGP awaits the end, too.
        let tor = site.router(make, neighbour().families([Family::V4])).await;
        let mut node = Node::start(&site.node);
        node.peer("tor", graceful());
        node.announce(&[VIP, OTHER]);
        for prefix in [VIP, OTHER] {
            tor.route(prefix, |paths| paths.len() == 1).await;
        }
        assert!(node.is_up("tor").await.agreed.as_ref().unwrap().graceful_restart, "{make}");
        in_kernel(&tor, make).await;
        let watch = (make != Make::GoBgp).then(|| Watch::on(&site.tor));

        node.leave(Ending::Restarting);
        let kept = |paths: &[Path]| paths.len() == 1 && (paths[0].stale || make == Make::Bird);
        tor.route(VIP, kept).await;
        let mut node = Node::start(&site.node);
        node.peer("tor", graceful());
        node.is_up("tor").await;
        tor.established(NODE).await;
        // It is not known yet what is wanted: what is there stays.
        tor.route(OTHER, |paths| paths.len() == 1).await;
        assert_eq!(node.seen("tor").unwrap().announced, 0);
        node.announce(&[VIP]);
        tor.route(OTHER, <[_]>::is_empty).await;
        tor.route(VIP, |paths| paths.len() == 1 && !paths[0].stale).await;
        if let Some((missing, looks)) = watch.map(Watch::end) {
            assert!(missing == 0 && looks > 3, "{make}: the route was not there {missing} times of {looks}");
        }
    })
    .await;
}

/// The other side of BFD finds our silence before we are back. What it keeps for the restart it keeps all the same. BIRD
/// does so with `bfd graceful` only, by which it would also keep routes to a node that is dead.
#[tokio::test]
async fn a_graceful_restart_leaves_no_gap_where_bfd_watches_either() {
    with_each([Make::Frr], async |make| {
        let site = Site::new();
        let bfd = Bfd::every(Duration::from_millis(100), 3);
        let tor = site.router(make, neighbour().families([Family::V4]).bfd(bfd)).await;
        let ours = Peer { bfd: Some(bfd_every(100)), ..graceful() };
        let mut node = Node::start(&site.node);
        node.peer("tor", ours.clone());
        node.announce(&[VIP]);
        tor.route(VIP, |paths| paths.len() == 1).await;
        node.is_watched("tor").await;
        in_kernel(&tor, make).await;
        // The state of a BFD packet is in the first two bits of its second octet.
        let switched_off = site.tor.rule(Hook::Input, "udp dport 3784 @th,72,2 0 counter").unwrap();
        let watch = Watch::on(&site.tor);
        node.leave(Ending::Restarting);
        // Whoever is back at that very moment has FRR take the new session for the one that BFD lost.
        let told = |it: &NeighbourState| it.last_error.as_deref().is_some_and(|error| error.contains("BFD"));
        let it = tor.neighbour_is(NODE, "our silence is found", told).await;
        // It had read the end of the connection before, and had nobody to tell.
        assert_eq!(it.sent.map(|sent| sent.notifications), Some(0), "{it:?}");
        let mut node = Node::start(&site.node);
        node.peer("tor", ours);
        node.announce(&[VIP]);
        node.is_watched("tor").await;
        node.until("tor", "has told all", |seen| seen.is_up() && seen.announced == 1).await;
        tor.route(VIP, |paths| paths.len() == 1 && !paths[0].stale).await;
        let (missing, looks) = watch.end();
        let (seen, words) = (node.seen("tor"), tor.last_words());
        assert!(missing == 0 && looks > 3, "{make}: not there {missing} times of {looks}: {seen:?}\n{words}");
        assert_eq!(switched_off.packets().unwrap(), 0, "BFD said that it was switched off");
    })
    .await;
}

#[tokio::test]
async fn who_leaves_or_restarts_without_that_takes_the_routes_along() {
    let ways: [(fn() -> Peer, Ending); 2] = [(graceful, leaving()), (|| peer(ROUTER), Ending::Restarting)];
    with_each(Make::ALL, async |make| {
        for (ours, ending) in &ways {
            let site = Site::new();
            let tor = site.router(make, neighbour()).await;
            let mut node = Node::start(&site.node);
            node.peer("tor", ours());
            node.announce(&[VIP]);
            tor.route(VIP, |paths| paths.len() == 1).await;
            node.leave(ending.clone());
            tor.eventually(Duration::from_secs(5), "the route is gone", async || {
                tor.paths(VIP).await.is_ok_and(|paths| paths.is_empty())
            })
            .await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_is_removed_is_told_so_and_the_others_stay() {
    with_each(Make::ALL, async |make| {
        let site = Site::new();
        let tor = site.router(make, neighbour()).await;
        let mut node = Node::start(&site.node);
        node.peer("tor", graceful());
        node.announce(&[VIP]);
        tor.route(VIP, |paths| paths.len() == 1).await;
        node.remove("tor");
        let unconfigured = |error: &str| {
            let error = error.to_lowercase().replace('-', " ");
            error.contains("unconfigured")
                || error.contains("deconfigured")
                || error.contains("peer de configured")
        };
        tor.neighbour_is(NODE, "de-configured", |it| it.last_error.as_deref().is_some_and(unconfigured))
            .await;
        tor.route(VIP, <[_]>::is_empty).await;
        eventually(Duration::from_secs(5), "it is forgotten", async || node.seen("tor").is_none()).await;
    })
    .await;
}

#[tokio::test]
async fn a_node_that_is_about_to_leave_says_so_on_its_routes_and_can_think_better_of_it() {
    with_each(Make::ALL, async |make| {
        for internal in [false, true] {
            let site = Site::new();
            let tor = if internal { Config::new(OURS, [192, 0, 2, 2]) } else { config() };
            let remote = RemoteAs::Number(asn(tor.asn));
            let tor = site.configured(make, tor.neighbour(neighbour())).await;
            let mut node = Node::start(&site.node);
            node.peer("tor", Peer { remote, ..peer(ROUTER) });
            node.announce(&[VIP]);
            tor.route(VIP, |paths| paths.len() == 1).await;
            let leaves = |path: &Path| {
                let lowest = !internal || path.local_pref == Some(0);
                path.communities.contains("65535:0") && lowest
            };
            node.drain(true);
            tor.route(VIP, |paths| paths.len() == 1 && leaves(&paths[0])).await;
            // What comes now is about to go, too.
            node.add(&[OTHER]);
            tor.route(OTHER, |paths| paths.len() == 1 && leaves(&paths[0])).await;
            node.drain(false);
            tor.route(VIP, |paths| paths.len() == 1 && !leaves(&paths[0])).await;
            node.drain(true);
            tor.route(VIP, |paths| paths.len() == 1 && leaves(&paths[0])).await;
            node.announce(&[]);
            tor.route(VIP, <[_]>::is_empty).await;
            assert_eq!(node.is_up("tor").await.flaps, 0);
        }
    })
    .await;
}

#[tokio::test]
async fn a_router_that_restarts_is_told_everything_again_by_itself() {
    with_each(Make::ALL, async |make| {
        let site = Site::new();
        let mut tor = site.router(make, neighbour()).await;
        let mut node = Node::start(&site.node);
        node.peer("tor", peer(ROUTER));
        node.announce(&[VIP, OTHER]);
        tor.route(OTHER, |paths| paths.len() == 1).await;
        for asked in [true, false] {
            if asked { tor.stop() } else { tor.kill() }.unwrap();
            node.until("tor", "is down", |seen| !seen.is_up()).await;
            tor.begin().await.unwrap();
            tor.established(NODE).await;
            for prefix in [VIP, OTHER] {
                tor.route(prefix, |paths| paths.len() == 1).await;
            }
        }
        assert_eq!(node.is_up("tor").await.flaps, 2, "{make}");
    })
    .await;
}

#[tokio::test]
async fn a_router_that_restarts_gracefully_hears_everything_again() {
    with_each(Make::ALL, async |make| {
        let site = Site::new();
        let graceful_router = config().restarting(Restarting::Graceful(Duration::from_secs(20)));
        let mut tor = site.configured(make, graceful_router.neighbour(neighbour())).await;
        let mut node = Node::start(&site.node);
        node.peer("tor", graceful());
        node.announce(&[VIP]);
        tor.route(VIP, |paths| paths.len() == 1).await;
        tor.kill().unwrap();
        tor.begin().await.unwrap();
        tor.established(NODE).await;
        tor.route(VIP, |paths| paths.len() == 1 && !paths[0].stale).await;
        node.is_up("tor").await;
    })
    .await;
}

#[tokio::test]
async fn a_router_that_clears_the_session_gets_it_back_and_one_that_asks_for_all_routes_gets_them_in_it() {
    with_each(Make::ALL, async |make| {
        let site = Site::new();
        let tor = site.router(make, neighbour()).await;
        let mut node = Node::start(&site.node);
        node.peer("tor", peer(ROUTER));
        node.announce(&[VIP, OTHER]);
        tor.route(OTHER, |paths| paths.len() == 1).await;
        let before = node.counted("metallb_bgp_updates_total");
        // GoBGP remembers all, and never asks.
        if make != Make::GoBgp {
            tor.refresh(&tor.config().neighbours[0].at).await.unwrap();
            tor.eventually(
                Duration::from_secs(10),
                &format!("{make} is told the routes again"),
                async || node.counted("metallb_bgp_updates_total") > before,
            )
            .await;
            assert!(node.counted("metallb_bgp_route_refresh_received") >= 1.0);
            assert_eq!(node.is_up("tor").await.flaps, 0);
        }
        tor.clear(&tor.config().neighbours[0].at).await.unwrap();
        let seen = node.until("tor", "was cleared", |seen| seen.flaps == 1).await;
        assert_eq!(seen.last_failure.as_ref().unwrap().code, "notification-received", "{seen:?}");
        node.is_up("tor").await;
        for prefix in [VIP, OTHER] {
            tor.route(prefix, |paths| paths.len() == 1).await;
        }
    })
    .await;
}

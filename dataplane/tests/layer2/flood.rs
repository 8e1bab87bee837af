//! A neighbour that asks without end keeps nobody else waiting.

use std::net::Ipv6Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use metallb_dataplane::net::packet::PacketSocket;
use metallb_lab::eventually;
use metallb_lab::network::Host;
use metallb_protocols::ethernet::Mac;
use metallb_protocols::ndp::wire::neighbour::{Message, Packet, Solicitation, solicited_node};

use super::client::{SOON, believes, mac};
use super::node::{Node, interfaces};
use super::site::{LINK, Site};

const V4: &str = "192.0.2.200";
const V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x200);

#[tokio::test]
async fn in_a_flood_of_solicitations_others_are_answered_and_addresses_still_move_here() {
    let site = Site::new();
    let mut node = Node::start(&site.first);
    node.announce(&[V4, &V6.to_string()]);
    let flood = Flood::start(&site.stranger);
    eventually(SOON, "the flood is there", async || {
        let asked = node.counted("requests_received", &V6.to_string());
        if asked > 10_000.0 { Ok(()) } else { Err(asked) }
    })
    .await;
    let asked = Instant::now();
    let ask = ["arping", "-I", LINK, "-c", "3", "-w", "5", V4];
    site.client.run(&ask).await.unwrap().success().unwrap();
    // It sends one a second, so this also says that none was lost.
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    // The client knows it elsewhere.
    let elsewhere = ["ip", "neighbour", "replace", "192.0.2.201", "lladdr", "02:00:00:00:00:07", "dev", LINK];
    site.client.run(&elsewhere).await.unwrap().success().unwrap();
    let now = site.client.run(&["ip", "neighbour", "change", "192.0.2.201", "dev", LINK, "nud", "stale"]);
    now.await.unwrap().success().unwrap();
    node.announce(&[V4, &V6.to_string(), "192.0.2.201"]);
    believes(&site.client, "192.0.2.201", &mac(&site.first).await).await;
    flood.end();
}

/// A thread that asks for an address as fast as it can.
struct Flood {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<()>,
}

impl Flood {
    fn start(host: &Host) -> Self {
        let (index, link) = interfaces(host).into_iter().find(|(_, link)| link.name == LINK.into()).unwrap();
        let source = link.ndp.unwrap();
        let to = solicited_node(V6);
        let message = Message::Solicitation(Solicitation { target: V6, source: Some(source) });
        let from = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x13);
        let frame = Packet { destination: Mac::of_group(to), source, from, to, message }.emit();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let socket = host.inside(|| PacketSocket::neighbours(index).unwrap()).unwrap();
        let flood = move || {
            while !stopped.load(Ordering::Relaxed) {
                // A full queue is a flood too.
                let _ = socket.send(&frame);
            }
        };
        Self { stop, thread: thread::spawn(flood) }
    }

    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}

//! Between two nodes that live, an address moves while no request is under way to it.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use metallb_core::address::Family;
use metallb_dataplane::net::packet::PacketSocket;
use metallb_lab::eventually;
use metallb_lab::network::Host;
use metallb_protocols::lull::{GIVEN_WITHIN, REQUEST};
use socket2::Socket;

use super::client::{SOON, believes, forget, mac, neighbour, reaches};
use super::node::{Node, interfaces};
use super::site::{LINK, Site};

const VIPS: [&str; 2] = ["192.0.2.200", "2001:db8::200"];
const SECOND: &str = "192.0.2.2";
const PORT: u16 = 8080;
/// How long a server takes to answer: two such requests, one after the other, go beyond the time after which an address moves that
/// nobody uses.
const WORK: Duration = Duration::from_millis(60);

/// Answers requests for an address, after some work, with the name of the host. Ends when there have been none for a while.
fn serve(host: &Host, vip: &str) {
    let name = host.name().to_owned();
    let address = SocketAddr::new(vip.parse().unwrap(), PORT);
    let listener = host.inside(|| TcpListener::bind(address).unwrap()).unwrap();
    let listener = Socket::from(listener);
    listener.set_read_timeout(Some(SOON)).unwrap(); // for accept, too
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let mut stream = TcpStream::from(stream);
            let _ = stream.set_read_timeout(Some(WORK)).and_then(|()| {
                BufReader::new(&stream).read_line(&mut String::new())?;
                let _ = stream.read(&mut [0; 1]); // nothing comes
                stream.write_all(name.as_bytes())
            });
        }
    });
}

/// Who answered.
fn request(client: &Host, vip: &str) -> io::Result<String> {
    let address = SocketAddr::new(vip.parse().unwrap(), PORT);
    let answer = client.inside(|| {
        let mut stream = TcpStream::connect_timeout(&address, SOON)?;
        stream.set_read_timeout(Some(SOON))?;
        stream.write_all(b"who\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    });
    answer.unwrap()
}

struct Scene {
    site: Site,
    first: Node,
    second: Node,
}

impl Scene {
    async fn new() -> Self {
        let site = Site::new();
        for host in [&site.first, &site.second] {
            host.addresses("lo", &["192.0.2.200/32", "2001:db8::200/128"]).unwrap();
            for vip in VIPS {
                serve(host, vip);
            }
        }
        let (mut first, second) = (Node::start(&site.first), Node::start(&site.second));
        first.announce(&VIPS);
        for vip in VIPS {
            eventually(SOON, &format!("{vip} is reached"), async || reaches(&site.client, vip).await).await;
        }
        Self { site, first, second }
    }
}

/// Requests under way are answered by the node through which they began. Says whether the machine was quick enough for that.
async fn moves_between_requests(vip: &str) -> bool {
    let Scene { site, mut first, mut second } = Scene::new().await;
    let at_second = mac(&site.second).await;
    second.await_all(&VIPS);
    first.hand_over(SECOND);
    let requests = [(); 2].map(|()| {
        let begun = Instant::now();
        let answer = request(&site.client, vip);
        (answer, begun.elapsed())
    });
    let was_quick = requests.iter().all(|(_, took)| *took < REQUEST);
    if was_quick {
        for (answer, _) in requests {
            assert_eq!(answer.unwrap(), site.first.name(), "{vip}");
        }
    }
    believes(&site.client, vip, &at_second).await;
    assert_eq!(request(&site.client, vip).unwrap(), site.second.name(), "{vip}");
    was_quick
}

#[tokio::test]
async fn a_request_that_is_under_way_is_answered_before_the_address_moves() {
    for vip in VIPS {
        let mut tries = 0..10;
        while !moves_between_requests(vip).await {
            tries.next().expect("the machine is too slow for this test");
        }
    }
}

#[tokio::test]
async fn who_asks_while_an_address_is_on_its_way_is_answered() {
    let Scene { site, mut first, mut second } = Scene::new().await;
    let at_second = mac(&site.second).await;
    second.await_all(&VIPS);
    first.hand_over(SECOND);
    eventually(SOON, "it has moved", async || {
        forget(&site.client).await;
        for vip in VIPS {
            assert!(reaches(&site.client, vip).await, "{vip}");
        }
        let known = neighbour(&site.client, VIPS[0]).await;
        if known.as_ref().is_some_and(|(at, _)| *at == at_second) { Ok(()) } else { Err(known) }
    })
    .await;
}

/// The next owner does not know yet that it is.
#[tokio::test]
async fn the_old_owner_tells_where_the_address_is_from_now_on() {
    let Scene { site, mut first, second: _unaware } = Scene::new().await;
    let at_second = mac(&site.second).await;
    first.hand_over(SECOND);
    for vip in VIPS {
        believes(&site.client, vip, &at_second).await;
        assert_eq!(request(&site.client, vip).unwrap(), site.second.name());
    }
}

#[tokio::test]
async fn the_next_owner_speaks_as_soon_as_it_hears_that() {
    for _ in 0..10 {
        let Scene { site: _site, mut first, mut second } = Scene::new().await;
        let begun = Instant::now();
        second.await_all(&VIPS);
        first.hand_over(SECOND);
        for vip in VIPS {
            eventually(SOON, "it is told of", async || second.counted("gratuitous_sent", vip) > 0.0).await;
        }
        if begun.elapsed() < GIVEN_WITHIN {
            return;
        }
    }
    panic!("only when it has waited long enough, or the machine is too slow for this test");
}

#[tokio::test]
async fn who_hears_nothing_of_the_old_owner_takes_the_address() {
    let Scene { site, first: _silent, mut second } = Scene::new().await;
    let at_second = mac(&site.second).await;
    let begun = Instant::now();
    second.await_all(&VIPS);
    for vip in VIPS {
        believes(&site.client, vip, &at_second).await;
    }
    assert!(begun.elapsed() >= GIVEN_WITHIN);
}

/// As where the next owner runs an older version.
#[tokio::test]
async fn who_does_not_wait_has_the_address_at_once() {
    let Scene { site, mut first, mut second } = Scene::new().await;
    let at_second = mac(&site.second).await;
    first.hand_over(SECOND);
    second.announce(&VIPS);
    for vip in VIPS {
        believes(&site.client, vip, &at_second).await;
    }
    for vip in VIPS {
        assert_eq!(request(&site.client, vip).unwrap(), site.second.name());
    }
}

/// No longer than since its connection was asked for, and no less than since that was refused.
#[tokio::test]
async fn the_kernel_says_for_how_long_a_segment_has_waited() {
    let site = Site::new();
    let (index, _) = interfaces(&site.first).into_iter().find(|(_, link)| link.name == LINK.into()).unwrap();
    for (family, first) in [(Family::V4, "192.0.2.1"), (Family::V6, "2001:db8::1")] {
        let socket = site.first.inside(|| PacketSocket::connections(index, family).unwrap()).unwrap();
        let closed = SocketAddr::new(first.parse().unwrap(), PORT);
        // The kernel begins to take note a moment after it was asked to.
        eventually(SOON, "each has waited as long as it has", async || {
            let sent: Vec<_> = (0..50)
                .map(|_| {
                    let begun = Instant::now();
                    site.client.inside(|| TcpStream::connect(closed).unwrap_err()).unwrap();
                    (begun, Instant::now())
                })
                .collect();
            let mut buffer = [0; 128];
            let is_right = sent.iter().filter(|(begun, ended)| {
                let (now, slack) = (Instant::now(), Duration::from_micros(100));
                let Some((_, waited)) = socket.receive_dated(&mut buffer).unwrap() else { return false };
                waited + slack >= now - *ended && waited <= begun.elapsed() + slack
            });
            let right = is_right.count();
            if right == sent.len() { Ok(()) } else { Err(right) }
        })
        .await;
    }
}

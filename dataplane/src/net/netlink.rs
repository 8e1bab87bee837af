//! Following what the kernel has: listed at the start, again after every event (`rtnetlink(7)`), and now and then without one.
//!
//! Not here: what is listed ([`Subject`]).

use std::time::Duration;

use anyhow::Context as _;
use futures::StreamExt as _;
use rtnetlink::packet_core::NetlinkMessage;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::sys::SocketAddr;
use rtnetlink::{Handle, MulticastGroup};
use tokio::sync::watch;

/// After an event, wait for more of them this long: they come in bursts.
const SETTLE: Duration = Duration::from_millis(20);
/// Before a lost connection to the kernel is opened anew.
const REOPEN: Duration = Duration::from_secs(1);
/// Look again this often even without an event: events can be lost when the kernel's queue is full.
const SWEEP: Duration = Duration::from_mins(1);

/// What is followed.
pub(super) trait Subject: Send + Sync + 'static {
    /// What there is.
    type Value: PartialEq + Send + Sync + 'static;
    /// Whose events may have changed it.
    const GROUPS: &'static [MulticastGroup];
    /// Asks the kernel.
    fn list(&self, handle: &Handle) -> impl Future<Output = Result<Self::Value, rtnetlink::Error>> + Send;
}

/// Follows it until nobody reads the value any more. An error means that the kernel cannot be asked at all.
pub(super) async fn follow<S: Subject>(subject: S) -> anyhow::Result<watch::Receiver<S::Value>> {
    let mut netlink = Netlink::open(S::GROUPS).context("cannot follow the interfaces (netlink)")?;
    let first = subject.list(&netlink.handle).await.context("cannot list the interfaces (netlink)")?;
    let (sender, receiver) = watch::channel(first);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = sender.closed() => return,
                changed = netlink.changed() => if !changed {
                    tracing::error!(event = "netlinkClosed", "opening it anew");
                    tokio::time::sleep(REOPEN).await;
                    match Netlink::open(S::GROUPS) {
                        Ok(new) => netlink = new,
                        Err(error) => tracing::error!(event = "netlinkFailed", %error, "will retry"),
                    }
                },
                () = tokio::time::sleep(SWEEP) => {}
            }
            match subject.list(&netlink.handle).await {
                Ok(value) => {
                    sender.send_if_modified(|known| {
                        let differs = *known != value;
                        *known = value;
                        differs
                    });
                }
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(event = "linksUnknown", error, "the interfaces known so far stay in use");
                }
            }
        }
    });
    Ok(receiver)
}

type Events = futures::channel::mpsc::UnboundedReceiver<(NetlinkMessage<RouteNetlinkMessage>, SocketAddr)>;

/// A connection to the kernel that hears of every change.
struct Netlink {
    handle: Handle,
    events: Events,
}

impl Netlink {
    fn open(groups: &[MulticastGroup]) -> std::io::Result<Self> {
        let (connection, handle, events) = rtnetlink::new_multicast_connection(groups)?;
        tokio::spawn(connection);
        Ok(Self { handle, events })
    }

    /// Returns when something changed and has settled; false when the connection is gone.
    async fn changed(&mut self) -> bool {
        if self.events.next().await.is_none() {
            return false;
        }
        tokio::time::sleep(SETTLE).await;
        while futures::FutureExt::now_or_never(self.events.next()).flatten().is_some() {}
        true
    }
}

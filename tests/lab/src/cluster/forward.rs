//! The way from this machine to the API server inside its namespace: a port on loopback.
//!
//! A socket belongs to the namespace it was made in. So one thread listens out here, then enters the namespace, and
//! dials from in there.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::layout::{CONTROL_PLANE, Layout, api_server};
use super::site::API_PORT;
use crate::netns;

/// A forwarding thread. It ends when dropped, and with it its hold on the namespace.
#[derive(Debug)]
pub(super) struct Forward {
    pub(super) port: u16,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Forward {
    pub(super) fn start(layout: &Layout) -> Result<Self> {
        let listener = listen()?;
        let port = listener.local_addr()?.port();
        let (stop, stopped) = oneshot::channel();
        let netns = layout.netns(CONTROL_PLANE);
        let thread = thread::spawn(move || {
            if let Err(error) = run(listener, &netns, stopped) {
                eprintln!("lab: forwarding to the API server has ended: {error:#}");
            }
        });
        Ok(Self { port, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // it has said what there was to say
        }
    }
}

/// A free port on loopback.
pub(super) fn listen() -> Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listen on a free port")
}

/// Forwards from a listening socket until this process ends.
pub(super) fn forever(layout: &Layout, listener: TcpListener) -> Result<()> {
    let (_never, stopped) = oneshot::channel();
    run(listener, &layout.netns(CONTROL_PLANE), stopped)
}

fn run(listener: TcpListener, netns: &Path, stopped: oneshot::Receiver<()>) -> Result<()> {
    listener.set_nonblocking(true)?;
    netns::enter(netns)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let forwarding = async {
            loop {
                // Out of file descriptors, at worst: the next one may do better.
                let Ok((client, _)) = listener.accept().await else { continue };
                tokio::spawn(forward(client));
            }
        };
        tokio::select! {
            () = forwarding => {}
            _ = stopped => {}
        }
        Ok(())
    })
}

async fn forward(mut client: TcpStream) {
    let target = SocketAddr::new(api_server(), API_PORT);
    // A server that is away shows as a connection that closes at once.
    if let Ok(mut server) = TcpStream::connect(target).await {
        let _ = copy_bidirectional(&mut client, &mut server).await;
    }
}

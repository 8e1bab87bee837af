//! Plays a Service: connections go to the replicas in turn.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use anyhow::Result;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// A Service at work.
pub struct Balancer {
    pub address: SocketAddr,
    backends: Arc<Mutex<Vec<(SocketAddr, usize)>>>,
    task: AbortHandle,
}

impl Balancer {
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let backends: Arc<Mutex<Vec<(SocketAddr, usize)>>> = Arc::default();
        let choose = backends.clone();
        let task = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let Some(backend) = next(&choose) else { continue };
                tokio::spawn(async move {
                    let Ok(mut server) = TcpStream::connect(backend).await else { return };
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        Ok(Self { address, backends, task: task.abort_handle() })
    }

    /// A replica has become ready.
    pub fn add(&self, backend: SocketAddr) {
        self.backends.lock().unwrap().push((backend, 0));
    }

    /// A replica is no longer ready. Its connections stay.
    pub fn remove(&self, backend: SocketAddr) {
        self.backends.lock().unwrap().retain(|(known, _)| *known != backend);
    }

    /// How many connections it has got so far.
    pub fn connections(&self, backend: SocketAddr) -> usize {
        let backends = self.backends.lock().unwrap();
        backends.iter().find(|(known, _)| *known == backend).map_or(0, |(_, count)| *count)
    }
}

fn next(backends: &Mutex<Vec<(SocketAddr, usize)>>) -> Option<SocketAddr> {
    let mut backends = backends.lock().unwrap();
    let (backend, count) = backends.iter_mut().min_by_key(|(_, count)| *count)?;
    *count += 1;
    Some(*backend)
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

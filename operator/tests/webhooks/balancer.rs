//! Plays a Service: connections go to the replicas in turn.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// A Service at work.
pub struct Balancer {
    pub address: SocketAddr,
    backends: Arc<Backends>,
    task: AbortHandle,
}

impl Balancer {
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let backends: Arc<Backends> = Arc::default();
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
        locked(&self.backends).push((backend, 0));
    }

    /// A replica is no longer ready. Its connections stay.
    pub fn remove(&self, backend: SocketAddr) {
        locked(&self.backends).retain(|(known, _)| *known != backend);
    }

    /// How many connections it has got so far.
    pub fn connections(&self, backend: SocketAddr) -> usize {
        let backends = locked(&self.backends);
        backends.iter().find(|(known, _)| *known == backend).map_or(0, |(_, count)| *count)
    }
}

type Backends = Mutex<Vec<(SocketAddr, usize)>>;

fn locked(backends: &Backends) -> MutexGuard<'_, Vec<(SocketAddr, usize)>> {
    backends.lock().unwrap_or_else(PoisonError::into_inner)
}

fn next(backends: &Backends) -> Option<SocketAddr> {
    let mut backends = locked(backends);
    let (backend, count) = backends.iter_mut().min_by_key(|(_, count)| *count)?;
    *count += 1;
    Some(*backend)
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

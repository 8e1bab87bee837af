//! SIGTERM and SIGINT: the one way to end a process of ours in order.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Tells every task that the process is to end. Clones all hear the same signal.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    /// Listens for SIGTERM and SIGINT from now on. A second signal ends the process at once, with status 1.
    pub fn on_signal() -> std::io::Result<Self> {
        let (sender, receiver) = watch::channel(false);
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::spawn(async move {
            let first = either(&mut terminate, &mut interrupt).await;
            tracing::info!(event = "shutdown", signal = first, "stopping");
            let _ = sender.send(true); // nobody listens any more: all the better
            either(&mut terminate, &mut interrupt).await;
            std::process::exit(1);
        });
        Ok(Self(receiver))
    }

    /// For tests and embedding: ends when the returned sender says so, or is dropped.
    pub fn by_hand() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    /// Is the process to end?
    pub fn is_requested(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err() // the sender is gone: then it is over too
    }

    /// Returns when the process is to end.
    pub async fn requested(&self) {
        let mut receiver = self.0.clone();
        let _ = receiver.wait_for(|stop| *stop).await; // the sender is gone: then it is over too
    }
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}

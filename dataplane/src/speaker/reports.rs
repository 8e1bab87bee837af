//! The thread of those who write into the API server how things stand.
//!
//! To bring ten thousand objects in line with what there is to say takes tens of milliseconds, now and then. On the
//! brain's thread that would delay whatever happens meanwhile; what reports say may come later.

use std::fmt::{Debug, Formatter};
use std::pin::Pin;

use anyhow::Context as _;
use futures::future::join_all;
use tokio::runtime;

/// Reporters that are about to start.
#[derive(Default)]
pub struct Reports(Vec<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl Reports {
    /// One more.
    pub fn add(&mut self, reporter: impl Future<Output = ()> + Send + 'static) {
        self.0.push(Box::pin(reporter));
    }

    /// Starts them, on a thread of their own that ends with the last of them, or with the process.
    pub fn start(self) -> anyhow::Result<()> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .context("cannot start the thread of the reports")?;
        std::thread::Builder::new()
            .name("reports".to_owned())
            .spawn(move || runtime.block_on(join_all(self.0)))
            .context("cannot start the thread of the reports")?;
        Ok(())
    }
}

impl Debug for Reports {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} reporters", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_reporter_at_work_delays_nobody_outside() {
        let (sender, told) = mpsc::channel();
        let (go_on, wait) = mpsc::channel::<()>();
        let mut reports = Reports::default();
        reports.add(async move {
            // As one that works through ten thousand objects: its thread does nothing else meanwhile.
            let _ = wait.recv();
            let _ = sender.send(std::thread::current().name().map(str::to_owned));
        });
        reports.start().unwrap();
        go_on.send(()).unwrap(); // reached although the reporter waits for it
        assert_eq!(told.recv_timeout(Duration::from_secs(10)).unwrap().as_deref(), Some("reports"));
    }
}

//! The loop of the lane: wait for packets, tables or time; then do what the sessions say.

use std::collections::BTreeSet;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use metallb_protocols::bfd::{Chance, Change, Input, Output, Path, Sessions, State, Why};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::eventfd::EventFd;
use nix::sys::time::TimeSpec;
use tokio::sync::watch;

use super::lane::{Ending, Seen, Tables};
use super::metrics::Metrics;
use super::sockets::{Draw, Sockets};

/// The longest datagram or frame that matters, and more.
const BUFFER: usize = 512;
/// Packets taken from one socket before the next thing gets its turn: a flood on one must not starve the others.
const TURN: usize = 256;
/// After a socket could not be opened, try again this much later.
const REOPEN: Duration = Duration::from_secs(1);
/// What changes without a change of state (intervals) is told this late.
const TELL: Duration = Duration::from_secs(1);

pub(super) struct Driver {
    shared: Arc<ArcSwap<Tables>>,
    wake: Arc<EventFd>,
    seen: watch::Sender<Seen>,
    metrics: Metrics,
    /// The tables that the state below is in step with.
    tables: Arc<Tables>,
    sessions: Sessions,
    sockets: Sockets,
    /// Those whose packets cannot be sent now.
    mute: BTreeSet<Path>,
    reopen_at: Option<Instant>,
    /// What was told may be stale, and since when.
    stale_since: Option<Instant>,
}

impl Driver {
    pub(super) fn new(
        shared: Arc<ArcSwap<Tables>>,
        wake: Arc<EventFd>,
        seen: watch::Sender<Seen>,
        metrics: Metrics,
        chance: Chance,
        draw: Draw,
    ) -> Self {
        Self {
            tables: shared.load_full(),
            shared,
            wake,
            seen,
            metrics,
            sessions: Sessions::new(chance),
            sockets: Sockets::new(draw),
            mute: BTreeSet::new(),
            reopen_at: None,
            stale_since: None,
        }
    }

    /// Runs until the tables say that it is over.
    pub(super) fn run(mut self) {
        let mut buffer = [0; BUFFER];
        loop {
            if let Err(errno) = self.wait() {
                tracing::error!(event = "pollFailed", %errno, "the BFD lane ends");
                return;
            }
            // What waits in the sockets first, time second: who was not given the processor for a while must not take
            // its own absence for the silence of a router.
            self.receive(&mut buffer);
            self.take_tables();
            self.pass_time();
            match self.tables.ending {
                None => {}
                Some(Ending::Silence) => return,
                Some(Ending::AdminDown) => {
                    self.input(Instant::now(), Input::Farewell);
                    return;
                }
            }
        }
    }

    /// Returns when something may be due: a packet, new tables, or a timer.
    fn wait(&self) -> nix::Result<()> {
        let stale = self.stale_since.map(|since| since + TELL);
        let timers = [self.sessions.poll_timeout(), self.reopen_at, stale];
        let timeout = timers.into_iter().flatten().min();
        let timeout =
            timeout.map(|due| TimeSpec::from_duration(due.saturating_duration_since(Instant::now())));
        let mut descriptors: Vec<_> = std::iter::once(self.wake.as_fd())
            .chain(self.sockets.descriptors())
            .map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN))
            .collect();
        match ppoll(&mut descriptors, timeout, None) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    fn receive(&mut self, buffer: &mut [u8]) {
        let mut outputs = Vec::new();
        for receiver in self.sockets.receivers() {
            for _ in 0..TURN {
                match receiver.receive(buffer) {
                    Ok(Some((arrival, bytes))) => {
                        let input = Input::Control { arrival: &arrival, bytes };
                        self.sessions.handle_input(Instant::now(), input);
                        outputs.extend(std::iter::from_fn(|| self.sessions.poll_output()));
                    }
                    Ok(None) => break,
                    Err(error) => {
                        tracing::debug!(event = "bfdReceiveFailed", %error, "passed over");
                        break;
                    }
                }
            }
        }
        if let Some(socket) = self.sockets.echo_socket() {
            for _ in 0..TURN {
                match socket.receive(buffer) {
                    Ok(Some((interface, bytes))) => {
                        self.sessions.handle_input(Instant::now(), Input::Frame { interface, bytes });
                        outputs.extend(std::iter::from_fn(|| self.sessions.poll_output()));
                    }
                    Ok(None) => break,
                    Err(error) => {
                        tracing::debug!(event = "bfdEchoReceiveFailed", %error, "passed over");
                        break;
                    }
                }
            }
        }
        for output in outputs {
            self.act(output);
        }
    }

    /// Brings sockets and sessions in step with the newest tables.
    fn take_tables(&mut self) {
        let mut count = [0; 8];
        let _ = nix::unistd::read(self.wake.as_fd(), &mut count); // nothing to read: nothing new
        let now = Instant::now();
        let new = self.shared.load_full();
        let changed = !Arc::ptr_eq(&new, &self.tables);
        if changed {
            self.tables = new.clone();
            if new.ending.is_some() {
                return;
            }
            self.sessions.handle_input(now, Input::Wanted(&new.wanted));
            let outputs: Vec<_> = std::iter::from_fn(|| self.sessions.poll_output()).collect();
            // Sockets first: what the sessions want to say follows at once.
            self.open_sockets(now);
            for output in outputs {
                self.act(output);
            }
            self.tell();
        } else if self.reopen_at.is_some_and(|due| due <= now) {
            self.open_sockets(now);
        }
    }

    fn open_sockets(&mut self, now: Instant) {
        let complete = self.sockets.serve(self.sessions.expected(), self.sessions.wants_echo());
        self.reopen_at = if complete { None } else { Some(now + REOPEN) };
    }

    fn pass_time(&mut self) {
        let now = Instant::now();
        if self.sessions.poll_timeout().is_some_and(|due| due <= now) {
            self.input(now, Input::Tick);
        }
        if self.stale_since.is_some_and(|since| since + TELL <= now) {
            self.tell();
        }
    }

    fn input(&mut self, now: Instant, input: Input<'_>) {
        self.sessions.handle_input(now, input);
        while let Some(output) = self.sessions.poll_output() {
            self.act(output);
        }
    }

    fn act(&mut self, output: Output) {
        match output {
            Output::Send { path, datagram } => self.send(path, &datagram),
            Output::SendEcho { path, interface, frame } => self.send_echo(&path, interface, &frame),
            Output::EchoReturned(path) => count(&self.metrics.echo_input, &path),
            Output::Heard(path) => {
                count(&self.metrics.control_input, &path);
                self.stale_since = self.stale_since.or_else(|| Some(Instant::now()));
            }
            Output::Changed(path, change) => self.changed(&path, change),
            Output::Ended(path) => {
                self.sockets.close(&path);
                self.mute.remove(&path);
                // A way that changed is there twice until the old one has taken its leave, under the same labels.
                if self.sessions.expected().any(|(other, ..)| Metrics::are_one(other, &path)) {
                    self.show(&path);
                } else {
                    self.metrics.forget(&path);
                }
                self.open_sockets(Instant::now()); // or rather closes those that nobody needs any more
            }
            Output::Dropped(why) => {
                self.metrics.dropped.with_label_values(&[Metrics::reason(why)]).inc();
                tracing::debug!(event = "bfdDropped", ?why, "not from a router that is watched");
            }
        }
    }

    fn send(&mut self, path: Path, datagram: &[u8]) {
        match self.sockets.send(&path, datagram) {
            Ok(true) => {
                count(&self.metrics.control_output, &path);
                if self.mute.remove(&path) {
                    tracing::info!(event = "bfdSends", session = %path, "packets leave again");
                }
            }
            Ok(false) => self.reopen_at = self.reopen_at.or_else(|| Some(Instant::now() + REOPEN)),
            Err(error) => {
                // Once, not with every packet.
                if !self.mute.contains(&path) {
                    tracing::warn!(event = "bfdSendFailed", session = %path, %error, "no packets leave");
                    self.mute.insert(path);
                }
            }
        }
    }

    fn send_echo(&self, path: &Path, interface: u32, frame: &[u8]) {
        let Some(socket) = self.sockets.echo_socket() else { return };
        match socket.send(interface, frame) {
            Ok(()) => count(&self.metrics.echo_output, path),
            Err(error) => {
                tracing::debug!(event = "bfdEchoFailed", session = %path, %error, "the next one follows");
            }
        }
    }

    fn changed(&mut self, path: &Path, change: Change) {
        let Change { from, to, why } = change;
        self.show(path);
        match (from, to) {
            (State::AdminDown | State::Down | State::Init, State::Up) => {
                tracing::info!(event = "bfdUp", session = %path, "the router answers");
                count(&self.metrics.ups, path);
                count(&self.metrics.notifications, path);
            }
            (State::Up, _) => {
                tracing::warn!(event = "bfdDown", session = %path, ?why, "{}", explanation(why));
                count(&self.metrics.downs, path);
                count(&self.metrics.notifications, path);
            }
            (State::AdminDown | State::Down | State::Init, State::AdminDown | State::Down | State::Init) => {
                tracing::debug!(event = "bfdChanged", session = %path, %from, %to, ?why);
            }
        }
        self.open_sockets(Instant::now()); // what is expected from the router has changed
        self.tell();
    }

    /// Whether the router answers on `path`, or on another that is counted with it.
    fn show(&self, path: &Path) {
        let mut counted = self.sessions.expected().filter(|(other, ..)| Metrics::are_one(other, path));
        let is_up = counted.any(|(_, _, state)| state == State::Up);
        let labels = Metrics::labels(path);
        let labels = labels.each_ref().map(String::as_str);
        self.metrics.session_up.with_label_values(&labels).set(i64::from(is_up));
    }

    fn tell(&mut self) {
        self.stale_since = None;
        let statuses = self.sessions.statuses();
        self.seen.send_if_modified(|seen| {
            let differs = *seen != statuses;
            *seen = statuses;
            differs
        });
    }
}

fn count(counter: &prometheus::IntCounterVec, path: &Path) {
    let labels = Metrics::labels(path);
    counter.with_label_values(&labels.each_ref().map(String::as_str)).inc();
}

const fn explanation(why: Why) -> &'static str {
    match why {
        Why::Silence => "nothing was heard from the router for the detection time",
        Why::EchoLost => "the router still speaks, but no longer sends echo packets back",
        Why::NeighborDown => "the router says that it is down: it does not hear this node, or has restarted",
        Why::NeighborAdminDown => "BFD was switched off on the router; this is no failure",
        Why::SwitchedOff => "it is no longer wanted",
        Why::Handshake | Why::SwitchedOn => "it begins anew",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use metallb_core::config::BfdProfile;
    use metallb_protocols::bfd::Hops;
    use nix::sys::eventfd::EfdFlags;
    use prometheus::Registry;

    use super::*;

    /// The metrics that have a series for a session.
    fn counted(registry: &Registry) -> Vec<String> {
        let families = registry.gather();
        let of_sessions = |family: &&prometheus::proto::MetricFamily| {
            family.get_metric()[0].get_label().iter().any(|label| label.value() == "192.0.2.2")
        };
        families.iter().filter(of_sessions).map(|family| family.name().to_owned()).collect()
    }

    #[test]
    fn a_session_whose_way_changed_is_counted_on_until_no_way_is_left() {
        let registry = Registry::new();
        let mut driver = Driver::new(
            Arc::default(),
            Arc::new(EventFd::from_flags(EfdFlags::EFD_NONBLOCK).unwrap()),
            watch::channel(Seen::new()).0,
            Metrics::register(&registry).unwrap(),
            Chance::new(|| 4),
            Box::new(|| 0),
        );
        let near = Path::to([192, 0, 2, 2].into(), Hops::Single);
        let far = Path { hops: Hops::Multi, ..near.clone() };
        let wanted = BTreeMap::from([(far.clone(), BfdProfile::default())]);
        driver.input(Instant::now(), Input::Wanted(&wanted));
        count(&driver.metrics.control_input, &far);

        driver.act(Output::Ended(near.clone()));
        let both = ["metallb_bfd_control_packet_input", "metallb_bfd_session_up"];
        assert_eq!(counted(&registry), both, "the other way has the same labels");

        driver.sessions = Sessions::new(Chance::new(|| 4));
        driver.act(Output::Ended(near));
        assert_eq!(counted(&registry), [""; 0], "that was the last");
    }
}

//! A session on a plain TCP connection that it dials, on a thread of its own in a host's network.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use metallb_lab::network::Host;
use metallb_protocols::bgp::adverts::NextHops;
use metallb_protocols::bgp::session::{
    Beginning, Connection, Input, Jitter, Output, Path, Session, Settings, Unconnected,
};

/// How long nothing is read at most.
const PAUSE: Duration = Duration::from_millis(10);

/// A session under way. Dropped, its connection breaks without a word, like that of a process that died.
pub struct Driver {
    inputs: Sender<Input<'static>>,
    failures: Arc<Mutex<Vec<String>>>,
}

impl Driver {
    pub fn start(host: &Host, router: SocketAddr, settings: Settings, next_hops: NextHops) -> Self {
        let (inputs, arriving) = channel();
        let failures = Arc::new(Mutex::new(Vec::new()));
        let session = Session::new(Instant::now(), settings, Beginning::Process, Jitter::new(1));
        let wire =
            Wire { session, router, path: Path { next_hops }, socket: None, failures: failures.clone() };
        host.inside(|| thread::spawn(move || wire.run(&arriving))).unwrap();
        let driver = Self { inputs, failures };
        driver.say(Input::Start);
        driver
    }

    pub fn say(&self, input: Input<'static>) {
        self.inputs.send(input).unwrap();
    }

    /// Why attempts and sessions ended, in order.
    pub fn failures(&self) -> Vec<String> {
        self.failures.lock().unwrap().clone()
    }
}

struct Wire {
    session: Session,
    router: SocketAddr,
    path: Path,
    socket: Option<(Connection, TcpStream)>,
    failures: Arc<Mutex<Vec<String>>>,
}

impl Wire {
    fn run(mut self, inputs: &Receiver<Input<'static>>) {
        loop {
            match inputs.recv_timeout(PAUSE) {
                Ok(input) => self.handle(input),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.read();
            if self.session.poll_timeout().is_some_and(|due| due <= Instant::now()) {
                self.handle(Input::Tick);
            }
            self.write();
        }
    }

    fn handle(&mut self, input: Input<'_>) {
        self.session.handle_input(Instant::now(), input);
        let outputs: Vec<Output> = std::iter::from_fn(|| self.session.poll_output()).collect();
        for output in outputs {
            match output {
                Output::Connect(connection) => self.connect(connection),
                Output::Close { connection, farewell } => {
                    let socket = self.socket.take_if(|(known, _)| *known == connection);
                    if let (Some((_, mut socket)), Some(farewell)) = (socket, farewell) {
                        // As far as the socket takes it.
                        let _ = socket.write_all(&farewell);
                    }
                }
                Output::Up(_) => {}
                Output::Down(failure) | Output::Failed(failure) => {
                    self.failures.lock().unwrap().push(failure.to_string());
                }
            }
        }
    }

    fn connect(&mut self, connection: Connection) {
        match TcpStream::connect_timeout(&self.router, Duration::from_secs(2)) {
            Ok(socket) => {
                socket.set_nodelay(true).unwrap();
                self.socket = Some((connection, socket));
                self.handle(Input::Connected { connection, path: self.path });
            }
            Err(error) => {
                let refused = error.kind() == ErrorKind::ConnectionRefused;
                let why = if refused { Unconnected::Refused } else { Unconnected::NoAnswer };
                self.handle(Input::Unconnected { connection, why });
            }
        }
    }

    fn read(&mut self) {
        let Some((connection, socket)) = &mut self.socket else { return };
        let connection = *connection;
        let mut bytes = [0; 4096];
        socket.set_nonblocking(true).unwrap();
        let read = socket.read(&mut bytes);
        socket.set_nonblocking(false).unwrap();
        match read {
            Ok(0) => self.closed(connection, None),
            Ok(length) => self.handle(Input::Received { connection, bytes: &bytes[..length] }),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => self.closed(connection, Some(error.to_string())),
        }
    }

    fn closed(&mut self, connection: Connection, text: Option<String>) {
        self.socket = None;
        self.handle(Input::Closed { connection, text });
    }

    fn write(&mut self) {
        let Some((connection, socket)) = &mut self.socket else { return };
        while let Some(message) = self.session.poll_transmit(Instant::now(), *connection) {
            // One that is gone is found when it is read.
            let _ = socket.write_all(&message);
        }
    }
}

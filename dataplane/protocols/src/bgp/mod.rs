//! BGP (RFC 4271): telling routers which addresses are reached through this node.
//!
//! | room | what |
//! |---|---|
//! | [`wire`] | the messages: bytes to types and back, and what errors cost (RFC 7606) |
//! | [`session`] | a session with one router. Start at [`session::Session::handle_input`] |
//! | [`adverts`] | what that router is told: the difference to what it knows, in few messages |
//!
//! Not here: sockets, passwords, TTLs, router advertisements, which routes to announce, and BFD. Routes of routers are
//! counted and dropped.
//!
//! # Who drives a session
//!
//! One [`session::Session`] a router. After every input: drain `poll_output`, write what `poll_transmit` gives, and be back
//! at `poll_timeout` with [`session::Input::Tick`]. The driver owes the session this:
//!
//! * [`session::Output::Connect`]: connect to the router, from the source address, with TTL, password, VRF and DSCP of the
//!   BGPPeer, every option's result looked at; then `Connected`, with the addresses of the node that the router can send to,
//!   or `Unconnected` with the reason as errno has it. It need not time out: the session gives up after ten seconds.
//! * [`session::Output::Close`]: finish the message that is half written, write the farewell as far as the socket takes it at
//!   once, close. For [`session::Ending::Restarting`] there is none, so that the router keeps the routes.
//! * Names of connections ([`session::Connection`]) are never used twice: what arrives for one that was closed is passed over.
//!   Those that the router makes are numbered by who listens, and handed over only if they come from the router's address.
//! * Writing: one message from `poll_transmit` at a time, the next when it is written in full. That is the bound of what
//!   waits in memory for one router: one message (4096 octets, or 65535 where RFC 8654 is agreed on).
//! * Reading: in pieces of any size; of these the session keeps less than a message. Read before saying `Tick`, or a process
//!   that stood still takes its own silence for the router's.
//! * [`session::Input::Routes`] once all routes of this node are known, then [`session::Input::Changes`]. Before the first
//!   `Routes` no End-of-RIB is sent (for at most four minutes), or a router would drop what it kept over a restart.
//! * BFD: [`session::Ending::BfdDown`] when it goes down (not on AdminDown), [`session::Input::PathUp`] when it comes up.
//! * A changed BGPPeer is [`session::Input::Configure`]; the session knows what needs a new one. What only the socket knows of
//!   (address, password, TTL, VRF) is [`session::Ending::Transport`].
//! * Leaving (RFC 8326): [`session::Input::Drain`], wait, an empty `Routes`, wait, [`session::Ending::Leaving`].

pub mod adverts;
pub mod session;
pub mod wire;

#[cfg(test)]
mod tests;

//! A session with one router, through all its connections: RFC 4271 §8, collisions (§6.8, RFC 6286), what the two agree
//! on, graceful restart (RFC 4724, 8538), and why it failed, in words that name the likely cause.
//!
//! | room | what |
//! |---|---|
//! | `engine` | [`Session`]: inputs to outputs. Start at [`Session::handle_input`] |
//! | `fsm` | the state machine of RFC 4271 §8.2.2 as a table, total over ([`State`], [`Event`]) |
//! | `line` | one connection: its state, its timers, what it has received in part |
//! | `collision` | which of two connections stays |
//! | `offer` | our OPEN, and what of theirs we accept: [`Negotiated`] |
//! | `settings` | what the configuration says of the session |
//! | `pace` | when to try again |
//! | `ending`, `failure` | why we end it, and why it ended |
//! | `counters` | messages by kind, and what came with them |
//!
//! Not here: sockets (they are named by [`Connection`]), passwords, TTLs, and which routes to announce.

mod collision;
mod counters;
mod ending;
mod engine;
mod failure;
mod fsm;
mod line;
mod offer;
mod pace;
mod settings;

pub use crate::jitter::Jitter;
pub use counters::Counters;
pub use ending::Ending;
pub use engine::{Beginning, Input, Output, Session};
pub use failure::{Failure, Unconnected};
pub use fsm::{Action, Event, State, Step, step};
pub use line::{Connection, Path};
pub use offer::{Negotiated, Refused};
pub use pace::Retry;
pub use settings::Settings;

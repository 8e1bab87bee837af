//! BFD (RFC 5880, 5881, 5883): is the router still there?
//!
//! | room | holds |
//! |---|---|
//! | [`Sessions`] | all of a node's sessions: which packet is whose; start at [`Sessions::handle_input`] |
//! | `session` | one of them: what it knows of the other side, and when it speaks |
//! | `machine` | the states, as a table |
//! | `timers` | intervals, and how two sides agree on them |
//! | `echoing`, `echo` | echo mode: when, and what the frames look like |
//! | `wire` | the control packet |
//!
//! Asynchronous mode, active or passive, over one hop or several; the other side may be in demand mode. Echo packets
//! are sent to routers that loop them; that we would loop theirs is not promised (Required Min Echo RX is 0). No
//! authentication. A session that was switched off on the other side is told from one that failed
//! ([`Why::NeighborAdminDown`], RFC 5882 §3.2).
//!
//! Not here: sockets, clocks, chance, and what a lost router means for routes.

mod echo;
mod echoing;
mod machine;
mod path;
mod session;
mod sessions;
mod timers;
mod wire;

#[cfg(test)]
mod tests;

pub use echo::ECHO_PORT;
pub use machine::Why;
pub use path::{Arrival, Hops, Path};
pub use session::{Change, Status};
pub use sessions::{Dropped, FAREWELL, Input, Output, Sessions};
pub use timers::{Chance, SLOW};
pub use wire::{Control, Diagnostic, Discriminator, Interval, Malformed, OtherDiagnostic, Sequence, State};

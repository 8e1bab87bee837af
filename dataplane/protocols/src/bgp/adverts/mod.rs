//! What this node announces to one router: what is wanted, what the router was told, and the messages between the two.
//!
//! In this room: `route` (a route as the plan wants it, and as a session shows it), `table` (the difference, in as
//! few UPDATEs as it takes) and `stand_ins` (the same in the name of other nodes). Not here: which routes to want (`plan`
//! decides), and when a message may go (the session).
//!
//! Nothing is queued in bytes: a message is made when it can be written ([`Adverts::next_message`]), of what is wanted
//! at that moment. A router that reads slowly costs a mark per prefix, however often the wishes change meanwhile.

mod route;
mod stand_ins;
mod table;

pub use metallb_core::plan::RouteAttributes;
pub use route::{Defaults, NextHops, Outlook, Paths, Unsendable};
pub use stand_ins::{InItsName, StandIns};
pub use table::Adverts;

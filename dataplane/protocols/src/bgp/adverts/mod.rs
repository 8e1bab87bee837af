//! What this node announces to one router: what is wanted, what the router was told, and the messages between the two.
//!
//! In this room: `route` (a route as the plan wants it, and as a session shows it) and `table` (the difference, in as
//! few UPDATEs as it takes). Not here: which routes to want (`plan` decides), and when a message may go (the session).
//!
//! Nothing is queued in bytes: a message is made when it can be written ([`Adverts::next_message`]), of what is wanted
//! at that moment. A router that reads slowly costs a mark per prefix, however often the wishes change meanwhile.

mod route;
mod table;

pub use metallb_core::plan::RouteAttributes;
pub use route::{Defaults, NextHops, Outlook, Unsendable};
pub use table::Adverts;

//! Address management: who holds which address, and who gets the next one.
//!
//! [`Books`] is the record, rebuilt from the status of Services at every start. [`Books::settle`] is the rule: given
//! what one service claims and what it holds, it says what its status should be, and why. Start there.
//!
//! Everything works on intervals, so an IPv6 /64 costs nothing.
//!
//! Not here: when to settle which service, and writing the outcome (`dataplane/src/controller`).

mod books;
mod choose;
mod claim;
mod intervals;
mod reservations;
mod settle;
mod vips;
mod waiting;

#[cfg(test)]
mod tests;

pub use books::{Assignment, Books, Usage};
pub use choose::Namespaces;
pub use claim::{Claim, FamilyDemand, Port, Protocol, SharingTerms};
pub use reservations::{Reservation, Reservations, Retention};
pub use settle::{Note, Settlement};
pub use vips::{BadVips, Vips};
pub use waiting::{Openings, Waiting};

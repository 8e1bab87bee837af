//! Every "no", as a value: a stable code, a sentence for people, and what to do about it.
//!
//! Events, conditions, logs and metrics all read the same refusal, so they cannot tell different stories. The
//! sentence is made when it is read: a refusal itself is small and comparable.
//!
//! Not here: errors of ours (a failed write, a lost connection). A refusal is an answer to a user.

mod allocation;
mod announcement;
mod any_of;
pub mod catalogue;
mod caveat;
mod configuration;
mod frr;
mod heartbeat;

pub use allocation::{AllocationRefusal, CannotShare, Unknown};
pub use announcement::AnnouncementRefusal;
pub use caveat::Caveat;
pub use configuration::{
    AdvertisementRefusal, AnyRefusal, BadRouterId, BadSelector, CommunityRefusal, ConfigRefusal, Effect,
    Kind, ObjectRef, ObjectRefusal, PeerRefusal, PoolRefusal, TTL_SECURITY,
};
pub use frr::{FrrRefusal, HOSTNAME};
pub use heartbeat::HeartbeatRefusal;

/// An answer "no".
pub trait Refusal {
    /// Stable, lower-case, hyphenated: what scripts compare and metrics carry as a label.
    fn code(&self) -> &'static str;
    /// What is the case, naming the object, the field and the value.
    fn sentence(&self) -> String;
    /// What the user can do about it.
    fn fix(&self) -> String;
    /// The sentence followed by the fix, as events and conditions show it.
    fn explain(&self) -> String {
        format!("{}; {}", self.sentence(), self.fix())
    }
}

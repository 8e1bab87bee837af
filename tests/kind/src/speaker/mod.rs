//! One speaker on one node of a small network, measured from outside: by what passes its node's interfaces.
//!
//! | room | holds |
//! |---|---|
//! | [`site`] | the network: the node, four routers' hosts, the way from the node to the API server |
//! | [`world`] | the API server with a configuration, and services that have addresses and endpoints |
//! | [`process`] | the speaker's process: started, frozen, measured, ended |
//! | [`ear`] | a router that takes all it is told and knows when it was told |
//! | [`sighting`] | what a frame says about BGP, BFD, ARP and the API server |
//! | [`tap`] | all frames of the node, with the kernel's time |
//! | [`routes`] | how fast routes reach routers, beside FRR, BIRD and GoBGP |
//! | [`paths`] | how fast a lost path is noticed, and whether load raises false alarms; FRR and BIRD at the other end |
//! | [`announcing`] | how fast a LAN is told of an address, and how soon who asks is answered |
//! | [`figures`] | medians and the like |
//!
//! Not here: several nodes ([`crate::trial`]), and what the speaker says of itself.

pub mod announcing;
pub mod ear;
pub mod figures;
pub mod paths;
pub mod process;
pub mod routes;
pub mod sighting;
pub mod site;
pub mod tap;
pub mod world;

//! Scenarios that a user of MetalLB lives through, told against a whole cluster.
//!
//! | room | holds |
//! |---|---|
//! | [`installation`] | installing the operator and MetalLB, pools and advertisements, as a user does |
//! | [`figures`] | how measurements are printed |
//! | [`fault`] | what can go wrong with the node that announces an address |
//! | [`asker`] | whether who asks on the LAN where an address is has an answer |
//! | [`outage`] | what a client notices: requests that fail, connections that break, and for how long |
//! | [`bgp`] | what a router sees: FRR with the nodes as its neighbours |
//! | [`place`] | where they take place: the lab, or what else has nodes and a client |
//! | [`kind`] | the other place: a cluster of kind |
//! | [`layer2`] | what the LAN sees: who answers for an address |
//! | [`speaker`] | one speaker among routers, measured by what passes its node's interfaces |
//! | [`second_lan`] | a cable that is dead in one network only |
//! | [`trial`] | one fault, and what a client noticed of it |
//! | [`usage`] | what processes need: memory, and processor time |
//!
//! `src/bin/demo.rs` tells the story with times, `src/bin/bench*.rs` measure, `tests/` holds the promises. Not here: the
//! cluster (`tests/lab`).

pub mod asker;
pub mod bgp;
pub mod fault;
pub mod figures;
pub mod installation;
pub mod kind;
pub mod layer2;
pub mod outage;
mod packet_socket;
pub mod place;
pub mod second_lan;
pub mod speaker;
pub mod trial;
pub mod usage;

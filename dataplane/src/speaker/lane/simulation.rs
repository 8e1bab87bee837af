//! Several speakers in virtual time: brain, heartbeats and lane together, over a network that delays, loses and parts, with an API
//! server whose word comes late. Random schedules from a seed, which a failure prints.

mod api;
mod cluster;
mod speaker;
mod storm;

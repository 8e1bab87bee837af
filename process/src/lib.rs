//! What every process of the project does around its work: read its flags, log, reach the API server, hold a lease,
//! watch, write events, answer probes and scrapes.
//!
//! | room | holds |
//! |---|---|
//! | [`flags`] | Go's flag syntax on top of clap |
//! | [`logging`] | JSON lines with upstream's keys, and a level that can change while running |
//! | [`cluster`] | the client, the namespace, the own Pod |
//! | [`lease`] | who of several replicas works, and until when that is certain |
//! | [`watch`] | objects of one kind, as events for the one task that owns the world |
//! | [`events`] | core/v1 Events, counted instead of repeated |
//! | [`serve`] | probes over HTTP, metrics over HTTPS with a bearer token |
//! | [`shutdown`] | SIGTERM and SIGINT |
//!
//! Not here: any decision about addresses, and any object of metallb.io.

pub mod cluster;
pub mod events;
pub mod flags;
pub mod lease;
pub mod logging;
pub mod serve;
pub mod shutdown;
pub mod watch;

//! Liveness: tables of small cases, and simulations in virtual time.

mod cluster;
mod hostile;
mod large;
mod length;
mod lives;
mod owners;
mod pauses;
mod queue;
mod recorder;
mod reports;
mod small;
mod storm;
mod tenures;
mod watchers;
mod wire;

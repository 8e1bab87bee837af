//! Liveness: tables of small cases, and simulations in virtual time.

mod cluster;
mod hostile;
mod large;
mod lives;
mod queue;
mod small;
mod storm;
mod tenures;
mod watchers;
mod wire;

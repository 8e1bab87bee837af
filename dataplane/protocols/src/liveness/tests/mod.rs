//! Liveness: tables of small cases, and simulations in virtual time.

mod cluster;
mod large;
mod small;
mod storm;
mod watchers;
mod wire;

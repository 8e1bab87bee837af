//! The webhooks, asked by a real API server.

mod balancer;
mod conversion;
mod edits;
mod load;
mod process;
mod replica;
mod setup;

//! Neighbour Discovery: the bytes (`wire`), and who is found when (`discovery`).

mod discovery;
mod wire;

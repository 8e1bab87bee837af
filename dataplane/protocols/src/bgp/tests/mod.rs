//! BGP: known bytes, properties of the codec, and what errors cost.

mod codec;
mod errors;
mod generate;
mod vectors;

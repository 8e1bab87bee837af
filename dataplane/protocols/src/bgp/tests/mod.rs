//! BGP: known bytes, properties of the codec, two other codecs, what errors cost, the whole state machine as a table, what routers are told,
//! and sessions in virtual time, in good weather and bad.

mod adverts;
mod codec;
mod errors;
mod fsm;
mod generate;
mod lab;
mod offers;
mod oracles;
mod sessions;
mod stand_ins;
mod storm;
mod trouble;
mod vectors;
mod walk;

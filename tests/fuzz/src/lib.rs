//! Fuzzing on stable Rust, as ordinary tests: inputs near to valid ones, for a bounded time, with a seed that brings a
//! failure back.
//!
//! | room | what |
//! |---|---|
//! | `run` | [`run()`]: inputs to a check until the time is over |
//! | `mutation` | inputs near to valid ones: octets flipped, put in, cut out, repeated |
//! | `memory` | [`measure()`]: what a piece of code allocates, and what it keeps |
//! | `clock` | where virtual time starts |
//!
//! Why not a coverage-guided engine: libFuzzer needs a nightly compiler, and bolero, which would do without, fixes the
//! version of a crate that we ship (`indexmap`). Inputs that start from valid ones reach the depth of parsers that are
//! as flat as these.
//!
//! A target runs for [`BUDGET`], or for `METALLB_FUZZ_SECONDS`. `METALLB_FUZZ_SEED` repeats a round that failed.
//!
//! Not here: what is fuzzed. Targets stand in `tests/fuzz/` of the crate whose parsers they try.

mod clock;
mod memory;
mod mutation;
mod run;

pub use clock::epoch;
pub use memory::{Allocated, measure};
pub use mutation::{Edit, edits, mutated, mutated_text};
pub use run::{BUDGET, Found, run};

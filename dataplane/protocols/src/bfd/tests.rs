//! BFD in virtual time, and its bytes.

mod wire;

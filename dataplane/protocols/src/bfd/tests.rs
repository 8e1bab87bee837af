//! BFD in virtual time, and its bytes.

mod agreement;
mod echo;
mod hostile;
mod link;
mod machine;
mod pairs;
mod wire;

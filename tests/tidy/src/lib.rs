//! House rules that a machine can check. They are tests: `cargo test -p metallb-tidy`. Not here: what rustfmt and clippy check.

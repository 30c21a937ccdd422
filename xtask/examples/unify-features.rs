//! Does nothing. Building an example along with the `olmstead` binary makes cargo choose features as
//! `cargo test --workspace` does, so that serving and testing share every compiled dependency.

fn main() {}

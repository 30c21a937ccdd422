//! What operators ask for. Everything here is for them alone: it sees what no client may see.
//!
//! Wire types are both written and read here, so that the server and its commands agree on them.

pub mod audit;
pub mod e2ee;

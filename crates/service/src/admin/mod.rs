//! What operators ask for. Everything here is for them alone: it sees what no client may see.
//!
//! Wire types are both written and read here, so that the server and its commands agree on them.

pub mod audit;
pub mod e2ee;
pub mod registration_tokens;
pub mod rooms;
pub mod stats;
pub mod users;

/// Entries of a page by default.
const PAGE: usize = 100;
/// Entries of a page at most.
const MOST: usize = 1_000;

/// How many entries a page has.
fn page_size(wanted: Option<usize>) -> usize {
    wanted.unwrap_or(PAGE).clamp(1, MOST)
}

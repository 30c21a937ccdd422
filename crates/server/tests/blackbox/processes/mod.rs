//! Several nodes as processes of the real binary on one database, which can be killed.

mod claims;
mod deploy;
mod waking;

//! Caches. Each holds what cannot change under its key, or is emptied by the change stream before a reader can have
//! seen something newer.

/// All caches of a server.
#[derive(Debug, Default)]
pub struct Caches {}

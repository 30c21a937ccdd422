//! Several nodes on one store, with the requests of one client spread over them.

mod keys;
mod leaving;
mod presence;
mod resolved_state;
mod sessions;
mod shared_store;
mod sliding_sync;
mod support;

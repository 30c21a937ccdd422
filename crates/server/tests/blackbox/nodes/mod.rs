//! Several nodes on one store, with the requests of one client spread over them.

mod leaving;
mod presence;
mod sessions;
mod shared_store;
mod sliding_sync;
mod support;

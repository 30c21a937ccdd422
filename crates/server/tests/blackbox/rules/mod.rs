//! The rules of the specification that encryption rests on, one by one, each with the id of its requirement.

mod backups;
mod bodies;
mod cross_signing;
pub mod dehydrated;
mod device_keys;
mod device_lists;
mod devices;
mod endpoints;
mod fallback_keys;
mod general;
mod key_queries;
mod limits;
mod odd_ids;
mod one_time_keys;
mod paths;
mod signed_json;
mod sliding;
mod standing;
mod sync;
mod to_device;
mod transactions;

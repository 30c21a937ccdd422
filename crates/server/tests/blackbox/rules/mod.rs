//! The rules of the specification that encryption rests on, one by one, each with the id of its requirement.

mod backups;
mod cross_signing;
pub mod dehydrated;
mod device_lists;
mod devices;
mod general;
mod keys;
mod to_device;

//! The rules of the specification that encryption rests on, one by one, each with the id of its requirement.

mod backups;
mod cross_signing;
mod device_lists;
mod devices;
mod general;
mod keys;
mod sliding;
mod to_device;

//! End-to-end encryption as clients live it.

mod claims;
mod crowd;
mod dehydrated;
mod fallback_keys;
mod sliding;
mod to_device_crash;

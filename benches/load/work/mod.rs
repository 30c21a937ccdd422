//! The workloads.

mod backup;
mod claim;
mod events;
mod floor;
mod lists;
mod query;
mod sync;
mod to_device;
mod upload;

use std::pin::Pin;

use crate::crew::Crew;
use olmstead_benches::run::Measured;

/// How many clients work at once, where a workload says nothing else.
const CLIENTS: usize = 8;

type Run = for<'a> fn(&'a mut Crew) -> Pin<Box<dyn Future<Output = Measured> + 'a>>;

/// One kind of work.
pub(crate) struct Workload {
    /// As in the tables.
    pub(crate) name: &'static str,
    pub(crate) run: Run,
    /// Whether it takes long to prepare.
    pub(crate) is_long: bool,
}

macro_rules! workloads {
    ($($name:literal: $run:path $(, $long:ident)?;)*) => {
        /// All workloads, in the order of the tables.
        pub(crate) const ALL: &[Workload] = &[$(Workload {
            name: $name,
            run: |crew| Box::pin($run(crew)),
            is_long: workloads!(@long $($long)?),
        }),*];
    };
    (@long) => { false };
    (@long long) => { true };
}

workloads! {
    "whoami": floor::whoami;
    "claim one key": claim::one_key;
    "claim 100 devices": claim::hundred_devices;
    "empty one device": claim::one_device;
    "upload device and 50 keys": upload::device;
    "top up 50 keys": upload::top_up;
    "cross-signing and signatures": upload::cross_signing;
    "query 1 user": query::one_user;
    "query 100 users": query::hundred_users;
    "query a user of 50 devices": query::many_devices;
    "to-device to 100 devices": to_device::hundred_devices;
    "backup 1,000 sessions": backup::bulk;
    "backup one session": backup::single;
    "backup, read 10,000": backup::read;
    "empty sync, 20 rooms": sync::empty;
    "device change told to 200": lists::two_hundred;
    "keys/changes": lists::changes;
    "encrypted event, 10 members": events::small_room;
    "encrypted event, 1,000 members": events::large_room, long;
    "full sync, 100 rooms": sync::full, long;
}

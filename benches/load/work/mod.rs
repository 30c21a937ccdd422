//! The workloads.

mod backup;
mod claim;
mod events;
mod floor;
mod idle;
mod lists;
mod query;
mod sync;
mod to_device;
mod upload;
mod wake_up;

use std::pin::Pin;

use crate::crew::Crew;
use olmstead_benches::{report::Figure, run::Measured};

/// How many clients work at once, where a workload says nothing else.
const CLIENTS: usize = 8;

type Run = for<'a> fn(&'a mut Crew) -> Pin<Box<dyn Future<Output = Measured> + 'a>>;

/// One kind of work.
pub(crate) struct Workload {
    /// As in the tables.
    pub(crate) name: &'static str,
    /// What is done, as one operation.
    pub(crate) about: &'static str,
    pub(crate) run: Run,
    pub(crate) needs: Needs,
}

/// What a workload needs that not every run has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    Nothing,
    /// Time to prepare it.
    Time,
    /// A second node of the server.
    SecondNode,
}

/// What the server takes before anybody asked it for anything.
pub(crate) const FRESH_MEMORY: &str = "memory of a fresh server";

pub(crate) fn fresh_memory(crew: &mut Crew) {
    let figure = Figure {
        name: FRESH_MEMORY,
        value: crew.meter.memory() * 1.048_576,
        unit: "MB",
        how: "before the first request of the run; that of a database is not included".to_owned(),
    };
    crew.figure(figure);
}

macro_rules! workloads {
    ($($name:literal: $run:path $(, $needs:ident)?, $about:literal;)*) => {
        /// All workloads, in the order of the tables.
        pub(crate) const ALL: &[Workload] = &[$(Workload {
            name: $name,
            about: $about,
            run: |crew| Box::pin($run(crew)),
            needs: workloads!(@needs $($needs)?),
        }),*];
    };
    (@needs) => { Needs::Nothing };
    (@needs $needs:ident) => { Needs::$needs };
}

workloads! {
    "whoami": floor::whoami,
        "GET /account/whoami: the least that an authenticated request costs";
    "claim one key": claim::one_key,
        "32 clients claim one key each of 40 devices, spread evenly";
    "claim 100 devices": claim::hundred_devices,
        "one request claims a key of each of 100 devices of 100 users";
    "empty one device": claim::one_device,
        "64 clients claim all keys of one device, one a request; several devices in turn";
    "upload device and 50 keys": upload::device,
        "identity keys, 50 one-time keys and a fallback key of a new device, signed, in one request";
    "top up 50 keys": upload::top_up,
        "50 more signed one-time keys of a device";
    "cross-signing and signatures": upload::cross_signing,
        "two requests: the three cross-signing keys, and the signature on the device";
    "query 1 user": query::one_user,
        "keys of a user with one device and cross-signing";
    "query 100 users": query::hundred_users,
        "keys of 100 users in one request";
    "query a user of 50 devices": query::many_devices,
        "keys of one user with 50 devices";
    "to-device to 100 devices": to_device::hundred_devices,
        "one PUT to 100 devices, and the 100 syncs that take and acknowledge the messages; in all one operation";
    "backup 1,000 sessions": backup::bulk,
        "one PUT of 1,000 sessions into an empty backup";
    "backup one session": backup::single,
        "one PUT of one session";
    "backup, read 10,000": backup::read,
        "one GET of a backup of 10,000 sessions";
    "empty sync, 20 rooms": sync::empty,
        "an incremental sync of a user in 20 rooms; nothing has happened there, but something elsewhere";
    "device change told to 200": lists::two_hundred,
        "one upload of a new device, and the 200 syncs of the members of a room that tell of it; in all one operation";
    "keys/changes": lists::changes,
        "GET /keys/changes over ten changes";
    "encrypted event, 10 members": events::small_room,
        "one PUT of an event into a room of 10";
    "encrypted event, 1,000 members": events::large_room, Time,
        "one PUT of an event into a room of 1,000";
    "full sync, 100 rooms": sync::full, Time,
        "an initial sync of a user in 100 rooms of ten members";
    "wake-up": wake_up::one_node,
        "from the beginning of a to-device PUT to the end of the recipient's long poll, one after another";
    "wake-up, from node to node": wake_up::two_nodes, SecondNode,
        "the same, the PUT at one node and the long poll at another of the same database";
    "idle long polls, woken": idle::polls,
        "one PUT to all devices that wait; each answered long poll is an operation, timed from the beginning of the PUT";
}

//! Faults of the machine: a disk that is full, read-only, failing or damaged, a clock that jumps, no files left.

mod clock;
mod disk;
mod open_files;
mod postgres;
mod starting;
mod syncing;

use std::{fs, sync::Arc, time::Duration};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::json;

use crate::harness::{Call, Client, Engine, Place, Response, Server, at, deadline, in_place, within};

/// A place for data of the engine under test.
async fn place() -> Arc<Place> {
    Arc::new(in_place(|| Place::new(Engine::chosen())).await)
}

/// Keeps something under a name.
fn keep(client: &Client, name: &str) -> Call {
    client.put(at!("/user/{}/account_data/{}", client.user_id(), name), json!({"kept": name}))
}

/// Whether it is there.
async fn is_kept(client: &Client, name: &str) -> bool {
    client.get(at!("/user/{}/account_data/{}", client.user_id(), name)).await.status == 200
}

/// What a client is told that should try again.
fn says_to_try_again(answer: &Response) {
    answer.error(503, "M_UNKNOWN");
    assert!(!answer.header("retry-after").is_empty(), "{answer}");
}

/// Tries until something is so.
async fn eventually<T>(what: &str, mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    let tried = async {
        let mut again = tokio::time::interval(Duration::from_millis(50));
        loop {
            again.tick().await;
            if let Some(done) = attempt().await {
                return done;
            }
        }
    };
    within(what, deadline().max(Duration::from_secs(60)), tried).await
}

/// Sets how much of something a running process may have; what it may ask for stays. What it might have before.
fn limit(process: u32, resource: Resource, current: u64) -> Rlimit {
    let pid = Pid::from_raw(i32::try_from(process).expect("a number of a process")).expect("a process");
    let name = match resource {
        Resource::Fsize => "Max file size",
        Resource::Nofile => "Max open files",
        other => panic!("{other:?}"),
    };
    let limits = fs::read_to_string(format!("/proc/{process}/limits")).expect("the limits of the process");
    let line = limits.lines().find_map(|line| line.strip_prefix(name)).expect("the limit");
    // None is no limit.
    let maximum = line.split_whitespace().nth(1).and_then(|number| number.parse().ok());
    let before = prlimit(Some(pid), resource, Rlimit { current: Some(current), maximum });
    before.expect("the limits of a process of one's own can be set")
}

//! No open files left.

use std::{fs, time::Duration};

use rustix::process::Resource;
use tokio::net::TcpStream;

use super::{eventually, is_kept, keep, limit, place};
use crate::harness::{Said, Server, Special, deadline, within};

/// By which a server may have so many open files.
fn with_files(count: u32) -> Vec<String> {
    ["sh", "-c", &format!(r#"ulimit -n {count}; exec "$0" "$@""#)].map(str::to_owned).to_vec()
}

async fn connections(server: &Server, count: usize) -> Vec<TcpStream> {
    let address = server.base().strip_prefix("http://").expect("a server without TLS");
    let mut open = Vec::new();
    for _ in 0..count {
        open.push(within("a connection", deadline(), TcpStream::connect(address)).await.expect("a connection"));
    }
    open
}

/// Seconds of CPU time that a process used, in hundredths.
fn used(process: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).expect("the state of the process");
    let fields: Vec<&str> = text.rsplit_once(')').expect("a name").1.split_whitespace().collect();
    fields[11..13].iter().map(|field| field.parse::<u64>().expect("a time")).sum()
}

/// Connections never take so many files that the store has none: who is in works on, the others wait, and come in when
/// there is room.
#[tokio::test]
async fn connections_leave_files_for_the_store() {
    let said = Said::default();
    let special = Special { said: Some(said.clone()), through: with_files(220), ..Special::default() };
    let Some(server) = Server::special_process(place().await, special).await else { return };
    let alice = server.user("alice").await;
    keep(&alice, "before").await.ok();
    let crowd = connections(&server, 160).await;
    for n in 0..30 {
        keep(&alice, &format!("meanwhile {n}")).await.ok();
    }
    drop(crowd);
    // A client of its own, so a connection of its own.
    let late = Server::at(server.base());
    let late = alice.via(&late);
    for n in 0..30 {
        assert!(is_kept(&late, &format!("meanwhile {n}")).await, "{n}");
    }
    let files = fs::read_dir(format!("/proc/{}/fd", server.process_id())).expect("open files").count();
    assert!(files < 220, "{files}");
    let text = said.text();
    assert!(text.contains("limit of open files"), "{text}");
}

/// Where the system gives no more files after all, accepting waits a moment between attempts, says so once, and goes on.
#[tokio::test]
async fn accepting_without_files_neither_spins_nor_dies() {
    let said = Said::default();
    let special = Special { said: Some(said.clone()), ..Special::default() };
    let Some(server) = Server::special_process(place().await, special).await else { return };
    let alice = server.user("alice").await;
    keep(&alice, "before").await.ok();
    let process = server.process_id();
    let before = limit(process, Resource::Nofile, 10);
    let began = (std::time::Instant::now(), used(process));
    let crowd = connections(&server, 50).await;
    eventually("the word", async || said.text().contains("cannot accept connections now").then_some(())).await;
    assert!(is_kept(&alice, "before").await, "who is in is served");
    // It would have tried hundreds of thousands of times.
    let watched = async {
        let mut again = tokio::time::interval(Duration::from_millis(50));
        while began.0.elapsed() < Duration::from_secs(2) {
            again.tick().await;
        }
    };
    watched.await;
    let (time, cpu) = (began.0.elapsed(), used(process) - began.1);
    assert!(cpu < 60, "{cpu} hundredths of a second of CPU time in {time:?}");
    assert_eq!(said.text().matches("cannot accept connections now").count(), 1, "{}", said.text());

    limit(process, Resource::Nofile, before.current.unwrap_or(1 << 20));
    drop(crowd);
    let late = alice.via(&Server::at(server.base()));
    assert!(is_kept(&late, "before").await);
    keep(&late, "after").await.ok();
}

/// With so few that no server can run, it does not start.
#[tokio::test]
async fn too_few_files_are_told() {
    if std::env::var("BLACKBOX_URL").is_ok() {
        return;
    }
    let special = Special { through: with_files(100), ..Special::default() };
    let (status, text) = Server::refuses(&place().await, special).await;
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(text.contains("100 open files") && text.contains("LimitNOFILE"), "{text}");
}

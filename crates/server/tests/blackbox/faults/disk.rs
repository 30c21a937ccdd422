//! A disk that is full, or that fails.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use rustix::process::Resource;
use serde_json::json;

use super::{eventually, is_kept, keep, limit, place, says_to_try_again};
use crate::harness::{Engine, Place, Said, Server, Special, free_address, in_place, to_device, unique};

/// A process that may write no file further is one whose disk fails: nothing is answered with success any more, the server
/// ends with a word, and once it may write again a start is all it takes.
#[tokio::test]
async fn a_failing_write_ends_the_server_and_loses_nothing() {
    if Engine::chosen() != Engine::RocksDb {
        return;
    }
    let said = Said::default();
    // A store that is watched must be heard to fail, too.
    let settings = vec![("OLMSTEAD_ADMIN__LISTEN", free_address())];
    let special = Special { said: Some(said.clone()), settings, ..Special::default() };
    let Some(server) = Server::special_process(place().await, special).await else { return };
    let [alice, bob] = server.users(["alice", "bob"]).await;
    for n in 0..20 {
        keep(&alice, &format!("before {n}")).await.ok();
    }
    let mut sync = bob.syncing();
    sync.now().await;
    let message = json!({"messages": {bob.user_id(): {bob.device_id(): {"n": 1}}}});
    alice.put(format!("/sendToDevice/m.test/{}", unique()), message).await.ok();

    limit(server.process_id(), Resource::Fsize, 0);
    says_to_try_again(&keep(&alice, "meanwhile").await);
    let status = server.ends().await;
    assert_eq!(status.code(), Some(1), "{}", said.text());
    let text = said.text();
    assert!(
        text.contains("olmstead: the store failed, so the server ends") && text.contains("File too large"),
        "{text}"
    );
    assert!(!text.contains("panicked"), "{text}");

    server.restart().await;
    for n in 0..20 {
        assert!(is_kept(&alice, &format!("before {n}")).await, "{n}");
    }
    assert_eq!(to_device(&sync.now().await).len(), 1);
    keep(&alice, "after").await.ok();
}

/// By which a server runs with its data on a small disk of its own. `None` where this system does not let anybody have one.
fn small_disk() -> Option<Vec<String>> {
    let is_root = fs::metadata("/proc/self").is_ok_and(|facts| facts.uid() == 0);
    let space: &[&str] = if is_root { &["--mount"] } else { &["--user", "--map-root-user", "--mount"] };
    let unshare = |arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(space).args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    if !unshare(&["sh", "-c", "mount -t tmpfs -o size=1m none /mnt"]) {
        eprintln!("left out: this system does not let the tests mount a file system of their own");
        return None;
    }
    let script = r#"mount -t tmpfs -o size=160m none "${OLMSTEAD_STORAGE__PATH%/*}" && exec "$0" "$@""#;
    Some(["unshare"].iter().chain(space).chain(&["sh", "-c", script]).map(|&word| word.to_owned()).collect())
}

/// The directory of a place, as the process sees it.
fn inside(server: &Server, place: &Place) -> PathBuf {
    let Place::Directory(directory) = place else { panic!("a place on a disk") };
    Path::new("/proc")
        .join(server.process_id().to_string())
        .join("root")
        .join(directory.path().strip_prefix("/").expect("an absolute path"))
}

/// When others fill the disk, writes are refused before anything fails. Reads and syncs go on; and so do writes, without
/// anybody's help, when there is space again.
#[tokio::test]
async fn a_full_disk_refuses_writes_until_there_is_space() {
    if Engine::chosen() != Engine::RocksDb {
        return;
    }
    let Some(through) = in_place(small_disk).await else { return };
    let (place, said) = (place().await, Said::default());
    let special = Special { said: Some(said.clone()), through, ..Special::default() };
    let Some(server) = Server::special_process(Arc::clone(&place), special).await else { return };
    let [alice, bob] = server.users(["alice", "bob"]).await;
    for n in 0..10 {
        keep(&alice, &format!("before {n}")).await.ok();
    }
    let mut sync = bob.syncing();
    sync.now().await;
    let message = json!({"messages": {bob.user_id(): {bob.device_id(): {"n": 1}}}});
    alice.put(format!("/sendToDevice/m.test/{}", unique()), message.clone()).await.ok();

    let ballast = inside(&server, &place).join("ballast");
    let file = ballast.clone();
    in_place(move || {
        let free = rustix::fs::statvfs(file.parent().expect("a directory")).expect("space");
        let bytes = usize::try_from(free.f_bavail * free.f_frsize).expect("a size").saturating_sub(1 << 20);
        fs::write(file, vec![1; bytes]).expect("ballast");
    })
    .await;
    let refused =
        eventually("a refusal", async || Some(keep(&alice, "meanwhile").await).filter(|answer| answer.status != 200));
    says_to_try_again(&refused.await);
    says_to_try_again(&alice.put(format!("/sendToDevice/m.test/{}", unique()), message.clone()).await);
    assert!(is_kept(&alice, "before 9").await, "reads go on");
    assert_eq!(to_device(&sync.now().await).len(), 1, "messages are delivered");
    assert!(to_device(&sync.now().await).is_empty(), "once, though nothing can be deleted");
    assert_eq!(server.anonymous().get("/health").await.status, 200, "what can be served is");

    in_place(move || fs::remove_file(ballast).expect("ballast")).await;
    keep(&alice.patient(), "after").await.ok();
    alice.patient().put(format!("/sendToDevice/m.test/{}", unique()), message).await.ok();
    let delivered =
        eventually("the message", async || Some(to_device(&sync.now().await)).filter(|found| !found.is_empty()));
    assert_eq!(delivered.await.len(), 1);
    for n in 0..10 {
        assert!(is_kept(&alice, &format!("before {n}")).await, "{n}");
    }
    let text = said.text();
    assert!(text.contains("the disk is nearly full") && text.contains("there is space on the disk again"), "{text}");
}

/// A file that is over its limit is not the end of a process without a word.
#[tokio::test]
async fn a_store_that_cannot_be_made_for_want_of_space_says_so() {
    if Engine::chosen() != Engine::RocksDb || std::env::var("BLACKBOX_URL").is_ok() {
        return;
    }
    let through = ["sh", "-c", r#"ulimit -f 1; exec "$0" "$@""#].map(str::to_owned).to_vec();
    let (status, text) = Server::refuses(&place().await, Special { through, ..Special::default() }).await;
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(text.contains("File too large") && text.contains("data"), "{text}");
}

//! What keeps a server from starting is told in one line, and the store is not touched.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use super::{is_kept, keep, place};
use crate::harness::{Engine, Place, Server, Special, in_place};

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|facts| facts.uid() == 0)
}

fn data(place: &Place) -> PathBuf {
    match place {
        Place::Directory(directory) => directory.path().join("data"),
        Place::Database(_) => panic!("a place on a disk"),
    }
}

/// Refuses to start, in one line with all of these words.
async fn refused(place: &Arc<Place>, special: Special, words: &[&str]) {
    let (status, text) = Server::refuses(place, special).await;
    assert_eq!(status.code(), Some(1), "{text}");
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("olmstead: ")).collect();
    let [line] = lines.as_slice() else { panic!("one line: {text}") };
    for word in words {
        assert!(line.contains(word), "\"{word}\" in: {line}");
    }
    assert!(!text.contains("panicked"), "{text}");
}

/// A store that a server ran on and left, with something kept in it.
async fn left() -> Option<(Arc<Place>, Server, crate::harness::Client)> {
    let place = place().await;
    let server = Server::special_process(Arc::clone(&place), Special::default()).await?;
    let alice = server.user("alice").await;
    keep(&alice, "kept").await.ok();
    server.kill().await;
    Some((place, server, alice))
}

/// By which the owner of a directory obeys its permissions, too.
fn obeying() -> Vec<String> {
    let words: &[&str] = if is_root() { &["setpriv", "--bounding-set=-dac_override,-dac_read_search"] } else { &[] };
    words.iter().map(|&word| word.to_owned()).collect()
}

/// A directory that may not be written to.
#[tokio::test]
async fn a_directory_without_permission_is_named() {
    if Engine::chosen() != Engine::RocksDb {
        return;
    }
    let Some((place, server, alice)) = left().await else { return };
    let path = data(&place);
    let mode = |bits| fs::set_permissions(&path, fs::Permissions::from_mode(bits)).expect("permissions");
    for bits in [0o555, 0o000] {
        mode(bits);
        let special = Special { through: obeying(), ..Special::default() };
        refused(&place, special, &[path.to_str().expect("a path"), "Permission denied"]).await;
    }
    mode(0o755);
    server.restart().await;
    assert!(is_kept(&alice, "kept").await);

    let parent = self::place().await;
    fs::set_permissions(data(&parent).parent().expect("a directory"), fs::Permissions::from_mode(0o555))
        .expect("permissions");
    let special = Special { through: obeying(), ..Special::default() };
    refused(&parent, special, &[data(&parent).to_str().expect("a path"), "Permission denied"]).await;
}

/// A file system that is mounted read-only.
#[tokio::test]
async fn a_read_only_disk_is_named() {
    if Engine::chosen() != Engine::RocksDb {
        return;
    }
    let mut space = vec!["unshare".to_owned()];
    if !is_root() {
        space.extend(["--user", "--map-root-user"].map(str::to_owned));
    }
    space.extend(["--mount", "sh", "-c"].map(str::to_owned));
    let can = Command::new(&space[0]).args(&space[1..]).arg("mount -t tmpfs none /mnt").stderr(Stdio::null()).status();
    if !can.is_ok_and(|status| status.success()) {
        eprintln!("left out: this system does not let the tests mount a file system of their own");
        return;
    }
    let Some((place, server, alice)) = left().await else { return };
    let script =
        r#"P="$OLMSTEAD_STORAGE__PATH"; mount --bind "$P" "$P" && mount -o remount,ro,bind "$P" && exec "$0" "$@""#;
    let through = space.iter().cloned().chain([script.to_owned()]).collect();
    let path = data(&place);
    let special = Special { through, ..Special::default() };
    refused(&place, special, &[path.to_str().expect("a path"), "Read-only file system"]).await;
    server.restart().await;
    assert!(is_kept(&alice, "kept").await);
}

/// What damage does to the directory of a store, and the words of the line.
type Harm = (&'static str, fn(&Path), [&'static str; 2]);

fn files(directory: &Path, end: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path());
    all.filter(|path| path.to_str().is_some_and(|path| path.ends_with(end))).collect()
}

fn largest(directory: &Path, end: &str) -> PathBuf {
    let size = |path: &PathBuf| fs::metadata(path).expect("a file").len();
    files(directory, end).into_iter().max_by_key(size).expect("a file")
}

fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir(to).expect("a directory");
    for file in files(from, "").iter().filter(|file| file.is_file()) {
        fs::copy(file, to.join(file.file_name().expect("a name"))).expect("a copy");
    }
}

/// Damage is told by name, with what to do; and when the files were put back, the server starts. The conformance of the
/// engine itself is tested beside it, with more kinds of damage.
#[tokio::test]
async fn damage_is_told_and_never_served_as_empty() {
    if Engine::chosen() != Engine::RocksDb {
        return;
    }
    let Some((place, server, alice)) = left().await else { return };
    let harms: [Harm; 4] = [
        (
            "CURRENT",
            |data| fs::remove_file(data.join("CURRENT")).expect("CURRENT"),
            ["CURRENT is missing", "olmstead restore"],
        ),
        (
            "log",
            |data| {
                let log = largest(data, ".log");
                let mut bytes = fs::read(&log).expect("the log");
                bytes[100] ^= 1;
                fs::write(log, bytes).expect("the log");
            },
            ["does not read at byte", "olmstead restore"],
        ),
        (
            "no log",
            |data| files(data, ".log").iter().for_each(|log| fs::remove_file(log).expect("a log")),
            ["its log is missing", "olmstead restore"],
        ),
        (
            "all but its name",
            |data| {
                let other = |file: &&PathBuf| file.is_file() && !file.ends_with("place");
                files(data, "").iter().filter(other).for_each(|file| fs::remove_file(file).expect("a file"));
            },
            ["such as place", "olmstead restore"],
        ),
    ];
    let path = data(&place);
    let aside = path.with_extension("aside");
    fs::rename(&path, &aside).expect("room");
    for (what, harm, words) in harms {
        copy(&aside, &path);
        harm(&path);
        for _ in 0..2 {
            refused(&place, Special::default(), &[&words[..], &[path.to_str().expect("a path")]].concat()).await;
        }
        eprintln!("told: {what}");
    }
    fs::remove_dir_all(&path).expect("what was harmed");
    fs::rename(&aside, &path).expect("what was left");
    server.restart().await;
    assert!(is_kept(&alice, "kept").await);
}

/// A store of another server, and an empty place where a store is expected.
#[tokio::test]
async fn another_name_and_an_empty_place_are_told() {
    let Some((place, server, alice)) = left().await else { return };
    let other = Special { settings: vec![("OLMSTEAD_SERVER_NAME", "other.example".to_owned())], ..Special::default() };
    refused(&place, other, &["\"localhost\"", "\"other.example\""]).await;
    let never = || Special { settings: vec![("OLMSTEAD_STORAGE__CREATE", "false".to_owned())], ..Special::default() };
    let empty = self::place().await;
    refused(&empty, never(), &["storage.create"]).await;
    server.restart().await;
    assert!(is_kept(&alice, "kept").await);
    server.kill().await;
    let Some(again) = Server::special_process(place, never()).await else { return };
    assert!(is_kept(&alice.via(&again), "kept").await, "what is there needs not be made");
    in_place(move || drop(empty)).await;
}

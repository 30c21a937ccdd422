//! What is not restored, and what a refusal leaves.

use std::{fs, path::Path};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Client, Engine, Server};

/// Changes the manifest of a backup.
fn set(backup: &Path, key: &str, value: Value) {
    let path = backup.join("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    manifest[key] = value;
    fs::write(&path, manifest.to_string()).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (from, to) = {
            let entry = entry.unwrap();
            (entry.path(), to.join(entry.file_name()))
        };
        if from.is_dir() { copy(&from, &to) } else { fs::copy(&from, &to).map(drop).unwrap() }
    }
}

/// The largest file of a backup, which is one of data.
fn data(backup: &Path) -> std::path::PathBuf {
    let manifest: Value = serde_json::from_slice(&fs::read(backup.join("manifest.json")).unwrap()).unwrap();
    let files = manifest["files"].as_array().unwrap();
    let largest = files.iter().max_by_key(|file| file["size"].as_u64()).unwrap();
    backup.join(largest["path"].as_str().unwrap())
}

async fn refused(server: &Server, command: &str, backup: &Path, settings: &[(&str, &str)], why: &str) {
    let ended = server.run(command, backup, settings).await;
    assert!(!ended.success && ended.stderr.contains(why), "{command}, expected \"{why}\": {ended:?}");
    assert!(!ended.stderr.contains("panicked"), "{ended:?}");
}

async fn kept(alice: &Client) -> u16 {
    alice.get(crate::harness::at!("/user/{}/account_data/kept", alice.user_id())).await.status
}

/// Whatever is refused, the store stays as it is.
#[tokio::test]
async fn what_does_not_fit_is_refused_and_the_store_stays() {
    let Some(server) = Server::process().await else { return };
    let alice = server.user("alice").await;
    let place = TempDir::new().unwrap();
    let backup = place.path().join("backup");
    server.backup(&backup).await;
    alice.put(crate::harness::at!("/user/{}/account_data/kept", alice.user_id()), json!({})).await.ok();
    refused(&server, "backup", &backup, &[], "is there already").await;
    fs::create_dir(place.path().join("other.unfinished")).unwrap();
    refused(&server, "backup", &place.path().join("other"), &[], "another backup").await;
    assert!(!place.path().join("other").exists());

    let while_running = match Engine::chosen() {
        Engine::RocksDb => "already open",
        Engine::Postgres => "stop all nodes first",
    };
    refused(&server, "restore", &backup, &[], while_running).await;
    assert_eq!(kept(&alice).await, 200, "the server serves on");
    server.kill().await;

    refused(&server, "restore", &place.path().join("nothing"), &[], "no backup").await;
    refused(&server, "restore", &backup, &[("OLMSTEAD_SERVER_NAME", "other.example")], "of the server localhost").await;
    type Damage<'a> = (&'a str, &'a dyn Fn(&Path), &'a str);
    let damage: [Damage<'_>; 7] = [
        ("unfinished", &|backup| fs::remove_file(backup.join("manifest.json")).unwrap(), "no backup"),
        ("form", &|backup| set(backup, "format", json!(99)), "a newer version"),
        ("schema", &|backup| set(backup, "schema", json!(99)), "a newer version"),
        ("outside", &|backup| set(backup, "files", json!([{"path": "../x", "size": 0, "sha256": ""}])), "damaged"),
        (
            "engine",
            &|backup| {
                let other = if Engine::chosen() == Engine::RocksDb { "postgres" } else { "rocksdb" };
                set(backup, "engine", json!(other));
            },
            "of the engine",
        ),
        (
            "changed",
            &|backup| {
                let mut bytes = fs::read(data(backup)).unwrap();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                fs::write(data(backup), bytes).unwrap();
            },
            "damaged",
        ),
        ("missing", &|backup| fs::remove_file(data(backup)).unwrap(), "damaged"),
    ];
    for (name, harm, why) in damage {
        let harmed = place.path().join(name);
        copy(&backup, &harmed);
        harm(&harmed);
        refused(&server, "restore", &harmed, &[], why).await;
    }
    server.restart().await;
    assert_eq!(kept(&alice).await, 200, "what was written after the backup is there");

    // And what fits is restored, with what was there put aside; also one that was made while no server ran.
    server.kill().await;
    let cold = place.path().join("cold");
    server.backup(&cold).await;
    let ended = server.run("restore", &backup, &[]).await;
    assert!(ended.success && ended.stdout.contains("before") && ended.stdout.contains("restore"), "{ended:?}");
    server.restart().await;
    assert_eq!(kept(&alice).await, 404, "as it was when the backup was made");
    server.go_back_to(&cold).await;
    assert_eq!(kept(&alice).await, 200);
}

/// Without the programs of PostgreSQL the message says what to install; and no password is on a command line.
#[tokio::test]
async fn a_missing_or_old_pg_dump_is_named() {
    if Engine::chosen() != Engine::Postgres {
        return;
    }
    let Some(server) = Server::process().await else { return };
    let place = TempDir::new().unwrap();
    let nothing = place.path().join("bin");
    fs::create_dir(&nothing).unwrap();
    let path = nothing.to_str().unwrap();
    let backup = place.path().join("backup");
    refused(&server, "backup", &backup, &[("PATH", path)], "install PostgreSQL's client programs").await;
    let old = nothing.join("pg_dump");
    fs::write(&old, "#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.1'\n").unwrap();
    fs::set_permissions(&old, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    refused(&server, "backup", &backup, &[("PATH", path)], "version 9").await;
    assert!(!backup.exists() && !place.path().join("backup.unfinished").exists());
}

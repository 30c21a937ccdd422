//! A disk that does not bring the log to disk.

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use olmstead_rocksdb::{Disk, Options, RealDisk, RocksStore, Space};
use olmstead_storage::SharedStorage;
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};

use super::{is_kept, keep, says_to_try_again};
use crate::harness::{Server, deadline, in_place, within};

#[derive(Debug, Default)]
struct Failing(AtomicBool);

impl Disk for Failing {
    fn space(&self, directory: &Path) -> io::Result<Space> {
        RealDisk.space(directory)
    }

    fn synced(&self) -> io::Result<()> {
        if self.0.load(Ordering::SeqCst) { Err(io::Error::other("bad blocks")) } else { Ok(()) }
    }
}

async fn store(directory: &TempDir, disk: &Arc<Failing>) -> SharedStorage {
    let (path, disk) = (directory.path().to_owned(), Arc::clone(disk));
    in_place(move || RocksStore::open(&path, Options { disk, ..Options::default() }).expect("a store")).await
}

async fn build(store: SharedStorage) -> olmstead::Server {
    olmstead::Server::builder("localhost")
        .without_limits()
        .open_registration()
        .storage(store)
        .build()
        .await
        .expect("a server")
}

/// What is served by the whole server, which ends when its store failed.
async fn serve(store: SharedStorage) -> (Server, JoinHandle<Result<(), olmstead::ServerError>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let serving = tokio::spawn(build(store).await.serve(listener, std::future::pending()));
    (Server::at(&base), serving)
}

/// A sync that failed and then succeeds has lost what it says is there. So after the first failure nothing is answered
/// with success, whatever the disk says later, and the server ends; opened anew, all that was answered is there.
#[tokio::test]
async fn a_failed_sync_ends_the_server_and_loses_nothing() {
    let (directory, disk) = (TempDir::new().expect("a directory"), Arc::new(Failing::default()));
    let (server, serving) = serve(store(&directory, &disk).await).await;
    let alice = server.user("alice").await;
    for n in 0..20 {
        keep(&alice, &format!("before {n}")).await.ok();
    }
    disk.0.store(true, Ordering::SeqCst);
    says_to_try_again(&keep(&alice, "meanwhile").await);
    disk.0.store(false, Ordering::SeqCst);
    let ended = within("the end of the server", deadline(), serving).await.expect("no panic");
    match ended {
        Err(olmstead::ServerError::StoreFailed(how)) => assert!(how.contains("bad blocks"), "{how}"),
        other => panic!("{other:?}"),
    }
    let (server, _serving) = serve(store(&directory, &disk).await).await;
    let alice = alice.via(&server);
    for n in 0..20 {
        assert!(is_kept(&alice, &format!("before {n}")).await, "{n}");
    }
    keep(&alice, "after").await.ok();
}

/// Where an embedder serves on, each write is refused, and `GET /health` says so.
#[tokio::test]
async fn who_serves_on_after_a_failed_sync_refuses_writes() {
    let (directory, disk) = (TempDir::new().expect("a directory"), Arc::new(Failing::default()));
    let whole = build(store(&directory, &disk).await).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let server = Server::at(&format!("http://{}", listener.local_addr().expect("an address")));
    let router = whole.router();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let alice = server.user("alice").await;
    keep(&alice, "before").await.ok();
    assert_eq!(server.anonymous().get("/health").await.status, 200);
    disk.0.store(true, Ordering::SeqCst);
    says_to_try_again(&keep(&alice, "meanwhile").await);
    disk.0.store(false, Ordering::SeqCst);
    for n in 0..3 {
        says_to_try_again(&keep(&alice, &format!("after {n}")).await);
    }
    assert_eq!(server.anonymous().get("/health").await.status, 503);
    assert!(is_kept(&alice, "before").await && !is_kept(&alice, "after 0").await);
    let _ = whole.stop().await;
}

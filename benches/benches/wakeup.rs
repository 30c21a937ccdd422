//! How long a to-device message takes from the `PUT` to the answer of the recipient's waiting `/sync`, the `PUT`
//! included: on one node of each engine, and from one node to another on one PostgreSQL.
//!
//! Requests go to the routers themselves, without TCP. `cargo xtask bench --bench wakeup` runs it; what is measured on
//! PostgreSQL needs the URL of one in `OLMSTEAD_TEST_POSTGRES`, and is worth something if the log of that one is synced.

#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    env,
    str::FromStr as _,
    time::{Duration, Instant},
};

use axum::{Router, body::Body, http::Request};
use olmstead::Server;
use olmstead_storage::SharedStorage;
use serde_json::{Value, json};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection, postgres::PgConnectOptions,
};
use tokio::sync::oneshot;
use tower::ServiceExt as _;

const WARM_UP: usize = 20;
const ROUNDS: usize = 500;

async fn call(router: &Router, method: &str, path: &str, token: &str, body: &Value) -> Value {
    let request = Request::builder()
        .method(method)
        .uri(format!("/_matrix/client/v3/{path}"))
        .header("authorization", format!("Bearer {token}"))
        .body(Body::from(body.to_string()))
        .unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    assert!(status.is_success(), "{method} {path}: {status} {}", String::from_utf8_lossy(&body));
    serde_json::from_slice(&body).unwrap()
}

async fn server(storage: SharedStorage) -> Server {
    Server::builder("bench.example").storage(storage).open_registration().without_limits().build().await.unwrap()
}

async fn register(router: &Router, name: &str) -> (String, String) {
    let body =
        json!({"username": name, "password": "wonder-land-7", "device_id": "D", "auth": {"type": "m.login.dummy"}});
    let account = call(router, "POST", "register", "", &body).await;
    (account["user_id"].as_str().unwrap().to_owned(), account["access_token"].as_str().unwrap().to_owned())
}

/// Times of each round, in order of length.
async fn measure(sender: &Router, receiver: &Router) -> Vec<Duration> {
    let (_, sends) = register(sender, "sender").await;
    let (user, receives) = register(receiver, "receiver").await;
    let first = call(receiver, "GET", "sync?timeout=0", &receives, &json!({})).await;
    let mut since = first["next_batch"].as_str().unwrap().to_owned();
    let mut times = Vec::with_capacity(ROUNDS);
    for round in 0..WARM_UP + ROUNDS {
        let (told, answered) = oneshot::channel();
        let (router, token, from) = (receiver.clone(), receives.clone(), since.clone());
        tokio::spawn(async move {
            let path = format!("sync?timeout=30000&since={from}");
            let answer = call(&router, "GET", &path, &token, &json!({})).await;
            told.send((Instant::now(), answer)).unwrap();
        });
        // Let it begin to wait.
        tokio::time::sleep(Duration::from_millis(15)).await;
        let begun = Instant::now();
        let path = format!("sendToDevice/m.dummy/{round}");
        let body = json!({"messages": {user.as_str(): {"D": {"round": round}}}});
        call(sender, "PUT", &path, &sends, &body).await;
        let (woken, answer) = answered.await.unwrap();
        assert_eq!(answer["to_device"]["events"][0]["content"]["round"], round);
        since = answer["next_batch"].as_str().unwrap().to_owned();
        if round >= WARM_UP {
            times.push(woken - begun);
        }
    }
    times.sort_unstable();
    times
}

async fn run(address: &str, statement: String) {
    let mut connection = PgConnection::connect(address).await.unwrap();
    connection.execute(AssertSqlSafe(statement)).await.unwrap();
}

fn report(name: &str, times: &[Duration]) {
    let at = |part: usize| times[(times.len() - 1) * part / 100].as_secs_f64() * 1_000.0;
    println!("{name:<32} p50 {:>7.2} ms   p99 {:>7.2} ms", at(50), at(99));
}

#[tokio::main]
async fn main() {
    let directory = tempfile::tempdir().unwrap();
    let store = olmstead_rocksdb::RocksStore::open(directory.path(), olmstead_rocksdb::Options::default()).unwrap();
    let rocks = server(store).await;
    report("rocksdb, one node", &measure(&rocks.router(), &rocks.router()).await);
    rocks.stop().await.unwrap();

    let Ok(address) = env::var("OLMSTEAD_TEST_POSTGRES") else {
        println!("OLMSTEAD_TEST_POSTGRES is not set: nothing is measured on PostgreSQL");
        return;
    };
    for (name, nodes) in [("postgres, one node", 1), ("postgres, from node to node", 2)] {
        let database = format!("olmstead_wakeup_{nodes}_{}", std::process::id());
        run(&address, format!("CREATE DATABASE {database}")).await;
        let url = PgConnectOptions::from_str(&address).unwrap().database(&database).to_url_lossy();
        let mut servers = Vec::new();
        for _ in 0..nodes {
            let store =
                olmstead_postgres::PostgresStore::open(url.as_str(), olmstead_postgres::Options::default()).await;
            servers.push(server(store.unwrap()).await);
        }
        let (first, last) = (servers.first().unwrap(), servers.last().unwrap());
        report(name, &measure(&first.router(), &last.router()).await);
        for server in servers {
            server.stop().await.unwrap();
        }
        run(&address, format!("DROP DATABASE {database} WITH (FORCE)")).await;
    }
}

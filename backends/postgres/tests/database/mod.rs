//! A database for one test.

use std::{
    env, process,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

/// The variable that names the server, by the URL of a database on it.
const SERVER: &str = "OLMSTEAD_TEST_POSTGRES";

/// An empty database. Dropping it drops the database, whoever is connected.
pub struct Database {
    server: String,
    name: String,
    url: String,
}

impl Database {
    /// Makes one.
    pub async fn create() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let server = env::var(SERVER).unwrap_or_else(|_| {
            panic!("{SERVER} is not set: run this test with `cargo xtask postgres -- cargo test …`")
        });
        let name = format!("olmstead_{}_{}", process::id(), NUMBER.fetch_add(1, Ordering::SeqCst));
        execute(&server, format!("CREATE DATABASE {name}")).await;
        let (base, query) = server.split_once('?').map_or((server.as_str(), ""), |(base, query)| (base, query));
        let root = base.rsplit_once('/').expect("a URL with a database").0;
        let url = if query.is_empty() { format!("{root}/{name}") } else { format!("{root}/{name}?{query}") };
        Self { server, name, url }
    }

    /// Runs a statement in it, beside the store.
    #[allow(dead_code)]
    pub async fn run(&self, statement: &'static str) {
        execute(&self.url, statement.to_owned()).await;
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, statement) = (self.server.clone(), format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        // The test's own runtime may be ending.
        let dropping = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(execute(&server, statement));
        });
        let _ = dropping.join();
    }
}

async fn execute(server: &str, statement: String) {
    let mut connection = PgConnection::connect(server).await.expect("the test server answers");
    connection.execute(AssertSqlSafe(statement)).await.expect("the statement runs");
    connection.close().await.expect("the connection closes");
}

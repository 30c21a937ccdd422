//! A server with an admin address, whose store and clock are the test's, and the commands that ask it.

use std::{
    process::{Command, Stdio},
    sync::Arc,
};

use olmstead::OperatorToken;
use olmstead_storage::SharedStorage;
use serde_json::Value;
use tokio::{net::TcpListener, sync::oneshot};

use crate::harness::{Clock, Engine, Place, Server, deadline, in_place, within};

/// The operator's token.
pub(super) const TOKEN: &str = "the-token-of-the-operator-of-the-tests";
/// The operator's name.
pub(super) const OPERATOR: &str = "olga";

/// A running server. It ends with the test's runtime.
pub(super) struct Managed {
    pub(super) server: Server,
    pub(super) storage: SharedStorage,
    pub(super) clock: Arc<Clock>,
    pub(super) admin: String,
    _stop: oneshot::Sender<()>,
    _place: Arc<Place>,
}

/// What a command did.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) code: Option<i32>,
    pub(super) out: String,
    pub(super) err: String,
}

impl Ran {
    /// What it said, if all was well.
    #[track_caller]
    pub(super) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    /// What it said on standard error, if it was not.
    #[track_caller]
    pub(super) fn failed(self) -> String {
        assert_eq!(self.code, Some(1), "{self:?}");
        self.err
    }
}

impl Managed {
    /// `None`, and a line on standard error, when the tests run against a server elsewhere.
    pub(super) async fn start() -> Option<Self> {
        if std::env::var("BLACKBOX_URL").is_ok() {
            eprintln!("left out: the server at BLACKBOX_URL has its own operators");
            return None;
        }
        let place = in_place(|| Arc::new(Place::new(Engine::chosen()))).await;
        let (storage, clock) = (place.open(None).await, Arc::<Clock>::default());
        let built = olmstead::Server::builder("localhost")
            .storage(storage.clone())
            .open_registration()
            .environment(clock.clone())
            .without_limits()
            .build();
        let server = built.await.expect("a server");
        let operators = [OperatorToken { name: OPERATOR.to_owned(), token: TOKEN.to_owned().into() }];
        let (for_clients, for_operators) = (listener().await, listener().await);
        let [base, admin] = [&for_clients, &for_operators]
            .map(|listener| format!("http://{}", listener.local_addr().expect("an address")));
        let api = server.admin_router(&operators);
        tokio::spawn(async move { axum::serve(for_operators, api).await.expect("an admin address") });
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(server.serve(for_clients, async move {
            let _ = stopped.await;
        }));
        Some(Self { server: Server::at(&base), storage, clock, admin, _stop: stop, _place: place })
    }

    /// Runs the binary with these arguments.
    pub(super) async fn run(&self, arguments: &[&str]) -> Ran {
        run(arguments, &[("OLMSTEAD_ADMIN_URL", &self.admin), ("OLMSTEAD_ADMIN_TOKEN", TOKEN)]).await
    }

    /// What a command prints with `--json`.
    pub(super) async fn json(&self, command: &str, arguments: &[&str]) -> Value {
        let all: Vec<&str> = [command, "--json"].into_iter().chain(arguments.iter().copied()).collect();
        let ran = self.run(&all).await;
        serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
    }
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a port")
}

/// Runs the binary with these arguments and variables.
pub(super) async fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_olmstead"));
    command.args(arguments).envs(variables.iter().copied()).stdin(Stdio::null());
    let output = in_place(move || command.output().expect("the binary runs"));
    let output = within(&format!("{arguments:?}"), deadline(), output).await;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

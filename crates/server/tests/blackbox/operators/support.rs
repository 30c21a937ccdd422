//! A server with an admin address, whose store and clock are the test's, and the commands that ask it.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    sync::Arc,
};

use olmstead::{OperatorToken, ServerBuilder};
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
        Self::start_with(olmstead::ServerBuilder::open_registration).await
    }

    /// The same with a setting of its own.
    pub(super) async fn start_with(setting: fn(ServerBuilder) -> ServerBuilder) -> Option<Self> {
        if std::env::var("BLACKBOX_URL").is_ok() {
            eprintln!("left out: the server at BLACKBOX_URL has its own operators");
            return None;
        }
        let place = in_place(|| Arc::new(Place::new(Engine::chosen()))).await;
        let (storage, clock) = (place.open(None).await, Arc::<Clock>::default());
        let built = setting(olmstead::Server::builder("localhost"))
            .storage(storage.clone())
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

    /// Runs the binary with these arguments and this on its standard input.
    pub(super) async fn run_with(&self, arguments: &[&str], input: &'static str) -> Ran {
        let variables = [("OLMSTEAD_ADMIN_URL", self.admin.as_str()), ("OLMSTEAD_ADMIN_TOKEN", TOKEN)];
        run_with(arguments, &variables, Some(input)).await
    }

    /// Asks the API as the operator: status and answer.
    pub(super) async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let method: reqwest::Method = method.parse().expect("a method");
        let url = format!("{}/_olmstead/admin/v1{path}", self.admin);
        let mut request = reqwest::Client::new().request(method, url).bearer_auth(TOKEN);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.expect("an answer");
        let status = response.status().as_u16();
        (status, response.json().await.expect("JSON"))
    }

    /// What operators did, oldest first: action and target.
    pub(super) async fn record(&self) -> Vec<(String, String)> {
        let (status, answer) = self.ask("GET", "/audit", None).await;
        assert_eq!(status, 200, "{answer}");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let entries = answer["entries"].as_array().expect("entries").iter().rev();
        entries.map(|entry| (text(&entry["action"]), text(&entry["target"]))).collect()
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
    run_with(arguments, variables, None).await
}

async fn run_with(arguments: &[&str], variables: &[(&str, &str)], input: Option<&'static str>) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_olmstead"));
    command.args(arguments).envs(variables.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = in_place(move || {
        let mut child = command.spawn().expect("the binary runs");
        let mut stdin = child.stdin.take().expect("its standard input");
        // It may have ended without reading.
        let _ = stdin.write_all(input.unwrap_or_default().as_bytes());
        drop(stdin);
        child.wait_with_output().expect("the binary ends")
    });
    let output = within(&format!("{arguments:?}"), deadline(), output).await;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

//! The files in `deploy/`, with what reads them in earnest, where the machine has it.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::json;

use crate::harness::{Client, Engine, Place, Server, deadline, within};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(file(name)).unwrap_or_else(|error| panic!("deploy/{name}: {error}"))
}

/// Whether a program can be started; a line on standard error if not.
fn is_here(program: &str, argument: &str) -> bool {
    let here = Command::new(program).arg(argument).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !here {
        eprintln!("left out: there is no {program} on this machine");
    }
    here
}

/// A program that ends with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").to_string()
}

/// Waits until something answers there.
async fn until_it_serves(server: &Server, path: &str) {
    let http = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
    let url = format!("{}{path}", server.base());
    let mut again = tokio::time::interval(Duration::from_millis(20));
    let serves = async {
        loop {
            again.tick().await;
            if http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
        }
    };
    within("it serves", deadline() * 3, serves).await;
}

/// Nodes behind HAProxy: a client that knows of no node goes on while one is killed and another stops as asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn haproxy_gives_requests_to_the_nodes_that_are_there() {
    if !is_here("haproxy", "-v") {
        return;
    }
    let Some(nodes) = Server::nodes(3).await else { return };
    let address = free_address();
    let mut config = text("haproxy.cfg").replace("127.0.0.1:8448", &address);
    for node in 0..3 {
        let placeholder = format!("10.0.0.{}:8008", 11 + node);
        assert!(config.contains(&placeholder), "{placeholder} is in the file");
        config = config.replace(&placeholder, nodes.node(node).base().trim_start_matches("http://"));
    }
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("haproxy.cfg");
    fs::write(&path, config).expect("a file");
    let haproxy = Command::new("haproxy").arg("-db").arg("-f").arg(&path).stdout(Stdio::null()).spawn();
    let _haproxy = Running(haproxy.expect("haproxy starts"));
    let server = Server::at(&format!("http://{address}"));
    until_it_serves(&server, "/_matrix/client/versions").await;

    let alice = server.user("alice").await;
    let bob = server.user("bob").await;
    let mut sync = bob.syncing();
    sync.now().await;
    let send = async |n: usize| {
        let messages = json!({bob.user_id(): {bob.device_id(): {"n": n}}});
        // Idempotent by its transaction id, so a request whose node was killed is sent again, as clients do.
        let path = format!("/sendToDevice/io.example.n/{n}");
        while alice.put(path.as_str(), json!({"messages": messages})).await.status != 200 {}
    };
    for n in 0..10 {
        send(n).await;
    }
    nodes.kill_node(1).await;
    for n in 10..20 {
        send(n).await;
    }
    nodes.restart_node(1).await;
    for n in 20..30 {
        send(n).await;
    }
    let mut came = Vec::new();
    while came.len() < 30 {
        let events = crate::harness::to_device(&sync.step(deadline()).await);
        came.extend(events.iter().filter_map(|event| event["content"]["n"].as_u64()));
    }
    assert!(came.iter().copied().eq(0..30), "each once and in order: {came:?}");
}

/// The configuration of a node serves, and SIGTERM ends it well, as the unit expects.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_configuration_of_a_node_serves_and_stops() {
    if Engine::chosen() != Engine::Postgres || std::env::var("BLACKBOX_URL").is_ok() {
        eprintln!("left out: it is for nodes on postgres");
        return;
    }
    let place = Place::new(Engine::Postgres);
    let address = free_address();
    let mut command = Command::new(env!("CARGO_BIN_EXE_olmstead"));
    command.args(["serve", "--config"]).arg(file("olmstead.toml")).envs(place.settings());
    command.env("OLMSTEAD_LISTEN", format!("[\"{address}\"]")).env("OLMSTEAD_DRAIN_SECONDS", "0");
    let child = command.env("OLMSTEAD_LOG__FILTER", "warn").stdout(Stdio::null()).spawn();
    let mut node = Running(child.expect("the node starts"));
    let server = Server::at(&format!("http://{address}"));
    until_it_serves(&server, "/health").await;
    let asked = Command::new("kill").arg("-TERM").arg(node.0.id().to_string()).status().expect("kill");
    assert!(asked.success());
    let ended = tokio::task::spawn_blocking(move || node.0.wait().expect("a status"));
    let ended = within("the node ends", deadline(), ended).await.expect("the node ends");
    assert!(ended.success(), "{ended}");
}

/// systemd finds nothing to object to in the unit.
#[test]
fn systemd_accepts_the_unit() {
    if !is_here("systemd-analyze", "--version") {
        return;
    }
    let unit = text("olmstead.service");
    assert!(unit.contains("/usr/local/bin/olmstead serve --config /etc/olmstead/olmstead.toml"));
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("olmstead.service");
    fs::write(&path, unit.replace("/usr/local/bin/olmstead", env!("CARGO_BIN_EXE_olmstead"))).expect("a file");
    let output = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&path).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    // It also looks at other units of the machine.
    let about_ours: Vec<&str> = said.lines().filter(|line| line.contains("olmstead")).collect();
    assert!(about_ours.is_empty(), "{about_ours:?}");
}

/// The image is built from what the project has. Building it takes a container engine and registry of its own.
#[test]
fn the_containerfile_names_what_is_there() {
    let containerfile = text("Containerfile").replace("\\\n", " ");
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).expect("a manifest");
    let instructions =
        ["ARG", "CMD", "COPY", "ENTRYPOINT", "EXPOSE", "FROM", "HEALTHCHECK", "RUN", "STOPSIGNAL", "USER", "WORKDIR"];
    let mut features = None;
    for line in containerfile.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (instruction, rest) = line.split_once(' ').expect("an instruction with arguments");
        assert!(instructions.contains(&instruction), "{line}");
        features = features.or(rest.strip_prefix("FEATURES="));
    }
    for feature in features.expect("the features to build with").split(',') {
        assert!(manifest.contains(&format!("\n{feature} = [")), "the feature {feature}");
    }
    assert!(containerfile.contains(r#"ENTRYPOINT ["/usr/local/bin/olmstead"]"#));
}

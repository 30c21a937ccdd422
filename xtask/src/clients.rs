//! The client flows: clients nobody here wrote, against the built server.

use std::time::Duration;

use crate::Failure;
use crate::env::root;
use crate::process::{Running, build_olmstead, check, command, describe, olmstead_binary};
use crate::server::{Data, Scratch, Server};
use crate::setup;

/// For all the flows together.
const FLOWS: Duration = Duration::from_secs(30 * 60);

/// Where they are.
const CLIENTS: &str = "tests/clients/js";

/// Builds the server and fetches what the clients need.
pub(crate) fn prepare() -> Result<(), Failure> {
    let mut build = build_olmstead(false)?;
    println!("$ {}", describe(&build));
    check(&mut build)?;
    fetch()
}

/// Whether what the clients need was fetched.
pub(crate) fn are_there() -> bool {
    root().join(CLIENTS).join("node_modules").is_dir()
}

/// Fetches what the clients need.
pub(crate) fn fetch() -> Result<(), Failure> {
    let mut npm = command("npm");
    npm.args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(root().join(CLIENTS));
    println!("$ {} (in {CLIENTS})", describe(&npm));
    check(&mut npm)
}

/// Runs the flows of matrix-js-sdk on a server with this data.
pub(crate) fn run(data: &Data, filter: Option<&str>) -> Result<(), Failure> {
    let scratch = Scratch::new("clients")?;
    let result = flows(data, filter, &scratch);
    if result.is_err() {
        scratch.show_log();
    }
    result
}

fn flows(data: &Data, filter: Option<&str>, scratch: &Scratch) -> Result<(), Failure> {
    let server = Server::start(&olmstead_binary(false), data, scratch)?;
    let mut node = command(setup::node().ok_or("there is no Node to run the flows on")?);
    node.arg(format!("{CLIENTS}/run.mjs")).args(["--url", &server.url()]);
    if let Some(filter) = filter {
        node.args(["--only", filter]);
    }
    println!("$ {}", describe(&node));
    let status = Running::start(&mut node)?.wait(FLOWS).map_err(|failure| format!("the flows are {failure}"))?;
    let stopped = server.stop();
    if !status.success() {
        return Err(format!("a flow failed ({status})"));
    }
    stopped
}

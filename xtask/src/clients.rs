//! The client flows: clients nobody here wrote, against the built server.

use std::env;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::env::root;
use crate::process::{POLL, Running, build_olmstead, check, command, describe, olmstead_binary};
use crate::setup;

/// For the server to answer its first health check.
const START: Duration = Duration::from_secs(60);
/// For all the flows together.
const FLOWS: Duration = Duration::from_secs(30 * 60);
/// For the server to end after SIGTERM.
const STOP: Duration = Duration::from_secs(30);
/// Lines of the server's log shown after a failure.
const LOG_LINES: usize = 60;

/// Runs the flows of matrix-js-sdk.
pub(crate) fn run(engine: &str, filter: Option<&str>) -> Result<(), Failure> {
    let mut build = build_olmstead(false)?;
    println!("$ {}", describe(&build));
    check(&mut build)?;
    let mut npm = command("npm");
    npm.args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(root().join("tests/clients/js"));
    println!("$ {} (in tests/clients/js)", describe(&npm));
    check(&mut npm)?;

    let scratch = Scratch::new()?;
    let log = scratch.0.join("server.log");
    let result = flows(engine, filter, &scratch.0, &log);
    if result.is_err() {
        let text = fs::read_to_string(&log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let tail = &lines[lines.len().saturating_sub(LOG_LINES)..];
        println!("--- the end of the server's log ---\n{}\n---", tail.join("\n"));
    }
    result
}

fn flows(engine: &str, filter: Option<&str>, scratch: &Path, log: &Path) -> Result<(), Failure> {
    let address = free_address()?;
    let mut server = start_server(engine, address, scratch, log)?;
    wait_until_healthy(&mut server, address)?;

    let mut node = command(setup::node().ok_or("there is no Node to run the flows on")?);
    node.args(["tests/clients/js/run.mjs", "--url", &format!("http://{address}")]);
    if let Some(filter) = filter {
        node.args(["--only", filter]);
    }
    println!("$ {}", describe(&node));
    let status = Running::start(&mut node)?.wait(FLOWS).map_err(|failure| format!("the flows are {failure}"))?;
    let alive = server.ended().is_none();

    let stopped = if alive { stop(&mut server) } else { Err("the server ended by itself".to_owned()) };
    if !status.success() {
        return Err(format!("a flow failed ({status})"));
    }
    stopped
}

fn start_server(engine: &str, address: SocketAddr, scratch: &Path, log: &Path) -> Result<Running, Failure> {
    let output = File::create(log).map_err(|e| format!("cannot write {}: {e}", log.display()))?;
    let errors = output.try_clone().map_err(|e| format!("cannot write {}: {e}", log.display()))?;
    let mut server: Command = command(olmstead_binary(false));
    // The developer's own settings are not under test.
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("OLMSTEAD_") {
            server.env_remove(&name);
        }
    }
    server
        .arg("serve")
        .env("OLMSTEAD_SERVER_NAME", "localhost")
        .env("OLMSTEAD_LISTEN", format!("[\"{address}\"]"))
        .env("OLMSTEAD_PUBLIC_BASE_URL", format!("http://{address}"))
        .env("OLMSTEAD_STORAGE__ENGINE", engine)
        .env("OLMSTEAD_STORAGE__PATH", scratch.join("data"))
        .env("OLMSTEAD_REGISTRATION__MODE", "open")
        .env("OLMSTEAD_LIMITS__ENABLED", "false")
        .stdout(output)
        .stderr(errors);
    Running::start(&mut server)
}

fn stop(server: &mut Running) -> Result<(), Failure> {
    server.terminate()?;
    let status = server.wait(STOP).map_err(|failure| format!("after SIGTERM the server is {failure}"))?;
    if status.success() {
        println!("the server stopped cleanly on SIGTERM");
        Ok(())
    } else {
        Err(format!("the server did not stop cleanly on SIGTERM ({status})"))
    }
}

/// A port that was free a moment ago.
fn free_address() -> Result<SocketAddr, Failure> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map_err(|e| format!("no free port: {e}"))
}

fn wait_until_healthy(server: &mut Running, address: SocketAddr) -> Result<(), Failure> {
    let deadline = Instant::now() + START;
    while !is_healthy(address) {
        if let Some(status) = server.ended() {
            return Err(format!("the server ended before it served ({status})"));
        }
        if Instant::now() >= deadline {
            return Err(format!("the server is not healthy after {} s", START.as_secs()));
        }
        thread::sleep(POLL);
    }
    Ok(())
}

/// Whether `GET /health` answers 200.
fn is_healthy(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(&status == b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}

/// A directory that goes away with this value.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, Failure> {
        let path = env::temp_dir().join(format!("olmstead-clients-{}", std::process::id()));
        fs::create_dir_all(&path).map_err(|e| format!("cannot make {}: {e}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left is in the system's directory for such things.
        let _ = fs::remove_dir_all(&self.0);
    }
}

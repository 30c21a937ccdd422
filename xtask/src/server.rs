//! The built server, run for a test.

use std::env;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use olmstead_postgres_cluster::Database;

use crate::Failure;
use crate::process::{Running, command};

/// For the server to answer its first health check.
const START: Duration = Duration::from_secs(60);
/// For the server to end after SIGTERM.
const STOP: Duration = Duration::from_secs(30);
/// Lines of the server's log shown after a failure.
const LOG_LINES: usize = 60;

/// Where the server keeps its data; it goes with this value.
pub(crate) enum Data {
    /// RocksDB's, a directory of the scratch.
    Directory,
    /// PostgreSQL's.
    Database(Database),
}

impl Data {
    /// A database in the cluster of this URL.
    ///
    /// # Errors
    /// If it cannot be created.
    pub(crate) fn database(cluster: &str) -> Result<Self, Failure> {
        Database::create(cluster, "xtask").map(Self::Database).map_err(|e| e.to_string())
    }
}

/// A running server.
pub(crate) struct Server {
    running: Running,
    address: SocketAddr,
}

impl Server {
    /// Starts it without limits and waits until it is healthy.
    ///
    /// # Errors
    /// If it does not start in time.
    pub(crate) fn start(binary: &Path, data: &Data, scratch: &Scratch) -> Result<Self, Failure> {
        Self::start_with(binary, data, scratch, &[("OLMSTEAD_LIMITS__ENABLED", "false")])
    }

    /// [`Server::start`] with these settings besides what it takes to run, and with all limits unless they say otherwise.
    ///
    /// # Errors
    /// If it does not start in time.
    pub(crate) fn start_with(
        binary: &Path,
        data: &Data,
        scratch: &Scratch,
        settings: &[(&str, &str)],
    ) -> Result<Self, Failure> {
        let address = free_address()?;
        let log = scratch.log();
        let output = File::create(&log).map_err(|e| format!("cannot write {}: {e}", log.display()))?;
        let errors = output.try_clone().map_err(|e| format!("cannot write {}: {e}", log.display()))?;
        let mut server = command(binary);
        // The developer's own settings are not under test.
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("OLMSTEAD_") {
                server.env_remove(&name);
            }
        }
        match data {
            Data::Directory => {
                server.env("OLMSTEAD_STORAGE__ENGINE", "rocksdb").env("OLMSTEAD_STORAGE__PATH", scratch.data())
            }
            Data::Database(database) => {
                server.env("OLMSTEAD_STORAGE__ENGINE", "postgres").env("OLMSTEAD_STORAGE__URL", database.url())
            }
        };
        server
            .arg("serve")
            .env("OLMSTEAD_SERVER_NAME", "localhost")
            .env("OLMSTEAD_LISTEN", format!("[\"{address}\"]"))
            .env("OLMSTEAD_PUBLIC_BASE_URL", format!("http://{address}"))
            .env("OLMSTEAD_REGISTRATION__MODE", "open")
            .envs(settings.iter().copied())
            .stdout(output)
            .stderr(errors);
        let mut running = Running::start(&mut server)?;
        running.wait_until("the server", START, || answers(address, "/health"))?;
        Ok(Self { running, address })
    }

    /// Its base URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The number of its process.
    pub(crate) fn process(&self) -> u32 {
        self.running.process()
    }

    /// Whether `GET path` answers 200.
    pub(crate) fn answers(&self, path: &str) -> bool {
        answers(self.address, path)
    }

    /// Stops it with SIGTERM.
    ///
    /// # Errors
    /// If it has ended before, or does not end well.
    pub(crate) fn stop(mut self) -> Result<(), Failure> {
        if self.running.ended().is_some() {
            return Err("the server ended by itself".to_owned());
        }
        self.running.terminate()?;
        let status = self.running.wait(STOP).map_err(|failure| format!("after SIGTERM the server is {failure}"))?;
        if status.success() {
            println!("the server stopped cleanly on SIGTERM");
            Ok(())
        } else {
            Err(format!("the server did not stop cleanly on SIGTERM ({status})"))
        }
    }
}

fn answers(address: SocketAddr, path: &str) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(&status == b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}

/// A port that was free a moment ago.
///
/// # Errors
/// If there is none.
pub(crate) fn free_address() -> Result<SocketAddr, Failure> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map_err(|e| format!("no free port: {e}"))
}

/// A directory that goes away with this value.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// # Errors
    /// If it cannot be made.
    pub(crate) fn new(name: &str) -> Result<Self, Failure> {
        let path = env::temp_dir().join(format!("olmstead-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).map_err(|e| format!("cannot make {}: {e}", path.display()))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Where the server keeps its files.
    pub(crate) fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    fn log(&self) -> PathBuf {
        self.0.join("server.log")
    }

    /// Prints the end of the server's log.
    pub(crate) fn show_log(&self) {
        let text = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let tail = &lines[lines.len().saturating_sub(LOG_LINES)..];
        println!("--- the end of the server's log ---\n{}\n---", tail.join("\n"));
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left is in the system's directory for such things.
        let _ = fs::remove_dir_all(&self.0);
    }
}

//! The server's process, and what a loss of power leaves of its files.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::{Break, Engine};

/// For a start on a store that was left in the middle of things.
const START: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(15);
/// RocksDB writes tables when it has so many bytes; few, so that it does so in lives of a second.
const WRITE_BUFFER: &str = "262144";

/// A server that can be killed.
pub(crate) struct Server {
    binary: PathBuf,
    directory: PathBuf,
    address: String,
    settings: Vec<(&'static str, String)>,
    child: Option<Child>,
}

impl Server {
    /// Not yet started. All its files are in the directory; the URL is that of PostgreSQL, where it uses that.
    pub(crate) fn new(binary: &Path, directory: &Path, database: Option<&str>) -> Result<Self, String> {
        let address = free_address()?;
        let text = |path: PathBuf| path.display().to_string();
        let mut settings = vec![
            ("OLMSTEAD_SERVER_NAME", "localhost".to_owned()),
            ("OLMSTEAD_LISTEN", format!("[\"{address}\"]")),
            ("OLMSTEAD_REGISTRATION__MODE", "open".to_owned()),
            ("OLMSTEAD_LIMITS__ENABLED", "false".to_owned()),
            ("OLMSTEAD_LOG__FILTER", "warn".to_owned()),
        ];
        match database {
            Some(url) => {
                settings.push(("OLMSTEAD_STORAGE__ENGINE", Engine::Postgres.name().to_owned()));
                settings.push(("OLMSTEAD_STORAGE__URL", url.to_owned()));
            }
            None => {
                settings.push(("OLMSTEAD_STORAGE__ENGINE", Engine::Rocksdb.name().to_owned()));
                settings.push(("OLMSTEAD_STORAGE__PATH", text(directory.join("data"))));
                settings.push(("DRILL_SYNCED_NOTE", text(directory.join("synced"))));
                settings.push(("DRILL_WRITE_BUFFER_BYTES", WRITE_BUFFER.to_owned()));
            }
        }
        let (binary, directory) = (binary.to_owned(), directory.to_owned());
        Ok(Self { binary, directory, address, settings, child: None })
    }

    /// From the next start on it has this fault.
    pub(crate) fn break_it(&mut self, broken: Option<Break>) {
        self.settings.extend(broken.map(|broken| ("DRILL_BREAK", broken.name().to_owned())));
    }

    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    fn log(&self) -> PathBuf {
        self.directory.join("log")
    }

    /// Starts the process and does not wait.
    pub(crate) fn spawn(&mut self) -> Result<(), String> {
        let failed = |error: io::Error| format!("the server cannot be started: {error}");
        let log = File::options().create(true).append(true).open(self.log()).map_err(failed)?;
        let mut command = Command::new(&self.binary);
        for (name, _) in std::env::vars_os() {
            // The developer's own settings are not under test.
            if name.to_string_lossy().starts_with("OLMSTEAD_") {
                command.env_remove(&name);
            }
        }
        command.arg("serve").current_dir(&self.directory).envs(self.settings.iter().map(|(name, value)| (name, value)));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        self.child = Some(child.map_err(failed)?);
        Ok(())
    }

    /// Waits until it takes requests: it listens before its store is open, so it is asked.
    pub(crate) async fn ready(&mut self) -> Result<(), String> {
        let began = Instant::now();
        loop {
            self.is_alive()?;
            let ask = reqwest::get(format!("{}/health", self.base()));
            if let Ok(Ok(answer)) = tokio::time::timeout(Duration::from_secs(5), ask).await
                && answer.status().is_success()
            {
                return Ok(());
            }
            if began.elapsed() > START {
                return Err(format!("the server does not serve after {} s\n{}", START.as_secs(), self.last_words()));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// # Errors
    /// If it ended by itself, with the end of its log.
    pub(crate) fn is_alive(&mut self) -> Result<(), String> {
        match self.child.as_mut().and_then(|child| child.try_wait().ok().flatten()) {
            Some(status) => Err(format!("the server ended by itself ({status})\n{}", self.last_words())),
            None => Ok(()),
        }
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) -> Result<(), String> {
        if let Some(mut child) = self.child.take() {
            child
                .kill()
                .and_then(|()| child.wait())
                .map_err(|error| format!("the server cannot be killed: {error}"))?;
        }
        Ok(())
    }

    /// SIGTERM, and waits for the end.
    pub(crate) fn stop(&mut self) -> Result<(), String> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let signal = Command::new("sh").args(["-c", "kill -TERM \"$1\"", "kill", &child.id().to_string()]).status();
        signal.and_then(|_| child.wait()).map(drop).map_err(|error| format!("the server cannot be stopped: {error}"))
    }

    /// Cuts the log files of RocksDB to what was synced; how many bytes that takes. The server must have been killed.
    pub(crate) fn lose_power(&self) -> Result<u64, String> {
        let note = fs::read_to_string(self.directory.join("synced")).unwrap_or_default();
        lose_power(&self.directory.join("data"), &note).map_err(|error| format!("what is not synced stays: {error}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing can be done about a process that cannot be killed.
        let _ = self.kill();
    }
}

fn lose_power(data: &Path, note: &str) -> io::Result<u64> {
    let synced: BTreeMap<&str, u64> = note
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(name, length)| Some((name, length.parse().ok()?)))
        .collect();
    let (mut logs, mut newest_table) = (BTreeMap::new(), 0);
    for entry in fs::read_dir(data)? {
        let path = entry?.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<u64>().ok());
        match (number, path.extension().and_then(|end| end.to_str())) {
            (Some(number), Some("log")) => drop(logs.insert(number, path)),
            (Some(number), Some("sst" | "blob")) => newest_table = newest_table.max(number),
            _ => {}
        }
    }
    let mut dropped = 0;
    let numbers: Vec<u64> = logs.keys().copied().collect();
    for (at, (_, path)) in logs.iter().enumerate() {
        // RocksDB syncs a log that it has closed before it writes tables with what is in it. Tables and logs are numbered
        // together, so a table above the next log says that this has happened.
        if numbers.get(at + 1).is_some_and(|next| *next < newest_table) {
            continue;
        }
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let kept = synced.get(name).copied().unwrap_or(0);
        let file = File::options().write(true).open(path)?;
        let length = file.metadata()?.len();
        if length > kept {
            file.set_len(kept)?;
            dropped += length - kept;
        }
    }
    Ok(dropped)
}

/// A free address, below the ports that the system gives to outgoing connections: while the server is down, a client that
/// tries again would otherwise now and then be given the server's own port, and be connected to itself.
fn free_address() -> Result<String, String> {
    let address = || format!("127.0.0.1:{}", rand::random_range(10_000..30_000));
    let is_free = |address: &String| TcpStream::connect(address).is_err() && TcpListener::bind(address).is_ok();
    (0..200).map(|_| address()).find(is_free).ok_or_else(|| "no free port was found".to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_of_power_leaves_what_was_synced() {
        let data = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: usize| fs::write(data.path().join(name), vec![1; bytes]).unwrap();
        let length = |name: &str| fs::metadata(data.path().join(name)).unwrap().len();
        write("000004.log", 100);
        write("000009.log", 100);
        write("000012.log", 100);
        write("000011.sst", 100);
        write("MANIFEST-000003", 100);
        // The first was closed before a table was written; the last is not in the note.
        let dropped = lose_power(data.path(), "000004.log 10\n000009.log 60\n").unwrap();
        assert_eq!((length("000004.log"), length("000009.log"), length("000012.log")), (100, 60, 0));
        assert_eq!((length("000011.sst"), length("MANIFEST-000003")), (100, 100));
        assert_eq!(dropped, 140);
        assert_eq!(lose_power(data.path(), "000009.log 60\n").unwrap(), 0);
    }
}

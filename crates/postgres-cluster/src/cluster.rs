//! One server and its life.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
};

use crate::{
    ClusterError,
    binaries::Binaries,
    home::{self, Home},
    settings::postgresql_conf,
    user::program,
};

/// The superuser that every URL names.
const SUPERUSER: &str = "postgres";
/// PostgreSQL's own; the name of the socket has it.
const PORT: u16 = 5432;
/// Seconds for a start or a stop, on a machine that has much else to do.
const PATIENCE: &str = "120";
/// The end of the log that an error shows, in lines.
const LOG_LINES: usize = 30;

/// Waits for the end of its input, then stops the server and deletes its directory. Arguments: pg_ctl, the data, the
/// mode of stopping, the directory.
const KEEPER: &str = r#"read -r ended; "$1" stop -s -m "$3" -t 120 -D "$2" >/dev/null 2>&1; cd /; rm -rf "$4""#;

/// How a cluster is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whether data outlives a crash of the machine (`fsync`); it outlives one of the server in any case.
    pub durable: bool,
    /// Listens on a free port of 127.0.0.1 too, for clients that have no unix sockets; all users of the machine get in.
    pub tcp: bool,
    /// Keeps the data in this directory, which is made if it is not there. Otherwise it goes with the cluster.
    pub data: Option<PathBuf>,
    /// How many connections there may be at once.
    pub max_connections: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { durable: false, tcp: false, data: None, max_connections: 300 }
    }
}

/// How a server is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// Transactions are rolled back, connections closed, everything is written.
    Fast,
    /// As at a crash: all processes abort at once, and the next start recovers from the log.
    Immediate,
}

impl Shutdown {
    fn mode(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Immediate => "immediate",
        }
    }
}

/// A running server. It is stopped when this value is dropped or this process ends, however it ends.
#[derive(Debug)]
pub struct Cluster {
    binaries: Binaries,
    home: Home,
    data: PathBuf,
    port: u16,
    tcp: bool,
    keeper: Keeper,
}

impl Cluster {
    /// Creates a cluster, or takes the one in [`Options::data`], and starts it. Stops what earlier runs left first.
    ///
    /// # Errors
    /// See [`ClusterError`]; when the server does not start, the error has the end of its log.
    pub fn start(options: &Options) -> Result<Self, ClusterError> {
        let binaries = Binaries::find()?;
        let port = if options.tcp { free_port().map_err(|e| ClusterError::File("127.0.0.1".into(), e))? } else { PORT };
        home::sweep(&binaries);
        let (home, lock) = Home::create()?;
        let data = home.data(options.data.as_deref()).inspect_err(|_| home.remove())?;
        if is_running(&binaries, &home, &data) {
            home.remove();
            return Err(ClusterError::InUse(data));
        }
        // From here on the directory goes away, whatever happens.
        let mode = if options.data.is_some() { Shutdown::Fast } else { Shutdown::Immediate };
        let mut keeper = program("sh", home.user());
        keeper.args(["-c", KEEPER, "sh"]).arg(binaries.path("pg_ctl")).arg(&data).arg(mode.mode()).arg(home.path());
        // In a process group of its own: a Ctrl-C in the terminal is not for it. It holds the lock as its output.
        keeper.current_dir(home.path()).process_group(0).stdin(Stdio::piped()).stdout(lock).stderr(Stdio::null());
        let keeper = keeper.spawn().inspect_err(|_| home.remove());
        let keeper = Keeper(keeper.map_err(|e| ClusterError::Program("sh".into(), e))?);
        let cluster = Self { binaries, home, data, port, tcp: options.tcp, keeper };
        if !cluster.data.join("PG_VERSION").exists() {
            cluster.create(options)?;
        }
        let settings = cluster.data.join("postgresql.conf");
        fs::write(&settings, postgresql_conf(options, cluster.home.path(), port))
            .map_err(|e| ClusterError::File(settings, e))?;
        cluster.up()?;
        Ok(cluster)
    }

    fn create(&self, options: &Options) -> Result<(), ClusterError> {
        let mut initdb = self.program("initdb");
        initdb.args(["--auth=trust", "--encoding=UTF8", "--locale=C", "--username", SUPERUSER]);
        initdb.args((!options.durable).then_some("--no-sync")).arg("-D").arg(&self.data);
        self.run(initdb, "create a cluster")
    }

    /// The URL of a database, for the superuser: over the unix socket.
    pub fn url(&self, database: &str) -> String {
        let sockets = self.home.path().display();
        let port = if self.port == PORT { String::new() } else { format!("&port={}", self.port) };
        format!("postgres://{SUPERUSER}@localhost/{database}?host={sockets}{port}")
    }

    /// The URL of a database over TCP, where [`Options::tcp`] was asked for.
    pub fn tcp_url(&self, database: &str) -> Option<String> {
        self.tcp.then(|| format!("postgres://{SUPERUSER}@127.0.0.1:{}/{database}", self.port))
    }

    /// The number of the server's first process, the parent of all others; `None` while it does not run.
    pub fn process(&self) -> Option<u32> {
        let text = fs::read_to_string(self.data.join("postmaster.pid")).ok()?;
        text.lines().next()?.trim().parse().ok()
    }

    /// Stops the server and starts it again, with the same URLs.
    ///
    /// # Errors
    /// If it does not stop or start.
    pub fn restart(&self, how: Shutdown) -> Result<(), ClusterError> {
        self.down(how)?;
        self.up()
    }

    /// Stops the server, until [`Cluster::up`].
    ///
    /// # Errors
    /// If it does not stop, or does not run.
    pub fn down(&self, how: Shutdown) -> Result<(), ClusterError> {
        let mut stop = self.program("pg_ctl");
        stop.args(["stop", "-s", "-t", PATIENCE, "-m", how.mode(), "-D"]).arg(&self.data);
        self.run(stop, "stop PostgreSQL")
    }

    /// Starts the server after [`Cluster::down`] and waits until it accepts connections.
    ///
    /// # Errors
    /// If it does not start; with the end of its log.
    pub fn up(&self) -> Result<(), ClusterError> {
        let mut start = self.program("pg_ctl");
        start.args(["start", "-s", "-w", "-t", PATIENCE, "-l"]).arg(self.home.log()).arg("-D").arg(&self.data);
        self.run(start, "start PostgreSQL")
    }

    /// Stops the server for good and waits until it and its directory are gone. Dropping does the same.
    pub fn stop(self) {}

    /// Lets the server run until the returned end of a pipe is closed everywhere, for instance as the standard input of
    /// another program: then the server lives as long as that program.
    pub fn into_leash(mut self) -> Option<ChildStdin> {
        self.keeper.0.stdin.take()
    }

    fn program(&self, name: &str) -> Command {
        let mut command = program(self.binaries.path(name), self.home.user());
        command.current_dir(self.home.path());
        command
    }

    fn run(&self, mut command: Command, what: &str) -> Result<(), ClusterError> {
        let output = command.output().map_err(|e| ClusterError::Program(command.get_program().into(), e))?;
        if output.status.success() {
            return Ok(());
        }
        let log = fs::read_to_string(self.home.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let mut text = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
        for line in &lines[lines.len().saturating_sub(LOG_LINES)..] {
            text.push('\n');
            text.push_str(line);
        }
        Err(ClusterError::Failed(what.to_owned(), text))
    }
}

/// The shell that looks after the server.
#[derive(Debug)]
struct Keeper(Child);

impl Drop for Keeper {
    fn drop(&mut self) {
        // Without the pipe's end, somebody else has it, and the shell goes on.
        if let Some(input) = self.0.stdin.take() {
            drop(input);
            let _ = self.0.wait();
        }
    }
}

/// Whether there is a server on this data, which then is not ours to stop.
fn is_running(binaries: &Binaries, home: &Home, data: &Path) -> bool {
    let mut status = program(binaries.path("pg_ctl"), home.user());
    status.current_dir(home.path()).args(["status", "-D"]).arg(data);
    status.output().is_ok_and(|output| output.status.success())
}

/// A port that was free a moment ago.
fn free_port() -> std::io::Result<u16> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr()).map(|address| address.port())
}

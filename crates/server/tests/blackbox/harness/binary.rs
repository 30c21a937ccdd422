//! A server as a process that can be killed and started again.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    path::PathBuf,
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use super::{admin::SECRET, engine::Place};

pub(super) struct Binary {
    base: String,
    launch: Launch,
    child: Option<Child>,
}

/// What makes a process other than usual.
#[derive(Default)]
pub struct Special {
    /// Variables of the environment.
    pub settings: Vec<(&'static str, String)>,
    /// Where its log goes, instead of to that of the tests.
    pub log: Option<PathBuf>,
    /// Who hears what it says on standard error, instead of the tests' own.
    pub said: Option<Said>,
    /// A program and its arguments by which it is run: those of the server come last.
    pub through: Vec<String>,
}

/// What a process said on standard error so far.
#[derive(Default, Clone)]
pub struct Said(Arc<Mutex<String>>);

impl Said {
    pub fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }

    /// Listens until the other end is closed.
    fn listen(&self, from: ChildStderr) {
        let said = self.clone();
        thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                said.0.lock().unwrap().push_str(&(line + "\n"));
            }
        });
    }
}

enum Launch {
    Olmstead { place: Arc<Place>, listen: String, special: Special },
    Other { command: String },
}

impl Binary {
    /// The binary of this package, with its data in this place.
    pub(super) fn olmstead(place: Arc<Place>) -> Self {
        Self::special(place, Special::default())
    }

    /// The same with something of its own.
    pub(super) fn special(place: Arc<Place>, special: Special) -> Self {
        let listen = free_address();
        Self { base: format!("http://{listen}"), launch: Launch::Olmstead { place, listen, special }, child: None }
    }

    /// Some other server, to compare with.
    pub(super) fn other(command: &str, base: &str) -> Self {
        Self { base: base.to_owned(), launch: Launch::Other { command: command.to_owned() }, child: None }
    }

    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// A path that answers 200 as soon as the server serves.
    pub(super) fn ready_path(&self) -> &'static str {
        match self.launch {
            Launch::Olmstead { .. } => "/health",
            Launch::Other { .. } => "/_matrix/client/versions",
        }
    }

    /// A command of the binary, with the settings of this server.
    pub(super) fn command(&self, name: &str) -> Command {
        let Launch::Olmstead { place, listen, special } = &self.launch else { panic!("the server is not ours") };
        let binary = env!("CARGO_BIN_EXE_olmstead");
        let mut command = match special.through.split_first().filter(|_| name == "serve") {
            None => Command::new(binary),
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments).arg(binary);
                command
            }
        };
        let log = std::env::var("BLACKBOX_LOG").unwrap_or_else(|_| "warn".to_owned());
        command
            .arg(name)
            .current_dir(std::env::temp_dir())
            .env("OLMSTEAD_SERVER_NAME", "localhost")
            .env("OLMSTEAD_LISTEN", format!("[\"{listen}\"]"))
            .envs(place.settings())
            .env("OLMSTEAD_REGISTRATION__MODE", "open")
            .env("OLMSTEAD_REGISTRATION__SHARED_SECRET", SECRET)
            .env("OLMSTEAD_LIMITS__ENABLED", "false")
            .env("OLMSTEAD_LOG__FILTER", log)
            .envs(special.settings.iter().cloned());
        command
    }

    pub(super) fn spawn(&mut self) {
        assert!(self.child.is_none(), "the server runs");
        let mut command = match &self.launch {
            Launch::Olmstead { special, .. } => {
                let mut command = self.command("serve");
                if let Some(path) = &special.log {
                    command.stderr(File::options().append(true).create(true).open(path).expect("a file for the log"));
                }
                command
            }
            Launch::Other { command } => Command::new(command),
        };
        let said = match &self.launch {
            Launch::Olmstead { special, .. } => special.said.as_ref(),
            Launch::Other { .. } => None,
        };
        if said.is_some() {
            command.stderr(Stdio::piped());
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("the server can be started");
        if let Some((said, stderr)) = said.zip(child.stderr.take()) {
            said.listen(stderr);
        }
        self.child = Some(child);
    }

    /// The number of the process.
    pub(super) fn process_id(&self) -> u32 {
        self.child.as_ref().expect("the server runs").id()
    }

    /// How the process ended by itself, once it has; then it can be started again.
    pub(super) fn take_end(&mut self) -> Option<ExitStatus> {
        let status = self.ended()?;
        self.child = None;
        Some(status)
    }

    /// How the process ended, if it did by itself.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut().and_then(|child| child.try_wait().expect("a state of the process"))
    }

    /// SIGKILL.
    pub(super) fn kill(&mut self) {
        let mut child = self.child.take().expect("the server runs");
        child.kill().expect("the process can be killed");
        child.wait().expect("the process ends");
    }
}

impl Drop for Binary {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
    }
}

/// A free address, below the ports that the system gives to outgoing connections: while the server is down, a client that
/// tries again would otherwise now and then be given the server's own port, and be connected to itself.
pub fn free_address() -> String {
    for _ in 0..200 {
        let address = format!("127.0.0.1:{}", rand::random_range(10_000..30_000));
        if TcpListener::bind(&address).is_ok() {
            return address;
        }
    }
    panic!("no free port was found");
}

//! A network between a store and its database that can be stopped.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    str::FromStr as _,
    sync::{Arc, Condvar, Mutex, Weak},
    thread,
    time::Duration,
};

use sqlx::postgres::PgConnectOptions;

/// Passes on what nodes and the server say to each other, until it is told not to. A connection stays open meanwhile, as
/// one does whose other end is gone without a word.
pub(crate) struct Proxy {
    url: String,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    rules: Mutex<Rules>,
    changed: Condvar,
}

#[derive(Default)]
struct Rules {
    ended: bool,
    requests_held: bool,
    answers_held: bool,
    /// More than this of a connection's requests is not passed on.
    requests_end: Option<usize>,
    links: Vec<Link>,
}

/// A connection.
#[derive(Default)]
struct Link {
    requests: Vec<u8>,
    sent: usize,
    frozen: bool,
    ends: Vec<Stream>,
}

/// Where the server is.
#[derive(Clone)]
enum Server {
    Socket(String),
    Address(String, u16),
}

enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    Request,
    Answer,
}

impl Proxy {
    /// Begins to pass on, to the database of this URL.
    pub(crate) fn start(database: &str) -> Self {
        let options = PgConnectOptions::from_str(database).unwrap();
        let port = options.get_port();
        let server = match options.get_socket() {
            Some(path) => Server::Socket(format!("{}/.s.PGSQL.{port}", path.display())),
            None => Server::Address(options.get_host().to_owned(), port),
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (user, name) = (options.get_username(), options.get_database().unwrap());
        let url = format!("postgres://{user}@{address}/{name}?sslmode=disable");
        let state = Arc::new(State::default());
        let known = Arc::downgrade(&state);
        thread::spawn(move || {
            for client in listener.incoming() {
                let Some(state) = known.upgrade().filter(|state| !state.rules.lock().unwrap().ended) else { return };
                pass_on(client.unwrap(), &server, &state);
            }
        });
        Self { url, state }
    }

    /// The URL of the database by way of this.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Stops requests on all connections, or lets them through again.
    pub(crate) fn hold_requests(&self, hold: bool) {
        self.change(|rules| rules.requests_held = hold);
    }

    /// Stops answers on all connections, or lets them through again.
    pub(crate) fn hold_answers(&self, hold: bool) {
        self.change(|rules| rules.answers_held = hold);
    }

    /// Stops each connection when this many bytes of requests have passed on it.
    pub(crate) fn end_requests_at(&self, bytes: Option<usize>) {
        self.change(|rules| rules.requests_end = bytes);
    }

    /// Stops connections for good on which this was said. Gives their number.
    pub(crate) fn freeze(&self, said: &str) -> usize {
        let mut frozen = 0;
        self.change(|rules| {
            for link in rules.links.iter_mut().filter(|link| link.has_said(said)) {
                link.frozen = true;
                frozen += 1;
            }
        });
        frozen
    }

    /// Ends all connections. What was said on them is gone.
    pub(crate) fn cut(&self) {
        self.change(|rules| rules.links.iter().flat_map(|link| &link.ends).for_each(Stream::end));
    }

    /// Waits until this many bytes of requests have come on one connection, passed on or not.
    pub(crate) async fn passed(&self, bytes: usize) {
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        for _ in 0..1_000 {
            ticks.tick().await;
            if self.state.rules.lock().unwrap().links.iter().any(|link| link.sent >= bytes) {
                return;
            }
        }
        panic!("{bytes} bytes came");
    }

    fn change(&self, change: impl FnOnce(&mut Rules)) {
        change(&mut self.state.rules.lock().unwrap());
        self.state.changed.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.change(|rules| rules.ended = true);
    }
}

impl Link {
    fn has_said(&self, said: &str) -> bool {
        self.requests.windows(said.len()).any(|words| words == said.as_bytes())
    }
}

impl Rules {
    fn stop(&self, link: usize, direction: Direction, passed: usize) -> bool {
        let held = match direction {
            Direction::Request => self.requests_held || self.requests_end.is_some_and(|end| passed >= end),
            Direction::Answer => self.answers_held,
        };
        !self.ended && (held || self.links[link].frozen)
    }
}

impl Stream {
    fn connect(server: &Server) -> Self {
        match server {
            Server::Socket(path) => Self::Unix(UnixStream::connect(path).unwrap()),
            Server::Address(host, port) => Self::Tcp(TcpStream::connect((host.as_str(), *port)).unwrap()),
        }
    }

    fn another(&self) -> Self {
        match self {
            Self::Unix(stream) => Self::Unix(stream.try_clone().unwrap()),
            Self::Tcp(stream) => Self::Tcp(stream.try_clone().unwrap()),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> usize {
        match self {
            Self::Unix(stream) => stream.read(buffer),
            Self::Tcp(stream) => stream.read(buffer),
        }
        .unwrap_or(0)
    }

    fn write(&mut self, buffer: &[u8]) -> bool {
        match self {
            Self::Unix(stream) => stream.write_all(buffer),
            Self::Tcp(stream) => stream.write_all(buffer),
        }
        .is_ok()
    }

    fn end(&self) {
        let _ = match self {
            Self::Unix(stream) => stream.shutdown(Shutdown::Both),
            Self::Tcp(stream) => stream.shutdown(Shutdown::Both),
        };
    }
}

fn pass_on(client: TcpStream, server: &Server, state: &Arc<State>) {
    client.set_nodelay(true).unwrap();
    let (client, server) = (Stream::Tcp(client), Stream::connect(server));
    let link = {
        let mut rules = state.rules.lock().unwrap();
        rules.links.push(Link { ends: vec![client.another(), server.another()], ..Link::default() });
        rules.links.len() - 1
    };
    for (from, to, direction) in
        [(client.another(), server.another(), Direction::Request), (server, client, Direction::Answer)]
    {
        let state = Arc::downgrade(state);
        thread::spawn(move || pump(from, to, direction, link, &state));
    }
}

fn pump(mut from: Stream, mut to: Stream, direction: Direction, link: usize, state: &Weak<State>) {
    let mut buffer = vec![0; 64 * 1024];
    let mut passed = 0;
    loop {
        let read = from.read(&mut buffer);
        let Some(state) = state.upgrade() else { break };
        {
            let mut rules = state.rules.lock().unwrap();
            if direction == Direction::Request {
                let link = &mut rules.links[link];
                link.sent += read;
                if link.requests.len() < 1 << 20 {
                    link.requests.extend_from_slice(&buffer[..read]);
                }
            }
            drop(state.changed.wait_while(rules, |rules| rules.stop(link, direction, passed)).unwrap());
        }
        passed += read;
        if read == 0 || !to.write(&buffer[..read]) {
            break;
        }
    }
    from.end();
    to.end();
}

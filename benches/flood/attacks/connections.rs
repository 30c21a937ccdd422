//! Connections that are too many, or too slow.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use super::{Found, World, address, all_at_once, refused, shared, sizes};
use crate::tally::Tally;

const SECOND: Duration = Duration::from_secs(1);
/// For an answer to a request that is not slow.
const PATIENCE: Duration = Duration::from_secs(30);

async fn connect(base: &str, from: u8, small: bool) -> Result<TcpStream, String> {
    let open = async {
        let to: SocketAddr = base.trim_start_matches("http://").parse().map_err(std::io::Error::other)?;
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(address(from), 0))?;
        if small {
            // So that what is not read is kept by the server and not on the way.
            socket.set_recv_buffer_size(8 << 10)?;
        }
        socket.connect(to).await
    };
    timeout(PATIENCE, open)
        .await
        .map_err(|_| "no connection".to_owned())?
        .map_err(|_: std::io::Error| "no connection".to_owned())
}

/// The status of an answer that is there before the end.
async fn status(stream: &mut TcpStream, end: Instant) -> Option<String> {
    let mut head = [0; 12];
    match timeout(end.saturating_duration_since(Instant::now()), stream.read_exact(&mut head)).await {
        Err(_) => None,
        Ok(Ok(_)) => Some(String::from_utf8_lossy(head.get(9..).unwrap_or_default()).into_owned()),
        Ok(Err(_)) => Some("closed".to_owned()),
    }
}

/// Sends a byte each second until there is an answer, or the end.
async fn drip(mut stream: TcpStream, end: Instant) -> String {
    loop {
        if let Some(outcome) = status(&mut stream, (Instant::now() + SECOND).min(end)).await {
            return outcome;
        }
        if Instant::now() >= end {
            return "open to the end".to_owned();
        }
        if stream.write_all(b"x").await.is_err() {
            return "closed".to_owned();
        }
    }
}

pub(super) async fn slow_heads(world: &World, end: Instant, tally: &Tally) -> Found {
    let by = shared(&world.mallory);
    all_at_once(1_500, tally, |_| {
        let by = by.clone();
        async move {
            match connect(&by.base, 3, false).await {
                Ok(mut stream) => match stream.write_all(b"GET /_matrix/client/versions HTTP/1.1\r\nX: ").await {
                    Ok(()) => drip(stream, end).await,
                    Err(_) => "closed".to_owned(),
                },
                Err(word) => word,
            }
        }
    })
    .await;
    match tally.of("open to the end") {
        0 => Ok(None),
        open => Err(format!("{open} slow heads were waited for")),
    }
}

/// Half of them send nothing more, and half hardly anything.
pub(super) async fn slow_bodies(world: &World, end: Instant, tally: &Tally) -> Found {
    let by = shared(&world.mallory);
    all_at_once(400, tally, |n| {
        let by = by.clone();
        async move {
            let mut stream = match connect(&by.base, 4, false).await {
                Ok(stream) => stream,
                Err(word) => return word,
            };
            let head = format!(
                "POST /_matrix/client/v3/keys/upload HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
                 Content-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{{\"one_time_keys\":{{\"",
                by.token
            );
            if stream.write_all(head.as_bytes()).await.is_err() {
                return "closed".to_owned();
            }
            if n % 2 == 0 {
                return drip(stream, end).await;
            }
            status(&mut stream, end).await.unwrap_or_else(|| "open to the end".to_owned())
        }
    })
    .await;
    match tally.of("open to the end") {
        0 => refused(tally, "408"),
        open => Err(format!("{open} slow bodies were waited for")),
    }
}

/// Asks for a large backup on many connections and takes nothing of it, until the server must have given up.
pub(super) async fn slow_readers(world: &World, end: Instant, tally: &Tally) -> Found {
    let by = shared(&world.gang[5]);
    let version = sizes::large_backup(&by).await?;
    all_at_once(150, tally, |_| {
        let (by, version) = (by.clone(), version.clone());
        async move {
            let mut stream = match connect(&by.base, 5, true).await {
                Ok(stream) => stream,
                Err(word) => return word,
            };
            let head = format!(
                "GET /_matrix/client/v3/room_keys/keys?version={version} HTTP/1.1\r\nHost: localhost\r\n\
                 Authorization: Bearer {}\r\nConnection: close\r\n\r\n",
                by.token
            );
            if stream.write_all(head.as_bytes()).await.is_err() {
                return "closed".to_owned();
            }
            tokio::time::sleep(end.saturating_duration_since(Instant::now())).await;
            let mut answer = Vec::new();
            // Broken off or not, the server is done with it.
            match timeout(PATIENCE, stream.read_to_end(&mut answer)).await {
                Err(_) => "open to the end".to_owned(),
                Ok(_) if answer.starts_with(b"HTTP/1.1 200") && answer.len() < 10 << 20 => "200, cut off".to_owned(),
                Ok(_) if answer.is_empty() => "closed".to_owned(),
                Ok(_) => String::from_utf8_lossy(answer.get(9..12).unwrap_or_default()).into_owned(),
            }
        }
    })
    .await;
    match tally.of("200") + tally.of("open to the end") {
        0 => refused(tally, "429"),
        kept => Err(format!("{kept} large answers were kept for who did not take them")),
    }
}

/// All are kept open until the last has its answer: what counts is how many are served at once, and a place that is given
/// back goes to whom it is given next.
pub(super) async fn many(world: &World, end: Instant, tally: &Tally) -> Found {
    let (by, open) = (shared(&world.nobody), Arc::new(Mutex::new(Vec::new())));
    all_at_once(4_000, tally, |_| {
        let (by, open) = (by.clone(), Arc::clone(&open));
        async move {
            let mut stream = match connect(&by.base, 6, false).await {
                Ok(stream) => stream,
                Err(word) => return word,
            };
            let asked = stream.write_all(b"GET /_matrix/client/versions HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
            let outcome = match asked {
                Ok(()) => status(&mut stream, Instant::now() + PATIENCE).await,
                Err(_) => Some("closed".to_owned()),
            };
            open.lock().unwrap_or_else(PoisonError::into_inner).push(stream);
            outcome.unwrap_or_else(|| "no answer".to_owned())
        }
    })
    .await;
    tokio::time::sleep(end.saturating_duration_since(Instant::now())).await;
    drop(open);
    // Not more than limits.connections_per_address.
    match tally.of("200") {
        0..=2_000 => refused(tally, "closed"),
        more => Err(format!("{more} connections were served at once")),
    }
}

//! A connection on which a test writes itself, where an HTTP client would be too well-behaved.

use http::Method;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{Client, Server, deadline, within};

/// A connection to a server.
pub struct Raw(TcpStream);

impl Raw {
    pub async fn open(server: &Server) -> Self {
        let address = server.base().strip_prefix("http://").expect("a server without TLS");
        Self(within("a connection", deadline(), TcpStream::connect(address)).await.expect("a connection"))
    }

    /// The head of a request by a device, with these headers about its body, and the empty line.
    pub async fn head(&mut self, method: &Method, path: &str, by: &Client, headers: &str) -> bool {
        let token = by.token().expect("a device");
        let base = if path.starts_with("/_") { "" } else { "/_matrix/client/v3" };
        let head = format!(
            "{method} {base}{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\n{headers}\r\n\r\n"
        );
        self.send(head.as_bytes()).await
    }

    /// Writes; `false` if the server does not read any more.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        matches!(tokio::time::timeout(deadline(), self.0.write_all(bytes)).await, Ok(Ok(())))
    }

    /// The status and the JSON of the answer, as soon as they are there.
    pub async fn answer(&mut self) -> (u16, Value) {
        within("an answer", deadline(), self.read()).await
    }

    async fn read(&mut self) -> (u16, Value) {
        let mut text = Vec::new();
        loop {
            let mut part = [0; 4096];
            let read = self.0.read(&mut part).await.expect("an answer");
            text.extend_from_slice(&part[..read]);
            let so_far = String::from_utf8_lossy(&text);
            if let Some((head, body)) = so_far.split_once("\r\n\r\n")
                && let Ok(body) = serde_json::from_str(body)
            {
                let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
                return (status.expect("a status"), body);
            }
            assert!(read > 0, "the connection ended after {so_far}");
        }
    }
}

//! Two Olmstead servers in one program, each on its own directory, and a message sent on each.

use axum::{body::Body, http::Request};
use olmstead::Server;
use serde_json::{Value, json};
use tower::ServiceExt as _;

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    for name in ["one.example", "two.example"] {
        let directory = tempfile::tempdir()?;
        let server = Server::builder(name).rocksdb(directory.path()).open_registration().build().await?;
        let account = json!({"username": "alice", "password": "wonder-land-7", "auth": {"type": "m.login.dummy"}});
        let account = call(&server, "POST", "register", "", &account).await?;
        let token = account["access_token"].as_str().unwrap_or_default();
        let room = call(&server, "POST", "createRoom", token, &json!({"preset": "private_chat"})).await?;
        let path = format!("rooms/{}/send/m.room.message/1", room["room_id"].as_str().unwrap_or_default());
        let sent = call(&server, "PUT", &path, token, &json!({"msgtype": "m.text", "body": "Hello"})).await?;
        println!("{name}: {} sent {}", account["user_id"], sent["event_id"]);
        server.stop().await?;
    }
    Ok(())
}

async fn call(server: &Server, method: &str, path: &str, token: &str, body: &Value) -> Result<Value, Failure> {
    let request = Request::builder().method(method).uri(format!("/_matrix/client/v3/{path}"));
    let request = request.header("authorization", format!("Bearer {token}")).body(Body::from(body.to_string()))?;
    let response = server.router().oneshot(request).await?;
    Ok(serde_json::from_slice(&axum::body::to_bytes(response.into_body(), usize::MAX).await?)?)
}

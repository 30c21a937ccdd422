//! Users with something to hide, and what must be true of every answer.

use olmstead_conformance::random::Random;
use serde_json::{Map, Value, json};

use super::{
    Command, mutate,
    requests::{PARAMETERS, Request, sensible},
};
use crate::{
    harness::{Client, Response, Server, at, unique},
    rules::access::routes::{self, Route},
};

/// Three users, a guest and somebody without a token.
pub(super) const CALLERS: usize = 5;
/// How all that is to be hidden begins; a user's number follows.
const CANARY: &str = "canary";
/// Marks an answer that is no JSON to a client.
const UNREADABLE: &str = "what a client cannot read";

/// What is under test.
pub(super) struct World {
    routes: Vec<Route>,
    callers: Vec<Client>,
    /// Somebody who has much in private, and does nothing while others do.
    vera: Client,
    vera_has: String,
    vera_room: String,
    pub(super) names: Vec<String>,
    /// Who has something to hide, and the private room it is in.
    pub(super) hiders: Vec<(String, String)>,
    pub(super) rooms: Vec<String>,
    pub(super) events: Vec<String>,
    pub(super) media: String,
    /// A sync token of one of them.
    pub(super) since: String,
    /// Tells the canaries of this world from those of others on the server.
    mark: String,
}

impl World {
    pub(super) async fn new(server: Server) -> Self {
        let [alice, bob, carol, vera] = server.users(["alice", "bob", "carol", "vera"]).await;
        let (guest, mark) = (server.guest().await, unique());
        let callers = vec![alice, bob, carol, guest, server.anonymous()];
        let room = callers[0].create_room(json!({"preset": "public_chat"})).await;
        callers[1].join(&room).await;
        let mut events = vec!["$nothing".to_owned()];
        for caller in &callers[..2] {
            events.push(caller.send_text(&room, "hello").await);
        }
        let closed = callers[2].create_room(json!({"preset": "private_chat"})).await;
        let upload = callers[0].call(http::Method::POST, "/_matrix/media/v3/upload").bytes("x", "text/plain");
        let media = upload.await.ok()["content_uri"].as_str().and_then(|uri| uri.rsplit('/').next()).map(str::to_owned);
        let mut hiders = Vec::new();
        for (number, caller) in callers[..3].iter().enumerate() {
            let room = hide(caller, &format!("{CANARY}-{mark}-{number}-")).await;
            hiders.push((caller.user_id().to_owned(), room));
        }
        let vera_room = hide(&vera, &format!("{CANARY}-{mark}-v-")).await;
        hiders.push((vera.user_id().to_owned(), vera_room.clone()));
        let vera_has = private(&vera, &vera_room).await;
        let mut names: Vec<_> = callers.iter().map(|caller| caller.user_id().to_owned()).collect();
        names.extend([vera.user_id().to_owned(), "@nobody:localhost".to_owned(), "@a:elsewhere.example".to_owned()]);
        let rooms = vec![room, closed, vera_room.clone(), "!none:localhost".to_owned()];
        let since = callers[0].sync(None).await["next_batch"].as_str().expect("a token").to_owned();
        let media = media.expect("a media id");
        Self {
            routes: routes::all(),
            callers,
            vera,
            vera_has,
            vera_room,
            names,
            hiders,
            rooms,
            events,
            media,
            since,
            mark,
        }
    }

    /// Sends a request and looks at all that may not be.
    pub(super) async fn send(&mut self, command: &Command) -> Result<(), String> {
        let mut random = Random::new(command.seed);
        let route = self.routes[command.route].clone();
        let caller = self.callers[command.caller].clone();
        let before = if command.look { self.readable().await } else { String::new() };
        let answer = self.request(&route, &caller, &mut random).await;
        self.check(&answer, command.caller)?;
        let gone = answer.status == 401 && answer.errcode() == "M_UNKNOWN_TOKEN";
        if gone || route.template.contains("/logout") {
            self.come_back(command.caller).await;
        }
        if !command.look {
            return Ok(());
        }
        if (400..500).contains(&answer.status) && answer.errcode() != "M_UNKNOWN_TOKEN" {
            let after = self.readable().await;
            if let Some(line) = after.lines().find(|line| line.contains(UNREADABLE)) {
                return Err(format!("{answer}\nor one before it left\n{line}"));
            }
            if before != after {
                return Err(format!("{answer}\nchanged\n{}", difference(&before, &after)));
            }
        }
        let has = private(&self.vera, &self.vera_room).await;
        if has != self.vera_has {
            return Err(format!("{answer}\nor one before it changed\n{}", difference(&self.vera_has, &has)));
        }
        Ok(())
    }

    async fn request(&self, route: &Route, caller: &Client, random: &mut Random) -> Response {
        let Request { parts, mut query, body } = sensible(self, route, caller, random);
        let mut path = route.template.clone();
        for (name, value) in parts {
            let value = if random.once_in(8) { mutate::segment(random) } else { value };
            path = path.replacen(&format!("{{{name}}}"), &value, 1);
        }
        if random.once_in(4) {
            let name = *random.pick(&PARAMETERS);
            query.retain(|(other, _)| other != name || random.once_in(2));
            query.push((name.to_owned(), mutate::parameter(random)));
        }
        let mut call = caller.call(route.method.clone(), path);
        for (name, value) in query {
            call = call.query(&name, value);
        }
        let kind = if random.once_in(10) { mutate::header(random) } else { ("x-none", String::new()) };
        if kind.0 != "content-type" {
            call = call.header(kind.0, &kind.1);
        }
        if route.method == http::Method::GET && !random.once_in(30) {
            return call.await;
        }
        let bytes = if random.once_in(4) { body.to_string().into_bytes() } else { mutate::body(body, random) };
        call.bytes(bytes, if kind.0 == "content-type" { &kind.1 } else { "application/json" }).await
    }

    /// What must be true of any answer.
    fn check(&self, answer: &Response, caller: usize) -> Result<(), String> {
        // An upload that was announced may be waited for, and the status of having waited is one of these.
        if answer.status >= 500 && answer.errcode() != "M_NOT_YET_UPLOADED" {
            return Err(format!("the server failed: {answer}"));
        }
        if answer.status >= 400 {
            let body: Value = serde_json::from_slice(&answer.bytes).unwrap_or_default();
            let says = body["errcode"].is_string() && body["error"].is_string();
            if !(says || answer.status == 401 && body["flows"].is_array()) {
                return Err(format!("an error that does not say what it is: {answer}"));
            }
        }
        let text = answer.text();
        let own = format!("{CANARY}-{}-{caller}-", self.mark);
        let all = format!("{CANARY}-{}-", self.mark);
        let others = text.matches(&all).count() - text.matches(&own).count();
        if others > 0 { Err(format!("what is another's was told to caller {caller}: {answer}")) } else { Ok(()) }
    }

    /// Who logged out comes back.
    async fn come_back(&mut self, caller: usize) {
        let client = &self.callers[caller];
        if client.token().is_none() || client.get("/account/whoami").await.status == 200 {
            return;
        }
        self.callers[caller] = if client.password().is_empty() {
            client.server().guest().await
        } else {
            client.login(client.device_id()).await
        };
    }

    /// All that the callers can read, but for what passes with time.
    async fn readable(&self) -> String {
        let mut all = Map::new();
        for (number, caller) in self.callers[..4].iter().enumerate() {
            let mut told = read(&caller.get("/sync").query("timeout", 0).await);
            told["presence"] = Value::Null;
            let mut of_one = json!({ "sync": told });
            for path in
                ["/devices", "/room_keys/version", "/joined_rooms", "/pushers", "/pushrules/", "/account/whoami"]
            {
                of_one[path] = read(&caller.get(path).await);
            }
            of_one["keys"] = read(&caller.get("/room_keys/keys").query("version", 1).await);
            of_one["profile"] = read(&caller.get(at!("/profile/{}", caller.user_id())).await);
            let devices: Map<String, Value> = self.names[..5].iter().map(|name| (name.clone(), json!([]))).collect();
            of_one["query"] = read(&caller.post("/keys/query", json!({ "device_keys": devices })).await);
            all.insert(number.to_string(), of_one);
        }
        text(Value::Object(all))
    }
}

/// Puts something that is only for them wherever a user can; the private room it is in.
async fn hide(user: &Client, canary: &str) -> String {
    let id = user.user_id();
    user.put(at!("/user/{}/account_data/org.example.private", id), json!({"of": format!("{canary}account")}))
        .await
        .ok();
    let version = json!({"algorithm": "m.megolm_backup.v1.curve25519-aes-sha2",
        "auth_data": {"public_key": format!("{canary}version")}});
    user.post("/room_keys/version", version).await.ok();
    let key = json!({"first_message_index": 0, "forwarded_count": 0, "is_verified": true,
        "session_data": {"of": format!("{canary}backup")}});
    user.put("/room_keys/keys/!hidden:localhost/s", key).query("version", 1).await.ok();
    let room = user.create_room(json!({"preset": "private_chat", "name": format!("{canary}room")})).await;
    user.send_text(&room, &format!("{canary}message")).await;
    user.put(at!("/user/{}/rooms/{}/tags/{}", id, room, format!("u.{canary}tag")), json!({})).await.ok();
    let data = at!("/user/{}/rooms/{}/account_data/org.example", id, room);
    user.put(data, json!({"of": format!("{canary}room account")})).await.ok();
    user.post(at!("/user/{}/filter", id), json!({"room": {"rooms": [format!("!{canary}filter:localhost")]}}))
        .await
        .ok();
    user.send_to_device("org.example", json!({id: {"*": {"of": format!("{canary}to-device")}}})).await;
    let rule = json!({"actions": ["notify"], "pattern": format!("{canary}rule")});
    user.put(at!("/pushrules/global/content/{}", format!("{canary}rule")), rule).await.ok();
    let pusher = json!({"kind": "http", "app_id": "a", "pushkey": format!("{canary}pushkey"), "app_display_name": "a",
        "device_display_name": "d", "lang": "en", "data": {"url": "https://push.example.org/_matrix/push/v1/notify"}});
    user.post("/pushers/set", pusher).await.ok();
    room
}

/// What a user has that only they can change.
async fn private(user: &Client, room: &str) -> String {
    let id = user.user_id();
    let mut all = Map::new();
    for path in [
        at!("/user/{}/account_data/org.example.private", id),
        at!("/user/{}/rooms/{}/tags", id, room),
        at!("/user/{}/rooms/{}/account_data/org.example", id, room),
        at!("/user/{}/filter/0", id),
        at!("/profile/{}", id),
        at!("/rooms/{}/state", room),
        at!("/rooms/{}/messages?dir=b&limit=100", room),
        "/devices".to_owned(),
        "/room_keys/version".to_owned(),
        "/room_keys/keys?version=1".to_owned(),
        "/pushrules/".to_owned(),
        "/pushers".to_owned(),
        "/account/whoami".to_owned(),
    ] {
        all.insert(path.clone(), read(&user.get(path).await));
    }
    text(Value::Object(all))
}

/// What an answer says to a client that reads JSON as most do.
fn read(answer: &Response) -> Value {
    serde_json::from_slice(&answer.bytes).unwrap_or_else(|error| json!({UNREADABLE: format!("{error}: {answer}")}))
}

/// As text, without what passes with time.
fn text(mut value: Value) -> String {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(members) => {
                for name in [
                    "age",
                    "last_seen_ts",
                    "last_seen_ip",
                    "next_batch",
                    "last_active_ago",
                    "ephemeral",
                    "start",
                    "end",
                    "prev_batch",
                ] {
                    members.remove(name);
                }
                members.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    strip(&mut value);
    serde_json::to_string_pretty(&value).expect("a text")
}

/// The lines that are not in both.
fn difference(before: &str, after: &str) -> String {
    let lines = |a: &str, b: &str, sign: char| -> Vec<String> {
        a.lines().filter(|line| !b.contains(line)).take(20).map(|line| format!("{sign} {line}")).collect()
    };
    [lines(before, after, '-'), lines(after, before, '+')].concat().join("\n")
}

//! Users, devices and rooms that workloads share, made when they are first needed.

use olmstead_benches::cpu::Processes;
use reqwest::Client as Http;
use serde_json::json;

use crate::{
    Options,
    client::{Client, segment},
    keys::Device,
};
use olmstead_benches::{
    check::Violations,
    report::Figure,
    run::{Meter, prepare},
};

/// Who loads the server.
pub(crate) struct Crew {
    http: Http,
    base: String,
    pub(crate) second_base: Option<String>,
    /// How many long polls wait at once.
    pub(crate) polls: usize,
    /// Part of every name, so that a server can be loaded again.
    run: String,
    pub(crate) meter: Meter,
    pub(crate) is_quick: bool,
    violations: Violations,
    users: Vec<Client>,
    made: usize,
    /// Of the work being done, for the report.
    size: Option<usize>,
    figures: Vec<Figure>,
}

impl Crew {
    pub(crate) fn new(options: &Options) -> Self {
        let http = Http::builder().no_proxy().pool_max_idle_per_host(64).build();
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self {
            http: http.unwrap_or_else(|error| panic!("no HTTP client: {error}")),
            base: options.url.trim_end_matches('/').to_owned(),
            second_base: options.second_url.as_ref().map(|url| url.trim_end_matches('/').to_owned()),
            polls: options.polls.unwrap_or(if options.quick { 2_000 } else { 10_000 }),
            run: format!("{:x}", since.map_or(0, |time| time.as_millis())),
            meter: Meter {
                server: Processes::new(&options.server_pid),
                database: Processes::new(&options.database_pid),
            },
            is_quick: options.quick,
            violations: Violations::default(),
            users: Vec::new(),
            made: 0,
            size: None,
            figures: Vec::new(),
        }
    }

    /// How much of something there was in the work being done, where that is varied.
    pub(crate) fn size(&mut self, size: usize) {
        self.size = Some(size);
    }

    pub(crate) fn take_size(&mut self) -> Option<usize> {
        self.size.take()
    }

    /// Tells something of the work being done beside what every work tells.
    pub(crate) fn figure(&mut self, figure: Figure) {
        self.figures.push(figure);
    }

    pub(crate) fn take_figures(&mut self) -> Vec<Figure> {
        std::mem::take(&mut self.figures)
    }

    /// `full`, or less of it in a quick run.
    pub(crate) fn amount(&self, full: usize, quick: usize) -> usize {
        if self.is_quick { quick } else { full }
    }

    /// A text in no other run's names.
    pub(crate) fn name(&self) -> &str {
        &self.run
    }

    /// Sends an encrypted event as a client of today does.
    pub(crate) async fn speak(&self, by: &Client, room: &str, number: usize) {
        let content = json!({
            "algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "A".repeat(400), "device_id": by.device_id,
            "sender_key": "k".repeat(43), "session_id": "s".repeat(43),
        });
        let path = format!("/rooms/{}/send/m.room.encrypted/{}-{number}", segment(room), self.run);
        by.put(&path, &content).await;
    }

    pub(crate) fn violations(&self) -> Violations {
        self.violations.clone()
    }

    /// So many users whose device has keys; the same ones each time.
    pub(crate) async fn users(&mut self, count: usize) -> Vec<Client> {
        if self.users.len() < count {
            let new = self.new_users(count - self.users.len()).await;
            prepare(new.iter().cloned(), |client| async move {
                let keys = json!({"device_keys": Device::new(&client).signed()});
                client.post("/keys/upload", &keys).await;
            })
            .await;
            self.users.extend(new);
        }
        self.users[..count].to_vec()
    }

    /// So many users that nobody else uses, without keys.
    pub(crate) async fn new_users(&mut self, count: usize) -> Vec<Client> {
        let first = self.made;
        self.made += count;
        let names = (first..self.made).map(|number| format!("load-{}-{number}", self.run));
        let (http, base) = (&self.http, &self.base);
        prepare(names, |name| async move { Client::register(http, base, &name).await }).await
    }

    /// A public encrypted room of these users; the first made it.
    pub(crate) async fn room(&mut self, members: &[Client]) -> String {
        let encryption = json!({"type": "m.room.encryption", "state_key": "",
            "content": {"algorithm": "m.megolm.v1.aes-sha2"}});
        let body = json!({"preset": "public_chat", "initial_state": [encryption]});
        let answer = members[0].post("/createRoom", &body).await;
        let room = answer["room_id"].as_str().unwrap_or_else(|| panic!("no room: {answer}")).to_owned();
        let path = format!("/rooms/{}/join", segment(&room));
        let nothing = json!({});
        prepare(members[1..].iter(), |member| member.post(&path, &nothing)).await;
        room
    }
}

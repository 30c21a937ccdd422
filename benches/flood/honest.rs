//! Clients that do nothing wrong, at a modest pace: each claims a key of the next one's device, sends it a message, and waits
//! for what it is sent with long polls. Their requests are timed, and none may fail.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use olmstead_benches::keys::Device;
use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;

use crate::client::Client;

const USERS: usize = 4;
/// Between two rounds of one user.
const PACE: Duration = Duration::from_millis(250);
/// Between two visits of somebody new, on a connection of its own.
const NEWCOMERS: Duration = Duration::from_millis(500);
const POLL_MS: u64 = 10_000;

/// What was timed, by the kind of request, and what failed.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) times: BTreeMap<&'static str, Vec<Duration>>,
    pub(crate) errors: Vec<String>,
}

/// The kinds, as columns.
pub(crate) const KINDS: [&str; 4] = ["claim", "send", "arrive", "connect"];

struct Shared {
    seen: Mutex<Seen>,
    /// Messages are dated with the time since then.
    start: Instant,
    stopping: AtomicBool,
}

/// The clients, at work.
pub(crate) struct Honest {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

impl Shared {
    fn note(&self, kind: &'static str, time: Duration) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).times.entry(kind).or_default().push(time);
    }

    fn failed(&self, error: String) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).errors.push(error);
    }

    fn goes_on(&self) -> bool {
        !self.stopping.load(Ordering::Relaxed)
    }
}

impl Honest {
    pub(crate) async fn start(base: &str) -> Result<Self, String> {
        let nobody = Client::nobody(base, IpAddr::V4(Ipv4Addr::LOCALHOST))?;
        let mut users = Vec::new();
        for n in 0..USERS {
            let user = nobody.register(&format!("honest{n}")).await?;
            let mut device = Device::of(&user.user_id, &user.device_id);
            let upload = json!({"device_keys": device.signed(), "one_time_keys": device.one_time_keys(50),
                "fallback_keys": device.fallback_key()});
            user.done(Method::POST, "/keys/upload", Some(&upload)).await?;
            users.push(user);
        }
        let shared =
            Arc::new(Shared { seen: Mutex::default(), start: Instant::now(), stopping: AtomicBool::new(false) });
        let mut tasks = JoinSet::new();
        for n in 0..USERS {
            let (user, next) = (users[n].clone(), users[(n + 1) % USERS].clone());
            tasks.spawn(act(Arc::clone(&shared), user.clone(), next));
            tasks.spawn(listen(Arc::clone(&shared), user));
        }
        tasks.spawn(come(Arc::clone(&shared), nobody));
        Ok(Self { shared, tasks })
    }

    /// What was seen since this was asked last.
    pub(crate) fn take(&self) -> Seen {
        std::mem::take(&mut self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) async fn stop(mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        self.tasks.shutdown().await;
    }
}

async fn act(shared: Arc<Shared>, user: Client, next: Client) {
    let mut pace = tokio::time::interval(PACE);
    for n in 0_u64.. {
        pace.tick().await;
        if !shared.goes_on() {
            return;
        }
        let claim = json!({"one_time_keys": {&next.user_id: {&next.device_id: "signed_curve25519"}}});
        let began = Instant::now();
        match user.done(Method::POST, "/keys/claim", Some(&claim)).await {
            Ok(answer) if answer["one_time_keys"][&next.user_id][&next.device_id].is_object() => {
                shared.note("claim", began.elapsed());
            }
            Ok(answer) => shared.failed(format!("claim: no key: {answer}")),
            Err(error) => shared.failed(error),
        }
        let began = Instant::now();
        let at = u64::try_from(shared.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        let message = json!({"messages": {&next.user_id: {&next.device_id: {"at": at}}}});
        match user.done(Method::PUT, &format!("/sendToDevice/m.flood/{n}"), Some(&message)).await {
            Ok(_) => shared.note("send", began.elapsed()),
            Err(error) => shared.failed(error),
        }
    }
}

async fn listen(shared: Arc<Shared>, user: Client) {
    let mut since = String::new();
    while shared.goes_on() {
        let path = format!("/sync?timeout={POLL_MS}{since}");
        match user.done(Method::GET, &path, None).await {
            Ok(sync) => {
                let now = shared.start.elapsed();
                for event in sync["to_device"]["events"].as_array().into_iter().flatten() {
                    let at = Duration::from_micros(event["content"]["at"].as_u64().unwrap_or(0));
                    shared.note("arrive", now.saturating_sub(at));
                }
                since = format!("&since={}", sync["next_batch"].as_str().unwrap_or_default());
            }
            Err(error) => {
                shared.failed(error);
                tokio::time::sleep(PACE).await;
            }
        }
    }
}

/// Somebody who was not connected before.
async fn come(shared: Arc<Shared>, nobody: Client) {
    let mut pace = tokio::time::interval(NEWCOMERS);
    loop {
        pace.tick().await;
        if !shared.goes_on() {
            return;
        }
        let began = Instant::now();
        let new = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build();
        let Ok(new) = new else { return shared.failed("an HTTP client".to_owned()) };
        match new.get(format!("{}/_matrix/client/versions", nobody.base)).send().await {
            Ok(answer) if answer.status().as_u16() == 200 => shared.note("connect", began.elapsed()),
            Ok(answer) => shared.failed(format!("a newcomer: {}", answer.status())),
            Err(error) => shared.failed(format!("a newcomer: {error:?}")),
        }
    }
}

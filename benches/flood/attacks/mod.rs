//! The attacks.

mod connections;
mod requests;
mod sizes;

use std::{
    future::Future,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::{Duration, Instant},
};

use olmstead_benches::keys::Device;
use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;

use crate::{client::Client, tally::Tally};

/// What is sent without end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attack {
    ClaimsByOne,
    ClaimsByMany,
    OneTimeKeys,
    WrongPasswords,
    Registrations,
    NoToken,
    FirstSyncs,
    LongPolls,
    HugeBodies,
    DeepJson,
    Messages,
    Devices,
    Backups,
    SlowHeads,
    SlowBodies,
    SlowReaders,
    Connections,
}

/// The one-time keys of the device whose keys are claimed.
const STOCK: u64 = 200;
/// Attackers, where there are many.
const GANG: usize = 20;
/// Requests at once of an attack, where the number is not the attack itself.
const WORKERS: usize = 16;

/// Who attacks and who is attacked. Attackers have another address than honest clients.
pub(crate) struct World {
    nobody: Client,
    mallory: Client,
    gang: Vec<Client>,
    /// Its keys are claimed.
    victim: Client,
    /// Its device never syncs.
    sleeper: Client,
}

impl World {
    pub(crate) async fn make(base: &str) -> Result<Self, String> {
        let nobody = Client::nobody(base, address(2))?;
        let [mallory, victim, sleeper] =
            [nobody.register("mallory").await?, nobody.register("victim").await?, nobody.register("sleeper").await?];
        let mut gang = Vec::new();
        for n in 0..GANG {
            gang.push(nobody.register(&format!("gang{n}")).await?);
        }
        let mut device = Device::of(&victim.user_id, &victim.device_id);
        let upload = json!({"device_keys": device.signed(), "fallback_keys": device.fallback_key(),
            "one_time_keys": device.one_time_keys(usize::try_from(STOCK).unwrap_or(0))});
        victim.done(Method::POST, "/keys/upload", Some(&upload)).await?;
        Ok(Self { nobody, mallory, gang, victim, sleeper })
    }
}

/// An address of this machine for attackers.
fn address(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, last))
}

/// So many at a time until the end; the answer of each is its outcome.
async fn flood<Fut>(workers: usize, end: Instant, tally: &Tally, ask: impl Fn(usize, u64) -> Fut)
where
    Fut: Future<Output = String>,
{
    let worker = async |worker: usize| {
        for n in 0.. {
            if Instant::now() >= end {
                return;
            }
            tally.add(ask(worker, n).await);
        }
    };
    futures_util::future::join_all((0..workers).map(worker)).await;
}

/// So many at once, each until it is done.
async fn all_at_once<Fut>(count: usize, tally: &Tally, ask: impl Fn(usize) -> Fut)
where
    Fut: Future<Output = String> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for n in 0..count {
        tasks.spawn(ask(n));
    }
    while let Some(outcome) = tasks.join_next().await {
        tally.add(outcome.unwrap_or_else(|error| error.to_string()));
    }
}

impl Attack {
    pub(crate) const ALL: [Self; 17] = [
        Self::ClaimsByOne,
        Self::ClaimsByMany,
        Self::OneTimeKeys,
        Self::WrongPasswords,
        Self::Registrations,
        Self::NoToken,
        Self::FirstSyncs,
        Self::LongPolls,
        Self::HugeBodies,
        Self::DeepJson,
        Self::Messages,
        Self::Devices,
        Self::Backups,
        Self::SlowHeads,
        Self::SlowBodies,
        Self::SlowReaders,
        Self::Connections,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ClaimsByOne => "claims of one device, by one user",
            Self::ClaimsByMany => "claims of one device, by 20 users",
            Self::OneTimeKeys => "one-time keys",
            Self::WrongPasswords => "wrong passwords",
            Self::Registrations => "registrations",
            Self::NoToken => "requests without a good token",
            Self::FirstSyncs => "first syncs",
            Self::LongPolls => "long polls of one user",
            Self::HugeBodies => "huge bodies",
            Self::DeepJson => "deeply nested JSON",
            Self::Messages => "messages to a device that never syncs",
            Self::Devices => "devices of one user",
            Self::Backups => "backups",
            Self::SlowHeads => "slow heads",
            Self::SlowBodies => "slow bodies",
            Self::SlowReaders => "slow readers of large answers",
            Self::Connections => "connections from one address",
        }
    }

    /// Where a limit is on time, the attack lasts until it shows.
    pub(crate) fn lasts(self, least: Duration) -> Duration {
        least.max(Duration::from_secs(match self {
            Self::SlowHeads => 85,
            Self::SlowBodies => 45,
            Self::SlowReaders => 75,
            _ => 0,
        }))
    }

    /// What there is to say of it besides the outcomes.
    ///
    /// # Errors
    /// A sentence, when the server did what it must not.
    pub(crate) async fn run(self, world: &World, end: Instant, tally: &Tally) -> Result<String, String> {
        match self {
            Self::ClaimsByOne => requests::claims(world, std::slice::from_ref(&world.mallory), end, tally).await,
            Self::ClaimsByMany => requests::claims(world, &world.gang, end, tally).await,
            Self::OneTimeKeys => requests::one_time_keys(world, end, tally).await,
            Self::WrongPasswords => requests::wrong_passwords(world, end, tally).await,
            Self::Registrations => requests::registrations(world, end, tally).await,
            Self::NoToken => requests::without_token(world, end, tally).await,
            Self::FirstSyncs => requests::first_syncs(world, end, tally).await,
            Self::LongPolls => requests::long_polls(world, end, tally).await,
            Self::HugeBodies => sizes::huge_bodies(world, end, tally).await,
            Self::DeepJson => sizes::deep_json(world, end, tally).await,
            Self::Messages => requests::messages(world, end, tally).await,
            Self::Devices => requests::devices(world, end, tally).await,
            Self::Backups => sizes::backups(world, end, tally).await,
            Self::SlowHeads => connections::slow_heads(world, end, tally).await,
            Self::SlowBodies => connections::slow_bodies(world, end, tally).await,
            Self::SlowReaders => connections::slow_readers(world, end, tally).await,
            Self::Connections => connections::many(world, end, tally).await,
        }
        .map(|found| found.unwrap_or_default())
    }
}

/// What an attack says.
type Found = Result<Option<String>, String>;

/// Fails unless the server refused something with this outcome.
fn refused(tally: &Tally, outcome: &str) -> Found {
    if tally.of(outcome) > 0 { Ok(None) } else { Err(format!("nothing was answered with {outcome}")) }
}

/// For tasks that outlive the function that starts them.
fn shared(client: &Client) -> Arc<Client> {
    Arc::new(client.clone())
}

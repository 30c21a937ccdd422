//! `GET /sync`: everything that is new for one device (client-server API, "Syncing"; SYNC-1…18, DL-1…14, TD-5…9).
//!
//! An answer is a span of the one stream of changes, from the position in the client's token to a horizon, below which
//! everything is final. It starts with one read, [`olmstead_storage::SyncReads::sync_facts`]; only what that shows to
//! have changed is read further, always bounded by the same horizon. So nothing is skipped and nothing comes twice
//! (SYNC-4), and the same token gives the same facts again, or more (SYNC-5).

pub(crate) mod account_data;
pub(crate) mod ephemeral;
pub(crate) mod events;
mod filter;
pub(crate) mod invited;
mod joined;
pub(crate) mod left;
mod moves;
pub(crate) mod presence;
pub(crate) mod response;
mod rooms;
mod settings;
pub(crate) mod start;
mod state;
pub(crate) mod summary;
pub(crate) mod timeline;
pub(crate) mod view;

use std::time::Duration;

use olmstead_domain::{
    filter::Filter,
    position::{Position, SyncToken},
};
use olmstead_storage::{
    devices::DeviceRef,
    sync::{SyncFacts, SyncQuery},
};
use tokio::time::Instant;

pub(crate) use self::{
    moves::{Moves, encrypted_at},
    presence::{changed as presence_changed, keep as keep_presence},
    settings::UserSettings,
    view::{Part, all},
};
use self::{
    response::{Answer, Events},
    start::Start,
    view::View,
};
use crate::{Context, Result, ServiceError, device_lists, to_device};

/// To-device messages in one answer (TD-9).
pub const INBOX_PAGE: usize = 100;
/// The longest a request waits, whatever it asks for.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// The presence a sync gives its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SetPresence {
    /// The user is there.
    #[default]
    Online,
    /// The user is idle.
    Unavailable,
    /// Leave the user's presence alone.
    Offline,
}

/// Whether state is told as of the end of the timeline, and under which name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StateAfter {
    /// `use_state_after`: answered as `state_after` (SYNC-6).
    pub stable: bool,
    /// `org.matrix.msc4222.use_state_after`: answered as `org.matrix.msc4222.state_after` (SYNC-18).
    pub unstable: bool,
}

impl StateAfter {
    const fn wanted(self) -> bool {
        self.stable || self.unstable
    }
}

/// What a client asks for.
#[derive(Debug, Clone, Default)]
pub struct SyncRequest {
    /// A filter's id, or a filter as JSON.
    pub filter: Option<String>,
    /// The token of the last answer.
    pub since: Option<String>,
    /// Whether to send the full state of all rooms.
    pub full_state: bool,
    /// See [`SetPresence`].
    pub set_presence: SetPresence,
    /// How long to wait for news, milliseconds.
    pub timeout_ms: u64,
    /// See [`StateAfter`].
    pub state_after: StateAfter,
}

/// Answers a sync with the JSON of the body, waiting for news if there are none and the client asks to.
///
/// # Errors
/// `InvalidParam` for a token or filter that is not ours, `UnknownToken` if the device is gone, `UserLocked` if the account
/// is locked, also while the request waits.
pub async fn sync(cx: &Context, device: &DeviceRef, request: SyncRequest) -> Result<Vec<u8>> {
    let token = match request.since.as_deref().filter(|since| !since.is_empty()) {
        None => None,
        Some(text) => Some(
            text.parse::<SyncToken>()
                .map_err(|error| ServiceError::invalid_param(format!("The since token is not right: {error}.")))?,
        ),
    };
    let filter = filter::resolve(cx, &device.user_id, request.filter.as_deref()).await?;
    // Before anything is read: the client's own presence is no news to it.
    presence::seen(cx, &device.user_id, request.set_presence).await?;

    let mut start = Start::from_token(token, device.generation);
    let deadline = Instant::now() + Duration::from_millis(request.timeout_ms).min(MAX_TIMEOUT);
    let may_wait = request.timeout_ms > 0 && token.is_some() && !request.full_state;
    // Registered before the read, so that what commits after it wakes.
    let registration = may_wait.then(|| cx.notifier.register(device.user_id.clone(), device.device_id.clone()));
    loop {
        // Boxed, so that a request that only waits is small.
        let step = Box::pin(read(cx, device, &request, &filter, &mut start)).await?;
        let Some(registration) = registration.as_ref().filter(|_| !step.has_news) else {
            return Ok(step.body);
        };
        if cx.notifier.is_closing() || tokio::time::timeout_at(deadline, registration.woken()).await.is_err() {
            presence::seen(cx, &device.user_id, request.set_presence).await?;
            return Ok(step.body);
        }
        if cx.notifier.is_closing() {
            return Ok(step.body);
        }
    }
}

/// One look at the store.
struct Step {
    body: Vec<u8>,
    has_news: bool,
}

async fn read(
    cx: &Context,
    device: &DeviceRef,
    request: &SyncRequest,
    filter: &Filter,
    start: &mut Start,
) -> Result<Step> {
    let mut facts = facts(cx, device, start).await?;
    if start.is_foreign_to(facts.horizon) {
        tracing::warn!(
            user_id = %device.user_id,
            device_id = %device.device_id,
            "a sync token is of another life of the store, answering from the beginning"
        );
        start.restart();
        facts = self::facts(cx, device, start).await?;
    }
    start.acknowledge(cx, device).await?;

    let horizon = facts.horizon.position;
    let next_batch = SyncToken {
        epoch: facts.horizon.epoch,
        position: horizon,
        generation: device.generation,
        inbox: facts.inbox.messages.last().map(|(cursor, _)| cursor.next()),
    };
    let mut answer = Answer::new(next_batch, std::mem::take(&mut facts.key_counts));
    let messages = std::mem::take(&mut facts.inbox.messages);
    let delivered = messages.iter().map(|(_, event)| to_device::deliver(event));
    answer.to_device = Events { events: delivered.collect::<Result<_>>()? };

    let mut view = View::new(cx, device, request, filter, start, &facts);
    view.load_moves(&facts.memberships).await?;
    if let Some(since) = start.since {
        let own = std::mem::take(&mut facts.own_device_lists);
        let key_changes = std::mem::take(&mut facts.device_lists);
        let span = (since, horizon);
        answer.device_lists =
            device_lists::between(cx, view.user(), &facts.memberships, &view.moves, key_changes, own, span).await?;
    }
    answer.account_data = account_data::global(&view, &facts.account_data).into();
    answer.presence = presence::section(&view, &facts.presence).await?.into();
    answer.rooms = rooms::section(&view, &facts).await?;

    // Counts are as of now, the token as of the horizon. A change above a horizon that has not moved is told when it moves:
    // an answer now would leave the client where it is, and it would ask again at once, for as long as a slow commit takes.
    let counts_are_news = start.since.is_some_and(|since| facts.key_counts_changed >= since && horizon > since);
    let has_news = !answer.is_empty() || counts_are_news || start.is_fresh;
    let body = serde_json::to_vec(&answer).map_err(|error| ServiceError::Internal(error.to_string()))?;
    if !has_news {
        // All below the horizon is nothing to this client, so the next look begins there.
        start.advance(horizon);
    }
    Ok(Step { body, has_news })
}

async fn facts(cx: &Context, device: &DeviceRef, start: &Start) -> Result<SyncFacts> {
    let query =
        SyncQuery { device: device.clone(), since: start.since, inbox_from: start.inbox_from, inbox_limit: INBOX_PAGE };
    read_facts(cx, &query).await
}

/// What any kind of sync begins with, each time that it looks.
///
/// # Errors
/// `UnknownToken` and `UserLocked`: the device may be deleted, and the account locked, while a request is on its way or
/// waits.
pub(crate) async fn read_facts(cx: &Context, query: &SyncQuery) -> Result<SyncFacts> {
    match cx.storage.sync_facts(query).await? {
        None => Err(ServiceError::UnknownToken { soft_logout: false }),
        Some(facts) if facts.locked => Err(ServiceError::UserLocked),
        Some(facts) => Ok(facts),
    }
}

/// The beginning of a span, for what is asked for from the beginning of time.
fn span_start(since: Option<Position>) -> Position {
    since.unwrap_or(Position::START)
}

//! Simplified sliding sync (MSC4186 in the form that clients use, SSS-1…8): news of the rooms a client looks at, and of
//! all that encryption needs.
//!
//! An answer is a span of the one stream of changes, as one of [`crate::sync`] is, and is made of the same parts. What is
//! more is that a client does not get all rooms: what it was told of each is remembered in the store ([`connection`]),
//! under a name that is in the `pos` beside the position. So each node can go on with a connection; a `pos` may be used
//! again, and stands for the same; and an answer that tells of rooms the client knows already writes nothing.

mod asked;
mod connection;
mod extensions;
mod lists;
mod look;
mod outside;
mod recency;
mod required;
mod response;
mod room;
mod rooms;
mod told;

use olmstead_domain::position::{Position, SlidingToken, SyncToken};
use olmstead_storage::{
    changes::Horizon,
    devices::DeviceRef,
    sync::{SyncFacts, SyncQuery},
};
use ruma::api::client::sync::sync_events::v5::Request;
use tokio::time::Instant;

use self::{
    asked::{Asked, unknown_pos},
    connection::Connection,
    lists::Windows,
    look::Look,
    response::{Answer, List},
    rooms::Rooms,
    told::Change,
};
use crate::{
    Context, Result, ServiceError,
    sync::{presence, read_facts, start::Start},
};

/// Answers a request with the JSON of the body, waiting for news if there are none and the client asks to.
///
/// # Errors
/// `InvalidParam` for a request beyond the bounds, `UnknownPos` for a `pos` that was not given out on the connection or is
/// forgotten, `UnknownToken` if the device is gone, `UserLocked` if the account is locked.
pub async fn sync(cx: &Context, device: &DeviceRef, request: Request) -> Result<Vec<u8>> {
    let asked = Asked::read(request, &device.user_id)?;
    let connection = Connection::open(cx, device, &asked.connection, asked.pos).await?;
    // Before anything is read: the client's own presence is no news to it.
    presence::seen(cx, &device.user_id, asked.presence).await?;

    let mut place = Place::begin(device, &asked);
    let deadline = Instant::now() + asked.wait;
    let may_wait = !asked.wait.is_zero() && connection.token.is_some();
    // Registered before the read, so that what commits after it wakes.
    let registration = may_wait.then(|| cx.notifier.register(device.user_id.clone(), device.device_id.clone()));
    loop {
        // Boxed, so that a request that only waits is small.
        let step = Box::pin(read(cx, device, &asked, &connection, &mut place)).await?;
        let Some(registration) = registration.as_ref().filter(|_| !step.has_news) else {
            return step.finish(cx, &connection).await;
        };
        if cx.notifier.is_closing() || tokio::time::timeout_at(deadline, registration.woken()).await.is_err() {
            presence::seen(cx, &device.user_id, asked.presence).await?;
            return step.finish(cx, &connection).await;
        }
        if cx.notifier.is_closing() {
            return step.finish(cx, &connection).await;
        }
    }
}

/// Where an answer begins.
struct Place {
    /// The position of the `pos`; later one up to which there was nothing.
    since: Option<Position>,
    inbox: Start,
}

impl Place {
    fn begin(device: &DeviceRef, asked: &Asked) -> Self {
        let token = asked.to_device.as_ref().and_then(|to_device| to_device.since);
        Self { since: asked.pos.map(|token| token.position), inbox: Start::from_token(token, device.generation) }
    }
}

/// One look at the store.
struct Step {
    answer: Answer,
    change: Change,
    has_news: bool,
    horizon: Horizon,
}

impl Step {
    /// Remembers what the answer tells, and makes it. One that tells nothing is not worth a write: the client goes on from
    /// where it was.
    async fn finish(mut self, cx: &Context, connection: &Connection) -> Result<Vec<u8>> {
        let unchanged = connection.unchanged(self.horizon);
        self.answer.pos = match unchanged {
            Some(pos) if self.change.is_empty(&connection.told) => pos,
            Some(_) if !self.has_news => self.answer.pos,
            _ => connection.save(cx, self.change, self.horizon).await?,
        };
        serde_json::to_vec(&self.answer).map_err(|error| ServiceError::Internal(error.to_string()))
    }
}

async fn read(
    cx: &Context,
    device: &DeviceRef,
    asked: &Asked,
    connection: &Connection,
    place: &mut Place,
) -> Result<Step> {
    let mut facts = facts(cx, device, asked, connection, place).await?;
    if connection.token.is_some_and(|token| is_foreign(&token, facts.horizon)) {
        return Err(unknown_pos());
    }
    if place.inbox.is_foreign_to(facts.horizon) {
        place.inbox.restart();
        facts = self::facts(cx, device, asked, connection, place).await?;
    }
    if asked.to_device.is_some() {
        place.inbox.acknowledge(cx, device).await?;
    }
    let horizon = facts.horizon;
    let look =
        Look::new(cx, device, asked, connection, place.since, &facts, to_device(device, asked, place, &facts)).await?;
    let (windows, rooms) = if asked.wants_rooms() || !connection.told.rooms.is_empty() {
        let windows = lists::windows(&look).await?;
        let rooms = rooms::section(&look, &windows).await?;
        (windows, rooms)
    } else {
        (Windows { counts: Default::default(), rooms: Default::default() }, Rooms::default())
    };
    let extensions = extensions::section(&look, &rooms.scopes).await?;

    let told = &connection.told;
    let has_news = place.since.is_none()
        || !rooms.told.is_empty()
        || extensions.has_news
        || extensions.reached.begins_after(&told.extensions)
        || windows.counts.iter().any(|(name, count)| told.counts.get(name) != Some(count));
    let answer = Answer {
        // Made when it is known whether anything has to be remembered.
        pos: connection.token.unwrap_or(SlidingToken {
            epoch: horizon.epoch,
            position: horizon.position,
            state: 0,
            seal: 0,
        }),
        lists: windows.counts.iter().map(|(name, count)| (name.clone(), List { count: *count })).collect(),
        rooms: rooms.told,
        extensions: extensions.answer,
    };
    let change =
        Change { rooms: rooms.change, sets: rooms.sets, extensions: extensions.reached, counts: windows.counts };
    if !has_news {
        if asked.to_device.as_ref().is_some_and(|to_device| to_device.limit > 0) {
            place.inbox.advance(horizon.position);
        }
        if change.is_empty(told) {
            // All below the horizon is nothing to this client, so the next look begins there.
            place.since = Some(horizon.position);
        }
    }
    Ok(Step { answer, change, has_news, horizon })
}

async fn facts(
    cx: &Context,
    device: &DeviceRef,
    asked: &Asked,
    connection: &Connection,
    place: &Place,
) -> Result<SyncFacts> {
    let query = SyncQuery {
        device: device.clone(),
        since: if asked.e2ee { extensions::e2ee_since(&connection.told, place.since) } else { place.since },
        inbox_from: place.inbox.inbox_from,
        inbox_limit: asked.to_device.as_ref().map_or(0, |to_device| to_device.limit),
    };
    read_facts(cx, &query).await
}

/// Whether a `pos` cannot have come from this store as it is now: it is of another epoch, or of a future that a restore has
/// undone. The client is to begin again.
fn is_foreign(token: &SlidingToken, horizon: Horizon) -> bool {
    token.epoch != horizon.epoch || token.position > horizon.position
}

/// The token of to-device messages after this answer.
fn to_device(device: &DeviceRef, asked: &Asked, place: &Place, facts: &SyncFacts) -> SyncToken {
    let wants_none = asked.to_device.as_ref().is_some_and(|to_device| to_device.limit == 0);
    SyncToken {
        epoch: facts.horizon.epoch,
        position: facts.horizon.position,
        generation: device.generation,
        inbox: match facts.inbox.messages.last() {
            Some((cursor, _)) => Some(cursor.next()),
            // It was not looked at: delivery goes on where it was.
            None if wants_none => Some(place.inbox.inbox_from),
            None => None,
        },
    }
}

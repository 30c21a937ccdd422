//! Events as a client gets them, with all that the server adds: age, transaction, membership, what was replaced, why it
//! was redacted, and what is related to it.

use std::collections::{BTreeSet, HashMap};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use olmstead_domain::{
    json::RawJson,
    position::Cursor,
    rooms::{
        Pdu,
        client_event::{Form, Unsigned, client_event},
        redact::redact,
        relations::Bundle,
    },
};
use olmstead_storage::{
    devices::DeviceRef,
    rooms::{Direction, RelationQuery, StoredEvent},
};
use ruma::{OwnedEventId, OwnedUserId, RoomId, UserId};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::visibility::History;
use crate::{Context, Result};

/// Children of one event that are summed up for its bundle.
const MAX_CHILDREN: usize = 5_000;

/// Reads for different events that run at once.
const CONCURRENT: usize = 8;

/// How events are to look.
#[derive(Debug, Clone, Copy)]
pub struct RenderOptions {
    /// With or without `room_id`.
    pub form: Form,
    /// Whether to bundle related events; costs a read for each event that may have some.
    pub bundle: bool,
    /// Whether to tell what state events replaced; costs a read of all those.
    pub replaced: bool,
}

impl RenderOptions {
    /// Everything, with `room_id`.
    pub const FULL: Self = Self { form: Form::Full, bundle: true, replaced: true };
    /// Lists of state, which may be long.
    pub const STATE: Self = Self { form: Form::Full, bundle: false, replaced: false };
}

/// Renders events of one room for a device. Whether the user may see them is decided before
/// ([`super::visibility::visible_events`]).
pub async fn render_events(
    cx: &Context,
    device: &DeviceRef,
    room_id: &RoomId,
    events: &[StoredEvent],
    options: RenderOptions,
) -> Result<Vec<RawJson>> {
    let history = History::load(cx, &device.user_id, room_id).await?;
    render_with(cx, device, &history, events, options).await
}

/// [`render_events`] by one who has the history already.
pub async fn render_with(
    cx: &Context,
    device: &DeviceRef,
    history: &History,
    events: &[StoredEvent],
    options: RenderOptions,
) -> Result<Vec<RawJson>> {
    let now = cx.now();
    let replaced = if options.replaced { replaced_events(cx, history, events).await? } else { HashMap::new() };
    let bundles = if options.bundle { bundles(cx, device, history, events, now).await? } else { Vec::new() };
    Ok(events
        .iter()
        .enumerate()
        .filter_map(|(index, event)| {
            let relations = bundles.get(index).and_then(Option::as_deref);
            one(event, device, history, &replaced, relations, options.form, now)
        })
        .collect())
}

/// The event as it is to be shown: in its redacted form if it was redacted. `None` for one that cannot be redacted
/// as it
/// must be, since showing it whole is no choice.
#[must_use]
pub fn as_shown(event: &StoredEvent) -> Option<Pdu> {
    if event.redacted_by.is_none() {
        return Some(event.pdu.clone());
    }
    match redact(&event.pdu) {
        Ok(pdu) => Some(pdu),
        Err(error) => {
            tracing::error!(event_id = %event.pdu.event_id(), %error, "an event cannot be redacted, it is left out");
            None
        }
    }
}

fn one(
    event: &StoredEvent,
    device: &DeviceRef,
    history: &History,
    replaced: &HashMap<OwnedEventId, StoredEvent>,
    relations: Option<&RawValue>,
    form: Form,
    now: u64,
) -> Option<RawJson> {
    let membership = history.membership_at(event);
    let because = event
        .redacted_by
        .as_ref()
        .map(|redaction| client_event(redaction, form, &Unsigned { now: Some(now), ..Unsigned::default() }));
    let previous = event.replaces.as_ref().and_then(|id| replaced.get(id)).and_then(as_shown);
    let unsigned = Unsigned {
        now: Some(now),
        transaction_id: own_transaction(event, device),
        membership: Some(&membership),
        prev_content: previous.as_ref().map(Pdu::content),
        replaces_state: event.replaces.as_deref(),
        relations,
        redacted_because: because.as_deref(),
    };
    Some(RawJson::from(client_event(&as_shown(event)?, form, &unsigned)))
}

/// The transaction id, for the device that sent the event and no other.
fn own_transaction<'a>(event: &'a StoredEvent, device: &DeviceRef) -> Option<&'a str> {
    let (device_id, generation, transaction_id) = event.transaction.as_ref()?;
    (event.pdu.sender() == device.user_id && *device_id == device.device_id && *generation == device.generation)
        .then_some(transaction_id.as_str())
}

/// The state events that these replaced, as far as the user may see them.
async fn replaced_events(
    cx: &Context,
    history: &History,
    events: &[StoredEvent],
) -> Result<HashMap<OwnedEventId, StoredEvent>> {
    let ids: Vec<OwnedEventId> = events.iter().filter_map(|event| event.replaces.clone()).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let found = cx.storage.events(&ids).await?;
    Ok(found
        .into_iter()
        .flatten()
        .filter(|event| history.may_see(event))
        .map(|event| (event.pdu.event_id().to_owned(), event))
        .collect())
}

fn may_have_children(event: &StoredEvent) -> bool {
    !event.pdu.is_state() && !matches!(event.pdu.kind(), "m.reaction" | "m.room.redaction")
}

/// What is bundled with each of the events.
async fn bundles(
    cx: &Context,
    device: &DeviceRef,
    history: &History,
    events: &[StoredEvent],
    now: u64,
) -> Result<Vec<Option<Box<RawValue>>>> {
    let reads: Vec<_> = events.iter().map(|event| children(cx, history, event)).collect();
    let children: Vec<Vec<StoredEvent>> = stream::iter(reads).buffered(CONCURRENT).try_collect().await?;
    if children.iter().all(Vec::is_empty) {
        return Ok(Vec::new());
    }
    let ignored = ignored_users(cx, &device.user_id).await?;
    Ok(events
        .iter()
        .zip(&children)
        .map(|(event, children)| bundle(device, history, event, children, &ignored, now))
        .collect())
}

/// The events that relate to an event, as far as the user may see them.
async fn children(cx: &Context, history: &History, event: &StoredEvent) -> Result<Vec<StoredEvent>> {
    if !may_have_children(event) {
        return Ok(Vec::new());
    }
    let (room_id, event_id) = (event.pdu.room_id(), event.pdu.event_id());
    let query = RelationQuery::default();
    let page = cx
        .storage
        .relations(room_id, event_id, &query, Cursor::START, Cursor::END, MAX_CHILDREN, Direction::Forward)
        .await?;
    Ok(page.events.into_iter().filter(|child| child.redacted_by.is_none() && history.may_see(child)).collect())
}

fn bundle(
    device: &DeviceRef,
    history: &History,
    event: &StoredEvent,
    children: &[StoredEvent],
    ignored: &BTreeSet<OwnedUserId>,
    now: u64,
) -> Option<Box<RawValue>> {
    let bundle = Bundle::collect(
        &event.pdu,
        event.redacted_by.is_some(),
        children.iter().map(|child| &child.pdu),
        &device.user_id,
        ignored,
    );
    let none = HashMap::new();
    bundle.render(|pdu| {
        let stored = children.iter().find(|child| child.pdu.same_event(pdu));
        let rendered = stored.and_then(|stored| one(stored, device, history, &none, None, Form::Full, now));
        rendered.map_or_else(
            || client_event(pdu, Form::Full, &Unsigned::default()),
            |rendered| rendered.as_raw().to_owned(),
        )
    })
}

/// Whom a user ignores (`m.ignored_user_list`); malformed data counts as nobody.
pub async fn ignored_users(cx: &Context, user_id: &UserId) -> Result<BTreeSet<OwnedUserId>> {
    #[derive(Deserialize)]
    struct Ignored {
        #[serde(default)]
        ignored_users: HashMap<String, serde::de::IgnoredAny>,
    }
    let data = cx.storage.account_data(user_id, None, "m.ignored_user_list").await?;
    let list = data.and_then(|data| data.read::<Ignored>().ok().map(|list| list.ignored_users));
    Ok(list.into_iter().flatten().filter_map(|(user, _)| UserId::parse(user).ok()).collect())
}

//! Account data in an answer (SYNC-14).

use olmstead_domain::{json::RawJson, push::rules_of};
use olmstead_storage::account_data::{AccountDataEntry, PUSH_RULES};
use ruma::push::Ruleset;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::{response::Json, view::View};

#[derive(Serialize)]
struct Entry<'a, T: ?Sized> {
    #[serde(rename = "type")]
    kind: &'a str,
    content: &'a T,
}

/// An entry as an event.
pub(crate) fn event<T: Serialize + ?Sized>(kind: &str, content: &T) -> Option<Json> {
    to_raw_value(&Entry { kind, content }).ok()
}

/// Global account data.
pub(crate) fn global(view: &View<'_>, entries: &[AccountDataEntry]) -> Vec<Json> {
    let wanted = |kind: &str| view.filter.account_data.admits(kind, None);
    let mut events: Vec<Json> = entries
        .iter()
        .filter(|entry| entry.room_id.is_none() && wanted(&entry.kind))
        .filter_map(|entry| match entry.kind.as_str() {
            PUSH_RULES => push_rules(view, Some(&entry.content)),
            kind => event(kind, entry.content.as_raw()),
        })
        .collect();
    let has_rules = entries.iter().any(|entry| entry.room_id.is_none() && entry.kind == PUSH_RULES);
    if view.is_first() && !has_rules && wanted(PUSH_RULES) {
        // Everyone has push rules, also those who never changed any.
        events.extend(push_rules(view, None));
    }
    events
}

/// The push rules as they are in force: with the default rules of this release.
fn push_rules(view: &View<'_>, stored: Option<&RawJson>) -> Option<Json> {
    #[derive(Serialize)]
    struct Content {
        global: Ruleset,
    }
    let stored: Option<&RawValue> = stored.map(RawJson::as_raw);
    event(PUSH_RULES, &Content { global: rules_of(view.user(), stored) })
}

/// Account data of one room. For a room that is told from its beginning, also what was set before the span.
pub(super) async fn of_room(
    view: &View<'_>,
    room_id: &ruma::RoomId,
    entries: &[&AccountDataEntry],
    from_beginning: bool,
) -> crate::Result<Vec<Json>> {
    let wanted = |entry: &AccountDataEntry| view.filter.room.account_data.admits_kind(room_id, &entry.kind);
    let mut events = Vec::new();
    if let Some(since) = view.since.filter(|_| from_beginning && !view.is_first()) {
        let earlier = view
            .cx
            .storage
            .account_data_between(view.user(), olmstead_domain::position::Position::START, since)
            .await?;
        let earlier = earlier.iter().filter(|entry| entry.room_id.as_deref() == Some(room_id) && wanted(entry));
        events.extend(earlier.filter_map(|entry| event(&entry.kind, entry.content.as_raw())));
    }
    let new = entries.iter().filter(|entry| wanted(entry));
    events.extend(new.filter_map(|entry| event(&entry.kind, entry.content.as_raw())));
    Ok(events)
}

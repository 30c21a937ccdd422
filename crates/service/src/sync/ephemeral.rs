//! Receipts and typing in a room.

use std::collections::BTreeMap;

use olmstead_storage::{ephemeral::Receipt, rooms::RoomMembership};
use ruma::{OwnedEventId, OwnedUserId, UserId};
use serde::Serialize;

use super::{account_data::event, response::Json, span_start, view::View};
use crate::Result;

const RECEIPT: &str = "m.receipt";
const TYPING: &str = "m.typing";
/// Receipts of this kind are for their owner's eyes only.
const PRIVATE: &str = "m.read.private";

/// Ephemeral events of a room that are new; for a room that is told from its beginning, all there are.
pub(super) async fn section(view: &View<'_>, room: &RoomMembership, from_beginning: bool) -> Result<Vec<Json>> {
    if !from_beginning && !view.is_new(room.last_ephemeral) {
        return Ok(Vec::new());
    }
    let room_id = &room.room_id;
    let from = if from_beginning { Default::default() } else { span_start(view.since) };
    let wanted = |kind| view.filter.room.ephemeral.admits_kind(room_id, kind);
    let mut events = Vec::new();
    if wanted(RECEIPT) {
        let receipts = view.cx.storage.receipts_between(room_id, from, view.horizon).await?;
        events.extend(receipt_events(receipts, view.user()));
    }
    if wanted(TYPING) {
        let (users, changed) = view.cx.storage.typing(room_id, view.now).await?;
        let is_news = if from_beginning { !users.is_empty() } else { changed >= from };
        if is_news {
            events.extend(typing_event(&users));
        }
    }
    Ok(events)
}

pub(crate) fn typing_event(users: &[OwnedUserId]) -> Option<Json> {
    #[derive(Serialize)]
    struct Content<'a> {
        user_ids: &'a [OwnedUserId],
    }
    event(TYPING, &Content { user_ids: users })
}

#[derive(Serialize)]
struct Mark<'a> {
    ts: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_id: Option<&'a str>,
}

type Users<'a> = BTreeMap<&'a OwnedUserId, Mark<'a>>;
type Content<'a> = BTreeMap<&'a OwnedEventId, BTreeMap<&'a str, Users<'a>>>;

/// One event a thread, since a user may have several receipts on one event.
fn receipt_events(receipts: Vec<Receipt>, reader: &UserId) -> Vec<Json> {
    let mut threads: BTreeMap<Option<&str>, Content<'_>> = BTreeMap::new();
    for receipt in receipts.iter().filter(|receipt| may_read(receipt, reader)) {
        let thread_id = receipt.thread_id.as_deref();
        let marks = threads.entry(thread_id).or_default().entry(&receipt.event_id).or_default();
        marks.entry(&receipt.kind).or_default().insert(&receipt.user_id, Mark { ts: receipt.at, thread_id });
    }
    threads.values().filter_map(|content| event(RECEIPT, content)).collect()
}

/// All receipts in one event, for where a room has no more than one. Of several receipts of a user on one event the
/// unthreaded one is told, since it holds for all threads.
pub(crate) fn receipt_event(receipts: &[Receipt], reader: &UserId) -> Option<Json> {
    let mut content: Content<'_> = BTreeMap::new();
    for receipt in receipts.iter().filter(|receipt| may_read(receipt, reader)) {
        let thread_id = receipt.thread_id.as_deref();
        let marks = content.entry(&receipt.event_id).or_default().entry(&receipt.kind).or_default();
        let mark = Mark { ts: receipt.at, thread_id };
        if thread_id.is_none() {
            marks.insert(&receipt.user_id, mark);
        } else {
            marks.entry(&receipt.user_id).or_insert(mark);
        }
    }
    if content.is_empty() { None } else { event(RECEIPT, &content) }
}

fn may_read(receipt: &Receipt, reader: &UserId) -> bool {
    receipt.kind != PRIVATE || receipt.user_id == reader
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use olmstead_domain::position::Position;
    use serde_json::{Value, json};

    use super::*;

    fn receipt(user: &str, kind: &str, thread: Option<&str>, event: &str) -> Receipt {
        Receipt {
            user_id: user.try_into().unwrap(),
            kind: kind.to_owned(),
            thread_id: thread.map(str::to_owned),
            event_id: event.try_into().unwrap(),
            at: 5,
            position: Position(1),
        }
    }

    #[test]
    fn one_event_holds_the_receipts_of_all_threads() {
        let me: OwnedUserId = "@me:b".try_into().unwrap();
        let receipts = [
            receipt("@a:b", "m.read", Some("main"), "$1"),
            receipt("@a:b", "m.read", None, "$1"),
            receipt("@c:b", "m.read", Some("$t"), "$1"),
            receipt("@a:b", PRIVATE, None, "$2"),
        ];
        let event = receipt_event(&receipts, &me).unwrap();
        let value: Value = serde_json::from_str(event.get()).unwrap();
        let expected = json!({"$1": {"m.read": {"@a:b": {"ts": 5}, "@c:b": {"ts": 5, "thread_id": "$t"}}}});
        assert_eq!(value["content"], expected);
        assert!(receipt_event(&receipts[3..], &me).is_none());
    }

    #[test]
    fn receipts_are_grouped_by_thread_and_private_ones_of_others_hidden() {
        let me: OwnedUserId = "@me:b".try_into().unwrap();
        let events = receipt_events(
            vec![
                receipt("@a:b", "m.read", None, "$1"),
                receipt("@c:b", "m.read", None, "$1"),
                receipt("@a:b", "m.read", Some("main"), "$1"),
                receipt("@a:b", PRIVATE, None, "$2"),
                receipt("@me:b", PRIVATE, None, "$2"),
            ],
            &me,
        );
        let values: Vec<Value> = events.iter().map(|event| serde_json::from_str(event.get()).unwrap()).collect();
        assert_eq!(
            values,
            [
                json!({"type": "m.receipt", "content": {
                    "$1": {"m.read": {"@a:b": {"ts": 5}, "@c:b": {"ts": 5}}},
                    "$2": {"m.read.private": {"@me:b": {"ts": 5}}},
                }}),
                json!({"type": "m.receipt", "content": {"$1": {"m.read": {"@a:b": {"ts": 5, "thread_id": "main"}}}}}),
            ]
        );
    }
}

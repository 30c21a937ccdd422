//! Unread counts of rooms: how many events since the user's receipts their push rules notify of.
//!
//! They are counted at reading and kept in a cache with the place up to which they count, so that a message costs the
//! reader one evaluation and the sender nothing. Counting from nothing looks at a bounded number of events.
//!
//! Another node may have taken a receipt and answered with it. So a kept count also says below which horizon it knows all
//! receipts, and is counted on only if the room has none from there on. It is a horizon and not the newest receipt seen,
//! since a receipt with a lower position may commit after one with a higher.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use olmstead_domain::{
    position::{Cursor, Position},
    push::PushEvent,
    rooms::{
        PowerLevels,
        relations::{Relation, THREAD},
    },
};
use olmstead_storage::rooms::{Direction, Membership, RoomMembership, StateSelection, StoredEvent};
use ruma::{OwnedEventId, UserId, events::room::member::MembershipState};
use serde::Serialize;

use crate::{Context, Result, sync::UserSettings};

/// How many events are looked at to count.
const SCAN: usize = 100;
/// How many unread notifications of a room are remembered; more are not counted.
const MAX_MARKS: usize = 1_000;
/// The thread id of receipts for events outside threads.
const MAIN: &str = "main";

/// Counts of one room or thread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Those that stand out.
    #[serde(rename = "highlight_count")]
    pub highlights: u64,
    /// All that notify.
    #[serde(rename = "notification_count")]
    pub notifications: u64,
}

impl Counts {
    fn add(&mut self, mark: &Mark) {
        self.notifications += 1;
        self.highlights += u64::from(mark.highlight);
    }
}

/// An unread event that notifies.
#[derive(Debug, Clone)]
struct Mark {
    cursor: Cursor,
    event_id: OwnedEventId,
    thread: Option<OwnedEventId>,
    highlight: bool,
}

/// Up to where the user has read: events at or below are read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Floors {
    /// All events: unthreaded receipts, and where the user joined.
    all: Option<Cursor>,
    /// Events outside threads.
    main: Option<Cursor>,
    /// Events of threads.
    threads: BTreeMap<String, Cursor>,
}

impl Floors {
    fn is_read(&self, cursor: Cursor, thread: Option<&str>) -> bool {
        let own = match thread {
            None => self.main,
            Some(root) => self.threads.get(root).copied(),
        };
        Some(cursor) <= self.all || Some(cursor) <= own
    }

    /// Whether something that was read is unread by `newer`.
    fn is_beyond(&self, newer: &Self) -> bool {
        self.all > newer.all
            || self.main > newer.main
            || self.threads.iter().any(|(thread, cursor)| Some(cursor) > newer.threads.get(thread))
    }

    fn raise(&mut self, thread: Option<&str>, cursor: Cursor) {
        let floor = match thread {
            None => self.all.get_or_insert(cursor),
            Some(MAIN) => self.main.get_or_insert(cursor),
            Some(root) => self.threads.entry(root.to_owned()).or_insert(cursor),
        };
        *floor = cursor.max(*floor);
    }
}

/// What push rules need to know of a room.
#[derive(Debug, Clone)]
struct RoomContext {
    members: u64,
    levels: Option<PowerLevels>,
    display_name: String,
}

/// The counts of one user in one room, up to a place.
#[derive(Debug, Clone)]
pub(crate) struct Counted {
    upto: Cursor,
    /// All receipts below are in `floors`.
    receipts_below: Position,
    settings: u64,
    own_event: Cursor,
    floors: Floors,
    marks: Vec<Arc<Mark>>,
    context: Option<Arc<RoomContext>>,
}

impl Counted {
    /// How many marks it holds.
    pub(crate) fn len(&self) -> usize {
        self.marks.len()
    }

    /// The room's counts, and those of its threads; without `by_thread` the threads count into the room.
    pub(crate) fn totals(&self, by_thread: bool) -> (Counts, BTreeMap<OwnedEventId, Counts>) {
        let mut room = Counts::default();
        let mut threads: BTreeMap<OwnedEventId, Counts> = BTreeMap::new();
        for mark in &self.marks {
            match mark.thread.as_ref().filter(|_| by_thread) {
                None => room.add(mark),
                Some(root) => threads.entry(root.clone()).or_default().add(mark),
            }
        }
        (room, threads)
    }

    fn is_current(&self, room: &RoomMembership, settings: &UserSettings) -> bool {
        self.settings == settings.version && self.own_event == room.cursor
    }

    fn knows_receipts(&self, room: &RoomMembership) -> bool {
        room.last_ephemeral < self.receipts_below
    }

    /// Counts events, oldest first.
    fn count(&mut self, events: &[StoredEvent], user_id: &UserId, settings: &UserSettings, context: &RoomContext) {
        for stored in events {
            let pdu = &stored.pdu;
            if let Some(target) = pdu.redacts() {
                self.marks.retain(|mark| mark.event_id != target);
            }
            if pdu.sender() == user_id || stored.redacted_by.is_some() || settings.ignored.contains(pdu.sender()) {
                continue;
            }
            let thread = self.thread_of(stored);
            if self.floors.is_read(stored.cursor, thread.as_ref().map(|root| root.as_str())) {
                continue;
            }
            let mut event = PushEvent::new(pdu, context.members, context.levels.as_ref());
            let outcome = event.evaluate(user_id, &context.display_name, &settings.rules);
            if outcome.notify {
                self.marks.push(Arc::new(Mark {
                    cursor: stored.cursor,
                    event_id: pdu.event_id().to_owned(),
                    thread,
                    highlight: outcome.highlight,
                }));
            }
        }
        let surplus = self.marks.len().saturating_sub(MAX_MARKS);
        self.marks.drain(..surplus);
    }

    /// The thread an event is in, by itself or through an unread event it relates to.
    fn thread_of(&self, stored: &StoredEvent) -> Option<OwnedEventId> {
        let relation = Relation::of(&stored.pdu)?;
        if relation.rel_type == THREAD {
            return Some(relation.event_id);
        }
        self.marks.iter().find(|mark| mark.event_id == relation.event_id).and_then(|mark| mark.thread.clone())
    }
}

/// Counts a room for one of its members up to `horizon`. `known` may give, without a read, all timeline events of the
/// room from a place up to the horizon, oldest first.
pub(crate) async fn count(
    cx: &Context,
    user_id: &UserId,
    room: &RoomMembership,
    settings: &UserSettings,
    horizon: Position,
    known: impl FnOnce(Cursor) -> Option<Vec<StoredEvent>> + Send,
) -> Result<Arc<Counted>> {
    let key = (user_id.to_owned(), room.room_id.clone());
    let end = Cursor::at(horizon);
    let cached = cx.caches.unread.get(&key).filter(|counted| counted.is_current(room, settings));
    if let Some(counted) = cached.as_ref().filter(|counted| counted.upto >= end && counted.knows_receipts(room)) {
        return Ok(Arc::clone(counted));
    }
    let mut counted = match cached {
        Some(counted) if counted.knows_receipts(room) => (*counted).clone(),
        other => {
            let floors = floors(cx, user_id, room).await?;
            match other.filter(|counted| !counted.floors.is_beyond(&floors)) {
                Some(counted) => {
                    Counted { floors, receipts_below: counted.receipts_below.max(horizon), ..(*counted).clone() }
                }
                None => Counted {
                    upto: floors.all.map_or(Cursor::START, Cursor::next),
                    receipts_below: horizon,
                    settings: settings.version,
                    own_event: room.cursor,
                    floors,
                    marks: Vec::new(),
                    context: None,
                },
            }
        }
    };
    let floors = &counted.floors;
    counted.marks.retain(|mark| !floors.is_read(mark.cursor, mark.thread.as_ref().map(|root| root.as_str())));

    if counted.upto < end {
        let (events, more) = match known(counted.upto) {
            Some(events) => (events, false),
            None => newest(cx, room, counted.upto, end).await?,
        };
        if more || events.iter().any(changes_context) {
            counted.context = None;
        }
        if events.iter().any(|stored| stored.pdu.sender() != user_id) {
            let context = match counted.context.take() {
                Some(context) => context,
                None => Arc::new(room_context(cx, user_id, room, end).await?),
            };
            counted.count(&events, user_id, settings, &context);
            counted.context = Some(context);
        }
        counted.upto = end;
    }
    let counted = Arc::new(counted);
    cx.caches.unread.insert(key, Arc::clone(&counted));
    Ok(counted)
}

/// The newest events of a span, oldest first, and whether there are more before them.
async fn newest(cx: &Context, room: &RoomMembership, from: Cursor, to: Cursor) -> Result<(Vec<StoredEvent>, bool)> {
    let page = cx.storage.timeline(&room.room_id, from, to, SCAN, Direction::Backward).await?;
    let mut events = page.events;
    events.reverse();
    Ok((events, page.more))
}

fn changes_context(stored: &StoredEvent) -> bool {
    stored.pdu.is_state() && matches!(stored.pdu.kind(), "m.room.member" | "m.room.power_levels" | "m.room.create")
}

async fn room_context(cx: &Context, user_id: &UserId, room: &RoomMembership, at: Cursor) -> Result<RoomContext> {
    let entries = [("m.room.create", ""), ("m.room.power_levels", ""), ("m.room.member", user_id.as_str())];
    let select =
        StateSelection::These(entries.iter().map(|(kind, key)| ((*kind).to_owned(), (*key).to_owned())).collect());
    let (head, state) =
        tokio::try_join!(cx.storage.room_head(&room.room_id), cx.storage.state(&room.room_id, Some(at), select))?;
    let entry = |kind: &str| state.iter().map(|stored| &stored.pdu).find(|pdu| pdu.kind() == kind);
    Ok(RoomContext {
        members: head.map_or(0, |head| head.joined_count),
        levels: entry("m.room.create").map(|create| PowerLevels::read(create, entry("m.room.power_levels"))),
        display_name: entry("m.room.member")
            .and_then(|own| own.content_field::<String>("displayname"))
            .unwrap_or_else(|| user_id.localpart().to_owned()),
    })
}

/// Reads the user's receipts. Of a public and a private one the later counts.
async fn floors(cx: &Context, user_id: &UserId, room: &RoomMembership) -> Result<Floors> {
    let receipts = cx.storage.receipts_of(&room.room_id, user_id).await?;
    let mut floors = Floors::default();
    floors.raise(None, joined_at(cx, user_id, room).await?);
    if receipts.is_empty() {
        return Ok(floors);
    }
    let event_ids: Vec<OwnedEventId> = receipts.iter().map(|receipt| receipt.event_id.clone()).collect();
    let events = cx.storage.events(&event_ids).await?;
    let places: HashMap<OwnedEventId, Cursor> =
        event_ids.into_iter().zip(events).filter_map(|(event_id, stored)| Some((event_id, stored?.cursor))).collect();
    for receipt in &receipts {
        if let Some(cursor) = places.get(&receipt.event_id) {
            floors.raise(receipt.thread_id.as_deref(), *cursor);
        }
    }
    Ok(floors)
}

/// Where the user last came into the room. A new name is a member event as well, and no joining.
pub(crate) async fn joined_at(cx: &Context, user_id: &UserId, room: &RoomMembership) -> Result<Cursor> {
    if room.previous != Some(Membership::Join) {
        return Ok(room.cursor);
    }
    let history = cx.storage.state_history(&room.room_id, "m.room.member", user_id.as_str()).await?;
    let joins = history.iter().rev().take_while(|stored| stored.pdu.membership() == Some(MembershipState::Join));
    Ok(joins.last().map_or(room.cursor, |stored| stored.cursor))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(position: u64) -> Cursor {
        Cursor::at(Position(position))
    }

    fn counted(marks: &[(u64, Option<&str>, bool)]) -> Counted {
        Counted {
            upto: at(100),
            receipts_below: Position(1),
            settings: 1,
            own_event: at(1),
            floors: Floors::default(),
            marks: marks
                .iter()
                .map(|(position, thread, highlight)| {
                    Arc::new(Mark {
                        cursor: at(*position),
                        event_id: format!("${position}").try_into().unwrap(),
                        thread: thread.map(|root| root.try_into().unwrap()),
                        highlight: *highlight,
                    })
                })
                .collect(),
            context: None,
        }
    }

    #[test]
    fn threads_count_alone_or_into_the_room() {
        let counted = counted(&[(1, None, true), (2, Some("$1"), false), (3, Some("$1"), true)]);
        let (room, threads) = counted.totals(false);
        assert_eq!(room, Counts { highlights: 2, notifications: 3 });
        assert!(threads.is_empty());
        let (room, threads) = counted.totals(true);
        assert_eq!(room, Counts { highlights: 1, notifications: 1 });
        assert_eq!(threads.into_values().collect::<Vec<_>>(), [Counts { highlights: 1, notifications: 2 }]);
    }

    #[test]
    fn receipts_read_what_they_cover() {
        let mut floors = Floors::default();
        floors.raise(None, at(5));
        floors.raise(Some("main"), at(8));
        floors.raise(Some("$root"), at(10));
        floors.raise(None, at(3));
        assert!(floors.is_read(at(5), None) && floors.is_read(at(5), Some("$other")));
        assert!(floors.is_read(at(8), None) && !floors.is_read(at(9), None));
        assert!(floors.is_read(at(10), Some("$root")) && !floors.is_read(at(6), Some("$other")));
    }

    #[test]
    fn a_receipt_may_commit_after_one_with_a_higher_position() {
        let room = |last_ephemeral| RoomMembership {
            room_id: "!r:example.org".try_into().unwrap(),
            membership: Membership::Join,
            event_id: "$e".try_into().unwrap(),
            sender: "@a:example.org".try_into().unwrap(),
            cursor: at(1),
            previous: None,
            last_event: Position(5),
            last_membership: Position(1),
            last_ephemeral: Position(last_ephemeral),
            encrypted_at: None,
        };
        let counted = Counted { receipts_below: Position(10), ..counted(&[]) };
        assert!(counted.knows_receipts(&room(9)));
        assert!(!counted.knows_receipts(&room(10)), "one at 10 may not have been there when they were read");
        assert!(!counted.knows_receipts(&room(12)), "and not even if 12 was");
    }

    #[test]
    fn a_receipt_that_moves_back_is_noticed() {
        let mut old = Floors::default();
        old.raise(None, at(5));
        let mut new = old.clone();
        new.raise(Some("main"), at(7));
        assert!(!old.is_beyond(&new));
        assert!(new.is_beyond(&old));
    }
}

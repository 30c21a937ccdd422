//! The timeline of a room in an answer.

use std::collections::{BTreeSet, HashMap};

use olmstead_domain::{
    position::{Cursor, TimelineToken},
    rooms::{
        Pdu,
        membership::membership_of,
        relations::{Bundle, Relation},
        visibility::Ask,
    },
};
use olmstead_storage::rooms::{Direction, Membership, RoomMembership, StoredEvent};
use ruma::{EventId, OwnedEventId, OwnedUserId, UserId, events::room::member::MembershipState};

use super::{
    events::{Beside, event, plain},
    response::{Json, TimelineSection},
    view::View,
};
use crate::{Result, rooms::relations::admits_children};

/// How many pages are read in search of events that the filter lets through.
const ROUNDS: usize = 6;

/// An event the reader may see, with their membership at it.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) stored: StoredEvent,
    pub(crate) membership: MembershipState,
}

/// The newest events of a span.
#[derive(Debug)]
pub(crate) struct Timeline {
    /// Oldest first.
    pub(crate) lines: Vec<Line>,
    /// Whether older events of the span were left out.
    pub(crate) limited: bool,
    /// Where the client's state has to stand for the timeline to go on from it.
    pub(crate) start: Cursor,
    /// Everything from here to the end of the span is in `lines`; `None` if something was filtered out.
    pub(crate) whole_from: Option<Cursor>,
    prev_batch: Cursor,
    /// Events that relate to others, oldest first.
    children: Vec<Pdu>,
}

/// How the reader stood to the room in the span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// Joined throughout.
    Throughout,
    /// Not always: events are judged one by one.
    Partly,
}

impl Timeline {
    /// A timeline in whose span nothing happened.
    pub(crate) fn empty((from, to): (Cursor, Cursor)) -> Self {
        Self {
            lines: Vec::new(),
            limited: false,
            start: from,
            whole_from: Some(from),
            prev_batch: to,
            children: Vec::new(),
        }
    }

    /// Reads the newest events from `from`, included, to `to`, excluded, that the filter admits and the reader may see.
    pub(crate) async fn load(
        view: &View<'_>,
        room: &RoomMembership,
        (from, to): (Cursor, Cursor),
        presence: Presence,
        ignored: &BTreeSet<OwnedUserId>,
    ) -> Result<Self> {
        let filter = &view.filter.room.timeline;
        let limit = filter.limit();
        let mut found = Self::empty((from, to));
        found.whole_from = Some(to);
        if !filter.admits_room(&room.room_id) {
            found.whole_from = None;
            found.start = to;
            return Ok(found);
        }
        // One at least, also for who wants none: that there is something makes the timeline limited.
        let ask = if filter.admits_all() && ignored.is_empty() { limit.max(1) } else { (limit * 2).clamp(50, 200) };
        let mut past = None;
        let mut below = to;
        let mut complete = false;
        'rounds: for _ in 0..ROUNDS {
            let page = view.cx.storage.timeline(&room.room_id, from, below, ask, Direction::Backward).await?;
            let Some(oldest) = page.events.last().map(|stored| stored.cursor) else {
                complete = true;
                break;
            };
            let joined_before = room.membership == Membership::Join && room.cursor <= oldest;
            let all_visible = presence == Presence::Throughout || joined_before;
            if !all_visible && past.is_none() {
                past = Some(Past::load(view, room).await?);
            }
            let mut sees_any = false;
            for stored in page.events {
                let membership = match past.as_ref().filter(|_| !all_visible) {
                    None => Some(MembershipState::Join),
                    // Nobody is left in doubt about what became of their own membership, also outside the room.
                    Some(_) if stored.cursor == room.cursor => Some(membership_of(Some(&stored.pdu))),
                    Some(past) => past.judge(&stored, view.user()),
                };
                let Some(membership) = membership else {
                    found.whole_from = None;
                    continue;
                };
                sees_any = true;
                if stored.redacted_by.is_none() && Relation::of(&stored.pdu).is_some() {
                    found.children.push(stored.pdu.clone());
                }
                let is_ignored = !stored.pdu.is_state() && ignored.contains(stored.pdu.sender());
                if is_ignored || !filter.admits(&stored.pdu) {
                    found.whole_from = None;
                    continue;
                }
                let sees = |child: &StoredEvent| {
                    all_visible || past.as_ref().is_none_or(|past| past.judge(child, view.user()).is_some())
                };
                if !admits_children(view.cx, filter, &stored, sees).await? {
                    found.whole_from = None;
                    continue;
                }
                if found.lines.len() == limit {
                    found.limited = true;
                    break 'rounds;
                }
                found.prev_batch = stored.cursor;
                found.whole_from = found.whole_from.map(|_| stored.cursor);
                found.lines.push(Line { stored, membership });
            }
            if !page.more {
                complete = true;
                found.prev_batch = if from == Cursor::START { oldest } else { from };
                break;
            }
            if found.lines.len() == limit {
                found.limited = true;
                break;
            }
            below = oldest;
            found.prev_batch = oldest;
            if !sees_any {
                // Further back there is nothing either, or so little that `/messages` may look for it.
                break;
            }
        }
        found.limited |= !complete;
        if complete {
            found.whole_from = found.whole_from.map(|_| from);
        }
        if found.limited || from == Cursor::START {
            found.start = found.lines.last().map_or(to, |line| line.stored.cursor);
        }
        found.lines.reverse();
        found.children.reverse();
        Ok(found)
    }

    /// The events in the timeline's own order, for a reader who needs all from `from` on and nothing left out.
    pub(crate) fn all_from(&self, from: Cursor) -> Option<impl Iterator<Item = &StoredEvent>> {
        self.whole_from.filter(|whole| *whole <= from)?;
        Some(self.lines.iter().map(|line| &line.stored).filter(move |stored| stored.cursor >= from))
    }

    /// Whether an event is in it.
    pub(crate) fn contains(&self, event_id: &EventId) -> bool {
        self.lines.iter().any(|line| line.stored.pdu.event_id() == event_id)
    }

    /// The senders, each once.
    pub(crate) fn senders(&self) -> BTreeSet<&UserId> {
        self.lines.iter().map(|line| line.stored.pdu.sender()).collect()
    }

    /// The section of the answer.
    pub(crate) async fn section(&self, view: &View<'_>, ignored: &BTreeSet<OwnedUserId>) -> Result<TimelineSection> {
        let before = self.replaced(view).await?;
        let mut children: HashMap<OwnedEventId, Vec<&Pdu>> = HashMap::new();
        for child in &self.children {
            if let Some(relation) = Relation::of(child) {
                children.entry(relation.event_id).or_default().push(child);
            }
        }
        let events: Vec<Json> = self
            .lines
            .iter()
            .filter_map(|line| {
                // The page reaches to the newest event and a child comes after its parent, so no child is missing.
                let relations = children.get(line.stored.pdu.event_id()).and_then(|children| {
                    let is_redacted = line.stored.redacted_by.is_some();
                    Bundle::collect(&line.stored.pdu, is_redacted, children.iter().copied(), view.user(), ignored)
                        .render(|pdu| plain(view, pdu))
                });
                let replaced = line.stored.replaces.as_ref().and_then(|event_id| before.get(event_id));
                // Who is in the room knows the state before, and everyone what they were themselves.
                let replaced = replaced.filter(|pdu| {
                    line.membership == MembershipState::Join || pdu.is_state_of("m.room.member", view.user().as_str())
                });
                let beside = Beside {
                    membership: Some(&line.membership),
                    prev_content: replaced.map(|pdu| pdu.content()),
                    relations: relations.as_deref(),
                };
                event(view, &line.stored, beside)
            })
            .collect();
        Ok(TimelineSection { events, limited: self.limited, prev_batch: TimelineToken(self.prev_batch) })
    }

    /// The state events that those of the timeline replaced, as they are now.
    async fn replaced(&self, view: &View<'_>) -> Result<HashMap<OwnedEventId, Pdu>> {
        let event_ids: Vec<OwnedEventId> = self.lines.iter().filter_map(|line| line.stored.replaces.clone()).collect();
        if event_ids.is_empty() {
            return Ok(HashMap::new());
        }
        let found = view.cx.storage.events(&event_ids).await?;
        Ok(event_ids
            .into_iter()
            .zip(found)
            .filter_map(|(event_id, stored)| {
                let stored = stored?;
                Some((event_id, super::events::current(&stored)?.into_owned()))
            })
            .collect())
    }
}

/// The history of what decides who may see an event.
#[derive(Debug)]
pub(crate) struct Past {
    visibility: Vec<StoredEvent>,
    own: Vec<StoredEvent>,
}

impl Past {
    pub(crate) async fn load(view: &View<'_>, room: &RoomMembership) -> Result<Self> {
        let (visibility, own) = tokio::try_join!(
            view.cx.storage.state_history(&room.room_id, "m.room.history_visibility", ""),
            view.cx.storage.state_history(&room.room_id, "m.room.member", view.user().as_str()),
        )?;
        Ok(Self { visibility, own })
    }

    /// The reader's membership at an event, with what the event does to it; `None` if they may not see it (ENC-12).
    fn judge(&self, stored: &StoredEvent, reader: &UserId) -> Option<MembershipState> {
        let visibility = before(&self.visibility, stored.cursor);
        let own = before(&self.own, stored.cursor);
        let joined_later = self
            .own
            .iter()
            .any(|event| event.cursor > stored.cursor && event.pdu.membership() == Some(MembershipState::Join));
        Ask::about(&stored.pdu, reader, visibility, own, joined_later).may_see().then(|| {
            if stored.pdu.is_state_of("m.room.member", reader.as_str()) {
                membership_of(Some(&stored.pdu))
            } else {
                membership_of(own)
            }
        })
    }

    /// The reader's membership just before a place.
    pub(crate) fn membership_before(&self, cursor: Cursor) -> MembershipState {
        membership_of(before(&self.own, cursor))
    }

    /// Whether the reader was joined at some place of a span.
    pub(crate) fn joined_within(&self, from: Cursor, to: Cursor) -> bool {
        self.membership_before(from) == MembershipState::Join
            || self.own.iter().any(|event| {
                event.cursor >= from && event.cursor < to && event.pdu.membership() == Some(MembershipState::Join)
            })
    }
}

/// The last of a history, oldest first, that stands before a place.
fn before(history: &[StoredEvent], cursor: Cursor) -> Option<&Pdu> {
    let end = history.partition_point(|event| event.cursor < cursor);
    history.get(..end)?.last().map(|event| &event.pdu)
}

//! Relations between events, read from the clear `m.relates_to` also of encrypted events
//! (ENC-11), and what is bundled with an event (client-server API, "Aggregations").

use std::collections::BTreeSet;

use ruma::{EventId, OwnedEventId, OwnedUserId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Pdu, RoomError};
use crate::identifiers::MAX_ID_BYTES;

/// An edit of the parent.
pub const REPLACE: &str = "m.replace";
/// A message in the thread that the parent starts.
pub const THREAD: &str = "m.thread";
/// A reaction to the parent.
pub const ANNOTATION: &str = "m.annotation";
/// A plain reference to the parent.
pub const REFERENCE: &str = "m.reference";

/// What an event says about its parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// The kind of relation, such as [`THREAD`].
    pub rel_type: String,
    /// The parent.
    pub event_id: OwnedEventId,
    /// For annotations, the key, such as an emoji.
    pub key: Option<String>,
}

#[derive(Deserialize)]
struct RelatesTo {
    rel_type: Option<String>,
    event_id: Option<String>,
    key: Option<String>,
}

impl Relation {
    /// Reads the relation of an event. Malformed relations count as none; so do replies, which
    /// have no `rel_type`, annotations without a key, and what names a parent by an id that no
    /// event can have.
    pub fn of(pdu: &Pdu) -> Option<Self> {
        Self::in_content(pdu.content())
    }

    /// Reads the relation in a content that is about to be sent.
    pub fn in_content(content: &RawValue) -> Option<Self> {
        // Most contents have none; a search is cheaper than parsing.
        if !content.get().contains("relates_to") {
            return None;
        }
        let relates_to: RelatesTo = super::pdu::content_field(content, "m.relates_to")?;
        let rel_type = relates_to.rel_type?;
        if rel_type == ANNOTATION && relates_to.key.is_none() {
            return None;
        }
        let event_id = relates_to.event_id.filter(|event_id| event_id.len() <= MAX_ID_BYTES)?;
        let event_id = EventId::parse(event_id).ok()?;
        Some(Self { rel_type, event_id, key: relates_to.key })
    }

    /// Whether the relation of `child` to `parent` is valid, beyond its form.
    ///
    /// All relations stay in one room. Edits need the same sender and type, no state, an
    /// original that is no edit itself, and (in clear events) new content. Threads and
    /// annotations need a parent that is not itself part of a thread, an edit or an annotation,
    /// as the sections on them say.
    pub fn holds(&self, child: &Pdu, parent: &Pdu) -> bool {
        if child.room_id() != parent.room_id() || self.event_id != parent.event_id() {
            return false;
        }
        let above = || Self::of(parent);
        match self.rel_type.as_str() {
            REPLACE => {
                child.sender() == parent.sender()
                    && child.kind() == parent.kind()
                    && !child.is_state()
                    && !parent.is_state()
                    && above().is_none_or(|relation| relation.rel_type != REPLACE)
                    && (child.kind() == "m.room.encrypted"
                        || child.content_field::<serde_json::Map<_, _>>("m.new_content").is_some())
            }
            THREAD => above().is_none(),
            ANNOTATION => {
                above().is_none_or(|relation| relation.rel_type != REPLACE && relation.rel_type != ANNOTATION)
            }
            _ => true,
        }
    }

    /// Whether sending an event with this relation to `parent` is to be refused: a thread cannot
    /// start at an event that itself has a relation (client-server API, "Validation of
    /// `m.thread` relationships").
    ///
    /// # Errors
    ///
    /// `InvalidParam` with the reason.
    pub fn check_sendable(&self, parent: &Pdu) -> Result<(), RoomError> {
        if self.rel_type == THREAD && Self::of(parent).is_some() {
            return Err(RoomError::InvalidParam("a thread cannot start at an event that relates to another".into()));
        }
        Ok(())
    }

    /// Whether an annotation says the same as `other` does: the same parent and key. With the
    /// same sender and event type it is a duplicate (`M_DUPLICATE_ANNOTATION`).
    pub fn is_same_annotation(&self, other: &Self) -> bool {
        self.rel_type == ANNOTATION && self == other
    }
}

/// The thread that an event starts, summed up.
#[derive(Debug, Clone)]
pub struct ThreadSummary {
    /// The last event of the thread, in the order given.
    pub latest: Pdu,
    /// How many events are in the thread.
    pub count: u64,
    /// Whether the asker sent the root or an event in the thread.
    pub participated: bool,
}

/// The relations bundled with an event.
#[derive(Debug, Clone, Default)]
pub struct Bundle {
    /// The latest edit.
    pub edit: Option<Pdu>,
    /// The thread.
    pub thread: Option<ThreadSummary>,
    /// The events that refer to it, in the order given.
    pub references: Vec<OwnedEventId>,
}

impl Bundle {
    /// Collects what is bundled with `parent`.
    ///
    /// `children` are the events with a relation to it that the asker may see, not redacted,
    /// oldest first in the order of the server; those from `ignored` users are left out. State
    /// events have no bundle, a redacted parent no edit. Annotations are not bundled.
    pub fn collect<'a>(
        parent: &Pdu,
        parent_redacted: bool,
        children: impl IntoIterator<Item = &'a Pdu>,
        asker: &UserId,
        ignored: &BTreeSet<OwnedUserId>,
    ) -> Self {
        let mut bundle = Self::default();
        if parent.is_state() {
            return bundle;
        }
        for child in children {
            let Some(relation) = Relation::of(child) else { continue };
            if ignored.contains(child.sender()) || !relation.holds(child, parent) {
                continue;
            }
            match relation.rel_type.as_str() {
                REPLACE if parent_redacted => {}
                REPLACE => {
                    let newer = bundle.edit.as_ref().is_none_or(|edit| is_later(child, edit));
                    bundle.edit = if newer { Some(child.clone()) } else { bundle.edit };
                }
                THREAD => {
                    let before = bundle.thread.take();
                    bundle.thread = Some(ThreadSummary {
                        count: before.as_ref().map_or(0, |thread| thread.count) + 1,
                        participated: child.sender() == asker
                            || parent.sender() == asker
                            || before.is_some_and(|thread| thread.participated),
                        latest: child.clone(),
                    });
                }
                REFERENCE => bundle.references.push(child.event_id().to_owned()),
                _ => {}
            }
        }
        bundle
    }

    /// Whether there is nothing to bundle.
    pub fn is_empty(&self) -> bool {
        self.edit.is_none() && self.thread.is_none() && self.references.is_empty()
    }

    /// The bundle as the value of `m.relations`; `None` if it is empty.
    ///
    /// `event` gives the client form of the edit and of the latest event of the thread.
    pub fn render(&self, event: impl Fn(&Pdu) -> Box<RawValue>) -> Option<Box<RawValue>> {
        #[derive(Serialize)]
        struct Thread {
            latest_event: Box<RawValue>,
            count: u64,
            current_user_participated: bool,
        }
        #[derive(Serialize)]
        struct Reference<'a> {
            event_id: &'a EventId,
        }
        #[derive(Serialize)]
        struct References<'a> {
            chunk: Vec<Reference<'a>>,
        }
        #[derive(Serialize)]
        struct Relations<'a> {
            #[serde(rename = "m.reference", skip_serializing_if = "Option::is_none")]
            reference: Option<References<'a>>,
            #[serde(rename = "m.replace", skip_serializing_if = "Option::is_none")]
            replace: Option<Box<RawValue>>,
            #[serde(rename = "m.thread", skip_serializing_if = "Option::is_none")]
            thread: Option<Thread>,
        }
        if self.is_empty() {
            return None;
        }
        let chunk: Vec<_> = self.references.iter().map(|event_id| Reference { event_id }).collect();
        Some(super::raw(&Relations {
            reference: (!chunk.is_empty()).then_some(References { chunk }),
            replace: self.edit.as_ref().map(&event),
            thread: self.thread.as_ref().map(|thread| Thread {
                latest_event: event(&thread.latest),
                count: thread.count,
                current_user_participated: thread.participated,
            }),
        }))
    }
}

/// The order of edits: by time, then by event id.
fn is_later(edit: &Pdu, other: &Pdu) -> bool {
    (edit.origin_server_ts(), edit.event_id()) > (other.origin_server_ts(), other.event_id())
}

//! What a client needs to name a room that has no name.

use olmstead_domain::{position::Cursor, rooms::Pdu};
use olmstead_storage::rooms::{RoomMembership, StateSelection, StoredEvent};
use ruma::{OwnedUserId, UserId, events::room::member::MembershipState};

use super::{response::Summary, timeline::Timeline, view::View};
use crate::Result;

const NAME: &str = "m.room.name";
const ALIAS: &str = "m.room.canonical_alias";
/// How many members stand for a room.
const HEROES: usize = 5;

/// The summary, if it may differ from what the client knows.
pub(crate) async fn section(
    view: &View<'_>,
    room: &RoomMembership,
    whole: bool,
    timeline: &Timeline,
) -> Result<Summary> {
    let renamed = || timeline.lines.iter().any(|line| matches!(line.stored.pdu.kind(), NAME | ALIAS));
    if !whole && !view.is_new(room.last_membership) && !timeline.limited && !renamed() {
        return Ok(Summary::default());
    }
    let storage = &view.cx.storage;
    let names = StateSelection::These(vec![(NAME.to_owned(), String::new()), (ALIAS.to_owned(), String::new())]);
    let (head, names) =
        tokio::try_join!(storage.room_head(&room.room_id), storage.state(&room.room_id, Some(view.end()), names),)?;
    let heroes = if names.iter().any(is_name) {
        None
    } else {
        let members = StateSelection::Types(vec!["m.room.member".to_owned()]);
        Some(heroes(storage.state(&room.room_id, Some(view.end()), members).await?, view.user()))
    };
    Ok(Summary {
        heroes,
        joined: head.as_ref().map(|head| head.joined_count),
        invited: head.as_ref().map(|head| head.invited_count),
    })
}

/// Whether a state event gives the room a name.
fn is_name(stored: &StoredEvent) -> bool {
    let field = |pdu: &Pdu, key| pdu.content_field::<String>(key).is_some_and(|value| !value.is_empty());
    stored.redacted_by.is_none() && (field(&stored.pdu, "name") || field(&stored.pdu, "alias"))
}

/// The first other members in the order of the stream; of those who are gone, if nobody else is there.
fn heroes(members: Vec<StoredEvent>, reader: &UserId) -> Vec<OwnedUserId> {
    let mut here: Vec<(Cursor, OwnedUserId)> = Vec::new();
    let mut gone = Vec::new();
    for stored in members {
        let Some(user_id) = stored.pdu.state_key().and_then(|key| OwnedUserId::try_from(key).ok()) else { continue };
        if user_id == reader {
            continue;
        }
        match stored.pdu.membership() {
            Some(MembershipState::Join | MembershipState::Invite) => here.push((stored.cursor, user_id)),
            Some(MembershipState::Leave | MembershipState::Ban) => gone.push((stored.cursor, user_id)),
            _ => {}
        }
    }
    let mut chosen = if here.is_empty() { gone } else { here };
    chosen.sort();
    chosen.into_iter().take(HEROES).map(|(_, user_id)| user_id).collect()
}

//! Rooms the user is invited to or knocks at, with the little of their state that outsiders see (SYNC-10…12).

use olmstead_domain::rooms::client_event::{STRIPPED_STATE, stripped};
use olmstead_storage::rooms::{RoomMembership, StateSelection};

use super::{
    events::current,
    response::{Events, Json},
    view::View,
};
use crate::Result;

/// The stripped state: what names the room, whether it is encrypted, the user's own member event and that of who
/// invited.
pub(crate) async fn section(view: &View<'_>, room: &RoomMembership) -> Result<Events> {
    let member = |user_id: &str| ("m.room.member".to_owned(), user_id.to_owned());
    let mut entries: Vec<(String, String)> =
        STRIPPED_STATE.iter().map(|kind| ((*kind).to_owned(), String::new())).collect();
    if room.sender != view.user() {
        entries.push(member(room.sender.as_str()));
    }
    entries.push(member(view.user().as_str()));
    let select = StateSelection::These(entries.clone());
    let state = view.cx.storage.state(&room.room_id, Some(view.end()), select).await?;
    let events: Vec<Json> = entries
        .iter()
        .filter_map(|(kind, state_key)| state.iter().find(|stored| stored.pdu.is_state_of(kind, state_key)))
        .filter_map(|stored| stripped(&*current(stored)?))
        .collect();
    Ok(events.into())
}

//! Rooms.

mod alias;
mod args;
mod ban;
mod context;
mod create_room;
mod directory;
mod event;
mod forget;
mod hierarchy;
mod invite;
mod join;
mod joined_rooms;
mod kick;
mod knock;
mod leave;
mod members;
mod messages;
mod public_rooms;
mod read_markers;
mod receipt;
mod redact;
mod relations;
mod report;
mod room_aliases;
mod room_summary;
mod send;
mod state;
mod threads;
mod timestamp_to_event;
mod typing;
mod upgrade;

use axum::{
    Router,
    routing::{get, post, put},
};

use crate::{App, routes::ClientRoutes as _};

/// The endpoints of rooms.
pub(super) fn routes() -> Router<App> {
    Router::new().v3("/createRoom", post(create_room::handler)).merge(membership()).merge(events()).merge(lists())
}

fn membership() -> Router<App> {
    Router::new()
        .v3("/join/{room_id_or_alias}", post(join::by_id_or_alias))
        .v3("/knock/{room_id_or_alias}", post(knock::handler))
        .v3("/rooms/{room_id}/join", post(join::by_id))
        .v3("/rooms/{room_id}/invite", post(invite::handler))
        .v3("/rooms/{room_id}/leave", post(leave::handler))
        .v3("/rooms/{room_id}/forget", post(forget::handler))
        .v3("/rooms/{room_id}/kick", post(kick::handler))
        .v3("/rooms/{room_id}/ban", post(ban::ban))
        .v3("/rooms/{room_id}/unban", post(ban::unban))
        .v3("/joined_rooms", get(joined_rooms::handler))
        .v3("/rooms/{room_id}/members", get(members::members))
        .v3("/rooms/{room_id}/joined_members", get(members::joined))
}

fn events() -> Router<App> {
    let state = get(state::read_default).put(state::write_default);
    Router::new()
        .v3("/rooms/{room_id}/send/{event_type}/{transaction_id}", put(send::handler))
        .v3("/rooms/{room_id}/redact/{event_id}/{transaction_id}", put(redact::handler))
        .v3("/rooms/{room_id}/state", get(state::read_all))
        .v3("/rooms/{room_id}/state/{event_type}", state.clone())
        .v3("/rooms/{room_id}/state/{event_type}/", state)
        .v3("/rooms/{room_id}/state/{event_type}/{state_key}", get(state::read).put(state::write))
        .v3("/rooms/{room_id}/event/{event_id}", get(event::handler))
        .v3("/rooms/{room_id}/messages", get(messages::handler))
        .v3("/rooms/{room_id}/context/{event_id}", get(context::handler))
        .v1("/rooms/{room_id}/relations/{event_id}", get(relations::all))
        .v1("/rooms/{room_id}/relations/{event_id}/{rel_type}", get(relations::by_relation))
        .v1("/rooms/{room_id}/relations/{event_id}/{rel_type}/{event_type}", get(relations::by_type))
        .v1("/rooms/{room_id}/threads", get(threads::handler))
        .v1("/rooms/{room_id}/timestamp_to_event", get(timestamp_to_event::handler))
        .v3("/rooms/{room_id}/typing/{user_id}", put(typing::handler))
        .v3("/rooms/{room_id}/receipt/{receipt_type}/{event_id}", post(receipt::handler))
        .v3("/rooms/{room_id}/read_markers", post(read_markers::handler))
        .v3("/rooms/{room_id}/upgrade", post(upgrade::handler))
        .v3("/rooms/{room_id}/report", post(report::room))
        .v3("/rooms/{room_id}/report/{event_id}", post(report::event))
        .v3("/users/{user_id}/report", post(report::user))
}

fn lists() -> Router<App> {
    Router::new()
        .v3("/directory/room/{room_alias}", get(alias::read).put(alias::write).delete(alias::delete))
        .v3("/rooms/{room_id}/aliases", get(room_aliases::handler))
        .v3("/directory/list/room/{room_id}", get(directory::read).put(directory::write))
        .v3("/publicRooms", get(public_rooms::list).post(public_rooms::search))
        .v1("/room_summary/{room_id_or_alias}", get(room_summary::handler))
        .v1("/rooms/{room_id}/hierarchy", get(hierarchy::handler))
}

//! Server-side key backups: fourteen pairs of method and path.

mod keys;
mod version;

use axum::{
    Router,
    routing::{get, post},
};

use crate::{App, routes::ClientRoutes as _};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .v3_and_unstable("/room_keys/version", post(version::create).get(version::latest))
        .v3_and_unstable(
            "/room_keys/version/{version}",
            get(version::describe).put(version::update).delete(version::delete),
        )
        .v3_and_unstable("/room_keys/keys", get(keys::all).put(keys::put_all).delete(keys::delete_all))
        .v3_and_unstable("/room_keys/keys/{room_id}", get(keys::room).put(keys::put_room).delete(keys::delete_room))
        .v3_and_unstable(
            "/room_keys/keys/{room_id}/{session_id}",
            get(keys::session).put(keys::put_session).delete(keys::delete_session),
        )
}

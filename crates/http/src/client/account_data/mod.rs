//! What clients keep for themselves: account data, tags, filters.

mod entry;
mod filters;
mod tags;

use axum::{
    Router,
    routing::{get, post},
};

use crate::{App, routes::ClientRoutes as _};

/// The endpoints of account data, tags and filters.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .v3("/user/{user_id}/account_data/{type}", get(entry::get).put(entry::put))
        .v3("/user/{user_id}/rooms/{room_id}/account_data/{type}", get(entry::get_of_room).put(entry::put_of_room))
        .v3("/user/{user_id}/rooms/{room_id}/tags", get(tags::list))
        .v3("/user/{user_id}/rooms/{room_id}/tags/{tag}", axum::routing::put(tags::put).delete(tags::delete))
        .v3("/user/{user_id}/filter", post(filters::post))
        .v3("/user/{user_id}/filter/{filter_id}", get(filters::get))
}

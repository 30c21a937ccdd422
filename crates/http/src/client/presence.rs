//! `GET` and `PUT /_matrix/client/v3/presence/{userId}/status`.

use axum::{Router, extract::State, routing};
use olmstead_service::presence;
use ruma::OwnedUserId;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    App,
    auth::{Auth, SuspendedToo},
    error::ApiResult,
    extract::{Empty, Json, JsonBody, Path},
    routes::ClientRoutes as _,
};

/// Somebody who was active this lately, milliseconds, and is online counts as active now.
const ACTIVE_MS: u64 = 5 * 60 * 1000;

/// The endpoints of presence.
pub(super) fn routes() -> Router<App> {
    Router::new().v3("/presence/{user_id}/status", routing::get(get).put(put))
}

async fn get(
    State(app): State<App>,
    auth: Auth<SuspendedToo>,
    Path(user_id): Path<OwnedUserId>,
) -> ApiResult<Json<Map<String, Value>>> {
    let presence = presence::get(&app.cx, &auth, &user_id).await?;
    let mut members = Map::new();
    if presence.last_active_at > 0 {
        let ago = app.cx.now().saturating_sub(presence.last_active_at);
        members.insert("last_active_ago".to_owned(), ago.into());
        members.insert("currently_active".to_owned(), (presence.presence == "online" && ago < ACTIVE_MS).into());
    }
    members.insert("presence".to_owned(), presence.presence.into());
    if let Some(text) = presence.status_msg {
        members.insert("status_msg".to_owned(), text.into());
    }
    Ok(Json(members))
}

#[derive(Debug, Deserialize)]
struct Wish {
    presence: String,
    status_msg: Option<String>,
}

async fn put(
    State(app): State<App>,
    auth: Auth,
    Path(user_id): Path<OwnedUserId>,
    JsonBody(wish): JsonBody<Wish>,
) -> ApiResult<Empty> {
    presence::set(&app.cx, &auth, &user_id, &wish.presence, wish.status_msg).await?;
    Ok(Empty)
}

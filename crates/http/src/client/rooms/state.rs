//! `GET /_matrix/client/v3/rooms/{roomId}/state`, `GET` and `PUT …/state/{eventType}/{stateKey}`. For an empty state
//! key the
//! last part, or the last part and its slash, may be left out.

use axum::extract::State;
use olmstead_domain::json::RawJson;
use olmstead_service::{
    Refusal,
    rooms::{
        render::{RenderOptions, as_shown, render_events},
        state,
    },
};
use ruma::OwnedRoomId;
use serde::Deserialize;

use super::{args::Id, send::EventReply};
use crate::{
    App,
    auth::{AnyActive, Auth, GuestsToo},
    error::{ApiError, ApiResult},
    extract::{Json, Missing, Path, Query, RawBody},
};

#[derive(Debug, Deserialize)]
pub(super) struct Parameters {
    format: Option<String>,
}

/// The whole state.
pub(super) async fn read_all(
    State(app): State<App>,
    auth: Auth<AnyActive>,
    Path(Id(room_id)): Path<Id<OwnedRoomId>>,
) -> ApiResult<Json<Vec<RawJson>>> {
    let events = state::all_state(&app.cx, &auth.device.user_id, &room_id).await?;
    Ok(Json(render_events(&app.cx, &auth.device, &room_id, &events, RenderOptions::STATE).await?))
}

/// One entry.
pub(super) async fn read(
    State(app): State<App>,
    auth: Auth<AnyActive>,
    Path((Id(room_id), event_type, state_key)): Path<(Id<OwnedRoomId>, String, String)>,
    Query(parameters): Query<Parameters>,
) -> ApiResult<Json<RawJson>> {
    entry(&app, &auth, &room_id, &event_type, &state_key, &parameters).await
}

/// One entry with an empty key.
pub(super) async fn read_default(
    State(app): State<App>,
    auth: Auth<AnyActive>,
    Path((Id(room_id), event_type)): Path<(Id<OwnedRoomId>, String)>,
    Query(parameters): Query<Parameters>,
) -> ApiResult<Json<RawJson>> {
    entry(&app, &auth, &room_id, &event_type, "", &parameters).await
}

async fn entry(
    app: &App,
    auth: &Auth<AnyActive>,
    room_id: &OwnedRoomId,
    event_type: &str,
    state_key: &str,
    parameters: &Parameters,
) -> ApiResult<Json<RawJson>> {
    let whole = match parameters.format.as_deref() {
        None | Some("content") => false,
        Some("event") => true,
        Some(_) => return Err(ApiError::refused(Refusal::InvalidParam, "format is content or event.")),
    };
    let event = state::state_entry(&app.cx, &auth.device.user_id, room_id, event_type, state_key).await?;
    if !whole {
        let shown = as_shown(&event).ok_or_else(no_such_state)?;
        return Ok(Json(RawJson::from(shown.content())));
    }
    let events = std::slice::from_ref(&event);
    let rendered = render_events(&app.cx, &auth.device, room_id, events, RenderOptions::FULL).await?;
    let event = rendered.into_iter().next();
    Ok(Json(event.ok_or_else(no_such_state)?))
}

fn no_such_state() -> ApiError {
    ApiError::refused(Refusal::NotFound, "The room has no such state.")
}

/// Sets an entry.
pub(super) async fn write(
    State(app): State<App>,
    auth: Auth<GuestsToo>,
    Path((Id(room_id), event_type, state_key)): Path<(Id<OwnedRoomId>, String, String)>,
    RawBody(body): RawBody,
) -> ApiResult<Json<EventReply>> {
    let content = app.parse(body, Missing::BadJson).await?;
    let event_id = state::put_state(&app.cx, &auth, &room_id, &event_type, &state_key, &content).await?;
    Ok(Json(EventReply { event_id }))
}

/// Sets an entry with an empty key.
pub(super) async fn write_default(
    State(app): State<App>,
    auth: Auth<GuestsToo>,
    Path((Id(room_id), event_type)): Path<(Id<OwnedRoomId>, String)>,
    RawBody(body): RawBody,
) -> ApiResult<Json<EventReply>> {
    let content = app.parse(body, Missing::BadJson).await?;
    let event_id = state::put_state(&app.cx, &auth, &room_id, &event_type, "", &content).await?;
    Ok(Json(EventReply { event_id }))
}

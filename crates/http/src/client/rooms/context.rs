//! `GET /_matrix/client/v3/rooms/{roomId}/context/{eventId}`

use axum::extract::State;
use olmstead_service::rooms::context::{EventContext, context};
use ruma::{OwnedEventId, OwnedRoomId};
use serde::Deserialize;

use super::{args::Id, messages::filter};
use crate::{
    App,
    auth::{AnyActive, Auth},
    error::ApiResult,
    extract::{Json, Path, Query},
};

/// Events around the one asked for when the client does not say.
const DEFAULT_LIMIT: usize = 10;

#[derive(Debug, Deserialize)]
pub(super) struct Parameters {
    limit: Option<usize>,
    filter: Option<String>,
}

/// An event and what surrounds it.
pub(super) async fn handler(
    State(app): State<App>,
    auth: Auth<AnyActive>,
    Path((Id(room_id), Id(event_id))): Path<(Id<OwnedRoomId>, Id<OwnedEventId>)>,
    Query(parameters): Query<Parameters>,
) -> ApiResult<Json<EventContext>> {
    let filter = filter(parameters.filter.as_deref())?;
    let limit = parameters.limit.unwrap_or(DEFAULT_LIMIT);
    Ok(Json(context(&app.cx, &auth.device, &room_id, &event_id, limit, &filter).await?))
}

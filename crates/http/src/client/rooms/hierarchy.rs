//! `GET /_matrix/client/v1/rooms/{roomId}/hierarchy`

use axum::extract::State;
use olmstead_service::rooms::hierarchy::{self, Hierarchy, Part};
use ruma::OwnedRoomId;
use serde::Deserialize;

use super::args::Id;
use crate::{
    App,
    auth::{Auth, SuspendedToo},
    error::ApiResult,
    extract::{Json, Path, Query},
};

#[derive(Debug, Deserialize)]
pub(super) struct Parameters {
    #[serde(default)]
    suggested_only: bool,
    limit: Option<usize>,
    max_depth: Option<usize>,
    from: Option<String>,
}

/// The rooms of a space.
pub(super) async fn handler(
    State(app): State<App>,
    auth: Auth<SuspendedToo>,
    Path(Id(room_id)): Path<Id<OwnedRoomId>>,
    Query(parameters): Query<Parameters>,
) -> ApiResult<Json<Hierarchy>> {
    let Parameters { suggested_only, limit, max_depth, from } = parameters;
    let part = Part { suggested_only, limit, max_depth, from };
    Ok(Json(hierarchy::hierarchy(&app.cx, &auth.device.user_id, &room_id, &part).await?))
}

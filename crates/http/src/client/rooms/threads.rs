//! `GET /_matrix/client/v1/rooms/{roomId}/threads`

use axum::extract::State;
use olmstead_service::rooms::threads::{self, Threads};
use ruma::OwnedRoomId;
use serde::Deserialize;

use super::args::{Id, token};
use crate::{
    App,
    auth::{Auth, SuspendedToo},
    error::ApiResult,
    extract::{Json, Path, Query},
};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Include {
    #[default]
    All,
    Participated,
}

#[derive(Debug, Deserialize)]
pub(super) struct Parameters {
    #[serde(default)]
    include: Include,
    limit: Option<usize>,
    from: Option<String>,
}

/// The threads of a room.
pub(super) async fn handler(
    State(app): State<App>,
    auth: Auth<SuspendedToo>,
    Path(Id(room_id)): Path<Id<OwnedRoomId>>,
    Query(parameters): Query<Parameters>,
) -> ApiResult<Json<Threads>> {
    let from = token(parameters.from.as_deref())?;
    let limit = parameters.limit.unwrap_or(threads::DEFAULT_LIMIT);
    let participated = parameters.include == Include::Participated;
    Ok(Json(threads::threads(&app.cx, &auth.device, &room_id, from, limit, participated).await?))
}

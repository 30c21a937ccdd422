//! `GET /_matrix/client/v1/rooms/{roomId}/timestamp_to_event`

use axum::extract::State;
use olmstead_service::rooms::timestamp::closest_event;
use ruma::{OwnedEventId, OwnedRoomId};
use serde::{Deserialize, Serialize};

use super::args::{Dir, Id};
use crate::{
    App,
    auth::{Auth, SuspendedToo},
    error::ApiResult,
    extract::{Json, Path, Query},
};

#[derive(Debug, Deserialize)]
pub(super) struct Parameters {
    ts: u64,
    dir: Dir,
}

#[derive(Debug, Serialize)]
pub(super) struct Reply {
    event_id: OwnedEventId,
    origin_server_ts: u64,
}

/// The event closest to a time.
pub(super) async fn handler(
    State(app): State<App>,
    auth: Auth<SuspendedToo>,
    Path(Id(room_id)): Path<Id<OwnedRoomId>>,
    Query(parameters): Query<Parameters>,
) -> ApiResult<Json<Reply>> {
    let user_id = &auth.device.user_id;
    let (event_id, origin_server_ts) =
        closest_event(&app.cx, user_id, &room_id, parameters.ts, parameters.dir.into()).await?;
    Ok(Json(Reply { event_id, origin_server_ts }))
}

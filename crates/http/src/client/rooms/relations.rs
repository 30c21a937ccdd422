//! `GET /_matrix/client/v1/rooms/{roomId}/relations/{eventId}`, and with a kind of relation and of event.

use axum::extract::State;
use olmstead_service::rooms::relations::{self, Relations, RelationsQuery};
use olmstead_storage::rooms::RelationQuery;
use ruma::{OwnedEventId, OwnedRoomId};
use serde::Deserialize;

use super::args::{Dir, Id, token};
use crate::{
    App,
    auth::{Auth, SuspendedToo},
    error::ApiResult,
    extract::{Json, Path, Query},
};

#[derive(Debug, Deserialize)]
pub(super) struct Parameters {
    from: Option<String>,
    to: Option<String>,
    limit: Option<usize>,
    dir: Option<Dir>,
    #[serde(default)]
    recurse: bool,
}

/// All events that relate to an event.
pub(super) async fn all(
    State(app): State<App>,
    auth: Auth<SuspendedToo>,
    Path((Id(room_id), Id(event_id))): Path<(Id<OwnedRoomId>, Id<OwnedEventId>)>,
    Query(parameters): Query<Parameters>,
) -> ApiResult<Json<Relations>> {
    page(&app, &auth, &room_id, &event_id, RelationQuery::default(), &parameters).await
}

/// Those by one kind of relation.
pub(super) async fn by_relation(
    State(app): State<App>,
    auth: Auth<SuspendedToo>,
    Path((Id(room_id), Id(event_id), rel_type)): Path<(Id<OwnedRoomId>, Id<OwnedEventId>, String)>,
    Query(parameters): Query<Parameters>,
) -> ApiResult<Json<Relations>> {
    let kinds = RelationQuery { rel_type: Some(rel_type), event_type: None };
    page(&app, &auth, &room_id, &event_id, kinds, &parameters).await
}

/// Those by one kind of relation and of one type.
pub(super) async fn by_type(
    State(app): State<App>,
    auth: Auth<SuspendedToo>,
    Path((Id(room_id), Id(event_id), rel_type, event_type)): Path<(Id<OwnedRoomId>, Id<OwnedEventId>, String, String)>,
    Query(parameters): Query<Parameters>,
) -> ApiResult<Json<Relations>> {
    let kinds = RelationQuery { rel_type: Some(rel_type), event_type: Some(event_type) };
    page(&app, &auth, &room_id, &event_id, kinds, &parameters).await
}

async fn page(
    app: &App,
    auth: &Auth<SuspendedToo>,
    room_id: &OwnedRoomId,
    event_id: &OwnedEventId,
    kinds: RelationQuery,
    parameters: &Parameters,
) -> ApiResult<Json<Relations>> {
    let query = RelationsQuery {
        kinds,
        from: token(parameters.from.as_deref())?,
        to: token(parameters.to.as_deref())?,
        limit: parameters.limit.unwrap_or(relations::DEFAULT_LIMIT),
        direction: parameters.dir.unwrap_or(Dir::Backward).into(),
        recurse: parameters.recurse,
    };
    Ok(Json(relations::relations(&app.cx, &auth.device, room_id, event_id, &query).await?))
}

//! `GET /_matrix/client/v3/rooms/{roomId}/messages`

use axum::extract::State;
use olmstead_domain::filter::{FilterError, RoomEventFilter};
use olmstead_service::{
    ServiceError,
    rooms::messages::{Page, PageQuery, messages},
};
use ruma::OwnedRoomId;
use serde::Deserialize;

use super::args::{Dir, Id, token};
use crate::{
    App,
    auth::{AnyActive, Auth},
    error::{ApiError, ApiResult},
    extract::{Json, Path, Query},
};

/// Events of a page when the client does not say.
const DEFAULT_LIMIT: usize = 10;

#[derive(Debug, Deserialize)]
pub(super) struct Parameters {
    from: Option<String>,
    to: Option<String>,
    dir: Dir,
    limit: Option<usize>,
    filter: Option<String>,
}

/// A page of the timeline.
pub(super) async fn handler(
    State(app): State<App>,
    auth: Auth<AnyActive>,
    Path(Id(room_id)): Path<Id<OwnedRoomId>>,
    Query(parameters): Query<Parameters>,
) -> ApiResult<Json<Page>> {
    let query = PageQuery {
        from: token(parameters.from.as_deref())?,
        to: token(parameters.to.as_deref())?,
        direction: parameters.dir.into(),
        limit: parameters.limit.unwrap_or(DEFAULT_LIMIT),
        filter: filter(parameters.filter.as_deref())?,
    };
    Ok(Json(messages(&app.cx, &auth.device, &room_id, &query).await?))
}

/// The filter of a query, by default one that admits everything.
pub(super) fn filter(text: Option<&str>) -> Result<RoomEventFilter, ApiError> {
    let parsed: Result<_, FilterError> = text.map_or_else(|| Ok(RoomEventFilter::default()), RoomEventFilter::parse);
    parsed.map_err(|error| ServiceError::from(error).into())
}

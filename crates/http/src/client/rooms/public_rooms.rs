//! `GET` and `POST /_matrix/client/v3/publicRooms`

use axum::extract::State;
use olmstead_service::rooms::directory::{PublishedRooms, Search, public_rooms};
use ruma::OwnedServerName;
use serde::Deserialize;

use crate::{
    App,
    auth::{Auth, SuspendedToo},
    error::ApiResult,
    extract::{Json, JsonBody, Query},
};

#[derive(Debug, Deserialize)]
pub(super) struct ListParameters {
    limit: Option<usize>,
    since: Option<String>,
    server: Option<OwnedServerName>,
}

/// The published rooms.
pub(super) async fn list(
    State(app): State<App>,
    Query(query): Query<ListParameters>,
) -> ApiResult<Json<PublishedRooms>> {
    let since = query.since.as_deref();
    Ok(Json(public_rooms(&app.cx, query.server.as_deref(), query.limit, since, &Search::default()).await?))
}

#[derive(Debug, Deserialize)]
pub(super) struct SearchParameters {
    server: Option<OwnedServerName>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Body {
    limit: Option<usize>,
    since: Option<String>,
    filter: Option<Search>,
}

/// The published rooms that match.
pub(super) async fn search(
    State(app): State<App>,
    _: Auth<SuspendedToo>,
    Query(query): Query<SearchParameters>,
    JsonBody(body): JsonBody<Body>,
) -> ApiResult<Json<PublishedRooms>> {
    let search = body.filter.unwrap_or_default();
    let since = body.since.as_deref();
    Ok(Json(public_rooms(&app.cx, query.server.as_deref(), body.limit, since, &search).await?))
}

//! `GET /_matrix/client/v1/media/download/{serverName}/{mediaId}[/{fileName}]` and the older paths without a token.

use axum::{extract::State, response::Response};
use olmstead_service::media::download::{self, Access, DEFAULT_WAIT_MS};
use serde::Deserialize;

use super::reply;
use crate::{
    App,
    auth::{AnyActive, Auth},
    error::ApiResult,
    extract::{Path, Query},
};

#[derive(Debug, Deserialize)]
pub(super) struct Wait {
    timeout_ms: Option<u64>,
}

pub(super) async fn get(
    State(app): State<App>,
    _: Auth<AnyActive>,
    Path((server, media_id)): Path<(String, String)>,
    Query(wait): Query<Wait>,
) -> ApiResult<Response> {
    answer(&app, &server, &media_id, None, &wait, Access::Authenticated).await
}

pub(super) async fn get_named(
    State(app): State<App>,
    _: Auth<AnyActive>,
    Path((server, media_id, name)): Path<(String, String, String)>,
    Query(wait): Query<Wait>,
) -> ApiResult<Response> {
    answer(&app, &server, &media_id, Some(name), &wait, Access::Authenticated).await
}

pub(super) async fn get_frozen(
    State(app): State<App>,
    Path((server, media_id)): Path<(String, String)>,
    Query(wait): Query<Wait>,
) -> ApiResult<Response> {
    answer(&app, &server, &media_id, None, &wait, Access::Unauthenticated).await
}

pub(super) async fn get_frozen_named(
    State(app): State<App>,
    Path((server, media_id, name)): Path<(String, String, String)>,
    Query(wait): Query<Wait>,
) -> ApiResult<Response> {
    answer(&app, &server, &media_id, Some(name), &wait, Access::Unauthenticated).await
}

async fn answer(
    app: &App,
    server: &str,
    media_id: &str,
    name: Option<String>,
    wait: &Wait,
    access: Access,
) -> ApiResult<Response> {
    let wait_ms = wait.timeout_ms.unwrap_or(DEFAULT_WAIT_MS);
    let (info, content) = download::download(&app.cx, server, media_id, wait_ms, access).await?;
    Ok(reply::content(content, info.content_type.as_deref(), name.or(info.file_name)))
}

//! `GET /_matrix/client/v1/media/thumbnail/{serverName}/{mediaId}` and the older path without a token.

use axum::{extract::State, response::Response};
use olmstead_service::media::{
    download::{Access, DEFAULT_WAIT_MS},
    thumbnail::{self, Method, Wish},
};
use serde::Deserialize;

use super::reply;
use crate::{
    App,
    auth::{AnyActive, Auth},
    error::ApiResult,
    extract::{Path, Query},
};

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum MethodName {
    Crop,
    Scale,
}

#[derive(Debug, Deserialize)]
pub(super) struct Size {
    width: u32,
    height: u32,
    method: Option<MethodName>,
    animated: Option<bool>,
    timeout_ms: Option<u64>,
}

pub(super) async fn get(
    State(app): State<App>,
    _: Auth<AnyActive>,
    Path((server, media_id)): Path<(String, String)>,
    Query(size): Query<Size>,
) -> ApiResult<Response> {
    answer(&app, &server, &media_id, &size, Access::Authenticated).await
}

pub(super) async fn get_frozen(
    State(app): State<App>,
    Path((server, media_id)): Path<(String, String)>,
    Query(size): Query<Size>,
) -> ApiResult<Response> {
    answer(&app, &server, &media_id, &size, Access::Unauthenticated).await
}

async fn answer(app: &App, server: &str, media_id: &str, size: &Size, access: Access) -> ApiResult<Response> {
    let wish = Wish {
        width: size.width,
        height: size.height,
        method: match size.method {
            Some(MethodName::Crop) => Method::Crop,
            Some(MethodName::Scale) | None => Method::Scale,
        },
        animated: size.animated.unwrap_or(false),
    };
    let wait_ms = size.timeout_ms.unwrap_or(DEFAULT_WAIT_MS);
    let made = thumbnail::thumbnail(&app.cx, server, media_id, wish, wait_ms, access).await?;
    let name = format!("thumbnail.{}", made.content_type.trim_start_matches("image/"));
    Ok(reply::content(made.content, Some(made.content_type), Some(name)))
}

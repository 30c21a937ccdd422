//! `POST /_matrix/media/v3/upload` and `PUT /_matrix/media/v3/upload/{serverName}/{mediaId}`.

use axum::{
    extract::{Request, State},
    http::header,
};
use olmstead_service::media::upload::{self, Upload};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    App,
    auth::Auth,
    error::ApiResult,
    extract::{Empty, Json, Path, Query, read_body},
};

#[derive(Debug, Deserialize)]
pub(super) struct Label {
    filename: Option<String>,
}

pub(super) async fn post(
    State(app): State<App>,
    auth: Auth,
    Query(label): Query<Label>,
    request: Request,
) -> ApiResult<Json<Value>> {
    let uri = upload::upload(&app.cx, &auth, read(&app, label, request).await?).await?;
    Ok(Json(json!({ "content_uri": uri })))
}

pub(super) async fn put(
    State(app): State<App>,
    auth: Auth,
    Path((server, media_id)): Path<(String, String)>,
    Query(label): Query<Label>,
    request: Request,
) -> ApiResult<Empty> {
    // Nothing is read for an id that takes nothing.
    upload::check_reserved(&app.cx, &auth, &server, &media_id).await?;
    let upload = read(&app, label, request).await?;
    upload::fill(&app.cx, &auth, &server, &media_id, upload).await?;
    Ok(Empty)
}

async fn read(app: &App, label: Label, request: Request) -> ApiResult<Upload> {
    let (parts, body) = request.into_parts();
    let limit = usize::try_from(app.cx.config.max_upload_size).unwrap_or(usize::MAX);
    let content = read_body(body, &parts.headers, limit).await?;
    let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).map(str::to_owned);
    Ok(Upload { content, content_type, file_name: label.filename.filter(|name| !name.is_empty()) })
}

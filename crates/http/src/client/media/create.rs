//! `POST /_matrix/media/v1/create`.

use axum::extract::State;
use olmstead_service::media::upload;
use serde_json::{Value, json};

use crate::{App, auth::Auth, error::ApiResult, extract::Json};

pub(super) async fn post(State(app): State<App>, auth: Auth) -> ApiResult<Json<Value>> {
    let (uri, ends) = upload::reserve(&app.cx, &auth).await?;
    Ok(Json(json!({"content_uri": uri, "unused_expires_at": ends})))
}

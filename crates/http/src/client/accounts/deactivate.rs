//! `POST /_matrix/client/v3/account/deactivate`.

use axum::extract::State;
use olmstead_service::accounts::deactivate;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    App,
    auth::{Auth, SuspendedToo},
    error::ApiResult,
    extract::{Json, ObjectBody},
};

#[derive(Debug, Deserialize)]
struct Wish {
    #[serde(default)]
    erase: bool,
}

pub(super) async fn post(State(app): State<App>, auth: Auth<SuspendedToo>, body: ObjectBody) -> ApiResult<Json<Value>> {
    let wish: Wish = body.read()?;
    deactivate::deactivate(&app.cx, &auth, wish.erase, &body.0).await?;
    // There are no third-party identifiers here, so none is left bound.
    Ok(Json(json!({"id_server_unbind_result": "success"})))
}

//! `GET /_matrix/client/v3/pushers` and `POST /_matrix/client/v3/pushers/set`.

use std::collections::BTreeMap;

use axum::extract::State;
use olmstead_domain::json::RawJson;
use olmstead_service::pushers;

use crate::{
    App,
    auth::Auth,
    error::ApiResult,
    extract::{Empty, Json, ObjectBody},
};

pub(super) async fn get(State(app): State<App>, auth: Auth) -> ApiResult<Json<BTreeMap<&'static str, Vec<RawJson>>>> {
    Ok(Json(BTreeMap::from([("pushers", pushers::list(&app.cx, &auth).await?)])))
}

pub(super) async fn set(State(app): State<App>, auth: Auth, body: ObjectBody) -> ApiResult<Empty> {
    pushers::set(&app.cx, &auth, &body.0).await?;
    Ok(Empty)
}

//! `POST /_matrix/client/v3/user_directory/search`.

use axum::{Router, extract::State, routing};
use olmstead_service::user_directory::{self, DEFAULT_LIMIT, Found};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    App,
    auth::{Auth, SuspendedToo},
    error::ApiResult,
    extract::{Json, JsonBody},
    routes::ClientRoutes as _,
};

/// The endpoint of the user directory.
pub(super) fn routes() -> Router<App> {
    Router::new().v3("/user_directory/search", routing::post(post))
}

#[derive(Debug, Deserialize)]
struct Search {
    search_term: String,
    limit: Option<usize>,
}

async fn post(
    State(app): State<App>,
    auth: Auth<SuspendedToo>,
    JsonBody(search): JsonBody<Search>,
) -> ApiResult<Json<Value>> {
    let limit = search.limit.unwrap_or(DEFAULT_LIMIT);
    let (found, limited) = user_directory::search(&app.cx, &auth, &search.search_term, limit).await?;
    let results: Vec<Value> = found.into_iter().map(describe).collect();
    Ok(Json(json!({"results": results, "limited": limited})))
}

fn describe(user: Found) -> Value {
    let mut members = Map::new();
    members.insert("user_id".to_owned(), user.user_id.as_str().into());
    if let Some(name) = user.display_name {
        members.insert("display_name".to_owned(), name.into());
    }
    if let Some(avatar) = user.avatar_url {
        members.insert("avatar_url".to_owned(), avatar.into());
    }
    Value::Object(members)
}

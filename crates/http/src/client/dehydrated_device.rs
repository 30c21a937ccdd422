//! `/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device` (MSC3814)

use axum::{
    Router,
    extract::State,
    routing::{get, put},
};
use olmstead_service::dehydrated::{self, Events, Named, Request, Stored};
use ruma::OwnedDeviceId;
use serde::Deserialize;

use crate::{
    App,
    auth::Auth,
    error::ApiResult,
    extract::{Json, JsonBody, Path, Query},
    routes::ClientRoutes as _,
};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .unstable("/org.matrix.msc3814.v1/dehydrated_device", put(store).get(read).delete(delete))
        .unstable("/org.matrix.msc3814.v1/dehydrated_device/{device_id}/events", get(events).post(events_by_body))
}

async fn store(State(app): State<App>, auth: Auth, JsonBody(request): JsonBody<Request>) -> ApiResult<Json<Named>> {
    Ok(Json(dehydrated::put(&app.cx, &auth, request).await?))
}

async fn read(State(app): State<App>, auth: Auth) -> ApiResult<Json<Stored>> {
    Ok(Json(dehydrated::get(&app.cx, &auth).await?))
}

async fn delete(State(app): State<App>, auth: Auth) -> ApiResult<Json<Named>> {
    Ok(Json(dehydrated::delete(&app.cx, &auth).await?))
}

/// Where a page of messages begins, as the query says it.
#[derive(Debug, Deserialize)]
struct From {
    from: Option<String>,
}

async fn events(
    State(app): State<App>,
    auth: Auth,
    Path(device_id): Path<OwnedDeviceId>,
    Query(from): Query<From>,
) -> ApiResult<Json<Events>> {
    Ok(Json(dehydrated::events(&app.cx, &auth, &device_id, from.from.as_deref()).await?))
}

/// Where a page begins, as older clients say it in the body.
#[derive(Debug, Deserialize)]
struct NextBatch {
    next_batch: Option<String>,
}

async fn events_by_body(
    State(app): State<App>,
    auth: Auth,
    Path(device_id): Path<OwnedDeviceId>,
    JsonBody(body): JsonBody<NextBatch>,
) -> ApiResult<Json<Events>> {
    Ok(Json(dehydrated::events(&app.cx, &auth, &device_id, body.next_batch.as_deref()).await?))
}

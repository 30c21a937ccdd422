//! `/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device` (MSC3814)

use axum::{
    Router,
    extract::State,
    routing::{get, put},
};
use olmstead_service::dehydrated::{self, Events, LastPage, Named, Request, Stored};
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

/// Which page of messages, as the query says it.
#[derive(Debug, Deserialize)]
struct Page {
    from: Option<String>,
    limit: Option<usize>,
}

async fn events(
    State(app): State<App>,
    auth: Auth,
    Path(device_id): Path<OwnedDeviceId>,
    Query(page): Query<Page>,
) -> ApiResult<Json<Events>> {
    let (from, last) = (page.from.as_deref(), LastPage::WithoutToken);
    Ok(Json(dehydrated::events(&app.cx, &auth, &device_id, from, page.limit, last).await?))
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
    Query(page): Query<Page>,
    JsonBody(body): JsonBody<NextBatch>,
) -> ApiResult<Json<Events>> {
    let (from, last) = (body.next_batch.as_deref(), LastPage::BeforeAnEmptyOne);
    Ok(Json(dehydrated::events(&app.cx, &auth, &device_id, from, page.limit, last).await?))
}

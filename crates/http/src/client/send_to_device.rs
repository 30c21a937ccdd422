//! `PUT /_matrix/client/v3/sendToDevice/{eventType}/{txnId}`

use axum::{Router, extract::State, routing::put};
use olmstead_service::to_device;

use crate::{
    App,
    auth::{AnyActive, Auth},
    error::ApiResult,
    extract::{Empty, Missing, Path, RawBody},
    routes::ClientRoutes as _,
};

pub(super) fn routes() -> Router<App> {
    Router::new().v3_and_unstable("/sendToDevice/{event_type}/{transaction_id}", put(handler))
}

/// Sends messages to devices.
async fn handler(
    State(app): State<App>,
    auth: Auth<AnyActive>,
    Path((event_type, transaction_id)): Path<(String, String)>,
    RawBody(body): RawBody,
) -> ApiResult<Empty> {
    let request = app.parse(body, Missing::BadJson).await?;
    to_device::send(&app.cx, &auth.device, &event_type, &transaction_id, &request).await?;
    Ok(Empty)
}

//! `POST /_matrix/client/v3/rooms/{roomId}/read_markers`

use axum::extract::State;
use olmstead_service::rooms::receipts::{ReadMarkers, set_read_markers};
use ruma::OwnedRoomId;
use serde::Deserialize;

use super::args::{Id, id};
use crate::{
    App,
    auth::{Auth, SuspendedToo},
    error::ApiResult,
    extract::{Empty, JsonBody, Path},
};

#[derive(Debug, Deserialize)]
pub(super) struct Body {
    #[serde(rename = "m.fully_read")]
    fully_read: Option<String>,
    #[serde(rename = "m.read")]
    read: Option<String>,
    #[serde(rename = "m.read.private")]
    read_private: Option<String>,
}

/// Sets the read marker, and receipts with it.
pub(super) async fn handler(
    State(app): State<App>,
    auth: Auth<SuspendedToo>,
    Path(Id(room_id)): Path<Id<OwnedRoomId>>,
    JsonBody(body): JsonBody<Body>,
) -> ApiResult<Empty> {
    let event = |text: Option<String>| text.map(|text| id("event id", &text)).transpose();
    let markers = ReadMarkers {
        fully_read: event(body.fully_read)?,
        read: event(body.read)?,
        read_private: event(body.read_private)?,
    };
    set_read_markers(&app.cx, &auth.device.user_id, &room_id, &markers).await?;
    Ok(Empty)
}

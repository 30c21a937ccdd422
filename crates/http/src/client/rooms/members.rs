//! `GET /_matrix/client/v3/rooms/{roomId}/members` and `…/joined_members`

use std::collections::BTreeMap;

use axum::extract::State;
use olmstead_domain::json::RawJson;
use olmstead_service::{
    Refusal,
    rooms::{
        members::{self, JoinedMember, MembersQuery},
        render::{RenderOptions, render_events},
    },
};
use ruma::{OwnedRoomId, OwnedUserId, events::room::member::MembershipState};
use serde::{Deserialize, Serialize};

use super::args::{Id, token};
use crate::{
    App,
    auth::{AnyActive, Auth, SuspendedToo},
    error::{ApiError, ApiResult},
    extract::{Json, Path, Query},
};

#[derive(Debug, Deserialize)]
pub(super) struct Parameters {
    at: Option<String>,
    membership: Option<String>,
    not_membership: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Chunk {
    chunk: Vec<RawJson>,
}

/// The member events.
pub(super) async fn members(
    State(app): State<App>,
    auth: Auth<AnyActive>,
    Path(Id(room_id)): Path<Id<OwnedRoomId>>,
    Query(parameters): Query<Parameters>,
) -> ApiResult<Json<Chunk>> {
    let query = MembersQuery {
        at: token(parameters.at.as_deref())?,
        membership: membership(parameters.membership)?,
        not_membership: membership(parameters.not_membership)?,
    };
    let events = members::members(&app.cx, &auth.device.user_id, &room_id, &query).await?;
    let chunk = render_events(&app.cx, &auth.device, &room_id, &events, RenderOptions::STATE).await?;
    Ok(Json(Chunk { chunk }))
}

fn membership(name: Option<String>) -> Result<Option<MembershipState>, ApiError> {
    name.map(|name| match name.as_str() {
        "join" | "invite" | "knock" | "leave" | "ban" => Ok(MembershipState::from(name)),
        _ => Err(ApiError::refused(Refusal::InvalidParam, format!("Unknown membership {name:?}."))),
    })
    .transpose()
}

#[derive(Debug, Serialize)]
pub(super) struct Joined {
    joined: BTreeMap<OwnedUserId, JoinedMember>,
}

/// Who is in the room now.
pub(super) async fn joined(
    State(app): State<App>,
    auth: Auth<SuspendedToo>,
    Path(Id(room_id)): Path<Id<OwnedRoomId>>,
) -> ApiResult<Json<Joined>> {
    let joined = members::joined_members(&app.cx, &auth.device.user_id, &room_id).await?;
    Ok(Json(Joined { joined: joined.into_iter().collect() }))
}

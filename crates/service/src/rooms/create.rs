//! Creating a room (ENC-5, ENC-6, ENC-7).

use olmstead_domain::{
    json::RawJson,
    rooms::{
        RoomVersion,
        build::room_id_from_random,
        create::{CreatedRoom, InitialState, NewRoom, Preset, build_room},
    },
};
use olmstead_storage::rooms::{Append, AppendOutcome, NewEvent};
use ruma::{OwnedRoomAliasId, OwnedRoomId, OwnedUserId, UserId};
use serde::Deserialize;

use super::{aliases::local_alias, invite::check_invitable, profile::member_profile};
use crate::{Context, Refusal, Result, ServiceError};

/// How often a room is built anew with another time, because its id was taken.
const ATTEMPTS: u64 = 50;

/// The body of `createRoom`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct CreateRoom {
    /// `public` or `private` in the directory.
    pub visibility: Option<String>,
    /// The local part of an alias.
    pub room_alias_name: Option<String>,
    /// The name.
    pub name: Option<String>,
    /// The topic.
    pub topic: Option<String>,
    /// Whom to invite.
    pub invite: Vec<String>,
    /// Whom to invite by e-mail address and the like.
    pub invite_3pid: Vec<RawJson>,
    /// The room version.
    pub room_version: Option<String>,
    /// More content for the create event.
    pub creation_content: Option<RawJson>,
    /// State to set.
    pub initial_state: Vec<InitialStateEvent>,
    /// The preset.
    pub preset: Option<String>,
    /// Whether the invitations are to a direct chat.
    pub is_direct: bool,
    /// Changes of the default power levels.
    pub power_level_content_override: Option<RawJson>,
}

/// An event of `initial_state`.
#[derive(Debug, Clone, Deserialize)]
pub struct InitialStateEvent {
    /// The event type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The state key, empty by default.
    #[serde(default)]
    pub state_key: String,
    /// The content.
    pub content: RawJson,
}

/// Creates a room with all its first events in one commit.
///
/// # Errors
/// [`Refusal::InvalidParam`] for malformed ids, presets or aliases, [`Refusal::UnsupportedRoomVersion`],
/// [`Refusal::RoomInUse`] for an alias that is taken, [`Refusal::InvalidRoomState`] if the events do not allow each
/// other, [`Refusal::BadJson`], [`Refusal::TooLarge`], [`Refusal::InviteBlocked`].
pub async fn create_room(cx: &Context, creator: &UserId, request: CreateRoom) -> Result<OwnedRoomId> {
    let version = match &request.room_version {
        Some(version) => RoomVersion::parse(version)?,
        None => RoomVersion::parse(cx.config.default_room_version.as_str())?,
    };
    let is_public = match request.visibility.as_deref() {
        Some("public") => true,
        Some("private") | None => false,
        Some(other) => return Err(ServiceError::invalid_param(format!("Unknown visibility {other:?}."))),
    };
    if !request.invite_3pid.is_empty() {
        return Err(ServiceError::refused(
            Refusal::Unknown,
            "This server cannot invite by e-mail address or phone number.",
        ));
    }
    let alias = match request.room_alias_name.as_deref() {
        Some(localpart) => Some(free_alias(cx, localpart).await?),
        None => None,
    };
    let mut invite = Vec::with_capacity(request.invite.len());
    for user in &request.invite {
        let user = parse_user(user)?;
        check_invitable(cx, &user).await?;
        let profile = member_profile(cx, &user).await?;
        invite.push((user, profile));
    }
    let mut room = NewRoom {
        version,
        creator: creator.to_owned(),
        profile: member_profile(cx, creator).await?,
        preset: Preset::choose(request.preset.as_deref(), is_public)?,
        creation_content: request.creation_content.map(|content| content.as_raw().to_owned()),
        power_level_content_override: request.power_level_content_override.map(|levels| levels.as_raw().to_owned()),
        initial_state: request
            .initial_state
            .into_iter()
            .map(|state| InitialState {
                kind: state.kind,
                state_key: state.state_key,
                content: state.content.as_raw().to_owned(),
            })
            .collect(),
        name: request.name,
        topic: request.topic,
        alias: alias.clone(),
        invite,
        is_direct: request.is_direct,
        now: cx.now(),
    };
    for _ in 0..ATTEMPTS {
        let created = build_room(version, &room.templates()?, random_room_id(cx)?, &cx.server_key)?;
        match store(cx, version, &created, alias.clone(), is_public.then_some(true)).await? {
            AppendOutcome::RoomExists => room.now = room.now.saturating_add(1),
            AppendOutcome::AliasTaken => return Err(alias_taken(alias.as_ref())),
            AppendOutcome::Appended(_) | AppendOutcome::SeenBefore(_) => return Ok(created.room_id),
        }
    }
    Err(ServiceError::LimitExceeded { retry_after_ms: 1_000 })
}

/// Stores a new room in one commit.
pub(crate) async fn store(
    cx: &Context,
    version: RoomVersion,
    created: &CreatedRoom,
    alias: Option<OwnedRoomAliasId>,
    published: Option<bool>,
) -> Result<AppendOutcome> {
    let Some(last) = created.events.last() else {
        return Err(ServiceError::Internal("a new room without events".to_owned()));
    };
    let creator = last.sender().to_owned();
    let extremities = vec![last.event_id().to_owned()];
    let outcome = cx
        .storage
        .append_events(Append {
            room_id: created.room_id.clone(),
            version: version.id(),
            expected_revision: None,
            events: created
                .events
                .iter()
                .map(|pdu| NewEvent {
                    pdu: pdu.clone(),
                    updates_state: pdu.is_state(),
                    in_timeline: true,
                    transaction: None,
                })
                .collect(),
            extremities: extremities.clone(),
            depth: last.depth(),
            alias: alias.map(|alias| (alias, creator)),
            published,
        })
        .await;
    let outcome = match outcome {
        // Somebody else made a room of this id between the look and the write.
        Err(olmstead_storage::StorageError::Conflict) => AppendOutcome::RoomExists,
        other => other?,
    };
    if matches!(outcome, AppendOutcome::Appended(_)) {
        let state = created.state.iter().map(|(key, pdu)| (key.clone(), Some(pdu.clone()))).collect();
        cx.caches.room_states.begin(&created.room_id, extremities, state);
    }
    Ok(outcome)
}

/// A new room id for versions that do not derive it.
pub(crate) fn random_room_id(cx: &Context) -> Result<OwnedRoomId> {
    let mut random = [0; 18];
    cx.environment.random(&mut random);
    Ok(room_id_from_random(&random, &cx.config.server_name)?)
}

/// A user id as a client wrote it.
pub(crate) fn parse_user(user: &str) -> Result<OwnedUserId> {
    olmstead_domain::identifiers::parse_user_id(user).map_err(super::bad_id)
}

async fn free_alias(cx: &Context, localpart: &str) -> Result<OwnedRoomAliasId> {
    let alias = local_alias(cx, localpart)?;
    if cx.storage.alias(&alias).await?.is_some() {
        return Err(alias_taken(Some(&alias)));
    }
    Ok(alias)
}

fn alias_taken(alias: Option<&OwnedRoomAliasId>) -> ServiceError {
    let alias = alias.map(ToString::to_string).unwrap_or_default();
    ServiceError::refused(Refusal::RoomInUse, format!("The room alias {alias} is taken."))
}

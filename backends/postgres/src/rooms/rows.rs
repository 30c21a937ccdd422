//! Columns that the rows of rooms share.

use olmstead_domain::position::{Cursor, Position};
use olmstead_storage::{
    StorageError,
    rooms::{Membership, RoomHead},
};
use ruma::{OwnedEventId, RoomId};
use sqlx::{PgConnection, Row as _, postgres::PgRow};

use crate::{
    error::Done,
    rows::{Columns as _, damaged},
    text::{original, stored},
};

/// A membership as a number. Part of the schema; statements use the numbers, too.
pub(super) const fn membership_number(membership: Membership) -> i16 {
    match membership {
        Membership::Invite => 1,
        Membership::Join => 2,
        Membership::Leave => 3,
        Membership::Ban => 4,
        Membership::Knock => 5,
    }
}

/// The membership a number stands for.
pub(super) fn membership_of(number: i16) -> Done<Membership> {
    Ok(match number {
        1 => Membership::Invite,
        2 => Membership::Join,
        3 => Membership::Leave,
        4 => Membership::Ban,
        5 => Membership::Knock,
        _ => return Err(damaged("membership")),
    })
}

/// The columns `membership` and `previous`.
pub(super) fn memberships(row: &PgRow) -> Done<(Membership, Option<Membership>)> {
    let previous = row.maybe_small("previous")?;
    Ok((membership_of(row.small("membership")?)?, previous.map(membership_of).transpose()?))
}

/// The columns of the place where encryption was turned on.
pub(super) fn encrypted_at(row: &PgRow) -> Done<Option<Cursor>> {
    let position = row.maybe_count("encrypted_position")?;
    let ordinal: Option<i32> = row.try_get("encrypted_ordinal")?;
    let Some((position, ordinal)) = position.zip(ordinal) else { return Ok(None) };
    let ordinal = u32::try_from(ordinal).map_err(|_| damaged("encrypted_ordinal"))?;
    Ok(Some(Cursor::new(Position(position), ordinal)))
}

/// A room's head; `None` for an unknown room.
pub(super) async fn head(sql: &mut PgConnection, room_id: &RoomId) -> Done<Option<RoomHead>> {
    let row = sqlx::query(
        "SELECT version, revision, extremities, depth, joined, invited, encrypted_position, encrypted_ordinal
         FROM room WHERE room_id = $1",
    )
    .bind(stored(room_id.as_str()))
    .fetch_optional(sql)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let extremities: Vec<String> = row.try_get("extremities")?;
    let extremities = extremities.into_iter().map(|text| OwnedEventId::try_from(original(text)));
    Ok(Some(RoomHead {
        version: row.id("version")?,
        revision: row.count("revision")?,
        extremities: extremities
            .collect::<Result<_, _>>()
            .map_err(|error| StorageError::corrupt(format!("the extremities of {room_id}"), error))?,
        depth: row.count("depth")?,
        encrypted_at: encrypted_at(&row)?,
        joined_count: row.count("joined")?,
        invited_count: row.count("invited")?,
    }))
}

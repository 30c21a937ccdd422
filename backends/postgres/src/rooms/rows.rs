//! Columns that the rows of rooms share.

use std::sync::Arc;

use olmstead_domain::position::{Cursor, Position};
use olmstead_storage::{
    Result, StorageError,
    rooms::{Membership, RoomHead},
};
use ruma::{OwnedEventId, OwnedRoomId, RoomId};
use sqlx::{PgConnection, Row as _, postgres::PgRow};

use crate::{
    error::Done,
    rows::{self, Columns as _, damaged, numbered},
    text::{original, stored, stored_all},
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
pub(crate) fn membership_of(number: i16) -> Done<Membership> {
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

/// The heads of rooms; `None` for unknown ones.
pub(super) async fn heads(sql: &mut PgConnection, rooms: &[Arc<OwnedRoomId>]) -> Done<Vec<Result<Option<RoomHead>>>> {
    let found_rows = sqlx::query(
        "SELECT q.number, r.version, r.revision, r.extremities, r.depth, r.joined, r.invited, r.encrypted_position,
             r.encrypted_ordinal
         FROM unnest($1::text[]) WITH ORDINALITY AS q (room_id, number)
             CROSS JOIN LATERAL (SELECT * FROM room WHERE room.room_id = q.room_id OFFSET 0) r",
    )
    .bind(stored_all(rooms.iter().map(|room_id| room_id.as_str())))
    .fetch_all(sql)
    .await?;
    let mut found: Vec<Result<Option<RoomHead>>> = rooms.iter().map(|_| Ok(None)).collect();
    for row in &found_rows {
        let found = found.get_mut(numbered(row)?).ok_or_else(|| damaged("number"))?;
        *found = head(row).map(Some).map_err(Into::into);
    }
    Ok(found)
}

/// Rooms in order of their ids, with their heads.
pub(crate) async fn rooms_after(
    sql: &mut PgConnection,
    after: Option<&RoomId>,
    limit: usize,
) -> Done<Vec<(OwnedRoomId, RoomHead)>> {
    sqlx::query(
        "SELECT room_id, version, revision, extremities, depth, joined, invited, encrypted_position, encrypted_ordinal
         FROM room WHERE $1::text IS NULL OR room_id > $1 ORDER BY room_id LIMIT $2",
    )
    .bind(after.map(|after| stored(after.as_str())))
    .bind(rows::limit(limit))
    .fetch_all(sql)
    .await?
    .iter()
    .map(|row| Ok((row.id("room_id")?, head(row)?)))
    .collect()
}

fn head(row: &PgRow) -> Done<RoomHead> {
    let extremities: Vec<String> = row.try_get("extremities")?;
    let extremities = extremities.into_iter().map(|text| OwnedEventId::try_from(original(text)));
    Ok(RoomHead {
        version: row.id("version")?,
        revision: row.count("revision")?,
        extremities: extremities
            .collect::<std::result::Result<_, _>>()
            .map_err(|error| StorageError::corrupt("the extremities of a room", error))?,
        depth: row.count("depth")?,
        encrypted_at: encrypted_at(row)?,
        joined_count: row.count("joined")?,
        invited_count: row.count("invited")?,
    })
}

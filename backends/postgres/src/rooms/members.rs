//! Who is in which room, now and at any place.
//!
//! The row of a membership is overwritten in place. A read at a place takes it where it is old enough, and else the
//! newest version below the place. Its cost is that of the rows asked for, whatever the number of their versions.

use olmstead_domain::position::{Cursor, Position};
use olmstead_storage::rooms::{Member, Membership, MembershipChange, RoomMembership};
use ruma::{OwnedUserId, RoomId, UserId};
use sqlx::{PgConnection, postgres::PgRow};

use super::rows;
use crate::{
    command::Command,
    error::Done,
    rows::{Columns as _, ordinal, place},
    text::stored,
};

/// Members strictly before a place, or now.
pub(super) async fn members(sql: &mut PgConnection, room_id: &RoomId, before: Option<Cursor>) -> Done<Vec<Member>> {
    let before = before.unwrap_or(Cursor::END);
    sqlx::query(
        "SELECT m.user_id, s.membership, s.event_id FROM membership m CROSS JOIN LATERAL (
             SELECT m.membership, m.event_id WHERE (m.position, m.ordinal) < ($2, $3)
             UNION ALL (
                 SELECT v.membership, v.event_id FROM membership_version v
                 WHERE (m.position, m.ordinal) >= ($2, $3) AND v.user_id = m.user_id AND v.room_id = m.room_id
                     AND (v.position, v.ordinal) < ($2, $3)
                 ORDER BY v.position DESC, v.ordinal DESC LIMIT 1
             )
         ) s WHERE m.room_id = $1",
    )
    .bind(stored(room_id.as_str()))
    .bind(place(before.position))
    .bind(ordinal(before))
    .fetch_all(sql)
    .await?
    .iter()
    .map(|row| {
        let membership = rows::membership_of(row.small("membership")?)?;
        Ok(Member { user_id: row.id("user_id")?, membership, event_id: row.id("event_id")? })
    })
    .collect()
}

/// Users who are joined now, in order of their ids.
pub(super) async fn joined(sql: &mut PgConnection, room_id: &RoomId) -> Done<Vec<OwnedUserId>> {
    sqlx::query("SELECT user_id FROM membership WHERE room_id = $1 AND membership = 2 ORDER BY user_id")
        .bind(stored(room_id.as_str()))
        .fetch_all(sql)
        .await?
        .iter()
        .map(|row| row.id("user_id"))
        .collect()
}

/// Changes of membership in a span, in order.
pub(super) async fn changes(
    sql: &mut PgConnection,
    room_id: &RoomId,
    from: Position,
    to: Position,
) -> Done<Vec<MembershipChange>> {
    sqlx::query(
        "SELECT user_id, membership, previous, position, ordinal FROM membership_version
         WHERE room_id = $1 AND position >= $2 AND position < $3 ORDER BY position, ordinal",
    )
    .bind(stored(room_id.as_str()))
    .bind(place(from))
    .bind(place(to))
    .fetch_all(sql)
    .await?
    .iter()
    .map(|row| {
        let (to, from) = rows::memberships(row)?;
        Ok(MembershipChange { user_id: row.id("user_id")?, from, to, cursor: row.cursor()? })
    })
    .collect()
}

/// A membership with what is known of the room itself. Its newest positions may be at or above the place that is read
/// at: then they are new all the same for whoever read up to there before. Encryption that began there has not begun
/// yet.
fn room_membership(row: &PgRow, to: Position) -> Done<RoomMembership> {
    let (membership, previous) = rows::memberships(row)?;
    Ok(RoomMembership {
        room_id: row.id("room_id")?,
        membership,
        event_id: row.id("event_id")?,
        sender: row.id("sender")?,
        cursor: row.cursor()?,
        previous,
        last_event: row.place("last_event")?,
        last_membership: row.place("last_membership")?,
        last_ephemeral: Position(row.maybe_count("newest")?.unwrap_or_default()),
        encrypted_at: rows::encrypted_at(row)?.filter(|cursor| cursor.position < to),
    })
}

/// Every room the user has to do with, as of strictly before `to`, in order of their ids; of forgotten ones those that
/// the user was in just before `forgotten_from`.
pub(super) async fn memberships(
    sql: &mut PgConnection,
    user_id: &UserId,
    forgotten_from: Position,
    to: Position,
) -> Done<Vec<RoomMembership>> {
    sqlx::query(
        "SELECT m.room_id, s.*, r.last_event, r.last_membership, r.encrypted_position, r.encrypted_ordinal, x.newest
         FROM membership m CROSS JOIN LATERAL (
             SELECT m.membership, m.previous, m.event_id, m.sender, m.position, m.ordinal, m.forgotten
             WHERE m.position < $3
             UNION ALL (
                 SELECT v.membership, v.previous, v.event_id, v.sender, v.position, v.ordinal, v.forgotten
                 FROM membership_version v
                 WHERE m.position >= $3 AND v.user_id = m.user_id AND v.room_id = m.room_id AND v.position < $3
                 ORDER BY v.position DESC, v.ordinal DESC LIMIT 1
             )
         ) s LEFT JOIN room r ON r.room_id = m.room_id LEFT JOIN room_ephemeral x ON x.room_id = m.room_id
         WHERE m.user_id = $1 AND (NOT s.forgotten OR (s.position >= $2 AND (
             SELECT v.membership FROM membership_version v
             WHERE v.user_id = m.user_id AND v.room_id = m.room_id AND v.position < $2
             ORDER BY v.position DESC, v.ordinal DESC LIMIT 1
         ) IN (1, 2, 5)))
         ORDER BY m.room_id",
    )
    .bind(stored(user_id.as_str()))
    .bind(place(forgotten_from))
    .bind(place(to))
    .fetch_all(sql)
    .await?
    .iter()
    .map(|row| room_membership(row, to))
    .collect()
}

/// The user's standing in one room; `None` after it was forgotten.
pub(super) async fn membership(
    sql: &mut PgConnection,
    room_id: &RoomId,
    user_id: &UserId,
) -> Done<Option<RoomMembership>> {
    sqlx::query(
        "SELECT m.room_id, m.membership, m.previous, m.event_id, m.sender, m.position, m.ordinal,
             r.last_event, r.last_membership, r.encrypted_position, r.encrypted_ordinal, x.newest
         FROM membership m LEFT JOIN room r USING (room_id) LEFT JOIN room_ephemeral x USING (room_id)
         WHERE m.user_id = $1 AND m.room_id = $2 AND NOT m.forgotten",
    )
    .bind(stored(user_id.as_str()))
    .bind(stored(room_id.as_str()))
    .fetch_optional(sql)
    .await?
    .map(|row| room_membership(&row, Position::END))
    .transpose()
}

/// Forgets a room, under its lock.
pub(super) async fn forget(command: &mut Command, room_id: &RoomId, user_id: &UserId) -> Done<bool> {
    let row = sqlx::query("SELECT membership, forgotten FROM membership WHERE user_id = $1 AND room_id = $2")
        .bind(stored(user_id.as_str()))
        .bind(stored(room_id.as_str()))
        .fetch_optional(command.sql())
        .await?;
    let Some(row) = row else { return Ok(true) };
    if !matches!(rows::membership_of(row.small("membership")?)?, Membership::Leave | Membership::Ban) {
        return Ok(false);
    }
    if !row.flag("forgotten")? {
        sqlx::query(
            "WITH current AS (
                 UPDATE membership SET forgotten = true WHERE user_id = $1 AND room_id = $2
                 RETURNING user_id, room_id, position, ordinal
             )
             UPDATE membership_version v SET forgotten = true FROM current c
             WHERE (v.user_id, v.room_id, v.position, v.ordinal) = (c.user_id, c.room_id, c.position, c.ordinal)",
        )
        .bind(stored(user_id.as_str()))
        .bind(stored(room_id.as_str()))
        .execute(command.sql())
        .await?;
        command.change_of_user(user_id.to_owned());
    }
    Ok(true)
}

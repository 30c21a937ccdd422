//! Who shares a room with a user.

use ruma::{OwnedUserId, UserId};
use sqlx::PgConnection;

use crate::{
    error::Done,
    rows::Columns as _,
    text::{stored, stored_all},
};

/// Those of `others` who are in a room the user is joined to, in the order given.
///
/// The rooms of each are looked up among the user's, one after the other until one is shared: short lists out of one
/// index, and never the members of a room, however large.
pub(super) async fn sharing(
    sql: &mut PgConnection,
    user_id: &UserId,
    others: &[OwnedUserId],
    encrypted_only: bool,
    or_invited: bool,
) -> Done<Vec<OwnedUserId>> {
    if others.is_empty() {
        return Ok(Vec::new());
    }
    let memberships: &[i16] = if or_invited { &[1, 2] } else { &[2] };
    sqlx::query(
        "WITH mine AS MATERIALIZED (SELECT room_id FROM membership WHERE user_id = $1 AND membership = 2)
         SELECT o.user_id FROM unnest($2::text[]) WITH ORDINALITY AS o (user_id, number) CROSS JOIN LATERAL (
             SELECT FROM membership theirs WHERE theirs.user_id = o.user_id AND theirs.membership = ANY($3)
                 -- Not a join: the rooms are hashed once, whatever the planner believes of their number.
                 AND (theirs.room_id IN (SELECT room_id FROM mine)) IS TRUE
                 AND (NOT $4 OR (
                     SELECT encrypted_position FROM room r WHERE r.room_id = theirs.room_id
                 ) IS NOT NULL)
             LIMIT 1
         ) shared ORDER BY o.number",
    )
    .bind(stored(user_id.as_str()))
    .bind(stored_all(others))
    .bind(memberships)
    .bind(encrypted_only)
    .fetch_all(sql)
    .await?
    .iter()
    .map(|row| row.id("user_id"))
    .collect()
}

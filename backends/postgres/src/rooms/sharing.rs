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
/// The rooms of each are looked up in the user's, one after the other until one is shared: no list of members is read
/// however large the rooms, and the user's own rooms are not read either.
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
        "SELECT o.user_id FROM unnest($2::text[]) WITH ORDINALITY AS o (user_id, number) CROSS JOIN LATERAL (
             SELECT FROM membership theirs JOIN membership mine ON mine.room_id = theirs.room_id
             WHERE theirs.user_id = o.user_id AND theirs.membership = ANY($3)
                 AND mine.user_id = $1 AND mine.membership = 2
                 AND (NOT $4 OR EXISTS (
                     SELECT FROM room r WHERE r.room_id = mine.room_id AND r.encrypted_position IS NOT NULL
                 ))
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

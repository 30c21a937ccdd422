//! Who shares a room with a user.

use std::sync::Arc;

use olmstead_storage::Result;
use ruma::OwnedUserId;
use sqlx::PgConnection;

use crate::{
    error::Done,
    rows::{damaged, limit, numbered},
    text::stored_all,
};

/// Who of others shares a room with a user.
pub(crate) struct Sharing {
    pub(super) user_id: OwnedUserId,
    pub(super) others: Vec<OwnedUserId>,
    /// Only encrypted rooms count.
    pub(super) encrypted_only: bool,
    /// Those who are invited count, too.
    pub(super) or_invited: bool,
}

/// Those of the others who are in a room the user is joined to, in the order given.
///
/// The rooms of each are looked up among the user's, one after the other until one is shared: short lists out of one
/// index, and never the members of a room, however large.
pub(super) async fn sharing(sql: &mut PgConnection, asked: &[Arc<Sharing>]) -> Done<Vec<Result<Vec<OwnedUserId>>>> {
    // All questions in one list, and the place of the one that each other is of.
    let others: Vec<(usize, &OwnedUserId)> =
        asked.iter().enumerate().flat_map(|(place, one)| one.others.iter().map(move |other| (place, other))).collect();
    let of_each =
        |flag: fn(&Sharing) -> bool| asked.iter().flat_map(move |one| one.others.iter().map(move |_| flag(one)));
    let rows = sqlx::query(
        "WITH mine AS MATERIALIZED (
             SELECT u.number AS place, m.room_id
             FROM unnest($1::text[]) WITH ORDINALITY AS u (user_id, number) CROSS JOIN LATERAL (
                 SELECT room_id FROM membership m WHERE m.user_id = u.user_id AND m.membership = 2 OFFSET 0
             ) m
         )
         SELECT o.number FROM unnest($2::bigint[], $3::text[], $4::boolean[], $5::boolean[])
             WITH ORDINALITY AS o (place, user_id, encrypted_only, or_invited, number) CROSS JOIN LATERAL (
                 SELECT FROM membership theirs WHERE theirs.user_id = o.user_id
                     AND (theirs.membership = 2 OR theirs.membership = 1 AND o.or_invited)
                     -- Not a join: the rooms are hashed once, whatever the planner believes of their number.
                     AND ((o.place, theirs.room_id) IN (SELECT place, room_id FROM mine)) IS TRUE
                     AND (NOT o.encrypted_only OR (
                         SELECT encrypted_position FROM room r WHERE r.room_id = theirs.room_id
                     ) IS NOT NULL)
                 LIMIT 1
             ) shared ORDER BY o.number",
    )
    .bind(stored_all(asked.iter().map(|one| &one.user_id)))
    .bind(others.iter().map(|(place, _)| limit(place + 1)).collect::<Vec<_>>())
    .bind(stored_all(others.iter().map(|(_, other)| other)))
    .bind(of_each(|one| one.encrypted_only).collect::<Vec<_>>())
    .bind(of_each(|one| one.or_invited).collect::<Vec<_>>())
    .fetch_all(sql)
    .await?;
    let mut sharing: Vec<Vec<OwnedUserId>> = asked.iter().map(|_| Vec::new()).collect();
    for row in &rows {
        let number = numbered(row)?;
        let (place, other) = others.get(number).ok_or_else(|| damaged("number"))?;
        sharing.get_mut(*place).ok_or_else(|| damaged("number"))?.push((*other).clone());
    }
    Ok(sharing.into_iter().map(Ok).collect())
}

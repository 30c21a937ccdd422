//! Room aliases and the list of public rooms.

use async_trait::async_trait;
use olmstead_storage::{Directory, Result};
use ruma::{OwnedRoomAliasId, OwnedRoomId, OwnedUserId, RoomAliasId, RoomId, UserId};
use sqlx::PgConnection;

use crate::{
    PostgresStore,
    error::Done,
    locks::Locks,
    rows::Columns as _,
    store::{command, read},
    text::stored,
};

/// Adds what a command that sets or removes an alias must lock.
pub(crate) fn lock_alias(locks: Locks, alias: &RoomAliasId) -> Locks {
    locks.name("alias", alias.as_str())
}

/// Points an alias at a room, under its lock; `false` when it is taken.
pub(crate) async fn put_alias(
    sql: &mut PgConnection,
    alias: &RoomAliasId,
    room_id: &RoomId,
    creator: &UserId,
) -> Done<bool> {
    let put = sqlx::query("INSERT INTO alias (alias, room_id, creator) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
        .bind(stored(alias.as_str()))
        .bind(stored(room_id.as_str()))
        .bind(stored(creator.as_str()))
        .execute(sql)
        .await?;
    Ok(put.rows_affected() > 0)
}

/// Publishes a room or takes it out of the list, under the room's lock.
pub(crate) async fn put_published(sql: &mut PgConnection, room_id: &RoomId, published: bool) -> Done<()> {
    let statement = if published {
        "INSERT INTO published_room (room_id) VALUES ($1) ON CONFLICT DO NOTHING"
    } else {
        "DELETE FROM published_room WHERE room_id = $1"
    };
    sqlx::query(statement).bind(stored(room_id.as_str())).execute(sql).await?;
    Ok(())
}

async fn alias(sql: &mut PgConnection, alias: &RoomAliasId) -> Done<Option<(OwnedRoomId, OwnedUserId)>> {
    sqlx::query("SELECT room_id, creator FROM alias WHERE alias = $1")
        .bind(stored(alias.as_str()))
        .fetch_optional(sql)
        .await?
        .map(|row| Ok((row.id("room_id")?, row.id("creator")?)))
        .transpose()
}

async fn aliases(sql: &mut PgConnection, room_id: &RoomId) -> Done<Vec<OwnedRoomAliasId>> {
    sqlx::query("SELECT alias FROM alias WHERE room_id = $1 ORDER BY alias")
        .bind(stored(room_id.as_str()))
        .fetch_all(sql)
        .await?
        .iter()
        .map(|row| row.id("alias"))
        .collect()
}

async fn published_rooms(sql: &mut PgConnection) -> Done<Vec<(OwnedRoomId, u64)>> {
    sqlx::query(
        "SELECT p.room_id, coalesce(r.joined, 0) AS joined FROM published_room p LEFT JOIN room r USING (room_id)
         ORDER BY joined DESC, p.room_id",
    )
    .fetch_all(sql)
    .await?
    .iter()
    .map(|row| Ok((row.id("room_id")?, row.count("joined")?)))
    .collect()
}

#[async_trait]
impl Directory for PostgresStore {
    async fn create_alias(&self, alias: &RoomAliasId, room_id: &RoomId, creator: &UserId) -> Result<bool> {
        command!(self, lock_alias(Locks::new(), alias), |command| {
            put_alias(command.sql(), alias, room_id, creator).await
        })
    }

    async fn alias(&self, name: &RoomAliasId) -> Result<Option<(OwnedRoomId, OwnedUserId)>> {
        read!(self, |connection| alias(connection, name).await)
    }

    async fn delete_alias(&self, alias: &RoomAliasId) -> Result<bool> {
        command!(self, lock_alias(Locks::new(), alias), |command| {
            let deleted = sqlx::query("DELETE FROM alias WHERE alias = $1")
                .bind(stored(alias.as_str()))
                .execute(command.sql())
                .await?;
            Ok(deleted.rows_affected() > 0)
        })
    }

    async fn room_aliases(&self, room_id: &RoomId) -> Result<Vec<OwnedRoomAliasId>> {
        read!(self, |connection| aliases(connection, room_id).await)
    }

    async fn set_published(&self, room_id: &RoomId, published: bool) -> Result<()> {
        command!(self, Locks::new().room(room_id), |command| put_published(command.sql(), room_id, published).await)
    }

    async fn published(&self, room_id: &RoomId) -> Result<bool> {
        read!(self, |connection| {
            Ok(sqlx::query_scalar("SELECT EXISTS (SELECT FROM published_room WHERE room_id = $1)")
                .bind(stored(room_id.as_str()))
                .fetch_one(connection)
                .await?)
        })
    }

    async fn published_rooms(&self) -> Result<Vec<(OwnedRoomId, u64)>> {
        read!(self, |connection| published_rooms(connection).await)
    }
}

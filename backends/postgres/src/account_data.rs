//! Account data, filters and pushers.

use std::borrow::Cow;

use async_trait::async_trait;
use olmstead_domain::{json::RawJson, position::Position};
use olmstead_storage::{
    AccountData, Result,
    account_data::{AccountDataEntry, Pusher},
    devices::DeviceRef,
};
use ruma::{RoomId, UserId};
use sqlx::{PgConnection, postgres::PgRow};

use crate::{
    PostgresStore,
    command::Command,
    error::Done,
    locks::Locks,
    profiles,
    rows::{Columns as _, damaged, number, place},
    store::{command, read},
    text::stored,
};

/// A new filter is compared with this many of the user's newest: clients set the same one at each start.
const COMPARED_FILTERS: i64 = 64;

/// The room of an entry as it is stored: empty for global data, which no room id is.
fn room_part(room_id: Option<&RoomId>) -> Cow<'_, str> {
    stored(room_id.map_or("", RoomId::as_str))
}

async fn entry(sql: &mut PgConnection, user_id: &UserId, room: &str, kind: &str) -> Done<Option<RawJson>> {
    let row = sqlx::query("SELECT content FROM account_data WHERE user_id = $1 AND room_id = $2 AND kind = $3")
        .bind(user_id.as_str())
        .bind(room)
        .bind(stored(kind))
        .fetch_optional(sql)
        .await?;
    row.map(|row| row.json("content")).transpose()
}

async fn set(command: &mut Command, user_id: &UserId, room: &str, kind: &str, content: &RawJson) -> Done<()> {
    let position = command.place().await?;
    sqlx::query(
        "INSERT INTO account_data (user_id, room_id, kind, content, position) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (user_id, room_id, kind) DO UPDATE SET content = EXCLUDED.content, position = EXCLUDED.position",
    )
    .bind(user_id.as_str())
    .bind(room)
    .bind(stored(kind))
    .bind(content.get())
    .bind(position)
    .execute(command.sql())
    .await?;
    command.change_of_user(user_id.to_owned());
    Ok(())
}

/// Entries last set in a span, in the order they were set.
async fn entries_between(
    sql: &mut PgConnection,
    user_id: &UserId,
    from: Position,
    to: Position,
) -> Done<Vec<AccountDataEntry>> {
    let rows = sqlx::query(
        "SELECT room_id, kind, content, position FROM account_data
         WHERE user_id = $1 AND position >= $2 AND position < $3 ORDER BY position, room_id, kind",
    )
    .bind(user_id.as_str())
    .bind(place(from))
    .bind(place(to))
    .fetch_all(sql)
    .await?;
    let entry = |row: &PgRow| {
        let room = row.text("room_id")?;
        let room_id = if room.is_empty() { None } else { Some(room.try_into().map_err(|_| damaged("room_id"))?) };
        Ok(AccountDataEntry {
            room_id,
            kind: row.text("kind")?,
            content: row.json("content")?,
            position: row.place("position")?,
        })
    };
    rows.iter().map(entry).collect()
}

async fn put_filter(sql: &mut PgConnection, user_id: &UserId, filter: &RawJson) -> Done<u64> {
    let row = sqlx::query(
        "WITH newest AS (SELECT number, filter FROM filter WHERE user_id = $1 ORDER BY number DESC LIMIT $3),
              known AS (SELECT number FROM newest WHERE filter = $2 ORDER BY number DESC LIMIT 1),
              added AS (
                  INSERT INTO filter (user_id, number, filter)
                  SELECT $1, coalesce((SELECT max(number) + 1 FROM newest), 0), $2
                  WHERE NOT EXISTS (SELECT FROM known) RETURNING number
              )
         SELECT number FROM known UNION ALL SELECT number FROM added",
    )
    .bind(user_id.as_str())
    .bind(filter.get())
    .bind(COMPARED_FILTERS)
    .fetch_one(sql)
    .await?;
    row.count("number")
}

async fn set_pusher(command: &mut Command, pusher: &Pusher, append: bool) -> Done<()> {
    let owner = pusher.device.user_id.as_str();
    if !append {
        sqlx::query("DELETE FROM pusher WHERE app_id = $1 AND pushkey = $2 AND user_id <> $3")
            .bind(stored(&pusher.app_id))
            .bind(stored(&pusher.pushkey))
            .bind(owner)
            .execute(command.sql())
            .await?;
    }
    // Pushers go with their device: none is set for one that is gone, and the lock keeps it there meanwhile.
    sqlx::query(
        "INSERT INTO pusher (user_id, app_id, pushkey, device_id, generation, data)
         SELECT user_id, $2, $3, device_id, generation, $4 FROM device WHERE generation = $1 FOR KEY SHARE
         ON CONFLICT (user_id, app_id, pushkey) DO UPDATE SET device_id = EXCLUDED.device_id,
             generation = EXCLUDED.generation, data = EXCLUDED.data",
    )
    .bind(number(pusher.device.generation))
    .bind(stored(&pusher.app_id))
    .bind(stored(&pusher.pushkey))
    .bind(pusher.data.get())
    .execute(command.sql())
    .await?;
    Ok(())
}

async fn pushers(sql: &mut PgConnection, user_id: &UserId) -> Done<Vec<Pusher>> {
    let rows = sqlx::query(
        "SELECT app_id, pushkey, device_id, generation, data FROM pusher WHERE user_id = $1 ORDER BY app_id, pushkey",
    )
    .bind(user_id.as_str())
    .fetch_all(sql)
    .await?;
    let pusher = |row: &PgRow| {
        Ok(Pusher {
            app_id: row.text("app_id")?,
            pushkey: row.text("pushkey")?,
            device: DeviceRef {
                user_id: user_id.to_owned(),
                device_id: row.id("device_id")?,
                generation: row.count("generation")?,
            },
            data: row.json("data")?,
        })
    };
    rows.iter().map(pusher).collect()
}

#[async_trait]
impl AccountData for PostgresStore {
    async fn set_account_data(
        &self,
        user_id: &UserId,
        room_id: Option<&RoomId>,
        kind: &str,
        content: RawJson,
    ) -> Result<()> {
        command!(self, Locks::new().account_data(user_id), |command| {
            set(&mut command, user_id, &room_part(room_id), kind, &content).await
        })
    }

    async fn account_data(&self, user_id: &UserId, room_id: Option<&RoomId>, kind: &str) -> Result<Option<RawJson>> {
        read!(self, |connection| entry(connection, user_id, &room_part(room_id), kind).await)
    }

    async fn replace_account_data(
        &self,
        user_id: &UserId,
        room_id: Option<&RoomId>,
        kind: &str,
        expected: Option<&RawJson>,
        content: RawJson,
    ) -> Result<bool> {
        command!(self, Locks::new().account_data(user_id), |command| {
            let room = room_part(room_id);
            if entry(command.sql(), user_id, &room, kind).await?.as_ref() == expected {
                set(&mut command, user_id, &room, kind, &content).await?;
                Ok(true)
            } else {
                Ok(false)
            }
        })
    }

    async fn account_data_between(
        &self,
        user_id: &UserId,
        from: Position,
        to: Position,
    ) -> Result<Vec<AccountDataEntry>> {
        read!(self, |connection| entries_between(connection, user_id, from, to).await)
    }

    async fn put_filter(&self, user_id: &UserId, filter: RawJson) -> Result<String> {
        command!(self, Locks::new().account_data(user_id), |command| {
            put_filter(command.sql(), user_id, &filter).await.map(|number| number.to_string())
        })
    }

    async fn filter(&self, user_id: &UserId, filter_id: &str) -> Result<Option<RawJson>> {
        // One filter has one id: no sign, no leading zeros.
        let Some(id) = filter_id.parse::<u64>().ok().filter(|id| id.to_string() == filter_id) else {
            return Ok(None);
        };
        read!(self, |connection| {
            let row = sqlx::query("SELECT filter FROM filter WHERE user_id = $1 AND number = $2")
                .bind(user_id.as_str())
                .bind(number(id))
                .fetch_optional(connection)
                .await?;
            row.map(|row| row.json("filter")).transpose()
        })
    }

    async fn profile(&self, user_id: &UserId) -> Result<Option<Vec<(String, RawJson)>>> {
        read!(self, |connection| profiles::profile(connection, user_id).await)
    }

    async fn set_profile_field(&self, user_id: &UserId, field: &str, value: Option<RawJson>) -> Result<()> {
        command!(self, Locks::new().account_data(user_id), |command| {
            profiles::set_field(command.sql(), user_id, field, value.as_ref()).await
        })
    }

    async fn set_pusher(&self, pusher: Pusher, append: bool) -> Result<()> {
        // One pair of application and key at a time, so that of two users who set it one keeps it.
        let pair = format!("{}\0{}", pusher.app_id, pusher.pushkey);
        let locks = Locks::new().account_data(&pusher.device.user_id).name("pusher", &pair);
        command!(self, locks, |command| set_pusher(&mut command, &pusher, append).await)
    }

    async fn delete_pusher(&self, user_id: &UserId, app_id: &str, pushkey: &str) -> Result<()> {
        command!(self, Locks::new().account_data(user_id), |command| {
            sqlx::query("DELETE FROM pusher WHERE user_id = $1 AND app_id = $2 AND pushkey = $3")
                .bind(user_id.as_str())
                .bind(stored(app_id))
                .bind(stored(pushkey))
                .execute(command.sql())
                .await?;
            Ok(())
        })
    }

    async fn pushers(&self, user_id: &UserId) -> Result<Vec<Pusher>> {
        read!(self, |connection| pushers(connection, user_id).await)
    }
}

//! Room aliases and the list of public rooms.

use async_trait::async_trait;
use olmstead_storage::{Directory, Result};
use ruma::{OwnedRoomAliasId, OwnedRoomId, OwnedUserId, RoomAliasId, RoomId, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    RocksStore,
    command::Command,
    keys::{Key, Table},
    locks::Locks,
    reads::{Reads, Span},
    rooms,
};

/// An alias as stored.
#[derive(Debug, Serialize, Deserialize)]
struct AliasRow {
    room_id: OwnedRoomId,
    creator: OwnedUserId,
}

fn alias_key(alias: &RoomAliasId) -> Key {
    Key::new(Table::Alias).text(alias)
}

fn aliases_of(room_id: &RoomId) -> Key {
    Key::new(Table::RoomAlias).text(room_id)
}

/// Adds what a command that sets or removes an alias must lock.
pub(crate) fn lock_alias(locks: Locks, alias: &RoomAliasId) -> Locks {
    locks.name("alias", alias.as_str())
}

/// Points an alias at a room, under its lock; `false` when it is taken.
pub(crate) fn put_alias(
    command: &mut Command<'_>,
    alias: &RoomAliasId,
    room_id: &RoomId,
    creator: &UserId,
) -> Result<bool> {
    let key = alias_key(alias);
    if command.has(&key)? {
        return Ok(false);
    }
    command.put_json(&key, &AliasRow { room_id: room_id.to_owned(), creator: creator.to_owned() })?;
    command.put(&aliases_of(room_id).text(alias), [])?;
    Ok(true)
}

/// Publishes a room or takes it out of the list, under the room's lock.
pub(crate) fn put_published(command: &mut Command<'_>, room_id: &RoomId, published: bool) -> Result<()> {
    let key = Key::new(Table::Published).text(room_id);
    if published { command.put(&key, []) } else { command.delete(&key) }
}

#[async_trait]
impl Directory for RocksStore {
    async fn create_alias(&self, alias: &RoomAliasId, room_id: &RoomId, creator: &UserId) -> Result<bool> {
        let (alias, room_id, creator) = (alias.to_owned(), room_id.to_owned(), creator.to_owned());
        self.command(lock_alias(Locks::new(), &alias), move |command| put_alias(command, &alias, &room_id, &creator))
            .await
    }

    async fn alias(&self, alias: &RoomAliasId) -> Result<Option<(OwnedRoomId, OwnedUserId)>> {
        let alias = alias.to_owned();
        self.read(move |view| {
            let row: Option<AliasRow> = view.get_json(&alias_key(&alias))?;
            Ok(row.map(|row| (row.room_id, row.creator)))
        })
        .await
    }

    async fn delete_alias(&self, alias: &RoomAliasId) -> Result<bool> {
        let alias = alias.to_owned();
        self.command(lock_alias(Locks::new(), &alias), move |command| {
            let key = alias_key(&alias);
            let Some(row) = command.get_json::<AliasRow>(&key)? else { return Ok(false) };
            command.delete(&key)?;
            command.delete(&aliases_of(&row.room_id).text(&alias))?;
            Ok(true)
        })
        .await
    }

    async fn room_aliases(&self, room_id: &RoomId) -> Result<Vec<OwnedRoomAliasId>> {
        let prefix = aliases_of(room_id);
        self.read(move |view| view.scan(Span::prefix(&prefix))?.map(|row| prefix.parts_after(&row?.0)?.id()).collect())
            .await
    }

    async fn set_published(&self, room_id: &RoomId, published: bool) -> Result<()> {
        let room_id = room_id.to_owned();
        self.command(Locks::new().room(&room_id), move |command| put_published(command, &room_id, published)).await
    }

    async fn published(&self, room_id: &RoomId) -> Result<bool> {
        let key = Key::new(Table::Published).text(room_id);
        self.read(move |view| view.has(&key)).await
    }

    async fn published_rooms(&self) -> Result<Vec<(OwnedRoomId, u64)>> {
        self.read_view(move |view, _| {
            let table = Key::new(Table::Published);
            let mut found = Vec::new();
            for row in view.scan(Span::prefix(&table))? {
                let room_id: OwnedRoomId = table.parts_after(&row?.0)?.id()?;
                let joined = rooms::joined_count(view, &room_id)?;
                found.push((room_id, joined));
            }
            found.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            Ok(found)
        })
        .await
    }
}

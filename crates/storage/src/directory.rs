//! Room aliases and the list of public rooms.

use async_trait::async_trait;
use ruma::{OwnedRoomAliasId, OwnedRoomId, OwnedUserId, RoomAliasId, RoomId};

use crate::Result;

/// Aliases and published rooms.
#[async_trait]
pub trait Directory: Send + Sync {
    /// Points an alias at a room; `false` when it is taken.
    async fn create_alias(&self, alias: &RoomAliasId, room_id: &RoomId, creator: &ruma::UserId) -> Result<bool>;

    /// Where an alias points, and who made it.
    async fn alias(&self, alias: &RoomAliasId) -> Result<Option<(OwnedRoomId, OwnedUserId)>>;

    /// Removes an alias; `false` when there is none.
    async fn delete_alias(&self, alias: &RoomAliasId) -> Result<bool>;

    /// The aliases of a room, sorted.
    async fn room_aliases(&self, room_id: &RoomId) -> Result<Vec<OwnedRoomAliasId>>;

    /// Publishes a room, or takes it out of the list.
    async fn set_published(&self, room_id: &RoomId, published: bool) -> Result<()>;

    /// Whether a room is published.
    async fn published(&self, room_id: &RoomId) -> Result<bool>;

    /// Published rooms with their joined counts, most members first, then by id.
    async fn published_rooms(&self) -> Result<Vec<(OwnedRoomId, u64)>>;
}

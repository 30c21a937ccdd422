//! One look at the store, from which an answer is made.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use olmstead_domain::{
    filter::Filter,
    position::{Position, SyncToken},
};
use olmstead_storage::{
    account_data::AccountDataEntry,
    devices::DeviceRef,
    rooms::{Membership, RoomMembership},
    sync::SyncFacts,
};
use ruma::{OwnedRoomId, RoomId, UserId};
use tokio::sync::OnceCell;

use super::{asked::Asked, connection::Connection};
use crate::{
    Context, Result,
    sync::{UserSettings, view::View},
};

/// The account data that says which rooms are direct.
const DIRECT: &str = "m.direct";

/// What all parts of one answer share.
pub(super) struct Look<'a> {
    pub(super) cx: &'a Context,
    pub(super) device: &'a DeviceRef,
    pub(super) asked: &'a Asked,
    pub(super) connection: &'a Connection,
    /// The position of the `pos`, or a later one up to which there was nothing; `None` on a connection that begins.
    pub(super) since: Option<Position>,
    pub(super) facts: &'a SyncFacts,
    /// The end of the span.
    pub(super) horizon: Position,
    pub(super) settings: Arc<UserSettings>,
    /// Account data of rooms in the span of the facts.
    pub(super) account: HashMap<&'a RoomId, Vec<&'a AccountDataEntry>>,
    /// The token of to-device messages.
    pub(super) to_device: SyncToken,
    direct: OnceCell<HashSet<OwnedRoomId>>,
}

impl<'a> Look<'a> {
    pub(super) async fn new(
        cx: &'a Context,
        device: &'a DeviceRef,
        asked: &'a Asked,
        connection: &'a Connection,
        since: Option<Position>,
        facts: &'a SyncFacts,
        to_device: SyncToken,
    ) -> Result<Self> {
        let horizon = facts.horizon.position;
        let mut account: HashMap<&RoomId, Vec<&AccountDataEntry>> = HashMap::new();
        for entry in &facts.account_data {
            if let Some(room_id) = entry.room_id.as_deref() {
                account.entry(room_id).or_default().push(entry);
            }
        }
        let settings = UserSettings::load(cx, &device.user_id, facts.settings_changed, horizon).await?;
        let direct = OnceCell::new();
        Ok(Self { cx, device, asked, connection, since, facts, horizon, settings, account, to_device, direct })
    }

    pub(super) fn user(&self) -> &'a UserId {
        &self.device.user_id
    }

    /// A part of the answer over a span of its own: from `since`, or from the beginning.
    pub(super) fn view<'b>(&'b self, filter: &'b Filter, since: Option<Position>) -> View<'b> {
        View::over(self.cx, self.device, filter, since, self.horizon)
    }

    /// Where news begin: at the `pos`.
    pub(super) fn start(&self) -> Position {
        self.since.unwrap_or(Position::START)
    }

    /// Rooms that may be in lists and be subscribed to.
    pub(super) fn rooms(&self) -> impl Iterator<Item = &'a RoomMembership> {
        let facts = self.facts;
        facts.memberships.iter().filter(|room| match room.membership {
            Membership::Join | Membership::Knock => true,
            Membership::Invite => !self.settings.ignored.contains(&room.sender),
            Membership::Leave | Membership::Ban => false,
        })
    }

    /// Rooms that the user marked as direct.
    pub(super) async fn direct(&self) -> Result<&HashSet<OwnedRoomId>> {
        let load = || async {
            let content = self.cx.storage.account_data(self.user(), None, DIRECT).await?;
            // What is not of the right shape marks nothing.
            let by_user = content.and_then(|content| content.read::<HashMap<String, serde_json::Value>>().ok());
            let lists = by_user.into_iter().flat_map(HashMap::into_values);
            let ids = lists.filter_map(|list| serde_json::from_value::<Vec<String>>(list).ok()).flatten();
            Ok(ids.filter_map(|id| id.parse().ok()).collect())
        };
        self.direct.get_or_try_init(load).await
    }
}

//! To-device messages: a device's inbox.

use async_trait::async_trait;
use olmstead_domain::{
    json::RawJson,
    position::{Cursor, Position},
};
use ruma::{OwnedDeviceId, OwnedUserId};

use crate::{Result, devices::DeviceRef};

/// Scope of a transaction id: one device and one request path, beyond tokens and their refresh (GEN-19, GEN-20).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TransactionKey {
    /// The sending device.
    pub device: DeviceRef,
    /// What the path names besides the transaction, such as `sendToDevice/m.room_key_request`.
    pub scope: String,
    /// The client's id.
    pub transaction_id: String,
}

/// Who gets a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipient {
    /// All devices the user has at the moment of the commit (TD-2).
    AllDevices(OwnedUserId),
    /// One device, if it exists (TD-12).
    Device(OwnedUserId, OwnedDeviceId),
}

/// A message to put in inboxes.
#[derive(Debug, Clone)]
pub struct OutgoingMessage {
    /// Who gets it.
    pub recipient: Recipient,
    /// The event as the client will read it: `sender`, `type`, `content`.
    pub event: RawJson,
}

/// A page of an inbox.
#[derive(Debug, Clone, Default)]
pub struct InboxPage {
    /// Place and event, oldest first.
    pub messages: Vec<(Cursor, RawJson)>,
    /// Whether more was waiting in the span that was read.
    pub more: bool,
}

/// To-device messages.
#[async_trait]
pub trait ToDevice: Send + Sync {
    /// Puts messages in inboxes and remembers the transaction, in one commit; `false` when the transaction was seen
    /// before and nothing was done (TD-10). A message is a change for each device that gets it.
    async fn send_to_device(&self, transaction: Option<TransactionKey>, messages: Vec<OutgoingMessage>)
    -> Result<bool>;

    /// What waits for the device at `from` and after, strictly below `to`, at most `limit` messages, oldest first.
    async fn inbox(&self, device: &DeviceRef, from: Cursor, to: Position, limit: usize) -> Result<InboxPage>;

    /// Deletes everything strictly below `cursor` from the inbox: the device has it. Need not be durable at once, since
    /// readers start at their own cursor.
    async fn acknowledge(&self, device: &DeviceRef, cursor: Cursor) -> Result<()>;
}

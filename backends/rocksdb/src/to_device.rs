//! To-device messages.

use async_trait::async_trait;
use olmstead_domain::position::{Cursor, Position};
use olmstead_storage::{
    Result, StorageError, ToDevice,
    changes::ChangeKey,
    devices::DeviceRef,
    to_device::{InboxPage, OutgoingMessage, Recipient, TransactionKey},
};
use ruma::OwnedDeviceId;

use crate::{
    RocksStore,
    command::Command,
    keys::{Key, Table},
    locks::Locks,
    reads::{Reads, Span, raw},
    rows,
};

/// The key of what a transaction made. Rows go with the device.
pub(crate) fn transaction_key(transaction: &TransactionKey) -> Key {
    Key::new(Table::Transaction).device(&transaction.device).text(&transaction.scope).text(&transaction.transaction_id)
}

/// Adds what a command with a transaction must lock.
pub(crate) fn lock_transaction(locks: Locks, transaction: &TransactionKey) -> Locks {
    let device = &transaction.device;
    locks.user_shared(&device.user_id).name("transaction", &format!("{} {}", device.generation, device.device_id))
}

fn inbox_key(device: &DeviceRef) -> Key {
    Key::new(Table::Inbox).device(device)
}

fn start_key(device: &DeviceRef) -> Key {
    Key::new(Table::InboxStart).device(device)
}

/// Below which cursor everything was deleted: reads need not pass over what is gone.
fn start(reads: &impl Reads, device: &DeviceRef) -> Result<Cursor> {
    let Some(value) = reads.get(&start_key(device))? else { return Ok(Cursor::START) };
    let key = Key::new(Table::InboxStart);
    let stored = [key.as_bytes(), value.as_slice()].concat();
    key.parts_after(&stored)?.cursor()
}

/// All that waits for a device, and what its keys begin with.
pub(crate) fn inbox_span(reads: &impl Reads, device: &DeviceRef) -> Result<(Key, Span)> {
    let prefix = inbox_key(device);
    let from = start(reads, device)?;
    let span = Span::prefix(&prefix);
    let span = if from == Cursor::START {
        span
    } else {
        Span::between(&prefix.clone().cursor(from), &prefix.clone().cursor(Cursor::at(Position::END)))
    };
    Ok((prefix, span))
}

/// What waits for a device at `from` and after, strictly below `to`.
pub(crate) fn inbox(
    reads: &impl Reads,
    device: &DeviceRef,
    from: Cursor,
    to: Position,
    limit: usize,
) -> Result<InboxPage> {
    let from = from.max(start(reads, device)?);
    let prefix = inbox_key(device);
    let span = Span::between(&prefix.clone().cursor(from), &prefix.clone().cursor(Cursor::at(to)));
    let mut page = InboxPage::default();
    for row in reads.scan(span)? {
        let (key, value) = row?;
        if page.messages.len() >= limit {
            page.more = true;
            break;
        }
        page.messages.push((prefix.parts_after(&key)?.cursor()?, raw(Table::Inbox, value)?));
    }
    Ok(page)
}

/// The devices a message goes to.
fn recipients(reads: &impl Reads, recipient: &Recipient) -> Result<Vec<DeviceRef>> {
    let found: Vec<(OwnedDeviceId, rows::DeviceRow)> = match recipient {
        Recipient::AllDevices(user_id) => rows::devices(reads, user_id)?,
        Recipient::Device(user_id, device_id) => {
            rows::device(reads, user_id, device_id)?.map(|row| (device_id.clone(), row)).into_iter().collect()
        }
    };
    let (Recipient::AllDevices(user_id) | Recipient::Device(user_id, _)) = recipient;
    let device_ref = |(device_id, row): (_, rows::DeviceRow)| DeviceRef {
        user_id: user_id.clone(),
        device_id,
        generation: row.generation,
    };
    Ok(found.into_iter().map(device_ref).collect())
}

fn send(command: &mut Command<'_>, messages: &[OutgoingMessage]) -> Result<()> {
    let mut ordinal = 0_u32;
    for message in messages {
        for device in recipients(command, &message.recipient)? {
            let cursor = Cursor::new(command.position()?, ordinal);
            command.put_blob(&inbox_key(&device).cursor(cursor), message.event.get().as_bytes())?;
            command.change(ChangeKey::Device(device.user_id, device.device_id))?;
            ordinal = ordinal.checked_add(1).ok_or_else(|| StorageError::Unavailable {
                message: "too many messages in one command".to_owned(),
                source: None,
            })?;
        }
    }
    Ok(())
}

#[async_trait]
impl ToDevice for RocksStore {
    async fn send_to_device(
        &self,
        transaction: Option<TransactionKey>,
        messages: Vec<OutgoingMessage>,
    ) -> Result<bool> {
        let locks = messages.iter().fold(Locks::new(), |locks, message| match &message.recipient {
            Recipient::AllDevices(user_id) | Recipient::Device(user_id, _) => locks.user_shared(user_id),
        });
        let locks = match &transaction {
            Some(transaction) => lock_transaction(locks, transaction),
            None => locks,
        };
        self.command(locks, move |command| {
            if let Some(transaction) = &transaction {
                let key = transaction_key(transaction);
                if command.has(&key)? {
                    return Ok(false);
                }
                // The memory of a device that is gone would never be cleared.
                if rows::live_device(command, &transaction.device)?.is_some() {
                    command.put(&key, [])?;
                }
            }
            send(command, &messages)?;
            Ok(true)
        })
        .await
    }

    async fn inbox(&self, device: &DeviceRef, from: Cursor, to: Position, limit: usize) -> Result<InboxPage> {
        let device = device.clone();
        self.read_view(move |view, _| inbox(view, &device, from, to, limit)).await
    }

    async fn acknowledge(&self, device: &DeviceRef, cursor: Cursor) -> Result<()> {
        let device = device.clone();
        // What is not final was not delivered, whatever a token says.
        let cursor = cursor.min(Cursor::at(self.stream().horizon().position));
        self.relaxed_command(Locks::new().user_shared(&device.user_id), move |command| {
            let prefix = inbox_key(&device);
            let from = start(command, &device)?;
            let span = Span::between(&prefix.clone().cursor(from), &prefix.clone().cursor(cursor));
            if !command.delete_span(span)? {
                return Ok(());
            }
            let mut value = cursor.position.0.to_be_bytes().to_vec();
            value.extend_from_slice(&cursor.ordinal.to_be_bytes());
            command.put(&start_key(&device), value)
        })
        .await
    }
}

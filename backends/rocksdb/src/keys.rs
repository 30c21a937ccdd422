//! The keys of all rows. No other module builds or takes apart the bytes of a key.
//!
//! A key is a tuple: the table's byte, then its parts. Texts and bytes are written with `00` as `00 FF` and an end of
//! `00 01`; numbers big-endian in their full width. So two tuples never share a key, keys sort as their tuples do, and
//! the rows that share their first parts lie together.

use olmstead_domain::position::{Cursor, Position};
use olmstead_storage::{Result, StorageError, devices::DeviceRef};

/// A column family: rows that are read, written and compacted alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Family {
    /// Everything else.
    Main,
    /// Events and their indexes: large, written once.
    Events,
    /// To-device messages: short lives.
    Inbox,
    /// One-time and fallback keys: short lives, deleted from the front.
    Pools,
    /// Backed-up room keys: many, seldom read.
    Backups,
    /// Media: large values, kept apart from their keys.
    Media,
}

impl Family {
    /// All of them, in the order of their handles.
    pub(crate) const ALL: [Self; 6] = [Self::Main, Self::Events, Self::Inbox, Self::Pools, Self::Backups, Self::Media];

    /// The name RocksDB knows it by. `default` always exists, so the main family is that one.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Main => "default",
            Self::Events => "events",
            Self::Inbox => "inbox",
            Self::Pools => "pools",
            Self::Backups => "backups",
            Self::Media => "media",
        }
    }
}

/// Declares the tables, each with its byte and family. Bytes are part of the stored format: never change or reuse one.
macro_rules! tables {
    ($($(#[$doc:meta])+ $name:ident = $byte:literal in $family:ident;)+) => {
        /// A table: the first byte of its keys.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub(crate) enum Table { $($(#[$doc])+ $name = $byte,)+ }

        impl Table {
            /// The family the table lives in.
            pub(crate) const fn family(self) -> Family {
                match self { $(Self::$name => Family::$family,)+ }
            }

            /// Whether what is read of it is kept in memory, by the first part of its keys.
            pub(crate) const fn is_kept(self) -> bool {
                matches!(
                    self,
                    Self::Membership
                        | Self::RoomSummary
                        | Self::RoomEphemeral
                        | Self::Account
                        | Self::Device
                        | Self::DeviceKeys
                        | Self::CrossSigning
                        | Self::ForeignSignature
                )
            }

            /// All tables.
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)+];
        }
    };
}

tables! {
    /// (name) → value; facts about the store itself.
    Meta = 0x01 in Main;
    /// (user) → account.
    Account = 0x02 in Main;
    /// (user) → lowercase user id, `00`, lowercase display name; for accounts that are not deactivated.
    UserSearch = 0x03 in Main;
    /// (user, device) → device.
    Device = 0x04 in Main;
    /// (user, device, generation) → when and from where it was seen.
    DeviceSeen = 0x05 in Main;
    /// (hash) → token.
    Token = 0x06 in Main;
    /// (user, device, generation, pair, hash) → nothing.
    DeviceToken = 0x07 in Main;
    /// (user, device) → identity keys.
    DeviceKeys = 0x08 in Main;
    /// (position, user) → nothing; changes of device lists.
    DeviceListLog = 0x09 in Main;
    /// (user, position, named user) → nothing; device-list notices for one user alone.
    OwnDeviceList = 0x0a in Main;
    /// (user) → cross-signing keys.
    CrossSigning = 0x0b in Main;
    /// (user, public key) → nothing; the public keys that are or were in the user's set.
    CrossSigningId = 0x0c in Main;
    /// (signed user, signer, key id) → signature on the signed user's master key.
    ForeignSignature = 0x0d in Main;
    /// (user) → dehydrated device.
    Dehydrated = 0x0e in Main;
    /// (user, device, generation, scope, transaction id) → what the transaction made.
    Transaction = 0x0f in Main;
    /// (kind, key) → end and value.
    ShortLived = 0x10 in Main;
    /// (end, kind, key) → nothing.
    ShortLivedEnd = 0x11 in Main;
    /// (user, room or empty, kind) → position and content.
    AccountData = 0x12 in Main;
    /// (user, position, room or empty, kind) → nothing; one row for each entry, at its newest position.
    AccountDataLog = 0x13 in Main;
    /// (user, filter id) → filter.
    Filter = 0x14 in Main;
    /// (user, field) → value.
    Profile = 0x15 in Main;
    /// (user, app id, pushkey) → pusher.
    Pusher = 0x16 in Main;
    /// (app id, pushkey, user) → nothing.
    PusherByKey = 0x17 in Main;
    /// (hash) → device; tokens that were replaced.
    ReplacedToken = 0x18 in Main;
    /// (user, device, generation, pair, hash) → nothing.
    DeviceReplacedToken = 0x19 in Main;
    /// (number) → what an operator did.
    Audit = 0x1a in Main;
    /// (hash) → registration token.
    RegistrationToken = 0x1b in Main;

    /// (user, device, generation, part, …): head of a pool, keys, ids, spent keys, fallback keys; see `pools`.
    Pool = 0x40 in Pools;

    /// (user, device, generation, cursor) → message.
    Inbox = 0x48 in Inbox;
    /// (user, device, generation) → cursor below which all was deleted.
    InboxStart = 0x49 in Inbox;

    /// (user) → the newest version number ever given.
    BackupCounter = 0x50 in Backups;
    /// (user, version) → description, count, etag.
    BackupInfo = 0x51 in Backups;
    /// (user, version, room, session) → key.
    BackupKey = 0x52 in Backups;

    /// (room) → head.
    RoomHead = 0x60 in Main;
    /// (room) → newest positions, and where encryption began.
    RoomSummary = 0x61 in Main;
    /// (user, room) → membership as it is.
    Membership = 0x62 in Main;
    /// (room, membership, user) → event id.
    RoomMember = 0x63 in Main;
    /// (user, room, cursor) → membership from there on.
    MembershipVersion = 0x64 in Events;
    /// (room, cursor) → membership before and after, user.
    MembershipLog = 0x65 in Events;
    /// (room, type, state key) → cursor, membership, event id.
    CurrentState = 0x66 in Main;
    /// (room, type, state key, cursor) → membership, event id.
    StateVersion = 0x67 in Events;
    /// (room, cursor) → type, state key, event id.
    StateLog = 0x68 in Events;
    /// (event id) → event and what is known of it; never changed.
    Event = 0x69 in Events;
    /// (event id) → id of the redaction that applies to it.
    Redaction = 0x6a in Events;
    /// (room, cursor) → event id; events that are shown.
    Timeline = 0x6b in Events;
    /// (room, parent, cursor) → kind of relation, event type, event id.
    Relation = 0x6c in Events;

    /// (alias) → room and creator.
    Alias = 0x70 in Main;
    /// (room, alias) → nothing.
    RoomAlias = 0x71 in Main;
    /// (room) → nothing; rooms in the public list.
    Published = 0x72 in Main;

    /// (room, user, kind, thread) → receipt.
    Receipt = 0x78 in Main;
    /// (room, position, user, kind, thread) → nothing; one row for each receipt, at its newest position.
    ReceiptLog = 0x79 in Main;
    /// (room) → position of the newest receipt or typing change.
    RoomEphemeral = 0x7a in Main;
    /// (room) → who types until when, and the position of the last change.
    Typing = 0x7b in Main;
    /// (user) → presence.
    Presence = 0x7c in Main;
    /// (position, user) → nothing; one row for each user, at the newest position.
    PresenceLog = 0x7d in Main;
    /// (end, room, user) → nothing; when typing ends by itself.
    TypingEnd = 0x7e in Main;
    /// (user) → until when a user who syncs counts as there, and the presence that the syncing gave.
    Syncing = 0x7f in Main;
    /// (end, user) → nothing.
    SyncingEnd = 0x77 in Main;

    /// (media id) → what is known of an upload.
    MediaInfo = 0x80 in Main;
    /// (media id) → content.
    MediaContent = 0x81 in Media;
}

/// A key, or the first parts of one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    table: Table,
    bytes: Vec<u8>,
    /// Where its first position stands.
    place: Option<usize>,
    /// Where its first text ends.
    first: Option<usize>,
}

impl Key {
    /// The key of no parts: the prefix of the whole table.
    pub(crate) fn new(table: Table) -> Self {
        let mut bytes = Vec::with_capacity(64);
        bytes.push(table as u8);
        Self { table, bytes, place: None, first: None }
    }

    /// Adds bytes of any length.
    pub(crate) fn bytes(mut self, part: &[u8]) -> Self {
        for (index, run) in part.split(|byte| *byte == 0).enumerate() {
            if index > 0 {
                self.bytes.extend_from_slice(&[0x00, 0xff]);
            }
            self.bytes.extend_from_slice(run);
        }
        self.bytes.extend_from_slice(&[0x00, 0x01]);
        self.first.get_or_insert(self.bytes.len());
        self
    }

    /// Adds a text.
    pub(crate) fn text(self, part: impl AsRef<str>) -> Self {
        self.bytes(part.as_ref().as_bytes())
    }

    /// Adds a number.
    pub(crate) fn u64(mut self, part: u64) -> Self {
        self.bytes.extend_from_slice(&part.to_be_bytes());
        self
    }

    /// Adds a short number.
    pub(crate) fn u32(mut self, part: u32) -> Self {
        self.bytes.extend_from_slice(&part.to_be_bytes());
        self
    }

    /// Adds one byte.
    pub(crate) fn u8(mut self, part: u8) -> Self {
        self.bytes.push(part);
        self
    }

    /// Adds a position.
    pub(crate) fn position(mut self, part: Position) -> Self {
        self.place.get_or_insert(self.bytes.len());
        self.u64(part.0)
    }

    /// Adds a cursor.
    pub(crate) fn cursor(self, part: Cursor) -> Self {
        self.position(part.position).u32(part.ordinal)
    }

    /// Adds user, device and generation.
    pub(crate) fn device(self, part: &DeviceRef) -> Self {
        self.text(&part.user_id).text(&part.device_id).u64(part.generation)
    }

    /// The table.
    pub(crate) const fn table(&self) -> Table {
        self.table
    }

    /// The family the row lives in.
    pub(crate) const fn family(&self) -> Family {
        self.table.family()
    }

    /// The tuple as a value: rows of an index say what they point at in the form of a key of their table.
    pub(crate) fn into_value(self) -> Vec<u8> {
        self.bytes
    }

    /// Reads the parts of a value that was made by [`Self::into_value`].
    pub(crate) fn parts_of(table: Table, value: &[u8]) -> Result<Parts<'_>> {
        match value.split_first() {
            Some((first, rest)) if *first == table as u8 => Ok(Parts { table, rest }),
            _ => Err(damaged(table)),
        }
    }

    /// What comes before the first position, and that position; `None` for a key without one.
    pub(crate) fn log_place(&self) -> Option<(&[u8], Position)> {
        let (before, rest) = self.bytes.split_at_checked(self.place?)?;
        Some((before, Position(u64::from_be_bytes(*rest.first_chunk()?))))
    }

    /// Its table and first text.
    pub(crate) fn first_text(&self) -> &[u8] {
        self.first.and_then(|end| self.bytes.get(..end)).unwrap_or(&self.bytes)
    }

    /// The bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The first bytes after all keys that begin with this one. A table byte is never `ff`, so there always are some.
    pub(crate) fn end(&self) -> Vec<u8> {
        let mut end = self.bytes.clone();
        while let Some(last) = end.pop() {
            if last < 0xff {
                end.push(last + 1);
                break;
            }
        }
        end
    }

    /// Reads the parts of a stored key that begins with this one, from after it.
    pub(crate) fn parts_after<'a>(&self, stored: &'a [u8]) -> Result<Parts<'a>> {
        match stored.strip_prefix(self.bytes.as_slice()) {
            Some(rest) => Ok(Parts { table: self.table, rest }),
            None => Err(damaged(self.table)),
        }
    }
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The parts of a stored key, read from the front.
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    table: Table,
    rest: &'a [u8],
}

impl Parts<'_> {
    /// Bytes of any length.
    pub(crate) fn bytes(&mut self) -> Result<Vec<u8>> {
        let mut part = Vec::with_capacity(self.rest.len());
        let mut rest = self.rest.iter();
        loop {
            match rest.next() {
                Some(0x00) => match rest.next() {
                    Some(0x01) => break,
                    Some(0xff) => part.push(0x00),
                    _ => return Err(damaged(self.table)),
                },
                Some(&byte) => part.push(byte),
                None => return Err(damaged(self.table)),
            }
        }
        self.rest = rest.as_slice();
        Ok(part)
    }

    /// A text.
    pub(crate) fn text(&mut self) -> Result<String> {
        String::from_utf8(self.bytes()?).map_err(|_| damaged(self.table))
    }

    /// A text of a type that is checked, such as a user id.
    pub(crate) fn id<T: TryFrom<String>>(&mut self) -> Result<T> {
        T::try_from(self.text()?).map_err(|_| damaged(self.table))
    }

    /// A number.
    pub(crate) fn u64(&mut self) -> Result<u64> {
        self.take().map(u64::from_be_bytes)
    }

    /// A short number.
    pub(crate) fn u32(&mut self) -> Result<u32> {
        self.take().map(u32::from_be_bytes)
    }

    /// One byte.
    pub(crate) fn u8(&mut self) -> Result<u8> {
        self.take().map(u8::from_be_bytes)
    }

    /// A position.
    pub(crate) fn position(&mut self) -> Result<Position> {
        self.u64().map(Position)
    }

    /// A cursor.
    pub(crate) fn cursor(&mut self) -> Result<Cursor> {
        Ok(Cursor::new(self.position()?, self.u32()?))
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (part, rest) = self.rest.split_first_chunk().ok_or_else(|| damaged(self.table))?;
        self.rest = rest;
        Ok(*part)
    }
}

fn damaged(table: Table) -> StorageError {
    StorageError::damaged(format!("a key of the table {table:?} cannot be read"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use proptest::{collection::vec, prelude::*};

    use super::*;

    #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
    struct Row(Vec<u8>, u64, String, u32);

    fn rows() -> impl Strategy<Value = Row> {
        let few = prop_oneof![Just(0_u8), Just(1), Just(0xfe), Just(0xff), any::<u8>()];
        let text = prop_oneof!["[\\x00\\x01a-c]{0,4}", ".{0,6}"];
        (vec(few, 0..5), prop_oneof![Just(0), Just(u64::MAX), any::<u64>()], text, any::<u32>())
            .prop_map(|(a, b, c, d)| Row(a, b, c, d))
    }

    fn key(row: &Row) -> Key {
        Key::new(Table::Account).bytes(&row.0).u64(row.1).text(&row.2).u32(row.3)
    }

    proptest! {
        #[test]
        fn keys_sort_as_their_tuples(a in rows(), b in rows()) {
            prop_assert_eq!(a.cmp(&b), key(&a).as_bytes().cmp(key(&b).as_bytes()));
        }

        #[test]
        fn keys_read_back(row in rows()) {
            let key = key(&row);
            let mut parts = Key::new(Table::Account).parts_after(key.as_bytes()).unwrap();
            let back = Row(parts.bytes().unwrap(), parts.u64().unwrap(), parts.text().unwrap(), parts.u32().unwrap());
            prop_assert_eq!(back, row);
        }

        #[test]
        fn a_prefix_holds_just_the_rows_that_share_its_parts(a in rows(), b in rows()) {
            let prefix = Key::new(Table::Account).bytes(&a.0).u64(a.1);
            let bytes = key(&b);
            let inside = prefix.as_bytes() <= bytes.as_bytes() && bytes.as_bytes() < prefix.end().as_slice();
            prop_assert_eq!(inside, a.0 == b.0 && a.1 == b.1);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in vec(any::<u8>(), 0..32)) {
            let stored = [&[Table::Account as u8], bytes.as_slice()].concat();
            let mut parts = Key::new(Table::Account).parts_after(&stored).unwrap();
            let _ = (parts.text(), parts.u64(), parts.bytes(), parts.u32());
        }
    }

    #[test]
    fn tables_do_not_share_a_byte() {
        let bytes: BTreeSet<u8> = Table::ALL.iter().map(|table| *table as u8).collect();
        assert_eq!(bytes.len(), Table::ALL.len());
        assert!(!bytes.contains(&0xff));
    }
}

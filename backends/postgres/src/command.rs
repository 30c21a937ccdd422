//! A command: one transaction, with one position.

use olmstead_domain::position::Position;
use olmstead_storage::changes::ChangeKey;
use ruma::{OwnedUserId, UserId};
use sqlx::PgConnection;

use crate::{
    changes,
    error::{Done, Failure},
    rows::place,
    transaction::Transaction,
};

/// A command that is running, under its locks. Dropped, it did nothing.
pub(crate) struct Command {
    transaction: Transaction,
    /// The base of positions as this node knew it when the command began.
    base: i64,
    position: Option<Position>,
    changes: Vec<ChangeKey>,
    discarded: bool,
}

/// How a command ended in the database.
pub(crate) enum Ended {
    /// Nothing was to be written, or it was given up on purpose.
    WithoutTrace,
    /// Committed, at this position if one was taken.
    Committed(Option<Position>),
    /// The connection was lost while the commit was under way.
    InDoubt {
        /// The position, if one was taken.
        position: Option<Position>,
        /// The base it is above, if that has not changed since.
        base: i64,
        /// How the connection was lost.
        lost: Failure,
    },
}

impl Command {
    pub(crate) const fn new(transaction: Transaction, base: i64) -> Self {
        Self { transaction, base, position: None, changes: Vec::new(), discarded: false }
    }

    /// What statements run on.
    pub(crate) fn sql(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }

    /// The command's position in the stream, taken when it is first asked for: a command asks only when it is sure to
    /// write, because from then on it holds back the horizon.
    pub(crate) async fn position(&mut self) -> Done<Position> {
        if let Some(position) = self.position {
            return Ok(position);
        }
        // The text of `position_now()`: a function would be planned anew at every call.
        let taken: Option<i64> = sqlx::query_scalar("SELECT base + pg_current_xact_id()::text::bigint FROM running")
            .fetch_optional(&mut *self.transaction)
            .await?;
        let position = taken.and_then(|taken| u64::try_from(taken).ok()).map(Position).ok_or(Failure::NotRunning)?;
        self.position = Some(position);
        Ok(position)
    }

    /// The position as a parameter.
    pub(crate) async fn place(&mut self) -> Done<i64> {
        self.position().await.map(place)
    }

    /// Says that a statement of this command took the position itself.
    pub(crate) const fn took(&mut self, position: Position) {
        self.position = Some(position);
    }

    /// Says who may have to be told.
    pub(crate) fn change(&mut self, key: ChangeKey) {
        if !self.changes.contains(&key) || self.changes.len() > 64 {
            self.changes.push(key);
        }
    }

    /// Notes a change of a user's device list, and tells all who may see it.
    pub(crate) async fn device_list_changed(&mut self, user_id: &UserId) -> Done<()> {
        let position = self.place().await?;
        sqlx::query("INSERT INTO device_list_log (position, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(position)
            .bind(user_id.as_str())
            .execute(self.sql())
            .await?;
        self.change(ChangeKey::DeviceList(user_id.to_owned()));
        Ok(())
    }

    /// Notes that `named` is to be told as changed to one user alone (DL-11, DL-12).
    pub(crate) async fn own_device_list_changed(&mut self, user_id: &UserId, named: &UserId) -> Done<()> {
        let position = self.place().await?;
        sqlx::query(
            "INSERT INTO own_device_list_log (user_id, position, named) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        )
        .bind(user_id.as_str())
        .bind(position)
        .bind(named.as_str())
        .execute(self.sql())
        .await?;
        self.change_of_user(user_id.to_owned());
        Ok(())
    }

    /// Says that all devices of a user may have to be told.
    pub(crate) fn change_of_user(&mut self, user_id: OwnedUserId) {
        self.change(ChangeKey::User(user_id));
    }

    /// The command does nothing after all; its answer stands.
    pub(crate) const fn discard(&mut self) {
        self.discarded = true;
    }

    /// The command failed and does nothing.
    pub(crate) fn abandon(self) {
        self.transaction.abandon();
    }

    /// Ends the command in the database.
    pub(crate) async fn end(mut self) -> Done<Ended> {
        if self.discarded {
            self.transaction.roll_back().await?;
            return Ok(Ended::WithoutTrace);
        }
        if !self.changes.is_empty() {
            let position = self.place().await?;
            let keys = std::mem::take(&mut self.changes);
            changes::write(&mut self.transaction, position, &keys).await?;
        }
        Ok(match self.transaction.commit().await {
            Ok(()) => Ended::Committed(self.position),
            Err(lost @ Failure::Lost(_)) => Ended::InDoubt { position: self.position, base: self.base, lost },
            Err(failure) => return Err(failure),
        })
    }
}

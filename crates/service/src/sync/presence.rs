//! Presence: told to those who share a room, and set by the act of syncing.
//!
//! A client syncs at any node, so until when its user counts as there is in the store, and every node ends what has ended.
//! A write that changes a presence wakes everyone who shares a room with the user. So a node notes only the first sync of
//! a user, and then only when the user's state is another than it last said or somebody changed the presence meanwhile;
//! for those who go on syncing it moves the ends, now and then and all in one.

use std::collections::BTreeSet;

use olmstead_storage::ephemeral::{Presence, Syncing};
use ruma::{OwnedUserId, UserId};
use serde::Serialize;
use serde_json::value::to_raw_value;

use super::{SetPresence, response::Json, view::View};
use crate::{Context, Result, caches::Present};

const ONLINE: &str = "online";
const UNAVAILABLE: &str = "unavailable";
const KIND: &str = "m.presence";
/// A user who has not synced for this long is offline. Milliseconds; much longer than [`crate::tailer::KEEP`].
pub(crate) const GONE_AFTER_MS: u64 = 60_000;
/// A user who is online and was active this lately is told as active now. Milliseconds.
const ACTIVE_MS: u64 = 60_000;
/// Ends that are moved by one command.
const KEPT: usize = 500;

/// Notes that a user syncs.
pub(crate) async fn seen(cx: &Context, user_id: &UserId, wish: SetPresence) -> Result<()> {
    let state = match wish {
        SetPresence::Online => ONLINE,
        SetPresence::Unavailable => UNAVAILABLE,
        SetPresence::Offline => return Ok(()),
    };
    let now = cx.now();
    {
        let mut present = cx.caches.present.lock();
        if let Some(entry) = present.get_mut(user_id).filter(|entry| entry.noted && entry.state == state) {
            entry.seen_at = now;
            return Ok(());
        }
        // Before the write: what somebody else says after it makes it unsaid again.
        present.insert(user_id.to_owned(), Present { state, seen_at: now, noted: true });
    }
    let syncing = Syncing { user_id: user_id.to_owned(), until: now.saturating_add(GONE_AFTER_MS) };
    if let Err(error) = cx.storage.begin_syncing(syncing, state, now).await {
        changed(cx, user_id);
        // What is to be read can be read all the same, as when the disk is full.
        tracing::debug!(error = &error as &dyn std::error::Error, "that a user syncs could not be noted");
    }
    Ok(())
}

/// Somebody, at any node, changed a user's presence: the next sync here says again what it says.
pub(crate) fn changed(cx: &Context, user_id: &UserId) {
    if let Some(entry) = cx.caches.present.lock().get_mut(user_id) {
        entry.noted = false;
    }
}

/// Moves the ends of those who sync here, and forgets those who stopped: they may have gone on at another node, and if
/// not, whichever node comes first sets them offline.
pub(crate) async fn keep(cx: &Context) -> Result<()> {
    let now = cx.now();
    let mut here = Vec::new();
    cx.caches.present.lock().retain(|user_id, entry| {
        // If the clock was put back, what it said before is not to come.
        if cx.notifier.waits(user_id) || entry.seen_at > now {
            entry.seen_at = now;
        }
        let until = entry.seen_at.saturating_add(GONE_AFTER_MS);
        if until > now {
            here.push(Syncing { user_id: user_id.clone(), until });
        }
        until > now
    });
    for users in here.chunks(KEPT) {
        cx.storage.keep_syncing(users).await?;
    }
    Ok(())
}

#[derive(Serialize)]
struct Content<'a> {
    presence: &'a str,
    last_active_ago: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_msg: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currently_active: Option<bool>,
}

#[derive(Serialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    sender: &'a UserId,
    content: Content<'a>,
}

/// The `presence` section: the user's own and that of users who share a room.
pub(super) async fn section(view: &View<'_>, changes: &[Presence]) -> Result<Vec<Json>> {
    let wanted: Vec<&Presence> =
        changes.iter().filter(|change| view.filter.presence.admits(KIND, Some(&change.user_id))).collect();
    let others: Vec<OwnedUserId> =
        wanted.iter().filter(|change| change.user_id != view.user()).map(|change| change.user_id.clone()).collect();
    let sharing: BTreeSet<OwnedUserId> = if others.is_empty() {
        BTreeSet::new()
    } else {
        view.cx.storage.sharing_rooms(view.user(), &others, false, false).await?.into_iter().collect()
    };
    Ok(wanted
        .into_iter()
        .filter(|change| change.user_id == view.user() || sharing.contains(&change.user_id))
        .filter_map(|change| event(change, view.now))
        .collect())
}

fn event(presence: &Presence, now: u64) -> Option<Json> {
    let ago = now.saturating_sub(presence.last_active_at);
    to_raw_value(&Event {
        kind: KIND,
        sender: &presence.user_id,
        content: Content {
            presence: &presence.presence,
            last_active_ago: ago,
            status_msg: presence.status_msg.as_deref(),
            currently_active: (presence.presence == ONLINE).then_some(ago < ACTIVE_MS),
        },
    })
    .ok()
}

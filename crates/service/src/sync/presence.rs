//! Presence: told to those who share a room, and set by the act of syncing.
//!
//! A write wakes everyone who shares a room with the user, so syncing writes only when the user's state is another than
//! this process last said.

use std::collections::BTreeSet;

use olmstead_storage::ephemeral::Presence;
use ruma::{OwnedUserId, UserId};
use serde::Serialize;
use serde_json::value::to_raw_value;

use super::{SetPresence, response::Json, view::View};
use crate::{Context, Result, caches::Present};

const ONLINE: &str = "online";
const OFFLINE: &str = "offline";
const UNAVAILABLE: &str = "unavailable";
const KIND: &str = "m.presence";
/// A user who has not synced for this long is offline. Milliseconds.
const GONE_AFTER_MS: u64 = 60_000;
/// A user who is online and was active this lately is told as active now. Milliseconds.
const ACTIVE_MS: u64 = 60_000;

/// Notes that a user syncs.
pub(super) async fn seen(cx: &Context, user_id: &UserId, wish: SetPresence) -> Result<()> {
    let state = match wish {
        SetPresence::Online => ONLINE,
        SetPresence::Unavailable => UNAVAILABLE,
        SetPresence::Offline => return Ok(()),
    };
    let now = cx.now();
    {
        let mut present = cx.caches.present.lock();
        if let Some(entry) = present.get_mut(user_id).filter(|entry| entry.state == state) {
            entry.seen_at = now;
            return Ok(());
        }
        present.insert(user_id.to_owned(), Present { state, seen_at: now });
    }
    change(cx, user_id, state, now).await
}

/// Sets users offline who have stopped syncing here.
pub(crate) async fn sweep(cx: &Context) -> Result<()> {
    let now = cx.now();
    let mut gone = Vec::new();
    {
        let mut present = cx.caches.present.lock();
        if present.is_empty() {
            return Ok(());
        }
        present.retain(|user_id, entry| {
            let stays = entry.seen_at.saturating_add(GONE_AFTER_MS) > now || cx.notifier.waits(user_id);
            if !stays {
                gone.push(user_id.clone());
            }
            stays
        });
    }
    for user_id in gone {
        change(cx, &user_id, OFFLINE, now).await?;
    }
    Ok(())
}

async fn change(cx: &Context, user_id: &UserId, state: &str, now: u64) -> Result<()> {
    let before = cx.storage.presence(user_id).await?;
    if before.as_ref().is_some_and(|before| before.presence == state) {
        return Ok(());
    }
    let last_active_at = match (&before, state) {
        (Some(before), OFFLINE | UNAVAILABLE) => before.last_active_at,
        _ => now,
    };
    cx.storage
        .set_presence(Presence {
            user_id: user_id.to_owned(),
            presence: state.to_owned(),
            status_msg: before.and_then(|before| before.status_msg),
            last_active_at,
            position: Default::default(),
        })
        .await?;
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

//! A room the user is in.

use olmstead_domain::position::Cursor;
use olmstead_storage::{account_data::AccountDataEntry, rooms::RoomMembership};

use super::{
    UserSettings, account_data, ephemeral,
    response::JoinedRoom,
    span_start, state, summary,
    timeline::{Presence, Timeline},
    view::View,
};
use crate::{Result, unread};

/// The room's part of the answer; `None` if there is nothing in it to tell.
pub(super) async fn section(
    view: &View<'_>,
    room: &RoomMembership,
    account: &[&AccountDataEntry],
    settings: &UserSettings,
) -> Result<Option<JoinedRoom>> {
    let is_new = view.is_newly_joined(room);
    let whole = is_new || view.full_state;
    let (span, presence) = if is_new {
        ((Cursor::START, view.end()), Presence::Partly)
    } else {
        ((Cursor::at(span_start(view.since)), view.end()), Presence::Throughout)
    };
    let (events, ephemeral, account_data) = tokio::try_join!(
        async {
            if is_new || view.is_new(room.last_event) {
                Timeline::load(view, room, span, presence, &settings.ignored).await
            } else {
                Ok(Timeline::empty(span))
            }
        },
        ephemeral::section(view, room, is_new),
        account_data::of_room(view, &room.room_id, account, is_new),
    )?;
    let summary = summary::section(view, room, whole, &events).await?;
    let want = state::Want {
        room_id: &room.room_id,
        whole,
        span,
        timeline: &events,
        heroes: summary.heroes.as_deref().unwrap_or_default(),
    };
    let (state, timeline) = tokio::try_join!(
        async {
            if whole || view.is_new(room.last_event) {
                state::section(view, want).await
            } else {
                Ok(state::empty(view))
            }
        },
        events.section(view, &settings.ignored),
    )?;
    let is_empty = timeline.events.is_empty()
        && !timeline.limited
        && state.is_empty()
        && summary.is_empty()
        && ephemeral.is_empty()
        && account_data.is_empty();
    // The user's own receipt changes counts, also for a client that wants no receipts.
    let recounted =
        view.is_new(room.last_ephemeral) && !view.filter.room.ephemeral.admits_kind(&room.room_id, "m.receipt");
    if is_empty && !whole && !recounted {
        return Ok(None);
    }
    let unread = unread::count(view.cx, view.user(), room, settings, view.horizon, |from| {
        events.all_from(from).map(|events| events.cloned().collect())
    })
    .await?;
    let (unread_notifications, unread_thread_notifications) =
        unread.totals(view.filter.room.timeline.unread_thread_notifications);
    Ok(Some(JoinedRoom {
        summary,
        state,
        timeline,
        ephemeral: ephemeral.into(),
        account_data: account_data.into(),
        unread_notifications,
        unread_thread_notifications,
    }))
}

//! A room the user left or was made to leave: told up to that place and no further.

use olmstead_domain::position::Cursor;
use olmstead_storage::{account_data::AccountDataEntry, rooms::RoomMembership};
use ruma::events::room::member::MembershipState;

use super::{
    UserSettings, account_data,
    response::LeftRoom,
    span_start, state,
    timeline::{Past, Presence, Timeline},
    view::View,
};
use crate::Result;

/// The room's part of the answer.
pub(super) async fn section(
    view: &View<'_>,
    room: &RoomMembership,
    account: &[&AccountDataEntry],
    settings: &UserSettings,
) -> Result<LeftRoom> {
    let Seen { span, was_inside, joined_at_start } = Seen::find(view, room).await?;
    let timeline = Timeline::load(view, room, span, Presence::Partly, &settings.ignored).await?;
    let state = if was_inside {
        let whole = !joined_at_start || view.full_state;
        state::section(view, state::Want { room_id: &room.room_id, whole, span, timeline: &timeline, heroes: &[] })
            .await?
    } else {
        state::empty(view)
    };
    Ok(LeftRoom {
        state,
        timeline: timeline.section(view, &settings.ignored).await?,
        account_data: account_data::of_room(view, &room.room_id, account, false).await?.into(),
    })
}

/// What the user saw of a room before the end of their time in it.
pub(crate) struct Seen {
    /// The part of the room's stream to tell of.
    pub(crate) span: (Cursor, Cursor),
    /// Whether the user was joined at some place of the view's span.
    pub(crate) was_inside: bool,
    /// Whether the user was joined when it began.
    pub(crate) joined_at_start: bool,
}

impl Seen {
    pub(crate) async fn find(view: &View<'_>, room: &RoomMembership) -> Result<Self> {
        let since = Cursor::at(span_start(view.since));
        let end = room.cursor.next();
        let past = Past::load(view, room).await?;
        let joined_at_start = past.membership_before(since) == MembershipState::Join;
        let was_inside = past.joined_within(since, end);
        let span = match (was_inside, joined_at_start) {
            (true, true) => (since, end),
            (true, false) => (Cursor::START, end),
            // An invitation refused or taken back, a ban after leaving: the member event is all there is to tell.
            (false, _) => (room.cursor, end),
        };
        Ok(Self { span, was_inside, joined_at_start })
    }
}

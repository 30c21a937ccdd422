//! A room the user is in.

use std::collections::{BTreeMap, BTreeSet};

use olmstead_domain::{
    filter::{Filter, RoomEventFilter, RoomFilter},
    position::{Cursor, Position},
};
use olmstead_storage::rooms::{Direction, RoomMembership, StateSelection, StoredEvent};
use ruma::{OwnedEventId, OwnedUserId};

use super::{
    asked::{MAX_REQUIRED, Wish},
    look::Look,
    recency,
    required::{MEMBER, Required},
    response::{Hero, Room, Timeline as TimelinePart},
    told::{Entry, Kind},
};
use crate::{
    Result,
    sync::{
        events::{Beside, event},
        response::Json,
        summary,
        timeline::{Presence, Timeline},
        view::View,
    },
    unread,
};

const NAME: &str = "m.room.name";
const AVATAR: &str = "m.room.avatar";
const ALIAS: &str = "m.room.canonical_alias";

/// A room as it is told.
pub(super) struct Telling {
    /// What goes into the answer; `None` if there is nothing to tell of the room itself.
    pub(super) room: Option<Room>,
    /// What the client knows of the room then, and the set of state that goes with it.
    pub(super) entry: Entry,
    pub(super) required: Required,
    /// Where news began; `None` for a room that is told from its beginning.
    pub(super) from: Option<Position>,
    /// The events of the timeline.
    pub(super) events: BTreeSet<OwnedEventId>,
}

impl Telling {
    fn nothing(entry: Entry, plan: Plan) -> Self {
        Self { room: None, entry, required: plan.required, from: plan.from, events: BTreeSet::new() }
    }
}

/// A filter that only bounds the timeline.
pub(super) fn limited(limit: usize) -> Filter {
    let timeline = RoomEventFilter { limit: Some(limit as u64), ..RoomEventFilter::default() };
    Filter { room: RoomFilter { timeline, ..RoomFilter::default() }, ..Filter::default() }
}

/// What a client is to get of a room.
struct Plan {
    /// Where news begin; `None` to tell the room from its beginning.
    from: Option<Position>,
    /// Whether there are events since.
    has_events: bool,
    /// Whether the client wants more of the timeline than it has.
    expanded: bool,
    /// State the client is kept up to date with from now on.
    required: Required,
    /// State it was not told until now.
    added: Required,
}

impl Plan {
    async fn make(look: &Look<'_>, room: &RoomMembership, entry: Option<&Entry>, wish: &Wish) -> Result<Self> {
        let fresh = || Self {
            from: None,
            has_events: true,
            expanded: false,
            required: wish.required.clone(),
            added: Required::default(),
        };
        let Some(entry) = entry.filter(|entry| entry.kind == Kind::Joined) else { return Ok(fresh()) };
        let from = entry.from(look.start());
        if room.cursor.position >= from {
            let filter = Filter::default();
            let mut view = look.view(&filter, Some(from));
            view.load_moves(std::slice::from_ref(room)).await?;
            if view.is_newly_joined(room) {
                return Ok(fresh());
            }
        }
        let known = look.connection.sets.get(&entry.required).cloned().unwrap_or_default();
        let required = known.union(&wish.required);
        let (required, added) = if required.len() > MAX_REQUIRED {
            // A client that wants ever other state is kept up to date with the last it wanted.
            (wish.required.clone(), wish.required.clone())
        } else {
            let added = required.without(&known);
            (required, added)
        };
        Ok(Self {
            from: Some(from),
            has_events: has_events(look, room, from).await?,
            expanded: wish.limit > entry.limit,
            required,
            added,
        })
    }

    /// Whether there is something to tell even if nobody did anything.
    fn is_due(&self) -> bool {
        self.is_initial() || self.expanded || self.added.len() > 0
    }

    fn is_initial(&self) -> bool {
        self.from.is_none()
    }
}

/// Reads what is new in a room.
pub(super) async fn tell(
    look: &Look<'_>,
    room: &RoomMembership,
    entry: Option<&Entry>,
    wish: &Wish,
) -> Result<Telling> {
    let plan = Plan::make(look, room, entry, wish).await?;
    let filter = limited(wish.limit);
    let view = look.view(&filter, plan.from);
    let known_limit = entry.map_or(0, |entry| entry.limit);
    let mut after =
        Entry { kind: Kind::Joined, required: plan.required.id(), limit: known_limit.max(wish.limit), upto: None };
    let is_recounted = is_recounted(look, room, plan.from).await?;
    if !(plan.has_events || plan.is_due() || is_recounted) {
        return Ok(Telling::nothing(after, plan));
    }

    let timeline = timeline(look, &view, room, &plan, wish.limit).await?;
    if plan.is_initial() || timeline.limited {
        after.limit = wish.limit;
    }
    let (state, section, unread) = tokio::try_join!(
        state(&view, room, &plan, &timeline),
        timeline.section(&view, &look.settings.ignored),
        unread::count(look.cx, look.user(), room, &look.settings, look.horizon, |from| {
            timeline.all_from(from).map(|events| events.cloned().collect())
        }),
    )?;
    let is_empty = section.events.is_empty() && !section.limited && state.events.is_empty();
    if is_empty && wish.limit > 0 && !plan.is_due() && !is_recounted {
        // All that happened is hidden from this user, or of no interest to this client.
        return Ok(Telling::nothing(after, plan));
    }
    let changed = |kinds: &[&str]| state.changed.iter().any(|stored| kinds.contains(&stored.pdu.kind()));
    let whole = plan.is_initial() || changed(&[NAME, ALIAS, AVATAR]);
    let summary = if whole || plan.has_events {
        summary::section(&view, room, whole, &timeline).await?
    } else {
        Default::default()
    };
    let (name, avatar) = if whole { labels(&view, room, &plan).await? } else { (None, None) };
    let start = look.since.unwrap_or(look.horizon);
    let live = timeline.lines.iter().filter(|line| line.stored.cursor.position >= start).count();
    let events = timeline.lines.iter().map(|line| line.stored.pdu.event_id().to_owned()).collect();
    let part = TimelinePart {
        events: section.events,
        limited: section.limited,
        prev_batch: section.prev_batch,
        num_live: live,
        expanded: plan.expanded,
    };
    let told = Room {
        initial: plan.is_initial(),
        name,
        avatar,
        heroes: match summary.heroes {
            Some(heroes) => Some(with_profiles(&view, room, heroes).await?),
            None => None,
        },
        is_dm: look.direct().await?.contains(&room.room_id),
        required_state: state.events,
        timeline: (wish.limit > 0).then_some(part),
        joined_count: summary.joined,
        invited_count: summary.invited,
        unread: Some(unread.totals(false).0),
        bump_stamp: recency::bump_stamp(look.cx, look.user(), room).await?,
        ..Room::default()
    };
    Ok(Telling { room: Some(told), entry: after, required: plan.required, from: plan.from, events })
}

/// Whether the user read something, which changes counts.
async fn is_recounted(look: &Look<'_>, room: &RoomMembership, from: Option<Position>) -> Result<bool> {
    let Some(from) = from.filter(|from| room.last_ephemeral >= *from) else { return Ok(false) };
    let receipts = look.cx.storage.receipts_of(&room.room_id, look.user()).await?;
    // What is beyond the end is news of the next answer.
    Ok(receipts.iter().any(|receipt| receipt.position >= from && receipt.position < look.horizon))
}

/// Whether something happened in the span. The place of the last event is that of now: of a room where the last is beyond
/// the end, it does not say whether there is another before.
async fn has_events(look: &Look<'_>, room: &RoomMembership, from: Position) -> Result<bool> {
    if room.last_event < from || room.last_event < look.horizon {
        return Ok(room.last_event >= from);
    }
    let (from, end) = (Cursor::at(from), Cursor::at(look.horizon));
    let page = look.cx.storage.timeline(&room.room_id, from, end, 1, Direction::Backward).await?;
    Ok(!page.events.is_empty() || !look.cx.storage.state_between(&room.room_id, from, end).await?.is_empty())
}

async fn timeline(
    look: &Look<'_>,
    view: &View<'_>,
    room: &RoomMembership,
    plan: &Plan,
    limit: usize,
) -> Result<Timeline> {
    let end = view.end();
    let (span, presence) = match plan.from {
        Some(from) if !plan.expanded => ((Cursor::at(from), end), Presence::Throughout),
        _ => ((Cursor::START, end), Presence::Partly),
    };
    if limit == 0 || !(plan.has_events || plan.expanded) {
        let mut nothing = Timeline::empty(span);
        // It was not looked at: counts must not take it for all there is.
        nothing.whole_from = nothing.whole_from.filter(|_| !plan.has_events);
        return Ok(nothing);
    }
    Timeline::load(view, room, span, presence, &look.settings.ignored).await
}

/// State to be told.
struct State {
    events: Vec<Json>,
    /// All state that changed in the span; empty for a room that is told from its beginning.
    changed: Vec<StoredEvent>,
}

/// The state at the end of the span that the client wants and does not have. A lazy client gets the members it needs for
/// the timeline, and every change of a member in the span: who came and went must not get lost, whoever is encrypted for.
async fn state(view: &View<'_>, room: &RoomMembership, plan: &Plan, timeline: &Timeline) -> Result<State> {
    let (end, required) = (view.end(), &plan.required);
    let changed = match plan.from {
        Some(from) if plan.has_events => view.cx.storage.state_between(&room.room_id, Cursor::at(from), end).await?,
        _ => Vec::new(),
    };
    let whole = if plan.is_initial() { required } else { &plan.added };
    let mut selections = whole.selections();
    if required.is_lazy() {
        let members: Vec<(String, String)> =
            lazy_members(timeline).into_iter().map(|user_id| (MEMBER.to_owned(), user_id)).collect();
        if !members.is_empty() {
            selections.push(StateSelection::These(members));
        }
    }
    let lazy: BTreeSet<String> = if required.is_lazy() { lazy_members(timeline) } else { BTreeSet::new() };
    let mut entries: BTreeMap<(String, String), StoredEvent> = BTreeMap::new();
    for select in selections {
        for stored in view.cx.storage.state(&room.room_id, Some(end), select).await? {
            let key = key_of(&stored);
            if whole.wants(&key.0, &key.1) || (key.0 == MEMBER && lazy.contains(&key.1)) {
                entries.insert(key, stored);
            }
        }
    }
    for stored in &changed {
        let key = key_of(stored);
        if required.wants(&key.0, &key.1) || (required.is_lazy() && key.0 == MEMBER) {
            entries.insert(key, stored.clone());
        }
    }
    let mut stored: Vec<StoredEvent> = entries.into_values().collect();
    stored.sort_by_key(|stored| stored.cursor);
    let events = stored.iter().filter_map(|stored| event(view, stored, Beside::default())).collect();
    Ok(State { events, changed })
}

pub(super) fn key_of(stored: &StoredEvent) -> (String, String) {
    (stored.pdu.kind().to_owned(), stored.pdu.state_key().unwrap_or_default().to_owned())
}

/// Who is needed to show a timeline: senders, and those whose membership it tells of.
fn lazy_members(timeline: &Timeline) -> BTreeSet<String> {
    let mut users: BTreeSet<String> = timeline.senders().into_iter().map(ToString::to_string).collect();
    let members = timeline.lines.iter().map(|line| &line.stored.pdu).filter(|pdu| pdu.kind() == MEMBER);
    users.extend(members.filter_map(|pdu| pdu.state_key().map(str::to_owned)));
    users
}

/// A name or an avatar: `None` if it is not to be told, `Some(None)` if it is gone.
type Label = Option<Option<String>>;

/// Name and avatar as they are.
async fn labels(view: &View<'_>, room: &RoomMembership, plan: &Plan) -> Result<(Label, Label)> {
    let both = StateSelection::These(vec![(NAME.to_owned(), String::new()), (AVATAR.to_owned(), String::new())]);
    let state = view.cx.storage.state(&room.room_id, Some(view.end()), both).await?;
    let label = |kind: &str, field: &str| {
        let stored = state.iter().find(|stored| stored.redacted_by.is_none() && stored.pdu.is_state_of(kind, ""));
        let text = stored.and_then(|stored| stored.pdu.content_field::<String>(field)).filter(|text| !text.is_empty());
        if text.is_none() && plan.is_initial() { None } else { Some(text) }
    };
    Ok((label(NAME, "name"), label(AVATAR, "url")))
}

/// Heroes with their names and avatars in the room.
async fn with_profiles(view: &View<'_>, room: &RoomMembership, heroes: Vec<OwnedUserId>) -> Result<Vec<Hero>> {
    if heroes.is_empty() {
        return Ok(Vec::new());
    }
    let entries = heroes.iter().map(|user_id| (MEMBER.to_owned(), user_id.to_string())).collect();
    let state = view.cx.storage.state(&room.room_id, Some(view.end()), StateSelection::These(entries)).await?;
    let heroes = heroes.into_iter().map(|user_id| {
        let member = state
            .iter()
            .find(|stored| stored.redacted_by.is_none() && stored.pdu.is_state_of(MEMBER, user_id.as_str()));
        let field = |name: &str| member.and_then(|stored| stored.pdu.content_field::<String>(name));
        Hero { displayname: field("displayname"), avatar_url: field("avatar_url"), user_id }
    });
    Ok(heroes.collect())
}

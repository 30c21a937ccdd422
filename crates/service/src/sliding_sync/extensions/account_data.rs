//! Account data: global, and of the rooms a request is about.

use std::collections::HashMap;

use olmstead_domain::{filter::Filter, position::Position};
use olmstead_storage::account_data::AccountDataEntry;
use ruma::RoomId;

use super::super::{asked, look::Look, response::AccountData, rooms::Scope};
use crate::{
    Result,
    sync::account_data::{event, global},
};

pub(super) async fn section(look: &Look<'_>, scopes: &[Scope<'_>], covered: &asked::Scope) -> Result<AccountData> {
    let reached = look.connection.told.extensions.account_data.from(look.since);
    let scopes: Vec<(&Scope<'_>, Position)> = scopes
        .iter()
        .filter(|scope| covered.covers(&scope.room.room_id, scope.sources))
        .map(|scope| (scope, scope.from.min(reached).unwrap_or(Position::START)))
        .collect();
    let first = scopes.iter().map(|(_, from)| *from).chain([reached.unwrap_or(Position::START)]).min();
    let first = first.unwrap_or(Position::START);
    let read;
    let entries = match look.since {
        Some(since) if first < since => {
            read = look.cx.storage.account_data_between(look.user(), first, look.horizon).await?;
            &read
        }
        _ => &look.facts.account_data,
    };
    let filter = Filter::default();
    let new: Vec<AccountDataEntry> =
        entries.iter().filter(|entry| entry.room_id.is_none() && Some(entry.position) >= reached).cloned().collect();
    let mut answer = AccountData { global: global(&look.view(&filter, reached), &new), ..AccountData::default() };
    let mut by_room: HashMap<&RoomId, Vec<&AccountDataEntry>> = HashMap::new();
    for entry in entries {
        if let Some(room_id) = entry.room_id.as_deref() {
            by_room.entry(room_id).or_default().push(entry);
        }
    }
    for (scope, from) in scopes {
        let entries = by_room.get(&*scope.room.room_id).into_iter().flatten().filter(|entry| entry.position >= from);
        let events: Vec<_> = entries.filter_map(|entry| event(&entry.kind, entry.content.as_raw())).collect();
        if !events.is_empty() {
            answer.rooms.insert(scope.room.room_id.clone(), events);
        }
    }
    Ok(answer)
}

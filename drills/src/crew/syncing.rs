//! Who syncs notes what came, answer by answer, as a client does that keeps its place.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;

use super::{Crew, lanes::OWN, lock};
use crate::{
    api::{Answer, segment},
    ledger::Books,
};

/// A filter with long timelines.
pub(super) const FILTER: &str =
    r#"{"presence":{"types":[]},"room":{"timeline":{"limit":200},"ephemeral":{"types":[]}}}"#;

impl Crew {
    /// One sync; whether it brought anything.
    pub(super) async fn sync(&self, n: usize) -> Result<bool, String> {
        let person = &self.people[n];
        let since = lock(&person.since).clone();
        let path = format!("/sync?timeout=500&filter={}&since={}", segment(FILTER), segment(&since));
        let began = self.ledger.books().lists.begin();
        let answer = match person.device.once(Method::GET, &path, None).await {
            Answer::Done(answer) => answer,
            Answer::Refused(status, answer) => return Err(format!("sync: {status} {answer}")),
            Answer::Unknown => {
                tokio::time::sleep(std::time::Duration::from_millis(25)).await;
                return Ok(true);
            }
        };
        // A client may lose an answer, too: all of it must come again.
        if rand::random_ratio(1, 12) {
            return Ok(true);
        }
        let events = self.timeline(n, &answer, &since).await?;
        let me = &person.device.user_id;
        let mut books = self.ledger.books();
        let messages = numbered(&answer["to_device"]["events"], OWN);
        let news = !messages.is_empty() || !events.is_empty();
        for (sender, number) in messages {
            books.to_device.came(&(sender, me.clone()), number);
        }
        for (sender, number) in events {
            books.events.came(&(sender, me.clone()), number);
        }
        let changed = answer["device_lists"]["changed"].as_array().into_iter().flatten();
        let changed: BTreeSet<String> = changed.filter_map(Value::as_str).map(str::to_owned).collect();
        books.lists.synced(me, began, changed);
        self.check_count(&mut books, n, &answer);
        drop(books);
        *lock(&person.since) = answer["next_batch"].as_str().unwrap_or_default().to_owned();
        Ok(news)
    }

    /// The events of the room in an answer, with those that its timeline leaves out.
    async fn timeline(&self, n: usize, answer: &Value, since: &str) -> Result<Vec<(String, usize)>, String> {
        let part = &answer["rooms"]["join"][&self.room]["timeline"];
        let mut events = numbered(&part["events"], OWN);
        if part["limited"] == true {
            let mut from = part["prev_batch"].as_str().unwrap_or_default().to_owned();
            loop {
                let (room, from_, to) = (segment(&self.room), segment(&from), segment(since));
                let path = format!("/rooms/{room}/messages?dir=b&limit=200&from={from_}&to={to}");
                let page = self.people[n].device.get(&path).await?;
                let mut before = numbered(&page["chunk"], OWN);
                before.reverse();
                before.extend(events);
                events = before;
                match page["end"].as_str() {
                    Some(end) if page["chunk"].as_array().is_some_and(|chunk| !chunk.is_empty()) => {
                        from = end.to_owned();
                    }
                    _ => break,
                }
            }
        }
        Ok(events)
    }

    /// No count may tell of more keys than there can be.
    fn check_count(&self, books: &mut Books, n: usize, answer: &Value) {
        let counts = &answer["device_one_time_keys_count"];
        if let Some(told) = counts["signed_curve25519"].as_u64() {
            // Claimed since the answer was made: what was uploaded bounds it then, and it is exact at the end.
            let most = books.keys.ever(&self.people[n].device.name());
            books.counts.0 += 1;
            books.counts.1 += usize::from(usize::try_from(told).is_ok_and(|told| told > most));
        }
    }
}

/// The numbers of the drill's own events, each with its sender.
pub(super) fn numbered(events: &Value, kind: &str) -> Vec<(String, usize)> {
    let events = events.as_array().into_iter().flatten().filter(|event| event["type"] == kind);
    let numbered = events.map(|event| {
        let number = event["content"]["number"].as_u64().and_then(|number| usize::try_from(number).ok());
        (event["sender"].as_str().unwrap_or_default().to_owned(), number.unwrap_or(usize::MAX))
    });
    numbered.collect()
}

//! The end: everybody takes in what is left, and the server's whole content is held against the ledger.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{runtime::Handle, task::JoinSet};

use super::{Crew, lock};
use crate::api::segment;

/// For all that was sent to have come.
const SETTLE: Duration = Duration::from_secs(60);

impl Crew {
    /// Judges all that can be judged only when nothing happens any more.
    pub(crate) async fn finish(self: &Arc<Self>) {
        let mut tasks = JoinSet::new();
        for n in 0..self.people.len() {
            let this = Arc::clone(self);
            tasks.spawn_blocking(move || Handle::current().block_on(this.settle(n)));
        }
        for n in 0..self.talkers.len() {
            let this = Arc::clone(self);
            tasks.spawn_blocking(move || Handle::current().block_on(this.listen(n)));
        }
        while let Some(done) = tasks.join_next().await {
            if let Err(why) = done.map_err(|error| error.to_string()).and_then(|done| done) {
                self.ledger.trouble(format!("at the end: {why}"));
            }
        }
        for n in 0..self.people.len() {
            for done in [self.check_counts(n).await, self.check_published(n).await, self.check_backup(n).await] {
                if let Err(why) = done {
                    self.ledger.trouble(format!("at the end: {why}"));
                }
            }
        }
    }

    /// Syncs until nothing is left, twice.
    async fn settle(&self, n: usize) -> Result<(), String> {
        let began = Instant::now();
        let mut quiet = 0;
        while quiet < 2 && began.elapsed() < SETTLE {
            quiet = if self.sync(n).await? { 0 } else { quiet + 1 };
        }
        while !self.ledger.books().lists.is_settled() && began.elapsed() < SETTLE {
            self.sync(n).await?;
        }
        Ok(())
    }

    /// The count that is told is how many keys there are, and that is how many there must be. Takes them all.
    async fn check_counts(&self, n: usize) -> Result<(), String> {
        let (device, by) = (&self.people[n].device, &self.other(n).device);
        let answer = device.post("/keys/upload", &json!({})).await?;
        let told = answer["one_time_key_counts"]["signed_curve25519"].as_u64().unwrap_or(0);
        let sync = device.get("/sync?timeout=0").await?;
        let in_sync = sync["device_one_time_keys_count"]["signed_curve25519"].as_u64().unwrap_or(0);
        let (least, most) = self.ledger.books().keys.left(&device.name());
        let mut taken = 0;
        while self.claim_of(by, device).await? {
            taken += 1;
        }
        let mut books = self.ledger.books();
        for count in [told, in_sync] {
            let right = count == taken && usize::try_from(count).is_ok_and(|count| (least..=most).contains(&count));
            books.counts.0 += 1;
            books.counts.1 += usize::from(!right);
        }
        Ok(())
    }

    /// The devices of a user are those that were acknowledged, with all their signatures.
    async fn check_published(&self, n: usize) -> Result<(), String> {
        let person = &self.people[n];
        let user = &person.device.user_id;
        // The owner's own view: others need not see all signatures.
        let answer = person.device.post("/keys/query", &json!({"device_keys": {user: []}})).await?;
        let found = answer["device_keys"][user].as_object().cloned().unwrap_or_default();
        let expected = lock(&person.published).clone();
        let present = lock(&person.identity).signs_devices_with();
        let mut wrong = found.keys().filter(|id| !expected.contains_key(*id)).count();
        for (id, keys) in &expected {
            // Signatures of an identity that was replaced may be gone.
            let counts = |key: &str| key == present || key.strip_prefix("ed25519:") == Some(id.as_str());
            let signatures = keys["signatures"][user].as_object().into_iter().flatten();
            let has_all = signatures.filter(|(key, _)| counts(key)).all(|(key, signature)| {
                found.get(id).is_some_and(|found| found["signatures"][user][key] == *signature)
            });
            let is_same = found.get(id).is_some_and(|found| found["keys"] == keys["keys"]);
            wrong += usize::from(!(is_same && has_all));
        }
        let master = lock(&person.identity).upload()["master_key"]["keys"].clone();
        wrong += usize::from(answer["master_keys"][user]["keys"] != master);
        let mut books = self.ledger.books();
        books.published.0 += expected.len() + 1;
        books.published.1 += wrong.min(expected.len() + 1);
        Ok(())
    }

    async fn check_backup(&self, n: usize) -> Result<(), String> {
        let person = &self.people[n];
        let answer = person.device.get(&format!("/room_keys/keys?version={}", segment(&person.backup))).await?;
        let mut found: BTreeMap<(String, String), Value> = BTreeMap::new();
        for (room, part) in answer["rooms"].as_object().into_iter().flatten() {
            for (session, key) in part["sessions"].as_object().into_iter().flatten() {
                found.insert((room.clone(), session.clone()), key.clone());
            }
        }
        self.ledger.books().backups.compare(&person.device.user_id, &found);
        Ok(())
    }
}

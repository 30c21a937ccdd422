//! Key backups: what the rule for replacing makes of all that was acknowledged.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Row;

/// Room and session of a key.
pub(crate) type Session = (String, String);

/// The backups of all users.
#[derive(Debug, Default)]
pub(crate) struct Backups {
    users: BTreeMap<String, BTreeMap<Session, Value>>,
    acknowledged: usize,
    lost: usize,
    wrong: usize,
}

/// By the specification: a verified key is better, then one that begins earlier, then one that was forwarded less often.
fn rank(key: &Value) -> (bool, u64, u64) {
    let number = |name: &str| key[name].as_u64().unwrap_or(u64::MAX);
    (key["is_verified"] != true, number("first_message_index"), number("forwarded_count"))
}

impl Backups {
    /// A write was acknowledged; how many keys the backup has now.
    pub(crate) fn acknowledged(&mut self, user: &str, keys: &[(Session, Value)]) -> usize {
        let backup = self.users.entry(user.to_owned()).or_default();
        for (session, key) in keys {
            match backup.get(session) {
                Some(old) if rank(old) <= rank(key) => {}
                _ => drop(backup.insert(session.clone(), key.clone())),
            }
        }
        self.acknowledged += keys.len();
        backup.len()
    }

    /// The server told something else than what must be.
    pub(crate) const fn wrong(&mut self) {
        self.wrong += 1;
    }

    /// Holds a whole backup against what it must be.
    pub(crate) fn compare(&mut self, user: &str, found: &BTreeMap<Session, Value>) {
        let expected = self.users.entry(user.to_owned()).or_default();
        self.lost += expected.keys().filter(|session| !found.contains_key(*session)).count();
        self.wrong +=
            found.iter().filter(|(session, key)| expected.get(*session).is_some_and(|old| old != *key)).count();
        self.wrong += found.keys().filter(|session| !expected.contains_key(*session)).count();
    }

    pub(crate) fn judge(&self) -> Row {
        let found = self.acknowledged.saturating_sub(self.lost + self.wrong);
        Row {
            what: "backup writes",
            acknowledged: self.acknowledged,
            found,
            lost: self.lost,
            wrong: self.wrong,
            ..Row::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(verified: bool, first: u64, forwarded: u64) -> Value {
        json!({"is_verified": verified, "first_message_index": first, "forwarded_count": forwarded})
    }

    #[test]
    fn a_better_key_replaces_and_a_worse_or_equal_one_does_not() {
        let session = |n: &str| ("r".to_owned(), n.to_owned());
        let mut all = Backups::default();
        let mut put = |key: Value| all.acknowledged("u", &[(session("s"), key)]);
        for next in [key(false, 5, 5), key(true, 9, 9), key(true, 9, 9), key(false, 0, 0), key(true, 8, 9)] {
            assert_eq!(put(next), 1);
        }
        let mut found = BTreeMap::from([(session("s"), key(true, 8, 9))]);
        all.compare("u", &found);
        assert!(all.judge().is_good());
        found.insert(session("s"), key(false, 0, 0));
        all.compare("u", &found);
        assert_eq!(all.judge().wrong, 1);
        all.compare("u", &BTreeMap::new());
        assert_eq!(all.judge().lost, 1);
    }
}

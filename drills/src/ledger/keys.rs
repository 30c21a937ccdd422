//! One-time keys: each is handed out once, and none disappears.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Row;

#[derive(Debug)]
struct Key {
    value: Value,
    acknowledged: bool,
    /// How often it was handed out.
    handed: usize,
}

#[derive(Debug, Default)]
struct Pool {
    keys: BTreeMap<String, Key>,
    /// Claims without an answer: each may have taken a key.
    blind: usize,
    /// Answers with another key than was uploaded under that name.
    wrong: usize,
}

/// The keys of all devices.
#[derive(Debug, Default)]
pub(crate) struct Keys(BTreeMap<String, Pool>);

impl Keys {
    /// These keys of a device are about to be uploaded.
    pub(crate) fn begin(&mut self, device: &str, keys: &Value) {
        let pool = self.0.entry(device.to_owned()).or_default();
        for (name, value) in keys.as_object().into_iter().flatten() {
            pool.keys.insert(name.clone(), Key { value: value.clone(), acknowledged: false, handed: 0 });
        }
    }

    pub(crate) fn acknowledged(&mut self, device: &str, keys: &Value) {
        let Some(pool) = self.0.get_mut(device) else { return };
        for (name, _) in keys.as_object().into_iter().flatten() {
            if let Some(key) = pool.keys.get_mut(name) {
                key.acknowledged = true;
            }
        }
    }

    /// A claim was answered with these keys, one or none.
    pub(crate) fn handed(&mut self, device: &str, keys: &Value) {
        let pool = self.0.entry(device.to_owned()).or_default();
        for (name, value) in keys.as_object().into_iter().flatten() {
            match pool.keys.get_mut(name).filter(|key| key.value == *value) {
                Some(key) => key.handed += 1,
                None => pool.wrong += 1,
            }
        }
    }

    /// A claim got no answer.
    pub(crate) fn blind(&mut self, device: &str) {
        self.0.entry(device.to_owned()).or_default().blind += 1;
    }

    /// How many keys of a device there are, at least and at most.
    pub(crate) fn left(&self, device: &str) -> (usize, usize) {
        let Some(pool) = self.0.get(device) else { return (0, 0) };
        let left = |key: &&Key| key.handed == 0;
        let sure = pool.keys.values().filter(left).filter(|key| key.acknowledged).count();
        (sure.saturating_sub(pool.blind), pool.keys.values().filter(left).count())
    }

    /// How many keys of a device were uploaded, or may have been.
    pub(crate) fn ever(&self, device: &str) -> usize {
        self.0.get(device).map_or(0, |pool| pool.keys.len())
    }

    /// Judges when all pools were emptied by claims that were answered.
    pub(crate) fn judge(&self) -> Row {
        let mut row = Row { what: "one-time keys", ..Row::default() };
        for pool in self.0.values() {
            let mut missing = 0_usize;
            for key in pool.keys.values() {
                row.acknowledged += usize::from(key.acknowledged);
                row.found += usize::from(key.handed > 0);
                row.doubled += key.handed.saturating_sub(1);
                missing += usize::from(key.acknowledged && key.handed == 0);
            }
            row.unknown += pool.blind;
            row.lost += missing.saturating_sub(pool.blind);
            row.wrong += pool.wrong;
        }
        row
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn uploaded() -> Keys {
        let mut keys = Keys::default();
        let all = json!({"k:1": 1, "k:2": 2});
        keys.begin("d", &all);
        keys.acknowledged("d", &all);
        keys
    }

    #[test]
    fn each_key_once_is_good() {
        let mut keys = uploaded();
        assert_eq!(keys.left("d"), (2, 2));
        keys.handed("d", &json!({"k:1": 1}));
        assert_eq!(keys.left("d"), (1, 1));
        keys.handed("d", &json!({"k:2": 2}));
        keys.handed("d", &json!({}));
        assert!(keys.judge().is_good());
    }

    #[test]
    fn a_key_twice_is_seen() {
        let mut keys = uploaded();
        for _ in 0..2 {
            keys.handed("d", &json!({"k:1": 1}));
        }
        assert_eq!(keys.judge().doubled, 1);
    }

    #[test]
    fn a_lost_key_is_seen_unless_a_claim_without_answer_may_have_taken_it() {
        let mut keys = uploaded();
        keys.handed("d", &json!({"k:1": 1}));
        assert_eq!(keys.judge().lost, 1);
        keys.blind("d");
        assert_eq!(keys.judge().lost, 0);
        assert_eq!(keys.left("d"), (0, 1));
    }

    #[test]
    fn another_key_than_was_uploaded_is_seen() {
        let mut keys = uploaded();
        keys.handed("d", &json!({"k:1": 9}));
        keys.handed("d", &json!({"k:7": 7}));
        assert_eq!(keys.judge().wrong, 2);
    }
}

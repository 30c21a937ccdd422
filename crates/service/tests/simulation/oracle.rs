//! What a client must have been told, from what was committed and when. It knows nothing of tokens.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    clients::Answer,
    people,
    store::{Change, What},
};

/// So many milliseconds after a change could be read, whoever waits has been told: a tick, and some slow and failing reads.
const SOON: u64 = 10_000;

/// Whether a change concerns a device.
fn concerns(change: &Change, device: usize) -> bool {
    let owner = device / 2;
    match change.what {
        What::Message { to, .. } => to == device,
        What::Entry { user, .. } => user == owner,
        What::DeviceList { user } => people::is_told_of(owner, user),
        What::Count { device: of, .. } => of == device,
    }
}

/// Checks all answers that a device got.
///
/// # Errors
/// What it was told wrongly, or was not told.
pub(crate) fn check(device: usize, answers: &[Answer], truth: &[Change]) -> Result<(), String> {
    let truth: Vec<&Change> = truth.iter().filter(|change| concerns(change, device)).collect();
    let mut kept: Vec<&Answer> = Vec::new();
    for answer in answers {
        let fail = |what: String| Err(format!("device {device}: {what}\n  in {answer:?}"));
        if answer.left > 0 {
            return fail("somebody left".to_owned());
        }
        // Else the client asks the same again at once, and again.
        if answer.ended < answer.began + answer.timeout && answer.token.position <= answer.since {
            return fail("it came before its time, and leaves the client where it was".to_owned());
        }
        for change in &truth {
            // A wait ends soon after something is there.
            if change.answered >= answer.began && change.answered.saturating_add(SOON) < answer.ended {
                return fail(format!("it waited on though there was {change:?}"));
            }
            // What was answered before is told.
            let is_due = change.answered < answer.began;
            if is_due && !is_told(change, &kept, answer, &truth) {
                return fail(format!("it was not told of {change:?}"));
            }
        }
        check_messages(&kept, answer, &truth).or_else(fail)?;
        check_lists(answer, &kept, &truth).or_else(fail)?;
        check_count(answer, &truth).or_else(fail)?;
        if answer.kept {
            kept.push(answer);
        }
    }
    check_end(&kept, &truth).map_err(|what| format!("device {device}: {what}"))
}

/// Whether an answer, or one kept before, tells of a change that was answered before it was asked for.
fn is_told(change: &Change, kept: &[&Answer], answer: &Answer, truth: &[&Change]) -> bool {
    let answers = || kept.iter().copied().chain([answer]);
    match change.what {
        What::Message { number, .. } => answers().any(|answer| answer.messages.contains(&number)),
        What::DeviceList { user } => {
            answers().any(|answer| answer.ended >= change.committed && answer.changed.contains(&user))
        }
        What::Entry { kind, version, .. } => {
            // A later version may have taken its place, and is told of by a later answer.
            let later = |other: &&&Change| {
                matches!(other.what, What::Entry { kind: of, .. } if of == kind)
                    && other.committed > change.committed
                    && other.began <= answer.ended
            };
            answers().any(|answer| answer.entries.contains(&(kind, version))) || truth.iter().any(|other| later(&other))
        }
        // Counts are told by each answer.
        What::Count { .. } => true,
    }
}

/// Each message once, in the order of its sender; in an answer that is dropped as well as in those kept.
fn check_messages(kept: &[&Answer], answer: &Answer, truth: &[&Change]) -> Result<(), String> {
    let sent: BTreeMap<usize, (usize, u64)> = truth
        .iter()
        .filter_map(|change| match change.what {
            What::Message { number, from, .. } => Some((number, (from, change.began))),
            _ => None,
        })
        .collect();
    let mut told: BTreeSet<usize> = kept.iter().flat_map(|answer| &answer.messages).copied().collect();
    let mut newest: BTreeMap<usize, u64> = BTreeMap::new();
    for number in kept.iter().flat_map(|answer| &answer.messages) {
        let (from, began) = sent[number];
        newest.insert(from, began);
    }
    for number in &answer.messages {
        let Some((from, began)) = sent.get(number) else { return Err(format!("message {number} was not sent to it")) };
        if !told.insert(*number) {
            return Err(format!("message {number} came twice"));
        }
        if newest.insert(*from, *began).is_some_and(|before| before > *began) {
            return Err(format!("message {number} of {from} came after a later one"));
        }
    }
    Ok(())
}

/// Nobody is named more often than their devices changed.
fn check_lists(answer: &Answer, kept: &[&Answer], truth: &[&Change]) -> Result<(), String> {
    for user in &answer.changed {
        let changes = truth.iter().filter(|change| {
            matches!(change.what, What::DeviceList { user: of } if of == *user) && change.committed <= answer.ended
        });
        let named = kept.iter().filter(|answer| answer.changed.contains(user)).count() + 1;
        let changes = changes.count();
        if named > changes {
            return Err(format!("user {user} was named as changed {named} times, after {changes} changes"));
        }
    }
    Ok(())
}

/// The count is one that there was while the request was on its way.
fn check_count(answer: &Answer, truth: &[&Change]) -> Result<(), String> {
    let mut possible = BTreeSet::from([0]);
    for change in truth {
        if let What::Count { count, .. } = change.what {
            if change.answered < answer.began {
                possible.clear();
            }
            if change.committed <= answer.ended {
                possible.insert(count);
            }
        }
    }
    if possible.contains(&answer.count) {
        return Ok(());
    }
    Err(format!("{} keys are counted, not one of {possible:?}", answer.count))
}

/// At the end everything was told.
fn check_end(kept: &[&Answer], truth: &[&Change]) -> Result<(), String> {
    let told: BTreeSet<usize> = kept.iter().flat_map(|answer| &answer.messages).copied().collect();
    let mut entries: BTreeMap<u64, usize> = BTreeMap::new();
    for (kind, version) in kept.iter().flat_map(|answer| &answer.entries) {
        entries.insert(*kind, *version);
    }
    let mut newest: BTreeMap<u64, usize> = BTreeMap::new();
    let mut count = 0;
    for change in truth {
        match change.what {
            What::Message { number, .. } if !told.contains(&number) => {
                return Err(format!("message {number} never came"));
            }
            What::Entry { kind, version, .. } => {
                newest.insert(kind, version);
            }
            What::Count { count: now, .. } => count = now,
            What::Message { .. } | What::DeviceList { .. } => {}
        }
    }
    if entries != newest {
        return Err(format!("at the end it has the account data {entries:?} instead of {newest:?}"));
    }
    let last = kept.last().map(|answer| answer.count);
    if last.is_some_and(|last| last != count) {
        return Err(format!("at the end it counts {last:?} keys instead of {count}"));
    }
    Ok(())
}

//! What operators did.

use olmstead_storage::audit::AuditEntry;

use crate::{Store, support::parallel};

fn entry(n: u64) -> AuditEntry {
    AuditEntry {
        at: n,
        operator: format!("operator {}", n % 2),
        action: "test".to_owned(),
        target: format!("@user{n}:example.org \0 \u{1F511}"),
        details: String::new(),
    }
}

/// Newest first, in pages of any size.
pub async fn the_record_is_read_from_its_end(store: Store) {
    assert!(store.audit_entries(None, 10).await.unwrap().is_empty());
    let mut expected = Vec::new();
    for n in 0..7 {
        expected.push((store.add_audit_entry(entry(n)).await.unwrap(), entry(n)));
    }
    expected.reverse();
    for limit in [1, 2, 6, 7, 100] {
        let (mut found, mut before) = (Vec::new(), None);
        loop {
            let page = store.audit_entries(before, limit).await.unwrap();
            assert!(page.len() <= limit);
            let Some((number, _)) = page.last() else { break };
            before = Some(*number);
            found.extend(page);
        }
        assert_eq!(found, expected, "in pages of {limit}");
    }
}

/// None is lost, whoever writes at the same time, and numbers are given once.
pub async fn parallel_entries_are_all_there(store: Store) {
    let writers = store.clone();
    let numbers = parallel(20, move |n| {
        let store = writers.clone();
        async move { (store.add_audit_entry(entry(n as u64)).await.unwrap(), entry(n as u64)) }
    })
    .await;
    let found = store.audit_entries(None, 100).await.unwrap();
    assert!(found.is_sorted_by(|one, next| one.0 > next.0));
    let mut numbers = numbers;
    numbers.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    assert_eq!(found, numbers);
}

/// The record outlives the process.
pub async fn the_record_survives_a_restart(store: Store) {
    let first = store.add_audit_entry(entry(1)).await.unwrap();
    let store = store.reopen().await;
    let second = store.add_audit_entry(entry(2)).await.unwrap();
    assert!(second > first);
    assert_eq!(store.audit_entries(None, 9).await.unwrap(), vec![(second, entry(2)), (first, entry(1))]);
}

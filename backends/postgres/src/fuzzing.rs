//! What fuzzers ask of this crate; part of no interface.

use crate::text::{original, stored};

/// Two texts in these bytes are stored without U+0000, sort as before and come back.
pub fn text(data: &[u8]) {
    let (a, b) = data.split_at(data.len() / 2);
    let (a, b) = (String::from_utf8_lossy(a), String::from_utf8_lossy(b));
    let (stored_a, stored_b) = (stored(&a).into_owned(), stored(&b).into_owned());
    assert!(!stored_a.contains('\0') && !stored_b.contains('\0'));
    assert_eq!(stored_a.cmp(&stored_b), a.cmp(&b));
    assert_eq!(original(stored_a), a);
    // What is in the table came from `stored`; whatever else it were, it would be read without harm.
    drop(original(b.into_owned()));
}

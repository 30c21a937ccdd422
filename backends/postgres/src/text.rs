//! Texts that clients choose, such as device ids and event types, in the form PostgreSQL can hold.
//!
//! A text column takes every character but U+0000. It and U+0001, which marks it, are written as pairs that begin with
//! U+0001. Texts sort as before, different texts stay different, and almost every text is written as it is. JSON needs
//! none of this: there, such characters are always escaped.

use std::borrow::Cow;

const MARK: char = '\u{1}';

/// A text as it is stored.
pub(crate) fn stored(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| byte <= 1) {
        return Cow::Borrowed(text);
    }
    let mut stored = String::with_capacity(text.len() + 4);
    for character in text.chars() {
        match character {
            '\0' => stored.extend([MARK, '\u{1}']),
            MARK => stored.extend([MARK, '\u{2}']),
            other => stored.push(other),
        }
    }
    Cow::Owned(stored)
}

/// Texts as they are stored, for an array.
pub(crate) fn stored_all<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Vec<String> {
    texts.into_iter().map(|text| stored(text.as_ref()).into_owned()).collect()
}

/// The text that was stored.
pub(crate) fn original(stored: String) -> String {
    if !stored.contains(MARK) {
        return stored;
    }
    let mut text = String::with_capacity(stored.len());
    let mut characters = stored.chars();
    while let Some(character) = characters.next() {
        match character {
            MARK => text.push(if characters.next() == Some('\u{1}') { '\0' } else { MARK }),
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn texts_come_back_and_keep_their_order(a in "[\\x00-\\x03ab]{0,6}|.{0,6}", b in "[\\x00-\\x03ab]{0,6}|.{0,6}") {
            let (x, y) = (stored(&a).into_owned(), stored(&b).into_owned());
            prop_assert!(!x.contains('\0'));
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            prop_assert_eq!(original(x), a);
        }
    }
}

//! Ways to spoil a request.

use olmstead_conformance::random::Random;
use serde_json::{Value, json};

/// Marks a text that stands for JSON which `Value` cannot hold.
const RAW: &str = "\u{10FFFF}raw:";

/// JSON that is legal, or nearly, and that few clients send.
const ODD_JSON: [&str; 22] = [
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    "9007199254740992",
    "-9007199254740992",
    "1e999",
    "-1e999",
    "1E400",
    "0.1",
    "-0",
    "-0.0",
    "1e2",
    "\"\\ud800\"",
    "\"\\udc00\\ud800\"",
    "\"\\u0000\"",
    "{\"a\":1,\"a\":2}",
    "{\"__proto__\":{}}",
    "[[[[[[[[[[]]]]]]]]]]",
    "NaN",
    "01",
    "'a'",
    "",
];

/// Texts that are hard on whoever believes in texts.
fn odd_text(random: &mut Random) -> String {
    match random.below(16) {
        0 => String::new(),
        1 => "\0".to_owned(),
        2 => "a\0b".to_owned(),
        3 => "\u{1}\u{2}".to_owned(),
        4 => "x".repeat(255),
        5 => "x".repeat(256),
        6 => "ä".repeat(200),
        7 => "x".repeat(70_000),
        8 => "\u{202e}\u{feff}\u{fffd}\u{10ffff}".to_owned(),
        9 => "../../../etc/passwd".to_owned(),
        10 => "'; DROP TABLE accounts; --".to_owned(),
        11 => "%00%2F%25".to_owned(),
        12 => "@:".to_owned(),
        13 => "!\u{1f600}:localhost".to_owned(),
        14 => "$".repeat(300),
        _ => "*".to_owned(),
    }
}

fn odd_value(random: &mut Random) -> Value {
    match random.below(10) {
        0 => Value::Null,
        1 => json!(random.once_in(2)),
        2 => json!(random.number()),
        3 => json!(-1),
        4 => json!([]),
        5 => json!({}),
        6 => json!(odd_text(random)),
        7 => json!(format!("{RAW}{}", nested(random))),
        8 => json!([odd_text(random), {"a": odd_text(random)}]),
        _ => json!(format!("{RAW}{}", random.pick(&ODD_JSON))),
    }
}

/// Nested about as deep as readers commonly can, and much deeper.
fn nested(random: &mut Random) -> String {
    let depth = *random.pick(&[90, 99, 100, 101, 127, 128, 129, 20_000]);
    let (open, close) = *random.pick(&[("[", "]"), ("{\"a\":", "}")]);
    format!("{}1{}", open.repeat(depth), close.repeat(depth))
}

/// Some place in a value.
fn place<'a>(value: &'a mut Value, random: &mut Random) -> &'a mut Value {
    let children = match value {
        Value::Object(members) => members.len(),
        Value::Array(items) => items.len(),
        _ => 0,
    };
    if children == 0 || random.once_in(3) {
        return value;
    }
    let at = random.below(children);
    let child = match value {
        Value::Object(members) => members.values_mut().nth(at),
        Value::Array(items) => items.get_mut(at),
        _ => None,
    };
    place(child.expect("there is such a child"), random)
}

/// A body as text, after a few changes.
pub(super) fn body(mut value: Value, random: &mut Random) -> Vec<u8> {
    for _ in 0..=random.below(2) {
        let at = place(&mut value, random);
        match at {
            Value::Object(members) if !members.is_empty() && random.once_in(2) => {
                let name = members.keys().nth(random.below(members.len())).cloned().unwrap_or_default();
                let old = members.remove(&name).unwrap_or_default();
                match random.below(3) {
                    0 => {}
                    1 => {
                        members.insert(odd_text(random), old);
                    }
                    _ => {
                        members.insert(name, odd_value(random));
                    }
                }
            }
            Value::Array(items) if !items.is_empty() && random.once_in(3) => {
                let item = items[0].clone();
                // Of a long text few: under a client that sends far too much the connection is closed.
                let most = 4_000_000 / item.to_string().len().max(1);
                let copies = most.min(*random.pick(&[2, 50, 2_000]));
                items.extend(std::iter::repeat_n(item, copies));
            }
            other => *other = odd_value(random),
        }
    }
    let mut bytes = unmark(&value.to_string()).into_bytes();
    if random.once_in(12) {
        let length = bytes.len();
        match random.below(5) {
            0 => bytes.truncate(random.below(length + 1)),
            1 if length > 0 => bytes[random.below(length)] ^= 1 << random.below(8),
            2 => bytes.insert(random.below(length + 1), 0xff),
            3 => bytes.extend_from_slice(b"{}"),
            // A member twice: the second of a first-level member wins or is refused, but never both.
            _ => {
                let copy = bytes.clone();
                if bytes.len() > 2 && bytes[0] == b'{' {
                    bytes.truncate(length - 1);
                    bytes.push(b',');
                    bytes.extend_from_slice(&copy[1..]);
                }
            }
        }
    }
    bytes
}

/// Puts what [`RAW`] marks in place of the texts that say so.
fn unmark(text: &str) -> String {
    let mark = format!("\"{RAW}");
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(&mark) {
        out.push_str(before);
        // The end of the text is the first quote that is not escaped.
        let bytes = after.as_bytes();
        let mut end = 0;
        while end < bytes.len() && bytes[end] != b'"' {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        let raw: String = serde_json::from_str(&format!("\"{}\"", &after[..end])).unwrap_or_default();
        out.push_str(&raw);
        rest = after.get(end + 1..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// A part of a path, percent-encoded or wrongly so.
pub(super) fn segment(random: &mut Random) -> String {
    match random.below(14) {
        0 => "%00".to_owned(),
        1 => "%ff%fe".to_owned(),
        2 => "%".to_owned(),
        3 => "%2".to_owned(),
        4 => "%2e%2e%2f%2e%2e".to_owned(),
        5 => "%2F".to_owned(),
        6 => "a".repeat(3_000),
        7 => "%F0%9F%98%80".repeat(100),
        8 => "%40:".to_owned(),
        9 => "!".to_owned(),
        10 => "-1".to_owned(),
        11 => "99999999999999999999999".to_owned(),
        12 => "%01%02".to_owned(),
        _ => crate::harness::segment(&odd_text(random).chars().take(300).collect::<String>()),
    }
}

/// A value of a parameter of a query.
pub(super) fn parameter(random: &mut Random) -> String {
    match random.below(9) {
        0 => "-1".to_owned(),
        1 => "18446744073709551616".to_owned(),
        2 => "0".to_owned(),
        3 => "true".to_owned(),
        4 => "1e3".to_owned(),
        5 => "{\"limit\":-1,\"types\":[0]}".to_owned(),
        6 => "{\"room\":{\"timeline\":{\"limit\":1e99}}}".to_owned(),
        7 => "s0_0_0".to_owned(),
        _ => odd_text(random).chars().take(500).collect(),
    }
}

/// A header, with its name.
pub(super) fn header(random: &mut Random) -> (&'static str, String) {
    let (name, value) = *random.pick(&[
        ("content-type", "text/plain"),
        ("content-type", "application/json; charset=utf-16"),
        ("content-type", "multipart/form-data; boundary=x"),
        ("content-type", ""),
        ("content-encoding", "gzip"),
        ("accept", "text/html"),
        ("accept-encoding", "nonsense"),
        ("x-forwarded-for", "1.2.3.4, nonsense"),
        ("x-http-method-override", "DELETE"),
        ("if-none-match", "*"),
        ("range", "bytes=0-18446744073709551615"),
        ("origin", "null"),
        ("upgrade", "websocket"),
        ("cookie", "access_token=x"),
    ]);
    (name, value.to_owned())
}

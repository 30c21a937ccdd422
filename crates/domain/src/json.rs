//! JSON that must survive unchanged, and its canonical form (appendices, Canonical JSON).
//!
//! Signatures made by clients cover the values of an object, so what they upload is kept as text. Two views serve the
//! rules: [`Fields`] is shallow and keeps the text of every member, [`object`] is deep and is what is compared, signed
//! and verified.

use std::{borrow::Cow, cmp::Ordering, collections::BTreeMap, fmt, sync::Arc};

use ruma::{
    Int,
    canonical_json::{CanonicalJsonObject, CanonicalJsonValue},
};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::error::ErrorKind;

/// The deepest nesting of objects and arrays accepted in JSON that is passed on unread. JSON libraries commonly stop
/// at 128 levels, and an answer adds some of its own: one message must not make a whole answer unreadable.
pub const MAX_DEPTH: usize = 100;

/// The largest magnitude of an integer in canonical JSON: 2^53 - 1 (GEN-11).
const MAX_INTEGER: f64 = 9_007_199_254_740_991.0;

/// JSON that is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum JsonError {
    /// Not JSON, or nested too deeply.
    #[error("not valid JSON: {0}")]
    Syntax(String),
    /// Valid JSON that has no canonical form: a fraction, an integer out of range, or a repeated member (GEN-11).
    #[error("not canonical JSON: {0}")]
    NotCanonical(String),
    /// Another type where an object is needed.
    #[error("expected a JSON object")]
    NotObject,
}

impl JsonError {
    /// The kind of refusal: always JSON of the wrong shape.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::BadJson
    }
}

impl From<serde_json::Error> for JsonError {
    fn from(error: serde_json::Error) -> Self {
        match error.classify() {
            serde_json::error::Category::Data => Self::NotCanonical(error.to_string()),
            _ => Self::Syntax(error.to_string()),
        }
    }
}

/// A JSON value kept as the text that was received. Cloning is cheap; two are equal if their texts are.
///
/// It (de)serializes as the value itself with `serde_json`, but not inside flattened or untagged types.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RawJson(Arc<RawValue>);

impl RawJson {
    /// Takes a JSON text.
    ///
    /// # Errors
    /// [`JsonError::Syntax`] if it is not JSON.
    pub fn from_text(text: String) -> Result<Self, JsonError> {
        Ok(Self(RawValue::from_string(text)?.into()))
    }

    /// Writes any value as JSON.
    ///
    /// # Errors
    /// [`JsonError`] if the value cannot be written, such as a map whose keys are not strings.
    pub fn from_value<T: Serialize + ?Sized>(value: &T) -> Result<Self, JsonError> {
        Ok(Self(serde_json::value::to_raw_value(value)?.into()))
    }

    /// The JSON text.
    #[must_use]
    pub fn get(&self) -> &str {
        self.0.get()
    }

    /// The value as serde_json's raw value.
    #[must_use]
    pub fn as_raw(&self) -> &RawValue {
        &self.0
    }

    /// Reads the value as a type.
    ///
    /// # Errors
    /// [`JsonError`] if it has another shape.
    pub fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, JsonError> {
        Ok(serde_json::from_str(self.get())?)
    }

    /// Whether the value is an object, by its first character.
    #[must_use]
    pub fn is_object(&self) -> bool {
        self.get().trim_start().starts_with('{')
    }
}

impl From<Box<RawValue>> for RawJson {
    fn from(raw: Box<RawValue>) -> Self {
        Self(raw.into())
    }
}

impl From<&RawValue> for RawJson {
    fn from(raw: &RawValue) -> Self {
        Self(raw.to_owned().into())
    }
}

impl PartialEq for RawJson {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl Eq for RawJson {}

impl fmt::Debug for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.get())
    }
}

impl fmt::Display for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.get())
    }
}

/// The canonical text of a JSON value. Numbers are taken by value, so `-0` is `0` and `1e3` is `1000`; a fraction, an
/// integer beyond 2^53 - 1 or a repeated member is refused (GEN-11).
///
/// # Errors
/// [`JsonError`] if the value has no canonical form.
pub fn canonical(raw: &RawValue) -> Result<String, JsonError> {
    Ok(serde_json::to_string(&value(raw)?)?)
}

/// A JSON value, read under the rules of [`canonical`].
///
/// # Errors
/// [`JsonError`] if the value has no canonical form.
pub fn value(raw: &RawValue) -> Result<CanonicalJsonValue, JsonError> {
    check_readable(raw)?;
    let Strict(value) = serde_json::from_str(raw.get())?;
    Ok(value)
}

/// A JSON object, read under the rules of [`canonical`].
///
/// # Errors
/// [`JsonError`] if the value has no canonical form or is not an object.
pub fn object(raw: &RawValue) -> Result<CanonicalJsonObject, JsonError> {
    match value(raw)? {
        CanonicalJsonValue::Object(object) => Ok(object),
        _ => Err(JsonError::NotObject),
    }
}

/// A copy of the object without some of its members.
#[must_use]
pub fn without(object: &CanonicalJsonObject, members: &[&str]) -> CanonicalJsonObject {
    object.iter().filter(|(name, _)| !members.contains(&name.as_str())).map(|(n, v)| (n.clone(), v.clone())).collect()
}

/// Whether two objects are equal when some members are left out of both.
#[must_use]
pub fn equal_without(a: &CanonicalJsonObject, b: &CanonicalJsonObject, members: &[&str]) -> bool {
    let kept = |(name, _): &(&String, &CanonicalJsonValue)| !members.contains(&name.as_str());
    a.iter().filter(kept).eq(b.iter().filter(kept))
}

/// Refuses what common JSON libraries cannot read (see [`canonical_len`]). Asked of all that is kept unread: one part of an
/// answer must not make the whole unreadable.
///
/// # Errors
/// [`JsonError::Syntax`].
pub fn check_readable(raw: &RawValue) -> Result<(), JsonError> {
    canonical_len(raw).map(drop)
}

/// The length in bytes of the canonical form of a JSON value, without building it. Numbers count as written.
///
/// This is also the check for content that is passed on unread: it refuses what common JSON libraries cannot read,
/// namely nesting beyond [`MAX_DEPTH`], half of a surrogate pair, and numbers beyond those of double precision.
///
/// # Errors
/// [`JsonError::Syntax`] for the three cases above.
pub fn canonical_len(raw: &RawValue) -> Result<usize, JsonError> {
    let bytes = raw.get().as_bytes();
    let (mut at, mut length, mut depth) = (0, 0, 0_usize);
    let mut in_string = false;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        if in_string {
            match byte {
                b'\\' => {
                    let (read, written) = escape(bytes.get(at..).unwrap_or_default())?;
                    at += read;
                    length += written;
                    continue;
                }
                b'"' => in_string = false,
                _ => {}
            }
        } else {
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' => continue,
                b'"' => in_string = true,
                b'{' | b'[' => {
                    depth += 1;
                    if depth > MAX_DEPTH {
                        return Err(JsonError::Syntax("nested too deeply".to_owned()));
                    }
                }
                b'}' | b']' => depth = depth.saturating_sub(1),
                b'-' | b'0'..=b'9' => {
                    let more = number(bytes.get(at - 1..).unwrap_or_default())? - 1;
                    at += more;
                    length += more;
                }
                _ => {}
            }
        }
        length += 1;
    }
    Ok(length)
}

/// The length of the number these bytes begin with, one of what JSON libraries can hold: a finite one.
fn number(bytes: &[u8]) -> Result<usize, JsonError> {
    let ends = |byte: &u8| !matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    let length = bytes.iter().position(ends).unwrap_or(bytes.len());
    let digits = bytes.get(..length).unwrap_or_default();
    // Without an exponent it takes more than 300 digits.
    let may_be_large = length > 300 || digits.iter().any(|byte| matches!(byte, b'e' | b'E'));
    let is_finite = || std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).is_some_and(f64::is_finite);
    if may_be_large && !is_finite() {
        return Err(JsonError::Syntax("a number is out of range".to_owned()));
    }
    Ok(length.max(1))
}

/// Reads what follows a backslash: the bytes it takes, and the bytes the canonical form has for the whole escape.
fn escape(rest: &[u8]) -> Result<(usize, usize), JsonError> {
    let unit = |at: usize| {
        let digits = rest.get(at..at + 4).and_then(|digits| std::str::from_utf8(digits).ok());
        digits.and_then(|digits| u32::from_str_radix(digits, 16).ok())
    };
    let lone = || JsonError::Syntax("half of a surrogate pair".to_owned());
    Ok(match rest.first() {
        Some(b'/') => (1, 1),
        Some(b'u') => match unit(1).ok_or_else(lone)? {
            0x08 | 0x09 | 0x0a | 0x0c | 0x0d | 0x22 | 0x5c => (5, 2),
            0x00..=0x1f => (5, 6),
            0x20..=0x7f => (5, 1),
            0x80..=0x7ff => (5, 2),
            0xd800..=0xdbff => match (rest.get(5..7), unit(7)) {
                (Some(b"\\u"), Some(0xdc00..=0xdfff)) => (11, 4),
                _ => return Err(lone()),
            },
            0xdc00..=0xdfff => return Err(lone()),
            _ => (5, 3),
        },
        _ => (1, 2),
    })
}

/// The members of a JSON object in their order, each value as its text. Reading it copies nothing; writing it changes
/// only the members that were set or removed.
#[derive(Debug, Clone)]
pub struct Fields<'a>(Vec<(Cow<'a, str>, Cow<'a, RawValue>)>);

impl<'a> Fields<'a> {
    /// Reads an object.
    ///
    /// # Errors
    /// [`JsonError`] if the value is not an object or repeats a member: readers differ in which of the two they take.
    pub fn parse(raw: &'a RawValue) -> Result<Self, JsonError> {
        if !raw.get().trim_start().starts_with('{') {
            return Err(JsonError::NotObject);
        }
        let fields: Self = serde_json::from_str(raw.get())?;
        match fields.repeated() {
            Some(name) => Err(repeated(&name)),
            None => Ok(fields),
        }
    }

    fn repeated(&self) -> Option<String> {
        let mut names: Vec<&str> = self.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.windows(2).find(|pair| pair.first() == pair.last()).and_then(|pair| pair.first().map(|n| (*n).to_owned()))
    }

    /// The members in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// The number of members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One member.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&RawValue> {
        self.iter().find(|(other, _)| *other == name).map(|(_, value)| value)
    }

    /// Takes a member out; whether it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|(other, _)| other != name);
        self.0.len() != before
    }

    /// Sets a member, in its place if it is there, else at the end.
    ///
    /// # Errors
    /// [`JsonError`] if the value cannot be written as JSON.
    pub fn set<T: Serialize + ?Sized>(&mut self, name: &'a str, value: &T) -> Result<(), JsonError> {
        let value = Cow::Owned(serde_json::value::to_raw_value(value)?);
        match self.0.iter_mut().find(|(other, _)| other == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((Cow::Borrowed(name), value)),
        }
        Ok(())
    }

    /// Writes the object.
    ///
    /// # Errors
    /// [`JsonError`]; it does not happen for fields that were parsed and set.
    pub fn to_raw(&self) -> Result<RawJson, JsonError> {
        let mut text = String::with_capacity(2 + self.iter().map(|(n, v)| n.len() + v.get().len() + 4).sum::<usize>());
        text.push('{');
        for (index, (name, value)) in self.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            text.push_str(&serde_json::to_string(name)?);
            text.push(':');
            text.push_str(value.get());
        }
        text.push('}');
        RawJson::from_text(text)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;
        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::with_capacity(8);
                while let Some(Text(name)) = map.next_key()? {
                    fields.push((name, Cow::Borrowed(map.next_value::<&'de RawValue>()?)));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(FieldsVisitor)
    }
}

/// A JSON string, borrowed from its text unless it holds escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl Ord for Text<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for Text<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Serialize for Text<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

fn repeated(name: &str) -> JsonError {
    JsonError::NotCanonical(format!("the member {name:?} is repeated"))
}

/// A value read under the rules of [`canonical`].
struct Strict(CanonicalJsonValue);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl StrictVisitor {
    fn integer<E: de::Error>(integer: Option<Int>) -> Result<CanonicalJsonValue, E> {
        integer.map(CanonicalJsonValue::Integer).ok_or_else(|| E::custom("an integer is out of range"))
    }
}

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = CanonicalJsonValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(CanonicalJsonValue::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(CanonicalJsonValue::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
        Self::integer(Int::new(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
        Self::integer(i64::try_from(value).ok().and_then(Int::new))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Self::Value, E> {
        if value.fract() != 0.0 {
            return Err(E::custom("a number has a fraction"));
        }
        if value.abs() > MAX_INTEGER {
            return Err(E::custom("an integer is out of range"));
        }
        // Exact: a whole number within 2^53.
        #[allow(clippy::cast_possible_truncation)]
        Self::integer(Int::new(value as i64))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Self::Value, E> {
        Ok(CanonicalJsonValue::String(value.to_owned()))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Self::Value, E> {
        Ok(CanonicalJsonValue::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Strict(value)) = seq.next_element()? {
            values.push(value);
        }
        Ok(CanonicalJsonValue::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            let Strict(value) = map.next_value()?;
            if values.contains_key(&name) {
                return Err(de::Error::custom(repeated(&name)));
            }
            values.insert(name, value);
        }
        Ok(CanonicalJsonValue::Object(values))
    }
}

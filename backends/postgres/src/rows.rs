//! Reading columns and writing parameters.

use olmstead_domain::{
    json::RawJson,
    position::{Cursor, Position},
};
use olmstead_storage::StorageError;
use sqlx::{Row as _, postgres::PgRow};

use crate::{
    error::{Done, Failure},
    text::original,
};

/// A number as a parameter. None that is stored is above; one that a client made up finds nothing.
pub(crate) fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A position as a parameter.
pub(crate) fn place(position: Position) -> i64 {
    number(position.0)
}

/// An ordinal as a parameter.
pub(crate) fn ordinal(cursor: Cursor) -> i32 {
    i32::try_from(cursor.ordinal).unwrap_or(i32::MAX)
}

/// How many rows at most, as a parameter.
pub(crate) fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// A row that does not read back.
pub(crate) fn damaged(column: &str) -> Failure {
    StorageError::damaged(format!("the column {column} of a row cannot be read")).into()
}

/// The place in a list of what a row is of: the first column, which counts from 1.
pub(crate) fn numbered(row: &PgRow) -> Done<usize> {
    let number: i64 = row.try_get(0)?;
    usize::try_from(number).ok().and_then(|number| number.checked_sub(1)).ok_or_else(|| damaged("number"))
}

/// Columns by name, as what they mean.
pub(crate) trait Columns {
    /// A truth.
    fn flag(&self, column: &str) -> Done<bool>;
    /// A number that is never negative.
    fn count(&self, column: &str) -> Done<u64>;
    /// One that may be absent.
    fn maybe_count(&self, column: &str) -> Done<Option<u64>>;
    /// A small number.
    fn small(&self, column: &str) -> Done<i16>;
    /// One that may be absent.
    fn maybe_small(&self, column: &str) -> Done<Option<i16>>;
    /// A position.
    fn place(&self, column: &str) -> Done<Position>;
    /// The columns `position` and `ordinal`.
    fn cursor(&self) -> Done<Cursor>;
    /// A text.
    fn text(&self, column: &str) -> Done<String>;
    /// One that may be absent.
    fn maybe_text(&self, column: &str) -> Done<Option<String>>;
    /// A text of a type that is checked, such as a user id.
    fn id<T: TryFrom<String>>(&self, column: &str) -> Done<T>;
    /// One that may be absent.
    fn maybe_id<T: TryFrom<String>>(&self, column: &str) -> Done<Option<T>>;
    /// JSON as it was stored.
    fn json(&self, column: &str) -> Done<RawJson>;
    /// One that may be absent.
    fn maybe_json(&self, column: &str) -> Done<Option<RawJson>>;
    /// Bytes.
    fn bytes(&self, column: &str) -> Done<Vec<u8>>;
}

impl Columns for PgRow {
    fn flag(&self, column: &str) -> Done<bool> {
        Ok(self.try_get(column)?)
    }

    fn count(&self, column: &str) -> Done<u64> {
        u64::try_from(self.try_get::<i64, _>(column)?).map_err(|_| damaged(column))
    }

    fn maybe_count(&self, column: &str) -> Done<Option<u64>> {
        let value: Option<i64> = self.try_get(column)?;
        value.map(|value| u64::try_from(value).map_err(|_| damaged(column))).transpose()
    }

    fn small(&self, column: &str) -> Done<i16> {
        Ok(self.try_get(column)?)
    }

    fn maybe_small(&self, column: &str) -> Done<Option<i16>> {
        Ok(self.try_get(column)?)
    }

    fn place(&self, column: &str) -> Done<Position> {
        self.count(column).map(Position)
    }

    fn cursor(&self) -> Done<Cursor> {
        let ordinal = u32::try_from(self.try_get::<i32, _>("ordinal")?).map_err(|_| damaged("ordinal"))?;
        Ok(Cursor::new(self.place("position")?, ordinal))
    }

    fn text(&self, column: &str) -> Done<String> {
        Ok(original(self.try_get(column)?))
    }

    fn maybe_text(&self, column: &str) -> Done<Option<String>> {
        Ok(self.try_get::<Option<String>, _>(column)?.map(original))
    }

    fn id<T: TryFrom<String>>(&self, column: &str) -> Done<T> {
        T::try_from(self.text(column)?).map_err(|_| damaged(column))
    }

    fn maybe_id<T: TryFrom<String>>(&self, column: &str) -> Done<Option<T>> {
        self.maybe_text(column)?.map(|text| T::try_from(text).map_err(|_| damaged(column))).transpose()
    }

    fn json(&self, column: &str) -> Done<RawJson> {
        RawJson::from_text(self.try_get(column)?).map_err(|_| damaged(column))
    }

    fn maybe_json(&self, column: &str) -> Done<Option<RawJson>> {
        let text: Option<String> = self.try_get(column)?;
        text.map(|text| RawJson::from_text(text).map_err(|_| damaged(column))).transpose()
    }

    fn bytes(&self, column: &str) -> Done<Vec<u8>> {
        Ok(self.try_get(column)?)
    }
}

/// Columns by place, for rows that are read often.
pub(crate) trait At {
    /// A number that is never negative.
    fn count_at(&self, column: usize) -> Done<u64>;
    /// One that may be absent.
    fn maybe_count_at(&self, column: usize) -> Done<Option<u64>>;
    /// A position.
    fn place_at(&self, column: usize) -> Done<Position>;
    /// An ordinal.
    fn ordinal_at(&self, column: usize) -> Done<u32>;
    /// A text.
    fn text_at(&self, column: usize) -> Done<String>;
    /// One that may be absent.
    fn maybe_text_at(&self, column: usize) -> Done<Option<String>>;
    /// A text of a type that is checked, such as a user id.
    fn id_at<T: TryFrom<String>>(&self, column: usize) -> Done<T>;
    /// JSON as it was stored.
    fn json_at(&self, column: usize) -> Done<RawJson>;
}

fn damaged_at(column: usize) -> Failure {
    damaged(&column.to_string())
}

impl At for PgRow {
    fn count_at(&self, column: usize) -> Done<u64> {
        u64::try_from(self.try_get::<i64, _>(column)?).map_err(|_| damaged_at(column))
    }

    fn maybe_count_at(&self, column: usize) -> Done<Option<u64>> {
        let value: Option<i64> = self.try_get(column)?;
        value.map(|value| u64::try_from(value).map_err(|_| damaged_at(column))).transpose()
    }

    fn place_at(&self, column: usize) -> Done<Position> {
        self.count_at(column).map(Position)
    }

    fn ordinal_at(&self, column: usize) -> Done<u32> {
        u32::try_from(self.try_get::<i32, _>(column)?).map_err(|_| damaged_at(column))
    }

    fn text_at(&self, column: usize) -> Done<String> {
        Ok(original(self.try_get(column)?))
    }

    fn maybe_text_at(&self, column: usize) -> Done<Option<String>> {
        Ok(self.try_get::<Option<String>, _>(column)?.map(original))
    }

    fn id_at<T: TryFrom<String>>(&self, column: usize) -> Done<T> {
        T::try_from(self.text_at(column)?).map_err(|_| damaged_at(column))
    }

    fn json_at(&self, column: usize) -> Done<RawJson> {
        RawJson::from_text(self.try_get(column)?).map_err(|_| damaged_at(column))
    }
}

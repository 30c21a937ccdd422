//! Tables for people.

use std::fmt::Write as _;

use time::OffsetDateTime;

/// The widest a column gets; what is longer is cut in its middle.
const WIDEST: usize = 64;

/// A table as text: a line of names, a line for each row, columns as wide as what is in them.
pub(crate) fn table(names: &[&str], rows: &[Vec<String>]) -> String {
    let cells = |row: &[String]| row.iter().map(|cell| cut(cell)).collect::<Vec<_>>();
    let head: Vec<String> = names.iter().map(|name| name.to_uppercase()).collect();
    let lines: Vec<Vec<String>> = std::iter::once(head).chain(rows.iter().map(|row| cells(row))).collect();
    let width =
        |column| lines.iter().filter_map(|line| line.get(column)).map(|cell: &String| cell.chars().count()).max();
    let widths: Vec<usize> = (0..names.len()).filter_map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let mut shown = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            // Writing to a text cannot fail.
            let _ = write!(shown, "{cell:width$}  ");
        }
        text.push_str(shown.trim_end());
        text.push('\n');
    }
    text
}

fn cut(cell: &str) -> String {
    let cell: String = cell.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let count = cell.chars().count();
    if count <= WIDEST {
        return cell;
    }
    let half = (WIDEST - 1) / 2;
    let (begin, end) = (cell.chars().take(half), cell.chars().skip(count - half));
    begin.chain(std::iter::once('…')).chain(end).collect()
}

/// A time in milliseconds since the epoch as a date and time of day in UTC.
pub(crate) fn time(at: u64) -> String {
    let seconds = i64::try_from(at / 1_000).unwrap_or(i64::MAX);
    let Ok(at) = OffsetDateTime::from_unix_timestamp(seconds) else { return "never".to_owned() };
    let (date, hour, minute, second) = (at.date(), at.hour(), at.minute(), at.second());
    format!("{date} {hour:02}:{minute:02}:{second:02}")
}

/// A length of time in few words.
pub(crate) fn span(milliseconds: u64) -> String {
    let seconds = milliseconds / 1_000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A time that may not have come.
pub(crate) fn maybe_time(at: Option<u64>) -> String {
    at.map_or_else(|| "never".to_owned(), time)
}

/// Facts, one a line, each after its name; those without a value are left out.
pub(crate) fn facts(lines: &[(&str, String)]) -> String {
    let known = || lines.iter().filter(|(_, value)| !value.is_empty());
    let width = known().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    known().fold(String::new(), |mut text, (name, value)| {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{name:width$}  {}", cut(value));
        text
    })
}

/// A length of time in milliseconds, from a number and its unit.
pub(crate) fn duration(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text} is not a number and one of s, m, h, d");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    let number: u64 = text.strip_suffix(unit).and_then(|number| number.parse().ok()).ok_or_else(wrong)?;
    number.checked_mul(seconds * 1_000).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_need() {
        let rows = [vec!["a".to_owned(), "long enough".to_owned()], vec!["bcd".to_owned(), "x\ny".to_owned()]];
        assert_eq!(table(&["id", "what"], &rows), "ID   WHAT\na    long enough\nbcd  x y\n");
        let long = "x".repeat(100);
        assert_eq!(cut(&long).chars().count(), 63);
    }

    #[test]
    fn times_are_dates() {
        assert_eq!(time(0), "1970-01-01 00:00:00");
        assert_eq!(time(951_782_399_999), "2000-02-28 23:59:59");
        assert_eq!(time(951_782_400_000), "2000-02-29 00:00:00");
        assert_eq!(time(1_764_338_400_000), "2025-11-28 14:00:00");
        assert_eq!(time(u64::MAX), "never");
    }

    #[test]
    fn facts_stand_in_a_column() {
        assert_eq!(
            facts(&[("a", "1".to_owned()), ("none", String::new()), ("abc", "x".to_owned())]),
            "a    1\nabc  x\n"
        );
    }

    #[test]
    fn a_length_of_time_has_a_unit() {
        assert_eq!(duration("90s"), Ok(90_000));
        assert_eq!(duration("30d"), Ok(2_592_000_000));
        for wrong in ["", "d", "30", "3x", "-1d", "1.5h", "99999999999999999999d", "999999999999999999d", "1é"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}

//! The rows of the acceptance matrix.

use std::collections::BTreeMap;

use crate::Failure;

/// The id of a row, such as `OTK-1`. Ordered by area, then by number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id {
    pub(super) area: String,
    pub(super) number: u32,
}

impl Id {
    /// Reads an id; nothing else may stand beside it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (area, number) = text.split_once('-')?;
        let letters = (2..=4).contains(&area.len()) && area.bytes().all(|byte| byte.is_ascii_uppercase());
        let digits = !number.starts_with('0') && number.bytes().all(|byte| byte.is_ascii_digit());
        if !(letters && digits) {
            return None;
        }
        Some(Self { area: area.to_owned(), number: number.parse().ok()? })
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.area, self.number)
    }
}

/// How binding a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Must,
    Should,
    Choice,
    Derived,
    Practice,
    Unstable,
}

impl Level {
    pub(super) fn letter(self) -> char {
        match self {
            Self::Must => 'M',
            Self::Should => 'S',
            Self::Choice => 'O',
            Self::Derived => 'D',
            Self::Practice => 'F',
            Self::Unstable => 'U',
        }
    }

    fn parse(letter: &str) -> Option<Self> {
        [Self::Must, Self::Should, Self::Choice, Self::Derived, Self::Practice, Self::Unstable]
            .into_iter()
            .find(|level| level.letter().to_string() == letter)
    }
}

/// An area of the matrix, in its order, and whether its rows must be shown by now.
pub(super) struct Area {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) is_due: bool,
}

const fn due(name: &'static str, title: &'static str) -> Area {
    Area { name, title, is_due: true }
}

const fn later(name: &'static str, title: &'static str) -> Area {
    Area { name, title, is_due: false }
}

/// All areas.
pub(super) const AREAS: [Area; 25] = [
    due("GEN", "General rules of the API"),
    due("DK", "Device keys"),
    due("KQ", "Queries for keys"),
    due("OTK", "One-time keys"),
    due("FBK", "Fallback keys"),
    due("DL", "Device lists"),
    due("XS", "Cross-signing keys"),
    due("SIG", "Signatures"),
    due("BKP", "Key backup"),
    due("TD", "To-device messages"),
    due("SYNC", "Sync"),
    due("DEV", "Devices"),
    due("AUTH", "Tokens and sessions"),
    due("UIA", "User-interactive authentication"),
    due("AD", "Account data and secret storage"),
    due("ENC", "Encrypted rooms"),
    due("MED", "Encrypted attachments"),
    due("HKS", "Sharing history"),
    due("SSS", "Simplified sliding sync"),
    later("UNS", "Other unstable features"),
    later("FED", "Federation: transport"),
    later("FK", "Federation: keys"),
    later("FDL", "Federation: device lists"),
    later("FTD", "Federation: to-device messages"),
    later("AS", "Application services"),
];

/// The rows and their levels: lines of an id and a letter.
///
/// # Errors
/// If a line is something else, names an unknown area, or repeats an id.
pub(super) fn parse(text: &str) -> Result<BTreeMap<Id, Level>, Failure> {
    let mut rows = BTreeMap::new();
    for line in lines(text) {
        let row = line.split_once(' ').and_then(|(id, level)| Some((Id::parse(id)?, Level::parse(level)?)));
        let (id, level) = row.ok_or_else(|| format!("not a row: {line}"))?;
        if !AREAS.iter().any(|area| area.name == id.area) {
            return Err(format!("{id} is of an area that has no name"));
        }
        if rows.insert(id.clone(), level).is_some() {
            return Err(format!("{id} is listed twice"));
        }
    }
    Ok(rows)
}

/// Why rows are left out: lines of ids separated by commas, a colon and the reason.
///
/// # Errors
/// If a line is something else or repeats an id.
pub(super) fn reasons(text: &str) -> Result<BTreeMap<Id, String>, Failure> {
    let mut reasons = BTreeMap::new();
    for line in lines(text) {
        let (ids, reason) = line.split_once(": ").ok_or_else(|| format!("not a reason: {line}"))?;
        for id in ids.split(", ") {
            let id = Id::parse(id).ok_or_else(|| format!("`{id}` is no id: {line}"))?;
            if reasons.insert(id.clone(), reason.trim().to_owned()).is_some() {
                return Err(format!("{id} has two reasons"));
            }
        }
    }
    Ok(reasons)
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_told_from_other_words() {
        assert_eq!(Id::parse("SYNC-18").map(|id| id.to_string()).as_deref(), Some("SYNC-18"));
        for other in ["SYNC", "SYNC-", "SYNC-01", "sync-1", "X-1", "MSC-1x", "UTF-", "TOOLONG-1"] {
            assert_eq!(Id::parse(other), None, "{other}");
        }
    }

    #[test]
    fn rows_are_read() -> Result<(), Failure> {
        let rows = parse("# said\nDK-1 M\nDK-2 O\n")?;
        assert_eq!(rows.len(), 2);
        assert!(parse("DK-1 M\nDK-1 M").is_err());
        assert!(parse("DK-1 X").is_err());
        assert!(parse("ZZ-1 M").is_err());
        Ok(())
    }

    #[test]
    fn reasons_are_read() -> Result<(), Failure> {
        let found = reasons("DEV-4, XS-9: needs application services\n")?;
        assert_eq!(found.len(), 2);
        assert!(found.values().all(|reason| reason == "needs application services"));
        assert!(reasons("DEV-4 needs").is_err());
        assert!(reasons("DEV-4: a\nDEV-4: b").is_err());
        Ok(())
    }
}

//! The page that users read.

use super::coverage::{Coverage, State};
use super::rows::{AREAS, Area};

const INTRODUCTION: &str = "\
# What encryption asks of a homeserver, and the tests that show it

This page is written by `cargo xtask requirements` from the tests themselves. Each row is one requirement of the
project's acceptance matrix for end-to-end encryption; beside it stands what its test says in the project's own words,
and a link to it. All these tests speak HTTP to a whole server, and run on every storage engine.

The letter says where a row comes from: M, the specification demands it; S, it recommends it; O, it leaves a choice, and
the test shows ours; D, it follows from another rule or from safety; F, other servers do it and clients rely on it;
U, it belongs to a feature that no release of the specification has.
";

/// The page for what is known.
pub(super) fn write(coverage: &Coverage) -> String {
    let mut page = INTRODUCTION.to_owned();
    page.push_str("\n| Area | Rows | Shown | Left out |\n|---|---|---|---|\n");
    for area in AREAS.iter().filter(|area| shows(coverage, area)) {
        let [rows, shown, left_out, missing] = coverage.counts(area);
        let anchor = format!("#{}", anchor(area));
        page.push_str(&format!("| [{}]({anchor}) | {rows} | {shown} | {} |\n", area.title, left_out + missing));
    }
    for area in AREAS.iter().filter(|area| shows(coverage, area)) {
        page.push_str(&format!(
            "\n## {} ({})\n\n| Row | | What holds | Shown by |\n|---|---|---|---|\n",
            area.title, area.name
        ));
        for (id, level, state) in coverage.area(area) {
            let (says, tests) = match state {
                State::Shown(tests) => {
                    let says: Vec<String> = tests.iter().take(2).map(|test| sentence(&test.says)).collect();
                    let links: Vec<String> =
                        tests.iter().map(|test| format!("[{}](../{})", test.name, test.file)).collect();
                    (says.join(" "), links.join(", "))
                }
                State::LeftOut(reason) => (format!("Left out: {reason}"), String::new()),
                State::Missing => ("Not offered yet.".to_owned(), String::new()),
            };
            page.push_str(&format!("| {id} | {} | {says} | {tests} |\n", level.letter()));
        }
    }
    let rest: Vec<&str> = AREAS.iter().filter(|area| !shows(coverage, area)).map(|area| area.title).collect();
    if !rest.is_empty() {
        page.push_str(&format!("\nNot there yet: {}.\n", rest.join("; ")));
    }
    page
}

/// Whether an area is on the page: it is due, or some of it is shown before that.
fn shows(coverage: &Coverage, area: &Area) -> bool {
    area.is_due || coverage.counts(area)[1] > 0
}

/// What a heading is linked by, as Markdown renderers make it.
fn anchor(area: &Area) -> String {
    let heading = format!("{} ({})", area.title, area.name).to_lowercase();
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || [' ', '-'].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// With a capital letter, and nothing that ends a cell of a table.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let mut sentence = format!("{first}{}", letters.as_str()).replace('|', "\\|");
    if !sentence.ends_with(['.', '!', '?']) {
        sentence.push('.');
    }
    sentence
}

#[cfg(test)]
mod tests {
    use super::super::{rows, tags};
    use super::*;
    use crate::Failure;

    #[test]
    fn rows_are_told_with_their_tests() -> Result<(), Failure> {
        let rows = rows::parse("DK-1 M\nDK-2 S\nUNS-1 U\nUNS-2 U\nFED-1 M")?;
        let source = "/// DK-1, UNS-1: a | b\n#[test]\nfn first() {\n";
        let page = write(&Coverage::new(rows, rows::reasons("DK-2: x")?, tags::tests("t/a.rs", source)));
        assert!(page.contains("| [Device keys](#device-keys-dk) | 2 | 1 | 1 |\n"), "{page}");
        assert!(page.contains("| DK-1 | M | A \\| b. | [first](../t/a.rs) |\n"), "{page}");
        assert!(page.contains("| DK-2 | S | Left out: x |  |\n"), "{page}");
        assert!(page.contains("| UNS-2 | U | Not offered yet. |  |\n"), "{page}");
        assert!(!page.contains("FED-1"), "{page}");
        assert!(page.contains("Not there yet: Federation: transport;"), "{page}");
        Ok(())
    }
}

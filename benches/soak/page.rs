//! The page for the browser, one file, and the table for the terminal.

use olmstead_benches::chart::{self, COLOURS, Line};

use crate::{
    census::Census,
    samples::Sample,
    verdict::{Judged, kept, rows},
};

/// A plot: its title, its unit, and the names and values of its lines.
type Plot = (&'static str, &'static str, &'static [(&'static str, fn(&Sample) -> f64)]);

const PLOTS: [Plot; 6] = [
    ("Memory of the server", "MiB", &[("memory", |sample| sample.memory_mib)]),
    ("Store on disk", "MiB", &[("tables", |sample| sample.tables_mib), ("logs", |sample| sample.logs_mib)]),
    (
        "CPU time, of one processor",
        "%",
        &[("server", |sample| sample.cpu_percent), ("database", |sample| sample.database_cpu_percent)],
    ),
    ("Open files", "", &[("files", |sample| sample.open_files)]),
    ("Requests that do not wait", "ms", &[("p50", |sample| sample.p50_ms), ("p99", |sample| sample.p99_ms)]),
    ("Requests a second", "", &[("requests", |sample| sample.requests_per_second)]),
];

const STYLE: &str = "
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: .6rem 0 1rem; } th, td { padding: .2rem .7rem; text-align: right;
  border-bottom: 1px solid #ddd; font-variant-numeric: tabular-nums; } .left { text-align: left; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(21rem, 1fr)); gap: 1rem; }
.bad { color: #b00; font-weight: 600; } small { color: #555; font-weight: 400; }
";

/// The page.
pub(crate) fn write(
    name: &str,
    samples: &[Sample],
    censuses: &[Census],
    judged: &[Judged],
    violations: &[String],
) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Olmstead: soak</title><style>{STYLE}{}</style><h1>Soak: {}</h1><p>{}</p>",
        chart::STYLE,
        escaped(name),
        escaped(&done(samples))
    );
    for violation in violations {
        page.push_str(&format!("<p class=\"bad\">{}</p>", escaped(violation)));
    }
    page.push_str(
        "<table><thead><tr><th class=\"left\">Of the second half</th><th>Level</th><th>Growth</th><th>Allowed</th>\
         <th class=\"left\">Result</th></tr></thead>",
    );
    for Judged { what, unit, level, growth, allowed } in judged {
        let verdict = if growth <= allowed { "<td class=\"left\">level" } else { "<td class=\"left bad\">GROWS" };
        page.push_str(&format!(
            "<tr><td class=\"left\">{}</td><td>{level:.1} {unit}</td><td>{growth:+.1}</td><td>{allowed:.1}</td>{verdict}</td></tr>",
            escaped(what)
        ));
    }
    page.push_str(
        "</table><table><thead><tr><th class=\"left\">Kept on purpose</th><th>New rows</th><th>Bytes of a row</th></tr></thead>",
    );
    for kept in kept(censuses) {
        let bytes = kept.bytes.checked_div(kept.rows).unwrap_or_default();
        page.push_str(&format!(
            "<tr><td class=\"left\">{}</td><td>{}</td><td>{bytes}</td></tr>",
            kept.table, kept.rows
        ));
    }
    page.push_str("</table><div class=\"plots\">");
    for (title, unit, lines) in PLOTS {
        let lines: Vec<Line<'_>> = lines
            .iter()
            .map(|(name, of)| Line { name, points: samples.iter().map(|s| (s.minutes, of(s))).collect() })
            .collect();
        page.push_str(&figure(title, &lines, unit));
    }
    let tables = censuses.last().map(|census| &census.tables);
    for table in tables.into_iter().flatten().map(|(table, _)| table.as_str()) {
        page.push_str(&figure(table, &[Line { name: "rows", points: rows(censuses, table) }], ""));
    }
    page.push_str("</div></html>\n");
    page
}

fn figure(title: &str, lines: &[Line<'_>], unit: &str) -> String {
    let mut keys = String::new();
    for (line, colour) in lines.iter().zip(COLOURS.iter().cycle()).filter(|_| lines.len() > 1) {
        keys.push_str(&format!("<span class=\"key\" style=\"background:{colour}\"></span>{}", line.name));
    }
    let plot = chart::course(lines, unit);
    format!("<figure><figcaption>{}<small>{keys}</small></figcaption>{plot}</figure>", escaped(title))
}

fn done(samples: &[Sample]) -> String {
    let Some(last) = samples.last() else { return "Nothing was noted.".to_owned() };
    format!(
        "{:.0} minutes: {} requests, {} messages to devices, {} events, {} devices that came and went.",
        last.minutes,
        chart::count(last.requests),
        chart::count(last.messages),
        chart::count(last.events),
        chart::count(last.visits)
    )
}

/// For the terminal.
pub(crate) fn table(name: &str, samples: &[Sample], judged: &[Judged], violations: &[String]) -> String {
    let mut text = format!("{name}: {}\n", done(samples));
    text.push_str(&format!("{:<36}{:>12}{:>12}{:>12}\n", "of the second half", "level", "growth", "allowed"));
    for Judged { what, unit, level, growth, allowed } in judged {
        let verdict = if growth <= allowed { "" } else { "  GROWS" };
        text.push_str(&format!(
            "{:<36}{level:>12.1}{growth:>+12.1}{allowed:>12.1}{verdict}\n",
            format!("{what} {unit}")
        ));
    }
    for violation in violations {
        text.push_str(&format!("VIOLATION: {violation}\n"));
    }
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

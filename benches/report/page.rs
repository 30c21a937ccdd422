//! The page for the browser: one file, nothing fetched.

use crate::{
    chart::{self, COLOURS, Line, count},
    goals::Group,
    runs::{Run, keys, works},
    table::{self, Change},
};

const STYLE: &str = "
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 88rem; padding: 0 1rem; color: #222; }
h1 { margin-bottom: .2rem; } h2 { margin-top: 2.5rem; } h3 { margin: 1.5rem 0 .2rem; }
p { max-width: 60rem; margin: .4rem 0; } .about { color: #555; } small { color: #555; font-weight: 400; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .6rem 0 1rem; }
th, td { padding: .2rem .7rem; text-align: right; border-bottom: 1px solid #ddd; vertical-align: top;
  font-variant-numeric: tabular-nums; }
thead th { border-bottom: 2px solid #bbb; vertical-align: bottom; } th.run { border-bottom: 0; text-align: center; }
td.work, th.work, td.left, th.left { text-align: left; } td.work { min-width: 16rem; max-width: 20rem; }
td.work small { display: block; line-height: 1.25; } .dense { font-size: .87rem; } .dense th, .dense td { padding: .2rem .45rem; }
th.first { white-space: nowrap; }
.first { border-left: 1px solid #ccc; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(21rem, 1fr)); gap: 1rem; }
.met { color: #06702d; } .missed { color: #b00; font-weight: 600; } .bad { color: #b00; font-weight: 600; }
";

/// The page.
pub(crate) fn write(runs: &[Run], groups: &[Group], changes: &[Change]) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Olmstead: measurements</title>\
         <style>{STYLE}{}</style><h1>Olmstead: measurements</h1>",
        chart::STYLE
    );
    page.push_str(&origin(runs));
    for run in runs {
        for violation in &run.violations {
            page.push_str(&format!(
                "<p class=\"bad\">{} answered what it must not: {}</p>",
                escaped(&run.name),
                escaped(violation)
            ));
        }
    }
    page.push_str(&goals(groups));
    page.push_str(&plots(runs));
    page.push_str(&rows(runs));
    page.push_str(&figures(runs));
    page.push_str(&since(changes));
    page.push_str("</html>\n");
    page
}

/// What was measured, when and on what.
fn origin(runs: &[Run]) -> String {
    let mut text = String::new();
    for run in runs {
        let mut facts = vec![escaped(&run.name)];
        facts.extend(run.at.map(|at| format!("measured until {} UTC", date(at))));
        facts.extend((!run.machine.is_empty()).then(|| escaped(&run.machine)));
        facts.extend(run.seed.map(|seed| format!("seed {seed}")));
        text.push_str(&format!("<p class=\"about\">{}</p>", facts.join(" · ")));
    }
    text.push_str(
        "<p>The main figure is CPU time: the milliseconds that the processes of a server and of its database took for \
         one operation, on all processors together. Times (p50, p95, p99: what 50, 95 and 99 of a hundred operations \
         took at most) depend on how many are under way at once. Runs were made one after another on one machine: \
         compare within this page rather than between pages.</p>",
    );
    text
}

fn goals(groups: &[Group]) -> String {
    let checks: usize = groups.iter().map(|group| group.checks.len()).sum();
    if checks == 0 {
        return String::new();
    }
    let met = groups.iter().flat_map(|group| &group.checks).filter(|check| check.is_met()).count();
    let mut text = format!("<h2>Goals: {met} of {checks} met</h2>");
    for Group { title, about, checks } in groups {
        text.push_str(&format!(
            "<h3>{title}</h3><p class=\"about\">{}</p><div class=\"wide\"><table><thead><tr>\
             <th class=\"left\">Of</th><th class=\"left\">What</th><th>Measured</th><th class=\"left\">Goal</th>\
             <th class=\"left\">Result</th></tr></thead>",
            code(about)
        ));
        for check in checks {
            let class = if check.is_met() { "met" } else { "missed" };
            text.push_str(&format!(
                "<tr><td class=\"left\">{}</td><td class=\"left\">{}</td><td>{}</td><td class=\"left\">{}</td>\
                 <td class=\"left {class}\">{}</td></tr>",
                escaped(&check.who),
                escaped(&check.what),
                escaped(&check.measured),
                escaped(&check.goal),
                escaped(&check.verdict())
            ));
        }
        text.push_str("</table></div>");
    }
    text
}

fn plots(runs: &[Run]) -> String {
    let mut figures = String::new();
    for work in works(runs) {
        let lines: Vec<Line<'_>> = runs.iter().map(|run| Line { name: &run.name, points: points(run, work) }).collect();
        if lines.iter().all(|line| line.points.len() < 2) {
            continue;
        }
        let growth: Vec<String> = runs.iter().filter_map(|run| growth(run, work)).collect();
        figures.push_str(&format!(
            "<figure><figcaption>{}<small>{}</small></figcaption>{}<small>{}</small></figure>",
            escaped(work),
            escaped(about(runs, work)),
            chart::growth(&lines, "ms", "users"),
            escaped(&growth.join("; "))
        ));
    }
    if figures.is_empty() {
        return figures;
    }
    let mut keys = String::new();
    for (run, colour) in runs.iter().zip(COLOURS.iter().cycle()) {
        keys.push_str(&format!("<span class=\"key\" style=\"background:{colour}\"></span>{}", escaped(&run.name)));
    }
    format!(
        "<h2>Growth curves</h2><p>CPU milliseconds of an operation (upwards) by the number of users in the store (to the \
         right). Both axes are logarithmic: a level line costs the same however many there are. {keys}</p>\
         <div class=\"plots\">{figures}</div>"
    )
}

/// From the smallest world to the largest.
fn growth(run: &Run, work: &str) -> Option<String> {
    let sizes = run.sizes(work);
    let ((first, then), (last, now)) = (sizes.first_key_value()?, sizes.last_key_value()?);
    (first != last && then.cpu > 0.0).then(|| {
        format!(
            "{}: {:.1} times as much for {} users as for {}",
            run.name,
            now.cpu / then.cpu,
            count(*last),
            count(*first)
        )
    })
}

// Sizes are far below 2^52.
#[allow(clippy::cast_precision_loss)]
fn points(run: &Run, work: &str) -> Vec<(f64, f64)> {
    run.sizes(work).into_iter().map(|(size, row)| (size as f64, row.cpu)).collect()
}

fn about<'a>(runs: &'a [Run], work: &str) -> &'a str {
    runs.iter().flat_map(|run| &run.rows).find(|row| row.work == work).map_or("", |row| row.about.as_str())
}

fn rows(runs: &[Run]) -> String {
    let Some((last, others)) = runs.split_last() else { return String::new() };
    let has_sizes = runs.iter().flat_map(|run| &run.rows).any(|row| row.size.is_some());
    let mut text = String::from(
        "<h2>All figures</h2><p>“CPU” is milliseconds an operation, the database's included, and “DB” what of it the \
         database took; p50, p95 and p99 are milliseconds; “MiB” is the memory of the server, without its database, \
         when the work was done.",
    );
    if has_sizes {
        let has_polls = keys(runs).iter().any(|(work, size)| size.is_some() && work.contains("long poll"));
        let of = if has_polls { "long polls waited" } else { "users the store holds" };
        text.push_str(&format!(" “Size” is how many {of}."));
    }
    if !others.is_empty() {
        text.push_str(&format!(
            " The ratios say how many times as much CPU time {} takes; 2.0 is twice as much.",
            escaped(&last.name)
        ));
    }
    text.push_str(
        "</p><div class=\"wide\"><table class=\"dense\"><thead><tr><th class=\"work\" rowspan=\"2\">Work</th>",
    );
    if has_sizes {
        text.push_str("<th rowspan=\"2\">Size</th>");
    }
    for run in others {
        let (last, run) = (escaped(&last.name), escaped(&run.name));
        text.push_str(&format!("<th rowspan=\"2\" class=\"first\">{last}<br>/ {run}</th>"));
    }
    for run in runs {
        let columns = if has_database(run) { 7 } else { 6 };
        text.push_str(&format!("<th colspan=\"{columns}\" class=\"run first\">{}</th>", escaped(&run.name)));
    }
    text.push_str("</tr><tr>");
    for run in runs {
        let database = if has_database(run) { "<th>DB</th>" } else { "" };
        text.push_str(&format!(
            "<th class=\"first\">CPU</th>{database}<th>p50</th><th>p95</th><th>p99</th><th>ops/s</th><th>MiB</th>"
        ));
    }
    text.push_str("</tr></thead>");
    let keys = keys(runs);
    let mut said = "";
    for (work, size) in &keys {
        text.push_str("<tr>");
        // What is done is said once for all sizes.
        if said != *work {
            let rows = keys.iter().filter(|(other, _)| other == work).count();
            let (work, about) = (escaped(work), escaped(about(runs, work)));
            text.push_str(&format!("<td class=\"work\" rowspan=\"{rows}\">{work}<small>{about}</small></td>"));
        }
        said = work;
        if has_sizes {
            text.push_str(&format!("<td>{}</td>", size.map(count).unwrap_or_default()));
        }
        for run in others {
            let ratio = table::ratio(run, last, work, *size);
            let class = if ratio.contains("MISSED") { "first missed" } else { "first" };
            text.push_str(&format!("<td class=\"{class}\">{ratio}</td>"));
        }
        runs.iter().for_each(|run| text.push_str(&cells(run, work, *size)));
        text.push_str("</tr>");
    }
    text.push_str("</table></div>");
    text
}

fn has_database(run: &Run) -> bool {
    run.rows.iter().any(|row| row.database > 0.0)
}

/// What one run says of one kind of work.
fn cells(run: &Run, work: &str, size: Option<u64>) -> String {
    let has_database = has_database(run);
    let Some(row) = run.row(work, size) else {
        return format!("<td class=\"first\">-</td>{}", "<td></td>".repeat(if has_database { 6 } else { 5 }));
    };
    let database = if has_database { format!("<td>{:.3}</td>", row.database) } else { String::new() };
    format!(
        "<td class=\"first\" title=\"{} operations\"><b>{:.3}</b></td>{database}<td>{:.2}</td><td>{:.2}</td><td>{:.2}</td>\
         <td>{:.0}</td><td>{:.0}</td>",
        row.operations, row.cpu, row.p50, row.p95, row.p99, row.per_second, row.memory
    )
}

fn figures(runs: &[Run]) -> String {
    let mut text = String::new();
    for run in runs {
        for figure in &run.figures {
            text.push_str(&format!(
                "<tr><td class=\"left\">{}</td><td class=\"left\">{}</td><td>{:.2} {}</td><td class=\"left\">{}</td></tr>",
                escaped(&run.name),
                escaped(&figure.name),
                figure.value,
                escaped(&figure.unit),
                escaped(&figure.how)
            ));
        }
    }
    if text.is_empty() {
        return text;
    }
    format!(
        "<h2>Further figures</h2><table><thead><tr><th class=\"left\">Of</th><th class=\"left\">What</th>\
         <th>Measured</th><th class=\"left\">How</th></tr></thead>{text}</table>"
    )
}

fn since(changes: &[Change]) -> String {
    if changes.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "<h2>Since the kept run</h2><p>CPU milliseconds an operation then and now; above 1 the work has become \
         cheaper.</p><table><thead><tr><th class=\"left\">Of</th><th class=\"left\">Work</th><th>Size</th><th>Then</th>\
         <th>Now</th><th>Then / now</th></tr></thead>",
    );
    for Change { run, work, size, before, now } in changes {
        text.push_str(&format!(
            "<tr><td class=\"left\">{}</td><td class=\"left\">{}</td><td>{}</td><td>{before:.3}</td><td>{now:.3}</td>\
             <td>{:.2}</td></tr>",
            escaped(run),
            escaped(work),
            size.map(count).unwrap_or_default(),
            before / now
        ));
    }
    text.push_str("</table>");
    text
}

/// Year, month, day, hour and minute of a time since 1970.
fn date(at: u64) -> String {
    // Howard Hinnant's `civil_from_days`, for days since 0000-03-01.
    let days = at / 86_400 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02} {:02}:{:02}", at / 3_600 % 24, at / 60 % 60)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Escaped, with what stands in backticks as code.
fn code(text: &str) -> String {
    let parts = text.split('`').map(escaped).enumerate();
    parts.map(|(n, part)| if n % 2 == 1 { format!("<code>{part}</code>") } else { part }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        let shown = [0, 951_782_399, 951_782_400, 1_795_852_800].map(date);
        assert_eq!(shown, ["1970-01-01 00:00", "2000-02-28 23:59", "2000-02-29 00:00", "2026-11-28 08:00"]);
    }
}

//! The page for the browser: one file, nothing fetched.

use crate::{
    chart::{self, COLOURS, Line},
    runs::{Run, keys, works},
    table,
};

const STYLE: &str = "
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .2rem .7rem; text-align: right; border-bottom: 1px solid #ddd; font-variant-numeric: tabular-nums; }
th:first-child, td:first-child { text-align: left; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: 1rem; }
figure { margin: 0; border: 1px solid #ddd; border-radius: 6px; padding: .6rem; }
figcaption { font-weight: 600; }
svg { width: 100%; height: auto; } svg text { font: 10px system-ui, sans-serif; fill: #555; }
.grid { stroke: #e4e4e4; } .key { display: inline-block; width: .9em; height: .9em; margin: 0 .3em 0 1em; }
.missed { color: #b00; } .bad { color: #b00; font-weight: 600; }
";

/// The page.
pub(crate) fn write(runs: &[Run], before: &[Run]) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Olmstead: measurements</title>\
         <style>{STYLE}</style><h1>Measurements</h1>"
    );
    page.push_str(
        "<p>CPU time an operation, of the server and its database together, in milliseconds; in brackets how long one \
         takes at the median, which depends on how many are under way. All runs were made one after another on one \
         machine: compare within the page, not between pages.</p>",
    );
    page.push_str("<p>Keys:");
    for (run, colour) in runs.iter().zip(COLOURS.iter().cycle()) {
        page.push_str(&format!("<span class=\"key\" style=\"background:{colour}\"></span>{}", escaped(&run.name)));
    }
    page.push_str("</p>");
    for run in runs {
        for violation in &run.violations {
            page.push_str(&format!("<p class=\"bad\">{} broke a rule: {}</p>", escaped(&run.name), escaped(violation)));
        }
    }
    page.push_str(&plots(runs));
    page.push_str(&rows(runs));
    page.push_str(&changes(runs, before));
    page.push_str("</html>\n");
    page
}

fn plots(runs: &[Run]) -> String {
    let mut figures = String::new();
    for work in works(runs) {
        let lines: Vec<Line<'_>> = runs.iter().map(|run| Line { name: &run.name, points: points(run, work) }).collect();
        if lines.iter().all(|line| line.points.len() < 2) {
            continue;
        }
        let growth: Vec<String> =
            runs.iter().filter_map(|run| Some(format!("{} ×{:.1}", run.name, run.growth(work)?))).collect();
        figures.push_str(&format!(
            "<figure><figcaption>{}</figcaption>{}<small>from the smallest world to the largest: {}</small></figure>",
            escaped(work),
            chart::growth(&lines, "ms"),
            escaped(&growth.join(", "))
        ));
    }
    if figures.is_empty() {
        return figures;
    }
    format!(
        "<h2>Growth</h2><p>CPU milliseconds by the number of users; both axes are logarithmic.</p><div class=\"plots\">{figures}</div>"
    )
}

// Sizes are far below 2^52.
#[allow(clippy::cast_precision_loss)]
fn points(run: &Run, work: &str) -> Vec<(f64, f64)> {
    let rows = run.rows.iter().filter(|row| row.work == work);
    rows.filter_map(|row| Some((row.size? as f64, row.cpu))).collect()
}

fn rows(runs: &[Run]) -> String {
    let Some((last, others)) = runs.split_last() else { return String::new() };
    let has_sizes = runs.iter().flat_map(|run| &run.rows).any(|row| row.size.is_some());
    let mut text = String::from("<h2>All figures</h2><table><tr><th>Work</th>");
    if has_sizes {
        text.push_str("<th>Users</th>");
    }
    for run in runs {
        text.push_str(&format!("<th>{}</th><th>a second</th><th>p99</th>", escaped(&run.name)));
    }
    others.iter().for_each(|run| text.push_str(&format!("<th>{} / {}</th>", escaped(&last.name), escaped(&run.name))));
    text.push_str("</tr>");
    for (work, size) in keys(runs) {
        text.push_str(&format!("<tr><td>{}</td>", escaped(work)));
        if has_sizes {
            text.push_str(&format!("<td>{}</td>", size.map(|size| size.to_string()).unwrap_or_default()));
        }
        for run in runs {
            match run.row(work, size) {
                Some(row) => text.push_str(&format!(
                    "<td>{:.3} ({:.2})</td><td>{:.0}</td><td>{:.2}</td>",
                    row.cpu, row.p50, row.per_second, row.p99
                )),
                None => text.push_str("<td>-</td><td>-</td><td>-</td>"),
            }
        }
        for run in others {
            let ratio = table::ratio(run, last, work, size);
            let class = if ratio.contains("MISSED") { " class=\"missed\"" } else { "" };
            text.push_str(&format!("<td{class}>{ratio}</td>"));
        }
        text.push_str("</tr>");
    }
    text.push_str("</table>");
    text
}

fn changes(runs: &[Run], before: &[Run]) -> String {
    let text = table::since(runs, before);
    if text.is_empty() { text } else { format!("<h2>Since the saved run</h2><pre>{}</pre>", escaped(&text)) }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

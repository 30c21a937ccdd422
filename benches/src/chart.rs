//! Plots as SVG.

/// A line: its name and points.
#[derive(Debug, Clone)]
pub struct Line<'a> {
    /// What it is of.
    pub name: &'a str,
    /// Across and up.
    pub points: Vec<(f64, f64)>,
}

/// Colours that are told apart also without red and green.
pub const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];

const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 36.0;

/// What plots look like on a page.
pub const STYLE: &str = "
figure { margin: 0; border: 1px solid #ddd; border-radius: 6px; padding: .6rem; }
figcaption { font-weight: 600; line-height: 1.3; } figcaption small { display: block; }
svg { width: 100%; height: auto; } svg text { font: 10px system-ui, sans-serif; fill: #555; }
.grid { stroke: #e4e4e4; } .key { display: inline-block; width: .9em; height: .9em; margin: 0 .3em 0 1em; }
";

/// A plot of what changed with time: minutes across, both axes linear, from zero.
#[must_use]
pub fn course(lines: &[Line<'_>], unit: &str) -> String {
    let most = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, f64::max);
    let points = || lines.iter().flat_map(|line| &line.points);
    let (across, up) = (round_up(most(&mut points().map(|(x, _)| *x))), round_up(most(&mut points().map(|(_, y)| *y))));
    let x = |value: f64| LEFT + value / across * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| HEIGHT - BOTTOM - value / up * (HEIGHT - TOP - BOTTOM);
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">");
    for quarter in 0..=4 {
        let part = f64::from(quarter) / 4.0;
        svg.push_str(&format!(
            "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\" class=\"grid\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{} {unit}</text>\
             <text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 4.0,
            y(up * part) + 4.0,
            plain(up * part),
            x(across * part),
            HEIGHT - BOTTOM + 14.0,
            plain(across * part),
            at = y(up * part),
        ));
    }
    for (line, colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        let path: Vec<String> = line.points.iter().map(|(px, py)| format!("{:.1},{:.1}", x(*px), y(*py))).collect();
        svg.push_str(&format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"><title>{}</title></polyline>",
            path.join(" "),
            line.name
        ));
    }
    svg.push_str(&format!(
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">minutes</text></svg>",
        WIDTH - RIGHT + 14.0,
        HEIGHT - 2.0
    ));
    svg
}

/// The end of an axis that reaches so far: 1, 2, 4 or 8 times a power of ten.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let decade = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 4.0, 8.0].into_iter().map(|times| times * decade).find(|end| *end >= value).unwrap_or(10.0 * decade)
}

/// A plot with both axes logarithmic.
#[must_use]
pub fn growth(lines: &[Line<'_>], unit: &str, of: &str) -> String {
    let points = || lines.iter().flat_map(|line| &line.points);
    let positive = |value: f64| if value > 0.0 { value } else { 0.001 };
    let range = |values: &mut dyn Iterator<Item = f64>| {
        let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
        // Whole decades.
        (positive(low).log10().floor(), positive(high).log10().ceil().max(positive(low).log10().floor() + 1.0))
    };
    let across = range(&mut points().map(|(x, _)| *x));
    let up = range(&mut points().map(|(_, y)| *y));
    let x = |value: f64| LEFT + (value.log10() - across.0) / (across.1 - across.0) * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| HEIGHT - BOTTOM - (positive(value).log10() - up.0) / (up.1 - up.0) * (HEIGHT - TOP - BOTTOM);
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">");
    for decade in decades(up) {
        let (value, at) = (10_f64.powf(decade), y(10_f64.powf(decade)));
        svg.push_str(&format!(
            "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\" class=\"grid\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{} {unit}</text>",
            WIDTH - RIGHT,
            LEFT - 4.0,
            at + 4.0,
            plain(value)
        ));
    }
    for decade in decades(across) {
        let (value, at) = (10_f64.powf(decade), x(10_f64.powf(decade)));
        svg.push_str(&format!(
            "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{}\" class=\"grid\"/>\
             <text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            HEIGHT - BOTTOM,
            HEIGHT - BOTTOM + 14.0,
            plain(value)
        ));
    }
    for (line, colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        let path: Vec<String> = line.points.iter().map(|(px, py)| format!("{:.1},{:.1}", x(*px), y(*py))).collect();
        svg.push_str(&format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            path.join(" ")
        ));
        for (px, py) in &line.points {
            svg.push_str(&format!(
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.5\" fill=\"{colour}\"><title>{}: {} {of}, {py:.3} {unit}</title></circle>",
                x(*px),
                y(*py),
                line.name,
                plain(*px)
            ));
        }
    }
    svg.push_str(&format!(
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{of}</text></svg>",
        WIDTH - RIGHT + 14.0,
        HEIGHT - 2.0
    ));
    svg
}

fn decades((low, high): (f64, f64)) -> impl Iterator<Item = f64> {
    std::iter::successors(Some(low), |decade| Some(decade + 1.0)).take_while(move |decade| *decade <= high + 0.5)
}

/// A whole number as people write it.
// Sizes are far below 2^52.
#[allow(clippy::cast_precision_loss)]
#[must_use]
pub fn count(number: u64) -> String {
    plain(number as f64)
}

/// A number as people write it: 10,000 and 0.01.
#[must_use]
pub fn plain(value: f64) -> String {
    if value < 1.0 {
        return format!("{}", (value * 1e6).round() / 1e6);
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_plainly() {
        assert_eq!([plain(0.01), plain(1.0), plain(1_000.0), plain(100_000.0)], ["0.01", "1", "1,000", "100,000"]);
    }

    #[test]
    fn an_axis_ends_at_a_round_number() {
        assert_eq!([0.0, 0.3, 1.0, 17.0, 801.0].map(round_up), [1.0, 0.4, 1.0, 20.0, 1_000.0]);
    }

    #[test]
    fn a_course_has_a_line_each() {
        let line = |name| Line { name, points: vec![(0.0, 0.0), (1.0, 30.0)] };
        let svg = course(&[line("a"), line("b")], "MiB");
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn a_plot_has_a_mark_for_every_point() {
        let line = |name| Line { name, points: vec![(100.0, 0.02), (1_000.0, 0.03), (10_000.0, 0.5)] };
        let svg = growth(&[line("a"), line("b")], "ms", "users");
        assert_eq!(svg.matches("<circle").count(), 6);
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}

//! Plots as SVG.

/// A line: its name and points.
pub(crate) struct Line<'a> {
    pub(crate) name: &'a str,
    pub(crate) points: Vec<(f64, f64)>,
}

/// Colours that are told apart also without red and green.
pub(crate) const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];

const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 36.0;

/// A plot with both axes logarithmic.
pub(crate) fn growth(lines: &[Line<'_>], unit: &str, of: &str) -> String {
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
pub(crate) fn count(number: u64) -> String {
    plain(number as f64)
}

/// A number as people write it: 10,000 and 0.01.
pub(crate) fn plain(value: f64) -> String {
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
    fn a_plot_has_a_mark_for_every_point() {
        let line = |name| Line { name, points: vec![(100.0, 0.02), (1_000.0, 0.03), (10_000.0, 0.5)] };
        let svg = growth(&[line("a"), line("b")], "ms", "users");
        assert_eq!(svg.matches("<circle").count(), 6);
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}

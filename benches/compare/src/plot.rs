//! Plots as SVG, for pages light and dark.

use std::fmt::Write as _;

use crate::figures::{Spread, short};

/// Bars in groups; each group is drawn relative to its first bar.
pub(crate) struct Bars {
    pub(crate) title: String,
    pub(crate) series: Vec<String>,
    pub(crate) groups: Vec<(String, Vec<Option<Spread>>)>,
}

/// A curve in a box of its own.
pub(crate) struct Curve {
    pub(crate) title: String,
    pub(crate) points: Vec<(u64, Spread)>,
}

const COLOURS: [&str; 6] = [
    "#2a78d6", "#e0832d", "#3d9e57", "#9a5fc0", "#c94f5d", "#7d8590",
];
const WIDTH: f64 = 860.0;
const STYLE: &str = "<style>text{font:12px system-ui,sans-serif;fill:#59636e}.axis{stroke:#8c959f;stroke-width:1}\
    @media(prefers-color-scheme:dark){text{fill:#9198a1}}</style>";

/// Draws bars.
pub(crate) fn bars(bars: &Bars) -> String {
    const LEFT: f64 = 290.0;
    const BAR: f64 = 13.0;
    let all = bars
        .groups
        .iter()
        .flat_map(|(_, spreads)| ratios(spreads))
        .flatten();
    let most = all
        .map(|spread| spread.most)
        .filter(|most| most.is_finite())
        .fold(1.0, f64::max);
    let scale = (WIDTH - LEFT - 60.0) / most;
    let mut body = String::new();
    let mut y = 26.0;
    legend(&mut body, &bars.series, LEFT, y);
    y += 26.0;
    let top = y;
    for (name, spreads) in &bars.groups {
        let middle = y + BAR * spreads.len() as f64 / 2.0 + 4.0;
        let _ = write!(
            body,
            "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            escaped(name)
        );
        for (at, (ratio, spread)) in ratios(spreads).iter().zip(spreads).enumerate() {
            if let (Some(ratio), Some(spread)) = (ratio, spread)
                && ratio.median.is_finite()
            {
                let (end, line) = (LEFT + ratio.median * scale, y + BAR / 2.0 - 1.0);
                let _ = write!(
                    body,
                    "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{:.1}\" height=\"{}\" fill=\"{}\"/>\
                     <line class=\"axis\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{line}\" y2=\"{line}\"/>\
                     <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"10\">{} µs</text>",
                    end - LEFT,
                    BAR - 2.0,
                    colour(at),
                    LEFT + ratio.least * scale,
                    LEFT + ratio.most * scale,
                    LEFT + ratio.most.max(ratio.median) * scale + 4.0,
                    y + BAR - 3.0,
                    short(spread.median)
                );
            }
            y += BAR;
        }
        y += 9.0;
    }
    let one = LEFT + scale;
    let _ = write!(
        body,
        "<line class=\"axis\" x1=\"{one:.1}\" x2=\"{one:.1}\" y1=\"{top}\" y2=\"{y}\" stroke-dasharray=\"3 3\"/>"
    );
    page(&bars.title, y + 10.0, &body)
}

/// What the spreads are as multiples of the first one's median.
fn ratios(spreads: &[Option<Spread>]) -> Vec<Option<Spread>> {
    let first = spreads.first().copied().flatten();
    let first = first.map_or(f64::NAN, |first| first.median);
    let ratio = |spread: Spread| Spread {
        median: spread.median / first,
        least: spread.least / first,
        most: spread.most / first,
    };
    spreads.iter().map(|spread| spread.map(ratio)).collect()
}

fn legend(body: &mut String, names: &[String], left: f64, top: f64) {
    let mut x = left;
    for (at, name) in names.iter().enumerate() {
        // Writing to a String does not fail.
        let _ = write!(
            body,
            "<rect x=\"{x}\" y=\"{}\" width=\"10\" height=\"10\" fill=\"{}\"/>\
             <text x=\"{}\" y=\"{}\">{}</text>",
            top + 2.0,
            colour(at),
            x + 14.0,
            top + 11.0,
            escaped(name)
        );
        x += 40.0 + 7.0 * name.len() as f64;
    }
}

/// Draws curves, two boxes beside each other; sizes grow by powers, costs from zero.
pub(crate) fn curves(curves: &[Curve]) -> String {
    const BOX: (f64, f64) = (WIDTH / 2.0, 190.0);
    let mut body = String::new();
    for (at, curve) in curves.iter().enumerate() {
        let left = (at % 2) as f64 * BOX.0;
        let top = 26.0 + (at / 2) as f64 * BOX.1;
        draw(&mut body, curve, left, top, BOX);
    }
    let rows = curves.len().div_ceil(2) as f64;
    page(
        "Processor time per request in µs, by size",
        36.0 + rows * BOX.1,
        &body,
    )
}

fn draw(body: &mut String, curve: &Curve, left: f64, top: f64, size: (f64, f64)) {
    let (x0, x1) = (left + 60.0, left + size.0 - 30.0);
    let (y0, y1) = (top + size.1 - 40.0, top + 30.0);
    let most = curve
        .points
        .iter()
        .map(|(_, spread)| spread.most)
        .fold(0.0, f64::max)
        .max(1e-9);
    let last = curve.points.len().saturating_sub(1).max(1) as f64;
    let x_of = |at: usize| x0 + (x1 - x0) * at as f64 / last;
    let y_of = |value: f64| y0 - (y0 - y1) * value / most;
    let _ = write!(
        body,
        "<text x=\"{x0}\" y=\"{}\">{}</text>\
         <line class=\"axis\" x1=\"{x0}\" x2=\"{x1}\" y1=\"{y0}\" y2=\"{y0}\"/>\
         <line class=\"axis\" x1=\"{x0}\" x2=\"{x0}\" y1=\"{y0}\" y2=\"{y1}\"/>\
         <text x=\"{}\" y=\"{y0}\" text-anchor=\"end\">0</text>\
         <text x=\"{}\" y=\"{y1}\" text-anchor=\"end\">{}</text>",
        y1 - 10.0,
        escaped(&curve.title),
        x0 - 5.0,
        x0 - 5.0,
        short(most)
    );
    let mut line = String::new();
    for (at, (size, spread)) in curve.points.iter().enumerate() {
        let (x, y) = (x_of(at), y_of(spread.median));
        let _ = write!(line, "{x:.1},{y:.1} ");
        let _ = write!(
            body,
            "<line stroke=\"{0}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{1:.1}\" y2=\"{2:.1}\"/>\
             <circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{0}\"/>\
             <text x=\"{x:.1}\" y=\"{3:.1}\" text-anchor=\"middle\">{4}</text>",
            COLOURS[0],
            y_of(spread.least),
            y_of(spread.most),
            y0 + 16.0,
            thousands(*size)
        );
    }
    let _ = write!(
        body,
        "<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"2\" points=\"{}\"/>",
        COLOURS[0],
        line.trim_end()
    );
}

fn page(title: &str, height: f64, body: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{0}\">\
         {STYLE}<text x=\"8\" y=\"16\" font-weight=\"bold\">{0}</text>{body}</svg>\n",
        escaped(title)
    )
}

fn colour(at: usize) -> &'static str {
    COLOURS[at % COLOURS.len()]
}

/// A size as short as it can be said.
fn thousands(number: u64) -> String {
    match number {
        0..10_000 => number.to_string(),
        10_000..1_048_576 => format!("{}k", number / 1_000),
        _ => format!("{}M", number >> 20),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPREAD: Spread = Spread {
        median: 10.0,
        least: 9.0,
        most: 11.0,
    };

    #[test]
    fn a_peer_without_a_figure_has_no_bar() {
        let svg = bars(&Bars {
            title: "a < b".to_owned(),
            series: vec!["one".to_owned(), "two".to_owned()],
            groups: vec![("first".to_owned(), vec![Some(SPREAD), None])],
        });
        assert_eq!(svg.matches("10.0 µs").count(), 1);
        assert!(svg.contains("a &lt; b") && !svg.contains("NaN"), "{svg}");
    }

    #[test]
    fn every_point_is_drawn() {
        let svg = curves(&[Curve {
            title: "routes".to_owned(),
            points: vec![(10, SPREAD), (10_000, SPREAD)],
        }]);
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(svg.contains(">10k</text>"), "{svg}");
    }
}

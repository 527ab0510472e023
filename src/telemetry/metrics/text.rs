//! The Prometheus text exposition format 0.0.4, sorted by name and labels.

use std::fmt::Write;

use super::descriptor::{Kind, Shape};
use super::family::{FamilySums, Labels};

/// Writes all families.
pub(super) fn render(families: &[FamilySums], out: &mut String) {
    for family in families {
        if family.series.is_empty() {
            continue;
        }
        head(&family.shape, out);
        for (labels, sums) in &family.series {
            match family.shape.kind {
                Kind::Counter => {
                    let value = sums.first().copied().unwrap_or_default();
                    sample(&family.shape, "", labels, None, value, out);
                }
                Kind::Gauge => {
                    let value = sums.first().copied().unwrap_or_default();
                    sample(&family.shape, "", labels, None, value.cast_signed(), out);
                }
                Kind::Millionths => {
                    let value = sums.first().copied().unwrap_or_default();
                    let value = Seconds(value.saturating_mul(1000));
                    sample(&family.shape, "", labels, None, value, out);
                }
                Kind::Histogram { bounds_ns } => {
                    histogram(&family.shape, bounds_ns, labels, sums, out);
                }
            }
        }
    }
}

/// Writes the `# HELP` and `# TYPE` lines.
fn head(shape: &Shape, out: &mut String) {
    let kind = match shape.kind {
        Kind::Counter => "counter",
        Kind::Gauge | Kind::Millionths => "gauge",
        Kind::Histogram { .. } => "histogram",
    };
    out.push_str("# HELP ");
    out.push_str(shape.name);
    out.push(' ');
    escape(shape.help, false, out);
    // Writing to a String cannot fail.
    let _ = write!(out, "\n# TYPE {} {kind}\n", shape.name);
}

fn histogram(shape: &Shape, bounds_ns: &[u64], labels: &Labels, sums: &[u64], out: &mut String) {
    let mut sums = sums.iter().copied();
    let mut next = || sums.next().unwrap_or_default();
    let sum_ns = next();
    let mut count: u64 = 0;
    for bound_ns in bounds_ns {
        count = count.wrapping_add(next());
        let bound = Seconds(*bound_ns);
        sample(shape, "_bucket", labels, Some(&bound), count, out);
    }
    count = count.wrapping_add(next());
    sample(shape, "_bucket", labels, Some(&"+Inf"), count, out);
    sample(shape, "_sum", labels, None, Seconds(sum_ns), out);
    sample(shape, "_count", labels, None, count, out);
}

fn sample(
    shape: &Shape,
    suffix: &str,
    labels: &Labels,
    bound: Option<&dyn std::fmt::Display>,
    value: impl std::fmt::Display,
    out: &mut String,
) {
    out.push_str(shape.name);
    out.push_str(suffix);
    let mut separator = '{';
    for (name, value) in shape.labels.iter().zip(labels.iter()) {
        out.push(separator);
        separator = ',';
        out.push_str(name);
        out.push_str("=\"");
        escape(value, true, out);
        out.push('"');
    }
    if let Some(bound) = bound {
        let _ = write!(out, "{separator}le=\"{bound}\"");
        separator = ',';
    }
    if separator == ',' {
        out.push('}');
    }
    let _ = writeln!(out, " {value}");
}

/// Nanoseconds, shown as a decimal number of seconds without rounding.
struct Seconds(u64);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (whole, mut rest) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        if rest == 0 {
            return write!(f, "{whole}");
        }
        let mut digits = 9;
        while rest.is_multiple_of(10) {
            rest /= 10;
            digits -= 1;
        }
        write!(f, "{whole}.{rest:0digits$}")
    }
}

fn escape(text: &str, quote: bool, out: &mut String) {
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quote => out.push_str("\\\""),
            other => out.push(other),
        }
    }
}

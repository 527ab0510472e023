//! The exposition formats, sorted by name and labels: Prometheus text 0.0.4 and `OpenMetrics` 1.0.0.

use std::fmt::{Display, Write};
use std::time::UNIX_EPOCH;

use super::descriptor::{Kind, Shape};
use super::exemplar::Exemplar;
use super::exposition::Exposition;
use super::family::{FamilySums, Labels};

/// Writes all families, and in `OpenMetrics` the end.
pub(super) fn render(families: &[FamilySums], exposition: Exposition, out: &mut String) {
    for family in families {
        if family.series.is_empty() {
            continue;
        }
        let shape = &family.shape;
        let kind = match shape.kind {
            Kind::Counter => "counter",
            Kind::Gauge | Kind::Millionths => "gauge",
            Kind::Histogram { .. } => "histogram",
        };
        head(exposition, shape.name, kind, shape.help, out);
        for (at, (labels, sums)) in family.series.iter().enumerate() {
            let value = sums.first().copied().unwrap_or_default();
            match shape.kind {
                Kind::Counter => sample(shape, "", labels, value, out),
                Kind::Gauge => sample(shape, "", labels, value.cast_signed(), out),
                Kind::Millionths => {
                    let value = Seconds(value.saturating_mul(1000));
                    sample(shape, "", labels, value, out);
                }
                Kind::Histogram { bounds_ns } => {
                    let exemplars = family.exemplars.get(at).map_or(&[][..], Vec::as_slice);
                    let buckets = Buckets {
                        bounds_ns,
                        exemplars,
                        exposition,
                    };
                    histogram(shape, &buckets, labels, sums, out);
                }
            }
        }
    }
    if exposition == Exposition::OpenMetrics {
        out.push_str("# EOF\n");
    }
}

/// Writes the `# HELP` and `# TYPE` lines.
pub(super) fn head(exposition: Exposition, name: &str, kind: &str, help: &str, out: &mut String) {
    // The samples of a counter end in `_total`; in OpenMetrics its family does not.
    let name = match exposition {
        Exposition::OpenMetrics => name.strip_suffix("_total").unwrap_or(name),
        Exposition::Text => name,
    };
    out.push_str("# HELP ");
    out.push_str(name);
    out.push(' ');
    escape(help, exposition == Exposition::OpenMetrics, out);
    // Writing to a String cannot fail.
    let _ = write!(out, "\n# TYPE {name} {kind}\n");
}

struct Buckets<'f> {
    bounds_ns: &'f [u64],
    exemplars: &'f [Option<Exemplar>],
    exposition: Exposition,
}

fn histogram(
    shape: &Shape,
    buckets: &Buckets<'_>,
    labels: &Labels,
    sums: &[u64],
    out: &mut String,
) {
    let mut sums = sums.iter().copied();
    let sum_ns = sums.next().unwrap_or_default();
    let mut count: u64 = 0;
    let bounds = buckets.bounds_ns.iter().copied().map(Some);
    for (at, bound_ns) in bounds.chain([None]).enumerate() {
        count = count.wrapping_add(sums.next().unwrap_or_default());
        out.push_str(shape.name);
        out.push_str("_bucket");
        let separator = write_labels(shape, labels, out);
        let _ = match bound_ns {
            None => write!(out, "{separator}le=\"+Inf\"}} {count}"),
            // OpenMetrics wants a floating point number.
            Some(whole) if buckets.exposition == Exposition::OpenMetrics && whole % SECOND == 0 => {
                write!(out, "{separator}le=\"{}.0\"}} {count}", whole / SECOND)
            }
            Some(bound) => write!(out, "{separator}le=\"{}\"}} {count}", Seconds(bound)),
        };
        if let Some(Some(exemplar)) = buckets.exemplars.get(at) {
            write_exemplar(exemplar, out);
        }
        out.push('\n');
    }
    sample(shape, "_sum", labels, Seconds(sum_ns), out);
    sample(shape, "_count", labels, count, out);
}

fn write_exemplar(exemplar: &Exemplar, out: &mut String) {
    let trace = std::str::from_utf8(&exemplar.trace).unwrap_or_default();
    let at = exemplar.at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let took = Seconds(exemplar.took_ns);
    let _ = write!(
        out,
        " # {{trace_id=\"{trace}\"}} {took} {}.{:03}",
        at.as_secs(),
        at.subsec_millis()
    );
}

fn sample(shape: &Shape, suffix: &str, labels: &Labels, value: impl Display, out: &mut String) {
    out.push_str(shape.name);
    out.push_str(suffix);
    if write_labels(shape, labels, out) == ',' {
        out.push('}');
    }
    let _ = writeln!(out, " {value}");
}

/// Writes the labels without the bracket at their end; returns what separates the next one.
fn write_labels(shape: &Shape, labels: &Labels, out: &mut String) -> char {
    let mut separator = '{';
    for (name, value) in shape.labels.iter().zip(labels.iter()) {
        out.push(separator);
        separator = ',';
        out.push_str(name);
        out.push_str("=\"");
        escape(value, true, out);
        out.push('"');
    }
    separator
}

/// Nanoseconds, shown as a decimal number of seconds without rounding.
struct Seconds(u64);

impl Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (whole, mut rest) = (self.0 / SECOND, self.0 % SECOND);
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

/// In nanoseconds.
const SECOND: u64 = 1_000_000_000;

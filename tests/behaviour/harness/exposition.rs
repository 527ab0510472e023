//! The Prometheus text format, parsed: enough to read the value of a series.

/// One scrape.
#[derive(Debug)]
pub(crate) struct Exposition(Vec<Sample>);

#[derive(Debug)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

impl Exposition {
    /// Reads a whole scrape; panics at a line that is not in the format.
    pub(crate) fn parse(text: &str) -> Self {
        Self(
            text.lines()
                .filter(|line| !line.is_empty() && !line.starts_with('#'))
                .map(|line| sample(line).unwrap_or_else(|| panic!("not a sample: {line:?}")))
                .collect(),
        )
    }

    /// Sum of all series of this name that have these labels; `None` if there is no such series.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut values = self
            .0
            .iter()
            .filter(|s| s.name == name && labels.iter().all(|(k, v)| s.label(k) == Some(v)))
            .map(|s| s.value)
            .peekable();
        values.peek()?;
        Some(values.sum())
    }

    /// The values that a label takes in the series of this name.
    pub(crate) fn values(&self, name: &str, label: &str) -> Vec<&str> {
        self.0
            .iter()
            .filter(|s| s.name == name)
            .filter_map(|s| s.label(label))
            .collect()
    }
}

impl Sample {
    fn label(&self, name: &str) -> Option<&str> {
        self.labels
            .iter()
            .find(|(k, _)| k == name)
            .map(|(_, v)| v.as_str())
    }
}

fn sample(line: &str) -> Option<Sample> {
    let (series, rest) = match line.split_once('{') {
        Some((name, rest)) => {
            let end = rest.rfind('}')?;
            ((name, &rest[..end]), &rest[end + 1..])
        }
        None => {
            let (name, rest) = line.split_once(' ')?;
            ((name, ""), rest)
        }
    };
    Some(Sample {
        name: series.0.to_owned(),
        labels: labels(series.1)?,
        value: rest.split_whitespace().next()?.parse().ok()?,
    })
}

fn labels(mut text: &str) -> Option<Vec<(String, String)>> {
    let mut labels = Vec::new();
    while !text.is_empty() {
        let (name, rest) = text.split_once("=\"")?;
        let mut value = String::new();
        let mut characters = rest.char_indices();
        let end = loop {
            match characters.next()? {
                (at, '"') => break at,
                (_, '\\') => match characters.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (_, other) => value.push(other),
            }
        };
        labels.push((name.trim().to_owned(), value));
        text = rest[end + 1..].trim_start_matches([',', ' ']);
    }
    Some(labels)
}

#[test]
fn samples_are_summed_over_the_labels_that_are_not_asked_for() {
    let text = "# HELP a b\na{x=\"1\",y=\"p\\\"q}\"} 2\na{x=\"1\",y=\"r\"} 3.5 123\nb 7\n";
    let scrape = Exposition::parse(text);
    assert_eq!(scrape.sum("a", &[("x", "1")]), Some(5.5));
    assert_eq!(scrape.sum("a", &[("y", "p\"q}")]), Some(2.0));
    assert_eq!(scrape.sum("b", &[]), Some(7.0));
    assert_eq!(scrape.sum("c", &[]), None);
    assert_eq!(scrape.values("a", "y"), ["p\"q}", "r"]);
}

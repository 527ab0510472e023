//! Tests of a condition: a sample of the request, how it is compared, and values.

use super::condition::All;
use crate::import::document::{key_part, quoted, quoted_list};

/// A test: a sample, how it is compared, and values.
struct Test<'w> {
    name: &'w str,
    argument: &'w str,
    how: &'w str,
    ignores_case: bool,
    values: &'w [&'w str],
}

impl<'w> Test<'w> {
    fn of(words: &'w [&'w str]) -> Option<Self> {
        let [sample, rest @ ..] = words else {
            return None;
        };
        let (sample, converters) = converted(sample);
        let (name, argument) = match sample.split_once('(') {
            Some((name, argument)) => (name, argument.strip_suffix(')')?),
            None => (sample, ""),
        };
        let is_word = |it: u8| it.is_ascii_alphanumeric() || b"-_".contains(&it);
        if !argument.bytes().all(is_word) {
            return None;
        }
        // Of a host, the name alone counts here.
        let is_host = argument.eq_ignore_ascii_case("host");
        let mut ignores_case = false;
        for converter in converters {
            match converter {
                "lower" => ignores_case = true,
                "field(1,:)" | "host_only" if is_host => {}
                _ => return None,
            }
        }
        let how = name.split_once('_').map_or("str", |(_, how)| how);
        let mut test = Self {
            name,
            argument,
            how,
            ignores_case,
            values: rest,
        };
        while let [flag, rest @ ..] = test.values {
            test.values = match (*flag, rest) {
                ("-i", rest) => {
                    test.ignores_case = true;
                    rest
                }
                ("-m", [how, rest @ ..]) => {
                    test.how = how;
                    rest
                }
                ("--", rest) => {
                    test.values = rest;
                    break;
                }
                (flag, _) if flag.starts_with('-') && flag.len() == 2 => return None,
                _ => break,
            };
        }
        Some(test)
    }

    /// An expression that fits what the values fit.
    fn expression(&self) -> Option<String> {
        let values = self.values.iter();
        let parts: Vec<String> = match self.how {
            "reg" => values.map(|it| (*it).to_owned()).collect(),
            _ => values.map(|it| regex::escape(it)).collect(),
        };
        let joined = match &parts[..] {
            [one] => one.clone(),
            _ => format!("({})", parts.join("|")),
        };
        let text = match self.how {
            "beg" => format!("^{joined}"),
            "end" => format!("{joined}$"),
            "sub" | "reg" => joined,
            "dir" => format!("(^|/){}(/|$)", joined_of_segments(self.values)),
            "dom" => format!(r"(^|\.){joined}($|\.|:)"),
            "str" | "path" | "hdr" | "cook" | "param" => format!("^{joined}$"),
            _ => return None,
        };
        let text = if self.ignores_case && !text.starts_with("(?i)") {
            format!("(?i){text}")
        } else {
            text
        };
        regex::Regex::new(&text).ok()?;
        Some(text)
    }

    /// True if the sample must be the value.
    fn is_exact(&self) -> bool {
        let how = ["str", "path", "hdr", "cook", "param"];
        how.contains(&self.how) && !self.ignores_case
    }

    fn of_path(&self) -> Option<All> {
        let (key, value) = match (self.how, self.values) {
            (_, [path]) if self.is_exact() => ("path", quoted(path)),
            ("beg", [path]) if !self.ignores_case && path.ends_with('/') && path.len() > 1 => {
                ("path_prefix", quoted(path.trim_end_matches('/')))
            }
            _ => ("path_regex", quoted(&self.expression()?)),
        };
        Some(vec![(key.to_owned(), value)])
    }

    fn of_host(&self) -> Option<All> {
        let name = |it: &&str| match it.rsplit_once(':') {
            // The port is that of the listener.
            Some((name, port)) if port.bytes().all(|it| it.is_ascii_digit()) => name.to_owned(),
            _ => (**it).to_owned(),
        };
        let wildcard = |it: &&str| format!("*.{}", it.trim_start_matches('.'));
        let is_host = |it: &String| {
            let is_letter = |it: u8| it.is_ascii_alphanumeric() || b".-*".contains(&it);
            !it.is_empty() && it.bytes().all(is_letter)
        };
        let hosts: Vec<String> = match self.how {
            "str" | "hdr" => self.values.iter().map(name).collect(),
            "end" if self.values.iter().all(|it| it.starts_with('.')) => {
                self.values.iter().map(wildcard).collect()
            }
            _ => return self.of_part("headers"),
        };
        match !hosts.is_empty() && hosts.iter().all(is_host) {
            true => list("hosts", hosts.iter().map(String::as_str)),
            false => None,
        }
    }

    /// A field, a cookie or a parameter.
    fn of_part(&self, kind: &str) -> Option<All> {
        let name = match kind {
            "headers" => self.argument.to_ascii_lowercase(),
            _ => self.argument.to_owned(),
        };
        let value = match self.values {
            [] => "{ present = true }".to_owned(),
            _ if self.how == "found" => "{ present = true }".to_owned(),
            [value] if self.is_exact() => quoted(value),
            _ => format!("{{ regex = {} }}", quoted(&self.expression()?)),
        };
        Some(vec![(format!("{kind}.{}", key_part(&name)), value)])
    }
}

/// The sample without its converters, and these.
fn converted(sample: &str) -> (&str, Vec<&str>) {
    let mut depth = 0_usize;
    let mut parts = sample.split(|it| {
        match it {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        it == ',' && depth == 0
    });
    (parts.next().unwrap_or(sample), parts.collect())
}

/// Segments of a path of which one must be there.
fn joined_of_segments(values: &[&str]) -> String {
    let values = values.iter().map(|it| regex::escape(it.trim_matches('/')));
    format!("({})", values.collect::<Vec<_>>().join("|"))
}

/// Returns the conditions of a test.
pub(super) fn of_test(words: &[&str]) -> Option<All> {
    let test = Test::of(words)?;
    let values = test.values.iter().copied();
    match test.name {
        "path" | "path_beg" | "path_end" | "path_reg" | "path_sub" | "path_dir" => test.of_path(),
        "hdr" | "req.hdr" | "hdr_dom" | "hdr_end" | "hdr_beg" | "hdr_sub" | "hdr_reg"
            if test.argument.eq_ignore_ascii_case("host") =>
        {
            test.of_host()
        }
        _ if test.argument.is_empty() && test.name.contains("hdr") => None,
        "hdr" | "req.hdr" | "hdr_sub" | "hdr_beg" | "hdr_end" | "hdr_reg" => {
            test.of_part("headers")
        }
        "req.cook" | "cook" => test.of_part("cookies"),
        "url_param" | "urlp" => test.of_part("query"),
        "method" | "src" if test.values.is_empty() => None,
        "method" => list("methods", values),
        "src" => list("source", values),
        "always_true" | "TRUE" => Some(All::new()),
        _ => None,
    }
}

/// Returns the condition of a list.
pub(super) fn list<'t>(key: &str, values: impl Iterator<Item = &'t str>) -> Option<All> {
    Some(vec![(key.to_owned(), quoted_list(values))])
}

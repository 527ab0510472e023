//! The nearest allowed name, for "did you mean".

/// Finds the candidate most similar to `written`, if one is similar enough.
pub(crate) fn nearest<'a>(
    written: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let folded = written.to_ascii_lowercase().replace('-', "_");
    let candidates: Vec<&str> = candidates.into_iter().collect();
    let protocol = protocol_of(&folded);
    let same = candidates
        .iter()
        .find(|name| protocol.as_deref() == Some(**name));
    if let Some(same) = same {
        return Some(*same);
    }
    candidates
        .into_iter()
        .map(|name| {
            let plain = name.to_ascii_lowercase().replace('-', "_");
            (strsim::jaro_winkler(&folded, &plain), name)
        })
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// Returns the identifier of a version of HTTP that is written in another way: it looks more like that
/// of another version.
fn protocol_of(folded: &str) -> Option<String> {
    if folded == "quic" {
        return Some("h3".to_owned());
    }
    let version = folded.strip_prefix("http")?.trim_start_matches(['/', '_']);
    Some(format!("h{}", version.trim_end_matches(".0")))
}

/// Lists the valid names, as in `defined: "a", "b" - did you mean "a"?`.
///
/// A long list is left out if there is a near match.
pub(crate) fn alternatives(lead: &str, written: &str, names: &[&str]) -> String {
    let near = nearest(written, names.iter().copied());
    let mut text = String::new();
    if names.is_empty() {
        return format!("{lead}: none");
    }
    if near.is_none() || names.len() <= LISTED_MAX {
        text = format!("{lead}: {}", list(names));
    }
    if let Some(near) = near {
        if !text.is_empty() {
            text.push_str(" - ");
        }
        text.push_str(&format!("did you mean \"{near}\"?"));
    }
    text
}

/// Quotes names and separates them by commas; cuts the list after a screenful.
pub(crate) fn list(names: &[&str]) -> String {
    let mut text = names
        .iter()
        .take(SHOWN_MAX)
        .map(|name| format!("\"{name}\""))
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > SHOWN_MAX {
        text.push_str(&format!(" and {} more", names.len() - SHOWN_MAX));
    }
    text
}

/// Jaro-Winkler similarity from which a name is suggested; 1 is equal.
const LIKENESS_MIN: f64 = 0.8;

/// Maximum number of names listed in full next to a near match.
const LISTED_MAX: usize = 6;

/// Maximum number of names shown in one message.
const SHOWN_MAX: usize = 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_its_name_and_a_stranger_none() {
        let names = ["interval", "timeout", "rise"];
        assert_eq!(nearest("intervall", names), Some("interval"));
        assert_eq!(nearest("time-out", ["timeout"]), Some("timeout"));
        assert_eq!(nearest("zebra", names), None);
        let protocols = ["http/1.1", "h2", "h3"];
        for (written, meant) in [
            ("http/3", "h3"),
            ("HTTP/2.0", "h2"),
            ("http3", "h3"),
            ("quic", "h3"),
            ("http/1.0", "http/1.1"),
        ] {
            assert_eq!(nearest(written, protocols), Some(meant));
        }
    }

    #[test]
    fn a_short_list_is_shown_with_the_near_match() {
        assert_eq!(
            alternatives("defined", "cart", &["card", "catalog"]),
            "defined: \"card\", \"catalog\" - did you mean \"card\"?"
        );
        assert_eq!(alternatives("defined", "x", &[]), "defined: none");
    }
}

//! Sluicegate beside nginx and Caddy: the same requests to each, before servers that answer alike.
//! Answers are equal, or the difference is in a list with its reason; a difference that is gone
//! leaves the list.

mod caching;
mod compression;

use std::{collections::BTreeMap, fmt::Write as _};

/// An answer as the lines that are compared: a name and a value each.
type Seen = BTreeMap<&'static str, String>;

/// A difference that is on purpose.
struct Known {
    why: &'static str,
    /// Names of the requests in which it is seen.
    requests: &'static [&'static str],
    /// Line, ours, theirs; each is seen in each of the requests.
    lines: &'static [(&'static str, &'static str, &'static str)],
}

/// Compares the answers to one request after the other, and returns what is not as the list says.
fn unlisted(asked: &[(&str, Seen, Seen)], known: &[Known]) -> String {
    let mut found = Vec::new();
    for (request, ours, theirs) in asked {
        for (line, our) in ours {
            let their = &theirs[line];
            if our != their {
                found.push((*request, *line, our.as_str(), their.as_str()));
            }
        }
    }
    let mut text = String::new();
    let mut listed = Vec::new();
    for Known {
        why,
        requests,
        lines,
    } in known
    {
        for request in *requests {
            for (line, ours, theirs) in *lines {
                let it = (*request, *line, *ours, *theirs);
                if !found.contains(&it) {
                    let _ = writeln!(text, "is gone: {it:?}: {why}");
                }
                listed.push(it);
            }
        }
    }
    for it in found.iter().filter(|it| !listed.contains(it)) {
        let _ = writeln!(text, "is not listed: {it:?}");
    }
    text
}

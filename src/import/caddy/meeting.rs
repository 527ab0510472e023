//! Lines on the way, and the answers that they concern.

use super::syntax::Line;
use crate::import::document::Table;

/// Relation of the requests of two matchers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meeting {
    /// All requests of the answer are meant.
    All,
    /// None of them.
    None,
    /// Some of them, or it is not known.
    Some,
}

/// Returns which requests of an answer with the second matcher the first one means.
pub(super) fn meeting(common: Option<&str>, answer: Option<&str>) -> Meeting {
    let Some(common) = common else {
        return Meeting::All;
    };
    let Some(answer) = answer else {
        return Meeting::Some;
    };
    if common == answer {
        return Meeting::All;
    }
    let (Some(wide), Some(narrow)) = (prefix(common), prefix(answer)) else {
        return Meeting::Some;
    };
    match (wide, narrow) {
        ((common, true), (answer, _)) if answer.starts_with(common) => Meeting::All,
        ((common, _), (answer, true)) if common.starts_with(answer) => Meeting::Some,
        _ => Meeting::None,
    }
}

/// Writes down that a line concerns some requests of a route: it is closed if the line keeps
/// clients out.
pub(super) fn unsure(table: &mut Table, line: &Line) {
    let advice = "it concerns some requests of this route: write a route for these";
    match line.name() {
        "header" | "encode" | "log" | "rewrite" | "log_skip" | "skip_log" | "log_append" => {
            table.untranslated(&line.source, advice);
        }
        // A field that the client must not send, perhaps.
        "request_header" if line.words.iter().any(|it| it.starts_with('-')) => {
            table.close(&line.source, advice);
        }
        name if super::guard::is_harmless(name) => table.untranslated(&line.source, advice),
        _ => table.close(&line.source, advice),
    }
}

/// A path and whether any rest may follow; none if the matcher is something else.
fn prefix(matcher: &str) -> Option<(&str, bool)> {
    let (path, is_open) = match matcher.strip_suffix('*') {
        Some(path) => (path, true),
        None => (matcher, false),
    };
    (path.starts_with('/') && !path.contains('*')).then_some((path, is_open))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_tell_what_they_have_in_common() {
        for (common, answer, expected) in [
            (None, Some("/a"), Meeting::All),
            (Some("/a"), None, Meeting::Some),
            (Some("@x"), Some("@x"), Meeting::All),
            (Some("@x"), Some("/a"), Meeting::Some),
            (Some("/admin/*"), Some("/admin/x/*"), Meeting::All),
            (Some("/admin/x/*"), Some("/admin/*"), Meeting::Some),
            (Some("/admin/*"), Some("/adm"), Meeting::None),
            (Some("/a"), Some("/b/*"), Meeting::None),
            (Some("/a/*/b"), Some("/a/1/b"), Meeting::Some),
        ] {
            assert_eq!(meeting(common, answer), expected, "{common:?} {answer:?}");
        }
    }
}

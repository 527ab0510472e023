//! Checks on pages and files that the proxy sends.

use super::Check;
use crate::config::schema::{ErrorPages, Respond};
use crate::config::setting::{FileContent, Span, Spanned};

/// Checks the pages of a route or listener, which is at this place.
pub(super) fn check(check: &mut Check<'_>, place: &str, span: Span, pages: &ErrorPages) {
    for (_, page) in &pages.0 {
        if let Some(file) = page.as_ref().and_then(|page| page.file.as_ref()) {
            check_page(check, &format!("{place}.error_pages"), file);
        }
    }
    if pages.0.len() > PAGES_MAX {
        let message = format!("{place}.error_pages has {} entries", pages.0.len());
        check.error(span, message, format!("at most {PAGES_MAX}"));
    }
}

/// Checks the file of a page.
pub(super) fn check_page(check: &mut Check<'_>, place: &str, file: &Spanned<FileContent>) {
    let kind = file.media_type();
    let path = file.path.display();
    if !KINDS.iter().any(|known| kind.starts_with(known)) {
        let message = format!("{place}: the kind of {path} is not known");
        let hint = "a page is HTML, JSON or plain text: \".html\", \".json\" or \".txt\"";
        check.error(file.span, message, hint);
    } else if std::str::from_utf8(&file.bytes).is_err() {
        let message = format!("{place}: {path} is not UTF-8");
        check.error(file.span, message, "save it as UTF-8");
    }
}

/// Refuses a body from two places.
pub(super) fn check_respond(check: &mut Check<'_>, place: &str, respond: &Respond) {
    if respond.file.is_some() && !respond.body.is_empty() {
        let message = format!("{place}.respond has both a body and a file");
        check.error(respond.spans.of("file"), message, "leave one of them out");
    }
}

const KINDS: [&str; 3] = ["text/html", "application/json", "text/plain"];
/// Maximum number of entries: there are 200 statuses.
const PAGES_MAX: usize = 200;

//! The dashboard: one page for browsers, part of the program.
//!
//! Files are static and hold nothing of the proxy, so they need no token: the page asks the API for
//! everything else, and shows a form for the token where the API refuses. Nothing is loaded from
//! elsewhere, no script or style stands in the page itself, and values of requests become text,
//! never markup: the policy that browsers get forbids the rest.

use http::HeaderValue;
use http::header::{CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, X_FRAME_OPTIONS};

use super::reply::{self, Reply};

/// A file of the dashboard.
struct Asset {
    name: &'static str,
    media_type: &'static str,
    content: &'static str,
}

/// The page.
pub(super) fn page() -> Reply {
    guarded(reply::text(
        "text/html; charset=utf-8",
        include_str!("index.html").to_owned(),
    ))
}

/// A file that the page needs.
pub(super) fn file(name: &str) -> Option<Reply> {
    let asset = ASSETS.iter().find(|asset| asset.name == name)?;
    let reply = reply::text(asset.media_type, asset.content.to_owned());
    Some(guarded(reply))
}

fn guarded(mut reply: Reply) -> Reply {
    let headers = reply.headers_mut();
    let policy = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (X_FRAME_OPTIONS, "DENY"),
        (OPENER_POLICY, "same-origin"),
        (RESOURCE_POLICY, "same-origin"),
    ];
    for (name, value) in policy {
        headers.insert(name, HeaderValue::from_static(value));
    }
    reply
}

const fn script(name: &'static str, content: &'static str) -> Asset {
    Asset {
        name,
        media_type: "text/javascript; charset=utf-8",
        content,
    }
}

static ASSETS: &[Asset] = &[
    Asset {
        name: "style.css",
        media_type: "text/css; charset=utf-8",
        content: include_str!("style.css"),
    },
    Asset {
        name: "icon.svg",
        media_type: "image/svg+xml",
        content: include_str!("icon.svg"),
    },
    script("app.js", include_str!("app.js")),
    script("api.js", include_str!("api.js")),
    script("chart.js", include_str!("chart.js")),
    script("dom.js", include_str!("dom.js")),
    script("state.js", include_str!("state.js")),
    script("text.js", include_str!("text.js")),
    script("connections.js", include_str!("connections.js")),
    script("events.js", include_str!("events.js")),
    script("explain.js", include_str!("explain.js")),
    script("requests.js", include_str!("requests.js")),
    script("rollouts.js", include_str!("rollouts.js")),
    script("overview.js", include_str!("overview.js")),
];

/// Own files only; no markup from strings (trusted types).
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'; require-trusted-types-for 'script'; \
                      trusted-types 'none'";

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_refers_only_to_files_that_are_there() {
        let page = include_str!("index.html");
        let scripts = ASSETS.iter().map(|asset| asset.content);
        let mut found = 0;
        for text in scripts.chain([page]) {
            for mark in ["\"/dashboard/", "from \"./"] {
                for rest in text.split(mark).skip(1) {
                    let name = rest.split('"').next().unwrap();
                    assert!(ASSETS.iter().any(|it| it.name == name), "{name}");
                    found += 1;
                }
            }
        }
        assert!(found >= ASSETS.len(), "{found}");
    }

    #[test]
    fn every_word_is_there_in_both_languages() {
        let text = include_str!("text.js");
        let words = text.split("const WORDS = `").nth(1).unwrap();
        let words = words.split('`').next().unwrap().trim().lines();
        let words: Vec<Vec<&str>> = words.map(|line| line.split('|').collect()).collect();
        for word in &words {
            let [key, english, chinese] = word[..] else {
                panic!("{word:?} has not three parts");
            };
            assert!(![key, english, chinese].contains(&""), "{word:?}");
            for number in 0..4 {
                let parameter = format!("{{{number}}}");
                let both = (english.contains(&parameter), chinese.contains(&parameter));
                assert_eq!(both.0, both.1, "{word:?}");
            }
            let same = words.iter().filter(|it| it[0] == key);
            assert_eq!(same.count(), 1, "{key}");
        }
        let mut used = 0;
        for asset in ASSETS.iter().filter(|it| it.name.ends_with(".js")) {
            for rest in asset.content.split("t(\"").skip(1) {
                let (key, _) = rest.split_once('"').unwrap();
                let is_key = key
                    .bytes()
                    .all(|it| it.is_ascii_alphanumeric() || it == b'_');
                if is_key && !key.is_empty() && asset.name != "dom.js" {
                    used += 1;
                    let known = words.iter().any(|word| word[0] == key);
                    assert!(known || NO_WORDS.contains(&key), "{}: {key}", asset.name);
                }
            }
        }
        assert!(used > 100, "{used}");
    }

    /// Texts in calls that end in `t("`, and are no words.
    const NO_WORDS: &[&str] = &[];

    #[test]
    fn nothing_comes_from_elsewhere_and_no_string_becomes_markup() {
        for asset in ASSETS {
            for forbidden in [
                "https://",
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "localStorage",
            ] {
                assert!(
                    !asset.content.contains(forbidden),
                    "{}: {forbidden}",
                    asset.name
                );
            }
        }
    }
}

//! Secrets in unexpected places of a file: under a misspelt key, in a torn line, in a list.
//!
//! Messages show lines of the file. The value of a key that sounds like a secret is hidden there,
//! even if the file has other faults; the raw text is scanned, since a torn line has no tree.

use super::setting::Span;

/// Finds the quoted texts after keys that sound like secrets.
pub(super) fn find(text: &str) -> Vec<Span> {
    let mut found = Vec::new();
    let bytes = text.as_bytes();
    let (mut at, mut key_start) = (0, 0);
    // In the value of such a key: until the line ends, or the list or table does.
    let mut hiding = false;
    let mut depth = 0_usize;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'#' => {
                at = memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |end| at + end);
                continue;
            }
            b'"' | b'\'' => {
                let end = string_end(bytes, at);
                if hiding {
                    found.push(Span::new(at, end));
                }
                at = end;
                continue;
            }
            b'=' => {
                let key = text.get(key_start..at).unwrap_or_default();
                let key = key.trim_matches(|c: char| c.is_whitespace() || c == '"' || c == '\'');
                let key = key.rsplit('.').next().unwrap_or_default();
                // Where it is kept is no secret.
                let place = depth > 0 && matches!(key, "env" | "file");
                hiding = (hiding && depth > 0 && !place) || is_secret(key);
            }
            b'[' | b'{' if hiding => depth += 1,
            b']' | b'}' if depth > 0 => depth -= 1,
            // A list that is not closed does not reach into the next table.
            b'\n' if depth == 0 || bytes.get(at + 1) == Some(&b'[') => {
                (hiding, depth) = (false, 0);
            }
            _ => {}
        }
        if matches!(byte, b'\n' | b',' | b'{' | b'[') {
            key_start = at + 1;
        }
        at += 1;
    }
    found
}

/// One past the end of a string; of one that is not closed, the end of its line.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let quote = bytes[start];
    let triple = [quote; 3];
    if bytes[start..].starts_with(&triple) {
        let inner = start + 3;
        let close = memchr::memmem::find(&bytes[inner..], &triple);
        return close.map_or(bytes.len(), |end| inner + end + 3);
    }
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\n' => return at,
            b'\\' if quote == b'"' => at += 1,
            byte if *byte == quote => return at + 1,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let sounds = |word: &str| key.contains(word) || strsim::jaro_winkler(&key, word) >= 0.88;
    WORDS.iter().any(|word| sounds(word))
}

const WORDS: [&str; 9] = [
    "token",
    "secret",
    "password",
    "passwd",
    "credential",
    "api_key",
    "api-key",
    "apikey",
    "authorization",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(text: &str) -> Vec<&str> {
        let spans = find(text).into_iter();
        spans.map(|span| &text[span.start..span.end]).collect()
    }

    #[test]
    fn what_sounds_like_a_secret_is_found_wherever_it_stands() {
        let cases = [
            ("token = \"a\" # \"b\"\nother = \"c\"", vec!["\"a\""]),
            ("[admin]\ntokn = 'a'", vec!["'a'"]),
            (
                "admin = { passwords = [\"a\", \"b\"], address = \"c\" }",
                vec!["\"a\"", "\"b\""],
            ),
            ("admin.token = \"a\\\"b", vec!["\"a\\\"b"]),
            ("\"x-api-key\" = \"a\"", vec!["\"a\""]),
            ("token = { evn = \"a\" }\nb = \"c\"", vec!["\"a\""]),
            ("token = { env = \"NAME\" }", vec![]),
            (
                "secret = \"\"\"a\nb\"\"\"\nc = \"d\"",
                vec!["\"\"\"a\nb\"\"\""],
            ),
            ("timeouts = { total = \"1s\" }\npath = \"/token\"", vec![]),
        ];
        for (text, expected) in cases {
            assert_eq!(hidden(text), expected, "{text}");
        }
    }
}

//! Secrets in unexpected places of a file: under a misspelt key, in a torn line, in a list.
//!
//! Messages show lines of the file. The value of a key that sounds like a secret is hidden there,
//! even if the file has other faults; the raw text is scanned, since a torn line has no tree.

use std::ops::Range;

use super::setting::Span;

/// Finds the texts after keys that sound like secrets, quoted or not, the defaults of values from
/// the environment, and the passwords in URLs.
pub(super) fn find(text: &str) -> Vec<Span> {
    let mut scan = Scan {
        text,
        at: 0,
        key_start: 0,
        hiding: false,
        depth: 0,
        found: Vec::new(),
    };
    while let Some(byte) = text.as_bytes().get(scan.at) {
        scan.step(*byte);
    }
    scan.found
}

/// The walk over a text that need not be TOML.
struct Scan<'t> {
    text: &'t str,
    at: usize,
    key_start: usize,
    /// In the value of such a key: until the line ends, or the list or table does.
    hiding: bool,
    depth: usize,
    found: Vec<Span>,
}

impl Scan<'_> {
    fn step(&mut self, byte: u8) {
        let bytes = self.text.as_bytes();
        match byte {
            b'#' => {
                let rest = &bytes[self.at..];
                self.at = memchr::memchr(b'\n', rest).map_or(bytes.len(), |end| self.at + end);
                return;
            }
            b'"' | b'\'' => return self.string(),
            // A colon is no TOML, but what some write.
            b'=' | b':' => self.key(),
            b'[' | b'{' if self.hiding => self.depth += 1,
            b']' | b'}' if self.depth > 0 => self.depth -= 1,
            // A list that is not closed does not reach into the next table.
            b'\n' if self.depth == 0 || bytes.get(self.at + 1) == Some(&b'[') => {
                (self.hiding, self.depth) = (false, 0);
            }
            byte if self.hiding && !byte.is_ascii_whitespace() && byte != b',' => {
                return self.bare();
            }
            _ => {}
        }
        if matches!(byte, b'\n' | b',' | b'{' | b'[') {
            self.key_start = self.at + 1;
        }
        self.at += 1;
    }

    /// Judges the key before the sign at this place.
    fn key(&mut self) {
        let key = self.key_text();
        // Where it is kept is no secret.
        let is_place = self.depth > 0 && matches!(key, "env" | "file");
        let stays = self.hiding && self.depth > 0 && !is_place;
        self.hiding = stays || is_secret(key) || key == "default";
    }

    /// The text since the item began, as far as it can be a key.
    fn before(&self) -> &str {
        let from = self.key_start.max(self.at.saturating_sub(KEY_BYTES_MAX));
        let from = self.text.ceil_char_boundary(from);
        self.text.get(from..self.at).unwrap_or_default()
    }

    fn key_text(&self) -> &str {
        let key = self.before();
        let key = key.trim_matches(|c: char| c.is_whitespace() || c == '"' || c == '\'');
        key.rsplit('.').next().unwrap_or_default()
    }

    fn string(&mut self) {
        let (start, end) = (self.at, string_end(self.text.as_bytes(), self.at));
        // The sign between key and value may be missing.
        let before = self.before();
        let lacks_sign = before.contains(|c: char| c.is_ascii_alphanumeric())
            && !before.contains(['=', ':'])
            && is_secret(self.key_text());
        if self.hiding || lacks_sign {
            self.found.push(Span::new(start, end));
        } else if let Some(user) = user_info(&self.text[start..end]) {
            self.found
                .push(Span::new(start + user.start, start + user.end));
        }
        self.at = end;
    }

    /// A value without quotes: to the end of its item.
    fn bare(&mut self) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let end = rest.find(['\n', ',', '}', ']', '#']).unwrap_or(rest.len());
        let value = rest[..end].trim_end();
        // A name before a sign is a key of an inner table, or the next key.
        let is_first = self.before().trim().is_empty();
        if is_first && value.contains(['=', ':']) {
            self.at += rest.find(['=', ':']).unwrap_or(1);
            return;
        }
        if !value.is_empty() && !matches!(value, "true" | "false") {
            self.found.push(Span::new(self.at, self.at + value.len()));
        }
        self.at += value.len().max(1);
    }
}

/// The part of a URL before the host, which may have a password.
fn user_info(text: &str) -> Option<Range<usize>> {
    let start = text.find("://")? + 3;
    let end = text[start..].find(['/', '?', '"', '\'']);
    let authority = &text[start..end.map_or(text.len(), |end| start + end)];
    let user = authority.rfind('@')?;
    authority[..user].contains(':').then(|| start..start + user)
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
    // A comparison by likeness costs most, and only a name can be like one.
    let is_name = key
        .bytes()
        .all(|it| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-'));
    let is_like = |word: &str| is_name && strsim::jaro_winkler(&key, word) >= 0.88;
    let sounds = |word: &str| key.contains(word) || is_like(word);
    WORDS.iter().any(|word| sounds(word))
}

/// Longer texts are no keys: each is looked at again for every sign behind it.
const KEY_BYTES_MAX: usize = 64;

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
            ("token = hunter2 # x\nb = c", vec!["hunter2"]),
            ("admin = { token = hunter2, address = 1 }", vec!["hunter2"]),
            ("token: \"a\"\nb: \"c\"", vec!["\"a\""]),
            ("token: hunter2", vec!["hunter2"]),
            ("token = a=b==\n] c", vec!["a=b=="]),
            ("token = ]\nb = c", vec![]),
            ("token \"a\"\nother \"b\"", vec!["\"a\""]),
            ("passwords = [one, \"b\"]", vec!["one", "\"b\""]),
            ("a = { env = \"A\", default = \"b\"", vec!["\"b\""]),
            ("url = \"redis://:pass@host:1/0\"", vec![":pass"]),
            ("url = \"https://a.example/@x:y\"", vec![]),
            ("secret = true\nc = \"d\"", vec![]),
        ];
        for (text, expected) in cases {
            assert_eq!(hidden(text), expected, "{text}");
        }
    }

    #[test]
    fn a_hostile_text_takes_time_by_its_length_alone() {
        for text in ["\"a\"", "a=", "token=]", "\t:", "é="] {
            // By the square of its length it would take minutes.
            find(&text.repeat(300_000 / text.len()));
        }
    }
}

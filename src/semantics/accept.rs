//! Choice of a media type by `Accept` (RFC 9110 section 12.5.1), for answers of the proxy itself.

use super::token::members;

/// Opinion of a client on the media types in which the proxy can say something. One that names
/// none takes all alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepts {
    html: Place,
    json: Place,
    plain: Place,
}

/// Number of types that a client likes less than this one. An exchange carries three of them, so
/// they are small.
type Place = u8;

/// Order of the types for a client: by the weight, then by how exactly it names the type, then by
/// the order in which it names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Liking {
    weight: u16,
    rank: u8,
    left: u8,
}

/// A media type in which the proxy can say something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// `text/html`.
    Html,
    /// `application/problem+json` (RFC 9457), or plain JSON.
    Json,
    /// `text/plain`.
    Plain,
}

impl Accepts {
    /// Reads the lines of the field. Of several ranges that fit, the most specific one counts.
    pub fn read<'v>(lines: impl Iterator<Item = &'v [u8]>) -> Self {
        let mut best: [Option<Liking>; 3] = [None; 3];
        let mut left = u8::MAX;
        for item in lines.flat_map(members).filter(|item| !item.is_empty()) {
            left = left.saturating_sub(1);
            let mut parts = item.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
            let range = parts.next().unwrap_or_default();
            let weight = parts.find_map(|part| {
                let (name, value) = part.split_at_checked(2)?;
                name.eq_ignore_ascii_case(b"q=").then(|| weight(value))
            });
            let weight = weight.unwrap_or(FULL);
            let ranks = [HTML, JSON, PLAIN].map(|types| rank(range, types));
            for (best, rank) in best.iter_mut().zip(ranks) {
                if rank > 0 && best.is_none_or(|known| rank > known.rank) {
                    *best = Some(Liking { weight, rank, left });
                }
            }
        }
        if left == u8::MAX {
            return Self::default();
        }
        let likings = best.map(|best| best.unwrap_or(NONE));
        let place = |own| likings.iter().map(|it| Place::from(*it < own)).sum();
        let [html, json, plain] = likings.map(place);
        Self { html, json, plain }
    }

    /// Returns the type that the client likes most, the first of equals; the first one if it takes
    /// none of them.
    pub fn choose(self, order: [Spoken; 3]) -> Spoken {
        let mut chosen = order[0];
        for spoken in order {
            if self.place_of(spoken) > self.place_of(chosen) {
                chosen = spoken;
            }
        }
        chosen
    }

    fn place_of(self, spoken: Spoken) -> Place {
        match spoken {
            Spoken::Html => self.html,
            Spoken::Json => self.json,
            Spoken::Plain => self.plain,
        }
    }
}

/// Rank of a media range for these types, the first of which is the usual one; 0 if it fits none.
fn rank(range: &[u8], types: &[&[u8]]) -> u8 {
    if types.iter().any(|it| range.eq_ignore_ascii_case(it)) {
        return 3;
    }
    if range == b"*/*" {
        return 1;
    }
    let Some(kind) = range.strip_suffix(b"/*") else {
        return 0;
    };
    let usual = types[0].split(|byte| *byte == b'/').next();
    let is_of = usual.is_some_and(|usual| usual.eq_ignore_ascii_case(kind));
    if is_of { 2 } else { 0 }
}

/// Reads a weight in thousandths (RFC 9110 section 12.4.2): `0.5` is 500. One that is none counts
/// as 0.
pub fn weight(text: &[u8]) -> u16 {
    let (whole, fraction) = match text {
        [whole @ (b'0' | b'1')] => (whole, &[][..]),
        [whole @ (b'0' | b'1'), b'.', fraction @ ..] if fraction.len() <= 3 => (whole, fraction),
        _ => return 0,
    };
    let mut weight = u16::from(whole - b'0') * FULL;
    for (digit, unit) in fraction.iter().zip([100, 10, 1]) {
        if !digit.is_ascii_digit() {
            return 0;
        }
        weight += u16::from(digit - b'0') * unit;
    }
    weight.min(FULL)
}

const FULL: u16 = 1000;
const NONE: Liking = Liking {
    weight: 0,
    rank: 0,
    left: 0,
};
const HTML: &[&[u8]] = &[b"text/html", b"application/xhtml+xml"];
const JSON: &[&[u8]] = &[b"application/json", b"application/problem+json"];
const PLAIN: &[&[u8]] = &[b"text/plain"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weight_decides_and_then_the_order_of_the_proxy() {
        use Spoken::{Html, Json, Plain};
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for (value, expected) in [
            ("", Html),
            ("*/*", Html),
            (browser, Html),
            ("application/json", Json),
            ("application/problem+json, text/html;q=0.5", Json),
            ("Application/JSON, text/plain, */*", Json),
            ("text/plain, application/json, */*", Plain),
            ("application/*", Json),
            ("text/plain", Plain),
            ("text/plain;charset=utf-8;q=0.9, text/html;q=0.8", Plain),
            ("text/*;q=0.5, application/json;q=0.4", Html),
            ("text/html;q=0, */*", Json),
            ("text/html;q=0", Html),
            ("image/png", Html),
            ("*/*;q=0.1, text/plain;q=0.2", Plain),
            (", ,", Html),
        ] {
            let accepts = Accepts::read([value.as_bytes()].into_iter());
            let chosen = accepts.choose([Html, Json, Plain]);
            assert_eq!(chosen, expected, "{value:?}");
        }
        let lines = [&b"text/html;q=0.1"[..], b"application/json"];
        let accepts = Accepts::read(lines.into_iter());
        assert_eq!(accepts.choose([Html, Json, Plain]), Json);
        assert_eq!(Accepts::default().choose([Plain, Json, Html]), Plain);
    }
}

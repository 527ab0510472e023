//! Choice of a content coding by Accept-Encoding (RFC 9110 section 12.5.3).

use crate::{
    config::schema::Encoding,
    semantics::{accept::weight, token::members},
};

/// Returns the coding of `offered` that the client weighs most, the first of equals; none if it
/// accepts none of them, or wants the answer as it is more.
pub(super) fn choose<'v>(
    offered: &[Encoding],
    values: impl Iterator<Item = &'v [u8]> + Clone,
) -> Option<Encoding> {
    let mut best: Option<(u16, Encoding)> = None;
    for coding in offered {
        let given = weight_of(coding.word(), values.clone())
            .or_else(|| weight_of("*", values.clone()))
            .unwrap_or(0);
        if given > best.map_or(0, |(best, _)| best) {
            best = Some((given, *coding));
        }
    }
    let identity = weight_of("identity", values).unwrap_or(0);
    best.filter(|(weight, _)| *weight >= identity)
        .map(|(_, coding)| coding)
}

/// The weight of a coding in thousandths; none if it is not named.
fn weight_of<'v>(coding: &str, values: impl Iterator<Item = &'v [u8]>) -> Option<u16> {
    for item in values.flat_map(members) {
        let mut parts = item.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let name = parts.next().unwrap_or_default();
        let is_same = name.eq_ignore_ascii_case(coding.as_bytes())
            || (coding == "gzip" && name.eq_ignore_ascii_case(b"x-gzip"));
        if is_same {
            let given = parts.find_map(|part| {
                let (name, value) = part.split_at_checked(2)?;
                name.eq_ignore_ascii_case(b"q=").then(|| weight(value))
            });
            return Some(given.unwrap_or(1000));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weight_decides_and_then_the_order_of_the_route() {
        use Encoding::{Brotli, Gzip, Zstd};
        let all = [Zstd, Brotli, Gzip];
        for (value, expected) in [
            ("", None),
            ("gzip", Some(Gzip)),
            ("gzip, br", Some(Brotli)),
            ("gzip;q=1.0, br;q=0.9, zstd;q=0", Some(Gzip)),
            ("*", Some(Zstd)),
            ("zstd;q=0, *;q=0.5", Some(Brotli)),
            ("X-GZIP ; Q=0.001", Some(Gzip)),
            ("identity", None),
            ("identity, gzip;q=0.5", None),
            ("identity;q=0.5, gzip;q=0.5", Some(Gzip)),
            ("gzip;q=0", None),
            ("gzip;q=0.0005, br;q=2, zstd;q=x", None),
            ("deflate, compress", None),
        ] {
            let values = [value.as_bytes()];
            assert_eq!(choose(&all, values.into_iter()), expected, "{value:?}");
        }
        let lines = [&b"gzip"[..], b"zstd"];
        assert_eq!(choose(&all, lines.into_iter()), Some(Zstd));
        assert_eq!(choose(&[Gzip], lines.into_iter()), Some(Gzip));
    }
}

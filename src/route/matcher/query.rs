//! Conditions on query parameters, compared in decoded form without decoding them first.

use smallvec::SmallVec;

use crate::config::value::ValueMatch;
use crate::semantics::query::{decode, find_raw, is_encoded};

/// Tells whether the parameter meets the condition; of a repeated one the first counts.
pub(super) fn matches(query: Option<&[u8]>, name: &str, wanted: &ValueMatch) -> bool {
    let Some(value) = find_raw(query, name) else {
        return wanted.matches(None);
    };
    match wanted {
        ValueMatch::Present(_) => wanted.matches(Some(value)),
        ValueMatch::Exact(exact) => decode(value).eq(exact.bytes()),
        ValueMatch::Regex(_) if !is_encoded(value) => wanted.matches(Some(value)),
        ValueMatch::Regex(_) => {
            let value: SmallVec<[u8; 256]> = decode(value).collect();
            wanted.matches(Some(&value))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_compared_decoded() {
        let query = Some(&b"a=1&b%20c=x+y%21&a=2&flag&d=%zz&="[..]);
        assert!(matches(query, "b c", &ValueMatch::Exact("x y!".into())));
        assert!(matches(
            query,
            "b c",
            &ValueMatch::Regex("^x y".parse().unwrap())
        ));
        assert!(!matches(query, "a", &ValueMatch::Exact("2".into())));
        assert!(matches(query, "e", &ValueMatch::Present(false)));
        assert!(!matches(Some(b""), "", &ValueMatch::Present(true)));
    }
}

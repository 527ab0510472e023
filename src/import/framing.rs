//! Fields that the proxy writes itself.

use crate::semantics::hop_by_hop::FRAMING;

/// Returns true for changes of fields that frame a message or belong to a connection; `item` is the
/// one of a list.
pub(super) fn is_framing(key: &str, item: &str) -> bool {
    let Some(rest) = key.strip_prefix("headers_re") else {
        return false;
    };
    let name = match rest.ends_with(".remove") {
        true => item.trim_matches('"'),
        false => rest.rsplit('.').next().unwrap_or(rest),
    };
    FRAMING.contains(&name)
}

/// Returns true for a change of a field whose name is none.
pub(super) fn is_of_no_field(key: &str) -> bool {
    let rest = key
        .strip_prefix("headers_request.")
        .or_else(|| key.strip_prefix("headers_response."));
    let Some((_, name)) = rest.and_then(|it| it.split_once('.')) else {
        return false;
    };
    let name = name.trim_matches('"');
    let is_letter = |it: u8| it.is_ascii_alphanumeric() || b"-_!#$%&'*+.^`|~".contains(&it);
    name.is_empty() || !name.bytes().all(is_letter)
}

/// The reason why nothing is made of such a line.
pub(super) const FRAMED: &str =
    "the proxy writes it itself, and upgrades such as WebSocket pass by themselves";

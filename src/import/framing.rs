//! Fields that the proxy writes itself.

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

/// The reason why nothing is made of such a line.
pub(super) const FRAMED: &str =
    "the proxy writes it itself, and upgrades such as WebSocket pass by themselves";
const FRAMING: [&str; 8] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

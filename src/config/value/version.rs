//! Versions that are written in part.

/// Returns the whole version that a part of one may stand for: `1.0` for 1.0.0, `v1.2.3` for 1.2.3.
pub fn whole(text: &str) -> Option<semver::Version> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let forms = [text.to_owned(), format!("{text}.0"), format!("{text}.0.0")];
    forms.iter().find_map(|text| text.parse().ok())
}

//! The version that a client asks for with a header.

use http::HeaderName;
use semver::VersionReq;

use crate::semantics::Headers;

/// The field cannot be read as a requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadVersion;

/// Reads the version that a request asks for; nothing if it asks for none.
///
/// Written as in the configuration: `2` asks for any version that is compatible with 2.0.0.
///
/// # Errors
/// [`BadVersion`]; also for several fields, and for one of more than 128 bytes.
pub fn asked(headers: &Headers, name: &HeaderName) -> Result<Option<VersionReq>, BadVersion> {
    let mut lines = headers.get_all(name);
    let Some(first) = lines.next() else {
        return Ok(None);
    };
    let text = std::str::from_utf8(first.as_bytes()).map_err(|_| BadVersion)?;
    let text = text.trim_matches([' ', '\t']);
    // The parser takes an empty one for any version.
    if lines.next().is_some() || text.is_empty() || text.len() > TEXT_MAX {
        return Err(BadVersion);
    }
    VersionReq::parse(text).map(Some).map_err(|_| BadVersion)
}

/// Bytes of a requirement.
const TEXT_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use semver::Version;

    use super::*;
    use crate::semantics::headers::fields;

    const NAME: HeaderName = HeaderName::from_static("x-api-version");

    #[test]
    fn requirements_are_read_as_in_the_configuration() {
        let meets = |wanted: &str, version: &str| {
            let asked = asked(&fields(&[("X-Api-Version", wanted)]), &NAME);
            let asked = asked.unwrap().unwrap();
            asked.matches(&Version::parse(version).unwrap())
        };
        assert!(meets("^2", "2.1.0") && meets(" 2 ", "2.1.0"));
        assert!(meets(">=1, <3", "2.0.0") && !meets("=2.1", "2.2.0"));
        assert!(!meets("^2", "2.1.0-rc.1"), "only when it is asked for");
        assert!(meets("^2.1.0-rc.1", "2.1.0-rc.1"));
    }

    #[test]
    fn what_is_no_requirement_is_refused_and_not_guessed() {
        assert_eq!(asked(&Headers::new(), &NAME), Ok(None));
        let long = format!("={}", "1".repeat(200));
        for bad in ["", " ", "two", "^", "2..1", "1.0.0.0", "\u{e9}", &long] {
            let told = asked(&fields(&[("x-api-version", bad)]), &NAME);
            assert_eq!(told, Err(BadVersion), "{bad}");
        }
        let twice = fields(&[("x-api-version", "1"), ("x-api-version", "1")]);
        assert_eq!(asked(&twice, &NAME), Err(BadVersion));
    }
}

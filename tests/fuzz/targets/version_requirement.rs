//! Any text as a version requirement of a route, and as the version of an endpoint: no panic, and the
//! endpoints of the route are those whose version meets it.

use semver::{Version, VersionReq};
use sluicegate::state::{Asked, HealthKnown, explain};

use super::compiled::read;

/// Checks one input: a requirement, a line end, and a version.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (requirement, version) = text.split_once('\n').unwrap_or((text, "1.2.3"));
    let known = ["0.9.0", "1.0.0", "1.4.2", "2.0.0-rc.1", "2.0.0", version];
    let endpoints = (1..).zip(known).map(|(port, version)| {
        let version = quoted(version);
        format!("{{ address = \"127.0.0.1:{port}\", version = {version} }}")
    });
    let endpoints: Vec<String> = endpoints.collect();
    let written = format!(
        "[listeners.web]\naddress = \"127.0.0.1:0\"\n[routes.all]\npool = \"app\"\n\
         version = {}\n[pools.app]\nendpoints = [{}]\n",
        quoted(requirement),
        endpoints.join(", ")
    );
    let expected = (
        requirement.parse::<VersionReq>(),
        version.parse::<Version>(),
    );
    let built = match (read(&written), &expected) {
        (Ok(built), (Ok(_), Ok(_))) => built.expect("what is checked can be compiled"),
        (Err(faults), _) => {
            assert!(!faults.to_string().is_empty(), "refused without a reason");
            // Two right ones may still fit none of the endpoints.
            let fits = matches!(&expected, (Ok(wanted), Ok(_)) if known.iter().any(|it| meets(wanted, it)));
            assert!(!fits, "{faults}");
            return;
        }
        (Ok(_), expected) => panic!("accepted: {expected:?}"),
    };
    let (Ok(wanted), _) = expected else { return };
    assert_eq!(wanted.to_string().parse().ok().as_ref(), Some(&wanted));
    let asked = Asked::read("GET", "http://a/", &[]).expect("a request");
    let told = explain(&built, &asked, HealthKnown::No).expect("an explanation");
    let members = told.candidates.iter().filter(|it| it.skipped.is_none());
    let mut candidates: Vec<&str> = members.map(|it| &*it.endpoint).collect();
    candidates.sort_unstable();
    let fit = (1..)
        .zip(known)
        .filter(|(_, version)| meets(&wanted, version));
    let mut fit: Vec<String> = fit.map(|(port, _)| format!("127.0.0.1:{port}")).collect();
    fit.sort_unstable();
    assert_eq!(candidates, fit, "{requirement:?} {version:?}");
}

fn meets(wanted: &VersionReq, version: &str) -> bool {
    version
        .parse()
        .is_ok_and(|version| wanted.matches(&version))
}

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            _ if character.is_control() => {
                quoted.push_str(&format!("\\u{:04X}", u32::from(character)));
            }
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

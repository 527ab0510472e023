//! Comparison of JSON bodies, without members that may differ.

use std::fmt;

use serde_json::Value;

/// Path to members that are not compared: a JSON Pointer (RFC 6901) in which `*` stands for any
/// member or element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Any,
    Named(String),
}

impl JsonPath {
    /// Parses a path.
    ///
    /// # Errors
    /// The reason why it is none.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let Some(rest) = text.strip_prefix('/') else {
            return Err("it must start with \"/\"");
        };
        let steps = rest.split('/').map(|step| match step {
            "*" => Step::Any,
            // In this order (RFC 6901 section 4).
            step => Step::Named(step.replace("~1", "/").replace("~0", "~")),
        });
        Ok(Self(steps.collect()))
    }
}

/// Returns the path of the first difference between two values; none if there is none.
pub(super) fn difference(ours: &Value, theirs: &Value, ignored: &[JsonPath]) -> Option<String> {
    let ignored: Vec<&[Step]> = ignored.iter().map(|path| &*path.0).collect();
    let mut place = Vec::new();
    differs(ours, theirs, &ignored, &mut place).then(|| Pointer(&place).to_string())
}

/// Returns true if the values differ; `place` is then where. `ignored` are the rests of the paths
/// that lead through this place. Values are no deeper than the parser allows.
fn differs<'v>(
    ours: &'v Value,
    theirs: &'v Value,
    ignored: &[&[Step]],
    place: &mut Vec<Place<'v>>,
) -> bool {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let only_theirs = theirs.keys().filter(|key| !ours.contains_key(*key));
            for key in ours.keys().chain(only_theirs) {
                let Some(rest) = below(ignored, key) else {
                    continue;
                };
                place.push(Place::Member(key));
                let differ = match (ours.get(key), theirs.get(key)) {
                    (Some(ours), Some(theirs)) => differs(ours, theirs, &rest, place),
                    _ => true,
                };
                if differ {
                    return true;
                }
                place.pop();
            }
            false
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            for index in 0..ours.len().max(theirs.len()) {
                let Some(rest) = below(ignored, &index.to_string()) else {
                    continue;
                };
                place.push(Place::Element(index));
                let differ = match (ours.get(index), theirs.get(index)) {
                    (Some(ours), Some(theirs)) => differs(ours, theirs, &rest, place),
                    _ => true,
                };
                if differ {
                    return true;
                }
                place.pop();
            }
            false
        }
        (ours, theirs) => ours != theirs,
    }
}

/// Returns the rests of the paths that lead on to this member; none if one of them ends there, so that
/// it is not compared.
fn below<'p>(ignored: &[&'p [Step]], key: &str) -> Option<Vec<&'p [Step]>> {
    let mut rests = Vec::new();
    for path in ignored {
        let Some((first, rest)) = path.split_first() else {
            continue;
        };
        let leads = match first {
            Step::Any => true,
            Step::Named(name) => name == key,
        };
        match (leads, rest) {
            (true, []) => return None,
            (true, rest) => rests.push(rest),
            (false, _) => {}
        }
    }
    Some(rests)
}

enum Place<'v> {
    Member(&'v str),
    Element(usize),
}

/// Bounded: keys are chosen by the services.
struct Pointer<'p, 'v>(&'p [Place<'v>]);

impl fmt::Display for Pointer<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("the whole");
        }
        for place in self.0.iter().take(PLACES_MAX) {
            match place {
                Place::Element(index) => write!(f, "/{index}")?,
                Place::Member(name) => {
                    let name: String = name.chars().take(NAME_MAX).collect();
                    let name = name.replace('~', "~0").replace('/', "~1");
                    write!(f, "/{}", name.escape_debug())?;
                }
            }
        }
        if self.0.len() > PLACES_MAX {
            f.write_str("/…")?;
        }
        Ok(())
    }
}

const PLACES_MAX: usize = 12;
const NAME_MAX: usize = 40;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(ours: &Value, theirs: &Value, ignored: &[&str]) -> Option<String> {
        let ignored: Vec<_> = ignored
            .iter()
            .map(|path| JsonPath::parse(path).unwrap())
            .collect();
        difference(ours, theirs, &ignored)
    }

    #[test]
    fn the_first_difference_is_told_by_its_path() {
        let ours = json!({"a": 1, "items": [{"id": 1, "price": 3}, {"id": 2, "price": 4}]});
        let theirs = json!({"items": [{"price": 3, "id": 9}, {"id": 8, "price": 5}], "a": 1});
        assert_eq!(told(&ours, &ours, &[]), None);
        assert_eq!(told(&ours, &theirs, &[]).as_deref(), Some("/items/0/id"));
        let ids = ["/items/*/id"];
        assert_eq!(
            told(&ours, &theirs, &ids).as_deref(),
            Some("/items/1/price")
        );
        assert_eq!(told(&ours, &theirs, &["/items"]), None);
        assert_eq!(told(&ours, &theirs, &["/*"]), None);
        assert_eq!(
            told(&json!(1), &json!(2), &["/a"]).as_deref(),
            Some("the whole")
        );
    }

    #[test]
    fn what_only_one_has_is_a_difference_unless_it_is_ignored() {
        let (ours, theirs) = (json!({"a/b": 1}), json!({}));
        assert_eq!(told(&ours, &theirs, &[]).as_deref(), Some("/a~1b"));
        assert_eq!(told(&theirs, &ours, &[]).as_deref(), Some("/a~1b"));
        assert_eq!(told(&theirs, &ours, &["/a~1b"]), None);
        let (short, long) = (json!([1]), json!([1, null]));
        assert_eq!(told(&short, &long, &[]).as_deref(), Some("/1"));
    }

    #[test]
    fn a_path_starts_with_a_slash() {
        assert!(JsonPath::parse("a").is_err() && JsonPath::parse("").is_err());
    }
}

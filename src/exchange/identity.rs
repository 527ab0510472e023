//! The client as authentication knows him.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::Exchange;

/// Identity of a client that was authenticated.
#[derive(Clone, Debug, Default)]
pub(crate) struct Identity {
    /// His name; none if the way in gives no name.
    pub(crate) user: Option<Box<str>>,
    /// The claims of his token.
    pub(crate) claims: Option<Map<String, Value>>,
}

impl Exchange {
    /// The name of the client, once `auth` of the route has let him pass.
    pub fn user(&self) -> Option<&str> {
        self.identity()?.user.as_deref()
    }

    /// A claim of the client's token, as text.
    pub(crate) fn claim(&self, name: &str) -> Option<Cow<'_, str>> {
        claim_text(self.claims()?, name)
    }

    /// The claims of the client's token.
    pub(crate) fn claims(&self) -> Option<&Map<String, Value>> {
        self.identity()?.claims.as_ref()
    }

    /// Few exchanges have one: it takes no room in the others.
    fn identity(&self) -> Option<&Identity> {
        self.passage.find()
    }

    /// Takes over what one more way of authentication knows of the client. What it does not know
    /// stays as it is.
    pub(crate) fn identify(&mut self, identity: Identity) {
        let Some(known) = self.passage.find_mut::<Identity>() else {
            return self.keep(identity);
        };
        if identity.user.is_some() {
            known.user = identity.user;
        }
        if identity.claims.is_some() {
            known.claims = identity.claims;
        }
    }
}

/// Finds a claim: by its whole name, or by the names on the way to it with dots between.
pub(crate) fn find_claim<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(name) {
        return Some(value);
    }
    let mut steps = name.split('.');
    let first = claims.get(steps.next()?)?;
    steps.try_fold(first, |value, step| value.get(step))
}

/// Text of a claim; the texts of a list have commas between. None if it has none.
pub(crate) fn claim_text<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<Cow<'a, str>> {
    text_of(find_claim(claims, name)?)
}

fn text_of(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Bool(_) | Value::Number(_) => Some(Cow::Owned(value.to_string())),
        Value::Array(list) => {
            let texts: Vec<Cow<'_, str>> = list.iter().filter_map(text_of).collect();
            Some(Cow::Owned(texts.join(",")))
        }
        Value::Null | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn claims_have_texts_by_their_names_or_ways() {
        let claims = json!({
            "sub": "anna", "a.b": 1, "a": { "b": 2, "c": ["x", true, {}] }, "n": null,
        });
        let Value::Object(claims) = claims else {
            unreachable!("an object")
        };
        let text = |name: &str| claim_text(&claims, name).map(Cow::into_owned);
        assert_eq!(text("sub").as_deref(), Some("anna"));
        assert_eq!(text("a.b").as_deref(), Some("1"));
        assert_eq!(text("a.c").as_deref(), Some("x,true"));
        for name in ["", "n", "a", "a.d", "sub.x"] {
            assert_eq!(text(name), None, "{name}");
        }
    }
}

//! Strings that are kept outside the file: `{ env = "NAME" }` and `{ file = "path" }`.
//!
//! Every string may be given so. The values are hidden: a value kept out of the file must not be
//! shown by the proxy either.

use std::{borrow::Cow, env::VarError, path::Path};

use serde_json::{Value, json};

use super::{Form, Found, Node, Reader, Setting, Shape, Span, TableReader, choice};
use crate::config::diagnostic::Fault;
use crate::config::value::{Mismatch, secret::MASK};
use crate::file;
use crate::tls::Stamps;

choice! {
    /// Place of a string that is kept outside the file.
    enum Place {
        /// A variable of the environment.
        "env" => Env(Written),
        /// A file.
        "file" => File(Written),
    }
}

impl Reader<'_> {
    /// Reads a string, from the file itself or from where it is kept. Another type is
    /// [`Found::Absent`], without a fault.
    pub fn string<'n>(&mut self, node: &Node<'n>) -> Found<Cow<'n, str>> {
        if let Some(text) = node.text() {
            return Found::Value(Cow::Borrowed(text));
        }
        if !is_elsewhere(node) {
            return Found::Absent;
        }
        match self.fetch(node) {
            Ok(text) => {
                self.conceal(&text);
                Found::Value(Cow::Owned(text))
            }
            Err(Some(_)) if self.excuses_missing() => Found::Value(Cow::Borrowed(MASK)),
            Err(fault) => {
                if let Some(fault) = fault {
                    self.mismatch(node, &fault);
                }
                Found::Bad
            }
        }
    }

    /// Fetches a value kept outside the file; returns no fault if one is noted already.
    pub(super) fn fetch(&mut self, node: &Node<'_>) -> Result<String, Option<Mismatch>> {
        let entries = node.table().ok_or(None)?;
        // A default, however its key is spelt.
        for (key, value) in entries {
            if !matches!(&**key.get_ref(), "env" | "file") {
                self.hide(Span::from(value.span()));
            }
        }
        let mut table = TableReader::new(entries, node.anchor, self);
        let place = Place::read_required_of(&mut table);
        let default = table.key::<Written>("default");
        table.refuse_unknown(&["env", "file", "default"], &[]);
        let default = match default {
            Found::Absent => None,
            Found::Bad => return Err(None),
            Found::Value(Written(text)) => Some(text),
        };
        let place = place.ok_or(None)?;
        if self.withholds() {
            let message = "what is kept elsewhere is looked up only for who shows admin.token";
            let expected = "ask with the token, or let `sluicegate check` read the file";
            return Err(Some(Mismatch::new(message, expected)));
        }
        match place {
            Place::Env(Written(name)) => variable(&name, default).map_err(Some),
            Place::File(_) if default.is_some() => {
                let message = "a file has no default";
                let expected = "{ env = \"NAME\", default = \"…\" } or { file = \"path\" }";
                Err(Some(Mismatch::new(message, expected)))
            }
            Place::File(Written(path)) => {
                let path = self.resolve(&path);
                // Looked at before it is read: a change in between is then seen later.
                self.uses_file(&path, Stamps::of(&[&path]));
                content(&path).map_err(Some)
            }
        }
    }
}

impl Place {
    fn read_required_of(table: &mut TableReader<'_, '_>) -> Option<Self> {
        <Self as super::Choice>::read_required(table)
    }
}

/// Tells whether the node is a reference to a value kept elsewhere, valid or not.
pub(crate) fn is_elsewhere(node: &Node<'_>) -> bool {
    let says = |key: &str| {
        let value = node.table().and_then(|table| table.get(key));
        value.is_some_and(|value| value.get_ref().as_str().is_some())
    };
    says("env") || says("file")
}

/// Returns the JSON Schema of such a table.
pub(crate) fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "env": { "type": "string", "description": "A variable of the environment." },
            "default": { "type": "string", "description": "What holds when it is not set." },
            "file": { "type": "string", "description": "A file; white space at its end does not count." },
        },
        "oneOf": [{ "required": ["env"] }, { "required": ["file"] }],
        "additionalProperties": false,
    })
}

fn variable(name: &str, default: Option<String>) -> Result<String, Mismatch> {
    match (std::env::var(name), default) {
        (Ok(text), _) | (Err(VarError::NotPresent), Some(text)) => Ok(text),
        (Err(VarError::NotPresent), None) => {
            let message = format!("the environment variable {name} is not set");
            let expected = format!("set it, or say {{ env = \"{name}\", default = \"…\" }}");
            Err(Mismatch::new(message, expected))
        }
        (Err(VarError::NotUnicode(_)), _) => {
            let message = format!("the environment variable {name} is not Unicode text");
            Err(Mismatch::new(message, ""))
        }
    }
}

fn content(path: &Path) -> Result<String, Mismatch> {
    let refused = |why: &str| {
        let message = format!("the file {} cannot be read", path.display());
        Mismatch::new(message, why)
    };
    let text = file::read_to_string(path, FILE_BYTES_MAX);
    let text = text.map_err(|error| refused(&error.to_string()))?;
    Ok(text.trim_end().to_owned())
}

/// Maximum size of such a file: more than any value needs.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A string written in the file itself.
#[derive(Debug, Clone, PartialEq)]
struct Written(String);

impl Setting for Written {
    fn shape() -> Shape {
        String::shape()
    }

    fn form() -> Form {
        Form::Any
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let Some(text) = node.text().filter(|text| !text.contains('\0')) else {
            let example = "{ env = \"NAME\" } or { file = \"path\" }";
            let message = format!("{} must be plain text", reader.place());
            reader.fault(Fault::error(node.span, message, format!("as in {example}")));
            return None;
        };
        Some(Self(text.to_owned()))
    }

    fn print(&self) -> Value {
        self.0.as_str().into()
    }
}

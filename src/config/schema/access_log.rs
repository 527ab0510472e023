//! `[access_log]`: one line per exchange.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use http::HeaderName;
use serde_json::Value;

use crate::config::{
    setting::{Form, Found, Node, Reader, Setting, Shape, table},
    value::{FieldSource, Mismatch, Ratio, Template, nearest::alternatives, template::Fill},
};

table! {
    /// One line per exchange.
    pub struct AccessLog: Default {
        /// The file that lines are appended to; `"-"` is standard output.
        pub path: LogTarget = LogTarget::Stdout,
        /// `"json"`, `"common"`, or a template such as `"{client} {method} {path} {status}"`; an added field is `{field.NAME}`.
        pub format: AccessFormat = AccessFormat::Json,
        /// Share of exchanges that are logged, chosen by the request id.
        pub sample: Ratio = Ratio::ONE,
        /// Changes to the fields.
        pub fields: AccessFields = AccessFields::default(),
    }
}

table! {
    /// Changes to the fields of the access log.
    pub struct AccessFields: Default {
        /// Further fields by name, from `"header:NAME"` or `"response_header:NAME"`.
        pub add: BTreeMap<String, FieldSource> = BTreeMap::new(),
        /// Fields, headers and query parameters whose values are written as `***`.
        pub redact: Vec<String> = Vec::new(),
    }
}

impl AccessFields {
    /// Tells whether the value of a header is to be masked.
    pub fn redacts_header(&self, name: &HeaderName) -> bool {
        let mut names = self.redact.iter();
        names.any(|redacted| redacted.eq_ignore_ascii_case(name.as_str()))
    }
}

/// Target of the lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTarget {
    /// Standard output.
    Stdout,
    /// A file, which is appended to.
    File(PathBuf),
}

impl Setting for LogTarget {
    fn shape() -> Shape {
        Shape::value("path or \"-\"", "\"access.log\"")
    }

    fn form() -> Form {
        Form::Text
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match reader.string(node) {
            Found::Value(text) if text == "-" => return Some(Self::Stdout),
            Found::Bad => return None,
            Found::Value(_) | Found::Absent => {}
        }
        PathBuf::read(node, reader).map(Self::File)
    }

    fn print(&self) -> Value {
        match self {
            Self::Stdout => "-".into(),
            Self::File(path) => path.print(),
        }
    }
}

/// Form of the lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessFormat {
    /// One JSON object per line.
    Json,
    /// The common log format of web servers.
    Common,
    /// As the template says.
    Template(Template<AccessField>),
}

impl Setting for AccessFormat {
    fn shape() -> Shape {
        Shape::value("\"json\", \"common\" or template", "\"{client} {status}\"")
    }

    fn form() -> Form {
        Form::Text
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        reader.parse_text(node, &Self::shape(), |text| match text {
            "json" => Ok(Self::Json),
            "common" => Ok(Self::Common),
            _ if !text.contains('{') => {
                let formats = ["json", "common", "a template with {fields}"];
                let message = format!("\"{text}\" is not a format");
                Err(Mismatch::new(
                    message,
                    alternatives("allowed", text, &formats),
                ))
            }
            _ => Template::parse(text).map(Self::Template),
        })
    }

    fn print(&self) -> Value {
        self.to_string().into()
    }
}

impl fmt::Display for AccessFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json => f.write_str("json"),
            Self::Common => f.write_str("common"),
            Self::Template(template) => template.fmt(f),
        }
    }
}

/// A field of the access log in a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessField(String);

impl AccessField {
    /// The fields that every line has.
    pub const NAMES: &'static [&'static str] = &[
        "time",
        "request_id",
        "trace_id",
        "span_id",
        "listener",
        "client",
        "method",
        "host",
        "path",
        "protocol",
        "status",
        "reason",
        "route",
        "pool",
        "endpoint",
        "version",
        "attempts",
        "bytes_in",
        "bytes_out",
        "total_ms",
        "upstream_ms",
        "queue_ms",
        "tls",
        "tls_subject",
        "user",
        "user_agent",
    ];

    /// Gives the name of the field, if it is one that `fields.add` must define.
    pub fn added(&self) -> Option<&str> {
        self.0.strip_prefix(ADDED)
    }
}

/// An added field can be checked only with the whole table.
impl Fill for AccessField {
    fn from_name(name: &str) -> Result<Self, Vec<&'static str>> {
        let is_added = name
            .strip_prefix(ADDED)
            .is_some_and(|name| !name.is_empty());
        if is_added || Self::NAMES.contains(&name) {
            return Ok(Self(name.to_owned()));
        }
        Err(Self::NAMES.iter().copied().chain(["field.NAME"]).collect())
    }

    fn name(&self) -> &str {
        &self.0
    }
}

/// Prefix of the name of an added field.
const ADDED: &str = "field.";

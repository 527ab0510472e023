//! `[access_log]`: one line per exchange.

use std::collections::BTreeMap;
use std::path::PathBuf;

use http::HeaderName;
use serde_json::Value;

use crate::config::setting::{Node, Reader, Setting, Shape, table};
use crate::config::value::template::Fill;
use crate::config::value::{FieldSource, Ratio, Template};

table! {
    /// One line per exchange.
    pub struct AccessLog: Default {
        /// The file that lines are appended to; `"-"` is standard output.
        pub path: LogTarget = LogTarget::Stdout,
        /// `"json"`, `"common"`, or a template such as `"{client} {method} {path} {status}"`.
        pub format: AccessFormat = AccessFormat::Json,
        /// Share of exchanges that are logged; those that failed always are.
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

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTarget {
    /// Standard output.
    Stdout,
    /// A file.
    File(PathBuf),
}

impl Setting for LogTarget {
    fn shape() -> Shape {
        Shape::value("path or \"-\"", "\"access.log\"")
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        if node.text() == Some("-") {
            return Some(Self::Stdout);
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

/// How lines are written.
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

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        reader.parse_text(node, &Self::shape(), |text| match text {
            "json" => Ok(Self::Json),
            "common" => Ok(Self::Common),
            _ if !text.contains('{') => Err(crate::config::value::Mismatch::new(
                format!("\"{text}\" is not a format"),
                crate::config::nearest::alternatives(
                    "allowed",
                    text,
                    &["json", "common", "a template with {fields}"],
                ),
            )),
            _ => Template::parse(text).map(Self::Template),
        })
    }

    fn print(&self) -> Value {
        match self {
            Self::Json => "json".into(),
            Self::Common => "common".into(),
            Self::Template(template) => template.to_string().into(),
        }
    }
}

/// A field of the access log in a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessField(String);

impl AccessField {
    /// The fields that every line has.
    pub const NAMES: [&'static str; 24] = [
        "time",
        "request_id",
        "trace_id",
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
        "user_agent",
        "query",
    ];

    /// Tells whether the name is one of those that `[access_log.fields] add` must define.
    pub fn is_added(&self) -> bool {
        !Self::NAMES.contains(&self.0.as_str())
    }
}

/// A name that is not built in may be one that `fields.add` defines, so it is only
/// checked when the whole is known.
impl Fill for AccessField {
    fn from_name(name: &str) -> Result<Self, Vec<&'static str>> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if !name.is_empty() && name.bytes().all(plain) {
            return Ok(Self(name.to_owned()));
        }
        Err(Self::NAMES.to_vec())
    }

    fn name(&self) -> &str {
        &self.0
    }
}

//! `[access_log]`: one line per exchange.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde_json::Value;

use crate::config::{
    setting::{Form, Found, Node, Reader, Setting, Shape, table, words},
    value::{
        BindAddress, ByteSize, FieldSource, Mismatch, Ratio, Template, nearest::alternatives,
        template::Fill,
    },
};

table! {
    /// One line per exchange.
    pub struct AccessLog: Default {
        /// The file that lines are appended to; `"-"` is standard output.
        pub path: LogTarget = LogTarget::Stdout,
        /// Syslog server (RFC 5424) that gets the lines instead of a file.
        pub syslog: Option<Syslog> = None,
        /// Rotation of the file by its size. SIGUSR1 opens it anew in any case.
        pub rotate: Option<LogRotation> = None,
        /// `"json"`, `"ecs"` (names of the Elastic Common Schema), `"common"`, `"combined"`, or a template such as `"{client} {method} {path} {status}"`; an added field is `{field.NAME}`.
        pub format: AccessFormat = AccessFormat::Json,
        /// Share of exchanges that are logged, chosen by the request id.
        pub sample: Ratio = Ratio::ONE,
        /// Changes to the fields.
        pub fields: AccessFields = AccessFields::default(),
    }
}

table! {
    /// A syslog server.
    pub struct Syslog {
        /// Datagram socket of the server, such as `"unix:/dev/log"`, or IP address and port for UDP.
        pub address: BindAddress,
        /// Facility of the lines; their severity is `info`.
        pub facility: SyslogFacility = SyslogFacility::Local7,
        /// Name of the application, up to 48 characters.
        pub app: String = "sluicegate".to_owned(),
    }
}

table! {
    /// Rotation of a file by its size.
    pub struct LogRotation: Default {
        /// Size from which on the file is renamed to `NAME.1`, that one to `NAME.2` and so on; 64 KiB or more.
        pub size: ByteSize = ByteSize::kib(100 << 10),
        /// Number of old files that are kept, 1 to 1000.
        pub keep: u32 = 5,
    }
}

words! {
    /// Facility of a line in syslog.
    pub enum SyslogFacility {
        /// User programs.
        User = "user",
        /// Services.
        Daemon = "daemon",
        /// Local use 0.
        Local0 = "local0",
        /// Local use 1.
        Local1 = "local1",
        /// Local use 2.
        Local2 = "local2",
        /// Local use 3.
        Local3 = "local3",
        /// Local use 4.
        Local4 = "local4",
        /// Local use 5.
        Local5 = "local5",
        /// Local use 6.
        Local6 = "local6",
        /// Local use 7.
        Local7 = "local7",
    }
}

impl SyslogFacility {
    /// Number of the facility (RFC 5424 section 6.2.1).
    pub fn number(self) -> u8 {
        match self {
            Self::User => 1,
            Self::Daemon => 3,
            Self::Local0 => 16,
            Self::Local1 => 17,
            Self::Local2 => 18,
            Self::Local3 => 19,
            Self::Local4 => 20,
            Self::Local5 => 21,
            Self::Local6 => 22,
            Self::Local7 => 23,
        }
    }
}

table! {
    /// Changes to the fields of the access log.
    pub struct AccessFields: Default {
        /// Further fields by name, from `"header:NAME"`, `"response_header:NAME"`, or `"geo.country"` and `"geo.asn"` of the client.
        pub add: BTreeMap<String, FieldSource> = BTreeMap::new(),
        /// Fields, headers and query parameters whose values are written as `***`, besides those whose names look like those of secrets.
        pub redact: Vec<String> = Vec::new(),
        /// Headers and query parameters whose names only look like those of secrets: their values are written.
        pub show: Vec<String> = Vec::new(),
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
    /// One JSON object per line, with the names of the Elastic Common Schema.
    Ecs,
    /// The common log format of web servers.
    Common,
    /// That one with referrer and user agent.
    Combined,
    /// As the template says.
    Template(Template<AccessField>),
}

impl Setting for AccessFormat {
    fn shape() -> Shape {
        Shape::value("name of a format, or template", "\"{client} {status}\"")
    }

    fn form() -> Form {
        // The names are for editors: a template is any text.
        Form::Words(vec!["json", "ecs", "common", "combined"]).or(Form::Text)
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        reader.parse_text(node, &Self::shape(), |text| match text {
            "json" => Ok(Self::Json),
            "ecs" => Ok(Self::Ecs),
            "common" => Ok(Self::Common),
            "combined" => Ok(Self::Combined),
            _ if !text.contains('{') => {
                let formats = [
                    "json",
                    "ecs",
                    "common",
                    "combined",
                    "a template with {fields}",
                ];
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
            Self::Ecs => f.write_str("ecs"),
            Self::Common => f.write_str("common"),
            Self::Combined => f.write_str("combined"),
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

//! Files whose content the proxy sends, such as the page of an error.
//!
//! They are read with the configuration and watched as the files of secrets are; a file that many
//! tables name is read and kept once.

use std::{fmt, io, path::PathBuf};

use bytes::Bytes;
use serde_json::Value;

use super::{Form, Node, Reader, Setting, Shape};
use crate::config::value::Mismatch;
use crate::file;
use crate::tls::Stamps;

/// A file and its content.
#[derive(Clone, PartialEq, Eq)]
pub struct FileContent {
    /// The path.
    pub path: PathBuf,
    /// The content at the time when the configuration was read.
    pub bytes: Bytes,
}

impl FileContent {
    /// Returns the media type that the name of the file stands for.
    pub fn media_type(&self) -> &'static str {
        let ending = self.path.extension().and_then(|it| it.to_str());
        let ending = ending.unwrap_or_default().to_ascii_lowercase();
        let known = MEDIA_TYPES.iter().find(|(known, _)| *known == ending);
        known.map_or("application/octet-stream", |(_, kind)| kind)
    }
}

impl Setting for FileContent {
    fn shape() -> Shape {
        Shape::value("path", "\"pages/sorry.html\"")
    }

    fn form() -> Form {
        Form::Text
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let path = PathBuf::read(node, reader)?;
        let bytes = reader.content_of(node, &path)?;
        Some(Self { path, bytes })
    }

    fn print(&self) -> Value {
        self.path.print()
    }
}

impl Reader<'_> {
    /// Reads a file whose content is sent. Where values kept outside the file must not be read, or
    /// may be missing, an empty one stands in for it.
    fn content_of(&mut self, node: &Node<'_>, path: &PathBuf) -> Option<Bytes> {
        if self.withholds() {
            return Some(Bytes::new());
        }
        if let Some(known) = self.contents.get(path) {
            return Some(known.clone());
        }
        // Looked at before it is read: a change in between is then seen later.
        self.uses_file(path, Stamps::of(&[path]));
        let bytes = match file::read(path, CONTENT_BYTES_MAX) {
            Ok(bytes) => Bytes::from(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.excuses_missing() => {
                Bytes::new()
            }
            Err(error) => {
                let message = format!("the file {} cannot be read", path.display());
                self.mismatch(node, &Mismatch::new(message, error.to_string()));
                return None;
            }
        };
        self.contents.insert(path.clone(), bytes.clone());
        Some(bytes)
    }
}

impl fmt::Debug for FileContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.fmt(f)
    }
}

/// Maximum size of such a file.
const CONTENT_BYTES_MAX: u64 = 1 << 20;

const MEDIA_TYPES: [(&str, &str); 17] = [
    ("html", "text/html; charset=utf-8"),
    ("htm", "text/html; charset=utf-8"),
    ("txt", "text/plain; charset=utf-8"),
    ("json", "application/json"),
    ("xml", "application/xml"),
    ("css", "text/css; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("ico", "image/vnd.microsoft.icon"),
    ("pdf", "application/pdf"),
    ("webmanifest", "application/manifest+json"),
];

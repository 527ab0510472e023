//! Settings that name a file whose content is part of the configuration.

use std::{os::unix::fs::PermissionsExt as _, path::PathBuf, sync::Arc};

use serde_json::Value;

use super::{Form, Node, Reader, Setting, Shape};
use crate::config::diagnostic::Fault;
use crate::config::value::{FileFormat, Mismatch, ReadFile};
use crate::file;
use crate::tls::Stamps;

impl<T: FileFormat> Setting for ReadFile<T> {
    fn shape() -> Shape {
        Shape::value(T::KIND, T::EXAMPLE)
    }

    fn form() -> Form {
        Form::Text
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let path = PathBuf::read(node, reader)?;
        if reader.withholds() {
            // The sender of a configuration must not learn the content of the disk.
            let content = Arc::default();
            return Some(Self { path, content });
        }
        // Looked at before it is read: a change in between is then seen later.
        reader.uses_file(&path, Stamps::of(&[&path]));
        let bytes = match file::read(&path, T::BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(_) if reader.excuses_missing() => {
                let content = Arc::default();
                return Some(Self { path, content });
            }
            Err(error) => {
                let message = format!("the file {} cannot be read", path.display());
                reader.mismatch(node, &Mismatch::new(message, error.to_string()));
                return None;
            }
        };
        if T::IS_SECRET {
            warn_if_open(node, reader, &path);
        }
        let parsed = T::parse_bytes(&bytes).map_err(|(line, mismatch)| {
            let path = path.display();
            let message = match line {
                0 => format!("{path}: {}", mismatch.message),
                line => format!("{path}:{line}: {}", mismatch.message),
            };
            Mismatch::new(message, mismatch.expected)
        });
        let content = Arc::new(reader.accept(node, parsed)?);
        Some(Self { path, content })
    }

    fn print(&self) -> Value {
        self.path.print()
    }
}

/// Warns of a file that all users of the machine can read.
fn warn_if_open(node: &Node<'_>, reader: &mut Reader<'_>, path: &PathBuf) {
    let mode = std::fs::metadata(path).map(|found| found.permissions().mode());
    if mode.is_ok_and(|mode| mode & 0o004 != 0) {
        let place = reader.place();
        let message = format!("{place}: all users of this machine can read the file");
        let hint = format!("chmod o-r {}", path.display());
        reader.fault(Fault::warning(node.span, message, hint));
    }
}

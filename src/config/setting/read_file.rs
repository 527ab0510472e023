//! Settings that name a file whose content is part of the configuration.

use std::{
    any::Any,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use serde_json::Value;

use super::{Form, Node, Reader, Setting, Shape};
use crate::config::diagnostic::Fault;
use crate::config::value::{FileFormat, Mismatch, ReadFile};
use crate::file;
use crate::tls::Stamps;

impl<T: FileFormat + Send + Sync + 'static> Setting for ReadFile<T> {
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
        let stamps = Stamps::of(&[&path]);
        reader.uses_file(&path, stamps.clone());
        if T::IS_LARGE
            && let Some(content) = kept(&path, &stamps)
        {
            return Some(Self { path, content });
        }
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
        if T::IS_LARGE {
            keep(&path, stamps, &content);
        }
        Some(Self { path, content })
    }

    fn print(&self) -> Value {
        self.path.print()
    }
}

/// A large file whose content may be in use.
struct InUse {
    path: PathBuf,
    stamps: Stamps,
    content: Weak<dyn Any + Send + Sync>,
}

/// Large files that were read; their contents belong to the configurations that use them.
static LARGE: Mutex<Vec<InUse>> = Mutex::new(Vec::new());

/// The content of a file that has not changed since it was read and is still in use.
fn kept<T: Send + Sync + 'static>(path: &Path, stamps: &Stamps) -> Option<Arc<T>> {
    let large = LARGE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut same = large
        .iter()
        .filter(|it| it.path == path && it.stamps == *stamps);
    same.find_map(|it| it.content.upgrade()?.downcast().ok())
}

fn keep<T: Send + Sync + 'static>(path: &Path, stamps: Stamps, content: &Arc<T>) {
    let content: Arc<dyn Any + Send + Sync> = Arc::<T>::clone(content);
    let mut large = LARGE.lock().unwrap_or_else(PoisonError::into_inner);
    large.retain(|it| it.content.strong_count() > 0);
    large.push(InUse {
        path: path.to_owned(),
        stamps,
        content: Arc::downgrade(&content),
    });
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

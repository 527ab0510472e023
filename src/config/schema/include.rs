//! `include` at the top of the file.

use std::sync::Arc;

use serde_json::Value;

use crate::config::include::IncludedFile;
use crate::config::origin::Sources;
use crate::config::setting::{Form, Node, Reader, Setting, Shape};

/// The names of included files. They are read before all other keys, and what the files hold stands
/// in the configuration as if it were written in one; so there is nothing left to show of them.
#[derive(Debug, Clone, Default)]
pub struct Include(Option<Arc<Sources>>);

impl Include {
    /// The texts that the whole configuration was written in.
    pub(in crate::config) fn sources(&self) -> Option<&Sources> {
        self.0.as_deref()
    }

    /// The included files, as they were read.
    pub fn files(&self) -> &[IncludedFile] {
        self.sources().map_or(&[], |it| &it.included)
    }

    /// Sets these texts.
    pub(in crate::config) fn set_sources(&mut self, sources: Sources) {
        self.0 = Some(Arc::new(sources));
    }
}

/// The place of a value in a file is no part of it.
impl PartialEq for Include {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Setting for Include {
    fn shape() -> Shape {
        Shape::value("list of paths", "[\"conf.d/*.toml\"]")
    }

    fn form() -> Form {
        Form::List(Box::new(Form::Text))
    }

    fn read(_: &Node<'_>, _: &mut Reader<'_>) -> Option<Self> {
        Some(Self::default())
    }

    fn print(&self) -> Value {
        Value::Null
    }
}

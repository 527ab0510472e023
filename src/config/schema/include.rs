//! `include` at the top of the file.

use serde_json::Value;

use crate::config::setting::{Form, Node, Reader, Setting, Shape};

/// The names of included files. They are read before all other keys, and what the files hold stands
/// in the configuration as if it were written in one; so there is nothing left to show of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Include;

impl Setting for Include {
    fn shape() -> Shape {
        Shape::value("list of paths", "[\"conf.d/*.toml\"]")
    }

    fn form() -> Form {
        Form::List(Box::new(Form::Text))
    }

    fn read(_: &Node<'_>, _: &mut Reader<'_>) -> Option<Self> {
        Some(Self)
    }

    fn print(&self) -> Value {
        Value::Null
    }
}

//! Names and ports of Kubernetes in the file.

use serde_json::Value;

use super::{Form, Node, Reader, Setting, Shape, values::strings};
use crate::config::value::{KubernetesName, KubernetesPort, KubernetesServices};

strings! {
    KubernetesName: "name in Kubernetes", "\"orders\"", KubernetesName::parse, |it| it.as_str().to_owned();
}

/// One name, or a list of them.
impl Setting for KubernetesServices {
    fn shape() -> Shape {
        Shape::value(
            "name in Kubernetes or a list of them",
            "\"orders\" or [\"orders\", \"orders-canary\"]",
        )
    }

    fn form() -> Form {
        Form::Text.or(Form::List(Box::new(Form::Text)))
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let names = if node.list().is_some() {
            Vec::read(node, reader)?
        } else {
            vec![reader.parse_text(node, &Self::shape(), KubernetesName::parse)?]
        };
        reader.accept(node, Self::new(names))
    }

    fn print(&self) -> Value {
        let mut names: Vec<Value> = self.names().map(Into::into).collect();
        match names.len() {
            1 => names.remove(0),
            _ => names.into(),
        }
    }
}

impl Setting for KubernetesPort {
    fn shape() -> Shape {
        Shape::value("name or number of a port", "\"http\"")
    }

    fn form() -> Form {
        Form::Integer.or(Form::Text)
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match node.integer() {
            Some(number) => reader.accept(node, Self::number(number)),
            None => reader.parse_text(node, &Self::shape(), Self::name),
        }
    }

    fn print(&self) -> Value {
        match self {
            Self::Number(number) => (*number).into(),
            Self::Name(name) => name.as_str().into(),
        }
    }
}

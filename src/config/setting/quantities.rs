//! Sizes, shares, and the bounds and times made of them, as they stand in the file.

use serde_json::Value;

use super::{Form, Node, Reader, Setting, Shape};
use crate::config::diagnostic::Fault;
use crate::config::value::{BodyBound, ByteSize, HedgeAfter, MemoryLimit, Mismatch, Ratio};

impl Setting for ByteSize {
    fn shape() -> Shape {
        Shape::value("size", "\"64KiB\"")
    }

    fn form() -> Form {
        Form::Text.or(Form::Integer)
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match node.integer() {
            Some(number) => reader.accept(node, Self::from_integer(number)),
            None => reader.parse_text(node, &Self::shape(), Self::parse),
        }
    }

    fn print(&self) -> Value {
        self.to_string().into()
    }
}

impl Setting for BodyBound {
    fn shape() -> Shape {
        Shape::value("size or false", "\"10MiB\"")
    }

    fn form() -> Form {
        ByteSize::form().or(Form::Off)
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        if let Some(is_on) = node.boolean() {
            if is_on {
                let expected = "a size such as \"10MiB\", or false for no bound";
                reader.mismatch(node, &Mismatch::new("true is no size", expected));
            }
            return (!is_on).then_some(Self::Off);
        }
        let Some(number) = node.integer() else {
            let size = reader.parse_text(node, &Self::shape(), ByteSize::parse);
            return size.map(Self::Written);
        };
        if number == 0 {
            let message = format!("{}: 0 refuses every body", reader.place());
            let hint = "false turns the bound off; if no bodies are wanted, write \"0B\"";
            reader.fault(Fault::warning(node.span, message, hint));
        }
        let size = reader.accept(node, ByteSize::from_integer(number));
        size.map(Self::Written)
    }

    fn print(&self) -> Value {
        self.size().map_or(Value::Bool(false), |size| size.print())
    }
}

impl Setting for Ratio {
    fn shape() -> Shape {
        Shape::value("ratio", "\"5%\" or 0.05")
    }

    fn form() -> Form {
        Form::Text.or(Form::Number)
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match node.number() {
            Some(number) => reader.accept(node, Self::from_number(number)),
            None => reader.parse_text(node, &Self::shape(), Self::parse),
        }
    }

    fn print(&self) -> Value {
        self.to_string().into()
    }
}

impl Setting for MemoryLimit {
    fn shape() -> Shape {
        Shape::value("share or size", "\"80%\" or \"2GiB\"")
    }

    fn form() -> Form {
        Form::Text.or(Form::Number)
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match (node.integer(), node.number()) {
            (Some(number), _) => reader.accept(node, Self::from_integer(number)),
            (None, Some(number)) => reader.accept(node, Self::from_number(number)),
            (None, None) => reader.parse_text(node, &Self::shape(), Self::parse),
        }
    }

    fn print(&self) -> Value {
        self.to_string().into()
    }
}

impl Setting for HedgeAfter {
    fn shape() -> Shape {
        Shape::value("duration or quantile", "\"50ms\" or \"p95\"")
    }

    fn form() -> Form {
        Form::Text
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        reader.parse_text(node, &Self::shape(), Self::parse)
    }

    fn print(&self) -> Value {
        self.to_string().into()
    }
}

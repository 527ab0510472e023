//! Sizes, shares, and the bounds and times made of them, as they stand in the file.

use serde_json::Value;

use super::{Form, Node, Reader, Setting, Shape};
use crate::config::value::{ByteSize, HedgeAfter, MemoryLimit, Ratio};

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

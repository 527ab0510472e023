//! Codes of countries and numbers of autonomous systems in the file.

use serde_json::Value;

use super::{Form, Node, Reader, Setting, Shape, values::strings};
use crate::config::value::{Asn, Country};

strings! {
    Country: "code of a country", "\"DE\"", Country::parse, |it| it.as_str().to_owned();
}

impl Setting for Asn {
    fn shape() -> Shape {
        Shape::value("number of an autonomous system", "64496")
    }

    fn form() -> Form {
        Form::Integer.or(Form::Text)
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match node.integer() {
            Some(number) => reader.accept(node, Self::parse(&number.to_string())),
            None => reader.parse_text(node, &Self::shape(), Self::parse),
        }
    }

    fn print(&self) -> Value {
        self.0.into()
    }
}

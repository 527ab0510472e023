//! `split` of a route, and `pin`: shares of several pools, and who stays where.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::config::setting::{Form, Node, Reader, Setting, Shape, Spanned, table};
use crate::config::value::{HashKey, Name};

/// Pools with their weights.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Split(pub BTreeMap<Name, Spanned<u32>>);

impl Split {
    /// Returns the pools, each with the place of its weight in the file.
    pub fn pools(&self) -> impl Iterator<Item = Spanned<Name>> {
        let pools = self.0.iter();
        pools.map(|(name, weight)| Spanned::new(name.clone(), weight.span))
    }
}

impl Setting for Split {
    fn shape() -> Shape {
        Shape::value("table of pool = weight", "{ orders-a = 90, orders-b = 10 }")
    }

    fn form() -> Form {
        Form::Map(Box::new(u32::form()))
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        if node.table().is_none() {
            reader.wrong_type(node, &Self::shape());
            return None;
        }
        BTreeMap::read(node, reader).map(Self)
    }

    fn print(&self) -> Value {
        self.0.print()
    }
}

table! {
    /// Recognition of users, each of whom stays where he is while the weights stand.
    pub struct Pin: Default {
        /// Part of a request that names the user: `"cookie:NAME"`, `"header:NAME"`, `"query:NAME"` or `"client_ip"`. All workers, and all proxies with the same weights, choose the same for the same user. Without it, and for requests that do not have it, the proxy sets a cookie of its own.
        pub by: Option<HashKey> = None,
        /// Name of the proxy's own cookie. Its value is a random number of 24 bits.
        pub cookie: String = "sluicegate_split".to_owned(),
    }
}

//! `[defaults]`: what every route, pool and listener has unless it says otherwise.

use std::marker::PhantomData;

use serde_json::Value;

use super::{Listener, Pool, Route};
use crate::config::setting::{Form, Node, Reader, Setting, Shape, Table, table};

table! {
    /// Keys that every route, pool and listener has unless it writes them itself. Tables merge key by key, lists and single values replace, and `false` turns off what can be turned off. Of keys that exclude each other, such as `pool` and `redirect`, those of the route win. The configuration that `/config` shows has them where they apply.
    pub struct Defaults {
        /// Keys of all routes, as in `[routes.NAME]`.
        pub routes: Preset<Route> = Preset::default(),
        /// Keys of all pools, as in `[pools.NAME]`.
        pub pools: Preset<Pool> = Preset::default(),
        /// Keys of all listeners, as in `[listeners.NAME]`.
        pub listeners: Preset<Listener> = Preset::default(),
    }
}

/// A part of a table that stands in for what others leave out. It is read to find its faults; its
/// values are in the tables that have them.
#[derive(Debug, Clone)]
pub struct Preset<T>(PhantomData<T>);

impl<T> Default for Preset<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T> PartialEq for Preset<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T: Table + Setting> Setting for Preset<T> {
    fn shape() -> Shape {
        Shape::value("table", "")
    }

    fn form() -> Form {
        Form::Part(T::keys)
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        // A part may lack any key.
        reader.in_part(|reader| T::read(node, reader));
        Some(Self::default())
    }

    fn print(&self) -> Value {
        Value::Null
    }
}

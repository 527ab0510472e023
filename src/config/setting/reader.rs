//! Walk over the TOML tree: the current place and the faults found.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use toml::Spanned as TomlSpanned;
use toml::de::{DeTable, DeValue};

use super::{Found, Hidden, KeyDoc, Shape, Span};
use crate::config::diagnostic::Fault;
use crate::config::value::Mismatch;
use crate::tls::Stamps;

/// A value of the tree with its positions.
#[derive(Debug, Clone, Copy)]
pub struct Node<'a> {
    pub(super) value: &'a DeValue<'a>,
    /// Position of the value.
    pub span: Span,
    /// Position to point at when the value as a whole is meant: its key, if it has one.
    pub anchor: Span,
}

impl<'a> Node<'a> {
    /// Takes a value that stands alone, as in a list.
    pub fn item(value: &'a TomlSpanned<DeValue<'a>>) -> Self {
        let span = value.span().into();
        Self {
            value: value.get_ref(),
            span,
            anchor: span,
        }
    }

    /// Takes the value of a key.
    pub fn entry(key: Span, value: &'a TomlSpanned<DeValue<'a>>) -> Self {
        Self {
            anchor: key,
            ..Self::item(value)
        }
    }

    /// Gives the text of a string.
    pub fn text(&self) -> Option<&'a str> {
        self.value.as_str()
    }

    /// Gives the value of an integer; `None` also when it is out of all range.
    pub fn integer(&self) -> Option<i64> {
        let number = self.value.as_integer()?;
        i64::from_str_radix(number.as_str(), number.radix()).ok()
    }

    /// Gives a number, whole or not.
    pub fn number(&self) -> Option<f64> {
        match self.value {
            DeValue::Float(float) => float.as_str().parse().ok(),
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().parse().ok(),
            _ => None,
        }
    }

    /// Gives a boolean.
    pub fn boolean(&self) -> Option<bool> {
        self.value.as_bool()
    }

    /// Gives the entries of a table.
    pub fn table(&self) -> Option<&'a DeTable<'a>> {
        self.value.as_table()
    }

    /// Gives the items of a list.
    pub fn list(&self) -> Option<impl Iterator<Item = Node<'a>>> {
        self.value
            .as_array()
            .map(|items| items.iter().map(Node::item))
    }

    /// Names the TOML type, with its article.
    pub fn type_name(&self) -> &'static str {
        match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a decimal number",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        }
    }
}

/// The state of one reading: the place in the tree, and the faults so far.
#[derive(Debug)]
pub struct Reader<'a> {
    base: &'a Path,
    path: Vec<String>,
    faults: Vec<Fault>,
    broken: BTreeSet<String>,
    hidden: Vec<Span>,
    /// The place in the tree as it prints, where items of a list count.
    printed: Vec<String>,
    concealed: Hidden,
    root: Option<fn() -> Vec<KeyDoc>>,
    /// Files whose content is sent, read so far.
    pub(super) contents: BTreeMap<PathBuf, Bytes>,
    torn: bool,
    excuses: bool,
    withholds: bool,
}

/// Findings of a reading, apart from the values.
#[derive(Debug)]
pub struct Findings {
    /// Faults found.
    pub faults: Vec<Fault>,
    /// Places (`pools.app`, `pools.app.endpoints`) that could not be read in full, so
    /// must not be called undefined or empty.
    pub broken: BTreeSet<String>,
    /// Text that must not be shown.
    pub hidden: Vec<Span>,
    /// Values that must not be shown.
    pub concealed: Hidden,
}

impl<'a> Reader<'a> {
    /// Starts a reading; relative paths in the file are taken from the folder `base`.
    pub fn new(base: &'a Path) -> Self {
        Self {
            base,
            path: Vec::new(),
            faults: Vec::new(),
            broken: BTreeSet::new(),
            hidden: Vec::new(),
            printed: Vec::new(),
            concealed: Hidden::default(),
            root: None,
            contents: BTreeMap::new(),
            torn: false,
            excuses: false,
            withholds: false,
        }
    }

    /// Sets the root table, to find the table that a misplaced key belongs to.
    pub fn knows(&mut self, root: fn() -> Vec<KeyDoc>) {
        self.root = Some(root);
    }

    /// Returns the tables that have this key, as in `[pools.NAME]`: those around its place if there
    /// are any, else the outermost. None if there are too many to be of use.
    pub(super) fn homes_of(&self, key: &str) -> Vec<String> {
        let roots = self.root.map(|root| root()).unwrap_or_default();
        let mut homes = Vec::new();
        for root in roots {
            let around = self.path.first().is_some_and(|it| it == root.name);
            let mut place = vec![root.name.to_owned()];
            if root.shape.named {
                let name = self.path.get(1).filter(|_| around);
                place.push(name.cloned().unwrap_or_else(|| "NAME".to_owned()));
            }
            let outermost = place.len();
            look_for(key, &root, &place, &mut |depth, table| {
                homes.push((!around, depth - outermost, table));
            });
        }
        homes.retain(|(_, _, table)| *table != self.table_place());
        let first = homes.iter().map(|(far, depth, _)| (*far, *depth)).min();
        homes.retain(|(far, depth, _)| Some((*far, *depth)) == first);
        if homes.len() > HOMES_MAX {
            homes.clear();
        }
        homes.into_iter().map(|(_, _, table)| table).collect()
    }

    /// Replaces texts that are missing where they are kept by `***`.
    pub fn excuse_missing(&mut self) {
        self.excuses = true;
    }

    /// Returns true if a missing text is replaced by `***`.
    pub(super) fn excuses_missing(&self) -> bool {
        self.excuses
    }

    /// Does not read values kept elsewhere; each of them is a fault.
    pub fn withhold(&mut self) {
        self.withholds = true;
    }

    /// Returns true if texts kept outside the file must not be read.
    pub(super) fn withholds(&self) -> bool {
        self.withholds
    }

    /// Reads a part of a table, in which no key is missing.
    pub(in crate::config) fn in_part<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let torn = mem::replace(&mut self.torn, true);
        let result = work(self);
        self.torn = torn;
        result
    }

    /// Declares that parts of the text did not parse, so that a key that seems to be
    /// missing may stand in one of them and is not reported.
    pub fn tear(&mut self) {
        self.torn = true;
    }

    /// Ends the reading.
    pub fn finish(mut self) -> Findings {
        let concealed = mem::take(&mut self.concealed);
        for fault in &mut self.faults {
            fault.mask(&concealed);
        }
        Findings {
            concealed,
            faults: self.faults,
            broken: self.broken,
            hidden: self.hidden,
        }
    }

    /// Keeps the text at `span` out of all output.
    pub fn hide(&mut self, span: Span) {
        self.hidden.push(span);
    }

    /// Keeps the value at this place, whose text is given, out of all output.
    pub fn conceal(&mut self, text: &str) {
        self.concealed.add(&self.printed, text.to_owned());
    }

    /// Notes a file that is read for a value, with its stamps from before the reading.
    pub(super) fn uses_file(&mut self, path: &Path, looked: Stamps) {
        self.concealed.add_file(path, looked);
    }

    /// Names the place in the tree, as in `pools.app.health`.
    pub fn place(&self) -> String {
        self.path.join(".")
    }

    /// Names the table in the tree, as in `[pools.app]`.
    pub fn table_place(&self) -> String {
        if self.path.is_empty() {
            "the file".to_owned()
        } else {
            format!("[{}]", self.place())
        }
    }

    /// Takes a path of the file as relative to the file.
    pub fn resolve(&self, path: &str) -> PathBuf {
        self.base.join(path)
    }

    /// Notes a fault.
    pub fn fault(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// Notes that a key is missing, unless the text is torn.
    pub fn missing(&mut self, fault: Fault) {
        if !self.torn {
            self.faults.push(fault);
        }
    }

    /// Notes that the value has the wrong type.
    pub fn wrong_type(&mut self, node: &Node<'_>, shape: &Shape) {
        let kind = &shape.kind;
        let message = format!(
            "{} must be {} {kind}, not {}",
            self.place(),
            article(kind),
            node.type_name()
        );
        let hint = if shape.example.is_empty() {
            String::new()
        } else {
            format!("such as {}", shape.example)
        };
        self.fault(Fault::error(node.span, message, hint));
    }

    /// Notes that the value has the right type but is not valid.
    pub fn mismatch(&mut self, node: &Node<'_>, mismatch: &Mismatch) {
        let message = format!("{}: {}", self.place(), mismatch.message);
        self.fault(Fault::error(node.span, message, mismatch.expected.as_str()));
    }

    /// Unwraps what a parser of single values returned, or notes why it refused.
    pub fn accept<T>(&mut self, node: &Node<'_>, parsed: Result<T, Mismatch>) -> Option<T> {
        match parsed {
            Ok(value) => Some(value),
            Err(mismatch) => {
                self.mismatch(node, &mismatch);
                None
            }
        }
    }

    /// Reads a string through a parser.
    pub fn parse_text<T>(
        &mut self,
        node: &Node<'_>,
        shape: &Shape,
        parse: impl FnOnce(&str) -> Result<T, Mismatch>,
    ) -> Option<T> {
        let text = match self.string(node) {
            Found::Value(text) => text,
            Found::Bad => return None,
            Found::Absent => {
                self.wrong_type(node, shape);
                return None;
            }
        };
        let parsed = parse(&text).map_err(|mismatch| {
            if node.text().is_some() {
                return mismatch;
            }
            // Nothing can stand in for a number or an address.
            if (self.excuses || self.withholds)
                && let Err(Some(missing)) = self.fetch(node)
            {
                return missing;
            }
            // A parser may say parts of what it refuses.
            let message = format!(
                "the value kept there is not {} {}",
                article(&shape.kind),
                shape.kind
            );
            Mismatch::new(message, format!("such as {}", shape.example))
        });
        self.accept(node, parsed)
    }

    /// Goes one step down for the length of `work`.
    pub fn within<T>(&mut self, step: &str, work: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(step.to_owned());
        self.printed.push(step.to_owned());
        let result = work(self);
        self.printed.pop();
        self.path.pop();
        result
    }

    /// Enters an item of a list, which adds no step in messages.
    pub fn within_item<T>(&mut self, index: usize, work: impl FnOnce(&mut Self) -> T) -> T {
        self.printed.push(index.to_string());
        let result = work(self);
        self.printed.pop();
        result
    }

    /// Remembers that the value at this place could not be read in full.
    pub fn mark_broken(&mut self) {
        self.broken.insert(self.place());
    }
}

/// Calls `tell` for each table in and below `within` that has the key, with its depth.
fn look_for(key: &str, within: &KeyDoc, place: &[String], tell: &mut impl FnMut(usize, String)) {
    let keys = within.shape.keys.map(|keys| keys()).unwrap_or_default();
    for inner in &keys {
        if inner.name == key {
            tell(place.len(), format!("[{}]", place.join(".")));
        }
        let mut place = place.to_vec();
        place.push(inner.name.to_owned());
        if place.len() <= DEPTH_MAX {
            look_for(key, inner, &place, tell);
        }
    }
}

/// Maximum number of tables named for a misplaced key.
const HOMES_MAX: usize = 3;
/// Maximum depth of such tables.
const DEPTH_MAX: usize = 4;

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'u']) && !noun.starts_with("one") {
        "an"
    } else if noun.starts_with("one of") {
        ""
    } else {
        "a"
    }
}

//! YAML: events become a tree, with bounds on its depth and on what aliases stand for.

use std::{borrow::Cow, collections::HashMap, rc::Rc};

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::{Fault, File, Node, Value};

/// A document of YAML while it is read.
pub(super) struct Yaml<'f> {
    file: &'f Rc<File>,
    anchors: HashMap<usize, Node>,
    /// Tables and lists that are not finished.
    open: Vec<Open>,
    nodes: usize,
}

struct Open {
    node: Node,
    anchor: usize,
    /// The key whose value comes next.
    key: Option<String>,
}

impl<'f> Yaml<'f> {
    pub(super) fn new(file: &'f Rc<File>) -> Self {
        Self {
            file,
            anchors: HashMap::new(),
            open: Vec::new(),
            nodes: 0,
        }
    }

    pub(super) fn read(&mut self, text: &str) -> Result<Node, Fault> {
        let mut root = None;
        for event in Parser::new_from_str(text) {
            let (event, span) =
                event.map_err(|error| (error.marker().line(), error.info().to_owned()))?;
            let line = span.start.line();
            let done = match event {
                Event::DocumentStart(_) if root.is_some() => {
                    let message = "a second document; Traefik reads one of each file";
                    return Err((line, message.to_owned()));
                }
                Event::MappingStart(anchor, _) => {
                    self.begin(Value::Map(Vec::new()), line, anchor)?
                }
                Event::SequenceStart(anchor, _) => {
                    self.begin(Value::List(Vec::new()), line, anchor)?
                }
                Event::MappingEnd | Event::SequenceEnd => self.end()?,
                Event::Scalar(text, style, anchor, _) => {
                    let is_plain = style == ScalarStyle::Plain;
                    let node = self.scalar(text, is_plain, line);
                    if anchor > 0 {
                        self.anchors.insert(anchor, node.clone());
                    }
                    self.put(node)?
                }
                Event::Alias(anchor) => {
                    let node = self.anchors.get(&anchor).cloned();
                    let node = node.ok_or_else(|| (line, "an alias without anchor".to_owned()))?;
                    self.put(node)?
                }
                _ => None,
            };
            root = done.or(root);
        }
        Ok(root.unwrap_or_else(|| self.node(Value::Null, 1)))
    }

    fn node(&self, value: Value, line: usize) -> Node {
        Node {
            value,
            line,
            file: Rc::clone(self.file),
        }
    }

    fn scalar(&self, text: Cow<'_, str>, is_plain: bool, line: usize) -> Node {
        let is_null = is_plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
        let value = match is_null {
            true => Value::Null,
            false => Value::Text(text.into_owned()),
        };
        self.node(value, line)
    }

    fn begin(&mut self, value: Value, line: usize, anchor: usize) -> Result<Option<Node>, Fault> {
        if self.open.len() >= DEPTH_MAX {
            return Err((line, "the tables are nested too deeply".to_owned()));
        }
        let node = self.node(value, line);
        self.open.push(Open {
            node,
            anchor,
            key: None,
        });
        Ok(None)
    }

    fn end(&mut self) -> Result<Option<Node>, Fault> {
        let Some(mut done) = self.open.pop() else {
            return Ok(None);
        };
        merge(&mut done.node);
        if done.anchor > 0 {
            self.anchors.insert(done.anchor, done.node.clone());
        }
        self.put(done.node)
    }

    /// Puts a value into the table or list around it; returns it if there is none.
    fn put(&mut self, node: Node) -> Result<Option<Node>, Fault> {
        self.nodes += size(&node);
        if self.nodes > NODES_MAX {
            let message = format!("more than {NODES_MAX} values, with what aliases stand for");
            return Err((node.line, message));
        }
        let Some(around) = self.open.last_mut() else {
            return Ok(Some(node));
        };
        match &mut around.node.value {
            Value::List(items) => items.push(node),
            Value::Map(entries) => match around.key.take() {
                Some(key) => entries.push((key, node)),
                None => {
                    let key = node.text().map(str::to_owned);
                    let message = "a key that is no text".to_owned();
                    around.key = Some(key.ok_or((node.line, message))?);
                }
            },
            Value::Text(_) | Value::Null => {}
        }
        Ok(None)
    }
}

/// Resolves the merge keys (`<<`) of a table.
fn merge(node: &mut Node) {
    let Value::Map(entries) = &mut node.value else {
        return;
    };
    while let Some(at) = entries.iter().position(|(key, _)| key == "<<") {
        let (_, merged) = entries.remove(at);
        let tables = match merged.value {
            Value::List(items) => items,
            _ => vec![merged],
        };
        for (key, value) in tables.iter().flat_map(Node::entries) {
            if !entries.iter().any(|(known, _)| known == key) {
                entries.push((key.clone(), value.clone()));
            }
        }
    }
}

/// The number of values in a value.
fn size(node: &Node) -> usize {
    let inner: usize = match &node.value {
        Value::Map(entries) => entries.iter().map(|(_, it)| size(it)).sum(),
        Value::List(items) => items.iter().map(size).sum(),
        Value::Text(_) | Value::Null => 0,
    };
    inner + 1
}

/// Tables in one another.
const DEPTH_MAX: usize = 64;
/// Values of a file, each counted once for every table around it.
const NODES_MAX: usize = 1_000_000;

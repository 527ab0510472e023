//! The modules of the library, read from its sources.

use std::{collections::BTreeMap, fs, path::PathBuf};

use syn::{Attribute, Item, UseTree, Visibility};

use crate::root;

/// A module by its path from the root of the crate; the root has none.
pub(crate) type Path = Vec<String>;

/// All modules of the library but those of tests.
pub(crate) struct Sources(BTreeMap<Path, Vec<Item>>);

/// A name that a module brings in from elsewhere.
pub(crate) struct Import {
    pub(crate) name: String,
    /// Path it comes from, as written.
    pub(crate) from: Path,
    pub(crate) is_public: bool,
    pub(crate) is_hidden: bool,
}

impl Sources {
    pub(crate) fn read() -> Self {
        let mut sources = Self(BTreeMap::new());
        let text = fs::read_to_string(root().join("src/lib.rs")).unwrap();
        sources.add(Path::new(), syn::parse_file(&text).unwrap().items);
        sources
    }

    fn add(&mut self, path: Path, mut items: Vec<Item>) {
        for item in &mut items {
            let Item::Mod(module) = item else { continue };
            if is_of_tests(&module.attrs) {
                continue;
            }
            let mut inner = path.clone();
            inner.push(module.ident.to_string());
            let items = match module.content.take() {
                Some((_, items)) => items,
                None => parse(&inner),
            };
            self.add(inner, items);
        }
        self.0.insert(path, items);
    }

    pub(crate) fn items(&self, module: &[String]) -> Option<&[Item]> {
        self.0.get(module).map(Vec::as_slice)
    }

    pub(crate) fn modules(&self) -> impl Iterator<Item = (&Path, &[Item])> {
        self.0.iter().map(|(path, items)| (path, items.as_slice()))
    }

    /// Returns the path of the item that this name stands for in a module.
    pub(crate) fn definition(&self, module: &[String], name: &str) -> Option<Path> {
        self.find(module, name, 8)
    }

    fn find(&self, module: &[String], name: &str, steps: usize) -> Option<Path> {
        let items = self.items(module)?;
        let steps = steps.checked_sub(1)?;
        if items
            .iter()
            .any(|item| name_of(item).as_deref() == Some(name))
        {
            let mut path = module.to_vec();
            path.push(name.to_owned());
            return Some(path);
        }
        imports(items).iter().find_map(|import| {
            let glob = import.name == "*";
            if !glob && import.name != name {
                return None;
            }
            let mut from = self.absolute(module, &import.from)?;
            let last = if glob { name.to_owned() } else { from.pop()? };
            self.find(&from, &last, steps)
        })
    }

    /// The path from the root, of a path that is written in a module; none if it leads out of
    /// the crate.
    pub(crate) fn absolute(&self, module: &[String], written: &[String]) -> Option<Path> {
        let mut path = module.to_vec();
        let mut words = written.iter().peekable();
        match words.peek().map(|word| word.as_str()) {
            Some("crate") => {
                path.clear();
                words.next();
            }
            Some("self") => drop(words.next()),
            Some("super") => {
                while words.next_if(|word| *word == "super").is_some() {
                    path.pop();
                }
            }
            Some(word) => {
                path.push(word.to_owned());
                let known = self.0.contains_key(&path) || self.defines(module, word);
                path.pop();
                if !known {
                    return None;
                }
            }
            None => {}
        }
        path.extend(words.cloned());
        Some(path)
    }

    fn defines(&self, module: &[String], name: &str) -> bool {
        let items = self.items(module).unwrap_or_default();
        items
            .iter()
            .any(|item| name_of(item).as_deref() == Some(name))
    }
}

fn parse(module: &[String]) -> Vec<Item> {
    let file: PathBuf = root().join("src").join(module.join("/"));
    let text = fs::read_to_string(file.with_extension("rs"))
        .or_else(|_| fs::read_to_string(file.join("mod.rs")))
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    syn::parse_file(&text).unwrap().items
}

/// The name that an item defines.
pub(crate) fn name_of(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Mod(item) => &item.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

/// The names that `use` brings in; `*` for all of a module.
pub(crate) fn imports(items: &[Item]) -> Vec<Import> {
    let mut imports = Vec::new();
    for item in items {
        let Item::Use(item) = item else { continue };
        if is_of_tests(&item.attrs) {
            continue;
        }
        let mut leaves = Vec::new();
        flatten(&item.tree, &mut Path::new(), &mut leaves);
        imports.extend(leaves.into_iter().map(|(name, from)| Import {
            name,
            from,
            is_public: matches!(item.vis, Visibility::Public(_)),
            is_hidden: is_hidden(&item.attrs),
        }));
    }
    imports
}

fn flatten(tree: &UseTree, before: &mut Path, leaves: &mut Vec<(String, Path)>) {
    let mut leaf = |name: String, last: Option<String>| {
        let from = before.iter().cloned().chain(last).collect();
        leaves.push((name, from));
    };
    match tree {
        UseTree::Name(name) if name.ident == "self" => {
            leaf(before.last().unwrap().clone(), None);
        }
        UseTree::Name(name) => leaf(name.ident.to_string(), Some(name.ident.to_string())),
        UseTree::Rename(name) => leaf(name.rename.to_string(), Some(name.ident.to_string())),
        UseTree::Glob(_) => leaf("*".to_owned(), None),
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            flatten(&path.tree, before, leaves);
            before.pop();
        }
        UseTree::Group(group) => {
            for tree in &group.items {
                flatten(tree, before, leaves);
            }
        }
    }
}

pub(crate) fn is_hidden(attributes: &[Attribute]) -> bool {
    says(attributes, "doc", "hidden")
}

fn is_of_tests(attributes: &[Attribute]) -> bool {
    says(attributes, "cfg", "test")
}

fn says(attributes: &[Attribute], name: &str, word: &str) -> bool {
    attributes.iter().any(|attribute| {
        let list = attribute.meta.require_list();
        attribute.path().is_ident(name) && list.is_ok_and(|list| list.tokens.to_string() == word)
    })
}

//! The list of what an embedding program can use: `public_api.txt`, beside this file.
//!
//! A change of the list is a change for everyone who embeds the proxy, and a line in the
//! CHANGELOG. `UPDATE=1 cargo test --test house` writes the list anew. What is marked
//! `#[doc(hidden)]` is open to the program, tests and benches of this crate, and promised to
//! nobody; implementations of traits and what macros make are not listed.

use std::{collections::BTreeSet, fs};

use quote::ToTokens;
use syn::{Fields, ImplItem, Item, Signature, TraitItem, Type, Visibility};

use crate::{
    root,
    sources::{Path, Sources, imports, is_hidden, name_of},
};

#[test]
fn the_list_is_what_the_sources_open_to_embedders() {
    let path = root().join("tests/house/public_api.txt");
    let found = list();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &found).unwrap();
        return;
    }
    let known = fs::read_to_string(&path).unwrap();
    let (known, found) = (lines(&known), lines(&found));
    let gone: Vec<_> = known.difference(&found).collect();
    let new: Vec<_> = found.difference(&known).collect();
    assert!(
        gone.is_empty() && new.is_empty(),
        "gone: {gone:#?}\nnew: {new:#?}\n`UPDATE=1 cargo test --test house` writes the list anew"
    );
}

fn lines(text: &str) -> BTreeSet<&str> {
    text.lines().collect()
}

fn list() -> String {
    let sources = Sources::read();
    let mut api = Api {
        sources: &sources,
        lines: BTreeSet::new(),
    };
    api.module(&Path::new(), &Path::new());
    api.lines.iter().flat_map(|line| [line, "\n"]).collect()
}

struct Api<'s> {
    sources: &'s Sources,
    lines: BTreeSet<String>,
}

impl Api<'_> {
    /// Lists what is open in a module that is known as `shown`.
    fn module(&mut self, module: &Path, shown: &Path) {
        let items = self.sources.items(module).unwrap();
        for item in items {
            let Some(name) = name_of(item) else { continue };
            if is_open(item) {
                self.item(module, &name, &join(shown, &name));
            }
        }
        for import in imports(items) {
            if !import.is_public || import.is_hidden {
                continue;
            }
            let name = join(shown, &import.name);
            let from = self.sources.absolute(module, &import.from);
            let defined = from.and_then(|mut from| {
                let last = from.pop()?;
                self.sources.definition(&from, &last)
            });
            match defined {
                Some(mut defined) => {
                    let original = defined.pop().unwrap();
                    self.item(&defined, &original, &name);
                }
                None => self.line("use", &name, ""),
            }
        }
    }

    /// Lists an item of a module under another name, with what belongs to it.
    fn item(&mut self, module: &Path, name: &str, shown: &Path) {
        let items = self.sources.items(module).unwrap();
        let item = items
            .iter()
            .find(|item| name_of(item).as_deref() == Some(name));
        let item = item.unwrap();
        match item {
            Item::Mod(_) => self.module(&join(module, name), shown),
            Item::Fn(item) => self.function(&item.sig, shown),
            Item::Const(item) => self.line("const", shown, &format!(": {}", text(&item.ty))),
            Item::Static(item) => self.line("static", shown, &format!(": {}", text(&item.ty))),
            Item::Type(item) => {
                let what = format!("{} = {}", text(&item.generics), text(&item.ty));
                self.line("type", shown, &what);
            }
            Item::Struct(item) => {
                self.line("struct", shown, &text(&item.generics));
                self.fields(&item.fields, shown);
            }
            Item::Enum(item) => {
                self.line("enum", shown, &text(&item.generics));
                for variant in &item.variants {
                    if !is_hidden(&variant.attrs) {
                        let name = join(shown, &variant.ident.to_string());
                        self.line("variant", &name, &text(&variant.fields));
                    }
                }
            }
            Item::Trait(item) => {
                let above = &item.supertraits;
                let above = match above.is_empty() {
                    true => String::new(),
                    false => format!(": {}", text(above)),
                };
                self.line("trait", shown, &format!("{}{above}", text(&item.generics)));
                for item in &item.items {
                    if let TraitItem::Fn(item) = item {
                        let name = join(shown, &item.sig.ident.to_string());
                        self.function(&item.sig, &name);
                    }
                }
            }
            _ => {}
        }
        self.methods(&join(module, name), shown);
    }

    fn fields(&mut self, fields: &Fields, shown: &Path) {
        for (at, field) in fields.iter().enumerate() {
            if matches!(field.vis, Visibility::Public(_)) && !is_hidden(&field.attrs) {
                let name = field
                    .ident
                    .as_ref()
                    .map_or_else(|| at.to_string(), ToString::to_string);
                let of_type = format!(": {}", text(&field.ty));
                self.line("field", &join(shown, &name), &of_type);
            }
        }
    }

    /// Lists the methods of a type, wherever they stand.
    fn methods(&mut self, defined: &Path, shown: &Path) {
        let sources = self.sources;
        for (module, items) in sources.modules() {
            for item in items {
                let Item::Impl(block) = item else { continue };
                let Type::Path(of) = &*block.self_ty else {
                    continue;
                };
                let Some(last) = of.path.segments.last() else {
                    continue;
                };
                if block.trait_.is_some()
                    || Some(&last.ident.to_string()) != defined.last()
                    || sources.definition(module, &last.ident.to_string()).as_ref() != Some(defined)
                {
                    continue;
                }
                for item in &block.items {
                    if let ImplItem::Fn(item) = item
                        && matches!(item.vis, Visibility::Public(_))
                        && !is_hidden(&item.attrs)
                    {
                        let name = join(shown, &item.sig.ident.to_string());
                        self.function(&item.sig, &name);
                    }
                }
            }
        }
    }

    fn function(&mut self, signature: &Signature, shown: &Path) {
        let whole = text(signature);
        let name = format!("fn {}", signature.ident);
        let (before, after) = whole.split_once(&name).unwrap();
        self.line(&format!("{before}fn"), shown, after);
    }

    fn line(&mut self, kind: &str, shown: &Path, rest: &str) {
        let line = format!("{kind} {}{rest}", shown.join("::"));
        self.lines.insert(line);
    }
}

fn is_open(item: &Item) -> bool {
    let (attributes, visibility) = match item {
        Item::Const(item) => (&item.attrs, &item.vis),
        Item::Enum(item) => (&item.attrs, &item.vis),
        Item::Fn(item) => (&item.attrs, &item.vis),
        Item::Mod(item) => (&item.attrs, &item.vis),
        Item::Static(item) => (&item.attrs, &item.vis),
        Item::Struct(item) => (&item.attrs, &item.vis),
        Item::Trait(item) => (&item.attrs, &item.vis),
        Item::Type(item) => (&item.attrs, &item.vis),
        _ => return false,
    };
    matches!(visibility, Visibility::Public(_)) && !is_hidden(attributes)
}

fn join(path: &Path, name: &str) -> Path {
    path.iter().cloned().chain([name.to_owned()]).collect()
}

/// Source as one would write it, on one line.
fn text(tokens: &impl ToTokens) -> String {
    let (mut out, mut lifetime) = (String::new(), false);
    for word in tokens.to_token_stream().to_string().split_whitespace() {
        let (last, first) = (out.chars().last(), word.chars().next());
        let meet = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let needs_space = match last {
            Some(',' | '=' | '+' | '>' | ')') => meet(first),
            Some(':') => !out.ends_with("::") && first != Some(':'),
            Some('{') => true,
            last => meet(last) && (meet(first) || first == Some('{')),
        };
        let behind_lifetime = lifetime && matches!(first, Some('[' | '(' | '&'));
        lifetime = word.starts_with('\'');
        let around = matches!(word, "->" | "=" | "+");
        if !out.is_empty() && (needs_space || behind_lifetime || around) {
            out.push(' ');
        }
        out.push_str(word);
        if around {
            out.push(' ');
        }
    }
    while out.contains("  ") {
        out = out.replace("  ", " ");
    }
    out.trim_end().replace(",)", ")")
}

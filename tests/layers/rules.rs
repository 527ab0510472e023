//! Reads the file of rules: areas from the bottom up, and what each of them may import.

use super::reader::Import;

/// Rules of imports between the areas.
#[derive(Debug, Default)]
pub(super) struct Rules {
    /// The areas, lowest first.
    pub(super) areas: Vec<Area>,
    /// Arrows that are allowed although they point up, each with its reason.
    pub(super) exceptions: Vec<(Arrow, String)>,
    /// Arrows that are still to go.
    pub(super) to_go: Vec<Arrow>,
}

/// A module with all that is in it but other areas.
#[derive(Debug)]
pub(super) struct Area {
    /// Its path, such as `config::value`.
    pub(super) name: String,
    /// The areas that it may import.
    pub(super) imports: Vec<String>,
}

/// One area imports another.
pub(super) type Arrow = (String, String);

impl Rules {
    /// Reads the text of the rules.
    pub(super) fn parse(text: &str) -> Self {
        let mut rules = Self::default();
        let lines = text.lines().map(str::trim);
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Some(arrow) = line.strip_prefix("exception ") {
                let (arrow, reason) = arrow.split_once(": ").expect("an exception has a reason");
                rules.exceptions.push((arrow_in(arrow), reason.to_owned()));
            } else if let Some(arrow) = line.strip_prefix("to go ") {
                rules.to_go.push(arrow_in(arrow));
            } else {
                let (name, imports) = line.split_once(" -> ").unwrap_or((line, ""));
                rules.areas.push(Area {
                    name: name.trim().to_owned(),
                    imports: imports.split_whitespace().map(str::to_owned).collect(),
                });
            }
        }
        rules
    }

    /// The area that a path lies in; none for the root of the crate, and for a module that the
    /// rules do not name.
    pub(super) fn area_of(&self, path: &[String]) -> Option<&str> {
        let inside = |area: &&Area| {
            let mut names = area.name.split("::");
            let mut path = path.iter();
            names.all(|name| path.next().is_some_and(|it| it == name))
        };
        let areas = self.areas.iter().filter(inside);
        let longest = areas.max_by_key(|area| area.name.len())?;
        Some(&longest.name)
    }

    /// Everything that is wrong with the rules themselves: they must not allow a circle.
    pub(super) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (place, area) in self.areas.iter().enumerate() {
            let below = &self.areas[..place];
            for import in &area.imports {
                if !below.iter().any(|lower| lower.name == *import) {
                    let name = &area.name;
                    faults.push(format!("rules.txt: {import} is not below {name}"));
                }
            }
        }
        if self.exceptions.len() > EXCEPTIONS_MAX {
            faults.push(format!("rules.txt: more than {EXCEPTIONS_MAX} exceptions"));
        }
        faults
    }

    /// Every import that breaks the rules, and every rule that nothing needs.
    pub(super) fn check(&self, imports: &[Import]) -> Vec<String> {
        let mut faults = self.faults();
        let mut seen: Vec<Arrow> = Vec::new();
        for import in imports {
            let place = format!("src/{}:{}", import.file.display(), import.line);
            let path = import.path.join("::");
            let Some(from) = self.area_of(&import.module) else {
                // The root and the program see everything.
                if import.module.len() > 1 {
                    let area = &import.module[0];
                    faults.push(format!("{place}: rules.txt does not name the area {area}"));
                }
                continue;
            };
            let Some(to) = self.area_of(&import.path) else {
                faults.push(format!("{place}: {from} imports crate::{path}, of no area"));
                continue;
            };
            let arrow = (from.to_owned(), to.to_owned());
            if from == to || seen.contains(&arrow) {
                continue;
            }
            if !self.allows(&arrow) {
                faults.push(format!(
                    "{place}: {from} -> {to} (crate::{path}): {to} is not in what {from} may import"
                ));
                continue;
            }
            seen.push(arrow);
        }
        let unused = self.arrows().filter(|arrow| !seen.contains(arrow));
        faults.extend(unused.map(|(from, to)| {
            format!("rules.txt: {from} -> {to} is not needed any more: take it out")
        }));
        faults
    }

    fn allows(&self, arrow: &Arrow) -> bool {
        self.arrows().any(|allowed| allowed == *arrow)
    }

    /// Every arrow that the rules allow.
    fn arrows(&self) -> impl Iterator<Item = Arrow> {
        let down = self.areas.iter().flat_map(|area| {
            let imports = area.imports.iter();
            imports.map(|import| (area.name.clone(), import.clone()))
        });
        let exceptions = self.exceptions.iter().map(|(arrow, _)| arrow.clone());
        down.chain(exceptions).chain(self.to_go.iter().cloned())
    }
}

fn arrow_in(text: &str) -> Arrow {
    let (from, to) = text.split_once(" -> ").expect("an arrow has two ends");
    (from.trim().to_owned(), to.trim().to_owned())
}

/// Arrows that may point up for good.
const EXCEPTIONS_MAX: usize = 3;

//! Tables that were made so far.

use std::collections::HashMap;

use super::document::Table;

/// Listeners and routes, and the names that are taken.
#[derive(Default)]
pub(super) struct Made {
    /// Number of tables that wanted each name, by kind and name.
    names: HashMap<String, usize>,
    pub(super) listeners: Vec<Table>,
    pub(super) routes: Vec<Table>,
}

impl Made {
    /// Returns a name that no table of the kind has.
    pub(super) fn name(&mut self, kind: &str, wanted: &str) -> String {
        let first = format!("{kind}.{wanted}");
        let mut number = self.names.get(&first).copied().unwrap_or(0);
        loop {
            number += 1;
            let name = match number {
                1 => wanted.to_owned(),
                number => format!("{wanted}_{number}"),
            };
            let full = format!("{kind}.{name}");
            if number == 1 || !self.names.contains_key(&full) {
                self.names.entry(full).or_insert(1);
                self.names.insert(first, number);
                return name;
            }
        }
    }

    /// Gives back the name of a table that is not written under it.
    pub(super) fn forget(&mut self, table: &Table) {
        // A number in between stays taken.
        if self.names.get(&table.name) == Some(&1) {
            self.names.remove(&table.name);
        }
    }

    /// Keeps the remarks of a table that becomes no route.
    pub(super) fn leave(&mut self, mut table: Table) {
        self.forget(&table);
        table.name.clear();
        table.keep_remarks();
        if !table.is_empty() {
            self.routes.push(table);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_table_of_a_kind_has_a_name_of_its_own() {
        let mut made = Made::default();
        assert_eq!(made.name("routes", "a"), "a");
        assert_eq!(made.name("routes", "a_2"), "a_2");
        assert_eq!(made.name("routes", "a"), "a_3");
        assert_eq!(made.name("pools", "a"), "a");
        made.leave(Table::new("routes.a_2"));
        assert_eq!(made.name("routes", "a_2"), "a_2");
        assert_eq!(made.name("routes", "a"), "a_4");
    }
}

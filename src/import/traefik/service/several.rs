//! Services of several services: shares, copies, a second one in need.

use super::super::{
    Translator,
    middleware::UNKNOWN,
    reading::{Reading, block},
    tree::Value,
    value::{self, claim},
};
use crate::import::document::{Source, Table, key_part, quoted};

impl<'n> Translator<'n> {
    pub(super) fn weighted(&mut self, table: &mut Table, reading: &mut Reading<'n>) {
        let Some(services) = reading.take("services") else {
            return;
        };
        let Value::List(items) = &services.value else {
            return table.untranslated(&block(services, "services"), UNKNOWN);
        };
        for item in items {
            let mut one = Reading::of(item, "services");
            let Some((name, line)) = one.text("name") else {
                one.rest(table, UNKNOWN);
                continue;
            };
            let (weight, second) = one
                .text("weight")
                .map_or(("1", None), |(it, line)| (it, Some(line)));
            let pool = self.pool_of(table, name, &line);
            let key = format!("split.{}", key_part(&pool));
            claim(table, &line, &key, weight);
            if let Some(second) = second {
                table.also(&second, &key);
            }
            one.rest(table, UNKNOWN);
        }
        reading.needless(
            table,
            &["healthCheck"],
            "a pool without a healthy endpoint is left out of nothing here; see failover of a pool",
        );
        if let Some(sticky) = reading.take("sticky") {
            table.needless(
                &block(sticky, "sticky"),
                "a user stays with his pool: pin of the route",
            );
        }
    }

    /// The pool of a service that the route does not lead to itself.
    fn pool_beside(&mut self, table: &mut Table, name: &str, line: &Source) -> String {
        let mut own = Table::default();
        let pool = self.pool_of(&mut own, name, line);
        // The host that it wants is told.
        own.keep_remarks();
        table.append(&own);
        pool
    }

    pub(super) fn mirroring(
        &mut self,
        table: &mut Table,
        reading: &mut Reading<'n>,
        line: &Source,
    ) {
        if let Some((name, line)) = reading.text("service") {
            let pool = self.pool_of(table, name, &line);
            table.set(&line, "pool", quoted(&pool));
        } else {
            table.untranslated(line, "mirroring has a service");
        }
        let mirrors = match reading.take("mirrors").map(|it| &it.value) {
            Some(Value::List(items)) => &items[..],
            _ => &[],
        };
        for (at, item) in mirrors.iter().enumerate() {
            let mut mirror = Reading::of(item, "mirrors");
            let name = mirror.text("name");
            let percent = mirror.text("percent");
            let (Some((name, line)), 0) = (name, at) else {
                table.untranslated(&block(item, "mirrors"), "one shadow of a route");
                continue;
            };
            let pool = self.pool_beside(table, name, &line);
            table.set(&line, "shadow.pool", quoted(&pool));
            match percent {
                Some((percent, line)) => {
                    table.set(&line, "shadow.share", quoted(&format!("{percent}%")));
                }
                None => table.set_plain("shadow.share", "\"0%\""),
            }
            table.note("GET, HEAD and OPTIONS are copied; a copy of a POST has its effect, too: shadow.methods");
            mirror.rest(table, UNKNOWN);
        }
        if let Some((text, line)) = reading.text("maxBodySize")
            && let Some(size) = value::bytes(text)
        {
            table.set(&line, "shadow.body_max", size);
        }
        reading.needless(
            table,
            &["mirrorBody"],
            "bodies up to shadow.body_max are copied",
        );
        reading.needless(table, &["healthCheck"], "see failover of a pool");
    }

    pub(super) fn failover(&mut self, table: &mut Table, reading: &mut Reading<'n>, line: &Source) {
        let (service, fallback) = (reading.text("service"), reading.text("fallback"));
        let Some((name, main_line)) = service else {
            return table.untranslated(line, "failover has a service");
        };
        let pool = self.pool_of(table, name, &main_line);
        table.set(&main_line, "pool", quoted(&pool));
        if let Some((name, line)) = fallback {
            let other = self.pool_beside(table, name, &line);
            let wanted = format!("pools.{pool}");
            if let Some(made) = self.pools.iter_mut().find(|it| it.name == wanted) {
                made.push(&line, "failover", quoted(&other));
                made.note("a pool fails over for all of its routes");
            }
        }
        reading.needless(table, &["healthCheck"], "the checks of the pool decide");
        reading.instead(
            table,
            "errors",
            "retry = { on = [\"502\", \"503\"] } of the route tries another endpoint",
        );
    }
}

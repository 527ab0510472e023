//! Values of the restart-only settings that a running process still uses.
//!
//! A reload that restores the running value of such a setting needs no restart, regardless of the
//! configuration before it.

use super::{Change, Diff, Effect};
use crate::config::schema::Config;

/// Settings that a process started with, and those of listeners added later.
#[derive(Debug, Clone, Default)]
pub struct Held(Config);

impl Held {
    /// Takes the settings of a process that starts with this configuration.
    pub fn of(config: &Config) -> Self {
        Self(Config {
            proxy: config.proxy.clone(),
            admin: config.admin.clone(),
            config: config.config.clone(),
            log: config.log.clone(),
            listeners: config.listeners.clone(),
            ..Config::default()
        })
    }

    /// Follows a reload: sockets it opens are held with the new settings, sockets it closes are no
    /// longer held.
    pub fn follow(&mut self, new: &Config) {
        if new.admin.is_none() {
            self.0.admin = None;
        }
        let before = std::mem::replace(&mut self.0.listeners, new.listeners.clone());
        for listener in self.0.listeners.values_mut() {
            let mut before = before.values();
            if let Some(open) = before.find(|it| it.address == listener.address) {
                listener.ipv6_only = open.ipv6_only;
            }
        }
    }

    /// Compares two configurations as a reload would.
    pub fn difference(&self, old: &Config, new: &Config) -> Diff {
        let mut diff = Diff::between(old, new);
        if diff.needs_restart() {
            let waiting = Diff::between(&self.0, new);
            let waits = |change: &Change| {
                let mut all = waiting.changed.iter();
                all.any(|it| {
                    it.effect == Effect::Restart
                        && (it.kind, &it.name) == (change.kind, &change.name)
                })
            };
            for change in &mut diff.changed {
                if change.effect == Effect::Restart && !waits(change) {
                    change.effect = Effect::Reload;
                }
            }
        }
        diff
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Rules, parse};

    fn config(text: &str) -> Config {
        let rules = Rules::default();
        let text = format!("{text}\n[routes.r]\nrespond = {{}}\n");
        parse(text, Path::new("p.toml"), &rules).unwrap().config
    }

    #[test]
    fn what_returns_to_what_is_held_needs_no_restart() {
        let listener =
            |more: &str| config(&format!("[listeners.web]\naddress = \"[::]:80\"\n{more}"));
        let (both, six) = (listener(""), listener("ipv6_only = true"));
        let mut held = Held::of(&both);
        assert!(held.difference(&both, &six).needs_restart());
        held.follow(&six);
        let back = held.difference(&six, &both);
        assert!(!back.needs_restart() && !back.is_empty(), "{back}");
        // Opened anew it is as it was written.
        let elsewhere = config("[listeners.web]\naddress = \"[::]:81\"");
        held.follow(&elsewhere);
        held.follow(&six);
        assert!(held.difference(&six, &both).needs_restart());
    }

    #[test]
    fn an_admin_api_that_was_closed_needs_a_restart_to_come_back() {
        let listener = "[listeners.web]\naddress = \"127.0.0.1:80\"\n";
        let with = config(&format!("{listener}[admin]\n"));
        let without = config(listener);
        let mut held = Held::of(&with);
        held.follow(&without);
        assert!(held.difference(&without, &with).needs_restart());
        let moved = config(&format!("{listener}[admin]\naddress = \"127.0.0.1:1\"\n"));
        let mut held = Held::of(&with);
        held.follow(&moved);
        assert!(!held.difference(&moved, &with).needs_restart());
    }
}

//! Configurations that are checked and compared, and not used.

use tokio::time::Instant;

use super::{
    super::{
        compile::{compile, former},
        keeper::Texts,
    },
    Api,
};
use crate::{
    admin::model::{Checked, Compared, Difference},
    config::{self, Faults, Loaded, PastTime, Rules, Secrets},
    state::{
        Lists, Snapshot,
        heads::{self, Replayed, TrafficUse},
    },
};

impl Api {
    /// Checks a text as if it were the content of the file, or of the store if that is where the
    /// configuration is: with the other part as it is in use.
    fn parse(
        &self,
        text: String,
        past_time: PastTime<'_>,
        secrets: Secrets,
    ) -> Result<Loaded, Faults> {
        let names: Vec<&str> = self.shared.registered.pickers.names().collect();
        let filters: Vec<&str> = self.shared.registered.filters.usable().collect();
        let rules = Rules {
            pickers: &names,
            filters: &filters,
            past_time,
            secrets,
            ..Rules::default()
        };
        match self.board.texts() {
            Some(Texts {
                file,
                shared: Some(shared),
                ..
            }) => config::parse_draft(text, (file, shared), &self.path, &rules),
            Some(Texts { shared: None, .. }) | None => config::parse(text, &self.path, &rules),
        }
    }

    /// Returns the effect of a configuration on recent requests, judged by the gate in use.
    fn replayed(&self, new: &Snapshot, secrets: Secrets) -> Replayed {
        let shared = &self.shared;
        let snapshot = shared.snapshot();
        let now = Instant::now();
        let former = former(&shared.heads, &shared.registered, now);
        let used = (&*snapshot, former.as_ref());
        let replayed = heads::replay(used, new, &shared.heads, now, secrets);
        match &snapshot.config.config.gate {
            Some(gate) => replayed.judged(gate.routes_changed_max.get()),
            None => replayed,
        }
    }

    /// Checks a text, and compiles it beside the configuration in effect.
    pub(super) fn checked(&self, text: String, secrets: Secrets, traffic: TrafficUse) -> Checked {
        let loaded = match self.parse(text, PastTime::Refused, secrets) {
            Ok(loaded) => loaded,
            Err(faults) => return refused(&faults),
        };
        match compile(loaded, &self.shared.registered, Lists::Left) {
            Ok((snapshot, warnings)) => Checked {
                ok: true,
                faults: warnings.views().collect(),
                error: None,
                traffic: (traffic == TrafficUse::Replayed)
                    .then(|| self.replayed(&snapshot, secrets)),
            },
            Err(error) => Checked {
                ok: false,
                faults: Vec::new(),
                error: Some(error.to_string()),
                traffic: None,
            },
        }
    }

    /// Compares a text with the configuration in effect.
    pub(super) fn compared(&self, text: String, secrets: Secrets, traffic: TrafficUse) -> Compared {
        match self.parse(text, PastTime::Served, secrets) {
            Ok(loaded) => {
                let snapshot = self.shared.snapshot();
                let changes = self.board.difference(&snapshot.config, &loaded.config);
                let compiled = (traffic == TrafficUse::Replayed)
                    .then(|| compile(loaded, &self.shared.registered, Lists::Left).ok());
                let traffic = compiled
                    .flatten()
                    .map(|(new, _)| self.replayed(&new, secrets));
                Compared::Differs(Difference { changes, traffic })
            }
            Err(faults) => Compared::Faulty(refused(&faults)),
        }
    }
}

fn refused(faults: &Faults) -> Checked {
    Checked {
        ok: false,
        faults: faults.views().collect(),
        error: None,
        traffic: None,
    }
}

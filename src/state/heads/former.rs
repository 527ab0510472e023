//! The configuration that routed requests before the last reload that moved some.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::Replayed;
use crate::config::Config;

/// The way back that a gate leaves open.
#[derive(Debug, Default)]
pub struct Former(Mutex<Option<(Arc<Config>, Instant)>>);

impl Former {
    /// Notes that a reload has put `new` in the place of `old`, with this effect on recent requests
    /// if it is known.
    ///
    /// One that moves none leaves the way back as it is, and one that has gone back closes it: the
    /// configuration that was left for good reason must not pass as the way back.
    pub fn replaced(
        &self,
        (old, new): (&Arc<Config>, &Config),
        effect: Option<&Replayed>,
        now: Instant,
    ) {
        let mut former = self.lock();
        match effect {
            Some(effect) if effect.returned > 0 => *former = None,
            // A secret or a certificate was read anew.
            _ if **old == *new => {}
            Some(effect) if effect.requests > 0 && effect.moved == 0 => {}
            Some(_) | None => *former = Some((Arc::clone(old), now)),
        }
    }

    /// Returns the configuration before, if it was in use within the last day.
    pub fn config(&self, now: Instant) -> Option<Arc<Config>> {
        let former = self.lock();
        let (config, left) = former.as_ref()?;
        (now.saturating_duration_since(*left) < OPEN).then(|| Arc::clone(config))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Arc<Config>, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Time for which the way back is open.
const OPEN: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{self, Rules};

    fn config(pool: &str) -> Arc<Config> {
        let text = format!(
            "[listeners.a]\naddress = \"127.0.0.1:1\"\n[routes.a]\npool = \"{pool}\"\n[pools.{pool}]\nendpoints = [\"127.0.0.1:2\"]"
        );
        Arc::new(
            config::parse(text, Path::new("a.toml"), &Rules::default())
                .unwrap()
                .config,
        )
    }

    #[test]
    fn the_way_back_is_that_of_the_last_move_and_is_gone_once() {
        let (former, now) = (Former::default(), Instant::now());
        let effect = |moved, returned| Replayed {
            requests: 200,
            moved,
            returned,
            ..Replayed::default()
        };
        let (good, bad) = (config("good"), config("bad"));
        assert!(former.config(now).is_none());
        former.replaced((&good, &bad), Some(&effect(150, 0)), now);
        // A timeout is changed meanwhile.
        former.replaced((&bad, &good), Some(&effect(0, 0)), now);
        former.replaced((&bad, &bad), None, now);
        assert_eq!(former.config(now), Some(Arc::clone(&good)));
        former.replaced((&bad, &good), Some(&effect(150, 150)), now);
        assert!(former.config(now).is_none());
        former.replaced((&good, &bad), None, now);
        assert!(former.config(now + OPEN - Duration::from_secs(1)).is_some());
        assert!(former.config(now + OPEN).is_none());
    }
}

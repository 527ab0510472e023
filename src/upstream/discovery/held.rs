//! Endpoints that stay for a time, though the newest list leaves them out or marks them as down.

use std::{collections::HashSet, fmt, sync::Arc, time::SystemTime};

use crate::upstream::endpoint::Endpoint;

/// Endpoints that stay for a time, though the newest list leaves them out or marks them as down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldEndpoints {
    /// Number of them.
    pub count: usize,
    /// Those of them that are listed, and marked as down.
    pub down: usize,
    /// Time since when.
    pub since: SystemTime,
    /// Time until when, if the list stays like this.
    pub until: SystemTime,
}

impl HeldEndpoints {
    /// Counts what is held of the list `before`, where `newest` is the list and `all` are in use.
    pub(super) fn of(
        before: &[Arc<Endpoint>],
        newest: &[Arc<Endpoint>],
        all: &[Arc<Endpoint>],
        (since, until): (SystemTime, SystemTime),
    ) -> Self {
        let up = |list: &[Arc<Endpoint>]| list.iter().filter(|it| it.is_up()).count();
        let known = before.iter().filter(|it| it.is_up());
        let known: HashSet<&str> = known.map(|it| &*it.label).collect();
        let down = newest.iter().filter(|it| !it.is_up());
        Self {
            count: up(all).saturating_sub(up(newest)),
            down: down.filter(|it| known.contains(&*it.label)).count(),
            since,
            until,
        }
    }
}

impl fmt::Display for HeldEndpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, down, .. } = self;
        let until = humantime::format_rfc3339_seconds(self.until);
        match (count.saturating_sub(*down), *down) {
            (_, 0) => write!(
                f,
                "{count} endpoints stay until {until} that are suddenly not listed"
            ),
            (0, _) => write!(
                f,
                "{count} endpoints stay until {until} that are suddenly marked as down"
            ),
            (gone, down) => write!(
                f,
                "{count} endpoints stay until {until} that are suddenly not listed ({gone}) or marked as down ({down})"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{config::value::EndpointAddress, upstream::endpoint::Standing};

    fn endpoint(port: u16, standing: Standing) -> Arc<Endpoint> {
        let address = EndpointAddress::parse(&format!("10.0.0.1:{port}"), Path::new("/"));
        Arc::new(Endpoint {
            standing,
            ..Endpoint::new(address.unwrap(), None)
        })
    }

    #[test]
    fn endpoints_that_are_listed_as_down_are_not_called_unlisted() {
        let critical = || Standing::Down("critical".into());
        let before: Vec<_> = (1..5).map(|port| endpoint(port, Standing::Up)).collect();
        let told = |newest: &[Arc<Endpoint>]| {
            let times = (SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH);
            HeldEndpoints::of(&before, newest, &before, times).to_string()
        };
        let begin =
            |count| format!("{count} endpoints stay until 1970-01-01T00:00:00Z that are suddenly");
        let all: Vec<_> = (1..5).map(|port| endpoint(port, critical())).collect();
        assert_eq!(told(&all), format!("{} marked as down", begin(4)));
        assert_eq!(told(&before[..1]), format!("{} not listed", begin(3)));
        assert_eq!(
            told(&all[..3]),
            format!("{} not listed (1) or marked as down (3)", begin(4))
        );
    }
}

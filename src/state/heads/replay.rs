//! The dry run: kept heads on their way through two configurations.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tokio::time::Instant;

use super::{
    destination,
    head::RecentHead,
    private::Named,
    report::{HeadMove, PolicyChange, Replayed, RoutedTo, UnclearHeads},
    ring::Heads,
};
use crate::{
    config::{Secrets, schema, value::ValueMatch},
    route::{RouteIndex, RouteSpec},
    state::Snapshot,
};

/// Leads the kept heads through both configurations, and reports what differs. Requests that go
/// where the one before the old, `former`, would send them are counted as returned. Takes time in
/// proportion to the heads: not for a worker.
///
/// Who may not read secrets must not test guesses at them either: values that only the new
/// configuration names are then not compared with those that clients have sent.
pub fn replay(
    (old, former): (&Snapshot, Option<&Snapshot>),
    new: &Snapshot,
    heads: &Heads,
    now: Instant,
    secrets: Secrets,
) -> Replayed {
    let conditions = Conditions::of((old, former), new, secrets);
    let named = conditions.named(heads);
    let mut tally = Tally::default();
    for head in heads.recent(now) {
        if let Some(why) = conditions.unclear(&head) {
            *tally.unclear.entry(why).or_default() += 1;
            continue;
        }
        let Some(asked) = head.asked(&named) else {
            *tally
                .unclear
                .entry("the head cannot be read again".to_owned())
                .or_default() += 1;
            continue;
        };
        let chance = heads.key().digest(head.request_id.bytes());
        let (was, from) = destination::of(old, &head, &asked, chance);
        let (is, to) = destination::of(new, &head, &asked, chance);
        tally.requests += 1;
        tally.oldest = tally.oldest.max(now.duration_since(head.at).as_secs());
        if from != to {
            let was_there = |former| destination::of(former, &head, &asked, chance).1 == to;
            tally.returned += u64::from(former.is_some_and(was_there));
            tally.moved(from, to, &head);
        }
        if let (Some(was), Some(is)) = (was, is) {
            let changed = tally
                .changed
                .entry((was, is))
                .or_insert_with(|| policies(old, new, was, is));
            for policy in changed.iter() {
                let route = &*new.routes[is.0 as usize].name;
                let counted = tally.policies.entry((policy, route.to_owned()));
                counted.or_insert_with(|| (0, head.shown())).0 += 1;
            }
        }
    }
    tally.report()
}

/// Conditions on values that may be among those that are not kept.
#[derive(Default)]
struct Conditions<'a> {
    exact: BTreeSet<&'a str>,
    /// Headers whose values are compared as a whole, with the route.
    whole: BTreeMap<&'a str, &'a str>,
    /// Those that cannot be asked of a digest: by place and name, the route and the reason.
    unanswered: BTreeMap<(Place, &'a str), (&'a str, &'static str)>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Header,
    Query,
    Cookie,
}

impl<'a> Conditions<'a> {
    fn of(
        (old, former): (&'a Snapshot, Option<&'a Snapshot>),
        new: &'a Snapshot,
        secrets: Secrets,
    ) -> Self {
        let mut conditions = Self::default();
        for used in former.into_iter().chain([old]) {
            conditions.add_all(used, Secrets::Needed);
        }
        conditions.add_all(new, secrets);
        conditions
    }

    fn add_all(&mut self, snapshot: &'a Snapshot, secrets: Secrets) {
        let routes = (0..).map(RouteIndex);
        let specs = routes.map_while(|route| snapshot.table.spec(route));
        specs.for_each(|spec| self.add(spec, secrets));
    }

    fn add(&mut self, spec: &'a RouteSpec, secrets: Secrets) {
        let headers = spec.headers.iter();
        let headers = headers.map(|(name, wanted)| (Place::Header, name.as_str(), wanted));
        let query = spec.query.iter();
        let query = query.map(|(name, wanted)| (Place::Query, &**name, wanted));
        let cookies = spec.cookies.iter();
        let cookies = cookies.map(|(name, wanted)| (Place::Cookie, &**name, wanted));
        for (place, name, wanted) in headers.chain(query).chain(cookies) {
            let why = match wanted {
                ValueMatch::Exact(text) if secrets == Secrets::Needed => {
                    self.exact.insert(text);
                    if place == Place::Header {
                        self.whole.insert(name, &*spec.name);
                    }
                    continue;
                }
                ValueMatch::Exact(text) if self.exact.contains(&**text) => continue,
                ValueMatch::Exact(_) => "by a value, which asks for the token of the admin API",
                ValueMatch::Regex(_) => "by an expression, and its values are not kept",
                ValueMatch::Present(_) => continue,
            };
            self.unanswered.insert((place, name), (&*spec.name, why));
        }
    }

    fn named(&self, heads: &Heads) -> Named<'a> {
        let mut named = Named::default();
        self.exact
            .iter()
            .for_each(|text| named.add(heads.key(), text));
        named
    }

    /// Returns the reason why a head cannot be judged.
    fn unclear(&self, head: &RecentHead) -> Option<String> {
        if !head.whole {
            return Some("the head is too large to be kept whole".to_owned());
        }
        let mut cut = self.whole.iter().filter(|(name, _)| head.hides_part(name));
        if let Some((name, route)) = cut.next() {
            let why = "by its whole value, of which a part is not kept";
            return Some(format!("route \"{route}\" matches header {name} {why}"));
        }
        let mut hidden = self
            .unanswered
            .iter()
            .filter(|((place, name), _)| match place {
                Place::Header => head.hides_header(name),
                Place::Query => head.hides_query(name),
                Place::Cookie => head.hides_cookie(name),
            });
        let ((place, name), (route, why)) = hidden.next()?;
        let kind = match place {
            Place::Header => "header",
            Place::Query => "query parameter",
            Place::Cookie => "cookie",
        };
        Some(format!("route \"{route}\" matches {kind} {name} {why}"))
    }
}

/// Counts of a dry run.
#[derive(Default)]
struct Tally {
    requests: u64,
    returned: u64,
    oldest: u64,
    moves: HashMap<(RoutedTo, RoutedTo), (u64, Vec<String>)>,
    policies: BTreeMap<(&'static str, String), (u64, String)>,
    unclear: BTreeMap<String, u64>,
    /// Rules that differ between two routes.
    changed: HashMap<(RouteIndex, RouteIndex), Vec<&'static str>>,
}

impl Tally {
    fn moved(&mut self, from: RoutedTo, to: RoutedTo, head: &RecentHead) {
        let (count, examples) = self.moves.entry((from, to)).or_default();
        *count += 1;
        if examples.len() < EXAMPLES_MAX {
            let example = head.shown();
            if !examples.contains(&example) {
                examples.push(example);
            }
        }
    }

    fn report(self) -> Replayed {
        let moves = self.moves.into_iter();
        let moves = moves.map(|((from, to), (requests, examples))| HeadMove {
            from,
            to,
            requests,
            examples,
        });
        let mut moves: Vec<HeadMove> = moves.collect();
        moves.sort_by(|a, b| {
            let most = b.requests.cmp(&a.requests);
            most.then_with(|| (&a.from, &a.to).cmp(&(&b.from, &b.to)))
        });
        let moved = moves.iter().map(|it| it.requests).sum();
        let refused = moves.iter().filter(|it| it.to.refused && !it.from.refused);
        let refused = refused.map(|it| it.requests).sum();
        moves.truncate(MOVES_MAX);
        let policies = self.policies.into_iter();
        let policies = policies.map(|((policy, route), (requests, example))| PolicyChange {
            policy: policy.to_owned(),
            route,
            requests,
            example,
        });
        let unclear = self.unclear.into_iter();
        Replayed {
            requests: self.requests,
            over_seconds: self.oldest,
            moved,
            share: moved as f64 / self.requests.max(1) as f64,
            refused,
            returned: self.returned,
            moves,
            policies: policies.take(MOVES_MAX).collect(),
            unclear: unclear
                .map(|(why, requests)| UnclearHeads { why, requests })
                .take(MOVES_MAX)
                .collect(),
            gate: None,
        }
    }
}

/// The rules of a route that differ between two, by key.
fn policies(old: &Snapshot, new: &Snapshot, was: RouteIndex, is: RouteIndex) -> Vec<&'static str> {
    fn written(snapshot: &Snapshot, route: RouteIndex) -> Option<&schema::Route> {
        snapshot
            .config
            .routes
            .get(&*snapshot.routes[route.0 as usize].name)
    }
    let (Some(was), Some(is)) = (written(old, was), written(new, is)) else {
        return Vec::new();
    };
    let rules = [
        ("auth", was.auth != is.auth),
        ("rate_limit", was.rate_limit != is.rate_limit),
        ("concurrency", was.concurrency != is.concurrency),
        ("body_max", !was.body_max.is_same_rule(is.body_max)),
        ("rewrite", was.rewrite != is.rewrite),
        ("fault", was.fault != is.fault),
        ("cache", was.cache != is.cache),
    ];
    let rules = rules.into_iter().filter(|(_, differs)| *differs);
    rules.map(|(key, _)| key).collect()
}

/// Requests that are shown of each move.
const EXAMPLES_MAX: usize = 3;
/// Moves, rules and reasons that are shown.
const MOVES_MAX: usize = 50;

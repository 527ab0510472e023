//! The filters of `[routes.NAME]` compiled, in their order.

use std::sync::Arc;

use http::HeaderValue;
use ipnet::IpNet;

use super::{
    BuildError, Source, cache, geo,
    rate_limit::{self, Owner},
};
use crate::{
    config::{
        Config, Spanned, schema,
        setting::FileContent,
        value::{BodyBound, MediaPattern, RateKey},
    },
    filter::{
        AccessFilter, Adaptive, AddressBlocks, AllowedList, AllowedMethods, AnyFilter, BodyMax,
        ClaimAccess, ClientGates, CompressFilter, ConcurrencyFilter, ConcurrencyScope, CorsFilter,
        CustomFilter, ErrorPageFilter, ErrorPages, Fault, FaultFilter, HeaderFilter, HttpsOnly,
        MaintenanceFilter, Page, PageRule, PathRule, RegisteredFilter, RewriteFilter, Runs,
        SecureHeaders, SharedStates,
    },
    resilience::concurrency::{Gate, QueueRules},
    semantics::{accept::Spoken, path::normalise},
    state::Registry,
};

/// The filters of a route.
///
/// This is the one place that knows their order. Requests go from the top to the bottom, answers
/// back; `docs/filters.md` has the same list.
pub(super) fn build(
    source: &Source<'_>,
    registry: &mut Registry,
    name: &Arc<str>,
    written: &schema::Route,
) -> Result<Vec<AnyFilter>, BuildError> {
    let mut filters = Vec::new();
    if written.secure_headers {
        filters.push(AnyFilter::SecureHeaders(SecureHeaders));
    }
    filters.extend(
        written
            .compress
            .as_ref()
            .map(compress)
            .map(AnyFilter::Compress),
    );
    let closed = written.maintenance.as_ref();
    let sorry = closed.and_then(|it| it.file.as_ref());
    let pages = error_pages(&written.error_pages, sorry).map(ErrorPageFilter);
    filters.extend(pages.map(AnyFilter::ErrorPage));
    filters.extend(written.cors.as_ref().map(cors).map(AnyFilter::Cors));
    if written.https_only {
        filters.push(AnyFilter::HttpsOnly(HttpsOnly));
    }
    let closed = maintenance(registry, name, written.maintenance.as_ref());
    filters.extend(closed.map(AnyFilter::Maintenance));
    let allowed = written.access.as_ref();
    filters.extend(
        allowed
            .map(|it| access(&source.config, it))
            .map(AnyFilter::Access),
    );
    // Rules on claims wait for the token.
    let of_claim = |rule: &&schema::RateLimit| matches!(rule.key, RateKey::Claim(_));
    let rules = written.rate_limit.0.iter();
    let (after, before): (Vec<_>, Vec<_>) = rules.partition(of_claim);
    let mut limits = |rules: Vec<&schema::RateLimit>| {
        let rules = schema::RateLimits(rules.into_iter().cloned().collect());
        let limits = rate_limit::build(source, registry, Owner::Route(name), &rules);
        limits.map_err(|fault| BuildError::Route(Arc::clone(name), fault.to_string()))
    };
    let (before, after) = (limits(before)?, limits(after)?);
    filters.extend(before.map(AnyFilter::RateLimit));
    let withheld = super::oidc::withheld(&source.config, name, written);
    filters.extend(withheld.map(AnyFilter::Withhold));
    let auth = super::auth::build(registry, name, written);
    filters.extend(auth.map(Box::new).map(AnyFilter::Auth));
    let access = written.access.as_ref().and_then(claim_access);
    filters.extend(access.map(AnyFilter::ClaimAccess));
    filters.extend(after.map(AnyFilter::RateLimit));
    filters.extend(written.fault.as_ref().map(fault).map(AnyFilter::Fault));
    if let BodyBound::Written(max) = written.body_max {
        filters.push(AnyFilter::BodyMax(BodyMax(max.bytes())));
    }
    filters.extend(custom(source, registry, name, written));
    filters.extend(
        written
            .rewrite
            .as_ref()
            .map(rewrite)
            .map(AnyFilter::Rewrite),
    );
    filters.extend(headers(written).map(AnyFilter::Header));
    let pools = written.destination.pools(&source.config);
    if let Some(cache) = written.cache.as_ref().filter(|_| !pools.is_empty()) {
        let cache = cache::build(registry, name, cache, written.auth.is_some());
        filters.push(AnyFilter::Cache(Arc::new(cache)));
    }
    filters.extend(concurrency(source, registry, name, written));
    Ok(filters)
}

/// Filters of the embedding program: those for every route, then those that this one uses.
fn custom(
    source: &Source<'_>,
    registry: &mut Registry,
    route: &Arc<str>,
    written: &schema::Route,
) -> Vec<AnyFilter> {
    let registered = &source.registered.filters;
    let everywhere = registered
        .iter()
        .filter(|(_, it)| it.runs == Runs::Everywhere);
    // That each name is registered was checked with the configuration.
    let used = written.uses.iter().filter_map(|used| {
        let mut usable = registered
            .iter()
            .filter(|(_, it)| it.runs == Runs::WhereUsed);
        usable.find(|(_, it)| *it.name == *used.value)
    });
    let mut custom = |(number, it): (usize, &RegisteredFilter)| {
        AnyFilter::Custom(CustomFilter {
            name: Arc::clone(&it.name),
            number,
            filter: Arc::clone(&it.filter),
            states: registry.filter(route, "custom", &it.name, SharedStates::default),
        })
    };
    everywhere.chain(used).map(&mut custom).collect()
}

/// The limits on requests at once, with the places that are in use. That of each client comes
/// first: one that waits for its own place takes none of the route.
fn concurrency(
    source: &Source<'_>,
    registry: &mut Registry,
    route: &Arc<str>,
    written: &schema::Route,
) -> Vec<AnyFilter> {
    let limits = written.concurrency.iter().flat_map(|limits| &limits.0);
    let mut limits: Vec<&schema::Concurrency> = limits.collect();
    limits.sort_by_key(|limit| limit.per == schema::ConcurrencyScope::Route);
    let limits = limits.into_iter();
    let filters = limits.filter_map(|limit| limit_of(source, registry, route, limit));
    filters.map(AnyFilter::Concurrency).collect()
}

fn limit_of(
    source: &Source<'_>,
    registry: &mut Registry,
    route: &Arc<str>,
    limit: &schema::Concurrency,
) -> Option<ConcurrencyFilter> {
    let (kind, name) = ("concurrency", limit.per.word().into());
    Some(ConcurrencyFilter {
        max: limit.bound()?,
        queue: QueueRules {
            max: limit.queue,
            timeout: limit.queue_timeout.unwrap_or_default(),
        },
        priority: limit.priority.as_ref().map(|key| key.0.clone()),
        scope: match limit.per {
            schema::ConcurrencyScope::Route => {
                ConcurrencyScope::Route(registry.filter(route, kind, &name, Gate::default))
            }
            schema::ConcurrencyScope::ClientIp => {
                let clients = registry.filter(route, kind, &name, ClientGates::default);
                ConcurrencyScope::Client(clients)
            }
        },
        adaptive: limit.adaptive.then(|| {
            let make = || Adaptive::new(source.now);
            registry.filter(route, "adaptive", &name, make)
        }),
    })
}

fn access(config: &Config, written: &schema::Access) -> AccessFilter {
    let blocks = |list: &[Spanned<IpNet>]| list.iter().map(|it| it.value).collect::<Vec<_>>();
    let (mut allow, mut deny) = (blocks(&written.allow), blocks(&written.deny));
    if let Some(file) = &written.file {
        allow.extend(&file.content.allow);
        deny.extend(&file.content.deny);
    }
    let names: Vec<&str> = written.methods.iter().map(|it| it.as_str()).collect();
    let named = HeaderValue::try_from(names.join(", ")).ok();
    let named = named.filter(|_| !names.is_empty());
    AccessFilter {
        blocks: AddressBlocks::new(&allow, &deny),
        geo: geo::rules(config, written).map(Box::new),
        methods: named.map(|named| AllowedMethods {
            list: written.methods.clone(),
            named,
        }),
    }
}

/// The conditions on the user; none without any.
fn claim_access(written: &schema::Access) -> Option<Box<ClaimAccess>> {
    written.is_of_claims().then(|| {
        Box::new(ClaimAccess {
            claims: written.claims.clone(),
            groups: written.groups.clone(),
            groups_claim: written.groups_claim.clone(),
        })
    })
}

fn compress(written: &schema::Compress) -> CompressFilter {
    let usual = || {
        let types = schema::Compress::TYPES.iter();
        types
            .filter_map(|it| MediaPattern::parse(it).ok())
            .collect()
    };
    CompressFilter {
        encodings: written.encodings.clone(),
        min: written.min.bytes(),
        types: match written.types.is_empty() {
            true => usual(),
            false => written.types.clone(),
        },
        level: written.level,
    }
}

/// The form of answers with an error; none if nothing is said about it.
pub(super) fn error_pages(
    written: &schema::ErrorPages,
    maintenance: Option<&Spanned<FileContent>>,
) -> Option<Arc<ErrorPages>> {
    let rules = written.by_rank().into_iter().map(|(key, page)| PageRule {
        statuses: key.statuses.clone(),
        of_endpoints: page
            .as_ref()
            .is_some_and(|page| page.of == schema::PagesOf::All),
        page: page
            .as_ref()
            .map(|page| self::page(page.file.as_ref().map(|file| &file.value))),
    });
    let rules: Vec<PageRule> = rules.collect();
    let maintenance = maintenance.map(|file| page(Some(&file.value)));
    let says_nothing = rules.is_empty() && maintenance.is_none();
    (!says_nothing).then(|| Arc::new(ErrorPages { rules, maintenance }))
}

/// The terms on which a route is closed, by a command or by its table; none if it is open.
fn maintenance(
    registry: &Registry,
    name: &str,
    written: Option<&schema::Maintenance>,
) -> Option<MaintenanceFilter> {
    let commands = registry.closed().load();
    let command = commands.of(name);
    if command.is_none() && !written.is_some_and(|written| written.on) {
        return None;
    }
    let usual = schema::Maintenance::default();
    let written = written.unwrap_or(&usual);
    let asked = command.and_then(|command| command.retry_after);
    let also = command.map_or(&[][..], |command| &command.allow);
    let allow: Vec<IpNet> = written.allow.iter().chain(also).copied().collect();
    Some(MaintenanceFilter {
        retry_after: asked.unwrap_or(written.retry_after).as_secs().max(1),
        allow: (!allow.is_empty()).then(|| AddressBlocks::new(&allow, &[])),
    })
}

fn page(file: Option<&FileContent>) -> Page {
    let file = file.map(|file| {
        let kind = match file.media_type() {
            kind if kind.starts_with("text/html") => Spoken::Html,
            kind if kind.starts_with("application/json") => Spoken::Json,
            _ => Spoken::Plain,
        };
        (kind, &file.bytes)
    });
    Page::new(file)
}

fn cors(written: &schema::Cors) -> CorsFilter {
    let origins = written.origins.iter().map(|it| it.value.clone());
    CorsFilter {
        origins: origins.collect(),
        methods: allowed(&written.methods),
        headers: allowed(&written.headers),
        expose: allowed(&written.expose).map(|it| it.value),
        credentials: written.credentials,
        max_age: HeaderValue::from(written.max_age.as_secs()),
    }
}

/// Names that are allowed; none if all are.
fn allowed<T: Clone + AsRef<str>>(names: &[T]) -> Option<AllowedList<T>> {
    let texts: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    let value = HeaderValue::try_from(texts.join(", ")).ok()?;
    (!names.is_empty()).then(|| AllowedList {
        names: names.to_vec(),
        value,
    })
}

fn fault(written: &schema::RouteFault) -> FaultFilter {
    FaultFilter {
        fault: Fault {
            delay: written.delay,
            abort: written.abort,
        },
        share: written.share,
        headers: written.headers.clone(),
        ask: written.ask.clone(),
    }
}

fn headers(written: &schema::Route) -> Option<HeaderFilter> {
    let (request, response) = (&written.headers_request, &written.headers_response);
    let some = !request.is_empty() || !response.is_empty();
    some.then(|| HeaderFilter::new(request, response))
}

fn rewrite(written: &schema::Rewrite) -> RewriteFilter {
    let prefix = |path: &Option<schema::route::Path>| {
        path.as_ref()
            .map_or_else(String::new, |path| path.to_string())
    };
    let path = match &written.path_regex {
        Some(rule) => Some(PathRule::Replace((*rule.pattern).clone(), rule.to.clone())),
        None if written.strip_prefix.is_none() && written.add_prefix.is_none() => None,
        None => Some(PathRule::Prefix {
            strip: normal(&prefix(&written.strip_prefix)),
            add: prefix(&written.add_prefix),
        }),
    };
    RewriteFilter {
        path,
        host: written.host.clone(),
    }
}

/// A prefix as the paths of requests are compared with it.
fn normal(prefix: &str) -> String {
    let normal = normalise(prefix.as_bytes());
    let prefix = normal.as_ref().map_or(prefix, |normal| normal.as_str());
    prefix.trim_end_matches('/').to_owned()
}

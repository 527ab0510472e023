//! Table of endpoints: routing, the index, 404 answers and the OpenAPI document are all made from
//! it.

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value};

use super::{
    model::{
        CertificateExpiry, Checked, Compared, Connection, Draining, EndpointChange, Event,
        Explained, Listener, Live, MaintenanceReport, Origins, Overview, Pool, Purged, Ready,
        RecentExchange, ReloadReport, Resource, Rollout, Route, RouteCache, Status, UpgradeReport,
    },
    operations::{EndpointAction, RolloutAction},
    router::{Access, Action, Answer, Entry, Verb},
};
use crate::telemetry::metrics::Exposition;

const fn get(path: &'static str, action: Action, answer: Answer, summary: &'static str) -> Entry {
    Entry {
        verb: Verb::Get,
        path,
        action,
        access: Access::Read,
        answer,
        summary,
    }
}

/// Makes the entry of a resource, at its own path.
const fn read<R: Resource>(action: Action, summary: &'static str) -> Entry {
    get(R::PATH, action, json::<R>(), summary)
}

const fn open<R: Resource>(action: Action, summary: &'static str) -> Entry {
    Entry {
        access: Access::Open,
        ..read::<R>(action, summary)
    }
}

/// Makes the entry of a query that is too long for a target; changes nothing.
const fn ask(path: &'static str, action: Action, answer: Answer, summary: &'static str) -> Entry {
    Entry {
        verb: Verb::Post,
        ..get(path, action, answer, summary)
    }
}

const fn change(
    path: &'static str,
    action: Action,
    answer: Answer,
    summary: &'static str,
) -> Entry {
    Entry {
        access: Access::Change,
        ..ask(path, action, answer, summary)
    }
}

const fn json<T: JsonSchema>() -> Answer {
    Answer::Json(SchemaGenerator::subschema_for::<T>)
}

/// All entries, in the order of the index.
pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        access: Access::Open,
        ..get(
            "/",
            Action::Index,
            Answer::Text(PLAIN),
            "This list; for browsers, by Accept, the dashboard",
        )
    },
    Entry {
        access: Access::Open,
        ..get(
            "/dashboard/{file}",
            Action::Asset,
            Answer::Text("text/javascript"),
            "Files of the dashboard",
        )
    },
    get(
        "/openapi.json",
        Action::OpenApi,
        json::<Map<String, Value>>(),
        "This API as an OpenAPI document",
    ),
    open::<Live>(Action::Live, "200 while the process works"),
    open::<Ready>(
        Action::Ready,
        "200 while traffic is welcome, else 503 with reasons",
    ),
    get(
        "/metrics",
        Action::Metrics,
        Answer::Text(Exposition::Text.media_type()),
        "Metrics in the Prometheus text format; by Accept as OpenMetrics, with exemplars",
    ),
    read::<Status>(Action::Status, "Version, uptime, generation, last reload"),
    read::<Vec<CertificateExpiry>>(
        Action::Certificates,
        "Certificates in use, the one that expires first in front",
    ),
    read::<Overview>(
        Action::Overview,
        "Everything at a glance, with rates; measured for a second where nobody watches",
    ),
    get(
        "/config",
        Action::Config,
        json::<Map<String, Value>>(),
        "Configuration in effect, secrets masked",
    ),
    get(
        "/config/origins",
        Action::Origins,
        json::<Origins>(),
        "Values of the configuration in effect with file and line; ?place=routes.shop&all=true",
    ),
    read::<Vec<Listener>>(Action::Listeners, "Listeners and their sockets"),
    read::<Vec<Route>>(Action::Routes, "Routes in the order of precedence"),
    read::<Vec<Pool>>(Action::Pools, "Pools with the state of their endpoints"),
    get("/pools/{pool}", Action::Pool, json::<Pool>(), "One pool"),
    read::<Vec<RouteCache>>(Action::Caches, "Caches of routes, and what they hold"),
    read::<Vec<Rollout>>(
        Action::Rollouts,
        "Rollouts with the figures of both versions",
    ),
    get(
        "/rollouts/{rollout}",
        Action::Rollout,
        json::<Rollout>(),
        "One rollout",
    ),
    read::<Vec<Connection>>(
        Action::Connections,
        "Downstream connections, and what they hold; ?pool=app&endpoint=…",
    ),
    read::<Vec<RecentExchange>>(Action::Requests, "Recent requests, newest first; ?last=100"),
    get(
        "/requests/{id}",
        Action::Request,
        json::<RecentExchange>(),
        "What was decided and done for one request",
    ),
    get(
        "/events",
        Action::Events,
        Answer::Events(SchemaGenerator::subschema_for::<Event>),
        "Events as they happen (server-sent), or as JSON by Accept; ?last=100, ?overview=1s",
    ),
    ask(
        "/explain",
        Action::Explain,
        json::<Explained>(),
        "Where a request would go, and why",
    ),
    ask(
        "/check",
        Action::Check,
        json::<Checked>(),
        "All errors of the configuration in the body; ?against_live=true: its effect on recent requests",
    ),
    ask(
        "/diff",
        Action::Diff,
        json::<Compared>(),
        "What a reload with the configuration in the body would change; ?against_live=true",
    ),
    change(
        "/reload",
        Action::Reload,
        json::<ReloadReport>(),
        "Reload the configuration file; ?force=true whatever config.gate says",
    ),
    change(
        "/upgrade",
        Action::Upgrade,
        json::<UpgradeReport>(),
        "Hand over to a new process of the program on disk, and drain",
    ),
    change(
        "/cache/purge",
        Action::PurgeCache,
        json::<Purged>(),
        "Removes stored answers, by url, prefix, tag, or all",
    ),
    change(
        "/drain",
        Action::Drain,
        json::<Draining>(),
        "Drain the whole proxy",
    ),
    change(
        "/maintenance",
        Action::Maintenance,
        json::<MaintenanceReport>(),
        "Close a route or all of them for maintenance, or open them again",
    ),
    change(
        "/pools/{pool}/endpoints/{address}/drain",
        Action::Endpoint(EndpointAction::Drain),
        json::<EndpointChange>(),
        "Let an endpoint finish its requests and send it no new ones",
    ),
    change(
        "/pools/{pool}/endpoints/{address}/enable",
        Action::Endpoint(EndpointAction::Enable),
        json::<EndpointChange>(),
        "Undo a drain or an ejection",
    ),
    change(
        "/pools/{pool}/endpoints/{address}/eject",
        Action::Endpoint(EndpointAction::Eject),
        json::<EndpointChange>(),
        "Take an endpoint out as if it had failed",
    ),
    change(
        "/rollouts/{rollout}/pause",
        Action::ChangeRollout(RolloutAction::Pause),
        json::<Rollout>(),
        "Stay at the present step; a worse version is still rolled back",
    ),
    change(
        "/rollouts/{rollout}/resume",
        Action::ChangeRollout(RolloutAction::Resume),
        json::<Rollout>(),
        "Go on; after a rollback, start again",
    ),
    change(
        "/rollouts/{rollout}/promote",
        Action::ChangeRollout(RolloutAction::Promote),
        json::<Rollout>(),
        "End the present step now",
    ),
    change(
        "/rollouts/{rollout}/abort",
        Action::ChangeRollout(RolloutAction::Abort),
        json::<Rollout>(),
        "Give all users to the old version now",
    ),
];

/// Media type of text for people.
pub(super) const PLAIN: &str = "text/plain; charset=utf-8";

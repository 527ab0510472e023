//! Every TOML snippet of the documents loads and builds.
//!
//! A snippet is a whole file, or opens with ```` ```toml fragment ````: then a listener, routes
//! and pools are added where it has none. The file of a proxy whose other tables are in a store opens
//! with ```` ```toml local ````, and TOML that is not ours with ```` ```toml other ````.

use std::fmt::Write as _;

use super::builds::{builds, loads};
use super::links::documents;

#[test]
fn each_snippet_loads_and_builds() {
    let folder = tempfile::tempdir().unwrap();
    let mut count = 0;
    for (path, text) in documents() {
        for (line, kind, snippet) in toml_blocks(&text) {
            let whole = match kind {
                "" => snippet,
                "fragment" => framed(&snippet),
                "other" => continue,
                "local" => {
                    loads(folder.path(), &format!("{path}:{line}"), &snippet);
                    continue;
                }
                _ => panic!("{path}:{line}: a snippet is a whole file, a fragment, local or other"),
            };
            builds(folder.path(), &format!("{path}:{line}"), &whole);
            count += 1;
        }
    }
    assert!(count > 10, "{count}");
}

/// Gives the line, the word after `toml` and the text of each block.
fn toml_blocks(text: &str) -> Vec<(usize, &str, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, &str, String)> = None;
    for (number, line) in text.lines().enumerate() {
        match &mut open {
            Some(_) if line == "```" => blocks.extend(open.take()),
            Some((_, _, snippet)) => {
                snippet.push_str(line);
                snippet.push('\n');
            }
            None => {
                if let Some(kind) = line.strip_prefix("```toml") {
                    open = Some((number + 1, kind.trim(), String::new()));
                }
            }
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}

/// Adds what a fragment leaves out: a listener, a route to each pool, each pool that is named.
fn framed(fragment: &str) -> String {
    let table: toml::Table = fragment.parse().unwrap_or_else(|error| {
        panic!("{error}\n{fragment}");
    });
    let mut whole = fragment.to_owned();
    let tables = |name: &str| table.get(name).and_then(toml::Value::as_table);
    let pools: Vec<&str> =
        tables("pools").map_or_else(Vec::new, |pools| pools.keys().map(String::as_str).collect());
    let mut wanted = Vec::new();
    let mut reached = Vec::new();
    for route in tables("routes")
        .into_iter()
        .flat_map(|routes| routes.values())
    {
        let pool = route.get("pool").and_then(toml::Value::as_str);
        let split = route.get("split").and_then(toml::Value::as_table);
        let arms = split.into_iter().flat_map(toml::Table::keys);
        let named: Vec<&str> = pool.into_iter().chain(arms.map(String::as_str)).collect();
        wanted.extend(&named);
        reached.extend(named);
    }
    for pool in tables("pools").into_iter().flat_map(|pools| pools.values()) {
        let failover = pool.get("failover").and_then(toml::Value::as_array);
        let names = failover
            .into_iter()
            .flatten()
            .filter_map(toml::Value::as_str);
        wanted.extend(names.clone());
        reached.extend(names);
    }
    for rollout in tables("rollouts")
        .into_iter()
        .flat_map(|rollouts| rollouts.values())
    {
        let pool = rollout.get("pool").and_then(toml::Value::as_str);
        wanted.extend(pool);
        reached.extend(pool);
    }
    for test in tables("tests").into_iter().flat_map(|tests| tests.values()) {
        let pool = test.get("expect").and_then(|expect| expect.get("pool"));
        wanted.extend(pool.and_then(toml::Value::as_str));
    }
    if tables("listeners").is_none() {
        whole.push_str("\n[listeners.frame]\naddress = \"127.0.0.1:8080\"\n");
    }
    if tables("routes").is_none() && pools.is_empty() && wanted.is_empty() {
        wanted.push("frame");
    }
    wanted.sort_unstable();
    wanted.dedup();
    for pool in pools.iter().chain(&wanted) {
        if !reached.contains(pool) {
            let _ = write!(
                whole,
                "\n[routes.frame_{pool}]\npath = \"/frame-{pool}\"\npool = \"{pool}\"\n"
            );
        }
    }
    for pool in wanted {
        if !pools.contains(&pool) {
            let endpoints = "endpoints = [\"127.0.0.1:9001\", \"127.0.0.1:9002\"]";
            let _ = write!(whole, "\n[pools.{pool}]\n{endpoints}\n");
        }
    }
    whole
}

//! Which crate may use which: the picture in `spec/rationale.md`, as a check that fails.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::{fs, path::Path};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

/// Our own crates, and which of ours each may use.
const LAYERS: &[(&str, &[&str])] = &[
    ("admit-protocol", &[]),
    ("admit-booking", &["admit-protocol"]),
    ("admit-http", &["admit-protocol"]),
    ("admit-client", &["admit-protocol", "admit-booking"]),
    ("admit-outbound", &["admit-protocol"]),
    ("admit-server", &["admit-protocol", "admit-booking", "admit-http", "admit-outbound"]),
    ("admit-index", &["admit-protocol", "admit-client", "admit-http", "admit-outbound"]),
    ("admit-control", &["admit-protocol", "admit-http", "admit-outbound", "admit-private-postgres", "admit-server"]),
    // Who judges our server must not share its mistakes.
    ("admit-conformance", &[]),
];

/// Crates that must not be anywhere below one of ours.
const NEVER_BELOW: &[(&str, &[&str])] = &[
    ("admit-protocol", &["tokio", "axum", "hyper", "reqwest", "rusqlite", "tokio-postgres"]),
    ("admit-booking", &["tokio", "axum", "hyper", "reqwest", "rusqlite", "futures", "getrandom", "rand"]),
    ("admit-client", &["axum", "rusqlite"]),
];

/// What the rules of the house must not contain: waiting, clocks, files, sockets, randomness.
const NEVER_IN_BOOKING: &[&str] =
    &["async ", ".await", "std::time", "std::fs", "std::net", "Timestamp::now", "std::thread"];

pub(crate) fn run() -> anyhow::Result<()> {
    let graph = graph()?;
    for (krate, allowed) in LAYERS {
        let Some(uses) = graph.get(*krate) else { continue };
        let extra: Vec<_> = uses.iter().filter(|d| d.starts_with("admit-") && !allowed.contains(&d.as_str())).collect();
        ensure!(extra.is_empty(), "{krate} must not use {extra:?}");
    }
    for (krate, never) in NEVER_BELOW {
        let below = below(&graph, krate);
        if let Some(bad) = never.iter().find(|bad| below.contains(**bad)) {
            bail!("{krate} has {bad} somewhere below it");
        }
    }
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../booking/src");
    check_sources(&sources)?;
    println!("layers are as drawn");
    Ok(())
}

/// Normal dependencies of each package, by name.
fn graph() -> anyhow::Result<BTreeMap<String, BTreeSet<String>>> {
    let output = Command::new(env!("CARGO")).args(["metadata", "--format-version", "1", "--locked"]).output()?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let name_of = |id: &Value| {
        let packages = metadata["packages"].as_array();
        packages.and_then(|p| p.iter().find(|p| p["id"] == *id)).and_then(|p| p["name"].as_str()).map(str::to_owned)
    };
    let mut graph = BTreeMap::new();
    for node in list(&metadata["resolve"]["nodes"]) {
        let normal = |d: &Value| list(&d["dep_kinds"]).iter().any(|k| k["kind"].is_null());
        let uses = list(&node["deps"]).iter().filter(|d| normal(d)).filter_map(|d| name_of(&d["pkg"])).collect();
        graph.insert(name_of(&node["id"]).context("a package without a name")?, uses);
    }
    Ok(graph)
}

fn below(graph: &BTreeMap<String, BTreeSet<String>>, krate: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut next = vec![krate.to_owned()];
    while let Some(name) = next.pop() {
        for used in graph.get(&name).into_iter().flatten() {
            if found.insert(used.clone()) {
                next.push(used.clone());
            }
        }
    }
    found
}

fn check_sources(folder: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            check_sources(&path)?;
        } else {
            let text = fs::read_to_string(&path)?;
            if let Some(bad) = NEVER_IN_BOOKING.iter().find(|bad| text.contains(**bad)) {
                bail!("{} contains {bad:?}: the rules of the house do no input or output", path.display());
            }
        }
    }
    Ok(())
}

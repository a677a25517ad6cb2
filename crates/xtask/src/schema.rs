//! The JSON Schemas under `spec/v1/schema/`, the page of endpoints and the OpenAPI descriptions come from the code; this keeps them
//! the same.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};

use crate::openapi;
use crate::operations::{Answered, Operation, of_indexes, of_servers};

const FOLDER: &str = "spec/v1/schema";

pub(crate) fn run(write: bool) -> anyhow::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(FOLDER);
    let mut stale = Vec::new();
    let mut expected = BTreeSet::new();
    for (name, schema) in admit_protocol::schema::all() {
        let path = folder.join(format!("{name}.json"));
        let text = serde_json::to_string_pretty(&schema)? + "\n";
        expected.insert(format!("{name}.json"));
        if fs::read_to_string(&path).ok().as_deref() == Some(&text) {
            continue;
        }
        if write {
            fs::create_dir_all(&folder)?;
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        }
        stale.push(name.to_owned());
    }
    for entry in fs::read_dir(&folder).with_context(|| format!("reading {FOLDER}"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !expected.contains(&name) {
            bail!("{FOLDER}/{name} belongs to no type any more: delete it");
        }
    }
    let programme = serde_json::to_string_pretty(&admit_server::bundle::Bundle::schema())? + "\n";
    let mut pages =
        vec![("endpoints.md".to_owned(), endpoints()), ("../files/programme.schema.json".to_owned(), programme)];
    for (name, description) in openapi::all() {
        pages.push((format!("openapi/{name}"), serde_json::to_string_pretty(&description)? + "\n"));
    }
    for (name, text) in pages {
        let path = folder.join("..").join(&name);
        if fs::read_to_string(&path).ok().as_deref() == Some(&text) {
            continue;
        }
        if write {
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        }
        stale.push(name);
    }
    match (stale.is_empty(), write) {
        (true, _) => println!("{} schemas are as the types say", expected.len()),
        (false, true) => println!("wrote {}", stale.join(", ")),
        (false, false) => bail!("{} differ from the types: run `cargo xtask schema --write`", stale.join(", ")),
    }
    Ok(())
}

/// Every address, as a page of the specification.
fn endpoints() -> String {
    let mut page =
        "# Endpoints\n\nBelow `origin` + `api_base` of the manifest. Made from the code's own table; for programs: [server](openapi/server.json), \
         [index](openapi/index.json) (OpenAPI 3.1).\n\n\
         By: `secret`, the buyer's own, as `Authorization: Bearer` (AUTH-001), or a signature (KEY-001); `key`, an `Idempotency-Key` (IDEM-001); `scanner`, the token of a \
         scanner as `Authorization: Bearer`. Who sends a body sends JSON; `{}` where there is nothing to say. What is of a capability answers 404 \
         `capability_not_offered` where the manifest does not list it (HTTP-013). Refusals: [errors](errors.md). Beside these there is \
         `GET /.well-known/admit` below `origin`: 200, [jws](schema/jws.json), as `application/json`.\n"
            .to_owned();
    for (whose, operations) in [("a server", of_servers()), ("an index", of_indexes())] {
        page.push_str(&format!(
            "\n## Of {whose}\n\n| request | path | capability | by | asked for with | answered with |\n| --- | --- | --- | --- | --- | --- |\n"
        ));
        for operation in operations {
            page.push_str(&row(&operation));
        }
    }
    page
}

fn row(operation: &Operation) -> String {
    let Operation { endpoint, by, capability, asked, answered, query } = operation;
    let link = |name: &str| format!("[{name}](schema/{name}.json)");
    let capability = capability.map(|capability| format!("`{capability}`")).unwrap_or_default();
    let answered = match answered {
        Answered::With(status, name) => format!("{status}, {}", link(name)),
        Answered::MadeOrThere(name) => format!("201, or 200 for what was there, {}", link(name)),
        Answered::Nothing => "nothing, 204".to_owned(),
        Answered::Document(media_type, what, page) => format!("200, `{media_type}`, [{what}]({page})"),
    };
    // What an index is asked for is too much for a row: its page says it.
    let query = match query.len() {
        0 => String::new(),
        1..=2 => format!("?{}", query.iter().map(|p| format!("{}=", p.name)).collect::<Vec<_>>().join("&")),
        _ => "?...".to_owned(),
    };
    format!(
        "| {} | `{}{query}` | {capability} | {} | {} | {answered} |\n",
        endpoint.method,
        endpoint.path,
        by.in_words(),
        asked.map(link).unwrap_or_default(),
    )
}

//! The JSON Schemas under `spec/v1/schema/` come from the types; this keeps them the same.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};

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
        stale.push(name);
    }
    for entry in fs::read_dir(&folder).with_context(|| format!("reading {FOLDER}"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !expected.contains(&name) {
            bail!("{FOLDER}/{name} belongs to no type any more: delete it");
        }
    }
    let programme = serde_json::to_string_pretty(&admit_server::bundle::Bundle::schema())? + "\n";
    for (name, text) in [("endpoints.md", endpoints()), ("../files/programme.schema.json", programme)] {
        let path = folder.join("..").join(name);
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
        "# Endpoints\n\nBelow `origin` + `api_base` of the manifest. Made from the code's own table.\n\n\
         By: `secret`, the buyer's own, as `Authorization: Bearer` (AUTH-001); `key`, an `Idempotency-Key` (IDEM-001); `scanner`, the token of a \
         scanner as `Authorization: Bearer`. Who sends a body sends JSON; `{}` where there is nothing to say. What is of a capability answers 404 \
         `capability_not_offered` where the manifest does not list it (HTTP-013). Refusals: [errors](errors.md). Beside these there is \
         `GET /.well-known/admit` below `origin`: 200, [jws](schema/jws.json), as `application/json`.\n"
            .to_owned();
    for (whose, list) in [("a server", admit_protocol::endpoint::SERVER), ("an index", admit_protocol::endpoint::INDEX)]
    {
        page.push_str(&format!(
            "\n## Of {whose}\n\n| request | path | capability | by | asked for with | answered with |\n| --- | --- | --- | --- | --- | --- |\n"
        ));
        for endpoint in list {
            let (asked, answered) = messages(endpoint.name);
            let by = who(endpoint.name);
            let (method, path, capability) = (endpoint.method, endpoint.path, capability(endpoint.name));
            page.push_str(&format!(
                "| {method} | `{path}{}` | {capability} | {by} | {asked} | {answered} |\n",
                query(endpoint.name)
            ));
        }
    }
    page
}

/// Who may ask, and whether it is one effect: `Authorization: Bearer` and `Idempotency-Key`.
fn who(name: &str) -> &'static str {
    match name {
        "PLACE_HOLD" | "EXTEND_HOLD" | "BOOK" | "CANCEL" | "EXCHANGE" | "JOIN_WAITLIST" => "secret, key",
        "GET_HOLD" | "RELEASE_HOLD" | "GET_BOOKING" | "GET_TICKETS" | "QUOTE_CANCELLATION" | "QUOTE_EXCHANGE"
        | "GET_WAITLIST_ENTRY" | "LEAVE_WAITLIST" | "JOIN_QUEUE" | "GET_QUEUE_PLACE" | "LEAVE_QUEUE" => "secret",
        "GET_ALLOW_LIST" | "UPLOAD_SCANS" => "scanner",
        _ => "anybody",
    }
}

/// The capability that it belongs to; none, if every server or index has it.
fn capability(name: &str) -> &'static str {
    match name {
        "GET_FEED" => "`feed`",
        "GET_LIVE" => "`live`",
        "EXTEND_HOLD" => "`extend`",
        "QUOTE_EXCHANGE" | "EXCHANGE" => "`exchange`",
        "JOIN_WAITLIST" | "GET_WAITLIST_ENTRY" | "LEAVE_WAITLIST" => "`waitlist`",
        "JOIN_QUEUE" | "GET_QUEUE_PLACE" | "LEAVE_QUEUE" => "`queue`",
        "GET_ALLOW_LIST" | "UPLOAD_SCANS" => "`door`",
        "FIND_FILMS" | "FIND_SCREENINGS" => "`screenings`",
        _ => "",
    }
}

/// What may follow the path. Other parameters are ignored.
fn query(name: &str) -> &'static str {
    match name {
        "GET_PROGRAMME" => "?cursor=",
        "GET_FEED" => "?cursor=&wait=",
        "GET_ANNOUNCEMENT" | "GET_MANIFEST" => "?origin=",
        _ => "",
    }
}

/// With what status it is answered, if it is done.
fn status(name: &str) -> &'static str {
    match name {
        "PLACE_HOLD" | "BOOK" | "EXCHANGE" | "JOIN_WAITLIST" => "201",
        "JOIN_QUEUE" => "201, or 200 for a place that was there",
        _ => "200",
    }
}

/// The schemas of what is sent and what comes back.
fn messages(name: &str) -> (String, String) {
    let (asked, answered) = match name {
        "GET_CINEMA_PAGE" => ("", "cinema_page"),
        "GET_PROGRAMME" => ("", "programme"),
        "GET_FEED" => ("", "feed"),
        "GET_LAYOUT" => ("", "layout"),
        "GET_PRICE_TABLE" => ("", "price_table"),
        "GET_SCREENING" => ("", "screening"),
        "GET_SEATS" => ("", "seats"),
        "PLACE_HOLD" => ("place_hold", "hold"),
        "GET_HOLD" => ("", "hold"),
        "EXTEND_HOLD" => ("extend_hold", "hold"),
        "BOOK" => ("book", "booking"),
        "GET_BOOKING" => ("", "booking"),
        "GET_TICKETS" => ("", "tickets"),
        "QUOTE_CANCELLATION" => ("quote_cancellation", "cancellation_quote"),
        "CANCEL" => ("cancel", "booking"),
        "QUOTE_EXCHANGE" => ("quote_exchange", "exchange_quote"),
        "EXCHANGE" => ("exchange", "booking"),
        "JOIN_WAITLIST" => ("join_waitlist", "waitlist_entry"),
        "GET_WAITLIST_ENTRY" => ("", "waitlist_entry"),
        "JOIN_QUEUE" | "GET_QUEUE_PLACE" => ("", "queue_place"),
        "UPLOAD_SCANS" => ("upload_scans", "scan_results"),
        "ANNOUNCE" => ("announce", "announcement"),
        "GET_ANNOUNCEMENT" => ("", "announcement"),
        "FIND_CINEMAS" => ("", "listings"),
        "FIND_FILMS" => ("", "films_showing"),
        "FIND_SCREENINGS" => ("", "screening_hints"),
        "GET_MANIFEST" => ("", "jws"),
        _ => ("", ""),
    };
    let link = |name: &str| if name.is_empty() { String::new() } else { format!("[{name}](schema/{name}.json)") };
    let answered = match name {
        "RELEASE_HOLD" | "LEAVE_WAITLIST" | "LEAVE_QUEUE" => "nothing, 204".to_owned(),
        "GET_ALLOW_LIST" => "200, a signed list: [tickets](tickets.md)".to_owned(),
        "GET_LIVE" => "200, `text/event-stream`: [seats](seats.md)".to_owned(),
        _ => format!("{}, {}", status(name), link(answered)),
    };
    (link(asked), answered)
}

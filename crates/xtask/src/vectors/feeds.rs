//! Feeds: what a reader knows after so many pages, and pages that are none.

use std::collections::BTreeMap;

use admit_protocol::digest::ContentName;
use admit_protocol::feed::Feed;
use admit_protocol::json::{self, Numbers};
use anyhow::Context as _;
use serde_json::{Value, json};

const BYTES_MAX: usize = 4 << 20;

/// A screening at nine on a winter evening in Prague, with this status.
fn screening(id: &str, status: &str) -> Value {
    let starts_at =
        json!({"at": "2026-11-21T20:00:00Z", "local": "2026-11-21T21:00:00+01:00", "zone": "Europe/Prague"});
    json!({
        "id": id, "cinema": "kino", "hall": "one", "layout": ContentName::of(b"layout"), "price_table": ContentName::of(b"prices"),
        "items": [{"film": "nosferatu", "version": "silent", "starts_at": starts_at}], "starts_at": starts_at,
        "business_date": "2026-11-21", "status": status,
        "sales": {"opens_at": "2026-11-01T09:00:00Z", "closes_at": "2026-11-21T20:00:00Z"}, "cancellation": {"tiers": []},
    })
}

fn item(id: &str, minute: u8, status: Option<&str>) -> Value {
    let mut item = json!({"screening": id, "cinema": "kino", "changed_at": format!("2026-11-20T12:{minute:02}:00Z")});
    if let Some(status) = status {
        item["data"] = screening(id, status);
    }
    item
}

fn page(next: &str, items: &[Value]) -> Value {
    json!({"items": items, "next": next})
}

fn read(page: &Value) -> Option<Feed> {
    json::read(page.to_string().as_bytes(), BYTES_MAX, Numbers::Any).ok()
}

pub(super) fn all() -> anyhow::Result<Value> {
    let whole = page("c1", &[item("s1", 1, Some("on_sale"))]);
    let without = |member: &str| {
        let mut page = whole.clone();
        page["items"][0].as_object_mut().map(|item| item.remove(member));
        page
    };
    let with = |member: &str, value: Value| {
        let mut page = whole.clone();
        page["items"][0][member] = value;
        page
    };
    let good = [
        whole.clone(),
        page("c1", &[]),
        page("c1", &[item("s1", 1, None)]),
        with("reason", json!("a member that nobody knows")),
        with("data", Value::Null),
    ];
    let mut data_without_start = screening("s1", "on_sale");
    data_without_start.as_object_mut().map(|data| data.remove("starts_at"));
    let bad = [
        (json!({"items": []}), "without `next`"),
        (json!({"next": "c1"}), "without `items`"),
        (without("screening"), "an item of nothing"),
        (without("cinema"), "an item of no cinema"),
        (without("changed_at"), "an item of no time"),
        (with("screening", json!("a b")), "an item whose name is no id"),
        (with("changed_at", json!("2026-11-20 12:01")), "a time that is no instant"),
        (with("data", data_without_start), "a screening that never starts"),
        (json!([whole["items"], "c1"]), "an array where an object is wanted"),
    ];
    let histories = [
        (
            "everything at its last change",
            vec![
                page("c2", &[item("s1", 1, Some("on_sale")), item("s2", 2, Some("cancelled"))]),
                page("c3", &[item("s3", 3, Some("on_sale"))]),
                page("c3", &[]),
            ],
        ),
        (
            "a change comes later, and once",
            vec![
                page("c2", &[item("s1", 1, Some("on_sale")), item("s2", 2, Some("on_sale"))]),
                page("c3", &[item("s1", 5, Some("paused"))]),
                page("c3", &[]),
            ],
        ),
        (
            "one is taken out of the programme",
            vec![
                page("c2", &[item("s1", 1, Some("on_sale")), item("s2", 2, Some("on_sale"))]),
                page("c3", &[item("s2", 6, None)]),
            ],
        ),
        (
            "one is taken out and comes back",
            vec![
                page("c2", &[item("s1", 1, Some("on_sale"))]),
                page("c3", &[item("s1", 2, None)]),
                page("c4", &[item("s1", 3, Some("on_sale"))]),
            ],
        ),
        ("who never knew it hears that it is gone", vec![page("c2", &[item("s9", 1, None)])]),
    ];
    let histories = histories.into_iter().map(|(what, pages)| {
        let mut known: BTreeMap<String, String> = BTreeMap::new();
        for page in &pages {
            let feed = read(page).with_context(|| format!("{what}: ours cannot read a page"))?;
            for item in feed.items {
                let id = item.screening.to_string();
                match item.data {
                    Some(data) => drop(known.insert(id, data.status.to_string())),
                    None => drop(known.remove(&id)),
                }
            }
        }
        let read_on =
            pages.last().and_then(|page| page["next"].as_str()).context("there is nowhere to read on")?.to_owned();
        Ok(json!({"what": what, "pages": pages, "screenings": known, "read_on": read_on}))
    });
    let histories = histories.collect::<anyhow::Result<Vec<_>>>()?;
    let pages = super::judged(&good, &bad, |page| read(page).is_some())?;
    Ok(json!({"pages": pages, "histories": histories}))
}

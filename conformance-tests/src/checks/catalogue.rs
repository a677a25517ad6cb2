//! What is shown: cinemas, programmes, layouts, prices, seats.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{Timestamp, Zoned};
use reqwest::Method;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::must;
use crate::target::Target;
use crate::wire::Answer;

/// Pages of one programme that are read: 1,000 screenings each.
const PAGES_MAX: usize = 50;

fn list<'a>(value: &'a Value, name: &str) -> Result<&'a Vec<Value>, String> {
    value[name].as_array().ok_or_else(|| format!("there is no list `{name}`"))
}

fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str, String> {
    value[name].as_str().ok_or_else(|| format!("there is no text `{name}`"))
}

fn ok(answer: Answer, path: &str) -> Result<Answer, String> {
    must(answer.status == 200, || format!("{path}: status {}, not 200", answer.status)).map(|()| answer)
}

/// A document by its name, whose bytes make that name.
async fn document(target: &mut Target, kind: &str, name: &str) -> Result<Value, String> {
    let path = target.api(&format!("/{kind}/{name}"))?;
    let answer = ok(target.get(&path).await?, &path)?;
    let is = format!("sha256-{}", URL_SAFE_NO_PAD.encode(Sha256::digest(&answer.bytes)));
    must(is == name, || format!("the bytes of {path} are those of {is}"))?;
    answer.json()
}

/// How much a page of cinemas, and the description of one, may have (HTTP-003, PROG-006).
const PAGE_BYTES_MAX: usize = 256 * 1024;
const CINEMA_BYTES_MAX: usize = 120 * 1024;

pub(super) async fn cinemas(target: &mut Target) -> Result<Vec<Value>, String> {
    let pages = target.member("cinema_pages")?.as_array().cloned().unwrap_or_default();
    let mut cinemas = Vec::new();
    for page in &pages {
        let name = page.as_str().ok_or("a page's name is a text")?;
        let page = document(target, "cinema_pages", name).await?;
        let bytes = page.to_string().len();
        must(bytes <= PAGE_BYTES_MAX, || format!("a page of cinemas has {bytes} bytes"))?;
        for cinema in list(&page, "cinemas")? {
            let bytes = cinema.to_string().len();
            must(bytes <= CINEMA_BYTES_MAX, || format!("cinema {} has {bytes} bytes", cinema["id"]))?;
            cinemas.push(cinema.clone());
        }
    }
    Ok(cinemas)
}

/// All pages of a cinema's programme.
async fn programme(target: &mut Target, cinema: &Value) -> Result<Vec<Value>, String> {
    let path = target.api(&format!("/cinemas/{}/programme", text(cinema, "id")?))?;
    let mut pages = Vec::new();
    let mut next = path.clone();
    while pages.len() < PAGES_MAX {
        let page = ok(target.get(&next).await?, &next)?.json()?;
        let cursor = page["next"].as_str().map(str::to_owned);
        pages.push(page);
        let Some(cursor) = cursor else { return Ok(pages) };
        next = format!("{path}?cursor={cursor}");
    }
    Err(format!("{path} has more than {PAGES_MAX} pages"))
}

pub(crate) async fn screenings(target: &mut Target) -> Result<Vec<Value>, String> {
    let mut screenings = Vec::new();
    for cinema in cinemas(target).await? {
        for page in programme(target, &cinema).await? {
            screenings.extend(list(&page, "screenings")?.clone());
        }
    }
    Ok(screenings)
}

pub(super) async fn pages(target: &mut Target) -> Result<(), String> {
    let cinemas = cinemas(target).await?;
    must(!cinemas.is_empty(), || "the manifest names no page with a cinema".into())?;
    let mut seen = BTreeSet::new();
    for cinema in &cinemas {
        let id = text(cinema, "id")?;
        must(seen.insert(id.to_owned()), || format!("cinema {id} is listed twice"))?;
    }
    Ok(())
}

pub(super) async fn programmes(target: &mut Target) -> Result<(), String> {
    for cinema in cinemas(target).await? {
        let (mut before, mut seen) = (Timestamp::MIN, BTreeSet::new());
        for page in programme(target, &cinema).await? {
            let rows = list(&page, "screenings")?;
            must(rows.len() <= 1_000, || format!("{} screenings on one page", rows.len()))?;
            let films: BTreeSet<&str> = list(&page, "films")?.iter().filter_map(|f| f["id"].as_str()).collect();
            for row in rows {
                let id = text(row, "id")?;
                let starts: Timestamp = text(&row["starts_at"], "at")?.parse().map_err(|e| format!("{id}: {e}"))?;
                must(starts >= before, || format!("{id} starts before the one it comes after"))?;
                before = starts;
                must(seen.insert(id.to_owned()), || format!("{id} comes twice"))?;
                for item in list(row, "items")? {
                    let film = text(item, "film")?;
                    must(films.contains(film), || format!("{id} shows {film}, which the page does not describe"))?;
                }
            }
        }
    }
    Ok(())
}

pub(super) async fn screening(target: &mut Target) -> Result<(), String> {
    let Some(listed) = screenings(target).await?.into_iter().next() else { return Ok(()) };
    let path = target.api(&format!("/screenings/{}", text(&listed, "id")?))?;
    let alone = ok(target.get(&path).await?, &path)?.json()?;
    must(alone == listed, || format!("the programme says {listed}, {path} says {alone}"))
}

pub(super) async fn times(target: &mut Target) -> Result<(), String> {
    for row in screenings(target).await? {
        let items = row["items"].as_array().into_iter().flatten().map(|item| &item["starts_at"]);
        for moment in [&row["starts_at"], &row["ends_at"], &row["doors_at"]].into_iter().chain(items) {
            if moment.is_null() {
                continue;
            }
            let at: Timestamp = text(moment, "at")?.parse().map_err(|e| format!("{moment}: {e}"))?;
            let local = format!("{}[{}]", text(moment, "local")?, text(moment, "zone")?);
            let local: Zoned = local.parse().map_err(|e| format!("{moment}: {e}"))?;
            must(local.timestamp() == at, || format!("{moment} names two moments"))?;
        }
    }
    Ok(())
}

/// Documents of a kind that screenings name, each once.
async fn named(target: &mut Target, kind: &str, member: &str) -> Result<Vec<Value>, String> {
    let names: BTreeSet<String> =
        screenings(target).await?.iter().filter_map(|s| s[member].as_str().map(str::to_owned)).collect();
    let mut documents = Vec::new();
    for name in names {
        documents.push(document(target, kind, &name).await?);
    }
    Ok(documents)
}

pub(super) async fn layouts(target: &mut Target) -> Result<(), String> {
    for layout in named(target, "layouts", "layout").await? {
        let zones: BTreeSet<&str> = list(&layout, "zones")?.iter().filter_map(|z| z["id"].as_str()).collect();
        let seats = list(&layout, "seats")?;
        let by_id: BTreeMap<&str, &Value> = seats.iter().filter_map(|s| Some((s["id"].as_str()?, s))).collect();
        must(by_id.len() == seats.len(), || "two seats have the same id".into())?;
        let mut labels = BTreeSet::new();
        for seat in seats {
            let id = text(seat, "id")?;
            let label = (seat["section"].as_str(), text(seat, "row")?, text(seat, "number")?);
            must(labels.insert(label), || format!("{id}: another seat has its row and number"))?;
            must(zones.contains(text(seat, "zone")?), || format!("{id} is in a zone that is not listed"))?;
            for (side, other_side) in [("left", "right"), ("right", "left")] {
                let Some(neighbour) = seat[side].as_str() else { continue };
                let back = by_id.get(neighbour).and_then(|n| n[other_side].as_str());
                must(back == Some(id), || format!("{id} has {neighbour} to its {side}, but not the other way round"))?;
            }
            let spaces = seat["companion_of"].as_array().into_iter().flatten().filter_map(Value::as_str);
            for space in spaces {
                let kind = by_id.get(space).map(|s| &s["kind"]);
                must(kind.is_some_and(|k| k == "wheelchair_space"), || {
                    format!("{id} is for the companion of {space}")
                })?;
            }
        }
    }
    Ok(())
}

pub(super) async fn prices(target: &mut Target) -> Result<(), String> {
    let amount = |money: &Value| money["amount"].as_i64().ok_or_else(|| format!("{money} is no money"));
    for table in named(target, "price_tables", "price_table").await? {
        for offer in list(&table, "offers")? {
            let mut sum = amount(&offer["base"])?;
            for fee in offer["fees"].as_array().into_iter().flatten() {
                sum += amount(&fee["amount"])?;
            }
            for tax in offer["taxes"].as_array().into_iter().flatten().filter(|tax| tax["included"] == false) {
                sum += amount(&tax["amount"])?;
            }
            must(amount(&offer["total"])? == sum, || format!("the parts of {offer} make {sum}"))?;
        }
    }
    Ok(())
}

pub(super) async fn seats(target: &mut Target) -> Result<(), String> {
    // The latest ones are the least likely to change while they are looked at.
    for row in screenings(target).await?.iter().rev().take(5) {
        let path = target.api(&format!("/screenings/{}/seats", text(row, "id")?))?;
        let layout = document(target, "layouts", text(row, "layout")?).await?;
        let known: BTreeSet<&str> = list(&layout, "seats")?.iter().filter_map(|s| s["id"].as_str()).collect();
        let somebody = [("authorization", "Bearer AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")];
        let nobody = ok(target.ask(Method::GET, &path, &[]).await?, &path)?.json()?;
        let other = ok(target.ask(Method::GET, &path, &somebody).await?, &path)?.json()?;
        must(nobody["seq"] != other["seq"] || nobody == other, || format!("{path} says two things at one `seq`"))?;
        must(nobody["layout"] == row["layout"], || format!("{path} names another layout than the programme"))?;
        let mut seen = BTreeSet::new();
        for seat in nobody["not_free"].as_object().into_iter().flatten().flat_map(|(_, ids)| ids.as_array()) {
            for id in seat.iter().filter_map(Value::as_str) {
                must(known.contains(id), || format!("{path} names {id}, which the layout has not"))?;
                must(seen.insert(id.to_owned()), || format!("{path} names {id} twice"))?;
            }
        }
    }
    Ok(())
}

pub(super) async fn feed(target: &mut Target) -> Result<(), String> {
    let path = target.api("/feed")?;
    let (mut told, mut next) = (BTreeMap::new(), path.clone());
    for _ in 0..PAGES_MAX {
        let page = ok(target.get(&next).await?, &next)?.json()?;
        let items = list(&page, "items")?;
        for item in items {
            let id = text(item, "screening")?.to_owned();
            let before = told.insert(id.clone(), item["data"].clone());
            must(before.is_none(), || format!("the feed tells {id} twice"))?;
        }
        if items.is_empty() {
            break;
        }
        next = format!("{path}?cursor={}", text(&page, "next")?);
    }
    for row in screenings(target).await? {
        let id = text(&row, "id")?;
        must(told.get(id) == Some(&row), || format!("the feed says of {id} {:?}", told.get(id)))?;
    }
    Ok(())
}

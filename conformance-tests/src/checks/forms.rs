//! The form of everything that is read: ids, amounts, instants, texts.

use jiff::Timestamp;
use serde_json::Value;

use super::{Checked, must};
use crate::stage::{good, text};
use crate::target::Target;
use crate::wire::Ask;

/// What a client reads before it buys: cinemas, programmes, layouts, prices, seats.
async fn documents(target: &mut Target) -> Checked<Vec<Value>> {
    let mut all = vec![target.manifest.clone().ok_or("the manifest could not be read")?];
    all.extend(super::catalogue::cinemas(target).await?);
    for screening in super::screenings(target).await?.into_iter().take(20) {
        for (kind, member) in [("layouts", "layout"), ("price_tables", "price_table")] {
            let path = target.api(&format!("/{kind}/{}", text(&screening, member)?))?;
            all.push(good(&target.get(&path).await?, 200)?);
        }
        let path = target.api(&format!("/screenings/{}/seats", text(&screening, "id")?))?;
        all.push(good(&target.wire.send(&Ask::get(path)).await?, 200)?);
        all.push(screening);
    }
    Ok(all)
}

/// Shows every member of a document, however deep, with its name.
fn each(name: &str, value: &Value, see: &mut dyn FnMut(&str, &Value) -> Result<(), String>) -> Result<(), String> {
    see(name, value)?;
    match value {
        Value::Object(members) => members.iter().try_for_each(|(name, value)| each(name, value, see)),
        Value::Array(values) => values.iter().try_for_each(|value| each(name, value, see)),
        _ => Ok(()),
    }
}

async fn all(target: &mut Target, see: &mut dyn FnMut(&str, &Value) -> Result<(), String>) -> Checked {
    for document in documents(target).await? {
        each("", &document, see)?;
    }
    Ok(())
}

pub(super) async fn ids(target: &mut Target) -> Checked {
    all(target, &mut |name, value| match (name, value.as_str()) {
        (
            "id" | "cinema" | "hall" | "film" | "version" | "zone_id" | "ticket_type" | "screening" | "seat",
            Some(id),
        ) => {
            let good = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
            must((1..=64).contains(&id.len()) && id.bytes().all(good), || format!("`{name}` is {id:?}"))
        }
        ("layout" | "price_table", Some(id)) => {
            must(id.len() == 50 && id.starts_with("sha256-"), || format!("`{name}` is {id:?}"))
        }
        _ => Ok(()),
    })
    .await
}

pub(super) async fn amounts(target: &mut Target) -> Checked {
    const MOST: i64 = (1 << 53) - 1;
    all(target, &mut |name, value| {
        let Some(currency) = value.get("currency").filter(|_| value.get("amount").is_some()) else { return Ok(()) };
        let whole = value["amount"].as_i64().is_some_and(|amount| amount.abs() <= MOST);
        let code = currency.as_str().is_some_and(|c| c.len() == 3 && c.bytes().all(|b| b.is_ascii_uppercase()));
        must(whole && code, || format!("`{name}` is {value}"))
    })
    .await
}

pub(super) async fn instants(target: &mut Target) -> Checked {
    let named = |name: &str| {
        name == "at" || name.ends_with("_at") || name.ends_with("_until") || name == "issued" || name == "expires"
    };
    all(target, &mut |name, value| match value.as_str() {
        Some(text) if named(name) => must(text.ends_with('Z') && text.parse::<Timestamp>().is_ok(), || {
            format!("`{name}` is {text:?}, no instant in UTC")
        }),
        _ => Ok(()),
    })
    .await
}

pub(super) async fn texts(target: &mut Target) -> Checked {
    all(target, &mut |name, value| {
        let words = |text: &str| {
            let turns = text.chars().any(|c| ('\u{202a}'..='\u{202e}').contains(&c));
            must(!turns, || format!("`{name}` turns the order of what follows: {text:?}"))
        };
        match (name, value) {
            ("name" | "title" | "note" | "synopsis" | "operator", Value::Object(languages)) => {
                must((1..=64).contains(&languages.len()), || format!("`{name}` is in {} languages", languages.len()))?;
                languages.iter().try_for_each(|(tag, text)| {
                    let text = text.as_str().ok_or_else(|| format!("`{name}` in {tag} is no text"))?;
                    let control = text.chars().any(|c| c.is_control() && c != '\n');
                    let fits = !text.trim().is_empty() && text.len() <= 8192 && !control;
                    must(fits, || format!("`{name}` in {tag} is {text:?}"))
                })
            }
            (_, Value::String(text)) => words(text),
            _ => Ok(()),
        }
    })
    .await
}

pub(super) async fn base(target: &mut Target) -> Checked {
    let base = target.member("api_base")?.as_str().unwrap_or_default().to_owned();
    Ok(must(base.starts_with('/') && base.ends_with("/v1"), || format!("`api_base` is {base:?}"))?)
}

pub(super) async fn fits(target: &mut Target) -> Checked {
    let cinemas = super::catalogue::cinemas(target).await?;
    for screening in super::screenings(target).await?.into_iter().take(50) {
        let id = text(&screening, "id")?.to_owned();
        let cinema =
            cinemas.iter().find(|c| c["id"] == screening["cinema"]).ok_or_else(|| format!("{id} is at no cinema"))?;
        let halls = cinema["halls"].as_array().ok_or("a cinema has halls")?;
        must(halls.iter().any(|h| h["id"] == screening["hall"]), || format!("{id} is in a hall that is not there"))?;
        let zone = &screening["starts_at"]["zone"];
        must(*zone == cinema["zone"], || {
            format!("{id} begins by the clock of {zone}, its cinema's is {}", cinema["zone"])
        })?;
        let path = target.api(&format!("/price_tables/{}", text(&screening, "price_table")?))?;
        let table = good(&target.get(&path).await?, 200)?;
        must(table["currency"] == cinema["currency"], || format!("{id} is sold in {}", table["currency"]))?;
        let path = target.api(&format!("/layouts/{}", text(&screening, "layout")?))?;
        let layout = good(&target.get(&path).await?, 200)?;
        let offers = table["offers"].as_array().ok_or("a price table has offers")?;
        for zone in layout["zones"].as_array().into_iter().flatten() {
            let sold = offers.iter().any(|o| o["zone"] == zone["id"]);
            must(sold, || format!("{id} has no price for zone {}", zone["id"]))?;
        }
        let evening = screening["business_date"].as_str().unwrap_or_default().parse::<jiff::civil::Date>();
        let local = text(&screening["starts_at"], "local")?;
        let day =
            local.get(..10).and_then(|day| day.parse::<jiff::civil::Date>().ok()).ok_or("a local time has no date")?;
        let near = evening.is_ok_and(|evening| evening == day || Some(evening) == day.yesterday().ok());
        must(near, || format!("{id} begins at {local}, and belongs to the evening of {}", screening["business_date"]))?;
    }
    Ok(())
}

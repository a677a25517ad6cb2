//! The cinema's signed word for a hold, and the log of who had which seat.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::discovery::signed_by_identity;
use super::holds::{instant, move_to};
use super::{Checked, must};
use crate::stage::{Buyer, Show, good, refused, text};
use crate::target::Target;
use crate::wire::Ask;

const TYP: &str = "admit-receipt+jws";

fn name_of(content: &str) -> String {
    format!("sha256-{}", URL_SAFE_NO_PAD.encode(Sha256::digest(content)))
}

/// What the log says of the seats by now: whose they are, and how the chain stood after each `seq`.
#[derive(Default)]
struct Log {
    texts: Vec<String>,
    heads: BTreeMap<u64, String>,
    had: BTreeMap<String, Value>,
}

impl Log {
    /// The last entry's name up to `seq`.
    fn head(&self, show: &Show, seq: u64) -> String {
        self.heads.range(..=seq).next_back().map_or_else(|| name_of(&show.id), |(_, head)| head.clone())
    }

    fn seats_of(&self, of: &Value) -> BTreeSet<&str> {
        self.had.iter().filter(|(_, whose)| *whose == of).map(|(seat, _)| seat.as_str()).collect()
    }

    /// Reads one more entry, which has to follow the one before.
    fn read(&mut self, show: &Show, entry: &str) -> Result<(), String> {
        let head = self.head(show, u64::MAX);
        let last = self.texts.last().map(|text| serde_json::from_str::<Value>(text).expect("was read"));
        let said: Value = serde_json::from_str(entry).map_err(|e| format!("an entry that is no JSON: {e}"))?;
        must(said["prior"] == head.as_str(), || format!("{said} does not name the entry before, {head}"))?;
        let seq = said["seq"].as_u64().ok_or_else(|| format!("{said} has no `seq`"))?;
        if let Some(last) = last {
            let goes_on =
                instant(&said, "at")? >= instant(&last, "at")? && said["seq"].as_u64() >= last["seq"].as_u64();
            must(goes_on, || format!("{said} comes after {last}"))?;
        }
        for seat in said["freed"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            must(self.had.remove(seat).is_some(), || format!("{said}: nobody had {seat}"))?;
        }
        for taken in said["taken"].as_array().into_iter().flatten() {
            for seat in taken["seats"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                let before = self.had.insert(seat.to_owned(), taken["of"].clone());
                must(before.is_none(), || format!("{said}: somebody had {seat}"))?;
            }
        }
        self.heads.insert(seq, name_of(entry));
        self.texts.push(entry.to_owned());
        Ok(())
    }
}

/// The whole log, page after page, from its beginning.
async fn log(target: &mut Target, show: &Show) -> Result<Log, String> {
    let mut log = Log::default();
    for after in log_pages(target, show, 0).await? {
        log.read(show, &after)?;
    }
    Ok(log)
}

async fn log_pages(target: &mut Target, show: &Show, mut after: u64) -> Result<Vec<String>, String> {
    let mut all = Vec::new();
    loop {
        let page = good(&target.wire.send(&Ask::get(show.at(&format!("/seat_log?after={after}")))).await?, 200)?;
        let entries = page["entries"].as_array().ok_or("a page of the log has `entries`")?;
        for entry in entries {
            let entry = entry.as_str().ok_or("an entry is the text that it is named by")?;
            let said: Value = serde_json::from_str(entry).map_err(|e| format!("an entry that is no JSON: {e}"))?;
            let seq = said["seq"].as_u64().ok_or_else(|| format!("{said} has no `seq`"))?;
            must(seq > after || all.last().is_some_and(|(last, _)| *last == seq), || {
                format!("asked for what comes after {after}, and got {said}")
            })?;
            all.push((seq, entry.to_owned()));
        }
        let Some((last, _)) = all.last().filter(|_| page["more"] == true) else {
            return Ok(all.into_iter().map(|(_, entry)| entry).collect());
        };
        after = *last;
    }
}

/// What a receipt says, after its signature was found to fit.
async fn receipt(target: &mut Target, buyer: &Buyer, show: &Show, hold: &Value) -> Result<Value, String> {
    let path = show.at(&format!("/holds/{}/receipt", text(hold, "id")?));
    let jws = good(&target.read(&path, buyer).await?, 200)?;
    signed_by_identity(target, &jws, TYP)
}

async fn no_receipt(target: &mut Target, buyer: &Buyer, show: &Show, hold: &Value, status: u16, code: &str) -> Checked {
    let path = show.at(&format!("/holds/{}/receipt", text(hold, "id")?));
    refused(&target.read(&path, buyer).await?, status, code)?;
    Ok(())
}

/// A receipt says what is so, and the log bears it out.
fn borne_out(log: &Log, show: &Show, hold: &Value, receipt: &Value, state: &str, seats: &[&str]) -> Result<(), String> {
    must(receipt["state"] == state, || format!("the receipt is of something {}, not {state}", receipt["state"]))?;
    must(receipt["screening"] == show.id.as_str() && receipt["layout"] == show.layout.as_str(), || {
        format!("the receipt is of other seats: {receipt}")
    })?;
    let said: Vec<&str> = receipt["seats"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    must(said == seats, || format!("the receipt has the seats {said:?}, not {seats:?}"))?;
    let of = name_of(text(hold, "id")?);
    must(receipt["of"] == of.as_str(), || format!("the receipt calls the hold {}, not {of}", receipt["of"]))?;
    let seq = receipt["seq"].as_u64().ok_or("the receipt has no `seq`")?;
    let head = log.head(show, seq);
    must(receipt["head"] == head.as_str(), || {
        format!("at {seq} the log's last entry is {head}, and the receipt says {}", receipt["head"])
    })
}

pub(super) async fn of_a_hold_and_its_booking(target: &mut Target) -> Checked {
    let show = target.show(json!({"cancellation": {"tiers": []}})).await?;
    let buyer = target.buyer();
    let seats = [show.seat(0)?, show.seat(1)?];
    let hold = target.held(&buyer, &show, &seats).await?;
    let held = receipt(target, &buyer, &show, &hold).await?;
    must(held["origin"] == target.origin(), || format!("the receipt is {}'s", held["origin"]))?;
    must(held["expires_at"] == hold["expires_at"], || format!("it ends at {}", held["expires_at"]))?;
    borne_out(&log(target, &show).await?, &show, &hold, &held, "active", &seats)?;
    let booking = good(&target.book(&buyer, &show, &hold).await?, 201)?;
    let booked = receipt(target, &buyer, &show, &hold).await?;
    let now = log(target, &show).await?;
    borne_out(&now, &show, &hold, &booked, "converted", &seats)?;
    must(booked["expires_at"].is_null(), || "a booking does not end".into())?;
    // Whose seats they are did not change.
    must(now.seats_of(&booked["of"]) == seats.into(), || "the booking has other seats in the log".into())?;
    cancel(target, &buyer, &booking, seats[0]).await?;
    let left = receipt(target, &buyer, &show, &hold).await?;
    borne_out(&log(target, &show).await?, &show, &hold, &left, "converted", &seats[1..])?;
    Ok(())
}

async fn cancel(target: &mut Target, buyer: &Buyer, booking: &Value, seat: &str) -> Checked {
    let path = target.of_booking(booking, "/cancellation_quotes")?;
    let quote = target.wire.send(&Ask::post(path, &json!({"seats": [seat]})).by(&buyer.0)).await?;
    let quote = good(&quote, 200)?;
    let path = target.of_booking(booking, "/cancellations")?;
    let ask = Ask::post(path, &json!({"quote": quote["id"]})).by(&buyer.0).key(&target.key());
    good(&target.wire.send(&ask).await?, 200)?;
    Ok(())
}

pub(super) async fn for_its_owner_while_it_works(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let (anna, ben) = (target.buyer(), target.buyer());
    let hold = target.held(&anna, &show, &[show.seat(0)?]).await?;
    no_receipt(target, &ben, &show, &hold, 404, "not_found").await?;
    target.release(&anna, &show, &hold).await?;
    no_receipt(target, &anna, &show, &hold, 410, "hold_expired").await
}

pub(super) async fn every_change(target: &mut Target) -> Checked {
    let show = target.show(json!({"price": 1000})).await?;
    let (anna, ben) = (target.buyer(), target.buyer());
    must(log(target, &show).await?.texts.is_empty(), || "nobody had a seat, and there is an entry".into())?;
    let first = target.held(&anna, &show, &[show.seat(0)?, show.seat(1)?]).await?;
    let early = receipt(target, &anna, &show, &first).await?;
    let begun = log(target, &show).await?;
    target.release(&anna, &show, &first).await?;
    let freed = log(target, &show).await?;
    must(freed.had.is_empty(), || format!("all was given back, and the log has {:?}", freed.had))?;
    let second = target.held(&ben, &show, &[show.seat(1)?]).await?;
    target.run()?.act(&json!({"action": "block", "screening": show.id, "seats": [show.seat(2)?]})).await?;
    let now = log(target, &show).await?;
    must(now.had.get(show.seat(2)?) == Some(&Value::Null), || "a seat that is not sold is nobody's in the log".into())?;
    let bens = Value::String(name_of(text(&second, "id")?));
    must(now.seats_of(&bens) == BTreeSet::from([show.seat(1)?]), || "the log has other seats for a hold".into())?;
    must(now.had.len() == 2, || format!("the log has more than there is: {:?}", now.had))?;
    // What was published stays, and what comes after it is the rest.
    let same = now.texts.iter().zip(&freed.texts).all(|(now, then)| now == then);
    must(same && now.texts.len() > freed.texts.len() && freed.texts.len() > begun.texts.len(), || {
        "the log was written anew".into()
    })?;
    let seq = *freed.heads.keys().next_back().ok_or("the log is empty")?;
    let rest = log_pages(target, &show, seq).await?;
    must(rest == now.texts[freed.texts.len()..], || format!("after {seq} there is {rest:?}"))?;
    Ok(borne_out(&now, &show, &first, &early, "active", &[show.seat(0)?, show.seat(1)?])?)
}

pub(super) async fn what_lapsed(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let buyer = target.buyer();
    let hold = target.held(&buyer, &show, &[show.seat(0)?]).await?;
    move_to(target, instant(&hold, "expires_at")?, 0).await?;
    no_receipt(target, &buyer, &show, &hold, 410, "hold_expired").await?;
    let log = log(target, &show).await?;
    Ok(must(log.had.is_empty() && log.texts.len() == 2, || format!("it lapsed, and the log is {:?}", log.texts))?)
}

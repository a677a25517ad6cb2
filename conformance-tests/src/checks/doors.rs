//! Doors.

use coset::CborSerializable as _;
use coset::cbor::value::Value as Cbor;
use serde_json::{Value, json};

use super::tickets::{codes, signed_by_ticket_key};
use super::{Checked, Stop, must};
use crate::stage::{Show, good, refused, text};
use crate::target::Target;
use crate::wire::Ask;

/// A screening that begins soon enough for its tickets to open the door.
pub(super) async fn soon(target: &mut Target) -> Checked<Show> {
    target.show(json!({"starts_in_s": 7200})).await
}

fn scanner(target: &Target) -> Checked<String> {
    let scanner = target.run()?.scanner.clone();
    scanner.ok_or_else(|| Stop::NotRun("test control gives no scanner".into()))
}

/// A booking of these seats that is paid, and the codes of its tickets.
pub(super) async fn paid(target: &mut Target, show: &Show, seats: &[&str]) -> Checked<(Value, Vec<String>)> {
    let buyer = target.buyer();
    let booking = target.booked(&buyer, show, seats).await?;
    target.run()?.act(&json!({"action": "paid", "screening": show.id, "booking": booking["id"]})).await?;
    let tickets = codes(target, &buyer, &booking).await?;
    let codes = tickets.iter().map(|t| text(t, "code").map(str::to_owned)).collect::<Result<_, _>>()?;
    Ok((booking, codes))
}

pub(super) async fn entry(target: &mut Target, id: &str, code: &str) -> Result<Value, String> {
    let at = target.now().await?;
    Ok(json!({"id": id, "kind": "entry", "at": at, "code": code}))
}

pub(super) fn upload(target: &Target, show: &Show, scans: &[Value]) -> Checked<Ask> {
    Ok(Ask::post(show.at("/scans"), &json!({"scans": scans})).by(&scanner(target)?))
}

/// The verdicts of these scans.
async fn verdicts(target: &mut Target, show: &Show, scans: &[Value]) -> Checked<Vec<String>> {
    let ask = upload(target, show, scans)?;
    let results = good(&target.wire.send(&ask).await?, 200)?;
    let results = results["results"].as_array().ok_or("there are no results")?;
    Ok(results.iter().map(|r| text(r, "verdict").map(str::to_owned)).collect::<Result<_, _>>()?)
}

pub(super) async fn allow_list(target: &mut Target) -> Checked {
    let show = soon(target).await?;
    let (_, _codes) = paid(target, &show, &[show.seat(0)?]).await?;
    let buyer = target.buyer();
    let unpaid = target.booked(&buyer, &show, &[show.seat(1)?]).await?;
    let tickets = codes(target, &buyer, &unpaid).await?;
    let nobody = target.wire.send(&Ask::get(show.at("/allow_list"))).await?;
    refused(&nobody, 401, "unauthenticated")?;
    let answer = target.wire.send(&Ask::get(show.at("/allow_list")).by(&scanner(target)?)).await?;
    must(answer.status == 200, || format!("status {}", answer.status))?;
    let signed = signed_by_ticket_key(target, &answer.bytes, b"admit-allow-list-v1")?;
    let list = Cbor::from_slice(signed.payload.as_deref().unwrap_or_default()).map_err(|e| format!("no CBOR: {e}"))?;
    let list = list.into_array().map_err(|_| "an allow list is a list")?;
    must(list.len() == 4, || format!("it has {} parts, not 4", list.len()))?;
    let entries = list[3].as_bytes().ok_or("its entries are a byte string")?;
    must(entries.len() == 2 * 19, || format!("two tickets are {} bytes, not 38", entries.len()))?;
    let records: Vec<&[u8]> = entries.chunks(19).collect();
    must(records[0][..16] < records[1][..16], || "its entries are not in the order of their names".into())?;
    let of = |id: &str| records.iter().find(|r| r[..16].iter().map(|b| format!("{b:02x}")).collect::<String>() == id);
    let known = of(text(&tickets[0], "id")?).ok_or("a ticket of a booking is not on it")?;
    Ok(must(known[18] == 1, || format!("a ticket that is not paid has state {}, not 1", known[18]))?)
}

pub(super) async fn once(target: &mut Target) -> Checked {
    let show = soon(target).await?;
    let (_, codes) = paid(target, &show, &[show.seat(0)?, show.seat(1)?]).await?;
    for (scan, code, verdict) in [("s1", 0, "green"), ("s2", 0, "duplicate"), ("s3", 1, "green")] {
        let scan = entry(target, scan, &codes[code]).await?;
        let said = verdicts(target, &show, &[scan]).await?;
        must(said == [verdict], || format!("ticket {code}: {said:?}, not {verdict}"))?;
    }
    let undo = json!({"id": "s4", "kind": "undo", "at": target.now().await?, "undoes": "s3"});
    verdicts(target, &show, &[undo]).await?;
    let again = entry(target, "s5", &codes[1]).await?;
    let said = verdicts(target, &show, &[again]).await?;
    Ok(must(said == ["green"], || format!("its entry was taken back, and it is {said:?}"))?)
}

pub(super) async fn sent_again(target: &mut Target) -> Checked {
    let show = soon(target).await?;
    let (_, codes) = paid(target, &show, &[show.seat(0)?]).await?;
    let scan = entry(target, "s1", &codes[0]).await?;
    for time in 1..=3 {
        let said = verdicts(target, &show, std::slice::from_ref(&scan)).await?;
        must(said == ["green"], || format!("the same scan, sent {time} times: {said:?}"))?;
    }
    let other = entry(target, "s2", &codes[0]).await?;
    let said = verdicts(target, &show, &[other]).await?;
    Ok(must(said == ["duplicate"], || format!("another scan of the ticket: {said:?}"))?)
}

pub(super) async fn refused_tickets(target: &mut Target) -> Checked {
    let show = soon(target).await?;
    let other = soon(target).await?;
    let buyer = target.buyer();
    let booking = target.booked(&buyer, &show, &[show.seat(0)?]).await?;
    let unpaid = codes(target, &buyer, &booking).await?;
    let unpaid = text(&unpaid[0], "code")?.to_owned();
    let (_, paid_codes) = paid(target, &show, &[show.seat(1)?]).await?;
    let scan = entry(target, "s1", &unpaid).await?;
    let said = verdicts(target, &show, &[scan]).await?;
    must(said == ["unpaid"], || format!("a ticket that is not paid: {said:?}"))?;
    target.cancelled(&buyer, &booking, &[]).await?;
    let scan = entry(target, "s2", &unpaid).await?;
    let said = verdicts(target, &show, &[scan]).await?;
    must(said == ["revoked"], || format!("a ticket that was cancelled: {said:?}"))?;
    let scan = entry(target, "s3", &paid_codes[0]).await?;
    let said = verdicts(target, &other, &[scan]).await?;
    must(said == ["wrong_show"], || format!("a ticket for another screening: {said:?}"))?;
    let forged = super::tickets::forged(&paid_codes[0])?;
    let scan = entry(target, "s4", &forged).await?;
    let said = verdicts(target, &show, &[scan]).await?;
    must(said == ["invalid"], || format!("a ticket with another signature: {said:?}"))?;
    let scan = entry(target, "s5", &paid_codes[0]).await?;
    let said = verdicts(target, &show, &[scan]).await?;
    Ok(must(said == ["green"], || format!("a good ticket after all that: {said:?}"))?)
}

pub(super) async fn moved(target: &mut Target) -> Checked {
    let show = soon(target).await?;
    let (_, codes) = paid(target, &show, &[show.seat(0)?]).await?;
    let two_days = 172_800;
    target.run()?.act(&json!({"action": "move_screening", "screening": show.id, "by_s": two_days})).await?;
    target.run()?.advance_ms(two_days * 1000).await?;
    let scan = entry(target, "s1", &codes[0]).await?;
    let said = verdicts(target, &show, &[scan]).await?;
    Ok(must(said == ["green"], || format!("printed before the screening was moved, at its new time: {said:?}"))?)
}

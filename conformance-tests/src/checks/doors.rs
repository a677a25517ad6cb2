//! Doors.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coset::cbor::value::Value as Cbor;
use coset::{CborSerializable as _, TaggedCborSerializable as _};
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::buyer_keys::Signer;
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

/// What a holder shows beside a ticket (TICK-010).
fn proof(key: &SigningKey, ticket: &str, made: i64) -> Result<String, String> {
    let id: Option<Vec<u8>> =
        (0..ticket.len() / 2).map(|n| u8::from_str_radix(ticket.get(2 * n..2 * n + 2)?, 16).ok()).collect();
    let public = key.verifying_key().as_bytes().to_vec();
    let payload =
        Cbor::Array(vec![Cbor::Bytes(id.ok_or("a ticket's id is hexadecimal")?), made.into(), Cbor::Bytes(public)]);
    let header = coset::HeaderBuilder::new().algorithm(coset::iana::Algorithm::EdDSA).build();
    let signed = coset::CoseSign1Builder::new()
        .protected(header)
        .payload(payload.to_vec().map_err(|e| e.to_string())?)
        .create_signature(b"admit-holder-proof-v1", |bytes| key.sign(bytes).to_bytes().to_vec())
        .build();
    Ok(format!("ADMITP1:{}", base45::encode(signed.to_tagged_vec().map_err(|e| e.to_string())?)))
}

pub(super) async fn proofs(target: &mut Target) -> Checked {
    if !target.has("buyer_keys") {
        return Err(Stop::NotRun("the manifest does not list buyer_keys".into()));
    }
    let show = target.show(json!({"starts_in_s": 7200, "holder_proof": true})).await?;
    let (nora, carla) = (Signer::new(target).await?, target.buyer());
    let key = target.key();
    let hold = Ask::post(show.at("/holds"), &show.wish(&[show.seat(0)?])).key(&key);
    let hold = good(&target.wire.send(&nora.sign(hold)).await?, 201)?;
    let book = target.booking_of(&carla, &show, &hold)?.without("authorization");
    let booking = good(&target.wire.send(&nora.sign(book)).await?, 201)?;
    target.run()?.act(&json!({"action": "paid", "screening": show.id, "booking": booking["id"]})).await?;
    let tickets = target.of_booking(&booking, "/tickets")?;
    let tickets = good(&target.wire.send(&nora.sign(Ask::get(tickets))).await?, 200)?;
    let ticket = &tickets["tickets"][0];
    must(ticket["wants_proof"] == true, || {
        format!("a ticket that is read with a key wants a proof, and says {ticket}")
    })?;
    let (code, id) = (text(ticket, "code")?.to_owned(), text(ticket, "id")?.to_owned());
    super::tickets::has_holder(target, &code, &holder_of(&nora.key))?;
    // Who bought with a secret shows a ticket, and nothing else.
    let (_, plain) = paid(target, &show, &[show.seat(1)?]).await?;
    let now = target.now().await?.as_second();
    let another = SigningKey::from_bytes(&target.fresh());
    let scans = [
        ("s1", &code, None, "unproven"),
        ("s2", &code, Some(proof(&another, &id, now)?), "unproven"),
        ("s3", &code, Some(proof(&nora.key, &"00".repeat(16), now)?), "unproven"),
        ("s4", &code, Some(proof(&nora.key, &id, now - 130)?), "unproven"),
        ("s5", &code, Some(proof(&nora.key, &id, now + 140)?), "unproven"),
        ("s6", &code, Some(code.replace("ADMIT1:", "ADMITP1:")), "unproven"),
        ("s7", &plain[0], None, "green"),
        ("s8", &code, Some(proof(&nora.key, &id, now - 100)?), "green"),
        ("s9", &code, None, "unproven"),
        ("s10", &code, Some(proof(&nora.key, &id, now)?), "duplicate"),
    ];
    for (scan, code, proof, verdict) in scans {
        let mut scan = entry(target, scan, code).await?;
        if let Some(proof) = &proof {
            scan["proof"] = json!(proof);
        }
        let said = verdicts(target, &show, &[scan]).await?;
        must(said == [verdict], || format!("{said:?}, not {verdict}, of a ticket with the proof {proof:?}"))?;
    }
    Ok(())
}

/// How a ticket names who has this key.
fn holder_of(key: &SigningKey) -> [u8; 16] {
    let x = URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes());
    let thumbprint = Sha256::digest(format!("{{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"{x}\"}}"));
    std::array::from_fn(|n| thumbprint[n])
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

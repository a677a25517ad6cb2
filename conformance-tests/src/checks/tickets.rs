//! Tickets: what is in the codes.

use coset::cbor::value::Value as Cbor;
use coset::{CborSerializable as _, CoseSign1, TaggedCborSerializable as _};
use ed25519_dalek::{Signature, VerifyingKey};
use jiff::SignedDuration;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::discovery::decode;
use super::holds::instant;
use super::{Checked, must};
use crate::stage::{Buyer, Show, good, refused, text};
use crate::target::Target;

/// Signed bytes of a ticket at most, and of one that names its holder.
const BYTES_MAX: usize = 200;
const BYTES_WITH_HOLDER_MAX: usize = 220;

/// What a ticket says, as far as anybody can read it.
struct Ticket {
    id: Vec<u8>,
    expires: i64,
    not_before: i64,
    /// Screening, hall, row, seat, ticket type, admits, generation.
    place: Vec<Cbor>,
    /// Who is to prove that it is theirs.
    holder: Option<Vec<u8>>,
    bytes: usize,
}

/// Keys of the manifest that sign tickets, as they are.
fn keys(target: &Target) -> Result<Vec<[u8; 32]>, String> {
    let keys = target.member("keys")?["ticket"].as_array().cloned().unwrap_or_default();
    let key = |key: &Value| decode(text(key, "key")?)?.try_into().map_err(|_| "an Ed25519 key has 32 bytes".to_owned());
    keys.iter().map(key).collect()
}

/// A signature of one of the manifest's ticket keys over what this says, bound to what it is for.
pub(super) fn signed_by_ticket_key(target: &Target, bytes: &[u8], bound_to: &[u8]) -> Result<CoseSign1, String> {
    let signed = CoseSign1::from_tagged_slice(bytes).map_err(|e| format!("no COSE_Sign1 with tag 18: {e}"))?;
    let alg = &signed.protected.header.alg;
    let eddsa = coset::RegisteredLabelWithPrivate::Assigned(coset::iana::Algorithm::EdDSA);
    must(*alg == Some(eddsa), || format!("its algorithm is {alg:?}"))?;
    let kid = &signed.protected.header.key_id;
    let named = |key: &&[u8; 32]| Sha256::digest(key)[..8] == kid[..];
    let keys = keys(target)?;
    let key = keys.iter().find(named).ok_or("its `kid` is none of the manifest's ticket keys")?;
    let key = VerifyingKey::from_bytes(key).map_err(|e| format!("a ticket key: {e}"))?;
    let signature = Signature::from_slice(&signed.signature).map_err(|e| format!("its signature: {e}"))?;
    let fits = key.verify_strict(&signed.tbs_data(bound_to), &signature).is_ok();
    must(fits, || "its signature does not fit the ticket key that it names".into()).map(|()| signed)
}

fn read(target: &Target, code: &str) -> Result<Ticket, String> {
    let text = code.strip_prefix("ADMIT1:").ok_or_else(|| format!("{code:?} does not begin with ADMIT1:"))?;
    let bytes = base45::decode(text).map_err(|e| format!("no Base45: {e}"))?;
    let signed = signed_by_ticket_key(target, &bytes, b"admit-ticket-v1")?;
    let claims =
        Cbor::from_slice(signed.payload.as_deref().unwrap_or_default()).map_err(|e| format!("no claims: {e}"))?;
    let claims = claims.into_map().map_err(|_| "claims are a map")?;
    let claim = |n: i64| {
        let found = claims.iter().find(|(key, _)| key.as_integer().is_some_and(|key| i128::from(key) == i128::from(n)));
        found.map(|(_, value)| value.clone()).ok_or_else(|| format!("there is no claim {n}"))
    };
    let whole = |value: Cbor| value.into_integer().ok().and_then(|i| i64::try_from(i).ok());
    Ok(Ticket {
        id: claim(7)?.into_bytes().map_err(|_| "`cti` is bytes")?,
        expires: whole(claim(4)?).ok_or("`exp` is a whole number")?,
        not_before: whole(claim(5)?).ok_or("`nbf` is a whole number")?,
        place: claim(-65537)?.into_array().map_err(|_| "claim -65537 is a list")?,
        holder: claim(8)
            .ok()
            .map(|holder| {
                let members = holder.into_map().map_err(|_| "`cnf` is a map")?;
                let named = members.into_iter().find(|(key, _)| *key == Cbor::from(3));
                named.and_then(|(_, holder)| holder.into_bytes().ok()).ok_or("`cnf` names a holder under 3")
            })
            .transpose()?,
        bytes: bytes.len(),
    })
}

pub(super) async fn codes(target: &mut Target, buyer: &Buyer, booking: &Value) -> Result<Vec<Value>, String> {
    let path = target.of_booking(booking, "/tickets")?;
    let tickets = good(&target.read(&path, buyer).await?, 200)?;
    tickets["tickets"].as_array().cloned().ok_or_else(|| "there is no list of tickets".into())
}

/// A ticket names this holder, and is no longer than it may be.
pub(super) fn has_holder(target: &Target, code: &str, holder: &[u8; 16]) -> Result<(), String> {
    let read = read(target, code)?;
    must(read.holder.as_deref() == Some(holder), || format!("its holder is {:?}, not {holder:?}", read.holder))?;
    must(read.bytes <= BYTES_WITH_HOLDER_MAX, || format!("it has {} signed bytes", read.bytes))
}

pub(super) async fn signed(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let buyer = target.buyer();
    let booking = target.booked(&buyer, &show, &[show.seat(0)?, show.seat(1)?]).await?;
    let of = good(&target.read(&show.path, &buyer).await?, 200)?;
    let start = instant(&of["starts_at"], "at")?;
    let doors = if of["doors_at"].is_object() { instant(&of["doors_at"], "at")? } else { start };
    let end =
        if of["ends_at"].is_object() { instant(&of["ends_at"], "at")? } else { start + SignedDuration::from_hours(6) };
    let (from, until) =
        ((doors - SignedDuration::from_hours(24)).as_second(), (end + SignedDuration::from_hours(1)).as_second());
    let signs = target.member("keys")?["ticket"].as_array().cloned().unwrap_or_default();
    let time = target.now().await?;
    let mut inside = false;
    for key in &signs {
        inside |= instant(key, "signs_from")? <= time && time < instant(key, "signs_until")?;
    }
    must(inside, || format!("no ticket key signs at {time}"))?;
    let tickets = codes(target, &buyer, &booking).await?;
    must(tickets.len() == 2, || format!("two seats, and {} tickets", tickets.len()))?;
    let screening = Sha256::digest(&show.id)[..8].to_vec();
    let now = target.now().await?.as_second();
    for ticket in &tickets {
        let read = read(target, text(ticket, "code")?)?;
        let id: String = read.id.iter().map(|byte| format!("{byte:02x}")).collect();
        must(read.id.len() == 16 && id == text(ticket, "id")?, || {
            format!("`cti` is {id}, the ticket is called {}", ticket["id"])
        })?;
        must(read.bytes <= BYTES_MAX, || format!("it has {} signed bytes", read.bytes))?;
        must(read.expires > read.not_before && read.expires > now, || {
            format!("it is good from {} to {}, and it is {now}", read.not_before, read.expires)
        })?;
        must((read.not_before, read.expires) == (from, until), || {
            format!("it is good from {} to {}, not from {from} to {until}", read.not_before, read.expires)
        })?;
        must(read.place.len() == 7, || format!("its place has {} parts", read.place.len()))?;
        must(read.place[0] == Cbor::Bytes(screening.clone()), || "it is for another screening".into())?;
        for (part, most) in [(1, 23), (2, 12), (3, 8), (4, 16)] {
            let short = read.place[part].as_text().is_some_and(|t| t.len() <= most);
            must(short, || format!("part {part} of its place is {:?}, at most {most} bytes", read.place[part]))?;
        }
        let seat = read.place[3].as_text().unwrap_or_default();
        let fits = target.run.is_none() || text(ticket, "seat")?.split('-').nth(1) == Some(seat);
        must(fits, || format!("it is for seat {seat:?}, its booking has {}", ticket["seat"]))?;
        let admits = read.place[5].as_integer().map(i128::from);
        must(admits == Some(1), || format!("one seat admits {admits:?}"))?;
    }
    must(tickets[0]["id"] != tickets[1]["id"], || "both tickets have one name".into())?;
    target.cancelled(&buyer, &booking, &[]).await?;
    Ok(())
}

pub(super) async fn same_name(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let buyer = target.buyer();
    let booking = target.booked(&buyer, &show, &[show.seat(0)?]).await?;
    let first = codes(target, &buyer, &booking).await?;
    let again = codes(target, &buyer, &booking).await?;
    must(first[0]["id"] == again[0]["id"], || "read twice, it has two names".into())?;
    let [one, two] = [&first, &again].map(|t| text(&t[0], "code").and_then(|code| read(target, code)));
    must(one?.place[6] == two?.place[6], || "read twice, it has two generations".into())?;
    target.cancelled(&buyer, &booking, &[]).await?;
    let other = target.booked(&buyer, &show, &[show.seat(0)?]).await?;
    let new = codes(target, &buyer, &other).await?;
    must(first[0]["id"] != new[0]["id"], || "a cancelled ticket and a new one for its seat have one name".into())?;
    target.cancelled(&buyer, &other, &[]).await?;
    Ok(())
}

pub(super) async fn only_confirmed(target: &mut Target) -> Checked {
    let show: Show = target.show(json!({})).await?;
    let buyer = target.buyer();
    let hold = target.held(&buyer, &show, &[show.seat(0)?]).await?;
    let path = show.at(&format!("/bookings/{}/tickets", text(&hold, "id")?));
    refused(&target.read(&path, &buyer).await?, 404, "not_found").map_err(|why| format!("tickets of a hold: {why}"))?;
    let booking = good(&target.book(&buyer, &show, &hold).await?, 201)?;
    must(codes(target, &buyer, &booking).await?.len() == 1, || "a booking of one seat has not one ticket".into())?;
    target.cancelled(&buyer, &booking, &[]).await?;
    let path = target.of_booking(&booking, "/tickets")?;
    let after = target.read(&path, &buyer).await?;
    let none = after.status != 200 || after.json()?["tickets"].as_array().is_none_or(Vec::is_empty);
    Ok(must(none, || "a cancelled booking has tickets".into())?)
}

pub(super) async fn nobodys_name(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let buyer = target.buyer();
    let hold = target.held(&buyer, &show, &[show.seat(0)?]).await?;
    let tickets = json!([{"seat": show.seat(0)?, "ticket_type": show.ticket_type}]);
    let (name, email) = ("Ada Lovelace", "ada@buyers.example");
    let method = if show.price == 0 { "none" } else { "at_cinema" };
    let total = hold["quote"]["total"].clone();
    let book = json!({"hold": hold["id"], "tickets": tickets, "total": total, "payment_method": method,
        "buyer": {"name": name, "email": email}});
    let ask = crate::wire::Ask::post(show.at("/bookings"), &book).by(&buyer.0).key(&target.key());
    let booking = good(&target.wire.send(&ask).await?, 201)?;
    for ticket in codes(target, &buyer, &booking).await? {
        let code = text(&ticket, "code")?.strip_prefix("ADMIT1:").unwrap_or_default().to_owned();
        let bytes = base45::decode(&code).map_err(|e| format!("no Base45: {e}"))?;
        let said = String::from_utf8_lossy(&bytes).into_owned();
        must(!said.contains("Ada") && !said.contains("buyers"), || "who bought it is in the ticket".into())?;
    }
    target.cancelled(&buyer, &booking, &[]).await?;
    Ok(())
}

/// A ticket with another signature, and nothing else that is wrong with it.
pub(super) fn forged(code: &str) -> Result<String, String> {
    let text = code.strip_prefix("ADMIT1:").ok_or("a code begins with ADMIT1:")?;
    let mut bytes = base45::decode(text).map_err(|e| format!("no Base45: {e}"))?;
    *bytes.last_mut().ok_or("an empty code")? ^= 1;
    Ok(format!("ADMIT1:{}", base45::encode(&bytes)))
}

pub(super) async fn keys_stay(target: &mut Target) -> Checked {
    let show = target.show(json!({"starts_in_s": 31_536_000})).await?;
    let buyer = target.buyer();
    let booking = target.booked(&buyer, &show, &[show.seat(0)?]).await?;
    let before = target.member("keys")?["ticket"].as_array().cloned().unwrap_or_default();
    for days in [50, 50, 100] {
        target.run()?.advance_ms(days * 86_400_000).await?;
        target.meet_again().await?;
        let (now, listed) = (target.now().await?, target.member("keys")?["ticket"].clone());
        let listed = listed.as_array().cloned().unwrap_or_default();
        for key in &before {
            let same = |k: &&Value| k["key"] == key["key"] && k["verify_until"] == key["verify_until"];
            let over = instant(key, "verify_until")? <= now;
            must(over || listed.iter().any(|k| same(&k)), || {
                format!("a ticket key is listed no more, or until another time, before {}", key["verify_until"])
            })?;
        }
        let mut signs = false;
        for key in &listed {
            signs |= instant(key, "signs_from")? <= now && now < instant(key, "signs_until")?;
        }
        must(signs, || format!("no ticket key signs at {now}"))?;
        // What is read now is signed by a key that signs now.
        let tickets = codes(target, &buyer, &booking).await?;
        read(target, text(&tickets[0], "code")?)?;
    }
    Ok(())
}

pub(super) async fn open_end(target: &mut Target) -> Checked {
    let show = target.show(json!({"open_end": true, "price": 0})).await?;
    let buyer = target.buyer();
    let booking = target.booked(&buyer, &show, &[show.seat(0)?]).await?;
    let of = good(&target.read(&show.path, &buyer).await?, 200)?;
    must(of["ends_at"].is_null(), || format!("nobody knows when it ends, and it says {}", of["ends_at"]))?;
    let end = instant(&of["starts_at"], "at")? + SignedDuration::from_hours(6 + 1);
    let tickets = codes(target, &buyer, &booking).await?;
    let ticket = read(target, text(&tickets[0], "code")?)?;
    Ok(must(ticket.expires == end.as_second(), || {
        format!("its ticket expires at {}, not an hour after six hours: {end}", ticket.expires)
    })?)
}

//! Tickets, and proofs of who holds them.

use admit_protocol::holder::{HolderProof, PROOF_PREFIX, holder_of};
use admit_protocol::id::ScreeningId;
use admit_protocol::ticket::{Ticket, TicketId, screening_digest};
use admit_protocol::time::after;
use anyhow::ensure;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{hex, judged, key};

pub(super) fn all() -> anyhow::Result<Value> {
    let secret = key(3);
    let at = |text: &str| text.parse::<Timestamp>().map_err(anyhow::Error::from);
    let ticket = Ticket {
        id: TicketId([7; 16]),
        not_before: at("2026-11-20T18:45:00Z")?,
        not_after: at("2026-11-21T22:30:00Z")?,
        holder: None,
        screening: screening_digest(&ScreeningId::parse("show-1")?),
        hall: "S\u{e1}l 1".into(),
        row: "F".into(),
        seat: "7".into(),
        ticket_type: "adult".into(),
        admits: 1,
        generation: 1,
    };
    let longest = Ticket {
        hall: "h".repeat(23),
        row: "r".repeat(12),
        seat: "s".repeat(8),
        ticket_type: "t".repeat(16),
        admits: 99,
        generation: u16::MAX,
        ..ticket.clone()
    };
    let held = Ticket { holder: Some([9; 16]), ..longest.clone() };
    let said = |t: &Ticket| {
        json!({"id": t.id.to_string(), "not_before": t.not_before.as_second(), "not_after": t.not_after.as_second(),
            "screening": hex(&t.screening), "hall": t.hall, "row": t.row, "seat": t.seat, "ticket_type": t.ticket_type,
            "admits": t.admits, "generation": t.generation, "holder": t.holder.map(|h| hex(&h))})
    };
    let reads =
        |code: &str| Ticket::verify(code, |short| (short == secret.public().id().short()).then(|| secret.public()));
    let mut cases = Vec::new();
    for good in [&ticket, &longest, &held] {
        let code = good.sign(&secret)?;
        ensure!(reads(&code)? == *good, "ours reads another ticket than it signed");
        cases.push(json!({"code": code, "valid": true, "says": said(good)}));
    }
    let code = ticket.sign(&secret)?;
    let bytes = base45::decode(&code["ADMIT1:".len()..]).map_err(|e| anyhow::anyhow!("{e}"))?;
    let again = |bytes: &[u8]| format!("ADMIT1:{}", base45::encode(bytes));
    let flipped = |n: usize| {
        let mut bytes = bytes.clone();
        bytes[n] ^= 1;
        again(&bytes)
    };
    let bad = [
        (flipped(bytes.len() - 1), "another signature"),
        (flipped(bytes.len() / 2), "another content"),
        (ticket.sign(&key(4))?, "signed by a key that is not listed"),
        (again(&bytes[1..]), "no tag"),
        (again(&[&bytes[..], &[0]].concat()), "more after its end"),
        (again(&bytes[..bytes.len() - 2]), "cut off"),
        (code.replacen("ADMIT1:", "ADMIT2:", 1), "another prefix"),
        (code["ADMIT1:".len()..].to_owned(), "no prefix"),
        (format!("ADMIT1:{}", "A".repeat(4000)), "longer than a decoder reads"),
        ("ADMIT1:".to_owned(), "nothing"),
        ("ADMIT1:\u{e9}".to_owned(), "no Base45"),
    ];
    for (code, why) in bad {
        ensure!(reads(&code).is_err(), "ours reads a ticket with {why}");
        cases.push(json!({"code": code, "valid": false, "why": why}));
    }
    Ok(json!({"ticket_key": [secret.public().to_string()], "tickets": cases, "proofs": proofs()?}))
}

/// What is shown beside a ticket that names its holder.
fn proofs() -> anyhow::Result<Value> {
    let (key, now) = (key(6), "2026-11-21T20:00:00Z".parse::<Timestamp>()?);
    let (ticket, holder) = (TicketId([7; 16]), holder_of(&key.public()));
    let made = |seconds: i64| HolderProof::sign(ticket, &key, after(now, seconds));
    let shown = |code: String| json!({"code": code, "ticket": ticket, "holder": hex(&holder), "now": now});
    let of = |member: &str, value: Value| {
        let mut shown = shown(made(0)?);
        shown[member] = value;
        Ok::<_, anyhow::Error>(shown)
    };
    let code = made(0)?;
    let bytes = base45::decode(&code[PROOF_PREFIX.len()..]).map_err(|e| anyhow::anyhow!("{e}"))?;
    let again = |bytes: &[u8]| shown(format!("{PROOF_PREFIX}{}", base45::encode(bytes)));
    let flipped = |n: usize| {
        let mut bytes = bytes.clone();
        bytes[n] ^= 1;
        again(&bytes)
    };
    let good = [shown(code.clone()), shown(made(-119)?), shown(made(120)?)];
    let bad = [
        (shown(made(-120)?), "made 120 seconds ago"),
        (shown(made(121)?), "made 121 seconds from now"),
        (shown(HolderProof::sign(ticket, &super::key(4), now)?), "signed by another key"),
        (of("ticket", json!(TicketId([8; 16])))?, "of another ticket"),
        (of("holder", json!("00".repeat(16)))?, "of a ticket that names another holder"),
        (flipped(bytes.len() - 1), "another signature"),
        (flipped(bytes.len() / 2), "another key or content"),
        (again(&bytes[1..]), "no tag"),
        (again(&[&bytes[..], &[0]].concat()), "more after its end"),
        (shown(code.replacen(PROOF_PREFIX, "ADMIT1:", 1)), "the prefix of a ticket"),
        (shown(PROOF_PREFIX.to_owned()), "nothing"),
    ];
    judged(&good, &bad, |shown| {
        let code = shown["code"].as_str().unwrap_or_default();
        let sixteen = |member: &str| shown[member].as_str().and_then(|hex| hex.parse::<TicketId>().ok());
        let (Some(ticket), Some(TicketId(holder))) = (sixteen("ticket"), sixteen("holder")) else { return false };
        HolderProof::check(code, ticket, holder, now).is_ok()
    })
}

//! Requests that are sent again.

use serde_json::{Value, json};

use super::{Checked, must};
use crate::stage::{good, refused, text};
use crate::target::Target;
use crate::wire::{Answer, Ask};

/// The same status and bytes, marked as said before.
fn same(first: &Answer, again: &Answer) -> Result<(), String> {
    must(first.status == again.status, || format!("status {}, and {} the second time", first.status, again.status))?;
    must(first.bytes == again.bytes, || {
        let (first, again) = (String::from_utf8_lossy(&first.bytes), String::from_utf8_lossy(&again.bytes));
        format!("{first}, and the second time {again}")
    })?;
    let marked = again.header("idempotent-replayed");
    must(marked == "true", || format!("Idempotent-Replayed is {marked:?} the second time"))
}

pub(super) async fn needs_key(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let buyer = target.buyer();
    let ask = Ask::post(show.at("/holds"), &show.wish(&[show.seat(0)?])).by(&buyer.0);
    refused(&target.wire.send(&ask).await?, 400, "idempotency_key_missing")?;
    for bad in ["k".repeat(129), "two words".to_owned(), String::new()] {
        let answer = target.wire.send(&ask.clone().key(&bad)).await?;
        refused(&answer, 400, "idempotency_key_missing").map_err(|why| format!("the key {bad:?}: {why}"))?;
    }
    target.must_be(&show, show.seat(0)?, None).await?;
    let hold = good(&target.wire.send(&ask.key(&"k".repeat(128))).await?, 201)?;
    let bare = target.booking_of(&buyer, &show, &hold)?.without("idempotency-key");
    refused(&target.wire.send(&bare).await?, 400, "idempotency_key_missing")?;
    target.release(&buyer, &show, &hold).await?;
    Ok(())
}

pub(super) async fn same_answer(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let buyer = target.buyer();
    let wish = show.wish(&[show.seat(0)?, show.seat(1)?]);
    let ask = Ask::post(show.at("/holds"), &wish).by(&buyer.0).key(&target.key());
    let first = target.wire.send(&ask).await?;
    let hold = good(&first, 201)?;
    must(first.header("idempotent-replayed").is_empty(), || "the first answer is marked as said before".into())?;
    let seq = target.seats(&show).await?["seq"].clone();
    same(&first, &target.wire.send(&ask).await?)?;
    let book = target.booking_of(&buyer, &show, &hold)?;
    let booked = target.wire.send(&book).await?;
    let booking = good(&booked, 201)?;
    same(&booked, &target.wire.send(&book).await?)?;
    // The hold is a booking by now: what was answered then is answered still.
    same(&first, &target.wire.send(&ask).await?)?;
    let quote = good(&target.quote(&buyer, &booking, &[]).await?, 200)?;
    let path = target.of_booking(&booking, "/cancellations")?;
    let cancel = Ask::post(path, &json!({"quote": quote["id"]})).by(&buyer.0).key(&target.key());
    let cancelled = target.wire.send(&cancel).await?;
    good(&cancelled, 200)?;
    same(&cancelled, &target.wire.send(&cancel).await?)?;
    same(&booked, &target.wire.send(&book).await?)
        .map_err(|why| format!("a booking that was cancelled since: {why}"))?;
    let other_way = ask.clone().to(&format!("{}?again=1", show.at("/holds")));
    same(&first, &target.wire.send(&other_way).await?).map_err(|why| format!("with a query behind its path: {why}"))?;
    let now = target.seats(&show).await?["seq"].clone();
    let steps = now.as_u64().zip(seq.as_u64()).map(|(now, then)| now - then);
    Ok(must(steps == Some(2), || format!("booked and cancelled once, the version went from {seq} to {now}"))?)
}

pub(super) async fn before_refusals(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let (anna, ben) = (target.buyer(), target.buyer());
    let ask = Ask::post(show.at("/holds"), &show.wish(&[show.seat(0)?])).by(&anna.0).key(&target.key());
    let first = target.wire.send(&ask).await?;
    let hold = good(&first, 201)?;
    same(&first, &target.wire.send(&ask).await?).map_err(|why| format!("while it is held: {why}"))?;
    target.release(&anna, &show, &hold).await?;
    let taken = target.held(&ben, &show, &[show.seat(0)?]).await?;
    same(&first, &target.wire.send(&ask).await?).map_err(|why| format!("when somebody else has it: {why}"))?;
    let held_by = show.at(&format!("/holds/{}", text(&taken, "id")?));
    good(&target.read(&held_by, &ben).await?, 200)?;
    if let Ok(run) = target.run() {
        run.act(&json!({"action": "pause", "screening": show.id})).await?;
        same(&first, &target.wire.send(&ask).await?).map_err(|why| format!("when sales stand still: {why}"))?;
    }
    target.release(&ben, &show, &taken).await?;
    Ok(())
}

pub(super) async fn other_body(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let buyer = target.buyer();
    let key = target.key();
    let ask = |seat: &str| Ask::post(show.at("/holds"), &show.wish(&[seat])).by(&buyer.0).key(&key);
    let hold = good(&target.wire.send(&ask(show.seat(0)?)).await?, 201)?;
    refused(&target.wire.send(&ask(show.seat(1)?)).await?, 422, "idempotency_key_reused")?;
    // Other bytes are another body, also where they mean the same.
    let spaced = ask(show.seat(0)?).body(format!(" {}", show.wish(&[show.seat(0)?])));
    refused(&target.wire.send(&spaced).await?, 422, "idempotency_key_reused")?;
    target.must_be(&show, show.seat(1)?, None).await?;
    target.release(&buyer, &show, &hold).await?;
    Ok(())
}

pub(super) async fn refusals_again(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let (anna, ben) = (target.buyer(), target.buyer());
    let hold = target.held(&anna, &show, &[show.seat(0)?]).await?;
    let ask = Ask::post(show.at("/holds"), &show.wish(&[show.seat(0)?])).by(&ben.0).key(&target.key());
    refused(&target.wire.send(&ask).await?, 409, "seats_taken")?;
    target.release(&anna, &show, &hold).await?;
    let hold = good(&target.wire.send(&ask).await?, 201).map_err(|why| format!("free by now, same key: {why}"))?;
    target.release(&ben, &show, &hold).await?;
    Ok(())
}

pub(super) async fn scope(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let (anna, ben) = (target.buyer(), target.buyer());
    let key = target.key();
    let ask = |buyer: &str, seat: &str| Ask::post(show.at("/holds"), &show.wish(&[seat])).by(buyer).key(&key);
    let hold = good(&target.wire.send(&ask(&anna.0, show.seat(0)?)).await?, 201)?;
    let other = target.wire.send(&ask(&ben.0, show.seat(1)?)).await?;
    let other = good(&other, 201).map_err(|why| format!("another buyer, the same key: {why}"))?;
    must(hold["id"] != other["id"], || "two buyers with the same key have the same hold".into())?;
    let book = target.booking_of(&anna, &show, &hold)?.key(&key);
    let booking = target.wire.send(&book).await?;
    let booking = good(&booking, 201).map_err(|why| format!("another address, the same key: {why}"))?;
    target.release(&ben, &show, &other).await?;
    target.cancelled(&anna, &booking, &[]).await?;
    // Every character counts, and which it is.
    let long = "k".repeat(127);
    let (carla, dora) = (target.buyer(), target.buyer());
    for (buyer, keys) in [(&carla, [format!("{long}a"), format!("{long}b")]), (&dora, ["Key".into(), "key".into()])] {
        let mut ids = Vec::new();
        for (n, key) in keys.iter().enumerate() {
            let ask = Ask::post(show.at("/holds"), &show.wish(&[show.seat(n)?])).by(&buyer.0).key(key);
            let hold = good(&target.wire.send(&ask).await?, 201).map_err(|why| format!("the key {key:?}: {why}"))?;
            ids.push(hold);
        }
        for hold in &ids {
            target.release(buyer, &show, hold).await?;
        }
    }
    if target.run.is_some() {
        let elsewhere = target.show(json!({})).await?;
        let eve = target.buyer();
        for show in [&show, &elsewhere] {
            let ask = Ask::post(show.at("/holds"), &show.wish(&[show.seat(0)?])).by(&eve.0).key("one");
            let hold = good(&target.wire.send(&ask).await?, 201)
                .map_err(|why| format!("another screening, the same key: {why}"))?;
            must(hold["screening"] == show.id.as_str(), || {
                format!("held at {}, it is of {}", show.id, hold["screening"])
            })?;
        }
    }
    Ok(())
}

pub(super) async fn many(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let buyer = target.buyer();
    let mut said = Vec::new();
    for _ in 0..40 {
        let ask = Ask::post(show.at("/holds"), &show.wish(&[show.seat(0)?])).by(&buyer.0).key(&target.key());
        let answer = target.wire.send(&ask).await?;
        let hold = good(&answer, 201)?;
        target.release(&buyer, &show, &hold).await?;
        said.push((ask, answer));
    }
    for (ask, answer) in said.iter().rev() {
        same(answer, &target.wire.send(ask).await?).map_err(|why| format!("one of forty requests: {why}"))?;
    }
    Ok(())
}

pub(super) async fn at_once(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let buyer = target.buyer();
    let before = target.seats(&show).await?["seq"].clone();
    let ask = Ask::post(show.at("/holds"), &show.wish(&[show.seat(0)?])).by(&buyer.0).key(&target.key());
    let mut ids = Vec::new();
    for answer in target.wire.send_all(vec![ask; 40]).await? {
        match answer.status {
            201 => ids.push(answer.json()?["id"].clone()),
            _ => drop(refused(&answer, 409, "request_in_flight")?),
        }
    }
    ids.dedup();
    must(ids.len() == 1, || format!("the same request at once made {} holds", ids.len()))?;
    let after = target.seats(&show).await?["seq"].clone();
    let steps = after.as_u64().zip(before.as_u64()).map(|(after, before)| after - before);
    must(steps == Some(1), || format!("one hold, and the version went from {before} to {after}"))?;
    let release = json!({"id": ids[0]});
    target.release(&buyer, &show, &release).await?;
    Ok(())
}

pub(super) async fn restart(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let (anna, ben) = (target.buyer(), target.buyer());
    let wish = show.wish(&[show.seat(0)?]);
    let ask = Ask::post(show.at("/holds"), &wish).by(&anna.0).key(&target.key());
    let held = target.wire.send(&ask).await?;
    let hold = good(&held, 201)?;
    let book = target.booking_of(&anna, &show, &hold)?;
    let booked = target.wire.send(&book).await?;
    let booking = good(&booked, 201)?;
    let open = target.held(&ben, &show, &[show.seat(1)?]).await?;
    target.run()?.act(&json!({"action": "restart"})).await?;
    target.must_be(&show, show.seat(0)?, Some("sold")).await?;
    target.must_be(&show, show.seat(1)?, Some("held")).await?;
    let path = target.of_booking(&booking, "")?;
    let now = good(&target.read(&path, &anna).await?, 200)?;
    must(now["lines"] == booking["lines"] && now["total"] == booking["total"], || {
        format!("before the restart {booking}, after it {now}")
    })?;
    same(&held, &target.wire.send(&ask).await?)?;
    same(&booked, &target.wire.send(&book).await?)?;
    good(&target.book(&ben, &show, &open).await?, 201)?;
    Ok(())
}

pub(super) async fn after_a_day(target: &mut Target) -> Checked {
    let show = target.show(json!({"starts_in_s": 604_800})).await?;
    let buyer = target.buyer();
    let ask = Ask::post(show.at("/holds"), &show.wish(&[show.seat(0)?])).by(&buyer.0).key(&target.key());
    let first = target.wire.send(&ask).await?;
    let hold = good(&first, 201)?;
    let booking = good(&target.book(&buyer, &show, &hold).await?, 201)?;
    target.run()?.advance_ms(23 * 3_600_000).await?;
    same(&first, &target.wire.send(&ask).await?).map_err(|why| format!("after 23 hours: {why}"))?;
    target.run()?.advance_ms(48 * 3_600_000).await?;
    let late = target.wire.send(&ask).await?;
    must(late.status < 300, || format!("after three days: status {}", late.status))?;
    let late = late.json()?;
    let known = [&hold["id"], &booking["id"]].contains(&&late["id"]);
    must(known, || format!("after three days the same key made {late}"))?;
    let seats = target.seats(&show).await?;
    let sold = seats["not_free"]["sold"].as_array().map_or(0, Vec::len);
    let held = seats["not_free"]["held"].as_array().map_or(0, Vec::len);
    Ok(must((sold, held) == (1, 0), || format!("one seat is booked; held are {held}, sold {sold}"))?)
}

/// Whether anything of an answer is this text.
pub(super) fn says(answer: &Answer, text: &str) -> bool {
    let in_headers = answer.headers.values().any(|v| v.to_str().is_ok_and(|v| v.contains(text)));
    in_headers || String::from_utf8_lossy(&answer.bytes).contains(text)
}

/// A member that nobody knows, in whatever is sent.
pub(super) fn with_unknown(mut value: Value) -> Value {
    value["org.example.mood"] = json!({"is": ["fine", 1]});
    value
}

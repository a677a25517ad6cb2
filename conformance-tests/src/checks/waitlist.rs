//! Waiting for seats that come free.

use serde_json::{Value, json};

use super::holds::{instant, move_to};
use super::{Checked, must};
use crate::stage::{Buyer, Show, good, refused, text};
use crate::target::Target;
use crate::wire::{Answer, Ask};

/// A hall of one row, all of it held by somebody: the holds, one a seat.
async fn full(target: &mut Target, seats: usize) -> Checked<(Show, Vec<(Buyer, Value)>)> {
    let show = target.show(json!({"rows": 1, "seats": seats})).await?;
    let mut holds = Vec::new();
    for n in 0..seats {
        let buyer = target.buyer();
        let booking = target.booked(&buyer, &show, &[show.seat(n)?]).await?;
        holds.push((buyer, booking));
    }
    Ok((show, holds))
}

async fn join(target: &mut Target, show: &Show, buyer: &Buyer, count: usize) -> Result<Answer, String> {
    let wish = json!({"best": {"count": count}});
    let ask = Ask::post(show.at("/waitlist"), &wish).by(&buyer.0).key(&target.key());
    target.wire.send(&ask).await
}

async fn joined(target: &mut Target, show: &Show, count: usize) -> Checked<(Buyer, String)> {
    let buyer = target.buyer();
    let entry = good(&join(target, show, &buyer, count).await?, 201)?;
    Ok((buyer, text(&entry, "id")?.to_owned()))
}

async fn entry(target: &mut Target, show: &Show, (buyer, id): &(Buyer, String)) -> Result<Value, String> {
    good(&target.read(&show.at(&format!("/waitlist/{id}")), buyer).await?, 200)
}

async fn state_is(target: &mut Target, show: &Show, who: &(Buyer, String), state: &str) -> Result<Value, String> {
    let entry = entry(target, show, who).await?;
    must(entry["state"] == state, || format!("the entry is {}, not {state}", entry["state"]))?;
    Ok(entry)
}

pub(super) async fn who_may_wait(target: &mut Target) -> Checked {
    let empty = target.show(json!({"rows": 1, "seats": 3})).await?;
    let buyer = target.buyer();
    refused(&join(target, &empty, &buyer, 2).await?, 409, "seats_available")?;
    let (show, _) = full(target, 3).await?;
    refused(&join(target, &show, &buyer, 4).await?, 422, "never_fits")?;
    good(&join(target, &show, &buyer, 1).await?, 201)?;
    refused(&join(target, &show, &buyer, 1).await?, 409, "already_waiting")?;
    Ok(())
}

pub(super) async fn in_order(target: &mut Target) -> Checked {
    let (show, bookings) = full(target, 3).await?;
    let pair = joined(target, &show, 2).await?;
    let first = joined(target, &show, 1).await?;
    let second = joined(target, &show, 1).await?;
    for (who, position) in [(&pair, 1), (&first, 2), (&second, 3)] {
        let entry = entry(target, &show, who).await?;
        must(entry["position"] == position, || format!("in place {position} stands {}", entry["position"]))?;
    }
    // One place: the pair is passed over, and the first who fits gets it, in the very change that frees it.
    let (buyer, booking) = &bookings[0];
    target.cancelled(buyer, booking, &[]).await?;
    target.must_be(&show, show.seat(0)?, Some("held")).await?;
    let offered = state_is(target, &show, &first, "offered").await?;
    state_is(target, &show, &pair, "waiting").await?;
    state_is(target, &show, &second, "waiting").await?;
    let stranger = target.buyer();
    refused(&target.hold(&stranger, &show, &[show.seat(0)?]).await?, 409, "seats_taken")?;
    let hold = show.at(&format!("/holds/{}", text(&offered["offer"], "hold")?));
    let hold = good(&target.read(&hold, &first.0).await?, 200)?;
    must(hold["waitlist_entry"] == first.1.as_str(), || format!("the offer names {}", hold["waitlist_entry"]))?;
    let lasts = instant(&hold, "expires_at")?.duration_since(instant(&hold, "created_at")?).as_secs();
    let announced = target.member("waitlist_policy")?["offer_ttl_s"].as_i64();
    must(Some(lasts) == announced, || format!("an offer lasts {lasts} s, {announced:?} are announced"))?;
    good(&target.book(&first.0, &show, &hold).await?, 201)?;
    state_is(target, &show, &first, "taken").await?;
    // Two more: now the pair is first.
    for (buyer, booking) in &bookings[1..] {
        target.cancelled(buyer, booking, &[]).await?;
    }
    let passed_over = entry(target, &show, &second).await?;
    let fits = entry(target, &show, &pair).await?;
    Ok(must(passed_over["state"] == "offered" || fits["state"] == "offered", || {
        "two came free, and nobody is offered any".into()
    })?)
}

pub(super) async fn lapse(target: &mut Target) -> Checked {
    let (show, bookings) = full(target, 2).await?;
    let first = joined(target, &show, 1).await?;
    let second = joined(target, &show, 1).await?;
    let (buyer, booking) = &bookings[0];
    target.cancelled(buyer, booking, &[]).await?;
    let offered = state_is(target, &show, &first, "offered").await?;
    let hold = show.at(&format!("/holds/{}", text(&offered["offer"], "hold")?));
    let hold = good(&target.read(&hold, &first.0).await?, 200)?;
    move_to(target, instant(&hold, "expires_at")?, 0).await?;
    target.must_be(&show, show.seat(0)?, Some("held")).await?;
    let waits = state_is(target, &show, &first, "waiting").await?;
    must(waits["position"] == 1, || format!("at the end of a line of one it is in place {}", waits["position"]))?;
    state_is(target, &show, &second, "offered").await?;
    Ok(())
}

pub(super) async fn leaving(target: &mut Target) -> Checked {
    let (show, bookings) = full(target, 2).await?;
    let first = joined(target, &show, 1).await?;
    let second = joined(target, &show, 1).await?;
    let third = joined(target, &show, 1).await?;
    let at = |who: &(Buyer, String)| Ask::delete(show.at(&format!("/waitlist/{}", who.1))).by(&who.0.0);
    for time in ["once", "twice"] {
        let left = target.wire.send(&at(&first)).await?;
        must(left.status == 204, || format!("left {time}: status {}", left.status))?;
    }
    state_is(target, &show, &first, "gone").await?;
    let (buyer, booking) = &bookings[0];
    target.cancelled(buyer, booking, &[]).await?;
    state_is(target, &show, &second, "offered").await?;
    let declined = target.wire.send(&at(&second)).await?;
    must(declined.status == 204, || format!("declined: status {}", declined.status))?;
    state_is(target, &show, &second, "declined").await?;
    state_is(target, &show, &third, "offered").await?;
    Ok(target.must_be(&show, show.seat(0)?, Some("held")).await?)
}

pub(super) async fn of_somebody_else(target: &mut Target) -> Checked {
    let (show, _) = full(target, 2).await?;
    let who = joined(target, &show, 1).await?;
    let other = target.buyer();
    let path = show.at(&format!("/waitlist/{}", who.1));
    refused(&target.read(&path, &other).await?, 404, "not_found")?;
    refused(&target.wire.send(&Ask::delete(path).by(&other.0)).await?, 404, "not_found")?;
    state_is(target, &show, &who, "waiting").await?;
    Ok(())
}

/// A pair stays first while places come free one by one, and five who want one get them.
pub(super) async fn passed_over(target: &mut Target) -> Checked {
    let (show, bookings) = full(target, 8).await?;
    let pair = joined(target, &show, 2).await?;
    for (buyer, booking) in &bookings[..5] {
        let single = joined(target, &show, 1).await?;
        target.cancelled(buyer, booking, &[]).await?;
        let offered = state_is(target, &show, &single, "offered").await?;
        let hold = show.at(&format!("/holds/{}", text(&offered["offer"], "hold")?));
        let hold = good(&target.read(&hold, &single.0).await?, 200)?;
        good(&target.book(&single.0, &show, &hold).await?, 201)?;
    }
    let single = joined(target, &show, 1).await?;
    let (buyer, booking) = &bookings[5];
    target.cancelled(buyer, booking, &[]).await?;
    state_is(target, &show, &single, "waiting")
        .await
        .map_err(|why| format!("the pair was passed over five times: {why}"))?;
    let stranger = target.buyer();
    refused(&target.hold(&stranger, &show, &[show.seat(5)?]).await?, 409, "seats_taken")
        .map_err(|why| format!("what is kept for the pair: {why}"))?;
    let (buyer, booking) = &bookings[6];
    target.cancelled(buyer, booking, &[]).await?;
    state_is(target, &show, &pair, "offered").await.map_err(|why| format!("two side by side are free: {why}"))?;
    Ok(())
}

pub(super) async fn over(target: &mut Target) -> Checked {
    let (show, bookings) = full(target, 2).await?;
    let who = joined(target, &show, 1).await?;
    let screening = good(&target.read(&show.path, &who.0).await?, 200)?;
    let start = instant(&screening["starts_at"], "at")?;
    target.run()?.act(&json!({"action": "pause", "screening": show.id})).await?;
    let (buyer, booking) = &bookings[0];
    target.cancelled(buyer, booking, &[]).await?;
    state_is(target, &show, &who, "waiting").await.map_err(|why| format!("sales are paused: {why}"))?;
    target.run()?.act(&json!({"action": "resume", "screening": show.id})).await?;
    state_is(target, &show, &who, "offered").await.map_err(|why| format!("sales go on: {why}"))?;
    let late = joined(target, &show, 1).await;
    move_to(target, start, 0).await?;
    if let Ok(late) = late {
        state_is(target, &show, &late, "gone").await?;
    }
    let now = entry(target, &show, &who).await?;
    Ok(must(now["state"] == "gone", || format!("it has begun, and the entry is {}", now["state"]))?)
}

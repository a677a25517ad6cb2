//! Holds.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Checked, Stop, must};
use crate::stage::{Buyer, Show, good, refused, text};
use crate::target::Target;
use crate::wire::Ask;

pub(super) fn instant(value: &Value, name: &str) -> Result<Timestamp, String> {
    text(value, name)?.parse().map_err(|e| format!("`{name}`: {e}"))
}

/// Moves the clock to this instant, or so many milliseconds after it.
pub(super) async fn move_to(target: &mut Target, at: Timestamp, more_ms: i64) -> Checked {
    let now = target.now().await?;
    let ms = at.duration_since(now).as_millis() + i128::from(more_ms);
    target.run()?.advance_ms(i64::try_from(ms).unwrap_or(0).max(0)).await.map(drop)
}

pub(super) async fn all_or_none(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let (anna, ben, carla) = (target.buyer(), target.buyer(), target.buyer());
    let (taken, free) = (show.seat(0)?, show.seat(1)?);
    target.held(&anna, &show, &[taken]).await?;
    // Whichever comes first in the list.
    for wish in [[free, taken], [taken, free]] {
        refused(&target.hold(&ben, &show, &wish).await?, 409, "seats_taken")?;
        target.must_be(&show, free, None).await?;
    }
    target.held(&carla, &show, &[free]).await?;
    Ok(())
}

pub(super) async fn every_conflict(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let (anna, ben, carla) = (target.buyer(), target.buyer(), target.buyer());
    let seats: Vec<&str> = (0..5).map(|n| show.seat(n)).collect::<Result<_, _>>()?;
    target.held(&anna, &show, &[seats[0], seats[3]]).await?;
    target.booked(&ben, &show, &[seats[1]]).await?;
    let mut wanted = vec![
        json!({"seat": seats[0], "reason": "held"}),
        json!({"seat": seats[1], "reason": "sold"}),
        json!({"seat": seats[3], "reason": "held"}),
    ];
    if let Ok(run) = target.run() {
        match run.act(&json!({"action": "block", "screening": show.id, "seats": [seats[4]]})).await {
            Ok(()) => wanted.push(json!({"seat": seats[4], "reason": "blocked"})),
            Err(Stop::NotRun(_)) => {}
            Err(fails) => return Err(fails),
        }
    }
    let answer = target.hold(&carla, &show, &seats).await?;
    let problem = refused(&answer, 409, "seats_taken")?;
    let mut named = problem["conflicts"].as_array().cloned().unwrap_or_default();
    named.sort_by_key(|c| c["seat"].as_str().map(str::to_owned));
    wanted.sort_by_key(|c| c["seat"].as_str().map(str::to_owned));
    must(named == wanted, || format!("in the way are {}, it names {}", json!(wanted), json!(named)))?;
    let blocked = wanted.iter().any(|c| c["reason"] == "blocked");
    must(problem["retryable"] == !blocked, || {
        format!("blocked: {blocked}, and `retryable` is {}", problem["retryable"])
    })?;
    let seq = target.seats(&show).await?["seq"].clone();
    Ok(must(problem["seq"] == seq, || format!("its `seq` is {}, that of the seats {seq}", problem["seq"]))?)
}

pub(super) async fn keeps_prices(target: &mut Target) -> Checked {
    let show = target.show(json!({"price": 1000})).await?;
    let (anna, ben) = (target.buyer(), target.buyer());
    let hold = target.held(&anna, &show, &[show.seat(0)?, show.seat(1)?]).await?;
    target.run()?.act(&json!({"action": "change_price", "screening": show.id, "price": 1500})).await?;
    let path = show.at(&format!("/holds/{}", text(&hold, "id")?));
    let again = good(&target.read(&path, &anna).await?, 200)?;
    must(again["quote"] == hold["quote"] && again["price_table"] == hold["price_table"], || {
        format!("held for {}, read again it comes to {}", hold["quote"]["total"], again["quote"]["total"])
    })?;
    let mut wrong = hold.clone();
    wrong["quote"]["total"]["amount"] = json!(3000);
    let problem = refused(&target.book(&anna, &show, &wrong).await?, 409, "price_changed")?;
    must(problem["quote"]["total"]["amount"] == 2000, || {
        format!("held at 1000 each, the right total is said to be {}", problem["quote"]["total"])
    })?;
    let booking = good(&target.book(&anna, &show, &hold).await?, 201)?;
    must(booking["total"]["amount"] == 2000, || format!("held at 1000 each, booked for {}", booking["total"]))?;
    let dear = target.held(&ben, &show, &[show.seat(2)?]).await?;
    Ok(must(dear["quote"]["total"]["amount"] == 1500, || {
        format!("a hold after the change comes to {}, not to 1500", dear["quote"]["total"])
    })?)
}

pub(super) async fn ends_at_its_instant(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let (anna, ben) = (target.buyer(), target.buyer());
    let seat = show.seat(0)?;
    let hold = target.held(&anna, &show, &[seat]).await?;
    move_to(target, instant(&hold, "expires_at")?, -1).await?;
    target.must_be(&show, seat, Some("held")).await?;
    refused(&target.hold(&ben, &show, &[seat]).await?, 409, "seats_taken")
        .map_err(|why| format!("a millisecond before its end: {why}"))?;
    move_to(target, instant(&hold, "expires_at")?, 0).await?;
    target.must_be(&show, seat, None).await?;
    let path = show.at(&format!("/holds/{}", text(&hold, "id")?));
    let ended = good(&target.read(&path, &anna).await?, 200)?;
    must(ended["state"] == "expired", || format!("at its end its state is {}", ended["state"]))?;
    good(&target.hold(&ben, &show, &[seat]).await?, 201).map_err(|why| format!("at its end: {why}"))?;
    Ok(())
}

pub(super) async fn ended_is_not_booked(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let (anna, ben) = (target.buyer(), target.buyer());
    let hold = target.held(&anna, &show, &[show.seat(0)?]).await?;
    let other = target.held(&ben, &show, &[show.seat(1)?]).await?;
    move_to(target, instant(&hold, "expires_at")?, -1).await?;
    good(&target.book(&anna, &show, &hold).await?, 201)
        .map_err(|why| format!("a millisecond before its end: {why}"))?;
    move_to(target, instant(&other, "expires_at")?, 0).await?;
    refused(&target.book(&ben, &show, &other).await?, 410, "hold_expired")?;
    Ok(target.must_be(&show, show.seat(1)?, None).await?)
}

pub(super) async fn clamped(target: &mut Target) -> Checked {
    let policy = target.member("hold_policy")?.clone();
    let most = policy["ttl_max_s"].as_i64().ok_or("`hold_policy` has no `ttl_max_s`")?;
    let show = target.show(json!({})).await?;
    for (asked, n) in [(86_400, 0), (1, 1)] {
        let buyer = target.buyer();
        let mut wish = show.wish(&[show.seat(n)?]);
        wish["ttl_s"] = json!(asked);
        let ask = Ask::post(show.at("/holds"), &wish).by(&buyer.0).key(&target.key());
        let hold = good(&target.wire.send(&ask).await?, 201)?;
        let lasts = instant(&hold, "expires_at")?.duration_since(instant(&hold, "created_at")?);
        let least = policy["ttl_min_s"].as_i64().ok_or("`hold_policy` has no `ttl_min_s`")?;
        let fits = lasts <= SignedDuration::from_secs(most) && lasts >= SignedDuration::from_secs(least.min(most));
        must(fits, || format!("asked for {asked} s, {least} to {most} are announced, it lasts {} s", lasts.as_secs()))?;
        target.release(&buyer, &show, &hold).await?;
    }
    let buyer = target.buyer();
    let hold = target.held(&buyer, &show, &[show.seat(2)?]).await?;
    let lasts = instant(&hold, "expires_at")?.duration_since(instant(&hold, "created_at")?).as_secs();
    must(Some(lasts) == policy["ttl_s"].as_i64(), || {
        format!("of {} s that are announced it lasts {lasts}", policy["ttl_s"])
    })?;
    target.release(&buyer, &show, &hold).await?;
    Ok(())
}

pub(super) async fn types(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let buyer = target.buyer();
    let (one, two) = (show.seat(0)?, show.seat(1)?);
    let half = json!([{"seat": one, "ticket_type": show.ticket_type}, {"seat": two}]);
    for seats in [json!([{"seat": one}]), half] {
        let ask = Ask::post(show.at("/holds"), &json!({"seats": seats})).by(&buyer.0).key(&target.key());
        let hold = good(&target.wire.send(&ask).await?, 201).map_err(|why| format!("{seats}: {why}"))?;
        must(hold["quote"].is_null(), || format!("{seats} have no price together, and it says {}", hold["quote"]))?;
        target.release(&buyer, &show, &hold).await?;
    }
    let nobody_sells = json!({"seats": [{"seat": one, "ticket_type": "astronaut"}]});
    let ask = Ask::post(show.at("/holds"), &nobody_sells).by(&buyer.0).key(&target.key());
    refused(&target.wire.send(&ask).await?, 422, "rule_broken")?;
    target.must_be(&show, one, None).await?;
    let hold = target.held(&buyer, &show, &[one]).await?;
    must(hold["quote"]["total"]["amount"] == show.price, || format!("an adult's ticket comes to {}", hold["quote"]))?;
    target.release(&buyer, &show, &hold).await?;
    Ok(())
}

pub(super) async fn kept_when_sales_end(target: &mut Target) -> Checked {
    let show = target.show(json!({"price": 0, "starts_in_s": 600})).await?;
    let buyer = target.buyer();
    target.run()?.advance_ms(599_000).await?;
    let hold = target.held(&buyer, &show, &[show.seat(0)?]).await?;
    target.run()?.advance_ms(2_000).await?;
    good(&target.book(&buyer, &show, &hold).await?, 201)?;
    Ok(())
}

pub(super) async fn too_many_seats(target: &mut Target) -> Checked {
    let most = target.member("hold_policy")?["seats_max"].as_u64().ok_or("`hold_policy` has no `seats_max`")?;
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let show = target.show(json!({})).await?;
    let buyer = target.buyer();
    let seats: Vec<&str> = (0..=most).map(|n| show.seat(n)).collect::<Result<_, _>>()?;
    refused(&target.hold(&buyer, &show, &seats).await?, 422, "invalid")?;
    target.must_be(&show, seats[0], None).await?;
    let hold = target.held(&buyer, &show, &seats[..most]).await?;
    target.release(&buyer, &show, &hold).await?;
    // And none at all.
    let nothing = target.hold(&buyer, &show, &[]).await?;
    refused(&nothing, 422, "invalid")?;
    Ok(())
}

pub(super) async fn companion(target: &mut Target) -> Checked {
    let show = target.show(json!({"wheelchair": true})).await?;
    let (anna, ben) = (target.buyer(), target.buyer());
    let alone = refused(&target.hold(&ben, &show, &["1-2"]).await?, 409, "seats_taken")?;
    must(alone["conflicts"] == json!([{"seat": "1-2", "reason": "companion_only"}]), || {
        format!("a companion's seat alone: {}", alone["conflicts"])
    })?;
    target.must_be(&show, "1-2", None).await?;
    target.held(&anna, &show, &["1-1", "1-2"]).await?;
    let (carla, dora) = (target.buyer(), target.buyer());
    let show = target.show(json!({"wheelchair": true})).await?;
    target.booked(&carla, &show, &["1-1"]).await?;
    let other = target.hold(&dora, &show, &["1-2"]).await?;
    must((400..500).contains(&other.status), || format!("a stranger's companion: status {}", other.status))?;
    target.held(&carla, &show, &["1-2"]).await?;
    Ok(())
}

async fn extend(target: &mut Target, buyer: &Buyer, show: &Show, hold: &Value, ttl_s: i64) -> Result<Value, String> {
    let path = show.at(&format!("/holds/{}/extensions", text(hold, "id")?));
    let ask = Ask::post(path, &json!({"ttl_s": ttl_s})).by(&buyer.0).key(&target.key());
    good(&target.wire.send(&ask).await?, 200)
}

pub(super) async fn extended(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let buyer = target.buyer();
    let hold = target.held(&buyer, &show, &[show.seat(0)?]).await?;
    let first = instant(&hold, "expires_at")?;
    let shorter = extend(target, &buyer, &show, &hold, 1).await?;
    must(instant(&shorter, "expires_at")? >= first, || "asked for a second more, it ends earlier than before".into())?;
    let longest = extend(target, &buyer, &show, &hold, 86_400).await?;
    let (ends, can) = (instant(&longest, "expires_at")?, instant(&longest, "extendable_until")?);
    must(ends <= can, || format!("it ends at {ends}, after `extendable_until` {can}"))?;
    target.release(&buyer, &show, &hold).await?;
    let path = show.at(&format!("/holds/{}/extensions", text(&hold, "id")?));
    let ask = Ask::post(path, &json!({})).by(&buyer.0).key(&target.key());
    refused(&target.wire.send(&ask).await?, 410, "hold_expired")?;
    Ok(())
}

pub(super) async fn fifty_minutes(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let buyer = target.buyer();
    let mut hold = target.held(&buyer, &show, &[show.seat(0)?]).await?;
    let end = instant(&hold, "created_at")? + SignedDuration::from_mins(50);
    for _ in 0..60 {
        let ends = instant(&hold, "expires_at")?;
        must(ends <= end, || format!("it would live until {ends}, 50 minutes are over at {end}"))?;
        move_to(target, ends, -1).await?;
        let path = show.at(&format!("/holds/{}/extensions", text(&hold, "id")?));
        let ask = Ask::post(path, &json!({"ttl_s": 86_400})).by(&buyer.0).key(&target.key());
        let answer = target.wire.send(&ask).await?;
        if answer.status != 200 {
            return Ok(());
        }
        let longer = answer.json()?;
        if longer["expires_at"] == hold["expires_at"] {
            return Ok(());
        }
        hold = longer;
    }
    Err("extended 60 times, it still goes on".into())
}

pub(super) async fn released(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let (anna, ben) = (target.buyer(), target.buyer());
    let seat = show.seat(0)?;
    let hold = target.held(&anna, &show, &[seat]).await?;
    for time in ["once", "twice"] {
        let answer = target.release(&anna, &show, &hold).await?;
        must(answer.status == 204 && answer.bytes.is_empty(), || format!("released {time}: status {}", answer.status))?;
        target.must_be(&show, seat, None).await?;
    }
    refused(&target.book(&anna, &show, &hold).await?, 410, "hold_expired")?;
    let taken = target.held(&ben, &show, &[seat]).await?;
    // What was released once does not touch what somebody holds since.
    target.release(&anna, &show, &hold).await?;
    target.must_be(&show, seat, Some("held")).await?;
    target.release(&ben, &show, &taken).await?;
    Ok(())
}

pub(super) async fn of_somebody_else(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let (anna, ben) = (target.buyer(), target.buyer());
    let seat = show.seat(0)?;
    let hold = target.held(&anna, &show, &[seat]).await?;
    let path = show.at(&format!("/holds/{}", text(&hold, "id")?));
    refused(&target.read(&path, &ben).await?, 404, "not_found")?;
    refused(&target.release(&ben, &show, &hold).await?, 404, "not_found")?;
    refused(&target.book(&ben, &show, &hold).await?, 404, "not_found")?;
    target.must_be(&show, seat, Some("held")).await?;
    let mine = good(&target.read(&path, &anna).await?, 200)?;
    must(mine["state"] == "active", || format!("its state is {}", mine["state"]))?;
    target.release(&anna, &show, &hold).await?;
    Ok(())
}

pub(super) async fn converted(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let buyer = target.buyer();
    let hold = target.held(&buyer, &show, &[show.seat(0)?]).await?;
    let booking = good(&target.book(&buyer, &show, &hold).await?, 201)?;
    let path = show.at(&format!("/holds/{}", text(&hold, "id")?));
    let now = good(&target.read(&path, &buyer).await?, 200)?;
    must(now["state"] == "converted" && now["booking"] == booking["id"], || {
        format!("its state is {}, its booking {}, not {}", now["state"], now["booking"], booking["id"])
    })?;
    refused(&target.release(&buyer, &show, &hold).await?, 409, "hold_converted")?;
    refused(&target.book(&buyer, &show, &hold).await?, 409, "hold_converted")?;
    target.must_be(&show, show.seat(0)?, Some("sold")).await?;
    target.cancelled(&buyer, &booking, &[]).await?;
    Ok(())
}

pub(super) async fn other_layout(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let buyer = target.buyer();
    let mut wish = show.wish(&[show.seat(0)?]);
    wish["layout"] = json!("sha256-RBNvo1WzZ4oRRq0W9-hknpT7T8If536DEMBg9hyq_4o");
    let ask = Ask::post(show.at("/holds"), &wish).by(&buyer.0).key(&target.key());
    refused(&target.wire.send(&ask).await?, 409, "layout_changed")?;
    target.must_be(&show, show.seat(0)?, None).await?;
    // What is asked for there may be other seats: whatever else is in the way does not matter.
    let other = target.buyer();
    let taken = target.held(&other, &show, &[show.seat(0)?]).await?;
    let ask = Ask::post(show.at("/holds"), &wish).by(&buyer.0).key(&target.key());
    refused(&target.wire.send(&ask).await?, 409, "layout_changed").map_err(|why| format!("of a taken seat: {why}"))?;
    target.release(&other, &show, &taken).await?;
    wish["layout"] = json!(show.layout);
    let ask = Ask::post(show.at("/holds"), &wish).by(&buyer.0).key(&target.key());
    let hold = good(&target.wire.send(&ask).await?, 201)?;
    target.release(&buyer, &show, &hold).await?;
    Ok(())
}

pub(super) async fn too_many(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let buyer = target.buyer();
    let most = target.member("hold_policy")?["holds_per_buyer"].as_u64().unwrap_or(2);
    let most = usize::try_from(most).unwrap_or(2);
    for n in 0..most {
        target.held(&buyer, &show, &[show.seat(n)?]).await?;
    }
    let wish = show.wish(&[show.seat(most)?]);
    for (name, value) in [("x-nothing", "1"), ("x-forwarded-for", "203.0.113.7"), ("forwarded", "for=203.0.113.7")] {
        let ask = Ask::post(show.at("/holds"), &wish).by(&buyer.0).key(&target.key()).with(name, value);
        refused(&target.wire.send(&ask).await?, 409, "too_many_holds")
            .map_err(|why| format!("one more than {most} holds, with {name}: {why}"))?;
    }
    Ok(target.must_be(&show, show.seat(most)?, None).await?)
}

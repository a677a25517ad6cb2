//! Which seats are free, and how that changes.

use std::time::Duration;

use serde_json::{Value, json};

use super::holds::{instant, move_to};
use super::{Checked, must};
use crate::stage::{Show, good, refused};
use crate::target::Target;
use crate::wire::Ask;

pub(super) async fn as_they_are(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let (anna, ben) = (target.buyer(), target.buyer());
    let [held, sold, blocked] = [show.seat(0)?, show.seat(1)?, show.seat(2)?];
    let hold = target.held(&anna, &show, &[held]).await?;
    let booking = target.booked(&ben, &show, &[sold]).await?;
    target.must_be(&show, held, Some("held")).await?;
    target.must_be(&show, sold, Some("sold")).await?;
    // The same for everybody: also for who holds.
    let path = show.at("/seats");
    let [nobody, holder] = [Ask::get(&path), Ask::get(&path).by(&anna.0)];
    let (nobody, holder) = (target.wire.send(&nobody).await?, target.wire.send(&holder).await?);
    must(nobody.bytes == holder.bytes, || "who holds sees other seats than a stranger".into())?;
    if let Ok(run) = target.run() {
        run.act(&json!({"action": "block", "screening": show.id, "seats": [blocked]})).await?;
        target.must_be(&show, blocked, Some("blocked")).await?;
        refused(&target.hold(&ben, &show, &[blocked]).await?, 409, "seats_taken")?;
        target.run()?.act(&json!({"action": "unblock", "screening": show.id, "seats": [blocked]})).await?;
        target.must_be(&show, blocked, None).await?;
        // What somebody has stays theirs, whatever staff do.
        for action in ["block", "unblock"] {
            let of_taken = json!({"action": action, "screening": show.id, "seats": [held]});
            let _ = target.run()?.act(&of_taken).await;
            let of_taken = json!({"action": action, "screening": show.id, "seats": [sold]});
            let _ = target.run()?.act(&of_taken).await;
            target.must_be(&show, held, Some("held")).await.map_err(|why| format!("{action} of a held seat: {why}"))?;
            target.must_be(&show, sold, Some("sold")).await.map_err(|why| format!("{action} of a sold seat: {why}"))?;
        }
    }
    target.release(&anna, &show, &hold).await?;
    target.cancelled(&ben, &booking, &[]).await?;
    target.must_be(&show, held, None).await?;
    Ok(target.must_be(&show, sold, None).await?)
}

async fn seq(target: &mut Target, show: &Show) -> Result<u64, String> {
    target.seats(show).await?["seq"].as_u64().ok_or_else(|| "seats have no `seq`".into())
}

async fn moved_by_one(target: &mut Target, show: &Show, before: u64, what: &str) -> Result<u64, String> {
    let after = seq(target, show).await?;
    must(after == before + 1, || format!("{what}: from version {before} to {after}")).map(|()| after)
}

pub(super) async fn version(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let (anna, ben) = (target.buyer(), target.buyer());
    let mut now = seq(target, &show).await?;
    let hold = target.held(&anna, &show, &[show.seat(0)?, show.seat(1)?]).await?;
    now = moved_by_one(target, &show, now, "a hold").await?;
    must(hold["seq"] == now, || format!("the hold says {}, the seats {now}", hold["seq"]))?;
    refused(&target.hold(&ben, &show, &[show.seat(0)?]).await?, 409, "seats_taken")?;
    let refused_at = seq(target, &show).await?;
    must(refused_at == now, || format!("a refusal moved it from {now} to {refused_at}"))?;
    let booking = good(&target.book(&anna, &show, &hold).await?, 201)?;
    now = moved_by_one(target, &show, now, "a booking").await?;
    must(booking["seq"] == now, || format!("the booking says {}, the seats {now}", booking["seq"]))?;
    target.cancelled(&anna, &booking, &[show.seat(0)?]).await?;
    now = moved_by_one(target, &show, now, "a cancellation").await?;
    let hold = target.held(&ben, &show, &[show.seat(0)?]).await?;
    now = moved_by_one(target, &show, now, "another hold").await?;
    target.release(&ben, &show, &hold).await?;
    now = moved_by_one(target, &show, now, "a release").await?;
    target.release(&ben, &show, &hold).await?;
    let again = seq(target, &show).await?;
    must(again == now, || format!("a second release moved it from {now} to {again}"))?;
    target.cancelled(&anna, &booking, &[]).await?;
    Ok(())
}

pub(super) async fn version_of_expiry(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let buyer = target.buyer();
    let hold = target.held(&buyer, &show, &[show.seat(0)?]).await?;
    let before = seq(target, &show).await?;
    let epoch = target.seats(&show).await?["epoch"].clone();
    move_to(target, instant(&hold, "expires_at")?, 0).await?;
    let seats = target.seats(&show).await?;
    must(seats["seq"].as_u64() > Some(before), || {
        format!("a hold ended, and the version went from {before} to {}", seats["seq"])
    })?;
    Ok(must(seats["epoch"] == epoch, || "the epoch is another one".into())?)
}

pub(super) async fn areas(target: &mut Target) -> Checked {
    let show = target.show(json!({"area": 5})).await?;
    let (anna, ben) = (target.buyer(), target.buyer());
    let free = |seats: &Value| seats["areas"][0]["free"].clone();
    let of = |count: u32| json!({"areas": [{"area": "floor", "count": count, "ticket_type": "adult"}]});
    let ask = Ask::post(show.at("/holds"), &of(3)).by(&anna.0).key(&target.key());
    let hold = good(&target.wire.send(&ask).await?, 201)?;
    let places = hold["seats"].as_array().cloned().unwrap_or_default();
    let named = places.iter().all(|p| {
        let number = p["seat"].as_str().and_then(|s| s.strip_prefix("floor.")).and_then(|n| n.parse::<u32>().ok());
        p["area"] == "floor" && number.is_some_and(|n| (1..=5).contains(&n))
    });
    must(places.len() == 3 && named, || format!("three places of `floor` are {}", json!(places)))?;
    let now = free(&target.seats(&show).await?);
    must(now == 2, || format!("of five places three are held, and {now} are free"))?;
    let ask = Ask::post(show.at("/holds"), &of(3)).by(&ben.0).key(&target.key());
    refused(&target.wire.send(&ask).await?, 409, "seats_taken")?;
    let ask = Ask::post(show.at("/holds"), &of(2)).by(&ben.0).key(&target.key());
    good(&target.wire.send(&ask).await?, 201)?;
    target.release(&anna, &show, &hold).await?;
    let now = free(&target.seats(&show).await?);
    Ok(must(now == 3, || format!("two are held, and {now} of five are free"))?)
}

/// Server-sent events, as far as they came within a while: names, ids and data.
fn events(bytes: &[u8]) -> Vec<(String, String, Value)> {
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
    let one = |block: &str| {
        let field = |name: &str| -> Vec<&str> {
            block
                .lines()
                .filter_map(|l| l.strip_prefix(name)?.strip_prefix(':'))
                .map(|v| v.strip_prefix(' ').unwrap_or(v))
                .collect()
        };
        let data = serde_json::from_str(&field("data").join("\n")).ok()?;
        Some((field("event").join(""), field("id").join(""), data))
    };
    text.split("\n\n").filter_map(one).collect()
}

pub(super) async fn live(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let anna = target.buyer();
    let seat = show.seat(0)?;
    let watch = Ask::get(show.at("/live")).with("accept", "text/event-stream");
    let wire = target.wire.clone();
    let asked = watch.clone();
    let watching = tokio::spawn(async move { wire.listen(&asked, Duration::from_millis(1500)).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = target.seats(&show).await?;
    let hold = target.held(&anna, &show, &[seat]).await?;
    let (media, bytes) = watching.await.map_err(|e| e.to_string())??;
    must(media.starts_with("text/event-stream"), || format!("its media type is {media:?}"))?;
    let came = events(&bytes);
    let (name, id, first) = came.first().ok_or("no event came")?;
    must(name == "seats" && first["not_free"] == before["not_free"] && first["seq"] == before["seq"], || {
        format!("the first event is {name:?} {first}, the seats were {before}")
    })?;
    let right = format!("{}:{}", before["epoch"].as_str().unwrap_or_default(), before["seq"]);
    must(*id == right, || format!("the id of the first event is {id:?}, not {right:?}"))?;
    let held = |value: &Value| value["not_free"]["held"].as_array().is_some_and(|s| s.iter().any(|s| s == seat));
    must(came[1..].iter().any(|(_, _, data)| held(data)), || format!("nothing says that {seat} is held now"))?;
    // Who comes back with the id before the hold gets what they missed.
    let back = watch.with("last-event-id", right);
    let (_, bytes) = target.wire.listen(&back, Duration::from_millis(500)).await?;
    must(events(&bytes).iter().any(|(_, _, data)| held(data)), || {
        "who comes back does not get what they missed".into()
    })?;
    target.release(&anna, &show, &hold).await?;
    Ok(())
}

pub(super) async fn version_of_staff(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let buyer = target.buyer();
    let booking = target.booked(&buyer, &show, &[show.seat(0)?]).await?;
    let seat = show.seat(1)?;
    for action in [
        json!({"action": "block", "screening": show.id, "seats": [seat]}),
        json!({"action": "unblock", "screening": show.id, "seats": [seat]}),
        json!({"action": "pause", "screening": show.id}),
        json!({"action": "resume", "screening": show.id}),
        json!({"action": "change_price", "screening": show.id, "price": 1700}),
    ] {
        let before = target.seats(&show).await?;
        target.run()?.act(&action).await?;
        let after = target.seats(&show).await?;
        must(after["seq"].as_u64() > before["seq"].as_u64(), || {
            format!("{} changes what is shown, and the version stays {}", action["action"], after["seq"])
        })?;
    }
    let before = seq(target, &show).await?;
    target.seats(&show).await?;
    let path = target.of_booking(&booking, "")?;
    good(&target.read(&path, &buyer).await?, 200)?;
    let after = seq(target, &show).await?;
    Ok(must(before == after, || format!("looking moved the version from {before} to {after}"))?)
}

pub(super) async fn heartbeat(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let watch = Ask::get(show.at("/live")).with("accept", "text/event-stream");
    let (_, bytes) = target.wire.listen(&watch, Duration::from_millis(16_500)).await?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(must(text.lines().any(|line| line.starts_with(':')), || {
        format!("in 16 seconds in which nothing happened came no comment, but {text:?}")
    })?)
}

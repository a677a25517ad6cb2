//! Being let in one after another.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::holds::{instant, move_to};
use super::{Checked, must};
use crate::stage::{Buyer, Show, good, refused, text};
use crate::target::Target;
use crate::wire::{Answer, Ask};

/// Sold from ten minutes on, to whom a queue lets in: one a second.
async fn show(target: &mut Target) -> Checked<Show> {
    target.show(json!({"sales_open_in_s": 600, "queue": {"opens_in_s": 60, "admits_per_min": 60}})).await
}

async fn come(target: &mut Target, show: &Show, buyer: &Buyer) -> Result<Answer, String> {
    target.wire.send(&Ask::post(show.at("/queue"), &json!({})).by(&buyer.0)).await
}

async fn place(target: &mut Target, show: &Show, buyer: &Buyer) -> Result<Value, String> {
    good(&target.read(&show.at("/queue"), buyer).await?, 200)
}

async fn hold(target: &mut Target, show: &Show, buyer: &Buyer, pass: Option<&Value>, n: usize) -> Checked<Answer> {
    let mut wish = show.wish(&[show.seat(n)?]);
    if let Some(pass) = pass {
        wish["queue_pass"] = pass.clone();
    }
    let ask = Ask::post(show.at("/holds"), &wish).by(&buyer.0).key(&target.key());
    Ok(target.wire.send(&ask).await?)
}

pub(super) async fn drawn(target: &mut Target) -> Checked {
    let show = show(target).await?;
    let buyers: Vec<Buyer> = (0..6).map(|_| target.buyer()).collect();
    refused(&come(target, &show, &buyers[0]).await?, 409, "queue_not_open")?;
    target.run()?.advance_ms(60_000).await?;
    let mut commitment = Value::Null;
    for buyer in &buyers {
        let place = good(&come(target, &show, buyer).await?, 201)?;
        must(place["state"] == "gathering", || format!("before sales it is {}", place["state"]))?;
        must(commitment.is_null() || commitment == place["commitment"], || "places show different commitments".into())?;
        commitment = place["commitment"].clone();
    }
    good(&come(target, &show, &buyers[0]).await?, 200).map_err(|why| format!("coming again: {why}"))?;
    target.run()?.advance_ms(540_000).await?;
    let mut places = Vec::new();
    for buyer in &buyers {
        places.push(place(target, &show, buyer).await?);
    }
    let seed = URL_SAFE_NO_PAD.decode(text(&places[0], "seed")?).map_err(|e| format!("`seed`: {e}"))?;
    let committed = format!("sha256-{}", URL_SAFE_NO_PAD.encode(Sha256::digest(&seed)));
    must(commitment == committed.as_str(), || format!("committed to {commitment}, the seed makes {committed}"))?;
    let lot = |buyer: &Buyer| {
        let secret = URL_SAFE_NO_PAD.decode(&buyer.0).unwrap_or_default();
        Sha256::digest([seed.as_slice(), &Sha256::digest(secret)].concat())
    };
    let mut right: Vec<usize> = (0..buyers.len()).collect();
    right.sort_by_key(|n| lot(&buyers[*n]));
    let turns: Vec<Timestamp> = places.iter().map(|p| instant(p, "turn_at")).collect::<Result<_, _>>()?;
    let mut given: Vec<usize> = (0..buyers.len()).collect();
    given.sort_by_key(|n| turns[*n]);
    must(given == right, || format!("the seed makes the order {right:?}, turns are in {given:?}"))?;
    let close = given.windows(2).find(|pair| turns[pair[1]].duration_since(turns[pair[0]]).as_millis() < 1000);
    Ok(must(close.is_none(), || "two turns are closer together than a second".into())?)
}

pub(super) async fn passes(target: &mut Target) -> Checked {
    let show = show(target).await?;
    target.run()?.advance_ms(600_000).await?;
    let (anna, ben, carla) = (target.buyer(), target.buyer(), target.buyer());
    refused(&hold(target, &show, &anna, None, 0).await?, 409, "queue_pass_needed")?;
    for buyer in [&anna, &ben] {
        let came = come(target, &show, buyer).await?;
        must(came.status == 201, || format!("coming: status {}", came.status))?;
    }
    let bens = place(target, &show, &ben).await?;
    refused(&hold(target, &show, &ben, Some(&bens["pass"]), 0).await?, 409, "not_your_turn")?;
    refused(&hold(target, &show, &carla, Some(&bens["pass"]), 0).await?, 409, "queue_pass_needed")
        .map_err(|why| format!("somebody else's pass: {why}"))?;
    move_to(target, instant(&bens, "turn_at")?, 0).await?;
    let now = place(target, &show, &ben).await?;
    must(now["state"] == "admitted", || format!("at its turn a place is {}", now["state"]))?;
    good(&hold(target, &show, &ben, Some(&now["pass"]), 0).await?, 201)?;
    refused(&target.read(&show.at("/queue"), &carla).await?, 404, "not_found")?;
    move_to(target, instant(&now, "pass_until")?, 0).await?;
    refused(&hold(target, &show, &ben, Some(&now["pass"]), 1).await?, 410, "queue_pass_expired")?;
    let over = place(target, &show, &ben).await?;
    Ok(must(over["state"] == "over", || format!("after its end it is {}", over["state"]))?)
}

pub(super) async fn leaving(target: &mut Target) -> Checked {
    let show = show(target).await?;
    target.run()?.advance_ms(600_000).await?;
    let (anna, ben) = (target.buyer(), target.buyer());
    good(&come(target, &show, &anna).await?, 201)?;
    good(&come(target, &show, &ben).await?, 201)?;
    let first = place(target, &show, &ben).await?;
    for time in ["once", "twice"] {
        let left = target.wire.send(&Ask::delete(show.at("/queue")).by(&ben.0)).await?;
        must(left.status == 204, || format!("left {time}: status {}", left.status))?;
    }
    let again = come(target, &show, &ben).await?;
    must(again.status < 300, || format!("coming again: status {}", again.status))?;
    let again = place(target, &show, &ben).await?;
    must(again["turn_at"] == first["turn_at"], || {
        format!("who left and came again has the turn {}, and had {}", again["turn_at"], first["turn_at"])
    })?;
    move_to(target, instant(&first, "pass_until")?, 0).await?;
    let later = come(target, &show, &ben).await?;
    must(later.status < 300, || format!("coming after its end: status {}", later.status))?;
    let now = target.now().await?;
    let turn = instant(&place(target, &show, &ben).await?, "turn_at")?;
    Ok(must(turn >= now, || format!("a new turn is at {turn}, and it is {now}"))?)
}

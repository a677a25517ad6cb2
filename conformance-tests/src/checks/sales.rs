//! When something is sold.

use serde_json::{Value, json};

use super::{Checked, must};
use crate::stage::{good, refused};
use crate::target::Target;
use crate::wire::Ask;

pub(super) async fn under_way(target: &mut Target) -> Checked {
    let show = target.show(json!({"starts_in_s": 3600})).await?;
    let late = target.show(json!({"starts_in_s": 3600, "late_sales": true})).await?;
    let buyer = target.buyer();
    target.run()?.advance_ms(3_600_000 - 1).await?;
    good(&target.hold(&buyer, &show, &[show.seat(0)?]).await?, 201)
        .map_err(|why| format!("a millisecond before the start: {why}"))?;
    target.run()?.advance_ms(1).await?;
    refused(&target.hold(&buyer, &show, &[show.seat(1)?]).await?, 409, "screening_under_way")
        .map_err(|why| format!("at the start: {why}"))?;
    let sales = target.seats(&show).await?["sales"].clone();
    must(sales == "under_way", || format!("it has begun, and its `sales` are {sales}"))?;
    let listed = good(&target.read(&show.path, &buyer).await?, 200);
    must(listed.is_ok(), || "it has begun, and is not there any more".into())?;
    good(&target.hold(&buyer, &late, &[late.seat(0)?]).await?, 201)
        .map_err(|why| format!("sold to latecomers: {why}"))?;
    let sales = target.seats(&late).await?["sales"].clone();
    must(sales == "under_way_open", || format!("it is sold to latecomers, and its `sales` are {sales}"))?;
    target.run()?.advance_ms(1_800_000).await?;
    refused(&target.hold(&buyer, &late, &[late.seat(1)?]).await?, 409, "screening_under_way")?;
    Ok(())
}

pub(super) async fn closed(target: &mut Target) -> Checked {
    let show = target.show(json!({"sales_open_in_s": 600})).await?;
    let buyer = target.buyer();
    refused(&target.hold(&buyer, &show, &[show.seat(0)?]).await?, 409, "sales_not_open")?;
    target.run()?.advance_ms(600_000 - 1).await?;
    refused(&target.hold(&buyer, &show, &[show.seat(0)?]).await?, 409, "sales_not_open")
        .map_err(|why| format!("a millisecond before: {why}"))?;
    target.run()?.advance_ms(1).await?;
    let hold = good(&target.hold(&buyer, &show, &[show.seat(0)?]).await?, 201)
        .map_err(|why| format!("when sales begin: {why}"))?;
    target.run()?.act(&json!({"action": "pause", "screening": show.id})).await?;
    let sales = target.seats(&show).await?["sales"].clone();
    must(sales == "paused", || format!("paused, its `sales` are {sales}"))?;
    let other = target.buyer();
    refused(&target.hold(&other, &show, &[show.seat(1)?]).await?, 409, "sales_closed")
        .map_err(|why| format!("paused: {why}"))?;
    // A promise is kept.
    good(&target.book(&buyer, &show, &hold).await?, 201).map_err(|why| format!("held before the pause: {why}"))?;
    target.run()?.act(&json!({"action": "resume", "screening": show.id})).await?;
    target.held(&other, &show, &[show.seat(1)?]).await?;
    Ok(())
}

pub(super) async fn told_everywhere(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let nobody = target.buyer();
    let screening = good(&target.read(&show.path, &nobody).await?, 200)?;
    let path = target.api(&format!("/cinemas/{}/programme", crate::stage::text(&screening, "cinema")?))?;
    let before = target.wire.send(&Ask::get(&path)).await?;
    for action in [
        json!({"action": "change_price", "screening": show.id, "price": 1700}),
        json!({"action": "pause", "screening": show.id}),
        json!({"action": "cancel_screening", "screening": show.id}),
    ] {
        target.run()?.act(&action).await?;
        let alone = good(&target.read(&show.path, &nobody).await?, 200)?;
        let again = Ask::get(&path).with("if-none-match", before.header("etag"));
        let programme = target.wire.send(&again).await?;
        let programme = good(&programme, 200).map_err(|why| format!("the programme changed: {why}"))?;
        let listed = programme["screenings"].as_array().into_iter().flatten().find(|s| s["id"] == show.id.as_str());
        must(listed == Some(&alone), || {
            format!("after {}: alone it is {alone}, in the programme {listed:?}", action["action"])
        })?;
        let seats = target.seats(&show).await?;
        must(seats["price_table"] == alone["price_table"], || "its seats are under other prices than it is".into())?;
    }
    Ok(())
}

pub(super) async fn taken_out(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let path = target.api("/feed")?;
    let old = end_of_feed(target, &path).await?;
    target.run()?.act(&json!({"action": "remove_screening", "screening": show.id})).await?;
    let since = format!("{path}?cursor={old}");
    let told = |feed: &Value| {
        let items = feed["items"].as_array().into_iter().flatten();
        items.filter(|item| item["screening"] == show.id.as_str()).any(|item| item["data"].is_null())
    };
    for later in [0, 604_800_000 - 1] {
        target.run()?.advance_ms(later).await?;
        let feed = good(&target.wire.send(&Ask::get(&since)).await?, 200)?;
        must(told(&feed), || format!("taken out, {later} ms later the feed says {feed}"))?;
    }
    target.run()?.advance_ms(3_600_000).await?;
    // Something that happens: whoever tidies does it then at the latest.
    target.show(json!({})).await?;
    refused(&target.wire.send(&Ask::get(&since)).await?, 410, "cursor_expired")?;
    end_of_feed(target, &path).await?;
    Ok(())
}

/// The cursor after all that the feed has, from its beginning.
async fn end_of_feed(target: &mut Target, path: &str) -> Checked<String> {
    let mut at = path.to_owned();
    loop {
        let feed = good(&target.wire.send(&Ask::get(&at)).await?, 200)?;
        let next = crate::stage::text(&feed, "next")?.to_owned();
        if feed["items"].as_array().is_none_or(Vec::is_empty) {
            return Ok(next);
        }
        at = format!("{path}?cursor={next}");
    }
}

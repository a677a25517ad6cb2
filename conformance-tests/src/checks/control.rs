//! Test control itself.

use std::time::Duration;

use serde_json::json;

use super::{Checked, Stop, must, read_manifest};
use crate::stage::refused;
use crate::target::{Mode, Target};
use crate::wire::Ask;

pub(super) async fn named(target: &mut Target) -> Checked {
    let (there, named) = (target.mode == Mode::Controlled, target.has("test_control"));
    if named && !there {
        return Err(Stop::NotRun("it has test control, and nobody said where".into()));
    }
    Ok(must(there == named, || format!("`test_control` is listed: {named}, and there: {there}"))?)
}

pub(super) async fn secret(target: &mut Target) -> Checked {
    let answer = target.run()?.without_secret().await?;
    refused(&answer, 401, "unauthenticated")?;
    Ok(())
}

pub(super) async fn clock(target: &mut Target) -> Checked {
    target.run()?;
    let before = target.now().await?;
    tokio::time::sleep(Duration::from_millis(30)).await;
    let still = target.now().await?;
    must(before == still, || format!("nobody moved it, and it went from {before} to {still}"))?;
    let moved = target.run()?.advance_ms(1234).await?;
    let after = target.now().await?;
    must(moved == after, || format!("test control says {moved}, its server {after}"))?;
    let by = after.duration_since(before).as_millis();
    Ok(must(by == 1234, || format!("moved by 1234 ms, it went on by {by}"))?)
}

pub(super) async fn worlds_apart(target: &mut Target) -> Checked {
    target.run()?;
    let show = target.show(json!({})).await?;
    let here = target.now().await?;
    must(here.subsec_nanosecond() == 0, || format!("a run begins at {here}, not on a whole second"))?;
    let mut other = target.run()?.another().await?;
    read_manifest(&mut other).await?;
    let keys = |target: &Target| target.member("keys").cloned();
    let (mine, theirs) = (keys(target)?, keys(&other)?);
    let shared = ["identity", "recovery"].iter().any(|key| mine[key] == theirs[key])
        || mine["ticket"][0]["key"] == theirs["ticket"][0]["key"];
    must(!shared, || "two worlds share a key".into())?;
    let before = target.now().await?;
    other.run()?.advance_ms(60_000).await?;
    let after = target.now().await?;
    must(before == after, || format!("another world's clock was moved, and this one went from {before} to {after}"))?;
    let theirs = other.show(json!({"rows": 1, "seats": 3})).await?;
    let buyer = other.buyer();
    other.held(&buyer, &theirs, &[theirs.seat(0)?]).await?;
    let mine = target.seats(&show).await?;
    must(mine["seq"] == 0 || mine["not_free"].as_object().is_none_or(serde_json::Map::is_empty), || {
        "a hold in another world is seen here".into()
    })?;
    if theirs.id != show.id {
        let path = target.api(&format!("/screenings/{}", theirs.id))?;
        let answer = target.wire.send(&Ask::get(path)).await?;
        let same = answer.status == 200 && answer.json()?["hall"] == theirs.id.as_str();
        must(!same, || "a screening of another world is seen here".into())?;
    }
    other.run()?.end().await;
    let gone = other.wire.send(&Ask::get("/.well-known/admit")).await;
    Ok(must(gone.is_err(), || "a world that was ended still answers".into())?)
}

//! Test control itself.

use std::time::Duration;

use super::{Checked, must};
use crate::stage::refused;
use crate::target::{Mode, Target};

pub(super) async fn named(target: &mut Target) -> Checked {
    let (there, named) = (target.mode == Mode::Controlled, target.has("test_control"));
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

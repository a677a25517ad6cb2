//! Cancelling.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::holds::{instant, move_to};
use super::{Checked, must};
use crate::stage::{Buyer, Show, good, refused, text};
use crate::target::Target;

/// Also where the policy gives nothing back.
pub(super) async fn unpaid_whatever_the_policy(target: &mut Target) -> Checked {
    let show = target.show(json!({"cancellation": {"tiers": []}})).await?;
    let buyer = target.buyer();
    let booking = target.booked(&buyer, &show, &[show.seat(0)?]).await?;
    let now = target.cancelled(&buyer, &booking, &[]).await?;
    Ok(must(now["state"] == "cancelled" && now["balance_due"]["amount"] == 0, || {
        format!("its state is {}, {} due", now["state"], now["balance_due"])
    })?)
}

pub(super) async fn what_costs_nothing(target: &mut Target) -> Checked {
    let never = target.show(json!({"price": 0, "cancellation": {"tiers": []}})).await?;
    let buyer = target.buyer();
    let booking = target.booked(&buyer, &never, &[never.seat(0)?]).await?;
    refused(&target.quote(&buyer, &booking, &[]).await?, 422, "not_cancellable")?;
    let show = target.show(json!({"price": 0, "cancellation": {"tiers": [tier(3600, 100)]}})).await?;
    let other = target.buyer();
    let booking = target.booked(&other, &show, &[show.seat(0)?]).await?;
    target.cancelled(&other, &booking, &[]).await?;
    Ok(target.must_be(&show, show.seat(0)?, None).await?)
}

pub(super) async fn unpaid(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let buyer = target.buyer();
    let booking = target.booked(&buyer, &show, &[show.seat(0)?, show.seat(1)?]).await?;
    let quote = good(&target.quote(&buyer, &booking, &[show.seat(0)?]).await?, 200)?;
    must(quote["refund"]["amount"] == 0 && quote["balance_reduction"]["amount"] == show.price, || {
        format!(
            "nothing was paid; it brings back {} and takes {} off the balance",
            quote["refund"], quote["balance_reduction"]
        )
    })?;
    let now = good(&target.cancel(&buyer, &booking, &quote).await?, 200)?;
    must(now["state"] == "part_cancelled" && now["balance_due"]["amount"] == show.price, || {
        format!("one of two cancelled, its state is {}, {} due", now["state"], now["balance_due"])
    })?;
    target.must_be(&show, show.seat(0)?, None).await?;
    target.must_be(&show, show.seat(1)?, Some("sold")).await?;
    let now = target.cancelled(&buyer, &booking, &[]).await?;
    must(now["state"] == "cancelled" && now["balance_due"]["amount"] == 0, || {
        format!("all cancelled, its state is {}, {} due", now["state"], now["balance_due"])
    })?;
    Ok(target.must_be(&show, show.seat(1)?, None).await?)
}

/// A paid booking of these many seats at a screening with this policy.
async fn paid(target: &mut Target, policy: Value, seats: usize) -> Checked<(Buyer, Show, Value)> {
    let show = target.show(json!({"cancellation": policy, "starts_in_s": 604_800, "price": 1055})).await?;
    let buyer = target.buyer();
    let wanted: Vec<&str> = (0..seats).map(|n| show.seat(n)).collect::<Result<_, _>>()?;
    let booking = target.booked(&buyer, &show, &wanted).await?;
    target.run()?.act(&json!({"action": "paid", "screening": show.id, "booking": booking["id"]})).await?;
    Ok((buyer, show, booking))
}

fn tier(until_before_start_s: i64, refund_percent: i64) -> Value {
    json!({"until_before_start_s": until_before_start_s, "refund_percent": refund_percent})
}

pub(super) async fn tiers(target: &mut Target) -> Checked {
    let policy = json!({"tiers": [tier(86_400, 100), tier(3600, 50)]});
    let (buyer, show, booking) = paid(target, policy, 1).await?;
    let screening = good(&target.read(&show.path, &buyer).await?, 200)?;
    let start = instant(&screening["starts_at"], "at")?;
    for (before_s, more_ms, refund) in [(86_400, -1, 1055), (86_400, 0, 528), (3600, -1, 528)] {
        move_to(target, start - SignedDuration::from_secs(before_s), more_ms).await?;
        let quote = good(&target.quote(&buyer, &booking, &[]).await?, 200)?;
        must(quote["refund"]["amount"] == refund, || {
            format!("{before_s} s before the start, {more_ms:+} ms: {} comes back, not {refund}", quote["refund"])
        })?;
        let ends = start - SignedDuration::from_secs(if refund == 1055 { 86_400 } else { 3600 });
        let until = instant(&quote, "valid_until")?;
        must(until <= ends, || format!("a quote holds until {until}, its tier until {ends}"))?;
    }
    move_to(target, start - SignedDuration::from_secs(3600), 0).await?;
    refused(&target.quote(&buyer, &booking, &[]).await?, 422, "not_cancellable")?;
    Ok(())
}

pub(super) async fn shares(target: &mut Target) -> Checked {
    let fee = |amount: i64| json!({"amount": amount, "currency": "EUR"});
    // 50 % of 1055 is 527.5: half away from zero.
    for (percent, kept, refund) in [(50, 0, 528), (100, 155, 900), (10, 500, 0)] {
        let policy = json!({"tiers": [tier(3600, percent)], "fee_per_ticket": fee(kept)});
        let (buyer, show, booking) = paid(target, policy, 2).await?;
        let quote = good(&target.quote(&buyer, &booking, &[show.seat(0)?]).await?, 200)?;
        must(quote["refund"]["amount"] == refund, || {
            format!("{percent} % of 1055 less {kept} is {}, not {refund}", quote["refund"])
        })?;
        let all = good(&target.quote(&buyer, &booking, &[]).await?, 200)?;
        must(all["refund"]["amount"] == 2 * refund, || {
            format!("of two tickets {}, not {}", all["refund"], 2 * refund)
        })?;
        let now = good(&target.cancel(&buyer, &booking, &all).await?, 200)?;
        must(now["refunded"]["amount"] == 2 * refund, || format!("it says {} comes back", now["refunded"]))?;
        must(now["refund_due"] == now["refunded"], || {
            format!("nobody has got anything yet, and {} of {} is due", now["refund_due"], now["refunded"])
        })?;
    }
    Ok(())
}

pub(super) async fn policy_stays(target: &mut Target) -> Checked {
    let policy = json!({"tiers": [tier(3600, 100)]});
    let show = target.show(json!({"cancellation": policy, "starts_in_s": 604_800, "price": 1055})).await?;
    let buyer = target.buyer();
    let booking = target.booked(&buyer, &show, &[show.seat(0)?]).await?;
    must(booking["cancellation"]["tiers"][0]["refund_percent"] == 100, || {
        format!("its policy is {}", booking["cancellation"])
    })?;
    let harder = json!({"tiers": [tier(3600, 10)]});
    target.run()?.act(&json!({"action": "change_cancellation", "screening": show.id, "cancellation": harder})).await?;
    // It stays also what it was when it is paid.
    target.run()?.act(&json!({"action": "paid", "screening": show.id, "booking": booking["id"]})).await?;
    let other = target.buyer();
    let after = target.booked(&other, &show, &[show.seat(1)?]).await?;
    must(after["cancellation"]["tiers"][0]["refund_percent"] == 10, || {
        format!("booked after the policy was changed, its policy is {}", after["cancellation"])
    })?;
    let quote = good(&target.quote(&buyer, &booking, &[]).await?, 200)?;
    Ok(must(quote["refund"]["amount"] == 1055, || format!("{} comes back, not 1055", quote["refund"]))?)
}

pub(super) async fn quote_ends(target: &mut Target) -> Checked {
    let policy = json!({"tiers": [tier(86_400, 100), tier(3600, 50)]});
    let (buyer, show, booking) = paid(target, policy, 2).await?;
    let first = good(&target.quote(&buyer, &booking, &[show.seat(0)?]).await?, 200)?;
    let until = instant(&first, "valid_until")?;
    move_to(target, until, -1).await?;
    let now = good(&target.cancel(&buyer, &booking, &first).await?, 200)
        .map_err(|why| format!("a millisecond before its end: {why}"))?;
    must(now["refunded"] == first["refund"], || format!("quoted {}, came back {}", first["refund"], now["refunded"]))?;
    let second = good(&target.quote(&buyer, &booking, &[]).await?, 200)?;
    move_to(target, instant(&second, "valid_until")?, 0).await?;
    refused(&target.cancel(&buyer, &booking, &second).await?, 409, "quote_changed")?;
    Ok(target.must_be(&show, show.seat(1)?, Some("sold")).await?)
}

pub(super) async fn seat_again(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let (anna, ben) = (target.buyer(), target.buyer());
    let seat = show.seat(0)?;
    let booking = target.booked(&anna, &show, &[seat, show.seat(1)?]).await?;
    target.cancelled(&anna, &booking, &[seat]).await?;
    let path = target.of_booking(&booking, "/tickets")?;
    let left = good(&target.read(&path, &anna).await?, 200)?;
    let seats: Vec<&Value> = left["tickets"].as_array().into_iter().flatten().map(|t| &t["seat"]).collect();
    must(seats == [show.seat(1)?], || format!("one of two is cancelled, and there are tickets for {seats:?}"))?;
    let other = target.booked(&ben, &show, &[seat]).await?;
    // Who had it before has nothing to do with it any more.
    let quote = target.quote(&anna, &booking, &[seat]).await?;
    must((400..500).contains(&quote.status), || {
        format!("a ticket that is cancelled is quoted again: {}", quote.status)
    })?;
    target.must_be(&show, seat, Some("sold")).await?;
    target.cancelled(&anna, &booking, &[]).await?;
    target.cancelled(&ben, &other, &[]).await?;
    Ok(())
}

pub(super) async fn once(target: &mut Target) -> Checked {
    let policy = json!({"tiers": [tier(3600, 100)]});
    let (buyer, _, booking) = paid(target, policy, 2).await?;
    let quote = good(&target.quote(&buyer, &booking, &[]).await?, 200)?;
    let other = good(&target.quote(&buyer, &booking, &[]).await?, 200)?;
    let now = good(&target.cancel(&buyer, &booking, &quote).await?, 200)?;
    must(now["refunded"]["amount"] == 2110, || format!("{} came back, not 2110", now["refunded"]))?;
    for again in [&quote, &other] {
        let answer = target.cancel(&buyer, &booking, again).await?;
        must((400..500).contains(&answer.status), || format!("cancelled again: status {}", answer.status))?;
    }
    let path = target.of_booking(&booking, "")?;
    let now = good(&target.read(&path, &buyer).await?, 200)?;
    Ok(must(now["refunded"]["amount"] == 2110, || format!("in the end {} came back, not 2110", now["refunded"]))?)
}

pub(super) async fn does_not_take_place(target: &mut Target) -> Checked {
    let policy = json!({"tiers": []});
    let (buyer, show, booking) = paid(target, policy, 2).await?;
    refused(&target.quote(&buyer, &booking, &[]).await?, 422, "not_cancellable")?;
    let choosing = target.buyer();
    let open = target.held(&choosing, &show, &[show.seat(4)?]).await?;
    target.run()?.act(&json!({"action": "cancel_screening", "screening": show.id})).await?;
    let screening = good(&target.read(&show.path, &buyer).await?, 200)?;
    must(screening["status"] == "cancelled", || format!("its status is {}", screening["status"]))?;
    let other = target.buyer();
    refused(&target.hold(&other, &show, &[show.seat(3)?]).await?, 409, "screening_cancelled")?;
    refused(&target.book(&choosing, &show, &open).await?, 409, "screening_cancelled")
        .map_err(|why| format!("held before, booked now: {why}"))?;
    let now = target.cancelled(&buyer, &booking, &[]).await?;
    must(now["refunded"]["amount"] == 2110, || format!("2110 was paid, {} comes back", now["refunded"]))?;
    Ok(must(!text(&now, "state")?.is_empty() && now["state"] == "cancelled", || {
        format!("its state is {}", now["state"])
    })?)
}

pub(super) async fn used(target: &mut Target) -> Checked {
    let show = super::doors::soon(target).await?;
    let buyer = target.buyer();
    let booking = target.booked(&buyer, &show, &[show.seat(0)?, show.seat(1)?]).await?;
    target.run()?.act(&json!({"action": "paid", "screening": show.id, "booking": booking["id"]})).await?;
    let tickets = super::tickets::codes(target, &buyer, &booking).await?;
    let scan = super::doors::entry(target, "s1", text(&tickets[0], "code")?).await?;
    let ask = super::doors::upload(target, &show, &[scan])?;
    good(&target.wire.send(&ask).await?, 200)?;
    refused(&target.quote(&buyer, &booking, &[text(&tickets[0], "seat")?]).await?, 409, "ticket_used")?;
    let other = good(&target.quote(&buyer, &booking, &[text(&tickets[1], "seat")?]).await?, 200)?;
    good(&target.cancel(&buyer, &booking, &other).await?, 200)?;
    Ok(())
}

pub(super) async fn left_behind(target: &mut Target) -> Checked {
    let show = target.show(json!({"wheelchair": true})).await?;
    let buyer = target.buyer();
    let booking = target.booked(&buyer, &show, &["1-1", "1-2"]).await?;
    refused(&target.quote(&buyer, &booking, &["1-1"]).await?, 422, "rule_broken")?;
    target.cancelled(&buyer, &booking, &["1-2"]).await?;
    target.cancelled(&buyer, &booking, &["1-1"]).await?;
    Ok(())
}

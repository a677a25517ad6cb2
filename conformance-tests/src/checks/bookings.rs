//! Bookings.

use serde_json::{Value, json};

use super::holds::{instant, move_to};
use super::{Checked, Stop, must};
use crate::stage::{Buyer, Show, good, refused, text};
use crate::target::Target;
use crate::wire::{Answer, Ask};

fn amount(value: &Value) -> Result<i64, String> {
    value["amount"].as_i64().ok_or_else(|| format!("{value} is no amount"))
}

pub(super) async fn sums(target: &mut Target) -> Checked {
    // A price that does not halve.
    let show = target.show(json!({"price": 1055})).await?;
    let buyer = target.buyer();
    let (one, two, three) = (show.seat(0)?, show.seat(1)?, show.seat(2)?);
    let wish = json!({"seats": [{"seat": one, "ticket_type": "adult"}, {"seat": two, "ticket_type": "child"},
        {"seat": three, "ticket_type": "child"}]});
    let ask = Ask::post(show.at("/holds"), &wish).by(&buyer.0).key(&target.key());
    let hold = good(&target.wire.send(&ask).await?, 201)?;
    let total = amount(&hold["quote"]["total"])?;
    must(total == 1055 + 2 * 527, || format!("an adult for 1055 and two children for 527 come to {total}"))?;
    let tickets = json!([{"seat": one, "ticket_type": "adult"}, {"seat": two, "ticket_type": "child"},
        {"seat": three, "ticket_type": "child"}]);
    let book =
        json!({"hold": hold["id"], "tickets": tickets, "total": show.money(total), "payment_method": "at_cinema"});
    let ask = Ask::post(show.at("/bookings"), &book).by(&buyer.0).key(&target.key());
    let booking = good(&target.wire.send(&ask).await?, 201)?;
    let lines = booking["lines"].as_array().ok_or("a booking has lines")?;
    let mut sum = amount(&booking["booking_fees"])?;
    for line in lines {
        sum += amount(&line["total"])?;
    }
    must(sum == total && amount(&booking["total"])? == total, || {
        format!("its parts are {sum}, its total {}", booking["total"])
    })?;
    let due = amount(&booking["balance_due"])?;
    let paid = amount(&booking["paid"])?;
    Ok(must(due == total && paid == 0, || format!("nobody paid, and {due} of {total} is due, {paid} paid"))?)
}

pub(super) async fn other_total(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let buyer = target.buyer();
    let hold = target.held(&buyer, &show, &[show.seat(0)?, show.seat(1)?]).await?;
    let right = &hold["quote"]["total"];
    let tickets: Vec<Value> = (0..2)
        .map(|n| Ok(json!({"seat": show.seat(n)?, "ticket_type": show.ticket_type})))
        .collect::<Result<_, super::Stop>>()?;
    for off in [-1, 1, -amount(right)?] {
        let total = show.money(amount(right)? + off);
        let method = if total["amount"] == 0 { "none" } else { "at_cinema" };
        let book = json!({"hold": hold["id"], "tickets": tickets, "total": total, "payment_method": method});
        let ask = Ask::post(show.at("/bookings"), &book).by(&buyer.0).key(&target.key());
        let problem = refused(&target.wire.send(&ask).await?, 409, "price_changed")
            .map_err(|why| format!("{off:+} of the right total: {why}"))?;
        must(problem["quote"]["total"] == *right, || {
            format!("the right total is {right}, it says {}", problem["quote"]["total"])
        })?;
        let mut sum = amount(&problem["quote"]["booking_fees"])?;
        for line in problem["quote"]["lines"].as_array().ok_or("the right quote has lines")? {
            sum += amount(&line["total"])?;
        }
        must(sum == amount(right)?, || format!("the right lines come to {sum}, the right total is {right}"))?;
    }
    let mut dollars = right.clone();
    dollars["currency"] = json!(if show.currency == "USD" { "EUR" } else { "USD" });
    let book = json!({"hold": hold["id"], "tickets": tickets, "total": dollars, "payment_method": "at_cinema"});
    let ask = Ask::post(show.at("/bookings"), &book).by(&buyer.0).key(&target.key());
    refused(&target.wire.send(&ask).await?, 409, "price_changed")
        .map_err(|why| format!("in another currency: {why}"))?;
    let path = show.at(&format!("/holds/{}", text(&hold, "id")?));
    let still = good(&target.read(&path, &buyer).await?, 200)?;
    must(still["state"] == "active", || format!("the hold is {}", still["state"]))?;
    let booking = good(&target.book(&buyer, &show, &hold).await?, 201)?;
    target.cancelled(&buyer, &booking, &[]).await?;
    Ok(())
}

async fn book_with(
    target: &mut Target,
    (buyer, show): (&Buyer, &Show),
    hold: &Value,
    seats: &[&str],
    method: &str,
) -> Result<crate::wire::Answer, String> {
    let ticket = |seat: &&str| json!({"seat": seat, "ticket_type": show.ticket_type});
    let tickets: Vec<Value> = seats.iter().map(ticket).collect();
    let total = show.money(show.price * i64::try_from(seats.len()).unwrap_or(0));
    let book = json!({"hold": hold["id"], "tickets": tickets, "total": total, "payment_method": method});
    let ask = Ask::post(show.at("/bookings"), &book).by(&buyer.0).key(&target.key());
    target.wire.send(&ask).await
}

pub(super) async fn one_ticket_a_seat(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let buyer = target.buyer();
    let (one, two, other) = (show.seat(0)?, show.seat(1)?, show.seat(2)?);
    let hold = target.held(&buyer, &show, &[one, two]).await?;
    for wrong in [&[one][..], &[one, two, other], &[one, other], &[one, one], &[one, two, two], &[]] {
        let answer = book_with(target, (&buyer, &show), &hold, wrong, "at_cinema").await?;
        must(answer.status == 422, || format!("held {one} {two}, booked {wrong:?}: status {}", answer.status))?;
        target.must_be(&show, other, None).await?;
        target.must_be(&show, one, Some("held")).await?;
    }
    let booking = good(&book_with(target, (&buyer, &show), &hold, &[two, one], "at_cinema").await?, 201)?;
    target.cancelled(&buyer, &booking, &[]).await?;
    Ok(())
}

pub(super) async fn methods(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let buyer = target.buyer();
    let hold = target.held(&buyer, &show, &[show.seat(0)?]).await?;
    for wrong in ["none", "moonstones"] {
        let answer = book_with(target, (&buyer, &show), &hold, &[show.seat(0)?], wrong).await?;
        refused(&answer, 422, "payment_method_not_offered").map_err(|why| format!("{wrong}: {why}"))?;
    }
    target.must_be(&show, show.seat(0)?, Some("held")).await?;
    target.release(&buyer, &show, &hold).await?;
    let free = target.show(json!({"price": 0})).await?;
    let booking = target.booked(&buyer, &free, &[free.seat(0)?]).await?;
    Ok(must(booking["balance_due"]["amount"] == 0 && booking["total"]["amount"] == 0, || {
        format!("what costs nothing comes to {}, {} due", booking["total"], booking["balance_due"])
    })?)
}

pub(super) async fn balance(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let buyer = target.buyer();
    let booking = target.booked(&buyer, &show, &[show.seat(0)?]).await?;
    must(booking["balance_due"] == booking["total"], || {
        format!("of {} {} is due", booking["total"], booking["balance_due"])
    })?;
    let by = instant(&booking, "collect_by")?;
    let now = target.now().await?;
    must(by > now, || format!("to be paid by {by}, and it is {now}"))?;
    must(!text(&booking, "ref")?.is_empty(), || "it has no name for people".into())?;
    target.cancelled(&buyer, &booking, &[]).await?;
    Ok(())
}

pub(super) async fn unpaid(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let (anna, ben) = (target.buyer(), target.buyer());
    let booking = target.booked(&anna, &show, &[show.seat(0)?]).await?;
    let by = instant(&booking, "collect_by")?;
    move_to(target, by, -1).await?;
    target.must_be(&show, show.seat(0)?, Some("sold")).await?;
    move_to(target, by, 0).await?;
    target.must_be(&show, show.seat(0)?, None).await?;
    let path = target.of_booking(&booking, "")?;
    let now = good(&target.read(&path, &anna).await?, 200)?;
    must(now["state"] == "cancelled", || format!("not paid in time, its state is {}", now["state"]))?;
    let tickets = target.of_booking(&booking, "/tickets")?;
    let tickets = target.read(&tickets, &anna).await?;
    let none = tickets.status != 200 || tickets.json()?["tickets"].as_array().is_none_or(Vec::is_empty);
    must(none, || "it still has tickets".into())?;
    target.held(&ben, &show, &[show.seat(0)?]).await?;
    Ok(())
}

pub(super) async fn paid_stays(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let buyer = target.buyer();
    let booking = target.booked(&buyer, &show, &[show.seat(0)?]).await?;
    target.run()?.act(&json!({"action": "paid", "screening": show.id, "booking": booking["id"]})).await?;
    let path = target.of_booking(&booking, "")?;
    let now = good(&target.read(&path, &buyer).await?, 200)?;
    must(now["paid"] == booking["total"] && now["balance_due"]["amount"] == 0, || {
        format!("paid {} of {}, {} due", now["paid"], booking["total"], now["balance_due"])
    })?;
    move_to(target, instant(&booking, "collect_by")?, 1000).await?;
    target.must_be(&show, show.seat(0)?, Some("sold")).await?;
    let now = good(&target.read(&path, &buyer).await?, 200)?;
    Ok(must(now["state"] == "confirmed", || format!("paid, its state is {}", now["state"]))?)
}

pub(super) async fn of_somebody_else(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let (anna, ben) = (target.buyer(), target.buyer());
    let booking = target.booked(&anna, &show, &[show.seat(0)?]).await?;
    for rest in ["", "/tickets"] {
        let path = target.of_booking(&booking, rest)?;
        refused(&target.read(&path, &ben).await?, 404, "not_found").map_err(|why| format!("{rest:?}: {why}"))?;
    }
    refused(&target.quote(&ben, &booking, &[]).await?, 404, "not_found")?;
    let quote = good(&target.quote(&anna, &booking, &[]).await?, 200)?;
    refused(&target.cancel(&ben, &booking, &quote).await?, 404, "not_found")?;
    // One that nobody ever made gets the same.
    let mut nobodys = booking.clone();
    nobodys["id"] = json!("bkg_00000000000000000000000000000000");
    let path = target.of_booking(&nobodys, "")?;
    refused(&target.read(&path, &anna).await?, 404, "not_found")?;
    target.must_be(&show, show.seat(0)?, Some("sold")).await?;
    target.cancelled(&anna, &booking, &[]).await?;
    Ok(())
}

pub(super) async fn no_offer(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let buyer = target.buyer();
    let hold = target.held(&buyer, &show, &[show.seat(0)?]).await?;
    let tickets = json!([{"seat": show.seat(0)?, "ticket_type": "astronaut"}]);
    let book =
        json!({"hold": hold["id"], "tickets": tickets, "total": show.money(show.price), "payment_method": "at_cinema"});
    let ask = Ask::post(show.at("/bookings"), &book).by(&buyer.0).key(&target.key());
    let answer = target.wire.send(&ask).await?;
    must(answer.status == 422, || format!("a ticket type that nobody sells: status {}", answer.status))?;
    target.must_be(&show, show.seat(0)?, Some("held")).await?;
    target.release(&buyer, &show, &hold).await?;
    Ok(())
}

pub(super) async fn late(target: &mut Target) -> Checked {
    // Half an hour before the start is in ten minutes: who books now has until the start.
    let show = target.show(json!({"starts_in_s": 2400, "late_sales": true})).await?;
    let screening = good(&target.read(&show.path, &Buyer(String::new())).await?, 200)?;
    let start = instant(&screening["starts_at"], "at")?;
    let closes = instant(&screening["sales"], "closes_at")?;
    let (anna, ben) = (target.buyer(), target.buyer());
    let booking = target.booked(&anna, &show, &[show.seat(0)?]).await?;
    let by = instant(&booking, "collect_by")?;
    must(by == start, || format!("booked 40 minutes before the start {start}, to be paid by {by}"))?;
    move_to(target, start, 1000).await?;
    target.must_be(&show, show.seat(0)?, None).await?;
    let booking = target.booked(&ben, &show, &[show.seat(1)?]).await?;
    let by = instant(&booking, "collect_by")?;
    Ok(must(by == closes, || format!("booked after the start, to be paid by {by}, sales close at {closes}"))?)
}

/// Seats by number, with their ticket types: refused when they are held, or when they are booked.
async fn must_not_be_sold(target: &mut Target, show: &Show, seats: &[(usize, &str)]) -> Checked {
    let buyer = target.buyer();
    let held = hold_as(target, show, &buyer, seats).await?;
    if held.status != 201 {
        return Ok(refused(&held, 422, "rule_broken").map(drop)?);
    }
    let hold = held.json()?;
    let adults = seats.iter().filter(|(_, of)| *of == "adult").count();
    let total = show.price * i64::try_from(adults).unwrap_or(0);
    refused(&book_as(target, show, &buyer, &hold, seats, total).await?, 422, "rule_broken")?;
    target.release(&buyer, show, &hold).await?;
    Ok(())
}

fn chosen(show: &Show, seats: &[(usize, &str)]) -> Checked<Vec<Value>> {
    let one = |(n, of): &(usize, &str)| Ok(json!({"seat": show.seat(*n)?, "ticket_type": of}));
    seats.iter().map(one).collect()
}

async fn hold_as(target: &mut Target, show: &Show, buyer: &Buyer, seats: &[(usize, &str)]) -> Checked<Answer> {
    let key = target.key();
    let ask = Ask::post(show.at("/holds"), &json!({"seats": chosen(show, seats)?})).by(&buyer.0).key(&key);
    Ok(target.wire.send(&ask).await?)
}

async fn book_as(
    target: &mut Target,
    show: &Show,
    buyer: &Buyer,
    hold: &Value,
    seats: &[(usize, &str)],
    total: i64,
) -> Checked<Answer> {
    let method = if total == 0 { "none" } else { "at_cinema" };
    let tickets = chosen(show, seats)?;
    let book = json!({"hold": hold["id"], "tickets": tickets, "total": show.money(total), "payment_method": method});
    let ask = Ask::post(show.at("/bookings"), &book).by(&buyer.0).key(&target.key());
    Ok(target.wire.send(&ask).await?)
}

pub(super) async fn carers(target: &mut Target) -> Checked {
    let show = target.show(json!({"carer": true})).await?;
    for alone in [&[(0, "carer")][..], &[(0, "carer"), (1, "carer"), (2, "adult")]] {
        must_not_be_sold(target, &show, alone).await.map_err(|stop| match stop {
            Stop::Fails(why) => Stop::Fails(format!("{alone:?}: {why}")),
            other => other,
        })?;
    }
    let (ben, pair) = (target.buyer(), [(1, "carer"), (3, "adult")]);
    let hold = good(&hold_as(target, &show, &ben, &pair).await?, 201)?;
    let total = hold["quote"]["total"]["amount"].clone();
    must(total == show.price, || format!("an adult and a carer cost {total}, not {}", show.price))?;
    let booking = good(&book_as(target, &show, &ben, &hold, &pair, show.price).await?, 201)?;
    refused(&target.quote(&ben, &booking, &[show.seat(3)?]).await?, 422, "rule_broken")
        .map_err(|why| format!("the carer would be left alone: {why}"))?;
    Ok(())
}

//! Other seats for tickets that one has.

use serde_json::{Value, json};

use super::{Checked, must};
use crate::stage::{Buyer, Show, good, refused, text};
use crate::target::Target;
use crate::wire::{Answer, Ask};

/// Tickets move at their price until an hour before the start, and do not come back in money.
fn policy() -> Value {
    json!({"tiers": [], "exchange": {"until_before_start_s": 3600}})
}

fn asked(show: &Show, give: &[&str], hold: &Value) -> Value {
    let seats = hold["seats"].as_array().cloned().unwrap_or_default();
    let tickets: Vec<Value> =
        seats.iter().map(|s| json!({"seat": s["seat"], "ticket_type": show.ticket_type})).collect();
    json!({"seats": give, "screening": show.id, "hold": hold["id"], "tickets": tickets})
}

async fn quote(target: &mut Target, buyer: &Buyer, booking: &Value, of: &Value) -> Result<Answer, String> {
    let path = target.of_booking(booking, "/exchange_quotes")?;
    target.wire.send(&Ask::post(path, of).by(&buyer.0)).await
}

async fn exchange(
    target: &mut Target,
    buyer: &Buyer,
    booking: &Value,
    quoted: &Value,
    of: &Value,
) -> Result<Answer, String> {
    let path = target.of_booking(booking, "/exchanges")?;
    let ask = Ask::post(path, &json!({"quote": quoted["id"], "of": of})).by(&buyer.0).key(&target.key());
    target.wire.send(&ask).await
}

pub(super) async fn moves(target: &mut Target) -> Checked {
    let show = target.show(json!({"cancellation": policy(), "starts_in_s": 604_800})).await?;
    let other = target.show(json!({"cancellation": policy(), "price": 1500})).await?;
    let buyer = target.buyer();
    let booking = target.booked(&buyer, &show, &[show.seat(0)?, show.seat(1)?]).await?;
    target.run()?.act(&json!({"action": "paid", "screening": show.id, "booking": booking["id"]})).await?;
    let hold = target.held(&buyer, &other, &[other.seat(0)?]).await?;
    let of = asked(&other, &[show.seat(0)?], &hold);
    let quoted = good(&quote(target, &buyer, &booking, &of).await?, 200)?;
    must(quoted["moves"]["amount"] == 1000 && quoted["balance_due"]["amount"] == 500, || {
        format!("1000 was paid for what costs 1500: {} moves, {} is due", quoted["moves"], quoted["balance_due"])
    })?;
    target.must_be(&show, show.seat(0)?, Some("sold")).await?;
    target.must_be(&other, other.seat(0)?, Some("held")).await?;
    let new = good(&exchange(target, &buyer, &booking, &quoted, &of).await?, 201)?;
    target.must_be(&show, show.seat(0)?, None).await?;
    target.must_be(&show, show.seat(1)?, Some("sold")).await?;
    target.must_be(&other, other.seat(0)?, Some("sold")).await?;
    must(new["moved_in"]["amount"] == 1000 && new["balance_due"]["amount"] == 500, || {
        format!("{} moved in, {} is due", new["moved_in"], new["balance_due"])
    })?;
    must(new["replaces"]["booking"] == booking["id"], || format!("it replaces {}", new["replaces"]))?;
    let path = target.of_booking(&booking, "")?;
    let old = good(&target.read(&path, &buyer).await?, 200)?;
    must(old["moved_out"]["amount"] == 1000, || format!("{} moved out of the old one", old["moved_out"]))?;
    let given = old["lines"].as_array().into_iter().flatten().find(|l| l["seat"] == show.seats[0].as_str());
    let given = given.ok_or("the old booking forgot the ticket that was given")?;
    must(given["state"] == "revoked" && given["replaced_by"]["booking"] == new["id"], || {
        format!("the ticket that was given is {given}")
    })?;
    Ok(())
}

pub(super) async fn once(target: &mut Target) -> Checked {
    let show = target.show(json!({"cancellation": policy()})).await?;
    let buyer = target.buyer();
    let booking = target.booked(&buyer, &show, &[show.seat(0)?]).await?;
    let hold = target.held(&buyer, &show, &[show.seat(1)?]).await?;
    let of = asked(&show, &[], &hold);
    let quoted = good(&quote(target, &buyer, &booking, &of).await?, 200)?;
    let path = target.of_booking(&booking, "/exchanges")?;
    let body = json!({"quote": quoted["id"], "of": of});
    let asks = (0..8).map(|_| Ask::post(&path, &body).by(&buyer.0).key(&target.key())).collect();
    let answers = target.wire.send_all(asks).await?;
    let done = answers.iter().filter(|a| a.status == 201).count();
    must(done == 1, || format!("exchanged eight times at once, it was done {done} times"))?;
    target.must_be(&show, show.seat(0)?, None).await?;
    target.must_be(&show, show.seat(1)?, Some("sold")).await?;
    // The old ticket is gone for good.
    let again = target.held(&buyer, &show, &[show.seat(2)?]).await?;
    let answer = quote(target, &buyer, &booking, &asked(&show, &[], &again)).await?;
    Ok(must(answer.status == 409, || format!("a ticket that was given is given again: status {}", answer.status))?)
}

pub(super) async fn of_somebody_else(target: &mut Target) -> Checked {
    let show = target.show(json!({"cancellation": policy()})).await?;
    let (anna, ben) = (target.buyer(), target.buyer());
    let booking = target.booked(&anna, &show, &[show.seat(0)?]).await?;
    let bens = target.held(&ben, &show, &[show.seat(1)?]).await?;
    let annas = target.held(&anna, &show, &[show.seat(2)?]).await?;
    refused(&quote(target, &anna, &booking, &asked(&show, &[], &bens)).await?, 404, "not_found")
        .map_err(|why| format!("somebody else's hold: {why}"))?;
    refused(&quote(target, &ben, &booking, &asked(&show, &[], &bens)).await?, 404, "not_found")
        .map_err(|why| format!("somebody else's booking: {why}"))?;
    let of = asked(&show, &[], &annas);
    let quoted = good(&quote(target, &anna, &booking, &of).await?, 200)?;
    let other = json!({"id": format!("{}x", text(&quoted, "id")?)});
    refused(&exchange(target, &anna, &booking, &other, &of).await?, 409, "quote_changed")?;
    target.release(&anna, &show, &annas).await?;
    let late = exchange(target, &anna, &booking, &quoted, &of).await?;
    must((400..500).contains(&late.status), || format!("for a hold that was released: status {}", late.status))?;
    Ok(target.must_be(&show, show.seat(0)?, Some("sold")).await?)
}

/// Somebody gives a ticket that a cancellation would bring a tenth of for one of which all comes back.
pub(super) async fn no_way_to_cash(target: &mut Target) -> Checked {
    let tier = |percent: i64| {
        json!({"tiers": [{"until_before_start_s": 3600, "refund_percent": percent}],
        "exchange": {"until_before_start_s": 3600}})
    };
    let show = target.show(json!({"cancellation": tier(10), "starts_in_s": 604_800})).await?;
    let other = target.show(json!({"cancellation": tier(100), "starts_in_s": 604_800})).await?;
    let buyer = target.buyer();
    let booking = target.booked(&buyer, &show, &[show.seat(0)?]).await?;
    target.run()?.act(&json!({"action": "paid", "screening": show.id, "booking": booking["id"]})).await?;
    let hold = target.held(&buyer, &other, &[other.seat(0)?]).await?;
    let of = asked(&other, &[], &hold);
    let quoted = good(&quote(target, &buyer, &booking, &of).await?, 200)?;
    let new = good(&exchange(target, &buyer, &booking, &quoted, &of).await?, 201)?;
    must(new["moved_in"]["amount"] == 1000 && new["balance_due"]["amount"] == 0, || {
        format!("1000 was paid for what costs as much: {} moved in, {} is due", new["moved_in"], new["balance_due"])
    })?;
    let now = target.cancelled(&buyer, &new, &[]).await?;
    Ok(must(now["refunded"]["amount"] == 100, || {
        format!("a cancellation would have brought 100 when it moved, and {} comes back", now["refunded"])
    })?)
}

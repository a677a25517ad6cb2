//! Many at once.

use std::time::Instant;

use serde_json::{Value, json};

use super::doors::{entry, paid, soon, upload};
use super::{Checked, must};
use crate::stage::{Buyer, Show, good, refused, text};
use crate::target::Target;
use crate::wire::Ask;

/// How many come at once.
const MANY: usize = 24;

fn wish(target: &mut Target, show: &Show, buyer: &Buyer, seats: &[&str]) -> Ask {
    Ask::post(show.at("/holds"), &show.wish(seats)).by(&buyer.0).key(&target.key())
}

pub(super) async fn one_seat(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    for n in 0..3 {
        let seat = show.seat(n)?;
        let buyers: Vec<Buyer> = (0..MANY).map(|_| target.buyer()).collect();
        let asks = buyers.iter().map(|buyer| wish(target, &show, buyer, &[seat])).collect();
        let answers = target.wire.send_all(asks).await?;
        let winners: Vec<usize> = (0..MANY).filter(|n| answers[*n].status == 201).collect();
        must(winners.len() == 1, || format!("{MANY} wanted {seat} at once, {} got it", winners.len()))?;
        for answer in answers.iter().filter(|answer| answer.status != 201) {
            let problem = refused(answer, 409, "seats_taken")?;
            let named = problem["conflicts"] == json!([{"seat": seat, "reason": "held"}]);
            must(named, || format!("who came too late hears {}", problem["conflicts"]))?;
        }
        let hold = answers[winners[0]].json()?;
        target.release(&buyers[winners[0]], &show, &hold).await?;
    }
    Ok(())
}

pub(super) async fn overlapping(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let seats: Vec<&str> = (0..6).map(|n| show.seat(n)).collect::<Result<_, _>>()?;
    let buyers: Vec<Buyer> = (0..MANY).map(|_| target.buyer()).collect();
    let wanted: Vec<Vec<&str>> = (0..MANY)
        .map(|n| {
            let mut four: Vec<&str> = (0..4).map(|k| seats[(n + k) % 6]).collect();
            // In the other order, too: whoever locks seats one by one gets stuck here.
            if n % 2 == 1 {
                four.reverse();
            }
            four
        })
        .collect();
    let asks = buyers.iter().zip(&wanted).map(|(buyer, seats)| wish(target, &show, buyer, seats)).collect();
    let answers = target.wire.send_all(asks).await?;
    let won: Vec<usize> = (0..MANY).filter(|n| answers[*n].status == 201).collect();
    // Any two wishes of four of six seats overlap.
    must(won.len() == 1, || format!("wishes that all overlap, and {} of them are held", won.len()))?;
    let now = target.seats(&show).await?;
    let held = now["not_free"]["held"].as_array().cloned().unwrap_or_default();
    let right = held.len() == 4 && wanted[won[0]].iter().all(|seat| held.contains(&json!(seat)));
    must(right, || format!("{:?} are held, and seats say {}", wanted[won[0]], json!(held)))?;
    let hold = answers[won[0]].json()?;
    target.release(&buyers[won[0]], &show, &hold).await?;
    Ok(())
}

pub(super) async fn book_or_release(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    for _ in 0..6 {
        let buyer = target.buyer();
        let seat = show.seat(0)?;
        let hold = target.held(&buyer, &show, &[seat]).await?;
        let book = target.booking_of(&buyer, &show, &hold)?;
        let path = show.at(&format!("/holds/{}", text(&hold, "id")?));
        let release = Ask::delete(path).by(&buyer.0);
        let answers = target.wire.send_all(vec![book, release]).await?;
        match (answers[0].status, answers[1].status) {
            (201, 409) => {
                refused(&answers[1], 409, "hold_converted")?;
                target.must_be(&show, seat, Some("sold")).await?;
                let booking = answers[0].json()?;
                target.cancelled(&buyer, &booking, &[]).await?;
            }
            (410, 204) => {
                refused(&answers[0], 410, "hold_expired")?;
                target.must_be(&show, seat, None).await?;
            }
            (book, release) => {
                return Err(format!("booked and released at once: {book} and {release}").into());
            }
        }
    }
    Ok(())
}

pub(super) async fn booked_once(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let buyer = target.buyer();
    let hold = target.held(&buyer, &show, &[show.seat(0)?]).await?;
    let asks = (0..12).map(|_| target.booking_of(&buyer, &show, &hold)).collect::<Result<_, _>>()?;
    let answers = target.wire.send_all(asks).await?;
    let booked: Vec<Value> = answers.iter().filter(|a| a.status == 201).filter_map(|a| a.json().ok()).collect();
    must(booked.len() == 1, || format!("one hold, twelve keys at once, and {} bookings", booked.len()))?;
    for answer in answers.iter().filter(|a| a.status != 201) {
        refused(answer, 409, "hold_converted")?;
    }
    target.cancelled(&buyer, &booked[0], &[]).await?;
    Ok(())
}

pub(super) async fn cancelled_once(target: &mut Target) -> Checked {
    let policy = json!({"tiers": [{"until_before_start_s": 3600, "refund_percent": 100}]});
    let show = target.show(json!({"cancellation": policy})).await?;
    let buyer = target.buyer();
    let booking = target.booked(&buyer, &show, &[show.seat(0)?]).await?;
    target.run()?.act(&json!({"action": "paid", "screening": show.id, "booking": booking["id"]})).await?;
    let quote = good(&target.quote(&buyer, &booking, &[]).await?, 200)?;
    let path = target.of_booking(&booking, "/cancellations")?;
    let cancel = json!({"quote": quote["id"]});
    let asks = (0..12).map(|_| Ask::post(&path, &cancel).by(&buyer.0).key(&target.key())).collect();
    let answers = target.wire.send_all(asks).await?;
    let done = answers.iter().filter(|a| a.status == 200).count();
    must(done == 1, || format!("cancelled twelve times at once, it was done {done} times"))?;
    let path = target.of_booking(&booking, "")?;
    let now = good(&target.read(&path, &buyer).await?, 200)?;
    Ok(must(now["refunded"] == booking["total"], || {
        format!("{} was paid, {} comes back", booking["total"], now["refunded"])
    })?)
}

/// Buyers hold one of a few seats and give it back, over and over. Whoever certainly had a seat had it alone: between the answer that
/// gave it and the request that gave it back nobody else was given it.
pub(super) async fn history(target: &mut Target) -> Checked {
    let show = target.show(json!({})).await?;
    let mut under_way = tokio::task::JoinSet::new();
    for n in 0..8_usize {
        let buyer = target.buyer();
        let mut steps = Vec::new();
        for k in 0..8_usize {
            let seats = [show.seat((n + k) % 3)?, show.seat((n + k + 1) % 3)?];
            let seats = if k % 2 == 0 { vec![seats[0]] } else { seats.to_vec() };
            let ask = wish(target, &show, &buyer, &seats);
            steps.push((seats.into_iter().map(str::to_owned).collect::<Vec<_>>(), ask));
        }
        let (wire, show) = (target.wire.clone(), show.clone());
        under_way.spawn(async move {
            let mut had = Vec::new();
            for (seats, ask) in steps {
                let answer = wire.send(&ask).await?;
                if answer.status != 201 {
                    refused(&answer, 409, "seats_taken")?;
                    continue;
                }
                let given = Instant::now();
                let id = text(&answer.json()?, "id")?.to_owned();
                let back = Instant::now();
                let release = Ask::delete(show.at(&format!("/holds/{id}"))).by(&buyer.0);
                let released = wire.send(&release).await?;
                must(released.status == 204, || format!("a release: status {}", released.status))?;
                had.extend(seats.into_iter().map(|seat| (seat, given, back)));
            }
            Ok::<_, String>(had)
        });
    }
    let mut had = Vec::new();
    while let Some(done) = under_way.join_next().await {
        had.extend(done.map_err(|e| e.to_string())??);
    }
    had.sort_by_key(|(_, given, _)| *given);
    for (n, (seat, given, back)) in had.iter().enumerate() {
        let other = had[n + 1..].iter().find(|(other, from, to)| other == seat && from < back && to > given);
        must(other.is_none(), || format!("two buyers had {seat} at the same time"))?;
    }
    for n in 0..3 {
        target.must_be(&show, show.seat(n)?, None).await.map_err(|why| format!("all was given back: {why}"))?;
    }
    Ok(())
}

pub(super) async fn two_doors(target: &mut Target) -> Checked {
    let show = soon(target).await?;
    let (_, codes) = paid(target, &show, &[show.seat(0)?]).await?;
    let mut asks = Vec::new();
    for n in 0..12 {
        let scan = entry(target, &format!("s{n}"), &codes[0]).await?;
        asks.push(upload(target, &show, &[scan])?);
    }
    let answers = target.wire.send_all(asks).await?;
    let mut green = 0;
    for answer in &answers {
        green += usize::from(good(answer, 200)?["results"][0]["verdict"] == "green");
    }
    Ok(must(green == 1, || format!("one ticket, scanned twelve times at once, was green {green} times"))?)
}

//! Tickets for other seats, and for another screening, over HTTP: on whichever database.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use admit_server::clock::{Clock, ManualClock};
use admit_server::keys::KeyRing;
use admit_server::store::Layouts;
use serde_json::{Value, json};

use crate::stage::{ANNA, BEN, NOON, On, Said, Stage, bundle, path};

/// The usual programme; tickets are worth their price in an exchange until three hours before the start.
pub(crate) fn exchanging() -> admit_server::bundle::Bundle {
    let mut bundle = serde_json::to_value(bundle()).expect("json");
    bundle["cancellation"]["exchange"] = json!({"until_before_start_s": 10_800});
    serde_json::from_value(bundle).expect("a bundle")
}

fn stage() -> Stage {
    Stage::of(&exchanging(), On::usual())
}

pub(crate) async fn hold(s: &Stage, secret: &str, screening: &str, seat: &str) -> Said {
    // Stages count their keys each for itself.
    let (url, key) = (format!("/v1/screenings/{screening}/holds"), format!("{screening}-{seat}"));
    let held = s.post_with_key(secret, &url, &key, &json!({"seats": [{"seat": seat}]})).await;
    assert_eq!(held.status, 201, "{}", held.body);
    held
}

/// All tickets of a booking for an adult on what is held.
pub(crate) fn wish(held: &Said, give: &[&str]) -> Value {
    let tickets = json!([{"seat": held.body["seats"][0]["seat"], "ticket_type": "adult"}]);
    json!({"seats": give, "screening": held.body["screening"], "hold": held.body["id"], "tickets": tickets})
}

pub(crate) async fn quote(s: &Stage, secret: &str, booking: &Said, wish: &Value) -> Said {
    s.post(secret, &format!("{}/exchange_quotes", path(booking)), wish).await
}

pub(crate) async fn confirm(s: &Stage, secret: &str, booking: &Said, key: &str, quote: &Said, wish: &Value) -> Said {
    let exchange = json!({"quote": quote.body["id"], "of": wish});
    s.post_with_key(secret, &format!("{}/exchanges", path(booking)), key, &exchange).await
}

#[tokio::test]
async fn a_ticket_goes_to_another_screening_and_what_was_paid_with_it() {
    let s = stage();
    let old = s.booked(ANNA, &["A1", "A2"]).await;
    let held = hold(&s, ANNA, "tomorrow", "A3").await;
    let wish = wish(&held, &["A2"]);
    let quoted = quote(&s, ANNA, &old, &wish).await;
    // Nobody has paid yet: there is nothing to move, and less to pay for what stays.
    assert_eq!((quoted.status.as_u16(), &quoted.body["moves"]["amount"]), (200, &json!(0)), "{}", quoted.body);
    assert_eq!((&quoted.body["balance_due"]["amount"], &quoted.body["refund"]["amount"]), (&json!(1050), &json!(0)));
    assert_eq!(quote(&s, BEN, &old, &wish).await.status, 404, "somebody else's");
    let keyless = json!({"quote": quoted.body["id"], "of": wish});
    let url = format!("{}/exchanges", path(&old));
    assert_eq!(s.post_with_key(ANNA, &url, "", &keyless).await.code(), "idempotency_key_missing");

    let new = confirm(&s, ANNA, &old, "k", &quoted, &wish).await;
    assert_eq!((new.status.as_u16(), &new.body["screening"]), (201, &json!("tomorrow")), "{}", new.body);
    assert_eq!(new.body["replaces"]["url"], old.body["url"]);
    let again = confirm(&s, ANNA, &old, "k", &quoted, &wish).await;
    assert_eq!((again.status.as_u16(), &again.bytes), (201, &new.bytes), "one effect, one answer");
    assert_eq!(again.headers["idempotent-replayed"], "true");
    let other = confirm(&s, ANNA, &old, "another", &quoted, &wish).await;
    assert_eq!(other.code(), "booking_state", "what was given is given");
    let mut changed = wish.clone();
    changed["seats"] = json!(["A1"]);
    assert_eq!(confirm(&s, ANNA, &old, "k", &quoted, &changed).await.code(), "idempotency_key_reused");

    let before = s.get(ANNA, &path(&old)).await;
    assert_eq!(
        (&before.body["state"], &before.body["balance_due"]["amount"]),
        (&json!("part_cancelled"), &json!(1050))
    );
    assert_eq!(before.body["lines"][1]["replaced_by"]["booking"], new.body["id"]);
    assert_eq!(s.seats().await["not_free"], json!({"sold": ["A1"]}), "A2 is free again");
    let tickets = s.get(ANNA, &format!("{}/tickets", path(&new))).await;
    assert_eq!(tickets.body["tickets"][0]["seat"], "A3", "{}", tickets.body);
    let mine = s.get(ANNA, &format!("{}/tickets", path(&old))).await;
    assert_eq!(mine.body["tickets"].as_array().map(Vec::len), Some(1));

    // A server that starts again knows both.
    let Stage { store, clock, keys, folder, cinema, router, .. } = s;
    drop((cinema, router));
    let s = Stage::with(store, clock, keys, folder);
    assert_eq!(s.get(ANNA, &path(&new)).await.body["replaces"], new.body["replaces"]);
    assert_eq!(s.get(ANNA, &path(&old)).await.body["lines"], before.body["lines"]);
    let again = confirm(&s, ANNA, &old, "k", &quoted, &wish).await;
    assert_eq!((again.status.as_u16(), &again.bytes), (201, &new.bytes), "also after a restart");
}

#[tokio::test]
async fn a_seat_is_swapped_within_a_screening() {
    let s = stage();
    let old = s.booked(ANNA, &["A1", "A2"]).await;
    let held = hold(&s, ANNA, "eight", "A4").await;
    let wish = wish(&held, &["A1"]);
    let quoted = quote(&s, ANNA, &old, &wish).await;
    let seq = s.seats().await["seq"].as_u64().expect("a version");
    let new = confirm(&s, ANNA, &old, "k", &quoted, &wish).await;
    assert_eq!(new.status, 201, "{}", new.body);
    let seats = s.seats().await;
    assert_eq!(
        (seats["seq"].as_u64(), &seats["not_free"]),
        (Some(seq + 1), &json!({"sold": ["A2", "A4"]})),
        "one change"
    );
    assert_eq!(confirm(&s, ANNA, &old, "k", &quoted, &wish).await.bytes, new.bytes);
}

#[tokio::test]
async fn what_cannot_be_exchanged_changes_nothing() {
    let s = stage();
    let old = s.booked(ANNA, &["A1", "A2"]).await;
    let held = hold(&s, ANNA, "tomorrow", "A3").await;
    let good = wish(&held, &["A2"]);
    let bens = hold(&s, BEN, "tomorrow", "A1").await;
    assert_eq!(quote(&s, ANNA, &old, &wish(&bens, &["A2"])).await.code(), "not_found", "Ben's hold");
    assert_eq!(quote(&s, ANNA, &old, &wish(&held, &["A4"])).await.code(), "unknown_seat");
    let mut nowhere = good.clone();
    nowhere["screening"] = json!("nowhere");
    assert_eq!(quote(&s, ANNA, &old, &nowhere).await.code(), "not_found");
    let mut odd = good.clone();
    odd["hold"] = json!("hold_1");
    assert_eq!(quote(&s, ANNA, &old, &odd).await.code(), "not_found");
    let quoted = quote(&s, ANNA, &old, &good).await;
    s.clock.advance(600);
    let late = confirm(&s, ANNA, &old, "late", &quoted, &good).await;
    assert_eq!(late.code(), "quote_changed", "{}", late.body);
    assert_eq!(quote(&s, ANNA, &old, &good).await.code(), "hold_expired");
    s.clock.advance(6 * 3600);
    let held = hold(&s, ANNA, "tomorrow", "A4").await;
    // Three hours before the start and two, nothing was paid: it may go until it must be paid.
    assert_eq!(quote(&s, ANNA, &old, &wish(&held, &["A2"])).await.status, 200);
    assert_eq!(s.seats().await["not_free"], json!({"sold": ["A1", "A2"]}));
}

#[tokio::test]
async fn whoever_asks_again_after_a_day_is_shown_the_new_booking() {
    let s = stage();
    let old = s.booked(ANNA, &["A1", "A2"]).await;
    let held = hold(&s, ANNA, "tomorrow", "A3").await;
    let wish = wish(&held, &["A2"]);
    let quoted = quote(&s, ANNA, &old, &wish).await;
    let new = confirm(&s, ANNA, &old, "k", &quoted, &wish).await;
    assert_eq!(new.status, 201, "{}", new.body);
    s.store.tidy(admit_protocol::time::after(s.cinema_now(), 25 * 3600)).expect("tidies");
    let Stage { store, clock, keys, folder, cinema, router, .. } = s;
    drop((cinema, router));
    let s = Stage::with(store, clock, keys, folder);
    let again = confirm(&s, ANNA, &old, "k", &quoted, &wish).await;
    let said = |said: &Said| [&said.body["id"], &said.body["screening"], &said.body["state"]].map(Value::clone);
    assert_eq!((again.status.as_u16(), said(&again)), (201, said(&new)), "{}", again.body);
}

/// A clock that leaps ahead when it has been looked at so many times.
#[derive(Debug)]
struct Leaping {
    time: ManualClock,
    looks_left: AtomicUsize,
}

impl Clock for Leaping {
    fn now(&self) -> jiff::Timestamp {
        if self.looks_left.load(Ordering::SeqCst) > 0 && self.looks_left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.time.advance(3600);
        }
        self.time.now()
    }

    fn is_real(&self) -> bool {
        false
    }
}

/// However an exchange ends whose held seats lapse while it is decided: both screenings are sold from afterwards.
#[tokio::test]
async fn an_exchange_that_comes_too_late_leaves_both_screenings_as_they_are() {
    let mut refused = 0;
    for looks in 1..=24 {
        let now = NOON.parse().expect("noon");
        let (store, folder) = On::usual().store();
        store.edit(&exchanging().check(now).edits, now, Layouts::Stay).expect("edits");
        let (keys, _) = KeyRing::generate(now).expect("randomness");
        let clock = Arc::new(Leaping { time: ManualClock::new(now), looks_left: AtomicUsize::new(0) });
        let s = Stage::with_clock(store, clock.clone(), keys, folder);
        let old = s.booked(ANNA, &["A1"]).await;
        let held = hold(&s, ANNA, "tomorrow", "A3").await;
        let wish = wish(&held, &["A1"]);
        let quoted = quote(&s, ANNA, &old, &wish).await;
        clock.looks_left.store(looks, Ordering::SeqCst);
        let said = confirm(&s, ANNA, &old, "k", &quoted, &wish).await;
        clock.looks_left.store(0, Ordering::SeqCst);
        refused += usize::from(said.status != 201);
        for screening in ["eight", "tomorrow"] {
            hold(&s, BEN, screening, "A4").await;
        }
    }
    assert!(refused > 0, "the clock never leapt while an exchange was decided");
}

//! Waiting for seats, over HTTP: on whichever database.

use std::sync::Arc;

use admit_server::HouseRules;
use admit_server::clock::ManualClock;
use admit_server::keys::KeyRing;
use admit_server::store::Layouts;
use serde_json::{Value, json};

use crate::stage::{ANNA, BEN, Said, Stage, bundle, path};

const WAITLIST: &str = "/v1/screenings/eight/waitlist";
/// Secrets of parties.
const PARTIES: [&str; 3] = [
    "d2FpdHdhaXR3YWl0d2FpdHdhaXR3YWl0d2FpdHdhaTE",
    "d2FpdHdhaXR3YWl0d2FpdHdhaXR3YWl0d2FpdHdhaTI",
    "d2FpdHdhaXR3YWl0d2FpdHdhaXR3YWl0d2FpdHdhaTM",
];

fn party(count: u16) -> Value {
    json!({"best": {"count": count, "zones": ["std"]}})
}

/// Everything that has a number is booked: A1 A2 and A3 A4 by themselves.
async fn full() -> (Stage, Said) {
    let s = Stage::new();
    let first = s.booked(ANNA, &["A1", "A2"]).await;
    s.booked(BEN, &["A3", "A4"]).await;
    s.booked(PARTIES[2], &["B1", "B2", "B3", "B4"]).await;
    (s, first)
}

async fn cancel(s: &Stage, secret: &str, booking: &Said) {
    let quote = s.post(secret, &format!("{}/cancellation_quotes", path(booking)), &json!({})).await;
    let cancelled =
        s.post(secret, &format!("{}/cancellations", path(booking)), &json!({"quote": quote.body["id"]})).await;
    assert_eq!(cancelled.status, 200, "{}", cancelled.body);
}

#[tokio::test]
async fn who_waits_is_offered_what_comes_free_and_books_it() {
    let (s, first) = full().await;
    let mut wish = party(2);
    wish["buyer"] = json!({"email": "wanda@mail.example"});
    let entry = s.post_with_key(PARTIES[0], WAITLIST, "k", &wish).await;
    assert_eq!((entry.status.as_u16(), &entry.body["state"]), (201, &json!("waiting")), "{}", entry.body);
    assert_eq!((&entry.body["position"], &entry.body["best"]["count"]), (&json!(1), &json!(2)));
    let again = s.post_with_key(PARTIES[0], WAITLIST, "k", &wish).await;
    assert_eq!((again.status.as_u16(), &again.bytes), (201, &entry.bytes), "one effect, one answer");
    assert_eq!(again.headers["idempotent-replayed"], "true");
    let second = s.post(PARTIES[1], WAITLIST, &party(1)).await;
    assert_eq!(second.body["position"], 2);
    assert_eq!(s.get(BEN, &path(&entry)).await.status, 404, "nobody else's business (WAIT-011)");

    cancel(&s, ANNA, &first).await;
    let seats = s.seats().await;
    assert_eq!(seats["not_free"]["held"], json!(["A1", "A2"]), "never shown as free (WAIT-003)");
    let offered = s.get(PARTIES[0], &path(&entry)).await;
    assert_eq!((&offered.body["state"], &offered.body["position"]), (&json!("offered"), &Value::Null));
    let offer = &offered.body["offer"];
    assert_eq!(offer["expires_at"], "2026-11-21T12:15:00Z");
    let url = offer["url"].as_str().expect("a url").strip_prefix("https://kino.example").expect("own origin");
    let hold = s.get(PARTIES[0], url).await;
    assert_eq!((&hold.body["state"], &hold.body["waitlist_entry"]), (&json!("active"), &entry.body["id"]));
    let booking = s.book(PARTIES[0], &hold, 2050).await;
    assert_eq!(booking.status, 201, "{}", booking.body);
    assert_eq!(s.get(PARTIES[0], &path(&entry)).await.body["state"], "taken");
    let late = s.delete(PARTIES[0], &path(&entry)).await;
    assert_eq!(late.code(), "hold_converted");
    assert_eq!(s.get(PARTIES[1], &path(&second)).await.body["position"], 1);
}

#[tokio::test]
async fn what_is_refused_is_said() {
    let (s, _) = full().await;
    for (wish, status, code) in [
        (json!({"best": {"count": 2}}), 409, "seats_available"),
        (party(5), 422, "never_fits"),
        (json!({"best": {"count": 1, "zones": ["moon"]}}), 422, "unknown_zone"),
        (party(0), 422, "invalid"),
        (json!({}), 400, "unreadable"),
        (json!({"best": {"count": 1, "zones": ["std"]}, "buyer": {"email": "nowhere"}}), 422, "invalid"),
    ] {
        let said = s.post(PARTIES[0], WAITLIST, &wish).await;
        assert_eq!((said.status.as_u16(), said.code().as_str()), (status, code), "{wish} {}", said.body);
    }
    assert_eq!(s.post(PARTIES[0], WAITLIST, &party(1)).await.status, 201);
    assert_eq!(s.post(PARTIES[0], WAITLIST, &party(1)).await.code(), "already_waiting");
    let nobody = s.get(PARTIES[0], &format!("{WAITLIST}/wait_00000000000000000000000000000000")).await;
    assert_eq!(nobody.status, 404);
    assert_eq!(s.get(PARTIES[0], &format!("{WAITLIST}/x")).await.status, 404);
}

#[tokio::test]
async fn who_leaves_or_declines_is_out_and_who_is_silent_waits_again() {
    let (s, first) = full().await;
    let one = s.post(PARTIES[0], WAITLIST, &party(2)).await;
    let two = s.post(PARTIES[1], WAITLIST, &party(2)).await;
    cancel(&s, ANNA, &first).await;
    s.clock.advance(900);
    let lapsed = s.get(PARTIES[0], &path(&one)).await;
    assert_eq!((&lapsed.body["state"], &lapsed.body["lapses"]), (&json!("waiting"), &json!(1)), "{}", lapsed.body);
    let offered = s.get(PARTIES[1], &path(&two)).await;
    assert_eq!(offered.body["state"], "offered", "in the same change (WAIT-005)");
    assert_eq!(s.delete(ANNA, &path(&two)).await.status, 404);
    assert_eq!(s.delete(PARTIES[1], &path(&two)).await.status, 204);
    assert_eq!(s.get(PARTIES[1], &path(&two)).await.body["state"], "declined");
    let offered = s.get(PARTIES[0], &path(&one)).await;
    assert_eq!(offered.body["state"], "offered");
    let url = offered.body["offer"]["url"].as_str().expect("a url").strip_prefix("https://kino.example").expect("own");
    assert_eq!(s.delete(PARTIES[0], url).await.status, 204, "the hold's own address declines, too (WAIT-006)");
    assert_eq!(s.get(PARTIES[0], &path(&one)).await.body["state"], "declined");
    assert_eq!(s.delete(PARTIES[0], &path(&one)).await.status, 204);
    assert!(s.seats().await["not_free"]["held"].is_null());
}

#[tokio::test]
async fn a_line_outlives_a_restart() {
    let (s, first) = full().await;
    let one = s.post_with_key(PARTIES[0], WAITLIST, "k", &party(2)).await;
    let two = s.post(PARTIES[1], WAITLIST, &party(3)).await;
    let Stage { store, clock, keys, folder, cinema, router, .. } = s;
    drop((cinema, router));
    let s = Stage::with(store, clock, keys, folder);
    assert_eq!(s.post_with_key(PARTIES[0], WAITLIST, "k", &party(2)).await.bytes, one.bytes);
    assert_eq!(s.get(PARTIES[1], &path(&two)).await.body["position"], 2);
    cancel(&s, ANNA, &first).await;
    assert_eq!(s.get(PARTIES[0], &path(&one)).await.body["state"], "offered");
}

#[tokio::test]
async fn when_sales_are_over_nobody_waits_any_more() {
    let (s, _) = full().await;
    let entry = s.post(PARTIES[0], WAITLIST, &party(2)).await;
    s.clock.advance(24 * 3600);
    let over = s.get(PARTIES[0], &path(&entry)).await;
    assert_eq!((&over.body["state"], &over.body["position"]), (&json!("gone"), &Value::Null));
}

#[tokio::test]
async fn who_has_an_offer_keeps_it_when_the_waitlist_is_switched_off() {
    let (s, first) = full().await;
    let one = s.post(PARTIES[0], WAITLIST, &party(2)).await;
    cancel(&s, ANNA, &first).await;
    let Stage { store, clock, keys, folder, cinema, router, .. } = s;
    drop((cinema, router));
    let rules = || HouseRules { waitlist: false, ..HouseRules::default() };
    let s = Stage::by(rules(), store, clock, keys, folder);
    assert_eq!(s.post(PARTIES[1], WAITLIST, &party(2)).await.code(), "capability_not_offered");
    let offered = s.get(PARTIES[0], &path(&one)).await;
    let url =
        offered.body["offer"]["url"].as_str().expect("an offer").strip_prefix("https://kino.example").expect("own");
    let hold = s.get(PARTIES[0], url).await;
    assert_eq!(s.book(PARTIES[0], &hold, 2050).await.status, 201);
    let Stage { store, clock, keys, folder, cinema, router, .. } = s;
    drop((cinema, router));
    let s = Stage::by(rules(), store, clock, keys, folder);
    assert_eq!(s.get(PARTIES[0], &path(&one)).await.body["state"], "taken", "and the house is read again");
}

#[tokio::test]
async fn what_was_edited_while_nobody_sold_is_offered_when_somebody_does() {
    let now = crate::stage::NOON.parse().expect("noon");
    let (kept, folder) = crate::on::On::usual().store();
    let paused = |status: &str| {
        let mut file = serde_json::to_value(bundle()).expect("json");
        file["screenings"][0]["status"] = json!(status);
        let file: admit_server::bundle::Bundle = serde_json::from_value(file).expect("a bundle");
        file.check(now).edits
    };
    kept.edit(&paused("on_sale"), now, Layouts::Stay).expect("edits");
    let (keys, _) = KeyRing::generate(now).expect("randomness");
    let clock = Arc::new(ManualClock::new(now));
    let s = Stage::with(kept.clone(), clock.clone(), keys.clone(), folder);
    let first = s.booked(ANNA, &["A1", "A2"]).await;
    s.booked(BEN, &["A3", "A4"]).await;
    s.booked(PARTIES[2], &["B1", "B2", "B3", "B4"]).await;
    let one = s.post(PARTIES[0], WAITLIST, &party(2)).await;
    let Stage { folder, cinema, router, store, .. } = s;
    drop((cinema, router, store));
    kept.edit(&paused("paused"), now, Layouts::Stay).expect("edits");
    let s = Stage::with(kept.clone(), clock.clone(), keys.clone(), folder);
    cancel(&s, ANNA, &first).await;
    assert_eq!(s.get(PARTIES[0], &path(&one)).await.body["state"], "waiting", "nothing is offered in a pause");
    let Stage { folder, cinema, router, store, .. } = s;
    drop((cinema, router, store));
    kept.edit(&paused("on_sale"), now, Layouts::Stay).expect("edits");
    let s = Stage::with(kept, clock, keys, folder);
    // Nobody asked for this screening: it is looked at all the same, before anybody can.
    for _ in 0..200 {
        if s.get(PARTIES[0], &path(&one)).await.body["state"] == "offered" {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{}", s.get(PARTIES[0], &path(&one)).await.body);
}

//! The queue before a sale, over HTTP: on whichever database.

use std::collections::BTreeSet;
use std::sync::Arc;

use admit_protocol::digest::{ContentName, sha256};
use admit_server::HouseRules;
use admit_server::bundle::Bundle;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Request;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::stage::{ANNA, BEN, NOON, On, Said, Stage, bundle};

pub(crate) const QUEUE: &str = "/v1/screenings/eight/queue";
const HOLDS: &str = "/v1/screenings/eight/holds";

/// The usual programme, with a queue at the first screening: it opens at ten past twelve, sales begin at one, sixty are let in each
/// minute.
pub(crate) fn queued() -> Bundle {
    let mut bundle = serde_json::to_value(bundle()).expect("json");
    bundle["screenings"][0]["sales_open"] = json!("2026-11-21T13:00:00Z");
    bundle["screenings"][0]["queue"] = json!({"opens_at": "2026-11-21T12:10:00Z", "admits_per_min": 60});
    serde_json::from_value(bundle).expect("a bundle")
}

fn at(text: &str) -> Timestamp {
    format!("2026-11-21T{text}Z").parse().expect(text)
}

/// Lets time pass until the clock says this.
fn until(s: &Stage, time: &str) {
    s.clock.advance(at(time).duration_since(s.cinema_now()).as_secs());
}

/// A server whose clock says this.
fn staged(time: &str) -> Stage {
    let s = Stage::of(&queued(), On::usual());
    until(&s, time);
    s
}

pub(crate) async fn come(s: &Stage, secret: &str) -> Said {
    let request = Request::post(QUEUE).header("authorization", format!("Bearer {secret}"));
    s.send(request.body(Body::empty()).expect("a request")).await
}

fn secret(n: u16) -> String {
    URL_SAFE_NO_PAD.encode(sha256(&[&n.to_be_bytes()]))
}

pub(crate) fn turn(said: &Said) -> Timestamp {
    said.body["turn_at"].as_str().unwrap_or_else(|| panic!("{}", said.body)).parse().expect("an instant")
}

async fn hold(s: &Stage, secret: &str, seat: &str, pass: &Value) -> Said {
    s.post(secret, HOLDS, &json!({"seats": [{"seat": seat}], "queue_pass": pass})).await
}

#[tokio::test]
async fn who_comes_before_the_sale_is_drawn_let_in_in_turn_and_holds_with_a_pass() {
    let s = staged("12:09:59");
    let manifest = s.cinema.manifest();
    assert!(String::from_utf8_lossy(&manifest).contains("payload"));
    let early = come(&s, ANNA).await;
    assert_eq!((early.code(), &early.body["retry_after_ms"]), ("queue_not_open".into(), &json!(1000)), "QUEUE-007");
    until(&s, "12:10:00");
    let anna = come(&s, ANNA).await;
    assert_eq!((anna.status.as_u16(), &anna.body["state"]), (201, &json!("gathering")), "{}", anna.body);
    assert_eq!((&anna.body["turn_at"], &anna.body["seed"]), (&Value::Null, &Value::Null), "nobody knows yet");
    assert_eq!(come(&s, ANNA).await.status, 200, "one place a secret (QUEUE-002)");
    assert_eq!(s.get(BEN, QUEUE).await.status, 404, "QUEUE-008");
    until(&s, "12:59:59");
    assert_eq!(come(&s, BEN).await.body["places"], 2);
    let closed = hold(&s, ANNA, "A1", &Value::Null).await;
    assert_eq!(closed.code(), "sales_not_open");
    assert_eq!(s.delete(BEN, QUEUE).await.status, 204);
    assert_eq!(come(&s, ANNA).await.body["places"], 1, "before the draw nothing stays of who left");
    assert_eq!(come(&s, BEN).await.status, 201);

    until(&s, "13:00:00");
    let places = [s.get(ANNA, QUEUE).await, s.get(BEN, QUEUE).await];
    let commitment: ContentName = anna.body["commitment"].as_str().expect("a commitment").parse().expect("a digest");
    let seed = URL_SAFE_NO_PAD.decode(places[0].body["seed"].as_str().expect("shown by now")).expect("base64url");
    assert!(commitment.fits(&seed), "it is what was committed to (QUEUE-003)");
    let lot = |secret: &str| sha256(&[&seed, &sha256(&[&URL_SAFE_NO_PAD.decode(secret).expect("a secret")])]);
    let first = usize::from(lot(BEN) < lot(ANNA));
    let (winner, loser) = ([ANNA, BEN][first], [ANNA, BEN][1 - first]);
    let [one, two] = [&places[first], &places[1 - first]];
    assert_eq!((turn(one), turn(two)), (at("13:00:00"), at("13:00:01")));
    assert_eq!((&one.body["state"], &two.body["state"]), (&json!("admitted"), &json!("waiting")));
    assert_eq!((&one.body["ahead"], &two.body["ahead"]), (&Value::Null, &json!(1)));
    assert_eq!(one.body["pass_until"], "2026-11-21T13:10:00Z");

    let pass = |place: &Said| place.body["pass"].clone();
    assert_eq!(hold(&s, winner, "A1", &Value::Null).await.code(), "queue_pass_needed");
    assert_eq!(hold(&s, winner, "A1", &pass(two)).await.code(), "queue_pass_needed", "it is somebody else's");
    let wait = |pass: &Value| json!({"best": {"count": 1}, "queue_pass": pass});
    let waits = s.post(loser, "/v1/screenings/eight/waitlist", &wait(&Value::Null)).await;
    assert_eq!(waits.code(), "queue_pass_needed", "nobody waits past the queue");
    let waits = s.post(loser, "/v1/screenings/eight/waitlist", &wait(&pass(two))).await;
    assert_eq!(waits.code(), "not_your_turn");
    let waits = s.post(winner, "/v1/screenings/eight/waitlist", &wait(&pass(one))).await;
    assert_eq!(waits.code(), "seats_available", "with a pass the next question is asked");
    let soon = hold(&s, loser, "A1", &pass(two)).await;
    assert_eq!((soon.code(), &soon.body["retry_after_ms"]), ("not_your_turn".into(), &json!(1000)));
    let wish = json!({"seats": [{"seat": "A1"}], "queue_pass": pass(one)});
    let held = s.post_with_key(winner, HOLDS, "k", &wish).await;
    assert_eq!(held.status, 201, "{}", held.body);
    until(&s, "13:00:01");
    assert_eq!(hold(&s, loser, "A2", &pass(two)).await.status, 201);

    // QUEUE-006: after its end it brings nothing new; what was done stays done.
    until(&s, "13:10:00");
    assert_eq!(hold(&s, winner, "A3", &pass(one)).await.code(), "queue_pass_expired");
    let again = s.post_with_key(winner, HOLDS, "k", &wish).await;
    assert_eq!((again.status.as_u16(), &again.bytes), (201, &held.bytes), "one effect, one answer");
    let later = come(&s, winner).await;
    assert_eq!((later.status.as_u16(), turn(&later)), (201, at("13:10:00")), "QUEUE-010");
    assert_eq!(s.delete(winner, QUEUE).await.status, 204);
    assert_eq!(s.delete(winner, QUEUE).await.status, 204, "QUEUE-009");
    assert_eq!(s.get(winner, QUEUE).await.status, 404);
    assert_eq!(come(&s, loser).await.body["places"], 2, "a turn that was given out is taken");
    let back = come(&s, winner).await;
    assert_eq!((back.status.as_u16(), turn(&back)), (201, turn(&later)), "and nobody has another one by leaving");
}

#[tokio::test]
async fn a_screening_without_a_queue_has_none_and_asks_for_no_pass() {
    let s = Stage::new();
    for said in [come(&s, ANNA).await, s.get(ANNA, QUEUE).await, s.delete(ANNA, QUEUE).await] {
        assert_eq!((said.status.as_u16(), said.code()), (404, "not_found".into()));
    }
    assert_eq!(hold(&s, ANNA, "A1", &json!("nonsense")).await.status, 201, "a pass that nobody asks for");
    let nowhere = s.get(ANNA, "/v1/screenings/nowhere/queue").await;
    assert_eq!(nowhere.code(), "not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hundreds_who_come_at_once_have_a_turn_each_queue_005() {
    let s = Arc::new(staged("13:00:00"));
    let coming = (0..400).map(|n| {
        let s = s.clone();
        tokio::spawn(async move { come(&s, &secret(n)).await })
    });
    let mut turns = BTreeSet::new();
    for place in coming.collect::<Vec<_>>() {
        let place = place.await.expect("runs");
        // Limits by network are for strangers; these have no address, and fifty is the most.
        match place.status.as_u16() {
            201 => assert!(turns.insert(turn(&place)), "nobody has the turn of another"),
            _ => assert_eq!(place.code(), "queue_full"),
        }
    }
    let turns: Vec<Timestamp> = turns.into_iter().collect();
    assert_eq!(turns.len(), 50, "QUEUE-007: as many as one network may have");
    assert!(turns.windows(2).all(|two| two[1].duration_since(two[0]).as_secs() == 1), "{turns:?}");
}

#[tokio::test]
async fn a_place_outlives_the_server_queue_002() {
    let s = staged("12:30:00");
    let before = come(&s, ANNA).await;
    let Stage { store, clock, keys, folder, cinema, router, .. } = s;
    drop((cinema, router));
    let s = Stage::with(store, clock, keys, folder);
    until(&s, "13:00:00");
    let place = s.get(ANNA, QUEUE).await;
    assert_eq!(place.body["came_at"], before.body["came_at"]);
    assert_eq!((turn(&place), &place.body["commitment"]), (at("13:00:00"), &before.body["commitment"]));
    let Stage { store, clock, keys, folder, cinema, router, .. } = s;
    drop((cinema, router));
    let s = Stage::with(store, clock, keys, folder);
    assert_eq!(hold(&s, ANNA, "A1", &place.body["pass"]).await.status, 201, "the key of passes is kept, too");
}

#[tokio::test]
async fn rules_of_queues_are_checked() {
    let policy = |change: fn(&mut admit_protocol::queue::QueuePolicy)| {
        let mut rules = HouseRules::default();
        change(&mut rules.queue_policy);
        rules.check()
    };
    assert!(policy(|_| ()).is_ok());
    for bad in [
        policy(|p| p.pass_ttl_s = 59),
        policy(|p| p.places_per_network = 0),
        policy(|p| p.places_max = 0),
        policy(|p| p.places_max = 200_001),
    ] {
        assert!(bad.expect_err("refused").starts_with("queue_policy: "));
    }
    let refused = |queue: Value| {
        let mut bundle = serde_json::to_value(queued()).expect("json");
        bundle["screenings"][0]["queue"] = queue;
        let bundle: Bundle = serde_json::from_value(bundle).expect("a bundle");
        bundle.check(NOON.parse().expect("noon")).refused.remove(0).why
    };
    let late = refused(json!({"opens_at": "2026-11-21T13:00:00Z", "admits_per_min": 60}));
    assert_eq!(late, "a queue opens before sales do");
    let still = refused(json!({"opens_at": "2026-11-21T12:00:00Z", "admits_per_min": 0}));
    assert_eq!(still, "a queue lets 1 to 60,000 in each minute");
}

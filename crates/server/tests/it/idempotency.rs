use serde_json::json;

use crate::stage::{ANNA, BEN, Stage, book, path};

const HOLDS: &str = "/v1/screenings/eight/holds";

#[tokio::test]
async fn a_repeated_request_gets_the_same_bytes_and_has_one_effect() {
    let s = Stage::new();
    let wish = json!({"seats": [{"seat": "A1"}]});
    let first = s.post_with_key(ANNA, HOLDS, "k", &wish).await;
    assert!(!first.headers.contains_key("idempotent-replayed"));
    s.clock.advance(10);
    let second = s.post_with_key(ANNA, HOLDS, "k", &wish).await;
    assert_eq!((second.status, &second.bytes), (first.status, &first.bytes));
    assert_eq!(second.headers["idempotent-replayed"], "true");
    assert_eq!(s.seats().await["seq"], 1);
    let body = book(&first, 1050);
    let booking = s.post_with_key(ANNA, "/v1/screenings/eight/bookings", "b", &body).await;
    let again = s.post_with_key(ANNA, "/v1/screenings/eight/bookings", "b", &body).await;
    assert_eq!((again.status.as_u16(), again.bytes), (201, booking.bytes));
}

#[tokio::test]
async fn it_survives_a_restart() {
    let s = Stage::new();
    let wish = json!({"seats": [{"seat": "A1"}]});
    let first = s.post_with_key(ANNA, HOLDS, "k", &wish).await;
    let Stage { store, clock, keys, folder, cinema, router, .. } = s;
    drop((cinema, router));
    let s = Stage::with(store, clock, keys, folder);
    let second = s.post_with_key(ANNA, HOLDS, "k", &wish).await;
    assert_eq!(second.bytes, first.bytes);
}

#[tokio::test]
async fn a_key_is_good_for_one_request() {
    let s = Stage::new();
    s.post_with_key(ANNA, HOLDS, "k", &json!({"seats": [{"seat": "A1"}]})).await;
    let other = s.post_with_key(ANNA, HOLDS, "k", &json!({"seats": [{"seat": "A2"}]})).await;
    assert_eq!((other.status.as_u16(), other.code().as_str()), (422, "idempotency_key_reused"));
    assert_eq!(s.seats().await["not_free"], json!({"held": ["A1"]}));
    // IDEM-004: before it is refused for what it says.
    let nonsense = s.post_with_key(ANNA, HOLDS, "k", &json!({"seats": "all of them"})).await;
    assert_eq!((nonsense.status.as_u16(), nonsense.code().as_str()), (422, "idempotency_key_reused"));
    let new = s.post_with_key(ANNA, HOLDS, "new", &json!({"seats": "all of them"})).await;
    assert_eq!((new.status.as_u16(), new.code().as_str()), (400, "unreadable"));
}

#[tokio::test]
async fn the_same_key_of_somebody_else_or_elsewhere_is_another_key() {
    let s = Stage::new();
    s.post_with_key(ANNA, HOLDS, "k", &json!({"seats": [{"seat": "A1"}]})).await;
    let ben = s.post_with_key(BEN, HOLDS, "k", &json!({"seats": [{"seat": "A2"}]})).await;
    assert_eq!(ben.status, 201);
    let tomorrow =
        s.post_with_key(ANNA, "/v1/screenings/tomorrow/holds", "k", &json!({"seats": [{"seat": "A1"}]})).await;
    assert_eq!(tomorrow.status, 201);
}

#[tokio::test]
async fn a_refusal_is_decided_again() {
    let s = Stage::new();
    let hold = s.hold(BEN, &["A1"]).await;
    let wish = json!({"seats": [{"seat": "A1"}]});
    assert_eq!(s.post_with_key(ANNA, HOLDS, "k", &wish).await.code(), "seats_taken");
    s.delete(BEN, &path(&hold)).await;
    assert_eq!(s.post_with_key(ANNA, HOLDS, "k", &wish).await.status, 201);
}

#[tokio::test]
async fn a_lost_reply_is_answered_although_the_seats_are_now_taken_by_oneself() {
    let s = Stage::new();
    let wish = json!({"seats": [{"seat": "A1"}]});
    s.post_with_key(ANNA, HOLDS, "k", &wish).await;
    s.clock.advance(400);
    let late = s.post_with_key(ANNA, HOLDS, "k", &wish).await;
    assert_eq!(late.status, 201, "the record is looked up before any refusal");
}

#[tokio::test]
async fn a_key_is_needed_and_has_a_form() {
    let s = Stage::new();
    let long = "k".repeat(129);
    for key in ["", " ", long.as_str()] {
        let said = s.post_with_key(ANNA, HOLDS, key, &json!({"seats": [{"seat": "A1"}]})).await;
        assert_eq!((said.status.as_u16(), said.code().as_str()), (400, "idempotency_key_missing"), "{key:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twins_that_arrive_together_are_one() {
    let s = std::sync::Arc::new(Stage::new());
    for round in 0..20 {
        let wish = json!({"seats": [{"seat": "A1"}]});
        let key = format!("round-{round}");
        let twins: Vec<_> = (0..8)
            .map(|_| {
                let (s, wish, key) = (s.clone(), wish.clone(), key.clone());
                tokio::spawn(async move { s.post_with_key(ANNA, HOLDS, &key, &wish).await })
            })
            .collect();
        let mut answers = Vec::new();
        for twin in twins {
            answers.push(twin.await.expect("runs"));
        }
        assert!(answers.iter().all(|a| a.status == 201 && a.bytes == answers[0].bytes), "{answers:?}");
        assert_eq!(answers.iter().filter(|a| !a.headers.contains_key("idempotent-replayed")).count(), 1);
        s.delete(ANNA, &path(&answers[0])).await;
    }
}

#[tokio::test]
async fn a_day_later_the_bytes_may_be_gone_and_the_key_still_blocks_i1() {
    let s = Stage::new();
    let wish = json!({"seats": [{"seat": "A1"}]});
    let old = s.post_with_key(ANNA, HOLDS, "old", &wish).await;
    s.clock.advance(24 * 3600);
    let fresh = s.post_with_key(ANNA, "/v1/screenings/tomorrow/holds", "fresh", &wish).await;
    assert_eq!(fresh.status, 201, "{}", fresh.body);
    s.store.tidy(s.cinema_now()).expect("tidies");
    assert_eq!(s.post_with_key(ANNA, HOLDS, "old", &wish).await.bytes, old.bytes, "a day is not over for everybody");
    s.store.tidy(admit_protocol::time::after(s.cinema_now(), 2 * 3600)).expect("tidies");
    let again = s.post_with_key(ANNA, HOLDS, "old", &wish).await;
    assert_eq!((again.status.as_u16(), &again.body["state"]), (200, &json!("expired")), "{}", again.body);
    assert_eq!(again.body["id"], old.body["id"]);
    let other = s.post_with_key(ANNA, HOLDS, "old", &json!({"seats": [{"seat": "A2"}]})).await;
    assert_eq!(other.code(), "idempotency_key_reused");
    let same = s.post_with_key(ANNA, "/v1/screenings/tomorrow/holds", "fresh", &wish).await;
    assert_eq!(same.bytes, fresh.bytes);
}

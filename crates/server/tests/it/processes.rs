//! Two processes that sell from one PostgreSQL: two servers, each with its own memory, that know of each other only what is saved.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use admit_server::clock::ManualClock;
use admit_server::keys::KeyRing;
use admit_server::store::{Edit, Layouts, StaffStore};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::exchange::{confirm, exchanging, hold, quote, wish};
use crate::live::Watcher;
use crate::on;
use crate::queue::{QUEUE, come, queued, turn};
use crate::stage::{ANNA, BEN, NOON, Stage, bundle, path};

/// Two servers of one cinema, and a way to change its programme.
struct Two {
    one: Stage,
    other: Stage,
    store: Arc<dyn StaffStore>,
}

fn two() -> Two {
    let address = on::schema();
    let now = NOON.parse().expect("noon");
    let store: Arc<dyn StaffStore> = Arc::new(on::postgres(&address));
    store.edit(&bundle().check(now).edits, now, Layouts::Stay).expect("edits");
    let (keys, _) = KeyRing::generate(now).expect("randomness");
    let clock = Arc::new(ManualClock::new(now));
    let process = || {
        let folder = tempfile::tempdir().expect("a folder");
        Stage::with(Arc::new(on::postgres(&address)), clock.clone(), keys.clone(), folder)
    };
    Two { one: process(), other: process(), store }
}

fn secret(n: usize) -> String {
    URL_SAFE_NO_PAD.encode([u8::try_from(n).expect("few"); 32])
}

macro_rules! on_postgres {
    ($($(#[$doc:meta])* $name:ident($two:ident) $body:block)*) => {
        $($(#[$doc])* #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn $name() {
            if on::skipped(concat!("processes::", stringify!($name))) {
                return;
            }
            let $two = Arc::new(two());
            $body
        })*
    };
}

on_postgres! {
    of_all_who_want_the_last_seats_at_two_processes_one_gets_them(two) {
        let buyers: Vec<_> = (0..64)
            .map(|n| {
                let two = two.clone();
                tokio::spawn(async move {
                    let stage = if n % 2 == 0 { &two.one } else { &two.other };
                    stage.hold(&secret(n), &["A1", "A2"]).await
                })
            })
            .collect();
        let mut codes: BTreeMap<String, usize> = BTreeMap::new();
        for buyer in buyers {
            *codes.entry(buyer.await.expect("runs").code()).or_default() += 1;
        }
        assert_eq!(codes, BTreeMap::from([("201".into(), 1), ("seats_taken".into(), 63)]));
        assert_eq!(two.one.seats().await, two.other.seats().await);
    }

    /// Each has looked when the other was quiet, so that both decide first and look then.
    two_that_take_themselves_to_be_alone_sell_every_seat_once(two) {
        for round in 0..7 {
            two.one.clock.advance(60);
            assert_eq!(two.one.seats().await["not_free"], two.other.seats().await["not_free"]);
            let buyers: Vec<_> = (0..48)
                .map(|n| {
                    let two = two.clone();
                    let seat = ["A1", "A2", "A3", "A4", "B1"][n % 5];
                    tokio::spawn(async move {
                        let stage = if n % 3 == 0 { &two.one } else { &two.other };
                        (seat, stage.hold(&secret(round * 30 + n), &[seat]).await)
                    })
                })
                .collect();
            let mut held = BTreeMap::new();
            for buyer in buyers {
                let (seat, said) = buyer.await.expect("runs");
                match said.code().as_str() {
                    "201" => assert!(held.insert(seat, path(&said)).is_none(), "{seat} is held twice"),
                    "seats_taken" | "limit_reached" => {}
                    other => panic!("{other}: {}", said.body),
                }
            }
            assert_eq!(held.len(), 5, "round {round}: {held:?} {}", two.one.seats().await);
            // They lapse; nobody says so to the other process.
            two.one.clock.advance(3600);
        }
    }

    who_holds_at_one_process_books_at_the_other(two) {
        // Both have the house in memory.
        assert_eq!(two.one.seats().await, two.other.seats().await);
        let hold = two.one.hold(ANNA, &["A1", "A2"]).await;
        assert_eq!(hold.status, 201, "{}", hold.body);
        assert_eq!(two.other.get(ANNA, &path(&hold)).await.status, 200, "no 404 for what was just held elsewhere");
        let booking = two.other.book(ANNA, &hold, 2050).await;
        assert_eq!(booking.status, 201, "{}", booking.body);
        assert_eq!(two.one.get(ANNA, &path(&booking)).await.body["state"], "confirmed");
        assert_eq!(two.one.hold(BEN, &["A2", "A3"]).await.code(), "seats_taken");
        assert_eq!(two.one.hold(BEN, &["A3", "A4"]).await.status, 201);
        assert_eq!(two.other.seats().await["not_free"], json!({"held": ["A3", "A4"], "sold": ["A1", "A2"]}));
    }

    /// MAN-010: who meets one and then the other must not take it for somebody who plays back an old manifest.
    both_publish_one_manifest_whichever_of_them_signed_it(two) {
        let manifest = |stage: &Stage| (stage.manifest().serial, stage.cinema.manifest());
        let first = manifest(&two.one);
        two.one.clock.advance(1800);
        assert_eq!(manifest(&two.other), first, "started later, and not known for newer");
        let mut cinema = two.store.catalogue().expect("a listing").cinemas.remove(0);
        cinema.website = Some("https://kino.example/new".into());
        let now = NOON.parse().expect("noon");
        two.store.edit(&[Edit::Cinema(Box::new(cinema))], now, Layouts::Stay).expect("edits");
        two.other.cinema.reload().await.expect("reads");
        let second = manifest(&two.other);
        assert!(second.0 > first.0, "{} after {}", second.0, first.0);
        two.one.clock.advance(6 * 3600 - 900);
        // The one has not seen the change; its own is over, and the other's is in force.
        assert_eq!(manifest(&two.one).0, manifest(&two.other).0);
        two.one.cinema.reload().await.expect("reads");
        assert_eq!(manifest(&two.one), manifest(&two.other));
    }

    /// QUEUE-005: the rate is that of all processes together.
    turns_are_given_out_once_and_passes_are_good_at_both(two) {
        let now = NOON.parse().expect("noon");
        two.store.edit(&queued().check(now).edits, now, Layouts::Stay).expect("edits");
        two.one.cinema.reload().await.expect("reads");
        two.other.cinema.reload().await.expect("reads");
        two.one.clock.advance(3600);
        let coming: Vec<_> = (0..48)
            .map(|n| {
                let two = two.clone();
                tokio::spawn(async move { come(if n % 2 == 0 { &two.one } else { &two.other }, &secret(n)).await })
            })
            .collect();
        let mut turns = BTreeMap::new();
        for (n, place) in coming.into_iter().enumerate() {
            turns.insert(turn(&place.await.expect("runs")), n);
        }
        let given: Vec<_> = turns.keys().copied().collect();
        assert_eq!(given.len(), 48, "nobody has the turn of another");
        assert!(given.windows(2).all(|two| two[1].duration_since(two[0]).as_secs() == 1), "{given:?}");
        let first = secret(turns[&given[0]]);
        for stage in [&two.one, &two.other] {
            let place = stage.get(&first, QUEUE).await;
            assert_eq!(turn(&place), given[0]);
            let seat = if std::ptr::eq(stage, &raw const two.one) { "A1" } else { "A2" };
            let wish = json!({"seats": [{"seat": seat}], "queue_pass": place.body["pass"]});
            let held = stage.post_with_key(&first, "/v1/screenings/eight/holds", seat, &wish).await;
            assert_eq!(held.status, 201, "{}", held.body);
        }
    }

    exchanges_that_cross_at_two_processes_wait_for_nobody_for_ever(two) {
        let now = NOON.parse().expect("noon");
        two.store.edit(&exchanging().check(now).edits, now, Layouts::Stay).expect("edits");
        two.one.cinema.reload().await.expect("reads");
        two.other.cinema.reload().await.expect("reads");
        let seats = ["A1", "A2", "A3", "A4", "B3", "B4"];
        let crossing: Vec<_> = seats.into_iter().enumerate().map(|(n, seat)| {
            let two = two.clone();
            tokio::spawn(async move {
                // Every other one goes from tomorrow to today, by the other process.
                let (stage, from, to) = match n % 2 {
                    0 => (&two.one, "eight", "tomorrow"),
                    _ => (&two.other, "tomorrow", "eight"),
                };
                let secret = secret(n + 1);
                let held = hold(stage, &secret, from, seat).await;
                let url = format!("/v1/screenings/{from}/bookings");
                let old = stage.post_with_key(&secret, &url, seat, &crate::stage::book(&held, 1050)).await;
                let held = hold(stage, &secret, to, seat).await;
                let wish = wish(&held, &[]);
                let quoted = quote(stage, &secret, &old, &wish).await;
                let new = confirm(stage, &secret, &old, seat, &quoted, &wish).await;
                assert_eq!(new.status, 201, "{}", new.body);
                let elsewhere = if n % 2 == 0 { &two.other } else { &two.one };
                let there = elsewhere.get(&secret, &path(&new)).await;
                assert_eq!(there.body["lines"], new.body["lines"], "it is there at both");
                let again = confirm(elsewhere, &secret, &old, seat, &quoted, &wish).await;
                assert_eq!(again.bytes, new.bytes, "and is one effect at both");
            })
        }).collect();
        for one in crossing {
            one.await.expect("runs");
        }
        assert_eq!(two.one.seats().await["not_free"], json!({"sold": ["A2", "A4", "B4"]}));
        assert_eq!(two.one.seats().await, two.other.seats().await);
    }

    what_was_given_back_elsewhere_is_free_here(two) {
        let hold = two.one.hold(ANNA, &["A1", "A2"]).await;
        assert_eq!(two.other.hold(BEN, &["A1"]).await.code(), "seats_taken");
        assert_eq!(two.one.delete(ANNA, &path(&hold)).await.status, 204);
        // In the other's memory they are still taken.
        assert_eq!(two.other.hold(BEN, &["A1"]).await.status, 201);
    }

    a_key_has_one_effect_whichever_process_hears_it(two) {
        let wish = json!({"seats": [{"seat": "A1"}]});
        let first = two.one.post_with_key(ANNA, "/v1/screenings/eight/holds", "k", &wish).await;
        let again = two.other.post_with_key(ANNA, "/v1/screenings/eight/holds", "k", &wish).await;
        assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 201));
        assert_eq!(first.bytes, again.bytes);
        let wish = json!({"seats": [{"seat": "A3"}]});
        let both = tokio::join!(
            two.one.post_with_key(BEN, "/v1/screenings/eight/holds", "k", &wish),
            two.other.post_with_key(BEN, "/v1/screenings/eight/holds", "k", &wish),
        );
        assert_eq!((both.0.status.as_u16(), both.1.status.as_u16()), (201, 201), "{} {}", both.0.body, both.1.body);
        assert_eq!(both.0.body["id"], both.1.body["id"]);
        let other = json!({"seats": [{"seat": "A4"}]});
        let reused = two.other.post_with_key(ANNA, "/v1/screenings/eight/holds", "k", &other).await;
        assert_eq!(reused.code(), "idempotency_key_reused");
    }

    what_staff_changes_at_one_process_is_so_at_the_other(two) {
        let edit = |change: fn(&mut serde_json::Value)| {
            let now = NOON.parse().expect("noon");
            let mut programme = serde_json::to_value(bundle()).expect("json");
            change(&mut programme);
            let programme: admit_server::bundle::Bundle = serde_json::from_value(programme).expect("a bundle");
            two.store.edit(&programme.check(now).edits, now, Layouts::Stay).expect("edits");
        };
        let hold = two.other.hold(ANNA, &["A1"]).await;
        assert_eq!(hold.status, 201, "{}", hold.body);
        let seq = two.one.seats().await["seq"].as_u64();
        edit(|p| p["screenings"][0]["status"] = json!("cancelled"));
        // Nobody told the other process.
        assert_eq!(two.other.hold(BEN, &["A3"]).await.code(), "screening_cancelled");
        let seats = two.one.seats().await;
        assert!(seats["sales"] == "cancelled" && seats["seq"].as_u64() > seq, "{seats}");
        // A while later it is as the other process has it in memory, and nobody else seems to sell.
        two.other.clock.advance(60);
        assert_eq!(two.other.seats().await["sales"], "cancelled");
        edit(|p| {
            let mut new = p["screenings"][0].clone();
            new["id"] = json!("late");
            new["starts"] = json!("2026-11-21T23:30");
            p["screenings"].as_array_mut().expect("a list").push(new);
        });
        // It takes place after all. The other process has it in memory that it does not, and says no to nobody because of that.
        let booked = two.other.book(ANNA, &hold, 1050).await;
        assert_eq!(booked.status, 201, "{}", booked.body);
        assert_eq!(two.one.get(ANNA, "/v1/screenings/late/seats").await.status, 200, "it is new, and known at once");
        assert_eq!(two.other.get(ANNA, "/v1/screenings/never/seats").await.status, 404);
    }

    what_was_taken_out_at_one_process_is_not_sold_at_the_other(two) {
        let wish = json!({"seats": [{"seat": "A1"}]});
        // Both have it in memory.
        for stage in [&two.one, &two.other] {
            assert_eq!(stage.get(ANNA, "/v1/screenings/tomorrow/seats").await.status, 200);
        }
        let gone = admit_server::store::Edit::RemoveScreening("tomorrow".parse().expect("an id"));
        two.store.edit(&[gone], NOON.parse().expect("noon"), Layouts::Stay).expect("edits");
        assert_eq!(two.one.post(ANNA, "/v1/screenings/tomorrow/holds", &wish).await.status, 404);
        assert_eq!(two.other.get(ANNA, "/v1/screenings/tomorrow/seats").await.status, 404);
        assert_eq!(two.other.hold(ANNA, &["A1"]).await.status, 201, "the others are sold as before");
    }

    who_waits_at_one_process_is_offered_what_comes_free_at_the_other(two) {
        let booked = two.other.booked(ANNA, &["A1", "A2"]).await;
        let all = ["A3", "A4", "B1", "B2", "B3", "B4"];
        two.one.booked(BEN, &all).await;
        let wish = json!({"best": {"count": 2, "zones": ["std"]}});
        let entry = two.one.post(&secret(7), "/v1/screenings/eight/waitlist", &wish).await;
        assert_eq!(entry.status, 201, "{}", entry.body);
        let again = two.other.post_with_key(&secret(7), "/v1/screenings/eight/waitlist", "another", &wish).await;
        assert_eq!(again.code(), "already_waiting", "{}", again.body);
        let quote = two.other.post(ANNA, &format!("{}/cancellation_quotes", path(&booked)), &json!({})).await;
        let cancelled = json!({"quote": quote.body["id"]});
        two.other.post(ANNA, &format!("{}/cancellations", path(&booked)), &cancelled).await;
        assert!(two.one.hold(BEN, &["A1"]).await.status == 409 && two.other.hold(BEN, &["A2"]).await.status == 409);
        for stage in [&two.one, &two.other] {
            let offered = stage.get(&secret(7), &path(&entry)).await;
            assert_eq!(offered.body["state"], "offered", "{}", offered.body);
        }
    }

    when_sales_go_on_who_waits_comes_first_at_every_process(two) {
        let booked = two.other.booked(ANNA, &["A1", "A2"]).await;
        two.one.booked(BEN, &["A3", "A4", "B1", "B2", "B3", "B4"]).await;
        let wish = json!({"best": {"count": 2, "zones": ["std"]}});
        let entry = two.one.post(&secret(7), "/v1/screenings/eight/waitlist", &wish).await;
        let now = NOON.parse().expect("noon");
        let set = |status: &str| {
            let mut file = serde_json::to_value(bundle()).expect("json");
            file["screenings"][0]["status"] = json!(status);
            let file: admit_server::bundle::Bundle = serde_json::from_value(file).expect("a bundle");
            file.check(now).edits
        };
        two.store.edit(&set("paused"), now, Layouts::Stay).expect("edits");
        let quote = two.other.post(ANNA, &format!("{}/cancellation_quotes", path(&booked)), &json!({})).await;
        let cancelled = json!({"quote": quote.body["id"]});
        two.other.post(ANNA, &format!("{}/cancellations", path(&booked)), &cancelled).await;
        assert_eq!(two.one.get(&secret(7), &path(&entry)).await.body["state"], "waiting");
        two.store.edit(&set("on_sale"), now, Layouts::Stay).expect("edits");
        two.other.cinema.reload().await.expect("reads");
        assert_eq!(two.one.hold(BEN, &["A1"]).await.status, 409);
        assert_eq!(two.one.get(&secret(7), &path(&entry)).await.body["state"], "offered");
    }

    who_watches_at_one_process_sees_what_is_held_at_the_other(two) {
        let mut watcher = Watcher::begin(&two.one, None).await;
        let (_, _, first) = watcher.next().await.expect("a snapshot");
        assert_eq!(first["not_free"], json!({}));
        let began = std::time::Instant::now();
        assert_eq!(two.other.hold(ANNA, &["A1"]).await.status, 201);
        let (_, _, change) = watcher.next().await.expect("a change");
        assert!(change.to_string().contains("A1"), "{change}");
        assert!(began.elapsed() < Duration::from_secs(1));
    }

    blocks_and_scans_of_one_process_count_at_the_other(two) {
        use admit_server::management::{Management, Role, StaffMember, hash_password};
        use tower::ServiceExt as _;
        let hash = hash_password("correct horse battery").expect("long enough");
        let boss = StaffMember { login: "boss".into(), name: "Boss".into(), role: Role::Admin, disabled: false };
        two.store.put_staff(&boss, Some(&hash)).expect("saves");
        let office = Management::new(two.one.cinema.clone(), two.store.clone()).router();
        let post = |path: &str, cookie: &str, csrf: &str, body: serde_json::Value| {
            let request = http::Request::post(format!("/manage/v1{path}"))
                .header("content-type", "application/json")
                .header("idempotency-key", "k")
                .header("cookie", cookie)
                .header("csrf-token", csrf)
                .body(axum::body::Body::from(body.to_string()))
                .expect("a request");
            office.clone().oneshot(request)
        };
        assert_eq!(two.other.seats().await["not_free"], json!({}));
        let signed = post("/sessions", "", "", json!({"login": "boss", "password": "correct horse battery"})).await;
        let signed = signed.expect("infallible");
        let cookie = signed.headers()["set-cookie"].to_str().expect("text").split(';').next().expect("one").to_owned();
        let body = axum::body::to_bytes(signed.into_body(), 10_000).await.expect("a body");
        let body: serde_json::Value = serde_json::from_slice(&body).expect("json");
        let csrf = body["csrf"].as_str().expect("a token");
        let block = json!({"seats": ["A1", "A2"], "reason": "house"});
        let blocked = post("/screenings/eight/blocks", &cookie, csrf, block).await.expect("infallible");
        assert!(blocked.status().is_success(), "{blocked:?}");
        assert_eq!(two.other.hold(ANNA, &["A1"]).await.code(), "seats_taken");
        assert_eq!(two.other.seats().await["not_free"], json!({"blocked": ["A1", "A2"]}));
    }

    a_hold_that_lapses_is_over_at_both(two) {
        let hold = two.one.hold(ANNA, &["A1"]).await;
        assert_eq!(two.other.seats().await["not_free"], json!({"held": ["A1"]}));
        two.one.clock.advance(301);
        assert_eq!(two.other.seats().await["not_free"], json!({}));
        assert_eq!(two.one.get(ANNA, &path(&hold)).await.body["state"], "expired");
        assert_eq!(two.one.seats().await, two.other.seats().await);
    }
}

//! Sixty-four people fight over fifty seats for as long as 100,000 requests take, and answers are lost: nobody ever has what another one
//! has at the same time, and nothing is left over. `ADMIT_FIGHT` says another number of requests.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use admit_protocol::manifest::Contact;
use admit_protocol::origin::{Origin, OriginPolicy};
use admit_protocol::text::Texts;
use admit_server::Cinema;
use admit_server::clock::ManualClock;
use admit_server::keys::KeyRing;
use admit_server::store::{Layouts, StaffStore, Store};
use axum::Router;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Method, Request};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::on::{self, On};
use crate::receipts::seat_log;
use crate::stage::{NOON, bundle};

const FIGHTERS: usize = 64;
const SEATS: usize = 50;
/// A house that answers nobody for so long is broken.
const PATIENCE: Duration = Duration::from_secs(60);
const HERE: &str = "/v1/screenings/eight";

/// A seat that somebody certainly had: from when they heard so, until before they asked to give it back.
struct Had {
    seat: usize,
    from: Instant,
    until: Instant,
    who: usize,
}

struct Arena {
    doors: Vec<Router>,
    requests: AtomicI64,
    lost: AtomicUsize,
    had: Mutex<Vec<Had>>,
}

/// Numbers that look random, and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).expect("few sides")
    }
}

struct Fighter {
    arena: Arc<Arena>,
    secret: String,
    dice: Dice,
    next: usize,
}

impl Fighter {
    async fn send(&mut self, method: &Method, path: &str, key: usize, body: &Value) -> (u16, Value) {
        self.arena.requests.fetch_sub(1, Ordering::Relaxed);
        let door = self.dice.roll(self.arena.doors.len());
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", self.secret))
            .header("content-type", "application/json")
            .header("idempotency-key", format!("key-{key}"))
            .body(Body::from(if body.is_null() { String::new() } else { body.to_string() }))
            .expect("a request");
        let answer = self.arena.doors[door].clone().oneshot(request).await.expect("infallible");
        let status = answer.status().as_u16();
        let bytes = axum::body::to_bytes(answer.into_body(), usize::MAX).await.expect("a body");
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    /// Asks until there is an answer; some are lost on the way, and what was asked is asked again with the same key, of whichever
    /// process.
    async fn ask(&mut self, method: &Method, path: &str, body: &Value) -> (u16, Value) {
        let key = self.next;
        self.next += 1;
        let begun = Instant::now();
        loop {
            let (status, answer) = self.send(method, path, key, body).await;
            if status == 503 {
                assert!(begun.elapsed() < PATIENCE, "nobody is answered any more: {answer}");
                tokio::time::sleep(Duration::from_millis(1)).await;
            } else if self.dice.roll(8) == 0 {
                self.arena.lost.fetch_add(1, Ordering::Relaxed);
            } else {
                return (status, answer);
            }
        }
    }

    async fn fight(mut self, who: usize) {
        while self.arena.requests.load(Ordering::Relaxed) > 0 {
            let first = self.dice.roll(SEATS);
            let mut seats = vec![first];
            if self.dice.roll(2) == 0 && first + 1 < SEATS {
                seats.push(first + 1);
            }
            let wish: Vec<Value> =
                seats.iter().map(|n| json!({"seat": format!("s{n}"), "ticket_type": "adult"})).collect();
            let (status, hold) = self.ask(&Method::POST, &format!("{HERE}/holds"), &json!({"seats": wish})).await;
            if status != 201 {
                assert_eq!(hold["code"], "seats_taken", "{hold}");
                // As long as it takes to look at the map again.
                tokio::time::sleep(Duration::from_millis(3)).await;
                continue;
            }
            let from = Instant::now();
            let path = format!("{HERE}/holds/{}", hold["id"].as_str().expect("an id"));
            let until = if self.dice.roll(4) == 0 {
                self.book_and_cancel(&hold, &wish).await
            } else {
                let until = Instant::now();
                let (status, said) = self.ask(&Method::DELETE, &path, &Value::Null).await;
                assert_eq!(status, 204, "{said}");
                until
            };
            let mut had = self.arena.had.lock().expect("not poisoned");
            had.extend(seats.into_iter().map(|seat| Had { seat, from, until, who }));
        }
    }

    /// Until when the seats were certainly one's own.
    async fn book_and_cancel(&mut self, hold: &Value, tickets: &[Value]) -> Instant {
        let book = json!({
            "hold": hold["id"], "tickets": tickets, "total": hold["quote"]["total"], "payment_method": "at_cinema",
        });
        let (status, booking) = self.ask(&Method::POST, &format!("{HERE}/bookings"), &book).await;
        assert_eq!(status, 201, "who holds can book: {booking}");
        let at = format!("{HERE}/bookings/{}", booking["id"].as_str().expect("an id"));
        let (status, quote) = self.ask(&Method::POST, &format!("{at}/cancellation_quotes"), &json!({})).await;
        assert!(status == 200 || status == 201, "{quote}");
        let until = Instant::now();
        let (status, said) =
            self.ask(&Method::POST, &format!("{at}/cancellations"), &json!({"quote": quote["id"]})).await;
        assert!(status == 200 || status == 201, "{said}");
        until
    }
}

/// A cinema with one row of fifty seats, where nobody is limited.
fn programme() -> Value {
    let mut programme = serde_json::to_value(bundle()).expect("json");
    let seat = |n: usize| {
        let mut seat =
            json!({"id": format!("s{n}"), "row": "A", "number": n.to_string(), "x": n * 60, "y": 100, "zone": "std"});
        if n > 0 {
            seat["left"] = json!(format!("s{}", n - 1));
        }
        if n + 1 < SEATS {
            seat["right"] = json!(format!("s{}", n + 1));
        }
        seat
    };
    let layout = &mut programme["layouts"]["one"];
    layout["seats"] = (0..SEATS).map(seat).collect();
    layout["areas"] = json!([]);
    layout["zones"] = json!([{"id": "std", "name": {"en": "Standard"}}]);
    let offers = programme["price_tables"]["evening"]["offers"].as_array_mut().expect("a list");
    offers.retain(|offer| offer["zone"] == "std");
    programme
}

fn server(store: Arc<dyn Store>, keys: &KeyRing) -> Cinema {
    Cinema::builder(Origin::parse("https://kino.example", OriginPolicy::Public).expect("origin"))
        .operator(Texts::one("en", "Kino").expect("text"), Contact { email: "a@kino.example".into(), website: None })
        .keys(keys.clone())
        .shared_store(store)
        .clock(Arc::new(ManualClock::new(NOON.parse().expect("noon"))))
        .without_network_limits()
        .receipts()
        .build()
        .expect("builds")
}

async fn fight(on: On) {
    let requests: i64 = std::env::var("ADMIT_FIGHT").ok().and_then(|n| n.parse().ok()).unwrap_or(100_000);
    let now = NOON.parse().expect("noon");
    let (keys, _) = KeyRing::generate(now).expect("randomness");
    let _folder;
    let stores: Vec<Arc<dyn StaffStore>> = match on {
        On::Postgres => {
            let address = on::schema();
            (0..2).map(|_| Arc::new(on::postgres(&address)) as Arc<dyn StaffStore>).collect()
        }
        _ => {
            let (store, folder) = on.store();
            _folder = folder;
            vec![store]
        }
    };
    let programme: admit_server::bundle::Bundle = serde_json::from_value(programme()).expect("a bundle");
    let checked = programme.check(now);
    assert_eq!(checked.refused, []);
    stores[0].edit(&checked.edits, now, Layouts::Stay).expect("edits");
    let cinemas: Vec<Cinema> = stores.into_iter().map(|store| server(store, &keys)).collect();
    let arena = Arc::new(Arena {
        doors: cinemas.iter().map(Cinema::router).collect(),
        requests: AtomicI64::new(requests),
        lost: AtomicUsize::new(0),
        had: Mutex::default(),
    });
    let fighters: Vec<_> = (0..FIGHTERS)
        .map(|who| {
            let secret = URL_SAFE_NO_PAD.encode([u8::try_from(who + 1).expect("few"); 32]);
            let dice = Dice(0x9e37_79b9_7f4a_7c15 ^ (who as u64 + 1));
            tokio::spawn(Fighter { arena: arena.clone(), secret, dice, next: 0 }.fight(who))
        })
        .collect();
    for fighter in fighters {
        fighter.await.expect("nobody was told a lie");
    }
    // Per seat, who certainly had it did so alone: then there is an order of all holds that explains what everybody heard.
    let mut had = std::mem::take(&mut *arena.had.lock().expect("not poisoned"));
    had.sort_by_key(|had| (had.seat, had.from));
    for (one, next) in had.iter().zip(had.iter().skip(1)).filter(|(one, next)| one.seat == next.seat) {
        assert!(one.until <= next.from, "S1: {} and {} had seat s{} at one time", one.who, next.who, one.seat);
    }
    assert!(had.len() > usize::try_from(requests / 50).expect("few"), "only {} times anybody had a seat", had.len());
    assert!(arena.lost.load(Ordering::Relaxed) > usize::try_from(requests / 20).expect("few"));
    for door in &arena.doors {
        let seats = Request::get(format!("{HERE}/seats")).body(Body::empty()).expect("a request");
        let seats = door.clone().oneshot(seats).await.expect("infallible");
        let seats = axum::body::to_bytes(seats.into_body(), usize::MAX).await.expect("a body");
        let seats: Value = serde_json::from_slice(&seats).expect("json");
        assert_eq!(seats["not_free"], json!({}), "something is left over");
    }
    // What the cinema says of it: each process the same, and no seat two people's in any of its entries.
    let logs = [seat_log(&arena.doors[0], "eight").await, seat_log(&arena.doors[arena.doors.len() - 1], "eight").await];
    assert_eq!(logs[0].head(), logs[1].head());
    assert!(
        logs[0].entries() >= had.len(),
        "{} times somebody had a seat, in {} entries",
        had.len(),
        logs[0].entries()
    );
    // And every process still sells.
    for (n, door) in arena.doors.iter().enumerate() {
        let request = Request::post(format!("{HERE}/holds"))
            .header("authorization", format!("Bearer {}", URL_SAFE_NO_PAD.encode([200; 32])))
            .header("content-type", "application/json")
            .header("idempotency-key", format!("last-{n}"))
            .body(Body::from(json!({"seats": [{"seat": format!("s{}", n * 2)}]}).to_string()));
        let held = door.clone().oneshot(request.expect("a request")).await.expect("infallible");
        assert_eq!(held.status(), 201, "process {n} sells nothing any more");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_fight_over_fifty_seats_on_sqlite() {
    fight(On::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_fight_over_fifty_seats_at_two_processes_on_postgres() {
    if on::skipped("fight::sixty_four_fight_over_fifty_seats_at_two_processes_on_postgres") {
        return;
    }
    fight(On::Postgres).await;
}

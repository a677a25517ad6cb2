//! A cinema with one hall, a clock that the test moves, and short ways to ask.

use std::sync::Arc;

use admit_protocol::digest::sha256;
use admit_protocol::jws::Jws;
use admit_protocol::manifest::Contact;
use admit_protocol::manifest::Manifest;
use admit_protocol::origin::{Origin, OriginPolicy};
use admit_protocol::text::Texts;
use admit_server::bundle::Bundle;
use admit_server::clock::{Clock, ManualClock};
use admit_server::keys::KeyRing;
use admit_server::store::memory::MemoryStore;
use admit_server::store::{Device, Store};
use admit_server::store::{Edit, Layouts};
use admit_server::{Cinema, HouseRules};
use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt as _;

pub(crate) use crate::on::On;

pub(crate) const NOON: &str = "2026-11-21T12:00:00Z";
pub(crate) const ANNA: &str = "YW5uYSBhbm5hIGFubmEgYW5uYSBhbm5hIGFubmEgYWI";
pub(crate) const BEN: &str = "YmVuIGJlbiBiZW4gYmVuIGJlbiBiZW4gYmVuIGJlbiE";
pub(crate) const DOOR: &str = "door-token";

pub(crate) struct Stage {
    pub(crate) cinema: Cinema,
    pub(crate) router: Router,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) keys: KeyRing,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) folder: tempfile::TempDir,
    next: std::sync::atomic::AtomicU64,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
    pub(crate) body: Value,
}

impl Said {
    /// The code of the problem, or the status if it is none.
    pub(crate) fn code(&self) -> String {
        self.body["code"].as_str().map_or_else(|| self.status.as_u16().to_string(), str::to_owned)
    }
}

/// The hall of `admit_booking::example`, one film, one screening at eight.
pub(crate) fn bundle() -> Bundle {
    let plan = admit_booking::example::plan();
    let prices = admit_booking::example::prices();
    serde_json::from_value(json!({
        "layouts": {"one": plan.layout()},
        "price_tables": {"evening": prices.table},
        "cancellation": {"tiers": [{"until_before_start_s": 7200, "refund_percent": 100}]},
        "cinemas": [{
            "id": "kino", "name": {"en": "Kino", "cs": "Kino Světlo"},
            "address": {"street": "Dlouhá 1", "city": {"en": "Prague"}, "country": "CZ"},
            "position": {"lat_e6": 50_087_000, "lon_e6": 14_421_000},
            "zone": "Europe/Prague", "currency": "EUR", "languages": ["cs", "en"],
            "halls": [{"id": "one", "name": {"en": "One"}, "layout": "one"}],
        }],
        "films": [{
            "id": "nosferatu", "title": {"de": "Nosferatu"}, "runtime_min": 94, "release_year": 1922,
            "versions": [{"id": "silent", "kind": "silent"}],
        }],
        "screenings": [
            {"id": "eight", "cinema": "kino", "hall": "one", "starts": "2026-11-21T21:00",
             "items": [{"film": "nosferatu"}], "price_table": "evening"},
            {"id": "tomorrow", "cinema": "kino", "hall": "one", "starts": "today+1 21:00",
             "items": [{"film": "nosferatu"}], "price_table": "evening"},
        ],
    }))
    .expect("a bundle")
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::on(On::usual())
    }

    pub(crate) fn on(on: On) -> Self {
        Self::of(&bundle(), on)
    }

    /// A server of this programme.
    pub(crate) fn of(bundle: &Bundle, on: On) -> Self {
        let now = NOON.parse().expect("noon");
        let (keys, _) = KeyRing::generate(now).expect("randomness");
        let (store, folder) = Self::store(bundle, on);
        Self::with(store, Arc::new(ManualClock::new(now)), keys, folder)
    }

    /// A store with this programme in it, and no server that uses it.
    pub(crate) fn store(bundle: &Bundle, on: On) -> (Arc<dyn Store>, tempfile::TempDir) {
        let now = NOON.parse().expect("noon");
        let (kept, folder) = on.store();
        let checked = bundle.check(now);
        assert_eq!(checked.refused, []);
        let device = Device { id: "door-1".parse().expect("id"), token_hash: sha256(&[DOOR.as_bytes()]) };
        let edits = [checked.edits, vec![Edit::Device { device, name: "Main door".into() }]].concat();
        kept.edit(&edits, now, Layouts::Stay).expect("edits");
        let store: Arc<dyn Store> = match on {
            On::Memory => Arc::new(MemoryStore::new(kept.catalogue().expect("a listing"))),
            On::Sqlite | On::Postgres => kept,
        };
        (store, folder)
    }

    /// What the server says of itself.
    pub(crate) fn manifest(&self) -> Manifest {
        let jws: Jws = serde_json::from_slice(&self.cinema.manifest()).expect("a jws");
        jws.unverified(1 << 20).expect("a manifest")
    }

    pub(crate) fn with(
        store: Arc<dyn Store>,
        clock: Arc<ManualClock>,
        keys: KeyRing,
        folder: tempfile::TempDir,
    ) -> Self {
        Self { clock: clock.clone(), ..Self::with_clock(store, clock, keys, folder) }
    }

    /// A server with a clock that the test does not move.
    pub(crate) fn with_clock(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        keys: KeyRing,
        folder: tempfile::TempDir,
    ) -> Self {
        Self::by(HouseRules::default(), store, clock, keys, folder)
    }

    /// A server with these rules of the house.
    pub(crate) fn by(
        rules: HouseRules,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        keys: KeyRing,
        folder: tempfile::TempDir,
    ) -> Self {
        let cinema = Cinema::builder(Origin::parse("https://kino.example", OriginPolicy::Public).expect("origin"))
            .operator(
                Texts::one("en", "Kino").expect("text"),
                Contact { email: "box@kino.example".into(), website: None },
            )
            .keys(keys.clone())
            .shared_store(store.clone())
            .rules(rules)
            .receipts()
            .clock(clock)
            .build()
            .expect("builds");
        let clock = Arc::new(ManualClock::new(NOON.parse().expect("noon")));
        Self { router: cinema.router(), cinema, clock, keys, store, folder, next: 0.into() }
    }

    /// A server that gives no receipts.
    pub(crate) fn without_receipts() -> Self {
        let s = Self::new();
        let builder = Cinema::builder(s.cinema.origin().clone());
        s.again(builder)
    }

    /// The same server, that knows nothing but what is in its store.
    pub(crate) fn started_again(self) -> Self {
        let builder = Cinema::builder(self.cinema.origin().clone()).receipts();
        self.again(builder)
    }

    pub(crate) fn again(self, builder: admit_server::Builder) -> Self {
        let cinema = builder
            .operator(
                Texts::one("en", "Kino").expect("text"),
                Contact { email: "a@kino.example".into(), website: None },
            )
            .keys(self.keys.clone())
            .shared_store(self.store.clone())
            .clock(self.clock.clone())
            .build()
            .expect("builds");
        Self { router: cinema.router(), cinema, ..self }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Said {
        let response = self.router.clone().oneshot(request).await.expect("infallible");
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.expect("a body").to_vec();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Said { status: parts.status, headers: parts.headers, bytes, body }
    }

    pub(crate) async fn get(&self, secret: &str, path: &str) -> Said {
        let request = Request::get(path).header("authorization", format!("Bearer {secret}"));
        self.send(request.body(Body::empty()).expect("a request")).await
    }

    pub(crate) async fn post_with_key(&self, secret: &str, path: &str, key: &str, body: &Value) -> Said {
        let request = Request::post(path)
            .header("authorization", format!("Bearer {secret}"))
            .header("content-type", "application/json")
            .header("idempotency-key", key);
        self.send(request.body(Body::from(body.to_string())).expect("a request")).await
    }

    pub(crate) async fn post(&self, secret: &str, path: &str, body: &Value) -> Said {
        let key = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.post_with_key(secret, path, &format!("key-{key}"), body).await
    }

    pub(crate) async fn delete(&self, secret: &str, path: &str) -> Said {
        let request = Request::delete(path).header("authorization", format!("Bearer {secret}"));
        self.send(request.body(Body::empty()).expect("a request")).await
    }

    pub(crate) fn cinema_now(&self) -> jiff::Timestamp {
        self.clock.now()
    }

    pub(crate) async fn seats(&self) -> Value {
        self.get(ANNA, "/v1/screenings/eight/seats").await.body
    }

    pub(crate) async fn hold(&self, secret: &str, seats: &[&str]) -> Said {
        let seats: Vec<Value> = seats.iter().map(|s| json!({"seat": s})).collect();
        self.post(secret, "/v1/screenings/eight/holds", &json!({"seats": seats})).await
    }

    pub(crate) async fn book(&self, secret: &str, hold: &Said, total: i64) -> Said {
        self.post(secret, "/v1/screenings/eight/bookings", &book(hold, total)).await
    }

    /// A booking of one adult on each of these seats.
    pub(crate) async fn booked(&self, secret: &str, seats: &[&str]) -> Said {
        let hold = self.hold(secret, seats).await;
        assert_eq!(hold.status, 201, "{}", hold.body);
        let total = 50 + 1000 * i64::try_from(seats.len()).expect("few");
        let booking = self.book(secret, &hold, total).await;
        assert_eq!(booking.status, 201, "{}", booking.body);
        booking
    }
}

/// The path of what an answer describes.
pub(crate) fn path(said: &Said) -> String {
    said.body["url"].as_str().expect("a url").strip_prefix("https://kino.example").expect("own origin").to_owned()
}

/// Books every seat of a hold for an adult.
pub(crate) fn book(hold: &Said, total: i64) -> Value {
    let seats = hold.body["seats"].as_array().expect("seats");
    let tickets: Vec<Value> = seats.iter().map(|s| json!({"seat": s["seat"], "ticket_type": "adult"})).collect();
    json!({
        "hold": hold.body["id"], "tickets": tickets, "payment_method": "at_cinema",
        "total": {"amount": total, "currency": "EUR"},
    })
}

//! Buyers who come with a key of their own: requests that are signed.

use admit_protocol::key::SecretKey;
use admit_protocol::signature::{BUYER_TAG, Content, SignatureFields, Signing};
use axum::body::Body;
use http::Request;
use serde_json::{Value, json};

use crate::stage::{ANNA, Said, Stage, book, path};

const HOLDS: &str = "/v1/screenings/eight/holds";

/// A request before it is sent, so that a test can change what was not signed so.
struct Signed {
    method: &'static str,
    path: String,
    body: Option<Vec<u8>>,
    key: Option<String>,
    fields: SignatureFields,
    content: Option<Content>,
}

impl Signed {
    fn of(s: &Stage, by: &SecretKey, method: &'static str, path: &str, asks: Option<(&Value, &str)>) -> Self {
        Self::at(s, "kino.example", by, method, path, asks)
    }

    fn at(
        s: &Stage,
        authority: &str,
        by: &SecretKey,
        method: &'static str,
        path: &str,
        asks: Option<(&Value, &str)>,
    ) -> Self {
        let body = asks.map(|(body, _)| body.to_string().into_bytes());
        let content = body.as_ref().map(|body| Content::of("application/json", body));
        let key = asks.map(|(_, key)| key.to_owned());
        let idempotency_key = key.as_deref();
        let asked = Signing { method, authority, path, query: None, content: content.as_ref(), idempotency_key };
        let fields = asked.sign(by, BUYER_TAG, s.cinema_now(), "a-nonce-of-16-characters");
        Self { method, path: path.to_owned(), body, key, fields, content }
    }

    async fn send(self, s: &Stage) -> Said {
        let mut request = Request::builder()
            .method(self.method)
            .uri(&self.path)
            .header("signature-input", self.fields.input)
            .header("signature", self.fields.signature);
        if let Some(content) = self.content {
            request = request.header("content-digest", content.digest);
        }
        if self.body.is_some() {
            request = request.header("content-type", "application/json");
        }
        if let Some(key) = self.key {
            request = request.header("idempotency-key", key);
        }
        s.send(request.body(self.body.map_or_else(Body::empty, Body::from)).expect("a request")).await
    }
}

fn key(n: u8) -> SecretKey {
    SecretKey::from_seed(&[n; 32])
}

fn wish() -> Value {
    json!({"seats": [{"seat": "A1"}]})
}

#[tokio::test]
async fn a_key_buys_and_nobody_else_has_what_it_bought_key_001_key_006() {
    let s = Stage::new();
    let post = |path: String, body: Value, n: u8, key_of: &'static str| {
        let (s, by) = (&s, key(n));
        async move { Signed::of(s, &by, "POST", &path, Some((&body, key_of))).send(s).await }
    };
    let get = |path: String, n: u8| {
        let (s, by) = (&s, key(n));
        async move { Signed::of(s, &by, "GET", &path, None).send(s).await }
    };
    assert!(s.manifest().auth_methods.iter().any(|m| m.as_str() == "buyer_key"));
    let hold = post(HOLDS.into(), wish(), 1, "h").await;
    assert_eq!(hold.status, 201, "{}", hold.body);
    let again = post(HOLDS.into(), wish(), 1, "h").await;
    assert_eq!((&again.headers["idempotent-replayed"], &again.bytes), (&"true".parse().expect("a value"), &hold.bytes));
    let booked = post("/v1/screenings/eight/bookings".into(), book(&hold, 1050), 1, "b").await;
    assert_eq!(booked.status, 201, "{}", booked.body);
    let (booking, tickets) = (path(&booked), format!("{}/tickets", path(&booked)));
    assert_eq!(get(tickets.clone(), 1).await.body["tickets"].as_array().map(Vec::len), Some(1));
    for nobodys in [get(booking.clone(), 2).await, s.get(ANNA, &booking).await] {
        assert_eq!(nobodys.code(), "not_found");
    }
    let quote = post(format!("{booking}/cancellation_quotes"), json!({}), 1, "q").await;
    assert_eq!(quote.status, 200, "{}", quote.body);
    let cancelled = post(format!("{booking}/cancellations"), json!({"quote": quote.body["id"]}), 1, "c").await;
    assert_eq!(cancelled.body["state"], "cancelled", "{}", cancelled.body);
    let held = post(HOLDS.into(), wish(), 1, "h2").await;
    let given_back = Signed::of(&s, &key(1), "DELETE", &path(&held), None).send(&s).await;
    assert_eq!(given_back.status, 204);
}

#[tokio::test]
async fn what_was_not_signed_so_is_refused_and_changes_nothing_key_002_to_key_005() {
    let s = Stage::new();
    let wish = wish();
    let signed = || Signed::of(&s, &key(1), "POST", HOLDS, Some((&wish, "h")));
    let other = json!({"seats": [{"seat": "A2"}]}).to_string().into_bytes();
    let forged = Content::of("application/json", &other);
    let elsewhere = Signed::at(&s, "other.example", &key(1), "POST", HOLDS, Some((&wish, "h")));
    let path = "/v1/screenings/tomorrow/holds".to_owned();
    let unsigned_body = Signed { content: None, ..signed() };
    for (what, request) in [
        ("another body", Signed { body: Some(other.clone()), ..signed() }),
        ("another body, and its digest", Signed { body: Some(other), content: Some(forged), ..signed() }),
        ("no digest", unsigned_body),
        ("another path", Signed { path, ..signed() }),
        ("another key of repeated requests", Signed { key: Some("h2".into()), ..signed() }),
        ("another origin", elsewhere),
        ("another method", Signed { method: "GET", path: "/v1/screenings/eight/holds/h".into(), ..signed() }),
        (
            "no signature",
            Signed { fields: SignatureFields { signature: String::new(), ..signed().fields }, ..signed() },
        ),
    ] {
        let said = request.send(&s).await;
        assert_eq!(said.code(), "unauthenticated", "{what}: {}", said.body);
    }
    // Signed without a body, sent with one.
    let bare = Signed::of(&s, &key(1), "POST", "/v1/screenings/eight/bookings/b/cancellation_quotes", None);
    let content = Some(Content { media_type: "application/json".into(), digest: "none=:AAAA:".into() });
    assert_eq!(Signed { body: Some(b"{}".to_vec()), content, ..bare }.send(&s).await.code(), "unauthenticated");
    let late = signed();
    s.clock.advance(300);
    assert_eq!(late.send(&s).await.code(), "unauthenticated");
    assert_eq!(s.seats().await["not_free"], json!({}));
    assert_eq!(signed().send(&s).await.status, 201);
}

use axum::body::Body;
use http::Request;
use serde_json::json;

use crate::stage::{ANNA, Said, Stage};

async fn raw(s: &Stage, body: impl Into<Body>, headers: &[(&str, &str)]) -> Said {
    let mut request = Request::post("/v1/screenings/eight/holds")
        .header("authorization", format!("Bearer {ANNA}"))
        .header("idempotency-key", "k");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    s.send(request.body(body.into()).expect("a request")).await
}

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn a_body_has_a_form_and_a_size() {
    let s = Stage::new();
    assert_eq!(raw(&s, "{}", &[]).await.code(), "unsupported_media_type");
    assert_eq!(raw(&s, "{}", &[("content-type", "text/plain")]).await.code(), "unsupported_media_type");
    assert_eq!(raw(&s, "{}", &[JSON, ("content-encoding", "gzip")]).await.code(), "unsupported_media_type");
    assert_eq!(raw(&s, " ".repeat(65 * 1024), &[JSON]).await.code(), "too_large");
    for bad in ["", "{", "[]", "{\"seats\":[],\"seats\":[]}", "{\"x\":1e999}", "{\"ttl_s\":-1}", "{\"ttl_s\":1.5}"] {
        assert_eq!(raw(&s, bad, &[JSON]).await.code(), "unreadable", "{bad}");
    }
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(40), "]".repeat(40));
    assert_eq!(raw(&s, deep, &[JSON]).await.code(), "unreadable");
}

#[tokio::test]
async fn members_of_later_versions_are_ignored() {
    let s = Stage::new();
    let wish = json!({"seats": [{"seat": "A1", "com.example.cushion": true}], "com.example.note": 0.5});
    assert_eq!(s.post(ANNA, "/v1/screenings/eight/holds", &wish).await.status, 201);
}

#[tokio::test]
async fn a_secret_has_256_bits() {
    let s = Stage::new();
    for secret in ["", "short", "YWJj", "!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!"] {
        let said = s.hold(secret, &["A1"]).await;
        assert_eq!((said.status.as_u16(), said.code().as_str()), (401, "unauthenticated"), "{secret}");
    }
    let request = Request::get("/v1/screenings/eight/holds/hold_1").body(Body::empty()).expect("a request");
    let said = s.send(request).await;
    assert_eq!(
        (said.status.as_u16(), &said.headers["www-authenticate"]),
        (401, &http::HeaderValue::from_static("Bearer"))
    );
}

#[tokio::test]
async fn secrets_are_in_no_answer() {
    let s = Stage::new();
    let hold = s.hold(ANNA, &["A1"]).await;
    let booking = s.book(ANNA, &hold, 1050).await;
    for said in [hold, booking] {
        assert!(!String::from_utf8_lossy(&said.bytes).contains(ANNA));
    }
}

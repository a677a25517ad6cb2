//! Every route that takes text or JSON.

use admit_server::store::StaffStore as _;
use axum::body::Body;
use http::Request;
use serde_json::json;

use super::{answer, both, hostile, post, programme};

const CINEMA_PATHS: &[&str] = &[
    "/v1/screenings/show/holds",
    "/v1/screenings/show/bookings",
    "/v1/screenings/show/holds/hold_00000000000000000000000000000000/extensions",
    "/v1/screenings/show/bookings/book_00000000000000000000000000000000/cancellation_quotes",
    "/v1/screenings/show/bookings/book_00000000000000000000000000000000/cancellations",
    "/v1/screenings/show/scans",
];
/// Signing in is slow on purpose: one text in so many is tried.
const SIGN_IN: (&str, usize) = ("/manage/v1/sessions", 40);

#[tokio::test]
async fn texts_as_searches_ids_and_values_break_no_route() {
    let Some(hostile) = hostile("robustness: routes") else { return };
    let both = both(programme());
    // Look-alikes in handfuls: one by one they went through the parsers.
    let alikes: Vec<String> =
        hostile.look_alikes.chunks(100).map(|pairs| pairs.iter().map(|(c, _)| c.as_str()).collect()).collect();
    for (n, text) in hostile.texts.iter().chain(&alikes).enumerate() {
        let query: String = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("q", text)
            .append_pair("city", text)
            .finish();
        for path in ["/v1/cinemas", "/v1/films", "/v1/screenings"] {
            let request = Request::get(format!("{path}?{query}")).body(Body::empty());
            // Some are longer than a line of a request may be: nobody can send those.
            let Ok(request) = request else { continue };
            let (status, _) = answer(&both.index, request).await;
            assert!(!status.is_server_error(), "{path} {text:?}: {status}");
        }
        let announce = json!({"origin": text}).to_string().into_bytes();
        let (status, body) = post(&both.index, "/v1/announcements", announce).await;
        assert!(!status.is_server_error(), "{text:?}: {status} {body}");
        let sign_in = n.is_multiple_of(SIGN_IN.1).then_some(SIGN_IN.0);
        for path in CINEMA_PATHS.iter().copied().chain(sign_in) {
            for body in [
                json!(text),
                json!({"seats": [{"seat": text}], "login": text, "password": text}),
                json!({"scans": [{"id": "s", "kind": text, "code": text, "at": text}]}),
            ] {
                let (status, answer) = post(&both.cinema, path, body.to_string().into_bytes()).await;
                assert!(status.is_client_error(), "{path} {text:?}: {status} {answer}");
                assert!(answer["code"].is_string(), "{path} {text:?}: a refusal is a problem document");
            }
        }
    }
    let trail = both.store.audit(10).expect("reads");
    assert!(trail.is_empty(), "nothing is stored: {trail:?}");
}

#[tokio::test]
async fn no_json_breaks_a_route_and_none_of_it_is_stored() {
    let Some(hostile) = hostile("robustness: JSON through routes") else { return };
    let both = both(programme());
    for (name, bytes) in &hostile.json {
        for path in CINEMA_PATHS.iter().copied().chain([SIGN_IN.0]) {
            let (status, body) = post(&both.cinema, path, bytes.clone()).await;
            assert!(status.is_client_error() && body["code"].is_string(), "{name} {path}: {status} {body}");
        }
        let (status, body) = post(&both.index, "/v1/announcements", bytes.clone()).await;
        assert!(status.is_client_error() && body["code"].is_string(), "{name}: {status} {body}");
    }
    let trail = both.store.audit(10).expect("reads");
    assert!(trail.is_empty(), "nothing is stored: {trail:?}");
}

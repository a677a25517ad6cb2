//! Hostile input, made by others, through every parser that takes text or JSON from outside: no panic, no 5xx; what is
//! valid comes back unchanged, what is not gets a problem and stores nothing.

use std::io::Read as _;
use std::sync::Arc;

use admit_client::{Name, Resolve, Resolving};
use admit_index::{Index, Settings};
use admit_protocol::json::{self, Numbers};
use admit_protocol::manifest::{Contact, Manifest};
use admit_protocol::origin::{Origin, OriginPolicy};
use admit_protocol::text::{LanguageTag, Texts};
use admit_protocol::ticket::Ticket;
use admit_protocol::time::{Moment, ZoneName};
use admit_server::Cinema;
use admit_server::bundle::Bundle;
use admit_server::keys::{KeyRing, random_key};
use admit_server::management::Management;
use admit_server::store::sqlite::SqliteStore;
use axum::Router;
use axum::body::Body;
use http::{Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::data;

struct Both {
    cinema: Router,
    index: Router,
    store: Arc<SqliteStore>,
    _folder: tempfile::TempDir,
}

fn both() -> Both {
    let folder = tempfile::tempdir().expect("a folder");
    let now = jiff::Timestamp::now();
    let store = Arc::new(SqliteStore::open(&folder.path().join("cinema")).expect("opens"));
    let bundle: Bundle = serde_json::from_value(json!({
        "layouts": {"one": admit_booking::example::plan().layout()},
        "price_tables": {"evening": admit_booking::example::prices().table},
        "cinemas": [{"id": "kino", "name": {"en": "Kino"}, "zone": "Europe/Prague", "currency": "EUR",
            "address": {"street": "1", "city": {"en": "Prague"}, "country": "CZ"}, "position": {"lat_e6": 0, "lon_e6": 0},
            "halls": [{"id": "one", "name": {"en": "One"}, "layout": "one"}]}],
        "films": [{"id": "film", "title": {"en": "Film"}, "runtime_min": 90, "versions": [{"id": "v", "kind": "silent"}]}],
        "screenings": [{"id": "show", "cinema": "kino", "hall": "one", "starts": "today+2 20:00", "items": [{"film": "film"}], "price_table": "evening"}],
    }))
    .expect("a bundle");
    store.edit(&bundle.check(now).edits, now).expect("edits");
    let (keys, _) = KeyRing::generate(now).expect("random");
    let operator = Texts::one("en", "Kino").expect("text");
    let contact = Contact { email: "a@kino.example".into(), website: None };
    let origin = |host: &str| Origin::parse(&format!("https://{host}"), OriginPolicy::Public).expect("an origin");
    let cinema = Cinema::builder(origin("kino.example"))
        .operator(operator.clone(), contact.clone())
        .keys(keys)
        .shared_store(store.clone())
        .build()
        .expect("builds");
    let settings = Settings {
        origin: origin("index.example"),
        operator,
        contact,
        identity: random_key().expect("random"),
        recovery: random_key().expect("random").public(),
        origins: OriginPolicy::Public,
    };
    let store_of_index = admit_index::SqliteStore::open(folder.path()).expect("opens");
    let index = Index::open_with(settings, store_of_index, Some(Arc::new(Nowhere))).expect("opens");
    let router = cinema.router().merge(Management::new(cinema.clone(), store.clone()).router());
    Both { cinema: router, index: index.router(), store, _folder: folder }
}

/// No name leads anywhere: tests ask nobody outside.
struct Nowhere;

impl Resolve for Nowhere {
    fn resolve(&self, _: Name) -> Resolving {
        Box::pin(async { Err("no such name".into()) })
    }
}

async fn post(router: &Router, path: &str, body: Vec<u8>) -> (StatusCode, Value) {
    let request = Request::post(path)
        .header("content-type", "application/json")
        .header("authorization", "Bearer YW5uYSBhbm5hIGFubmEgYW5uYSBhbm5hIGFubmEgYWI")
        .header("idempotency-key", format!("k{}", admit_protocol::digest::ContentName::of(&body)));
    answer(router, request.body(Body::from(body)).expect("a request")).await
}

async fn answer(router: &Router, request: Request<Body>) -> (StatusCode, Value) {
    let response = router.clone().oneshot(request).await.expect("infallible");
    let status = response.status();
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("a body");
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

const CINEMA_PATHS: &[&str] = &[
    "/v1/screenings/show/holds",
    "/v1/screenings/show/bookings",
    "/v1/screenings/show/holds/hold_00000000000000000000000000000000/extensions",
    "/v1/screenings/show/bookings/book_00000000000000000000000000000000/cancellation_quotes",
    "/v1/screenings/show/bookings/book_00000000000000000000000000000000/cancellations",
    "/v1/screenings/show/scans",
    "/manage/v1/sessions",
];

fn naughty() -> Option<Vec<String>> {
    let folder = data::folder("robustness: naughty strings")?;
    let bytes = data::read(&folder.join("robustness/blns.json"));
    Some(serde_json::from_slice(&bytes).expect("an array of strings"))
}

#[test]
fn naughty_strings_are_read_back_unchanged_or_refused() {
    let Some(strings) = naughty() else { return };
    assert!(strings.len() > 500);
    for text in &strings {
        if let Ok(texts) = Texts::one("en", text) {
            let wire = serde_json::to_string(&texts).expect("writes");
            let read: Texts = json::read(wire.as_bytes(), 1 << 16, Numbers::Integers).expect("reads");
            assert_eq!(read, texts, "{text:?}");
        }
        let _ = LanguageTag::parse(text);
        let _ = Origin::parse(text, OriginPolicy::Public);
        let _ = Ticket::verify(text, |_| None);
        let _ = Ticket::verify(&format!("ADMIT1:{text}"), |_| None);
        if let Ok(zone) = ZoneName::parse(text) {
            let _ = Moment::from_local("2026-11-21T20:15", &zone);
        }
        let _ = Moment::from_local(text, &ZoneName::parse("Europe/Prague").expect("a zone"));
        let _ = admit_protocol::money::Currency::parse(text);
        let _ = admit_protocol::cinema::Country::parse(text);
        let _ = text.parse::<admit_protocol::id::SeatId>();
        let _ = text.parse::<admit_protocol::digest::ContentName>();
        let _ = text.parse::<admit_protocol::key::PublicKey>();
        let _ = admit_index::import::read_cnc(text.as_bytes());
        let _ = admit_index::import::read_geojson(
            text.as_bytes(),
            admit_protocol::cinema::Country::parse("FR").expect("FR"),
        );
    }
}

#[tokio::test]
async fn naughty_strings_as_names_searches_and_ids_break_nothing() {
    let Some(strings) = naughty() else { return };
    let both = both();
    for (n, text) in strings.iter().enumerate() {
        let query: String = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("q", text)
            .append_pair("city", text)
            .finish();
        for path in ["/v1/cinemas", "/v1/films", "/v1/screenings"] {
            let request = Request::get(format!("{path}?{query}")).body(Body::empty()).expect("a request");
            let (status, _) = answer(&both.index, request).await;
            assert!(!status.is_server_error(), "{path} {text:?}: {status}");
        }
        let (status, body) =
            post(&both.index, "/v1/announcements", json!({"origin": text}).to_string().into_bytes()).await;
        assert!(!status.is_server_error(), "{text:?}: {status} {body}");
        for path in CINEMA_PATHS {
            for body in [
                json!(text),
                json!({"seats": [{"seat": text}], "login": text, "password": text}),
                json!({"scans": [{"id": "s", "kind": text, "code": text, "at": text}]}),
            ] {
                let (status, answer) = post(&both.cinema, path, body.to_string().into_bytes()).await;
                assert!(status.is_client_error(), "{n} {path} {text:?}: {status} {answer}");
                assert!(answer["code"].is_string(), "{n} {path} {text:?}: a refusal is a problem document");
            }
        }
    }
    let trail = both.store.audit(10).expect("reads");
    assert!(trail.is_empty(), "nothing is stored: {trail:?}");
}

/// Names and bytes of the JSON test suite's files.
fn suite() -> Option<Vec<(String, Vec<u8>)>> {
    let folder = data::folder("robustness: JSON test suite")?;
    let unpacked = data::read(&folder.join("robustness/JSONTestSuite-test_parsing.tar.gz"));
    let mut archive = tar::Archive::new(&unpacked[..]);
    let mut files = Vec::new();
    for entry in archive.entries().expect("a tar file") {
        let mut entry = entry.expect("an entry");
        let name = entry.path().expect("a path").file_name().map(|n| n.to_string_lossy().into_owned());
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("reads");
        if let Some(name) = name.filter(|n| n.ends_with(".json")) {
            files.push((name, bytes));
        }
    }
    Some(files)
}

#[test]
fn json_that_must_fail_fails_and_json_that_must_parse_parses_but_for_what_we_refuse() {
    let Some(files) = suite() else { return };
    assert!(files.len() > 300);
    let mut stricter = Vec::new();
    for (name, bytes) in &files {
        let read = json::read::<Value>(bytes, 1 << 20, Numbers::Any);
        match name.as_bytes()[0] {
            b'n' => assert!(read.is_err(), "{name} must fail"),
            b'y' => match read {
                Ok(value) => assert_eq!(value, serde_json::from_slice::<Value>(bytes).expect(name), "{name}"),
                Err(_) => stricter.push(name.as_str()),
            },
            _ => {}
        }
    }
    stricter.sort_unstable();
    // Whole numbers beyond 2^53, and a member twice: valid JSON, and ambiguous messages (HTTP-004).
    let beyond = ["number", "number_real_capital_e", "number_real_exponent", "number_real_fraction_exponent"];
    let twice = ["object_duplicated_key", "object_duplicated_key_and_value", "object_extreme_numbers"];
    let expected: Vec<String> = beyond.iter().chain(&twice).map(|name| format!("y_{name}.json")).collect();
    assert_eq!(stricter, expected);
}

#[tokio::test]
async fn no_json_breaks_a_route_and_none_of_it_is_stored() {
    let Some(files) = suite() else { return };
    let both = both();
    for (name, bytes) in &files {
        for path in CINEMA_PATHS {
            let (status, body) = post(&both.cinema, path, bytes.clone()).await;
            assert!(status.is_client_error() && body["code"].is_string(), "{name} {path}: {status} {body}");
        }
        let (status, body) = post(&both.index, "/v1/announcements", bytes.clone()).await;
        assert!(status.is_client_error() && body["code"].is_string(), "{name}: {status} {body}");
        let _ = json::read::<Bundle>(bytes, 1 << 20, Numbers::Any);
        let _ = json::read::<Manifest>(bytes, 1 << 20, Numbers::Integers);
        let _ = admit_index::import::read_geojson(bytes, admit_protocol::cinema::Country::parse("FR").expect("FR"));
        let _ = admit_index::import::read_cnc(bytes);
    }
}

#[test]
fn instants_are_read_as_rfc_3339_says() {
    let Some(folder) = data::folder("robustness: instants") else { return };
    for file in [
        "atproto-datetime_syntax_invalid.txt",
        "atproto-datetime_parse_invalid.txt",
        "atproto-datetime_syntax_valid.txt",
    ] {
        let text = String::from_utf8(data::read(&folder.join("robustness").join(file))).expect("utf-8");
        for line in text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
            let wire =
                serde_json::to_string(&json!({"at": line, "local": line, "zone": "Europe/Prague"})).expect("writes");
            // Never a panic, and what is read is written as an instant that is read again.
            if let Ok(moment) = json::read::<Moment>(wire.as_bytes(), 1 << 16, Numbers::Integers) {
                let again = serde_json::to_string(&moment).expect("writes");
                assert_eq!(serde_json::from_str::<Moment>(&again).expect(&again), moment, "{line}");
            }
        }
    }
}

#[test]
fn hosts_that_are_none_are_no_origins() {
    let Some(folder) = data::folder("robustness: hosts") else { return };
    let lines = |file: &str| String::from_utf8(data::read(&folder.join("robustness").join(file))).expect("utf-8");
    for host in lines("atproto-handle_syntax_valid.txt").lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
        if let Ok(origin) = Origin::parse(&format!("https://{host}"), OriginPolicy::Public) {
            assert_eq!(origin.as_str(), format!("https://{}", host.to_ascii_lowercase()));
        }
    }
    for host in lines("atproto-handle_syntax_invalid.txt").lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let wire = serde_json::to_string(&format!("https://{host}")).expect("writes");
        // On the wire nothing is tidied up: what is accepted is exactly what was sent.
        if let Ok(origin) = serde_json::from_str::<Origin>(&wire) {
            assert_eq!(origin.as_str(), format!("https://{host}"));
        }
    }
}

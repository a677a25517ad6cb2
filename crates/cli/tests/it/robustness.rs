//! Hostile input, made by others, through every parser that takes text or JSON from outside: no panic, no 5xx; what is
//! valid comes back unchanged, what is not gets a problem and stores nothing.

mod documents;
mod names;
mod routes;
mod texts;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::Arc;

use admit_client::{Name, Resolve, Resolving};
use admit_index::{Index, Settings};
use admit_protocol::manifest::Contact;
use admit_protocol::origin::{Origin, OriginPolicy};
use admit_protocol::text::Texts;
use admit_server::Cinema;
use admit_server::bundle::Bundle;
use admit_server::keys::{KeyRing, random_key};
use admit_server::management::Management;
use admit_server::store::sqlite::SqliteStore;
use admit_server::store::{Layouts, StaffStore as _};
use axum::Router;
use axum::body::Body;
use http::{Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::data;

/// A cinema and an index, as routers.
struct Both {
    cinema: Router,
    index: Router,
    store: Arc<SqliteStore>,
    _folder: tempfile::TempDir,
}

/// A programme of one screening, which tests change.
fn programme() -> Value {
    json!({
        "layouts": {"one": admit_booking::example::plan().layout()},
        "price_tables": {"evening": admit_booking::example::prices().table},
        "cinemas": [{"id": "kino", "name": {"en": "Kino"}, "zone": "Europe/Prague", "currency": "EUR",
            "address": {"street": "1", "city": {"en": "Prague"}, "country": "CZ"}, "position": {"lat_e6": 0, "lon_e6": 0},
            "halls": [{"id": "one", "name": {"en": "One"}, "layout": "one"}]}],
        "films": [{"id": "film", "title": {"en": "Film"}, "runtime_min": 90, "versions": [{"id": "v", "kind": "silent"}]}],
        "screenings": [{"id": "show", "cinema": "kino", "hall": "one", "starts": "today+2 20:00",
            "items": [{"film": "film"}], "price_table": "evening"}],
    })
}

fn both(programme: Value) -> Both {
    let folder = tempfile::tempdir().expect("a folder");
    let now = jiff::Timestamp::now();
    let store = Arc::new(SqliteStore::open(&folder.path().join("cinema")).expect("opens"));
    let bundle: Bundle = serde_json::from_value(programme).expect("a bundle");
    store.edit(&bundle.check(now).edits, now, Layouts::Stay).expect("edits");
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
        succession: None,
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

async fn get(router: &Router, path: &str) -> (StatusCode, Value) {
    answer(router, with_secret(Request::get(path)).body(Body::empty()).expect("a request")).await
}

async fn post(router: &Router, path: &str, body: Vec<u8>) -> (StatusCode, Value) {
    let request = with_secret(Request::post(path))
        .header("content-type", "application/json")
        .header("idempotency-key", format!("k{}", admit_protocol::digest::ContentName::of(&body)));
    answer(router, request.body(Body::from(body)).expect("a request")).await
}

fn with_secret(request: http::request::Builder) -> http::request::Builder {
    request.header("authorization", "Bearer YW5uYSBhbm5hIGFubmEgYW5uYSBhbm5hIGFubmEgYWI")
}

async fn answer(router: &Router, request: Request<Body>) -> (StatusCode, Value) {
    let response = router.clone().oneshot(request).await.expect("infallible");
    let status = response.status();
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("a body");
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

/// What stands in `robustness/`, or `None`, said aloud, when the data is not here.
struct Hostile {
    /// Lines and strings of every file of text.
    texts: Vec<String>,
    /// Files that are JSON or pretend to be, by name.
    json: Vec<(String, Vec<u8>)>,
    /// Characters, and what they look like.
    look_alikes: Vec<(String, String)>,
    /// Lines of files of one kind of text each, by the file's name.
    lines: BTreeMap<String, Vec<String>>,
}

fn hostile(test: &str) -> Option<Hostile> {
    let folder = data::folder(test)?.join("robustness");
    let text = |file: &str| String::from_utf8(data::read(&folder.join(file))).expect("utf-8");
    let mut hostile = Hostile { texts: vec![], json: vec![], look_alikes: vec![], lines: BTreeMap::new() };
    // Whoever adds a file there has to say here what it is.
    for entry in std::fs::read_dir(&folder).expect("a folder") {
        let file = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        match file.as_str() {
            "blns.json" => hostile.texts.extend(serde_json::from_str::<Vec<String>>(&text(&file)).expect("strings")),
            "JSONTestSuite-test_parsing.tar.gz" => hostile.json = suite(&folder.join(&file)),
            "unicode-confusables.json.gz" => {
                let all: BTreeMap<String, Vec<Value>> = serde_json::from_str(&text(&file)).expect("characters");
                let pairs = all.iter().flat_map(|(c, like)| like.iter().map(move |l| (c.clone(), l)));
                let pairs = pairs.map(|(c, like)| (c, like["c"].as_str().expect("a character").to_owned()));
                hostile.look_alikes = pairs.collect();
            }
            "unicode-GraphemeBreakTest.txt" => hostile.texts.extend(graphemes(&text(&file))),
            name if name.ends_with(".txt") => {
                let lines = text(&file);
                let lines = lines.lines().filter(|l| !l.is_empty() && !l.starts_with('#'));
                hostile.lines.insert(file.clone(), lines.map(str::to_owned).collect());
            }
            other => panic!("{other} goes through no test"),
        }
    }
    hostile.texts.extend(hostile.lines.values().flatten().cloned());
    hostile.texts.extend(hostile.json.iter().map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned()));
    assert!(hostile.texts.len() > 1_500 && hostile.json.len() > 300 && hostile.look_alikes.len() > 9_000);
    Some(hostile)
}

/// Names and bytes of the JSON test suite's files.
fn suite(file: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    let unpacked = data::read(file);
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
    files
}

/// `÷ 0020 × 0308 ÷ 0020 ÷  # ...`: characters in hexadecimal, between signs that say where a cluster ends.
fn graphemes(text: &str) -> Vec<String> {
    let character = |word: &str| u32::from_str_radix(word, 16).ok().and_then(char::from_u32);
    let line =
        |line: &str| line.split('#').next().unwrap_or_default().split_whitespace().filter_map(character).collect();
    text.lines().map(line).filter(|text: &String| !text.is_empty()).collect()
}

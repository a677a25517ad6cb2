//! Our own server keeps every sentence that is looked at, and servers that lie about one thing each are caught.

use std::process::Command;

use serde_json::{Value, json};

use crate::liars::{Liar, failed, serve_at, suite, who_lies_is_caught};

fn programme() -> Value {
    let money = |amount: i64| json!({"amount": amount, "currency": "EUR"});
    let offer = |zone: &str, amount: i64| {
        json!({"ticket_type": "adult", "zone": zone, "base": money(amount), "total": money(amount + 150),
            "fees": [{"id": "booking", "name": {"en": "Fee"}, "amount": money(150)}]})
    };
    json!({
        "layouts": {"one": {
            "screen": {"from": {"x": 0, "y": 0}, "to": {"x": 300, "y": 0}}, "focal_point": {"x": 90, "y": 300},
            "zones": [{"id": "all", "name": {"en": "All"}}],
            "seats": [
                {"id": "A1", "row": "A", "number": "1", "x": 30, "y": 300, "zone": "all", "right": "A2", "kind": "wheelchair_space"},
                {"id": "A2", "row": "A", "number": "2", "x": 90, "y": 300, "zone": "all", "left": "A1", "right": "A3",
                    "kind": "companion", "companion_of": ["A1"]},
                {"id": "A3", "row": "A", "number": "3", "x": 150, "y": 300, "zone": "all", "left": "A2"},
            ]}},
        "price_tables": {"all": {"currency": "EUR",
            "ticket_types": [{"id": "adult", "name": {"en": "Adult"}, "audience": "adult"}], "offers": [offer("all", 1000)]}},
        "cinemas": [{"id": "kino", "name": {"en": "Kino"}, "zone": "Europe/Prague", "currency": "EUR",
            "address": {"street": "1", "city": {"en": "Prague"}, "country": "CZ"}, "position": {"lat_e6": 0, "lon_e6": 0},
            "halls": [{"id": "one", "name": {"en": "One"}, "layout": "one"}]}],
        "films": [{"id": "film", "title": {"en": "Film"}, "runtime_min": 90, "versions": [{"id": "v", "kind": "silent"}]}],
        "screenings": (1..=3).map(|n| json!({"id": format!("show-{n}"), "cinema": "kino", "hall": "one",
            "starts": format!("today+{n} 20:00"), "items": [{"film": "film"}], "price_table": "all"})).collect::<Vec<_>>(),
    })
}

/// A larger hall, whose first screening is for tests.
fn for_tests() -> Value {
    let mut programme = programme();
    let seat = |n: usize| {
        let mut seat =
            json!({"id": format!("B{n}"), "row": "B", "number": n.to_string(), "x": n * 60, "y": 400, "zone": "all"});
        (n > 1).then(|| seat["left"] = json!(format!("B{}", n - 1)));
        (n < 30).then(|| seat["right"] = json!(format!("B{}", n + 1)));
        seat
    };
    let seats = programme["layouts"]["one"]["seats"].as_array_mut().expect("seats");
    seats.extend((1..=30).map(seat));
    programme["screenings"][0]["attributes"] = json!(["test"]);
    programme["screenings"][0]["cancellation"] =
        json!({"tiers": [{"until_before_start_s": 3600, "refund_percent": 100}]});
    programme
}

/// What the suite says of a server that it only looks at.
fn look(origin: &str) -> Value {
    suite(&["server", "--url", origin])
}

#[test]
fn our_own_server_keeps_every_sentence_and_is_left_as_it_was() {
    let serving = serve_at(None, Some(&programme()));
    let report = look(&serving.origin);
    assert_eq!(failed(&report), [""; 0], "{report}");
    assert!(report["passed"].as_u64() > Some(25), "{report}");
    let again = look(&serving.origin);
    assert_eq!(report, again, "looking changes nothing");
}

#[test]
fn at_a_screening_for_tests_it_acts_and_gives_everything_back() {
    let serving = serve_at(None, Some(&for_tests()));
    let report = suite(&["server", "--url", &serving.origin, "--sandbox"]);
    assert_eq!(failed(&report), [""; 0], "{report}");
    assert!(report["passed"].as_u64() > Some(50), "{report}");
    let seats = |screening: &str| {
        let url = format!("{}/v1/screenings/{screening}/seats", serving.origin);
        let asked = Command::new("curl").args(["-s", &url]).output().expect("curl");
        serde_json::from_slice::<Value>(&asked.stdout).expect("json")
    };
    assert_eq!(seats("show-1")["not_free"], json!({}), "all is given back");
    assert_eq!(seats("show-2")["seq"], 0, "nothing was done where people sit");
}

const LIARS: &[Liar] = &[
    ("MAN-009", "the well-known document is elsewhere", |p| {
        if p.is("well-known") {
            *p.response.status_mut() = http::StatusCode::FOUND;
        }
    }),
    ("MAN-002", "the signature is of something else", |p| {
        if p.is("well-known") {
            p.edit(|jws| {
                let signature = jws["signature"].as_str().unwrap_or_default();
                let other = if signature.starts_with('A') { "B" } else { "A" };
                jws["signature"] = json!(format!("{other}{}", &signature[1..]));
            });
        }
    }),
    ("MAN-001", "the protected header says more than it may", |p| {
        if p.is("well-known") {
            p.edit(|jws| jws["protected"] = json!("eyJhbGciOiJFZERTQSIsInR5cCI6ImFkbWl0LW1hbmlmZXN0K2p3cyJ9"));
        }
    }),
    ("PROG-001", "a page of cinemas is another one", |p| {
        if p.is("cinema_pages") {
            p.edit(|page| page["cinemas"][0]["name"]["en"] = json!("Kinо"));
        }
    }),
    ("PROG-002", "screenings are out of order", |p| {
        if p.is("/programme") {
            p.edit(|page| page["screenings"].as_array_mut().map_or((), |rows| rows.reverse()));
        }
    }),
    ("PROG-002", "a film is not described", |p| {
        if p.is("/programme") {
            p.edit(|page| page["films"] = json!([]));
        }
    }),
    ("PROG-003", "a screening alone is another than in the programme", |p| {
        if p.path.ends_with("/screenings/show-1") {
            p.edit(|screening| screening["hall"] = json!("two"));
        }
    }),
    ("TIME-002", "the poster's time is an hour off", |p| {
        if p.is("/programme") || p.path.ends_with("/screenings/show-1") || p.is("/feed") {
            let text = String::from_utf8_lossy(p.response.body()).replace("T20:00", "T21:00");
            *p.response.body_mut() = text.into_bytes();
        }
    }),
    ("LAY-001", "a layout is another than its name says", |p| {
        if p.is("/layouts/") {
            p.edit(|layout| layout["seats"][0]["number"] = json!("9"));
        }
    }),
    ("PRICE-001", "a price table is another than its name says", |p| {
        if p.is("/price_tables/") {
            p.edit(|table| table["offers"][0]["total"]["amount"] = json!(1));
        }
    }),
    ("SEAT-001", "a seat is sold that the hall has not", |p| {
        if p.path.ends_with("/seats") {
            p.edit(|seats| seats["not_free"] = json!({"sold": ["Z9"]}));
        }
    }),
    ("SEAT-001", "seats are under another layout", |p| {
        if p.path.ends_with("/seats") {
            p.edit(|seats| seats["layout"] = json!("sha256-RBNvo1WzZ4oRRq0W9-hknpT7T8If536DEMBg9hyq_4o"));
        }
    }),
    ("FEED-001", "the feed leaves a screening out", |p| {
        if p.is("/feed") {
            p.edit(|feed| drop(feed["items"].as_array_mut().and_then(Vec::pop)));
        }
    }),
    ("HTTP-001", "JSON is called text", |p| {
        if p.is("cinema_pages") {
            p.header("content-type", "text/plain");
        }
    }),
    ("HTTP-010", "a refusal says not what to do", |p| {
        if p.is("nobody-shows-this") {
            p.edit(|problem| problem["detail"] = json!(""));
        }
    }),
    ("HTTP-012", "a hold that is nobody's is forbidden", |p| {
        if p.is("/holds/") {
            p.edit(|problem| problem["code"] = json!("forbidden"));
        }
    }),
    ("HTTP-013", "what is not offered is not found", |p| {
        if p.is("/waitlist") {
            p.edit(|problem| problem["code"] = json!("not_found"));
        }
    }),
    ("HTTP-020", "the server's time is missing", |p| drop(p.response.headers_mut().remove("admit-now"))),
    ("HTTP-021", "only one page may ask", |p| p.header("access-control-allow-origin", "https://one.example")),
    ("HTTP-021", "pages may ask with cookies", |p| p.header("access-control-allow-credentials", "true")),
    ("HTTP-022", "what did not change is sent again", |p| {
        if *p.response.status_mut() == http::StatusCode::NOT_MODIFIED {
            *p.response.status_mut() = http::StatusCode::OK;
        }
    }),
    ("AUTH-001", "a short secret is as good as any", |p| {
        if p.response.status() == http::StatusCode::UNAUTHORIZED {
            *p.response.status_mut() = http::StatusCode::NOT_FOUND;
        }
    }),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_lies_about_one_thing_is_caught_at_it() {
    who_lies_is_caught(Some(programme()), LIARS, |origin, _| look(origin)).await;
}

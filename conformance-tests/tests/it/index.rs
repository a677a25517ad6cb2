//! Our own index keeps every sentence that is looked at, and indexes that lie about one thing each are caught.

use serde_json::{Value, json};

use crate::liars::{Liar, Passing, failed, serve_at, suite, who_lies_is_caught};

/// Each time with names of its own.
fn act(origin: &str, seed: usize) -> Value {
    suite(&["index", "--url", origin, "--sandbox", "--seed", &seed.to_string()])
}

#[test]
fn our_own_index_keeps_every_sentence() {
    let serving = serve_at(None, None);
    let report = act(&serving.origin, 1);
    assert_eq!((failed(&report), &report["not_run"]), (vec![], &json!(0)), "{report}");
    let looked = suite(&["index", "--url", &serving.origin]);
    assert!(failed(&looked).is_empty() && looked["not_run"] == 12, "who only looks announces nothing: {looked}");
}

fn each<'a>(p: &'a mut Passing<'_>, path: &str, list: &'static str, change: impl Fn(&mut Value) + 'a) {
    if p.path.ends_with(path) {
        p.edit(|found| found[list].as_array_mut().into_iter().flatten().for_each(change));
    }
}

const LIARS: &[Liar] = &[
    ("IDX-002", "it calls itself a cinema", |p| {
        if p.is("well-known") {
            p.edit(|jws| jws["payload"] = json!("e30"));
        }
    }),
    ("IDX-001", "what is in order is not listed", |p| {
        if p.path.ends_with("/announcements") {
            p.edit(|said| said["listed"] = json!(false));
        }
    }),
    ("IDX-002", "whoever announces is listed", |p| {
        if p.path.ends_with("/announcements") {
            p.edit(|said| said["listed"] = json!(true));
        }
    }),
    ("IDX-002", "it is always the address", |p| {
        if p.path.ends_with("/announcements") {
            let first = |step: &mut Value| step["step"] = json!("address");
            p.edit(|said| said["steps"].as_array_mut().into_iter().flatten().for_each(first));
        }
    }),
    ("IDX-013", "it finds more than it is asked for", |p| {
        if p.path.ends_with("/cinemas") && p.asked("limit=1") {
            p.edit(|found| {
                let again = found["listings"].as_array().cloned().unwrap_or_default();
                found["listings"].as_array_mut().into_iter().for_each(|all| all.extend(again.clone()));
            });
        }
    }),
    ("IDX-010", "it lists a server where it was", |p| {
        let moved =
            p.path.ends_with("/announcements") && String::from_utf8_lossy(p.response.body()).contains("it moved to");
        if moved {
            p.edit(|said| said["listed"] = json!(true));
        }
    }),
    ("IDX-001", "it finds nothing by name", |p| {
        if p.path.ends_with("/cinemas") && p.asked("q=") {
            p.edit(|found| found["listings"] = json!([]));
        }
    }),
    ("IDX-013", "who pays is first, however far", |p| {
        if p.path.ends_with("/cinemas") {
            p.edit(|found| found["listings"].as_array_mut().map_or((), |l| l.reverse()));
        }
        each(p, "/cinemas", "listings", |l| l["distance_m"] = json!(7.0));
    }),
    ("IDX-005", "it passes on a manifest of its own", |p| {
        if p.path.ends_with("/manifests") {
            p.edit(|jws| jws["payload"] = json!("eyJvcmlnaW4iOiJodHRwczovL290aGVyLmV4YW1wbGUifQ"));
        }
    }),
    ("IDX-013", "its hints do not say when they were seen", |p| {
        each(p, "/screenings", "screenings", |s| s["seen_at"] = json!(null));
    }),
    ("IDX-013", "it keeps a screening to itself", |p| {
        if p.path.ends_with("/screenings") {
            p.edit(|found| drop(found["screenings"].as_array_mut().and_then(Vec::pop)));
        }
    }),
    ("IDX-013", "it knows one film less", |p| {
        if p.path.ends_with("/films") {
            p.edit(|found| found["films"] = json!([]));
        }
    }),
    ("HTTP-010", "it finds something whatever is asked", |p| {
        if p.path.ends_with("/cinemas") && !p.response.status().is_success() {
            *p.response.status_mut() = http::StatusCode::OK;
        }
    }),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_lies_about_one_thing_is_caught_at_it() {
    who_lies_is_caught(None, LIARS, act).await;
}

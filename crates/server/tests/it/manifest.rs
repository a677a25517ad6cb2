//! What a server says of itself, over changes and restarts.

use admit_server::store::{Edit, Layouts, StaffStore as _, Store as _};

use crate::catalogue::open;
use crate::stage::{ANNA, NOON, Stage, bundle};

#[tokio::test]
async fn pages_of_a_manifest_that_is_still_valid_are_answered() {
    let (store, folder) = open();
    let store = std::sync::Arc::new(store);
    let now = NOON.parse().expect("noon");
    store.edit(&bundle().check(now).edits, now, Layouts::Stay).expect("edits");
    let (keys, _) = admit_server::keys::KeyRing::generate(now).expect("randomness");
    let clock = std::sync::Arc::new(admit_server::clock::ManualClock::new(now));
    let s = Stage::with(store.clone(), clock, keys, folder);
    let before = s.manifest().cinema_pages;
    let page = format!("/v1/cinema_pages/{}", before[0]);
    let read = s.get(ANNA, &page).await;
    let mut cinema = store.catalogue().expect("a listing").cinemas.remove(0);
    cinema.website = Some("https://kino.example/new".into());
    store.edit(&[Edit::Cinema(Box::new(cinema))], now, Layouts::Stay).expect("edits");
    s.cinema.reload().await.expect("reloads");
    assert_ne!(before, s.manifest().cinema_pages);
    let again = s.get(ANNA, &page).await;
    assert_eq!((again.status, &again.bytes), (read.status, &read.bytes));
}

#[tokio::test]
async fn a_manifest_is_never_older_than_the_one_before_a_restart_whatever_the_clock_says() {
    let (store, folder) = open();
    let (store, noon) = (std::sync::Arc::new(store), NOON.parse().expect("noon"));
    store.edit(&bundle().check(noon).edits, noon, Layouts::Stay).expect("edits");
    let (keys, _) = admit_server::keys::KeyRing::generate(noon).expect("randomness");
    let publishes = |at: &str| {
        let clock = std::sync::Arc::new(admit_server::clock::ManualClock::new(at.parse().expect("an instant")));
        let folder = tempfile::tempdir().expect("a folder");
        let s = Stage::with(store.clone(), clock, keys.clone(), folder);
        (s.manifest().serial, s.cinema.manifest())
    };
    let first = publishes(NOON);
    assert_eq!(publishes("2026-11-21T11:59:59Z"), first, "it says the same, and is good still");
    let mut cinema = store.catalogue().expect("a listing").cinemas.remove(0);
    cinema.website = Some("https://kino.example/new".into());
    store.edit(&[Edit::Cinema(Box::new(cinema))], noon, Layouts::Stay).expect("edits");
    let second = publishes("2026-11-21T11:00:00Z");
    assert!(second.0 > first.0, "{} after {}", second.0, first.0);
    drop(folder);
}

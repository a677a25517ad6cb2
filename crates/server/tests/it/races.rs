use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::stage::{On, Stage};

fn secret(n: usize) -> String {
    URL_SAFE_NO_PAD.encode([u8::try_from(n).expect("few"); 32])
}

async fn last_seat(on: On) {
    let s = Arc::new(Stage::on(on));
    let buyers: Vec<_> = (0..64)
        .map(|n| {
            let s = s.clone();
            tokio::spawn(async move { s.hold(&secret(n), &["A1", "A2"]).await })
        })
        .collect();
    let mut codes: BTreeMap<String, usize> = BTreeMap::new();
    for buyer in buyers {
        *codes.entry(buyer.await.expect("runs").code()).or_default() += 1;
    }
    assert_eq!(codes, BTreeMap::from([("201".into(), 1), ("seats_taken".into(), 63)]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_all_who_want_the_last_seats_one_gets_them_in_memory() {
    last_seat(On::Memory).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_all_who_want_the_last_seats_one_gets_them_on_sqlite() {
    last_seat(On::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn overlapping_wishes_are_never_met_in_part() {
    let s = Arc::new(Stage::new());
    let row = ["A1", "A2", "A3", "A4"];
    let buyers: Vec<_> = (0..48)
        .map(|n| {
            let s = s.clone();
            tokio::spawn(async move { s.hold(&secret(n), &[row[n % 4], row[(n + 1) % 4]]).await })
        })
        .collect();
    let mut got: Vec<String> = Vec::new();
    for buyer in buyers {
        let said = buyer.await.expect("runs");
        if said.status == 201 {
            let seats = said.body["seats"].as_array().expect("seats").iter();
            got.extend(seats.map(|seat| seat["seat"].as_str().expect("a seat").to_owned()));
        }
    }
    let count = got.len();
    got.sort();
    got.dedup();
    assert_eq!(got.len(), count, "no seat twice");
    let held = s.seats().await["not_free"]["held"].as_array().map_or(0, Vec::len);
    assert_eq!(held, count, "nobody holds in part");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn booking_and_giving_back_at_once_ends_one_way() {
    for _ in 0..10 {
        let s = Arc::new(Stage::new());
        let hold = Arc::new(s.hold(&secret(1), &["A1"]).await);
        let book = tokio::spawn({
            let (s, hold) = (s.clone(), hold.clone());
            async move { s.book(&secret(1), &hold, 1050).await.code() }
        });
        let give_back = tokio::spawn({
            let (s, hold) = (s.clone(), hold.clone());
            async move { s.delete(&secret(1), &crate::stage::path(&hold)).await.code() }
        });
        let ends = (book.await.expect("runs"), give_back.await.expect("runs"));
        let ends = (ends.0.as_str(), ends.1.as_str());
        assert!(matches!(ends, ("201", "hold_converted") | ("hold_expired", "204")), "{ends:?}");
    }
}

//! Receipts, and the log of who had which seat, over HTTP: on whichever database.

use std::collections::BTreeSet;

use admit_protocol::capability::Capability;
use admit_protocol::hold::HoldState;
use admit_protocol::id::{HoldId, SeatId};
use admit_protocol::jws::Jws;
use admit_protocol::receipt::{RECEIPT_BYTES_MAX, RECEIPT_TYP, Receipt, SeatLog, SeatLogEntry, SeatLogPage, hold_name};
use admit_server::store::{Layouts, StoreError};
use axum::Router;
use axum::body::Body;
use http::Request;
use serde_json::json;
use tower::ServiceExt as _;

use crate::exchange::{confirm, exchanging, quote, wish};
use crate::management::{Office, PASSWORD};
use crate::on::On;
use crate::stage::{ANNA, BEN, Said, Stage, path};

/// Everything that the log has, page after page, read as a client reads it.
pub(crate) async fn seat_log(router: &Router, screening: &str) -> SeatLog {
    let mut log = SeatLog::new(screening.parse().expect("an id"));
    loop {
        let at = format!("/v1/screenings/{screening}/seat_log?after={}", log.seq());
        let answer = router.clone().oneshot(Request::get(at).body(Body::empty()).expect("a request")).await;
        let bytes = axum::body::to_bytes(answer.expect("infallible").into_body(), usize::MAX).await.expect("a body");
        let page: SeatLogPage = serde_json::from_slice(&bytes).expect("a page");
        page.entries.iter().for_each(|entry| log.read(entry).expect("what an honest server says"));
        if !page.more {
            return log;
        }
    }
}

async fn log(s: &Stage) -> SeatLog {
    seat_log(&s.router, "eight").await
}

async fn receipt(s: &Stage, secret: &str, hold: &Said) -> Receipt {
    let said = s.get(secret, &format!("{}/receipt", path(hold))).await;
    assert_eq!(said.status, 200, "{}", said.body);
    let jws: Jws = serde_json::from_slice(&said.bytes).expect("a jws");
    let identity = s.manifest().keys.identity;
    jws.open(RECEIPT_TYP, RECEIPT_BYTES_MAX, |id| (*id == identity.id()).then_some(identity)).expect("signed so")
}

fn id(hold: &Said) -> HoldId {
    serde_json::from_value(hold.body["id"].clone()).expect("an id")
}

fn seats(names: &[&str]) -> BTreeSet<SeatId> {
    names.iter().map(|name| name.parse().expect("an id")).collect()
}

#[tokio::test]
async fn receipts_are_of_what_is_and_stay_true_of_what_was() {
    let s = Stage::new();
    let hold = s.hold(ANNA, &["A1", "A2"]).await;
    let held = receipt(&s, ANNA, &hold).await;
    assert_eq!((held.state, held.seats.len()), (HoldState::Active, 2));
    assert_eq!(held.expires_at.map(|at| json!(at)), Some(hold.body["expires_at"].clone()));
    assert_eq!(s.get(BEN, &format!("{}/receipt", path(&hold))).await.code(), "not_found");
    let booking = s.book(ANNA, &hold, 2050).await;
    let booked = receipt(&s, ANNA, &hold).await;
    assert_eq!(
        (booked.state, booked.head, booked.expires_at),
        (HoldState::Converted, held.head, None),
        "no seat changed hands"
    );
    let some = json!({"seats": ["A1"]});
    let quoted = s.post(ANNA, &format!("{}/cancellation_quotes", path(&booking)), &some).await;
    let cancel = json!({"quote": quoted.body["id"]});
    assert_eq!(s.post(ANNA, &format!("{}/cancellations", path(&booking)), &cancel).await.status, 200);
    let left = receipt(&s, ANNA, &hold).await;
    assert_eq!(left.seats, ["A2".parse().expect("an id")]);
    let bens = s.hold(BEN, &["A1"]).await;
    let log = log(&s).await;
    for receipt in [&held, &booked, &left, &receipt(&s, BEN, &bens).await] {
        log.bears_out(receipt).expect("as it was signed");
    }
    let forged = Receipt { seats: vec!["A3".parse().expect("an id")], ..held };
    assert!(log.bears_out(&forged).is_err());
    assert_eq!(log.seats_of(hold_name(&id(&hold)), log.seq()), seats(&["A2"]));
    assert_eq!(log.seats_of(hold_name(&id(&bens)), log.seq()), seats(&["A1"]));
}

#[tokio::test]
async fn what_is_over_has_no_receipt_and_is_free_in_the_log() {
    let s = Stage::new();
    let (gone, late) = (s.hold(ANNA, &["A1"]).await, s.hold(BEN, &["A2"]).await);
    assert_eq!(s.delete(ANNA, &path(&gone)).await.status, 204);
    assert_eq!(s.get(ANNA, &format!("{}/receipt", path(&gone))).await.code(), "hold_expired");
    s.clock.advance(3600);
    assert_eq!(s.get(BEN, &format!("{}/receipt", path(&late))).await.code(), "hold_expired");
    let log = log(&s).await;
    assert_eq!(log.entries(), 4);
    for hold in [&gone, &late] {
        assert_eq!(log.seats_of(hold_name(&id(hold)), log.seq()), seats(&[]));
    }
}

#[tokio::test]
async fn what_is_offered_to_who_waits_is_theirs_in_the_log() {
    let s = Stage::new();
    let booking = s.booked(ANNA, &["A1", "A2", "A3", "A4"]).await;
    s.booked(BEN, &["B1", "B2", "B3", "B4"]).await;
    let party = "d2FpdHdhaXR3YWl0d2FpdHdhaXR3YWl0d2FpdHdhaTE";
    let wish = json!({"best": {"count": 2, "zones": ["std"]}});
    let entry = s.post(party, "/v1/screenings/eight/waitlist", &wish).await;
    assert_eq!(entry.status, 201, "{}", entry.body);
    let quoted = s.post(ANNA, &format!("{}/cancellation_quotes", path(&booking)), &json!({})).await;
    let cancel = json!({"quote": quoted.body["id"]});
    assert_eq!(s.post(ANNA, &format!("{}/cancellations", path(&booking)), &cancel).await.status, 200);
    let offered = s.get(party, &path(&entry)).await;
    let hold: HoldId = serde_json::from_value(offered.body["offer"]["hold"].clone())
        .unwrap_or_else(|e| panic!("{e}: {}", offered.body));
    let log = log(&s).await;
    let theirs = s.get(party, &format!("/v1/screenings/eight/holds/{hold}")).await;
    log.bears_out(&receipt(&s, party, &theirs).await).expect("freed and offered in one change");
    assert_eq!(log.seats_of(hold_name(&hold), log.seq()).len(), 2);
}

#[tokio::test]
async fn an_exchange_is_in_the_logs_of_both_screenings() {
    let s = Stage::of(&exchanging(), On::usual());
    let old = s.booked(ANNA, &["A1"]).await;
    let held = crate::exchange::hold(&s, ANNA, "tomorrow", "A3").await;
    let wish = wish(&held, &[]);
    let quoted = quote(&s, ANNA, &old, &wish).await;
    let made = confirm(&s, ANNA, &old, "once", &quoted, &wish).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let (here, there) = (log(&s).await, seat_log(&s.router, "tomorrow").await);
    assert_eq!(here.entries(), 2, "taken, and given");
    let receipt = receipt(&s, ANNA, &held).await;
    assert_eq!(receipt.state, HoldState::Converted);
    there.bears_out(&receipt).expect("as it was signed");
}

#[tokio::test]
async fn the_log_goes_on_where_one_has_read_to_and_never_changes() {
    let s = Stage::new();
    let mut texts: Vec<String> = Vec::new();
    for round in 0..3 {
        let hold = s.hold(ANNA, &["A1"]).await;
        assert_eq!(s.delete(ANNA, &path(&hold)).await.status, 204, "{round}");
        let page = s.get(BEN, "/v1/screenings/eight/seat_log").await;
        let page: SeatLogPage = serde_json::from_slice(&page.bytes).expect("a page");
        assert_eq!((page.entries.len(), page.more), (texts.len() + 2, false));
        assert_eq!(page.entries[..texts.len()], texts[..]);
        texts = page.entries;
        let last: SeatLogEntry = serde_json::from_str(&texts[texts.len() - 2]).expect("an entry");
        let rest = s.get(BEN, &format!("/v1/screenings/eight/seat_log?after={}", last.seq)).await;
        assert_eq!(rest.body["entries"], json!(texts[texts.len() - 1..]));
    }
    assert_eq!(s.get(BEN, "/v1/screenings/eight/seat_log?after=-1").await.status, 400);
}

#[tokio::test]
async fn who_gives_no_receipts_says_so() {
    let s = Stage::without_receipts();
    assert!(!s.manifest().capabilities.contains(&Capability::Receipts));
    let hold = s.hold(ANNA, &["A1"]).await;
    for at in ["/v1/screenings/eight/seat_log".to_owned(), format!("{}/receipt", path(&hold))] {
        assert_eq!(s.get(ANNA, &at).await.code(), "capability_not_offered");
    }
}

/// What a process that has just started reads, of whatever was done before.
#[tokio::test]
async fn pages_are_of_a_thousand_entries_and_the_same_after_a_restart() {
    let s = Stage::new();
    for _ in 0..505 {
        let hold = s.hold(ANNA, &["A1"]).await;
        assert_eq!(s.delete(ANNA, &path(&hold)).await.status, 204);
    }
    let hold = s.hold(ANNA, &["A1"]).await;
    let pages = async |s: &Stage| {
        let first = s.get(BEN, "/v1/screenings/eight/seat_log?after=0").await;
        let first: SeatLogPage = serde_json::from_slice(&first.bytes).expect("a page");
        let second = s.get(BEN, "/v1/screenings/eight/seat_log?after=1000").await;
        (first, serde_json::from_slice::<SeatLogPage>(&second.bytes).expect("a page"))
    };
    let (first, second) = pages(&s).await;
    assert_eq!((first.entries.len(), first.more), (1000, true));
    assert_eq!((second.entries.len(), second.more), (11, false));
    // From the middle, and from a mark on.
    let middle = s.get(BEN, "/v1/screenings/eight/seat_log?after=600").await;
    let middle: SeatLogPage = serde_json::from_slice(&middle.bytes).expect("a page");
    assert_eq!(middle.entries, [&first.entries[600..], &second.entries[..]].concat());
    let before = receipt(&s, ANNA, &hold).await;
    let s = s.started_again();
    assert_eq!(pages(&s).await, (first, second));
    let after = receipt(&s, ANNA, &hold).await;
    assert_eq!((before.seq, before.head), (after.seq, after.head));
    log(&s).await.bears_out(&before).expect("as it was signed");
}

/// S7: what is in the log is of this layout, also where nothing is left of it.
#[tokio::test]
async fn who_took_a_seat_off_sale_and_gave_it_back_keeps_the_layout() {
    let office = Office::new();
    let session = office.sign_in("box_office", PASSWORD).await.expect("signs in");
    let seats = json!({"seats": ["B4"], "reason": "house"});
    for what in ["blocks", "unblocks"] {
        let said = office.post(&session, &format!("/screenings/eight/{what}"), &seats).await;
        assert!(said.status.is_success(), "{}", said.body);
    }
    assert_eq!(log(&office.stage).await.entries(), 2);
    let now = office.stage.cinema_now();
    let smaller = crate::catalogue::smaller_hall().check(now);
    let Err(StoreError::Refused(why)) = office.store.edit(&smaller.edits, now, Layouts::MayChange) else {
        panic!("a layout changed")
    };
    assert!(why.contains("somebody had a seat in it"), "{why}");
}

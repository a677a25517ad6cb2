use admit_protocol::door::{AllowList, AllowState};
use serde_json::{Value, json};

use crate::stage::{ANNA, DOOR, Said, Stage, path};

async fn code(s: &Stage, booking: &Said) -> String {
    let tickets = s.get(ANNA, &format!("{}/tickets", path(booking))).await;
    tickets.body["tickets"][0]["code"].as_str().expect("a code").to_owned()
}

async fn scan(s: &Stage, id: &str, code: &str) -> Value {
    let body = json!({"scans": [{"id": id, "kind": "entry", "code": code, "at": "2026-11-21T19:00:00Z"}]});
    let said = s.post(DOOR, "/v1/screenings/eight/scans", &body).await;
    assert_eq!(said.status, 200, "{}", said.body);
    said.body["results"][0].clone()
}

#[tokio::test]
async fn who_has_not_paid_does_not_come_in() {
    let s = Stage::new();
    let booking = s.booked(ANNA, &["A1"]).await;
    let code = code(&s, &booking).await;
    assert_eq!(scan(&s, "s1", &code).await["verdict"], "unpaid");
    assert_eq!(scan(&s, "s2", "ADMIT1:ABC").await["verdict"], "invalid");
}

#[tokio::test]
async fn a_repeated_upload_gets_the_same_result() {
    let s = Stage::new();
    let booking = s.booked(ANNA, &["A1"]).await;
    let code = code(&s, &booking).await;
    let first = scan(&s, "s1", &code).await;
    assert_eq!(scan(&s, "s1", &code).await, first);
}

#[tokio::test]
async fn the_allow_list_is_signed_by_the_ticket_key() {
    let s = Stage::new();
    s.booked(ANNA, &["A1"]).await;
    let said = s.get(DOOR, "/v1/screenings/eight/allow_list").await;
    let list = AllowList::verify(&said.bytes, |_| [s.keys.ticket[0].0.public()]).expect("signed");
    assert_eq!(list.entries.iter().map(|e| e.state).collect::<Vec<_>>(), [AllowState::Unpaid]);
}

#[tokio::test]
async fn the_door_is_for_scanners() {
    let s = Stage::new();
    for said in [
        s.get(ANNA, "/v1/screenings/eight/allow_list").await,
        s.post("nobody", "/v1/screenings/eight/scans", &json!({"scans": []})).await,
    ] {
        assert_eq!((said.status.as_u16(), said.code().as_str()), (401, "unauthenticated"));
    }
    let undo_of_nothing = json!({"scans": [{"id": "s1", "kind": "undo", "at": "2026-11-21T19:00:00Z"}]});
    assert_eq!(s.post(DOOR, "/v1/screenings/eight/scans", &undo_of_nothing).await.code(), "invalid");
}

//! Replies that are lost, late, garbled or somebody else's: whatever comes, a booking that was made is found again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use admit_client::{Client, ClientError, Options, Wallet, WalletError};
use admit_protocol::booking::{Book, TicketChoice};
use admit_protocol::capability::PaymentMethod;
use admit_protocol::hold::{HoldState, PlaceHold, SeatWish};
use admit_protocol::manifest::Contact;
use admit_protocol::origin::{Origin, OriginPolicy};
use admit_protocol::text::Texts;
use admit_server::Cinema;
use admit_server::bundle::Bundle;
use admit_server::keys::KeyRing;
use admit_server::store::sqlite::SqliteStore;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use http::Method;
use serde_json::json;

use crate::folder::programme;

/// What happens to one request on its way.
#[derive(Clone, Copy)]
enum Way {
    /// It is done, and the answer is lost behind a gateway.
    Lost,
    /// It is done, and the answer cannot be read.
    Garbled,
    /// It does not arrive; somebody in between says this.
    Instead(u16, &'static str),
}

type Script = Arc<Mutex<VecDeque<Way>>>;

async fn on_the_way(State(script): State<Script>, request: Request, next: Next) -> Response {
    let way = if request.method() == Method::POST { script.lock().expect("not poisoned").pop_front() } else { None };
    let said = |status: u16, media: &str, body: &'static str| {
        let response = Response::builder().status(status).header("content-type", media);
        response.body(Body::from(body)).expect("a response")
    };
    match way {
        None => next.run(request).await,
        Some(Way::Lost) => {
            next.run(request).await;
            said(502, "text/html", "<h1>Bad gateway</h1>")
        }
        Some(Way::Garbled) => {
            let status = next.run(request).await.status();
            said(status.as_u16(), "application/json", "{\"id\": ")
        }
        Some(Way::Instead(status, "")) => said(status, "text/html", "<h1>No</h1>"),
        Some(Way::Instead(status, problem)) => said(status, "application/problem+json", problem),
    }
}

const SLOW_DOWN: &str = r#"{"type": "urn:x", "code": "rate_limited", "status": 429, "title": "Too many", "detail": "d", "retryable": true}"#;
const BUSY: &str = r#"{"type": "urn:x", "code": "busy", "status": 503, "title": "Busy", "detail": "d", "retryable": true, "retry_after_ms": 1}"#;
const FUTURE: &str =
    r#"{"type": "urn:x", "code": "failover_under_way", "status": 503, "title": "T", "detail": "d", "retryable": true}"#;

#[tokio::test]
async fn a_booking_whose_answer_went_astray_is_found_by_asking_again() {
    let ways: [(&str, &[Way]); 7] = [
        ("lost, then told to slow down", &[Way::Lost, Way::Instead(429, SLOW_DOWN)]),
        ("lost, then busy", &[Way::Lost, Way::Instead(503, BUSY), Way::Instead(503, BUSY)]),
        ("lost, then a page of somebody's", &[Way::Lost, Way::Instead(404, "")]),
        ("lost, then a word of the future", &[Way::Lost, Way::Instead(503, FUTURE), Way::Instead(503, FUTURE)]),
        (
            "a word of the future at once",
            &[Way::Instead(503, FUTURE), Way::Instead(503, FUTURE), Way::Instead(503, FUTURE)],
        ),
        ("garbled", &[Way::Garbled]),
        ("lost for good", &[Way::Lost, Way::Lost, Way::Lost]),
    ];
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("its address"));
    let folder = tempfile::tempdir().expect("a folder");
    let now = jiff::Timestamp::now();
    let store = SqliteStore::open(&folder.path().join("cinema")).expect("opens");
    let bundle: Bundle = serde_json::from_value(programme(10, 1)).expect("a bundle");
    store.edit(&bundle.check(now).edits, now).expect("edits");
    let cinema = Cinema::builder(Origin::parse(&origin, OriginPolicy::Loopback).expect("an origin"))
        .development()
        .operator(Texts::one("en", "K").expect("text"), Contact { email: "a@b.example".into(), website: None })
        .keys(KeyRing::generate(now).expect("random").0)
        .store(store)
        .build()
        .expect("builds");
    let script = Script::default();
    let router = cinema.router().layer(from_fn_with_state(script.clone(), on_the_way));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let options = Options { origins: OriginPolicy::Loopback, tries: 3, ..Options::default() };
    let server = Client::new(options).expect("a client").server(&origin, None).await.expect("a server");
    let wallet = Wallet::open(&folder.path().join("wallet.json")).expect("opens");
    let screening = "show-0".parse().expect("an id");
    for (n, (what, ways)) in ways.into_iter().enumerate() {
        let seats = vec![SeatWish {
            seat: format!("{}-1", n + 1).parse().expect("an id"),
            ticket_type: Some("adult".parse().expect("an id")),
        }];
        let wish = PlaceHold { seats, ..PlaceHold::default() };
        // The same on the way to a hold: the purchase is kept, and found out.
        *script.lock().expect("not poisoned") = ways.iter().copied().collect();
        let held = wallet.hold(&server, screening, what, wish).await;
        let unknown = matches!(held, Err(WalletError::Client(ClientError::OutcomeUnknown { .. })));
        script.lock().expect("not poisoned").clear();
        let purchase = wallet.purchases().expect("reads").pop().expect(what);
        assert!(purchase.title == what && purchase.is_open() && unknown, "{what}: {held:?}");
        let purchase = wallet.resume(&server, purchase.number).await.expect(what);
        let hold = purchase.hold.expect("held");
        let book = Book {
            hold: hold.id,
            tickets: hold
                .quote
                .iter()
                .flat_map(|q| &q.lines)
                .map(|l| TicketChoice { seat: l.seat, ticket_type: l.ticket_type })
                .collect(),
            total: hold.quote.as_ref().expect("a price").total,
            payment_method: PaymentMethod::AtCinema,
            buyer: None,
        };
        *script.lock().expect("not poisoned") = ways.iter().copied().collect();
        let booked = wallet.book(&server, purchase.number, book).await;
        script.lock().expect("not poisoned").clear();
        let unknown = matches!(booked, Err(WalletError::Client(ClientError::OutcomeUnknown { .. })));
        assert!(unknown && wallet.purchase(purchase.number).expect("kept").is_open(), "{what}: {booked:?}");
        let resumed = wallet.resume(&server, purchase.number).await.expect(what);
        let booking = resumed.booking.expect(what);
        // HOLD-010: also who has only the hold finds the booking.
        let seen = server.hold(screening, &purchase.secret, hold.id).await.expect(what);
        assert_eq!((seen.state, seen.booking), (HoldState::Converted, Some(booking.id)), "{what}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_not_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let crowd = crate::folder::Folder::new(2, 1);
    let serving = crowd.serve();
    let met = crowd.meet(&crate::folder::client(2)).await;
    let manifest = crate::folder::client(2).manifest(met.origin()).await.expect("a manifest");
    serving.kill();
    // With a connection of before, nobody can know whether the last request arrived; a fresh client has none.
    let server = crate::folder::client(2).server_from(met.origin(), &manifest, None).expect("a server");
    let wallet = Wallet::open(&folder.path().join("wallet.json")).expect("opens");
    let wish: PlaceHold = serde_json::from_value(json!({"seats": [{"seat": "1-1"}]})).expect("a wish");
    let nobody = wallet.hold(&server, "show-0".parse().expect("an id"), "t", wish).await;
    assert!(matches!(nobody, Err(WalletError::Client(ClientError::Unreachable { .. }))), "{nobody:?}");
    assert!(wallet.purchases().expect("reads").is_empty(), "nothing was sent, nothing is open");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_waited_for_so_long_and_no_longer() {
    // It takes connections, and never answers.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("its address"));
    let deadline = std::time::Duration::from_millis(400);
    let options = Options { origins: OriginPolicy::Loopback, deadline, ..Options::default() };
    let client = Client::new(options).expect("a client");
    // Without a deadline, six tries of ten seconds each: the test would run into its own end.
    let met = tokio::time::timeout(std::time::Duration::from_secs(9), client.server(&origin, None)).await;
    assert!(matches!(met, Ok(Err(ClientError::Unreachable { .. }))), "{met:?}");
}

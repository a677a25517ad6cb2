//! Replies that are lost, late, garbled or somebody else's: whatever comes, a booking that was made is found again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use admit_client::{Client, ClientError, Options, Purchase, Server, Wallet, WalletError, Which};
use admit_protocol::booking::{Book, BookingState, Buyer, TicketChoice};
use admit_protocol::capability::PaymentMethod;
use admit_protocol::exchange::{Exchange, QuoteExchange};
use admit_protocol::hold::{ExtendHold, HoldState, PlaceHold, SeatWish};
use admit_protocol::manifest::Contact;
use admit_protocol::origin::{Origin, OriginPolicy};
use admit_protocol::text::Texts;
use admit_server::Cinema;
use admit_server::bundle::Bundle;
use admit_server::keys::KeyRing;
use admit_server::store::sqlite::SqliteStore;
use admit_server::store::{Layouts, StaffStore as _};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use http::Method;
use serde_json::{Value, json};

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

/// A cinema behind a way on which things get lost, and a wallet.
struct Stage {
    script: Script,
    server: Server,
    wallet: Wallet,
    client: Client,
    folder: tempfile::TempDir,
}

impl Stage {
    async fn new() -> Self {
        Self::of(|_| ()).await
    }

    async fn of(change: impl FnOnce(&mut Value)) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let origin = format!("http://{}", listener.local_addr().expect("its address"));
        let folder = tempfile::tempdir().expect("a folder");
        let now = jiff::Timestamp::now();
        let store = SqliteStore::open(&folder.path().join("cinema")).expect("opens");
        let mut programme = programme(10, 1);
        change(&mut programme);
        let bundle: Bundle = serde_json::from_value(programme).expect("a bundle");
        store.edit(&bundle.check(now).edits, now, Layouts::Stay).expect("edits");
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
        let client = Client::new(options).expect("a client");
        let wallet = Wallet::open(&folder.path().join("wallet.json")).expect("opens");
        let server = wallet.meet(&client, &origin).await.expect("a server");
        Self { script, server, wallet, client, folder }
    }

    fn play(&self, ways: &[Way]) {
        *self.script.lock().expect("not poisoned") = ways.iter().copied().collect();
    }

    /// Two seats held for adults.
    async fn held(&self) -> Purchase {
        let seats =
            json!({"seats": [{"seat": "1-1", "ticket_type": "adult"}, {"seat": "1-2", "ticket_type": "adult"}]});
        let wish: PlaceHold = serde_json::from_value(seats).expect("a wish");
        self.wallet.hold(&self.server, "show-0".parse().expect("an id"), "t", wish).await.expect("held")
    }
}

fn book_of(purchase: &Purchase) -> Book {
    Book::of(purchase.hold.as_ref().expect("held"), PaymentMethod::AtCinema).expect("a price")
}

const LOST: [Way; 3] = [Way::Lost, Way::Lost, Way::Lost];

#[tokio::test]
async fn who_says_come_again_later_does_not_say_what_became_of_it() {
    for (what, no) in [
        ("slow down", Way::Instead(429, SLOW_DOWN)),
        ("busy", Way::Instead(503, BUSY)),
        ("a page", Way::Instead(404, "")),
    ] {
        let s = Stage::new().await;
        let number = s.held().await.number;
        s.play(&LOST);
        s.wallet.book(&s.server, number, book_of(&s.wallet.purchase(number).expect("kept"))).await.expect_err("lost");
        // The program dies here. Its next life meets a limit first.
        s.play(&[no, no, no]);
        s.wallet.resume(&s.server, number).await.expect_err(what);
        s.play(&[]);
        s.wallet.forget_lapsed(&s.server).expect("reads");
        assert!(s.wallet.purchase(number).expect(what).is_open(), "{what}");
        assert!(s.wallet.resume(&s.server, number).await.expect(what).booking.is_some(), "{what}");
        // The same for a cancellation.
        let purchase = s.wallet.purchase(number).expect("kept");
        let booking = purchase.booking.as_ref().expect("booked").id;
        let quote = s.server.quote_cancellation(purchase.screening, &purchase.secret, booking, Which::All).await;
        s.play(&LOST);
        s.wallet.cancel(&s.server, number, quote.expect("a quote").id).await.expect_err("lost");
        s.play(&[no, no, no]);
        s.wallet.resume(&s.server, number).await.expect_err(what);
        s.play(&[]);
        let now = s.wallet.resume(&s.server, number).await.expect(what).booking.expect(what);
        assert_eq!(now.state, BookingState::Cancelled, "{what}");
    }
}

#[tokio::test]
async fn another_choice_finds_the_booking_that_nobody_heard_of() {
    let s = Stage::new().await;
    let number = s.held().await.number;
    let book = book_of(&s.wallet.purchase(number).expect("kept"));
    s.play(&LOST);
    s.wallet.book(&s.server, number, book.clone()).await.expect_err("lost");
    s.play(&[]);
    let named = Book { buyer: Some(Buyer { name: Some("Anna".into()), ..Buyer::default() }), ..book };
    let before = s.wallet.book(&s.server, number, named).await;
    let Err(WalletError::BookedBefore(before)) = before else { panic!("{before:?}") };
    assert_eq!(s.wallet.purchase(number).expect("kept").booking.map(|b| b.id), Some(before.id));
    // Also when the file has neither booking nor key any more, as one from a backup: the hold knows its booking (HOLD-010).
    let path = s.folder.path().join("wallet.json");
    let mut pages: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).expect("reads")).expect("json");
    (pages["purchases"][0]["booking"], pages["purchases"][0]["book_request"]) = (json!(null), json!(null));
    std::fs::write(&path, pages.to_string()).expect("writes");
    let again = book_of(&s.wallet.purchase(number).expect("kept"));
    let again = s.wallet.book(&s.server, number, again).await;
    assert!(matches!(&again, Err(WalletError::BookedBefore(b)) if b.id == before.id), "{again:?}");
}

#[tokio::test]
async fn what_is_left_of_a_booking_opens_the_door_without_a_network() {
    let s = Stage::new().await;
    let number = s.held().await.number;
    let longer = s.wallet.extend(&s.server, number, &ExtendHold { ttl_s: Some(600) }).await.expect("extended");
    let purchase = s.wallet.purchase(number).expect("kept");
    assert_eq!(purchase.hold.as_ref().map(|h| h.expires_at), Some(longer.expires_at));
    let booking = s.wallet.book(&s.server, number, book_of(&purchase)).await.expect("booked");
    s.wallet.refresh(&s.server, number).await.expect("tickets");
    let seat = booking.lines[0].seat;
    let which = Which::Seats(vec![seat]);
    let nobody =
        s.server.quote_cancellation(purchase.screening, &purchase.secret, booking.id, Which::Seats(vec![])).await;
    assert!(matches!(nobody, Err(ClientError::Empty)), "no seat is not all seats: {nobody:?}");
    let quote =
        s.server.quote_cancellation(purchase.screening, &purchase.secret, booking.id, which).await.expect("quote");
    s.wallet.cancel(&s.server, number, quote.id).await.expect("cancelled");
    let kept = s.wallet.purchase(number).expect("kept").tickets.expect("kept").tickets;
    assert!(kept.len() == 1 && kept[0].seat != seat, "{kept:?}");
    // A new program, and no network: keys and tickets are in the file.
    let again = Wallet::open(&s.folder.path().join("wallet.json")).expect("opens");
    let ticket = again.read_ticket(s.server.origin(), &kept[0].code, jiff::Timestamp::now()).expect("genuine");
    assert_eq!(ticket.id, kept[0].id);
    let elsewhere = Origin::parse("http://127.0.0.1:9", OriginPolicy::Loopback).expect("an origin");
    assert!(again.read_ticket(&elsewhere, &kept[0].code, jiff::Timestamp::now()).is_err());
    assert!(again.meet(&s.client, s.server.origin().as_str()).await.is_ok());
}

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
    let Stage { script, server, wallet, folder: _folder, client: _ } = Stage::new().await;
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
        let book = Book::of(&hold, PaymentMethod::AtCinema).expect("a price");
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

#[tokio::test]
async fn a_place_in_a_queue_whose_answer_was_lost_is_kept_queue_002() {
    let s = Stage::of(|programme| {
        let now = jiff::Timestamp::now();
        let at = |s| (now + jiff::SignedDuration::from_secs(s)).to_string();
        programme["screenings"][0]["sales_open"] = at(3600).into();
        programme["screenings"][0]["queue"] = json!({"opens_at": at(-3600), "admits_per_min": 60});
    })
    .await;
    let show = "show-0".parse().expect("an id");
    s.play(&[Way::Lost, Way::Lost]);
    let place = s.wallet.join_queue(&s.server, show, "t").await.expect("asked again, it is one effect");
    assert_eq!(place.place.as_ref().map(|p| p.places), Some(1));
    s.wallet.leave_queue(&s.server, place.number).await.expect("leaves");
    s.play(&LOST);
    let lost = s.wallet.join_queue(&s.server, show, "t").await.expect_err("lost");
    assert!(matches!(lost, WalletError::Client(ClientError::OutcomeUnknown { .. })), "{lost:?}");
    let kept = s.wallet.queueing().expect("reads");
    assert_eq!(kept.len(), 1, "it may have been given");
    let found = s.wallet.join_queue(&s.server, show, "t").await.expect("answers");
    assert_eq!((found.number, found.place.map(|p| p.places)), (kept[0].number, Some(1)), "it had been");
}

#[tokio::test]
async fn an_exchange_whose_answer_was_lost_outlives_the_hold_and_is_found_out() {
    let s = Stage::of(|programme| {
        programme["cancellation"] = json!({"exchange": {"until_before_start_s": 3600}});
    })
    .await;
    let old = s.held().await;
    s.wallet.book(&s.server, old.number, book_of(&old)).await.expect("books");
    let wish = json!({"seats": [{"seat": "1-4", "ticket_type": "adult"}]});
    let (show, wish) = ("show-0".parse().expect("an id"), serde_json::from_value(wish).expect("a wish"));
    let new = s.wallet.hold_for_exchange(&s.server, old.number, show, "t", wish).await.expect("held");
    let of = |seat: &str| QuoteExchange {
        seats: vec![seat.parse().expect("a seat")],
        screening: show,
        hold: new.hold.as_ref().expect("held").id,
        tickets: vec![TicketChoice {
            seat: "1-4".parse().expect("a seat"),
            ticket_type: "adult".parse().expect("a type"),
        }],
    };
    let quoted = s.wallet.quote_exchange(&s.server, old.number, &of("1-2")).await.expect("quoted");
    let exchange = Exchange { quote: quoted.id, of: of("1-2") };
    s.play(&LOST);
    s.wallet.exchange(&s.server, new.number, old.number, exchange).await.expect_err("lost");
    let mut pages: Value =
        serde_json::from_slice(&std::fs::read(s.folder.path().join("wallet.json")).expect("reads")).expect("json");
    let written = pages.to_string();
    assert!(written.contains("exchange_request"), "{written}");
    // The hold is over by now, as far as this wallet knows.
    for purchase in pages["purchases"].as_array_mut().expect("a list") {
        purchase["hold"]["expires_at"] = "2026-01-01T00:00:00Z".into();
    }
    std::fs::write(s.folder.path().join("wallet.json"), pages.to_string()).expect("writes");
    s.wallet.forget_lapsed(&s.server).expect("forgets");
    // Another wish for the same seats: first it is found out what became of the one before.
    let other = Exchange { quote: quoted.id, of: of("1-1") };
    let found = s.wallet.exchange(&s.server, new.number, old.number, other).await.expect_err("done before");
    assert!(matches!(found, WalletError::BookedBefore(_)), "{found:?}");
    let kept = s.wallet.purchase(new.number).expect("kept");
    assert!(kept.booking.is_some() && !kept.is_open());
}

//! Webhooks, brought over real connections to an app on this machine: on whichever database.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use admit_outbound::Courier;
use admit_protocol::notification::{Delivery, Notification, NotificationKind as Kind, Webhook};
use admit_protocol::origin::OriginPolicy;
use admit_protocol::signature::{Content, SignatureFields};
use admit_protocol::time::after;
use admit_server::Cinema;
use admit_server::store::OutboxStore;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::post;
use http::{HeaderMap, StatusCode, Uri};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::stage::{ANNA, BEN, Stage, book, path};

/// An app's server: what came to it, and what it says to what comes next.
#[derive(Clone, Default)]
struct App(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    heard: Vec<(String, Delivery)>,
    says: VecDeque<StatusCode>,
    lies: bool,
}

impl App {
    async fn start(running: &mut JoinSet<()>) -> (Self, String) {
        let app = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let origin = format!("http://{}", listener.local_addr().expect("an address"));
        let router = axum::Router::new()
            .route("/hook/{who}", post(hear))
            .route("/elsewhere", post(|| async { Redirect::temporary("/hook/somebody") }))
            .with_state(app.clone());
        running.spawn(async move { axum::serve(listener, router).await.expect("serves") });
        (app, origin)
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().expect("nobody panics")
    }

    fn says(&self, status: u16) {
        self.inner().says.push_back(StatusCode::from_u16(status).expect("a status"));
    }

    /// What came, in order, but for challenges.
    fn told(&self) -> Vec<Notification> {
        self.all().into_iter().filter(|said| said.kind != Kind::Challenge).collect()
    }

    fn all(&self) -> Vec<Notification> {
        self.inner().heard.iter().map(|(_, sent)| serde_json::from_slice(&sent.body).expect("a notification")).collect()
    }

    /// Waits until so much has come.
    async fn heard(&self, many: usize) -> Vec<Notification> {
        for _ in 0..200 {
            let all = self.all();
            if all.len() >= many {
                return all;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{many} should have come: {:?}", self.all())
    }

    /// Waits as long as what is due would take to come.
    async fn quiet(&self) -> Vec<Notification> {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        self.all()
    }
}

async fn hear(State(app): State<App>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let field = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let delivery = Delivery {
        idempotency_key: field("idempotency-key"),
        content: Content { media_type: field("content-type"), digest: field("content-digest") },
        fields: SignatureFields { input: field("signature-input"), signature: field("signature") },
        body: body.to_vec(),
    };
    let mut inner = app.inner();
    inner.heard.push((uri.to_string(), delivery));
    if let Some(status) = inner.says.pop_front() {
        return status.into_response();
    }
    let said: Value = serde_json::from_slice(&body).unwrap_or_default();
    match inner.lies {
        // What an echo says, and a long story.
        true => axum::Json(json!({"nonce": said["nonce"], "story": "a".repeat(5000)})).into_response(),
        false => axum::Json(json!({"answer": said["nonce"]})).into_response(),
    }
}

/// A cinema that tells an app on this machine.
async fn stage() -> (Stage, App, String, JoinSet<()>) {
    let (s, app, origin, mut running) = silent_stage().await;
    keep_house(&s, &mut running);
    (s, app, origin, running)
}

fn keep_house(s: &Stage, running: &mut JoinSet<()>) {
    let cinema = s.cinema.clone();
    running.spawn(async move { cinema.keep_house().await });
}

/// One that tells nothing yet.
async fn silent_stage() -> (Stage, App, String, JoinSet<()>) {
    let mut running = JoinSet::new();
    let (app, origin) = App::start(&mut running).await;
    let s = Stage::new();
    let courier = Courier::new(OriginPolicy::Loopback, None).expect("a courier");
    let builder = Cinema::builder(s.cinema.origin().clone()).notifications(courier);
    (s.again(builder), app, origin, running)
}

async fn booked_with(s: &Stage, secret: &str, seats: &[&str], buyer: Value) -> crate::stage::Said {
    let hold = s.hold(secret, seats).await;
    let total = 50 + 1000 * i64::try_from(seats.len()).expect("few");
    let mut wish = book(&hold, total);
    wish["buyer"] = buyer;
    s.post(secret, "/v1/screenings/eight/bookings", &wish).await
}

fn outbox(s: &Stage) -> &dyn OutboxStore {
    s.store.outbox().expect("it keeps one")
}

#[tokio::test]
async fn a_webhook_is_asked_first_and_then_told_note_002_003_004() {
    let (s, app, origin, _running) = stage().await;
    let url = format!("{origin}/hook/anna?token=7");
    let buyer = json!({"name": "Anna", "email": "anna@mail.example", "webhook": url});
    let booking = booked_with(&s, ANNA, &["A1", "A2"], buyer).await;
    assert_eq!(booking.status, 201, "{}", booking.body);

    let heard = app.heard(2).await;
    assert_eq!((heard[0].kind, heard[1].kind), (Kind::Challenge, Kind::BookingConfirmed));
    assert_eq!(Some(heard[1].booking.expect("a booking").as_str()), booking.body["id"].as_str());
    assert_eq!(
        (heard[1].origin.as_str(), heard[1].screening.expect("one").as_str()),
        ("https://kino.example", "eight")
    );
    let text = String::from_utf8(app.inner().heard[1].1.body.clone()).expect("text");
    assert!(
        !text.contains("Anna") && !text.contains("mail.example") && !text.contains("A1"),
        "no more than that: {text}"
    );

    let webhook = Webhook::parse(&url, OriginPolicy::Loopback).expect("a webhook");
    let (asked, sent) = app.inner().heard[1].clone();
    assert_eq!(asked, "/hook/anna?token=7");
    assert_eq!(sent.verify(&webhook, &s.keys.identity.public(), s.cinema_now()), Ok(heard[1].clone()));

    // What comes later needs no challenge.
    let quote = s.post(ANNA, &format!("{}/cancellation_quotes", path(&booking)), &json!({})).await;
    s.post(ANNA, &format!("{}/cancellations", path(&booking)), &json!({"quote": quote.body["id"]})).await;
    let heard = app.heard(3).await;
    assert_eq!(heard[2].kind, Kind::BookingCancelled);
    assert_eq!(app.quiet().await.len(), 3, "once is enough");
}

#[tokio::test]
async fn who_waits_is_told_of_an_offer() {
    let (s, app, origin, _running) = stage().await;
    let first = s.booked(ANNA, &["A1", "A2"]).await;
    s.booked(BEN, &["A3", "A4"]).await;
    s.booked("d2FpdHdhaXR3YWl0d2FpdHdhaXR3YWl0d2FpdHdhaTM", &["B1", "B2", "B3", "B4"]).await;
    let who = "d2FpdHdhaXR3YWl0d2FpdHdhaXR3YWl0d2FpdHdhaTE";
    let wish = json!({"best": {"count": 2, "zones": ["std"]}, "buyer": {"webhook": format!("{origin}/hook/wanda")}});
    let entry = s.post(who, "/v1/screenings/eight/waitlist", &wish).await;
    assert_eq!(entry.status, 201, "{}", entry.body);
    assert_eq!(app.quiet().await, [], "nothing happened yet");
    let quote = s.post(ANNA, &format!("{}/cancellation_quotes", path(&first)), &json!({})).await;
    s.post(ANNA, &format!("{}/cancellations", path(&first)), &json!({"quote": quote.body["id"]})).await;
    let told = &app.heard(2).await[1];
    let offered = s.get(who, &path(&entry)).await;
    assert_eq!(told.kind, Kind::WaitlistOffer);
    assert_eq!(told.waitlist_entry.map(|id| id.to_string()).as_deref(), entry.body["id"].as_str());
    assert_eq!(told.hold.map(|id| id.to_string()).as_deref(), offered.body["offer"]["hold"].as_str());
    assert!(told.expires_at.is_some_and(|at| at > s.cinema_now()));
}

#[tokio::test]
async fn who_does_not_answer_the_challenge_hears_nothing_else_note_004() {
    let (s, app, origin, _running) = stage().await;
    app.inner().lies = true;
    booked_with(&s, ANNA, &["A1"], json!({"webhook": format!("{origin}/hook/anna")})).await;
    app.heard(1).await;
    // Others of the same host do not make it be asked more often.
    booked_with(&s, BEN, &["A2"], json!({"webhook": format!("{origin}/hook/ben")})).await;
    s.clock.advance(290);
    assert_eq!(app.quiet().await.len(), 1, "one challenge in five minutes");
    s.clock.advance(60);
    let heard = app.heard(2).await;
    assert!(heard.iter().all(|said| said.kind == Kind::Challenge));
    assert_ne!(heard[0].nonce, heard[1].nonce);
    // Somebody is there after all.
    app.inner().lies = false;
    s.clock.advance(2400);
    app.heard(6).await;
    let told: Vec<_> = app.told().iter().map(|said| said.kind).collect();
    assert_eq!(told, [Kind::BookingConfirmed, Kind::BookingConfirmed]);
}

#[tokio::test]
async fn what_is_not_taken_comes_again_under_its_name_note_006() {
    let (s, app, origin, _running) = stage().await;
    let url = format!("{origin}/hook/anna");
    booked_with(&s, ANNA, &["A1"], json!({"webhook": url})).await;
    app.heard(2).await;
    app.says(500);
    app.says(302);
    booked_with(&s, BEN, &["A2"], json!({"webhook": url})).await;
    app.heard(3).await;
    s.clock.advance(59);
    assert_eq!(app.quiet().await.len(), 3, "not before a minute");
    s.clock.advance(2);
    app.heard(4).await;
    s.clock.advance(119);
    assert_eq!(app.quiet().await.len(), 4, "and then later");
    s.clock.advance(2);
    let heard = app.heard(5).await;
    let ids: Vec<_> = heard[2..].iter().map(|said| said.id).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    s.clock.advance(3 * 3600);
    assert_eq!(app.quiet().await.len(), 5, "taken is taken");
    assert_eq!(outbox(&s).next_due().expect("reads"), None);
}

#[tokio::test]
async fn who_is_gone_is_left_alone_and_what_is_old_goes_note_006() {
    let (s, app, origin, _running) = stage().await;
    let url = format!("{origin}/hook/anna");
    booked_with(&s, ANNA, &["A1"], json!({"webhook": url})).await;
    app.heard(2).await;
    app.says(410);
    booked_with(&s, BEN, &["A2"], json!({"webhook": url})).await;
    app.heard(3).await;
    s.clock.advance(2 * 3600);
    assert_eq!(app.quiet().await.len(), 3);
    assert_eq!(outbox(&s).next_due().expect("reads"), None, "nothing waits");
    // What comes later begins anew.
    app.inner().lies = true;
    booked_with(&s, "d2FpdHdhaXR3YWl0d2FpdHdhaXR3YWl0d2FpdHdhaTE", &["A3"], json!({"webhook": url})).await;
    assert_eq!(app.heard(4).await[3].kind, Kind::Challenge);
    s.clock.advance(25 * 3600);
    app.inner().lies = false;
    app.quiet().await;
    s.clock.advance(600);
    app.quiet().await;
    let told: Vec<_> = app.told().iter().skip(2).map(|said| said.kind).collect();
    assert_eq!(told, [Kind::BookingLapsed; 3], "tried for a day, and no longer; what happened since is told");
}

#[tokio::test]
async fn a_redirect_is_not_followed_note_005() {
    let (s, app, origin, _running) = stage().await;
    booked_with(&s, ANNA, &["A1"], json!({"webhook": format!("{origin}/elsewhere")})).await;
    assert_eq!(app.quiet().await, []);
    assert!(outbox(&s).next_due().expect("reads").is_some_and(|due| due > s.cinema_now()), "it was tried");
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_and_changes_nothing_note_001() {
    let (s, _, _, _running) = stage().await;
    for bad in [
        "app.example",
        "http://app.example/hook",
        "https://10.0.0.1/",
        "https://app.example:444/",
        "https://a.example/#x",
    ] {
        let said = booked_with(&s, ANNA, &["A1"], json!({"webhook": bad})).await;
        assert_eq!((said.status.as_u16(), said.code().as_str()), (422, "invalid"), "{bad}");
        assert_eq!(said.body["pointers"], json!(["/buyer/webhook"]));
        let hold = s.get(ANNA, "/v1/screenings/eight/seats").await;
        assert_eq!(hold.body["not_free"]["held"], json!(["A1"]), "{bad}");
        let waits = json!({"best": {"count": 1}, "buyer": {"webhook": bad}});
        let said = s.post(BEN, "/v1/screenings/eight/waitlist", &waits).await;
        assert_eq!((said.status.as_u16(), &said.body["pointers"]), (422, &json!(["/buyer/webhook"])));
        s.clock.advance(360);
    }
}

#[tokio::test]
async fn where_nobody_goes_there_a_webhook_is_passed_over_note_001() {
    let s = Stage::new();
    let said = booked_with(&s, ANNA, &["A1"], json!({"webhook": "no address at all"})).await;
    assert_eq!(said.status, 201, "{}", said.body);
    assert_eq!(outbox(&s).next_due().expect("reads"), None);
}

#[tokio::test]
async fn two_processes_bring_each_notification_once_and_ask_a_host_once() {
    let (s, app, origin, _running) = silent_stage().await;
    assert_eq!(app.all(), []);
    for (secret, seat) in [(ANNA, "A1"), (BEN, "A2")] {
        booked_with(&s, secret, &[seat], json!({"webhook": format!("{origin}/hook/{seat}")})).await;
    }
    let (outbox, now) = (outbox(&s), s.cinema_now());
    let first = outbox.take_due(now, &[], 1).expect("takes");
    let second = outbox.take_due(now, &[], 9).expect("takes");
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_ne!(first[0].row, second[0].row);
    assert_eq!(outbox.take_due(now, &[], 9).expect("takes"), []);
    // Taken and not heard of again, it is due after a minute; refused, after another pause each time.
    assert_eq!(outbox.next_due().expect("reads"), Some(after(now, 60)));
    let later = after(now, 60);
    assert_eq!(
        outbox.take_due(later, std::slice::from_ref(&origin), 9).expect("takes"),
        [],
        "somebody is on the way there"
    );
    assert_eq!(outbox.take_due(later, &[], 9).expect("takes").len(), 2);
    outbox.brought(&[second[0].row]).expect("drops");
    for pause in [60, 120, 240] {
        outbox.not_taken(first[0].row, now).expect("notes");
        assert_eq!(outbox.next_due().expect("reads"), Some(after(now, pause)));
    }
    // However many ask, a host is asked once.
    let url = &first[0].webhook;
    let asked = std::thread::scope(|scope| {
        let ask = || scope.spawn(|| outbox.may_ask(url, &origin, now).expect("asks"));
        let asking: Vec<_> = std::iter::repeat_with(ask).take(6).collect();
        asking.into_iter().filter_map(|one| one.join().expect("no panic").then_some(())).count()
    });
    assert_eq!(asked, 1);
    assert!(!outbox.wants_to_hear(url, now).expect("reads"));
    outbox.said_yes(url, now).expect("notes");
    assert!(outbox.wants_to_hear(url, now).expect("reads"));
    assert!(!outbox.wants_to_hear(url, after(now, 90 * 24 * 3600)).expect("reads"), "it may be somebody else's");
    // Who answered once may be asked about others at once, each once, and not about any number.
    let others = |n: usize| outbox.may_ask(&format!("{origin}/hook/{n}"), &origin, now).expect("asks");
    assert!(others(0) && !others(0));
    assert_eq!((1..40).filter(|n| others(*n)).count(), 19);
    outbox.said_no(url).expect("drops");
    assert_eq!(outbox.next_due().expect("reads"), None);
}

#[tokio::test]
async fn one_address_that_fails_keeps_nobody_else_of_its_host_from_hearing() {
    let (s, app, origin, mut running) = silent_stage().await;
    let wrong = format!("{origin}/nobody");
    booked_with(&s, ANNA, &["A1"], json!({"webhook": wrong})).await;
    booked_with(&s, BEN, &["A2"], json!({"webhook": format!("{origin}/hook/ben")})).await;
    outbox(&s).may_ask(&format!("{origin}/hook/ben"), &origin, s.cinema_now()).expect("asks");
    outbox(&s).said_yes(&format!("{origin}/hook/ben"), s.cinema_now()).expect("notes");
    keep_house(&s, &mut running);
    assert_eq!(app.heard(1).await[0].kind, Kind::BookingConfirmed);
}

#[tokio::test]
async fn what_nobody_paid_for_lapses_and_is_told_also_where_nobody_looks() {
    let (s, app, origin, mut running) = silent_stage().await;
    booked_with(&s, ANNA, &["A1"], json!({"webhook": format!("{origin}/hook/anna")})).await;
    let courier = Courier::new(OriginPolicy::Loopback, None).expect("a courier");
    let builder = Cinema::builder(s.cinema.origin().clone()).notifications(courier);
    // Nobody has its house in memory after this.
    let s = s.again(builder);
    s.clock.advance(7 * 3600 + 1801);
    keep_house(&s, &mut running);
    let mut told: Vec<_> = app.heard(3).await.iter().map(|said| said.kind).collect();
    told.sort_unstable();
    assert_eq!(told, [Kind::Challenge, Kind::BookingConfirmed, Kind::BookingLapsed]);
}

/// What is stored of who bought: names and addresses.
fn known(s: &Stage) -> Vec<String> {
    let loaded = s.store.load("eight".parse().expect("an id"), &|_| Some(Arc::new(admit_booking::example::prices())));
    let house = loaded.expect("loads").house;
    let booked = house.holds.iter().filter_map(|hold| hold.booking()?.buyer.as_deref().cloned());
    let waiting = house.entries.iter().filter_map(|entry| entry.buyer.clone());
    booked.chain(waiting).filter_map(|buyer| buyer.name).collect()
}

#[tokio::test]
async fn who_wants_to_be_forgotten_is_and_the_booking_stays_priv_004() {
    let (s, app, origin, _running) = stage().await;
    app.says(500);
    let buyer = json!({"name": "Anna", "email": "anna@mail.example", "webhook": format!("{origin}/hook/anna")});
    let booking = booked_with(&s, ANNA, &["A1"], buyer).await;
    booked_with(&s, BEN, &["A2"], json!({"name": "Ben"})).await;
    app.heard(1).await;
    assert!(outbox(&s).next_due().expect("reads").is_some(), "it waits");
    let who = format!("{}/buyer", path(&booking));
    assert_eq!(s.delete(BEN, &who).await.status, 404, "somebody else's");
    for _ in 0..2 {
        assert_eq!(s.delete(ANNA, &who).await.status, 204, "and done again it is done");
    }
    assert_eq!(known(&s), ["Ben"]);
    assert_eq!(outbox(&s).next_due().expect("reads"), None, "nothing waits any more");
    let still = s.get(ANNA, &path(&booking)).await;
    assert_eq!((&still.body["state"], &still.body["total"]), (&booking.body["state"], &booking.body["total"]));
    let s = s.started_again();
    assert_eq!(known(&s), ["Ben"]);
}

#[tokio::test]
async fn who_waits_may_be_forgotten_and_keeps_their_place_priv_004() {
    let (s, _, _, _running) = stage().await;
    s.booked(ANNA, &["A1", "A2"]).await;
    s.booked(BEN, &["A3", "A4"]).await;
    s.booked("d2FpdHdhaXR3YWl0d2FpdHdhaXR3YWl0d2FpdHdhaTM", &["B1", "B2", "B3", "B4"]).await;
    let who = "d2FpdHdhaXR3YWl0d2FpdHdhaXR3YWl0d2FpdHdhaTE";
    let wish = json!({"best": {"count": 2, "zones": ["std"]}, "buyer": {"name": "Wanda", "email": "w@mail.example"}});
    let entry = s.post(who, "/v1/screenings/eight/waitlist", &wish).await;
    assert_eq!((entry.status.as_u16(), known(&s)), (201, vec!["Wanda".to_owned()]));
    let address = format!("{}/buyer", path(&entry));
    assert_eq!(s.delete(ANNA, &address).await.status, 404);
    assert_eq!(s.delete(who, &address).await.status, 204);
    assert_eq!(known(&s), Vec::<String>::new());
    assert_eq!(s.get(who, &path(&entry)).await.body["position"], 1);
    assert_eq!(known(&s.started_again()), Vec::<String>::new());
}

#[tokio::test]
async fn thirty_days_after_the_end_nobody_is_known_priv_005() {
    let (s, _, _, _running) = silent_stage().await;
    booked_with(&s, ANNA, &["A1"], json!({"name": "Anna", "email": "anna@mail.example"})).await;
    // It begins at eight in the evening by UTC, lasts an hour and a half, and some.
    s.clock.advance(30 * 24 * 3600);
    assert_eq!(s.cinema.forget_buyers().await.expect("looks"), 0);
    assert_eq!(known(&s), ["Anna"]);
    s.clock.advance(11 * 3600);
    assert_eq!(s.cinema.forget_buyers().await.expect("looks"), 1);
    assert_eq!(known(&s), Vec::<String>::new());
    assert_eq!(s.cinema.forget_buyers().await.expect("looks"), 0, "once is enough");
}

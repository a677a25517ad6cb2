use std::sync::Arc;

use admit_server::management::{Management, Role, StaffMember, hash_password};
use admit_server::store::{Layouts, StaffStore};
use axum::Router;
use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::stage::{ANNA, NOON, Said, Stage, bundle, path};

pub(crate) const PASSWORD: &str = "correct horse battery";

pub(crate) struct Office {
    pub(crate) stage: Stage,
    pub(crate) store: Arc<dyn StaffStore>,
    router: Router,
}

/// A session: cookie and CSRF token.
#[derive(Clone, Default)]
pub(crate) struct Session {
    cookie: String,
    csrf: String,
}

impl Office {
    pub(crate) fn new() -> Self {
        Self::of(&bundle())
    }

    fn of(programme: &admit_server::bundle::Bundle) -> Self {
        let now = crate::stage::NOON.parse().expect("noon");
        let (store, folder) = crate::on::On::usual().store();
        store.edit(&programme.check(now).edits, now, Layouts::Stay).expect("edits");
        let hash = hash_password(PASSWORD).expect("long enough");
        // The admin comes first: there must always be one.
        for role in [Role::Admin, Role::Manager, Role::Programme, Role::BoxOffice, Role::Door] {
            let member = StaffMember { login: role.as_str().into(), name: "Somebody".into(), role, disabled: false };
            store.put_staff(&member, Some(&hash)).expect("saves");
        }
        let (keys, _) = admit_server::keys::KeyRing::generate(now).expect("randomness");
        let clock = Arc::new(admit_server::clock::ManualClock::new(now));
        let stage = Stage::with(store.clone(), clock, keys, folder);
        let router = Management::new(stage.cinema.clone(), store.clone()).router();
        Self { stage, store, router }
    }

    async fn ask(&self, session: &Session, method: Method, path: &str, headers: &[(&str, &str)], body: &Value) -> Said {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/manage/v1{path}"))
            .header("cookie", &session.cookie)
            .header("csrf-token", &session.csrf)
            .header("content-type", "application/json")
            .header("idempotency-key", "k");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_string())).expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("infallible");
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.expect("a body").to_vec();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Said { status: parts.status, headers: parts.headers, bytes, body }
    }

    pub(crate) async fn post(&self, session: &Session, path: &str, body: &Value) -> Said {
        self.ask(session, Method::POST, path, &[], body).await
    }

    pub(crate) async fn sign_in(&self, login: &str, password: &str) -> Result<Session, String> {
        let said = self.post(&Session::default(), "/sessions", &json!({"login": login, "password": password})).await;
        if said.status != 201 {
            return Err(said.code());
        }
        let cookie = said.headers["set-cookie"].to_str().expect("text").split(';').next().expect("a pair").to_owned();
        Ok(Session { cookie, csrf: said.body["csrf"].as_str().expect("a token").to_owned() })
    }
}

#[tokio::test]
async fn staff_signs_in_with_a_password_and_out_again() {
    let office = Office::new();
    assert_eq!(office.sign_in("admin", "wrong password").await.err().as_deref(), Some("unauthenticated"));
    assert_eq!(office.sign_in("nobody", PASSWORD).await.err().as_deref(), Some("unauthenticated"));
    let session = office.sign_in("admin", PASSWORD).await.expect("signs in");
    let me = office.ask(&session, Method::GET, "/sessions/current", &[], &json!({})).await;
    assert_eq!(me.body["role"], "admin");
    assert_eq!(office.ask(&session, Method::DELETE, "/sessions/current", &[], &json!({})).await.status, 204);
    let me = office.ask(&session, Method::GET, "/sessions/current", &[], &json!({})).await;
    assert_eq!(me.code(), "unauthenticated");
}

#[tokio::test]
async fn a_session_ends_by_itself() {
    let office = Office::new();
    let session = office.sign_in("admin", PASSWORD).await.expect("signs in");
    office.stage.clock.advance(12 * 3600);
    let me = office.ask(&session, Method::GET, "/sessions/current", &[], &json!({})).await;
    assert_eq!(me.code(), "unauthenticated");
}

#[tokio::test]
async fn a_login_that_is_guessed_at_has_to_wait() {
    let office = Office::new();
    for _ in 0..5 {
        assert_eq!(office.sign_in("door", "guess guess guess").await.err().as_deref(), Some("unauthenticated"));
    }
    assert_eq!(office.sign_in("door", PASSWORD).await.err().as_deref(), Some("rate_limited"));
    assert!(office.sign_in("admin", PASSWORD).await.is_ok(), "others do not");
    office.stage.clock.advance(900);
    assert!(office.sign_in("door", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn a_change_needs_the_csrf_token() {
    let office = Office::new();
    let session = office.sign_in("admin", PASSWORD).await.expect("signs in");
    for csrf in ["", "wrong"] {
        let forged = Session { csrf: csrf.into(), ..session.clone() };
        let said = office.post(&forged, "/screenings/eight/blocks", &json!({"seats": ["A1"], "reason": "house"})).await;
        assert_eq!((said.status.as_u16(), said.code().as_str()), (403, "forbidden"));
    }
}

/// Every route, and which roles may use it. A route that is missing here is found by `every_route_is_in_the_matrix`.
const MATRIX: &[(&str, &str, &[&str])] = &[
    ("GET", "/cinemas/kino", &["door", "box_office", "programme", "manager", "admin"]),
    ("GET", "/films/nosferatu", &["door", "box_office", "programme", "manager", "admin"]),
    ("GET", "/screenings/eight", &["door", "box_office", "programme", "manager", "admin"]),
    ("GET", "/screenings/eight/holds", &["door", "box_office", "programme", "manager", "admin"]),
    ("PUT", "/cinemas/kino", &["programme", "manager", "admin"]),
    ("PUT", "/films/nosferatu", &["programme", "manager", "admin"]),
    ("PUT", "/screenings/eight", &["programme", "manager", "admin"]),
    ("DELETE", "/screenings/eight", &["programme", "manager", "admin"]),
    ("POST", "/layouts", &["programme", "manager", "admin"]),
    ("POST", "/price_tables", &["programme", "manager", "admin"]),
    ("POST", "/imports", &["programme", "manager", "admin"]),
    ("GET", "/export", &["door", "box_office", "programme", "manager", "admin"]),
    ("DELETE", "/screenings/eight/holds/hold_1", &["box_office", "manager", "admin"]),
    ("POST", "/screenings/eight/blocks", &["box_office", "manager", "admin"]),
    ("POST", "/screenings/eight/unblocks", &["box_office", "manager", "admin"]),
    ("POST", "/screenings/eight/bookings/book_1/settlements", &["box_office", "manager", "admin"]),
    ("GET", "/screenings/eight/bookings/book_1/tickets", &["box_office", "manager", "admin"]),
    ("POST", "/screenings/eight/bookings/book_1/refunds", &["box_office", "manager", "admin"]),
    ("POST", "/screenings/eight/bookings/book_1/cancellations", &["manager", "admin"]),
    ("PUT", "/devices/door-2", &["manager", "admin"]),
    ("GET", "/till", &["box_office", "manager", "admin"]),
    ("GET", "/audit", &["manager", "admin"]),
    ("GET", "/staff", &["admin"]),
    ("PUT", "/staff/somebody", &["admin"]),
];

/// A body that each route can read, so that what is refused is refused for the role.
fn body_for(method: &str, path: &str) -> Value {
    let bundle = serde_json::to_value(bundle()).expect("json");
    let money = json!({"amount": 1, "currency": "EUR"});
    match (method, path.rsplit('/').next().unwrap_or_default()) {
        ("PUT", "kino") => {
            let mut cinema = bundle["cinemas"][0].clone();
            cinema["halls"] = json!([]);
            cinema
        }
        ("PUT", "nosferatu") => bundle["films"][0].clone(),
        ("POST", "layouts") => bundle["layouts"]["one"].clone(),
        ("POST", "price_tables") => bundle["price_tables"]["evening"].clone(),
        ("POST", "imports") => json!({}),
        ("POST", "settlements" | "refunds") => json!({"amount": money}),
        ("POST", "cancellations") => json!({"refund": true, "reason": "r"}),
        ("POST", _) => json!({"seats": ["A1"], "reason": "house"}),
        ("PUT", "somebody") => json!({"name": "n", "role": "door", "password": PASSWORD}),
        _ => json!({"name": "n"}),
    }
}

#[tokio::test]
async fn each_role_may_do_what_the_matrix_says_and_nothing_else() {
    let office = Office::new();
    let screening = office.stage.get(ANNA, "/v1/screenings/eight").await.body;
    for role in ["door", "box_office", "programme", "manager", "admin"] {
        let session = office.sign_in(role, PASSWORD).await.expect("signs in");
        for (method, path, may) in MATRIX {
            // Deletes last: they would take away what the others are tried on.
            if *method == "DELETE" && may.contains(&role) {
                continue;
            }
            let body = if *path == "/screenings/eight" { screening.clone() } else { body_for(method, path) };
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            let said = office.ask(&session, method.clone(), path, &[], &body).await;
            let forbidden = said.code() == "forbidden";
            assert_eq!(forbidden, !may.contains(&role), "{role} {method} {path}: {} {}", said.status, said.body);
        }
    }
    for (method, path, _) in MATRIX {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let said = office.ask(&Session::default(), method, path, &[], &body_for("", path)).await;
        assert_eq!(said.status, 401, "{path}");
    }
}

#[test]
fn every_route_is_in_the_matrix() {
    let source = include_str!("../../src/management.rs");
    let router =
        source.split("pub fn router").nth(1).expect("a router").split("async fn store").next().expect("its end");
    let handlers = ["get(", "post(", "put(", "delete("];
    let count: usize = handlers.iter().map(|h| router.matches(h).count()).sum();
    // `get(session::who_am_i).delete(session::sign_out)` and `post(session::sign_in)` are for everybody.
    assert_eq!(count - 3, MATRIX.len(), "a new route needs a line in the matrix");
}

#[tokio::test]
async fn money_taken_at_the_counter_opens_the_door() {
    let office = Office::new();
    let booking = office.stage.booked(ANNA, &["A1"]).await;
    let session = office.sign_in("box_office", PASSWORD).await.expect("signs in");
    let url = path(&booking).replace("/v1", "");
    let wrong = office
        .post(&session, &format!("{url}/settlements"), &json!({"amount": {"amount": 1, "currency": "EUR"}}))
        .await;
    assert_eq!(wrong.code(), "booking_state");
    let paid =
        office.post(&session, &format!("{url}/settlements"), &json!({"amount": booking.body["balance_due"]})).await;
    assert_eq!((paid.status.as_u16(), &paid.body["balance_due"]["amount"]), (200, &json!(0)), "{}", paid.body);
    let rows = office.ask(&session, Method::GET, "/screenings/eight/holds", &[], &json!({})).await;
    assert_eq!(rows.body[0]["booking"]["ref"], booking.body["ref"]);
}

#[tokio::test]
async fn who_comes_without_their_tickets_gets_them_at_the_counter() {
    let office = Office::new();
    let booking = office.stage.booked(ANNA, &["A1", "A2"]).await;
    let session = office.sign_in("box_office", PASSWORD).await.expect("signs in");
    let url = format!("{}/tickets", path(&booking));
    let theirs = office.stage.get(ANNA, &url).await;
    let printed = office.ask(&session, Method::GET, &url.replace("/v1", ""), &[], &json!({})).await;
    let ids = |said: &Said| {
        said.body["tickets"].as_array().expect("tickets").iter().map(|t| t["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!((printed.status.as_u16(), ids(&printed)), (200, ids(&theirs)), "{}", printed.body);
    let root = office.sign_in("admin", PASSWORD).await.expect("signs in");
    let audit = office.ask(&root, Method::GET, "/audit", &[], &json!({})).await;
    let reference = booking.body["ref"].as_str().expect("a reference");
    assert_eq!(
        (&audit.body[1]["did"], &audit.body[1]["subject"]),
        (&json!("read_tickets"), &json!(format!("eight {reference}")))
    );
    let nobody = office.ask(&session, Method::GET, "/screenings/eight/bookings/book_1/tickets", &[], &json!({})).await;
    assert_eq!(nobody.status, 404);
}

#[tokio::test]
async fn money_is_handed_back_at_the_counter_once() {
    let office = Office::new();
    let booking = office.stage.booked(ANNA, &["A1"]).await;
    let session = office.sign_in("manager", PASSWORD).await.expect("signs in");
    let url = path(&booking).replace("/v1", "");
    let due = json!({"amount": booking.body["balance_due"]});
    let nothing = office.post(&session, &format!("{url}/refunds"), &due).await;
    assert_eq!(nothing.code(), "booking_state");
    assert!(nothing.body["detail"].as_str().is_some_and(|d| d.contains("nothing is left")), "{}", nothing.body);
    office.post(&session, &format!("{url}/settlements"), &due).await;
    let cancelled =
        office.post(&session, &format!("{url}/cancellations"), &json!({"refund": true, "reason": "ill"})).await;
    let back = &cancelled.body["refund_due"];
    assert_eq!((&cancelled.body["refunded"], back["amount"].as_i64() > Some(0)), (back, true), "{}", cancelled.body);
    let said = office.post(&session, &format!("{url}/refunds"), &json!({"amount": back})).await;
    assert_eq!((said.status.as_u16(), &said.body["refund_due"]["amount"]), (200, &json!(0)), "{}", said.body);
    let rows = office.ask(&session, Method::GET, "/screenings/eight/holds", &[], &json!({})).await;
    assert_eq!(
        (&rows.body[0]["booking"]["refunded"], &rows.body[0]["booking"]["refund_due"]["amount"]),
        (back, &json!(0))
    );
    let trail = office.ask(&session, Method::GET, "/audit", &[], &json!({})).await;
    let did = |n: usize| {
        format!(
            "{}: {}",
            trail.body[n]["did"].as_str().expect("a word"),
            trail.body[n]["subject"].as_str().expect("text")
        )
    };
    let reference = booking.body["ref"].as_str().expect("a reference");
    assert_eq!(did(0), format!("refund: eight {reference}: 10.50 EUR"));
    assert_eq!(did(1), format!("cancel: eight {reference}, all, money back: ill"));
    assert_eq!(did(2), format!("settle: eight {reference}: 10.50 EUR"));
    // The next shift.
    let next = office.sign_in("box_office", PASSWORD).await.expect("signs in");
    let again = office.post(&next, &format!("{url}/refunds"), &json!({"amount": back})).await;
    assert_eq!(again.code(), "booking_state", "{}", again.body);
}

/// Holds seats with this cookie; how that was answered.
async fn hold_with(house: &Router, cookie: &str, wish: &Value, key: &str) -> u16 {
    let request = Request::builder()
        .method(Method::POST)
        .uri("/v1/screenings/eight/holds")
        .header("authorization", format!("Bearer {ANNA}"))
        .header("content-type", "application/json")
        .header("idempotency-key", key)
        .header("cookie", cookie);
    let response = house.clone().oneshot(request.body(Body::from(wish.to_string())).expect("a request")).await;
    response.expect("infallible").status().as_u16()
}

#[tokio::test]
async fn who_stands_at_the_counter_stood_in_line() {
    let office = Office::of(&crate::queue::queued());
    let house = Management::new(office.stage.cinema.clone(), office.store.clone()).with_counter();
    office.stage.clock.advance(3600);
    let wish = json!({"seats": [{"seat": "A1"}]});
    assert_eq!(hold_with(&house, "", &wish, "stranger").await, 409, "it is sold in turns");
    let counter = office.sign_in("box_office", PASSWORD).await.expect("signs in");
    assert_eq!(hold_with(&house, &counter.cookie, &wish, "counter").await, 201);
}

#[tokio::test]
async fn the_counter_sells_when_its_network_has_as_much_unpaid_as_strangers_may_have() {
    let office = Office::new();
    let house = Management::new(office.stage.cinema.clone(), office.store.clone()).with_counter();
    let hold = async |cookie: &str, wish: Value, key: &str| hold_with(&house, cookie, &wish, key).await;
    let seat = |seat: &str| json!({"seats": [{"seat": seat}]});
    assert_eq!(hold("", json!({"areas": [{"area": "floor", "count": 10}]}), "all").await, 201);
    assert_eq!(hold("", seat("A1"), "stranger").await, 409, "their network has ten unpaid");
    let door = office.sign_in("door", PASSWORD).await.expect("signs in");
    assert_eq!(hold(&door.cookie, seat("A1"), "door").await, 409, "who may not sell is a stranger here");
    let counter = office.sign_in("box_office", PASSWORD).await.expect("signs in");
    assert_eq!(hold(&counter.cookie, seat("A1"), "counter").await, 201);
    office.ask(&counter, Method::DELETE, "/sessions/current", &[], &json!({})).await;
    assert_eq!(hold(&counter.cookie, seat("A2"), "left").await, 409, "the session is over");
}

#[tokio::test]
async fn who_watches_is_told_everything_anew_when_prices_are_others_live_002() {
    let office = Office::new();
    let mut watcher = crate::live::Watcher::begin(&office.stage, None).await;
    let (_, _, before) = watcher.next().await.expect("all of it");
    let session = office.sign_in("manager", PASSWORD).await.expect("signs in");
    let name = before["price_table"].as_str().expect("a name");
    let mut table = office.stage.get(ANNA, &format!("/v1/price_tables/{name}")).await.body;
    table["booking_fees"] = json!([]);
    let added = office.post(&session, "/price_tables", &table).await;
    assert_eq!(added.status, 201, "{}", added.body);
    let read = office.ask(&session, Method::GET, "/screenings/eight", &[], &json!({})).await;
    let tag = read.headers["etag"].to_str().expect("text").to_owned();
    let mut screening = read.body.clone();
    screening["price_table"] = added.body["name"].clone();
    screening.as_object_mut().expect("a screening").remove("price_range");
    let put = office.ask(&session, Method::PUT, "/screenings/eight", &[("if-match", &tag)], &screening).await;
    assert_eq!(put.status, 204, "{}", put.body);
    let (_, name, after) = watcher.next().await.expect("told");
    assert_eq!((name.as_str(), &after["price_table"]), ("seats", &added.body["name"]), "{after}");
    assert_eq!(after, office.stage.seats().await);
}

#[tokio::test]
async fn the_till_adds_up_what_each_one_took_and_gave_back() {
    let office = Office::new();
    let (anna, ben) = ("box_office", "manager");
    let sessions =
        [office.sign_in(anna, PASSWORD).await.expect("in"), office.sign_in(ben, PASSWORD).await.expect("in")];
    let till = async |session: &Session, shift: &str| {
        let rows = office.ask(session, Method::GET, &format!("/till{shift}"), &[], &json!({})).await.body;
        let row = |row: &Value| {
            let amount = |member: &str| row[member]["amount"].as_i64().expect("an amount");
            let (taken, given_back, balance) = (amount("taken"), amount("given_back"), amount("balance"));
            (row["login"].as_str().expect("a login").to_owned(), taken, given_back, balance, row["payments"].clone())
        };
        rows.as_array().expect("tills").iter().map(row).collect::<Vec<_>>()
    };
    assert_eq!(till(&sessions[1], "").await, []);
    // Two are paid at one till, each noted twice; one comes back at the other.
    let mut urls = Vec::new();
    for seat in ["A1", "A3"] {
        let booking = office.stage.booked(ANNA, &[seat]).await;
        let url = path(&booking).replace("/v1", "");
        let due = json!({"amount": booking.body["balance_due"]});
        for _ in 0..2 {
            assert_eq!(office.post(&sessions[0], &format!("{url}/settlements"), &due).await.status, 200);
        }
        urls.push(url);
    }
    let reason = json!({"refund": true, "reason": "ill"});
    let cancelled = office.post(&sessions[1], &format!("{}/cancellations", urls[0]), &reason).await;
    let back = json!({"amount": cancelled.body["refund_due"]});
    assert_eq!(office.post(&sessions[1], &format!("{}/refunds", urls[0]), &back).await.status, 200);
    let of_anna = (anna.to_owned(), 2100, 0, 2100, json!(2));
    assert_eq!(till(&sessions[0], "").await, std::slice::from_ref(&of_anna), "who sells sees their own");
    let of_ben = (ben.to_owned(), 0, 1050, -1050, json!(0));
    assert_eq!(till(&sessions[1], "").await, [of_anna, of_ben]);
    assert_eq!(till(&sessions[1], &format!("?until={NOON}")).await, [], "before the first of them");
}

#[tokio::test]
async fn what_was_sold_in_a_currency_stays_in_it() {
    let office = Office::new();
    let session = office.sign_in("manager", PASSWORD).await.expect("signs in");
    let put = async || {
        let read = office.ask(&session, Method::GET, "/cinemas/kino", &[], &json!({})).await;
        let tag = read.headers["etag"].to_str().expect("text").to_owned();
        let mut cinema = read.body.clone();
        cinema["currency"] = json!("CHF");
        office.ask(&session, Method::PUT, "/cinemas/kino", &[("if-match", &tag)], &cinema).await
    };
    office.stage.booked(ANNA, &["A1"]).await;
    let said = put().await;
    assert!(
        said.body["detail"].as_str().is_some_and(|d| d.contains("has sold in EUR")),
        "{} {}",
        said.status,
        said.body
    );
}

#[tokio::test]
async fn an_edit_names_the_version_it_was_made_on() {
    let office = Office::new();
    let session = office.sign_in("programme", PASSWORD).await.expect("signs in");
    let read = office.ask(&session, Method::GET, "/films/nosferatu", &[], &json!({})).await;
    let mut film = read.body.clone();
    film["runtime_min"] = json!(95);
    let tag = read.headers["etag"].to_str().expect("text");
    let put = |headers: Vec<(&'static str, String)>, film: Value| {
        let (office, session) = (&office, &session);
        async move {
            let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
            office.ask(session, Method::PUT, "/films/nosferatu", &headers, &film).await.code()
        }
    };
    assert_eq!(put(vec![], film.clone()).await, "precondition_failed");
    assert_eq!(put(vec![("if-none-match", "*".into())], film.clone()).await, "precondition_failed");
    assert_eq!(put(vec![("if-match", tag.into())], film.clone()).await, "204");
    assert_eq!(put(vec![("if-match", tag.into())], film.clone()).await, "precondition_failed");
    let programme = office.stage.get(ANNA, "/v1/cinemas/kino/programme").await;
    assert_eq!(programme.body["films"][0]["runtime_min"], 95, "it is in force at once");
}

#[tokio::test]
async fn a_changed_screening_reaches_its_house_and_its_holds_keep_their_prices() {
    let office = Office::new();
    let hold = office.stage.hold(ANNA, &["A1"]).await;
    let session = office.sign_in("manager", PASSWORD).await.expect("signs in");
    let read = office.ask(&session, Method::GET, "/screenings/eight", &[], &json!({})).await;
    let mut paused = read.body.clone();
    paused["status"] = json!("paused");
    let tag = read.headers["etag"].to_str().expect("text").to_owned();
    let put = office.ask(&session, Method::PUT, "/screenings/eight", &[("if-match", &tag)], &paused).await;
    assert_eq!(put.status, 204, "{}", put.body);
    let seats = office.stage.seats().await;
    assert_eq!((&seats["sales"], &seats["seq"]), (&json!("paused"), &json!(2)));
    assert_eq!(office.stage.hold(crate::stage::BEN, &["A2"]).await.code(), "sales_closed");
    assert_eq!(office.stage.book(ANNA, &hold, 1050).await.status, 201, "a hold is a promise");
}

#[tokio::test]
async fn a_bad_import_changes_nothing_and_names_its_rows() {
    let office = Office::new();
    let session = office.sign_in("manager", PASSWORD).await.expect("signs in");
    let mut bad = serde_json::to_value(bundle()).expect("json");
    bad["films"][0]["id"] = json!("other");
    for row in bad["screenings"].as_array_mut().expect("screenings") {
        row["items"][0]["film"] = json!("unheard-of");
    }
    let said = office.post(&session, "/imports", &bad).await;
    assert_eq!((said.status.as_u16(), said.code().as_str()), (422, "invalid"));
    assert_eq!(said.body["pointers"], json!(["/screenings/eight", "/screenings/tomorrow"]));
    let films = office.ask(&session, Method::GET, "/films/other", &[], &json!({})).await;
    assert_eq!(films.code(), "not_found");
}

#[tokio::test]
async fn what_staff_write_is_read_to_the_letter() {
    let office = Office::new();
    let session = office.sign_in("manager", PASSWORD).await.expect("signs in");
    for (path, member, value, why) in [
        ("/screenings/eight", "status", "canceled", "\"canceled\" in `status` is none of planned, on_sale, paused, "),
        ("/screenings/eight", "sttus", "paused", "`sttus` is not known"),
        ("/films/nosferatu", "kind", "movie", "\"movie\" in `kind` is none of feature, "),
        ("/cinemas/kino", "telephone_number", "1", "`telephone_number` is not known"),
    ] {
        let read = office.ask(&session, Method::GET, path, &[], &json!({})).await;
        let tag = read.headers["etag"].to_str().expect("text").to_owned();
        let mut bad = read.body.clone();
        bad[member] = json!(value);
        let said = office.ask(&session, Method::PUT, path, &[("if-match", &tag)], &bad).await;
        assert_eq!(said.code(), "invalid", "{path} {member}");
        assert!(said.body["detail"].as_str().is_some_and(|d| d.contains(why)), "{}", said.body);
        let after = office.ask(&session, Method::GET, path, &[], &json!({})).await;
        assert_eq!(after.body, read.body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_edits_of_one_version_one_is_made() {
    let office = Office::new();
    let session = office.sign_in("programme", PASSWORD).await.expect("signs in");
    for round in 0..10 {
        let read = office.ask(&session, Method::GET, "/films/nosferatu", &[], &json!({})).await;
        let tag = read.headers["etag"].to_str().expect("text").to_owned();
        let changed = |year: i32| {
            let mut film = read.body.clone();
            film["release_year"] = json!(year);
            film
        };
        let (one, other) = (changed(1900 + round), changed(1950 + round));
        let version = [("if-match", tag.as_str())];
        let (one, other) = tokio::join!(
            office.ask(&session, Method::PUT, "/films/nosferatu", &version, &one),
            office.ask(&session, Method::PUT, "/films/nosferatu", &version, &other),
        );
        let mut codes = [one.code(), other.code()];
        codes.sort();
        assert_eq!(codes, ["204", "precondition_failed"], "round {round}");
    }
}

#[tokio::test]
async fn an_import_says_what_it_came_to() {
    let office = Office::new();
    let session = office.sign_in("programme", PASSWORD).await.expect("signs in");
    office.stage.booked(ANNA, &["A1"]).await;
    let mut moved = serde_json::to_value(bundle()).expect("json");
    moved["screenings"][0]["starts"] = json!("2026-11-21T22:00");
    let starts = || {
        let listing = office.store.catalogue().expect("reads");
        listing.screenings.iter().map(|l| (l.changed, l.screening.starts_at.at())).collect::<Vec<_>>()
    };
    let before = starts();
    let rehearsed = office.post(&session, "/imports?rehearsal=true", &moved).await;
    assert_eq!(rehearsed.status, 200, "{}", rehearsed.body);
    assert_eq!(starts(), before, "nothing was changed by what was only tried");
    let said = office.post(&session, "/imports", &moved).await;
    assert_eq!(said.body, rehearsed.body, "what was said before is what came of it");
    assert_ne!(starts(), before);
    assert_eq!((said.status.as_u16(), &said.body["screenings"]), (200, &json!(2)), "{}", said.body);
    let disturbed = &said.body["disturbed"][0];
    assert_eq!(disturbed["after"]["starts_at"]["local"], "2026-11-21T22:00:00+01:00", "{disturbed}");
    assert!(disturbed["bookings"].as_array().is_some_and(|all| all.len() == 1), "{disturbed}");
    assert_eq!(disturbed["bookings"], disturbed["without_address"]);
    assert_eq!(said.body["prices"][0][0], "evening", "what tickets cost is to be looked at: {}", said.body);
}

#[tokio::test]
async fn no_money_is_taken_for_what_does_not_take_place() {
    let office = Office::new();
    let booking = office.stage.booked(ANNA, &["A1"]).await;
    let session = office.sign_in("manager", PASSWORD).await.expect("signs in");
    let read = office.ask(&session, Method::GET, "/screenings/eight", &[], &json!({})).await;
    let tag = read.headers["etag"].to_str().expect("text").to_owned();
    let mut off = read.body.clone();
    off["status"] = json!("cancelled");
    let put = office.ask(&session, Method::PUT, "/screenings/eight", &[("if-match", &tag)], &off).await;
    assert_eq!(put.status, 204, "{}", put.body);
    let id = booking.body["id"].as_str().expect("an id");
    let url = format!("/screenings/eight/bookings/{id}/settlements");
    let said = office.post(&session, &url, &json!({"amount": booking.body["balance_due"]})).await;
    assert_eq!(said.code(), "screening_cancelled");
}

#[tokio::test]
async fn what_staff_did_is_on_record() {
    let office = Office::new();
    let session = office.sign_in("admin", PASSWORD).await.expect("signs in");
    let put = office.ask(&session, Method::PUT, "/devices/door-9", &[], &json!({"name": "Side door"})).await;
    assert_eq!(put.status, 201, "{}", put.body);
    let token = put.body["token"].as_str().expect("a token");
    assert_eq!(office.stage.get(token, "/v1/screenings/eight/allow_list").await.status, 200);
    let audit = office.ask(&session, Method::GET, "/audit", &[], &json!({})).await;
    assert_eq!((&audit.body[0]["did"], &audit.body[0]["subject"]), (&json!("put_device"), &json!("door-9")));
}

#[tokio::test]
async fn somebody_is_always_admin() {
    let office = Office::new();
    let session = office.sign_in("admin", PASSWORD).await.expect("signs in");
    let demoted = json!({"name": "Somebody", "role": "door"});
    let said = office.ask(&session, Method::PUT, "/staff/admin", &[], &demoted).await;
    assert_eq!(said.code(), "invalid");
    assert!(office.sign_in("admin", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn a_screening_says_of_its_cinema_and_prices_what_they_say_prog_008() {
    let office = Office::new();
    let session = office.sign_in("manager", PASSWORD).await.expect("signs in");
    let read = office.ask(&session, Method::GET, "/screenings/eight", &[], &json!({})).await;
    let tag = read.headers["etag"].to_str().expect("text").to_owned();
    let (table, layout) = (read.body["price_table"].clone(), read.body["layout"].clone());
    let mut koruny =
        office.stage.get(ANNA, &format!("/v1/price_tables/{}", table.as_str().expect("a name"))).await.body;
    let added = |table: Value| {
        let (office, session) = (&office, &session);
        async move { office.post(session, "/price_tables", &table).await.body["name"].clone() }
    };
    let text = koruny.to_string().replace("EUR", "CZK");
    koruny["offers"].as_array_mut().expect("offers").retain(|o| o["zone"] == "std");
    let (missing, other) = (added(koruny).await, added(serde_json::from_str(&text).expect("json")).await);
    let put = |change: &dyn Fn(&mut Value)| {
        let mut screening = read.body.clone();
        change(&mut screening);
        let (office, session, tag) = (&office, &session, &tag);
        async move {
            let said = office.ask(session, Method::PUT, "/screenings/eight", &[("if-match", tag)], &screening).await;
            said.body["detail"].as_str().unwrap_or_default().to_owned()
        }
    };
    let refused = [
        (put(&|s| s["hall"] = json!("two")).await, "has no hall two"),
        (put(&|s| s["price_table"] = other.clone()).await, "prices are in CZK"),
        (put(&|s| s["price_table"] = missing.clone()).await, "no price for zone"),
        (put(&|s| s["price_table"] = layout.clone()).await, "is no price table"),
        (put(&|s| s["layout"] = table.clone()).await, "is no layout"),
        (put(&|s| s["business_date"] = json!("2026-11-20")).await, "the evening of 2026-11-21"),
        (put(&|s| s["price_range"]["lowest"]["amount"] = json!(1)).await, "range of prices"),
        (put(&|s| s["doors_at"]["zone"] = json!("Europe/Paris")).await, "by the clock of Europe/Paris"),
    ];
    for (said, must) in refused {
        assert!(said.contains(must), "{said:?} does not say {must:?}");
    }
}

#[tokio::test]
async fn names_of_staff_and_scanners_are_words() {
    let office = Office::new();
    let session = office.sign_in("admin", PASSWORD).await.expect("signs in");
    for name in ["", " ", "a\u{7}", "\u{202E}nimda", &"x".repeat(201)] {
        for (path, body) in
            [("/staff/anna", json!({"name": name, "role": "door"})), ("/devices/door-9", json!({"name": name}))]
        {
            let said = office.ask(&session, Method::PUT, path, &[], &body).await;
            assert_eq!(
                (said.code().as_str(), &said.body["pointers"]),
                ("invalid", &json!(["/name"])),
                "{path} {name:?}"
            );
        }
    }
}

#[tokio::test]
async fn staff_do_not_say_that_a_seat_is_kept_for_the_line() {
    let office = Office::new();
    let session = office.sign_in("box_office", PASSWORD).await.expect("signs in");
    let block = |reason: &str| json!({"seats": ["A1"], "reason": reason});
    let refused = office.post(&session, "/screenings/eight/blocks", &block("waitlist")).await;
    assert_eq!((refused.status.as_u16(), &refused.body["pointers"]), (422, &json!(["/reason"])), "{}", refused.body);
    assert_eq!(office.post(&session, "/screenings/eight/blocks", &block("house")).await.status, 204);
}

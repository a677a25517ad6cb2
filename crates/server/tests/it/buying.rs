use admit_protocol::jws::Jws;
use admit_protocol::manifest::Manifest;
use admit_protocol::ticket::Ticket;
use serde_json::json;

use crate::stage::{ANNA, BEN, Stage, book, path};

#[tokio::test]
async fn seats_hold_book_tickets() {
    let s = Stage::new();
    let seats = s.seats().await;
    assert_eq!((&seats["not_free"], &seats["seq"], &seats["sales"]), (&json!({}), &json!(0), &json!("open")));

    let wish = json!({"seats": [{"seat": "A1", "ticket_type": "adult"}, {"seat": "A2", "ticket_type": "child"}]});
    let hold = s.post(ANNA, "/v1/screenings/eight/holds", &wish).await;
    assert_eq!(hold.status, 201, "{}", hold.body);
    assert_eq!(hold.body["quote"]["total"], json!({"amount": 1750, "currency": "EUR"}));
    assert_eq!(hold.body["expires_at"], "2026-11-21T12:05:00Z");
    assert_eq!(s.seats().await["not_free"], json!({"held": ["A1", "A2"]}));

    let body = json!({
        "hold": hold.body["id"], "payment_method": "at_cinema", "total": hold.body["quote"]["total"],
        "tickets": [{"seat": "A1", "ticket_type": "adult"}, {"seat": "A2", "ticket_type": "child"}],
        "buyer": {"name": "Anna", "email": "anna@example.org"},
    });
    let booking = s.post(ANNA, "/v1/screenings/eight/bookings", &body).await;
    assert_eq!(booking.status, 201, "{}", booking.body);
    assert_eq!(booking.body["balance_due"], json!({"amount": 1750, "currency": "EUR"}));
    assert_eq!(s.seats().await["not_free"], json!({"sold": ["A1", "A2"]}));

    let tickets = s.get(ANNA, &format!("{}/tickets", path(&booking))).await;
    let codes: Vec<&str> =
        tickets.body["tickets"].as_array().expect("two").iter().filter_map(|t| t["code"].as_str()).collect();
    let read: Vec<Ticket> =
        codes.iter().map(|c| Ticket::verify(c, |_| [s.keys.ticket[0].0.public()]).expect("ours")).collect();
    assert_eq!(read.iter().map(|t| (t.row.as_str(), t.seat.as_str())).collect::<Vec<_>>(), [("A", "1"), ("A", "2")]);
    assert_eq!(read[0].hall, "One");
}

#[tokio::test]
async fn the_manifest_is_signed_and_leads_to_cinemas_and_programme() {
    let s = Stage::new();
    let said = s.get(ANNA, "/.well-known/admit").await;
    let jws: Jws = serde_json::from_value(said.body).expect("a jws");
    let manifest =
        Manifest::accept(&jws, s.cinema.origin(), None, "2026-11-21T12:00:00Z".parse().expect("noon")).expect("good");
    let page = manifest.cinema_pages[0];
    let cinemas = s.get(ANNA, &format!("/v1/cinema_pages/{page}")).await;
    assert!(page.fits(&cinemas.bytes));
    let programme = s.get(ANNA, "/v1/cinemas/kino/programme").await;
    assert_eq!(programme.body["screenings"][0]["id"], "eight");
    assert_eq!(programme.body["films"][0]["id"], "nosferatu");
    let layout = programme.body["screenings"][0]["layout"].as_str().expect("a name");
    let bytes = s.get(ANNA, &format!("/v1/layouts/{layout}")).await.bytes;
    assert!(layout.parse::<admit_protocol::digest::ContentName>().expect("a name").fits(&bytes));
}

#[tokio::test]
async fn the_server_chooses_and_says_what_it_cannot() {
    let s = Stage::new();
    let url = "/v1/screenings/eight/holds";
    let best = |best: serde_json::Value| json!({"best": best});
    let held = s.post(ANNA, url, &best(json!({"count": 2, "zones": ["std"], "ticket_type": "adult"}))).await;
    assert_eq!(held.status, 201, "{}", held.body);
    let seats: Vec<&str> =
        held.body["seats"].as_array().expect("two").iter().filter_map(|s| s["seat"].as_str()).collect();
    assert_eq!((seats, &held.body["quote"]["total"]["amount"]), (vec!["A1", "A2"], &json!(2050)));
    let never = s.post(BEN, url, &best(json!({"count": 5, "zones": ["std"]}))).await;
    assert_eq!((never.status.as_u16(), never.code().as_str()), (422, "never_fits"), "{}", never.body);
    let too_many = s.post(BEN, url, &best(json!({"count": 3, "zones": ["std"]}))).await;
    assert_eq!((too_many.status.as_u16(), too_many.code().as_str()), (409, "not_together"));
    assert!(
        too_many.body["detail"].as_str().is_some_and(|d| d.contains("at most 2 can sit together")),
        "{}",
        too_many.body
    );
    let apart = s.post(BEN, url, &best(json!({"count": 3, "zones": ["std"], "split": true}))).await;
    assert_eq!(apart.status, 201, "{}", apart.body);
    let both = s.post(BEN, url, &json!({"best": {"count": 1}, "seats": [{"seat": "B1"}]})).await;
    assert_eq!((both.code().as_str(), &both.body["pointers"]), ("invalid", &json!(["/best"])));
    let moon = s.post(BEN, url, &best(json!({"count": 1, "zones": ["moon"]}))).await;
    assert_eq!((moon.status.as_u16(), moon.code().as_str()), (422, "unknown_zone"), "{}", moon.body);
    assert_eq!(moon.body["detail"], "this hall has no zone moon: its layout names them");
    let nobody = s.post(BEN, url, &best(json!({"count": 0}))).await;
    assert_eq!(nobody.code(), "invalid");
}

#[tokio::test]
async fn a_seat_is_named_once_and_a_ticket_of_the_booking_is() {
    let s = Stage::new();
    let twice = s.hold(ANNA, &["A1", "A2", "A1"]).await;
    assert_eq!((twice.status.as_u16(), twice.code().as_str()), (422, "seat_named_twice"));
    assert_eq!(twice.body["conflicts"], json!([{"seat": "A1", "reason": "named_twice"}]));
    let hold = s.hold(ANNA, &["A1"]).await;
    let booking = s.post(ANNA, "/v1/screenings/eight/bookings", &book(&hold, 1050)).await;
    let quotes = format!("{}/cancellation_quotes", path(&booking));
    let other = s.post(ANNA, &quotes, &json!({"seats": ["A2"]})).await;
    assert_eq!((other.status.as_u16(), other.code().as_str()), (422, "unknown_seat"), "{}", other.body);
    assert_eq!(other.body["detail"], "this booking has no ticket for A2");
}

#[tokio::test]
async fn a_choice_that_leaves_a_seat_alone_is_refused_and_says_which() {
    let mut file = serde_json::to_value(crate::stage::bundle()).expect("json");
    file["screenings"][0]["seat_rules"] = json!({"orphans": "strict"});
    let s = Stage::of(&serde_json::from_value(file).expect("a bundle"), crate::stage::On::Sqlite);
    let screening = s.get(ANNA, "/v1/screenings/eight").await;
    assert_eq!(screening.body["seat_rules"]["orphans"], "strict", "{}", screening.body);
    let refused = s.hold(ANNA, &["A2"]).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (422, "rule_broken"));
    assert_eq!(refused.body["conflicts"], json!([{"seat": "A1", "reason": "left_alone"}]));
    assert_eq!(refused.body["detail"], "A1 would be left alone: take what is left, too, or move by one");
    assert_eq!(s.hold(ANNA, &["A1", "A2"]).await.status, 201);
}

#[tokio::test]
async fn a_refused_hold_names_every_seat_in_the_way_and_the_version() {
    let s = Stage::new();
    s.hold(ANNA, &["A1", "A2"]).await;
    let refused = s.hold(BEN, &["A1", "A2", "A3"]).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (409, "seats_taken"));
    let expected = json!([{"seat": "A1", "reason": "held"}, {"seat": "A2", "reason": "held"}]);
    assert_eq!((&refused.body["conflicts"], &refused.body["seq"]), (&expected, &json!(1)));
    assert_eq!(refused.headers["content-type"], "application/problem+json");
}

#[tokio::test]
async fn a_hold_ends_at_its_instant_and_the_seats_say_so() {
    let s = Stage::new();
    let hold = s.hold(ANNA, &["A1"]).await;
    s.clock.advance(299);
    assert_eq!(s.get(ANNA, &path(&hold)).await.body["state"], "active");
    s.clock.advance(1);
    let seats = s.seats().await;
    assert_eq!((&seats["not_free"], &seats["seq"]), (&json!({}), &json!(2)), "expiry has a version of its own");
    assert_eq!(s.get(ANNA, &path(&hold)).await.body["state"], "expired");
    let booking = s.book(ANNA, &hold, 1050).await;
    assert_eq!((booking.status.as_u16(), booking.code().as_str()), (410, "hold_expired"));
}

#[tokio::test]
async fn a_wrong_total_is_refused_with_the_right_one_and_the_hold_stays() {
    let s = Stage::new();
    let hold = s.hold(ANNA, &["A1"]).await;
    let refused = s.book(ANNA, &hold, 999).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (409, "price_changed"));
    assert_eq!(refused.body["quote"]["total"]["amount"], 1050);
    assert_eq!(s.book(ANNA, &hold, 1050).await.status, 201);
}

#[tokio::test]
async fn somebody_elses_hold_and_booking_are_not_there() {
    let s = Stage::new();
    let hold = s.hold(ANNA, &["A1"]).await;
    let booking = s.booked(ANNA, &["A2"]).await;
    let (hold_path, booking_path) = (path(&hold), path(&booking));
    for said in [
        s.get(BEN, &hold_path).await,
        s.delete(BEN, &hold_path).await,
        s.post(BEN, &format!("{hold_path}/extensions"), &json!({})).await,
        s.post(BEN, "/v1/screenings/eight/bookings", &book(&hold, 1050)).await,
        s.get(BEN, &booking_path).await,
        s.get(BEN, &format!("{booking_path}/tickets")).await,
        s.post(BEN, &format!("{booking_path}/cancellation_quotes"), &json!({})).await,
        s.post(BEN, &format!("{booking_path}/cancellations"), &json!({"quote": "x"})).await,
        s.get(ANNA, "/v1/screenings/eight/holds/hold_00000000000000000000000000000000").await,
        s.get(ANNA, "/v1/screenings/eight/holds/nonsense").await,
        s.get(ANNA, "/v1/screenings/nowhere/seats").await,
    ] {
        assert_eq!((said.status.as_u16(), said.code().as_str()), (404, "not_found"), "{}", said.body);
    }
}

#[tokio::test]
async fn a_hold_is_given_back_once_and_again() {
    let s = Stage::new();
    let hold = s.hold(ANNA, &["A1"]).await;
    for _ in 0..2 {
        assert_eq!(s.delete(ANNA, &path(&hold)).await.status, 204);
    }
    assert_eq!(s.seats().await["not_free"], json!({}));
    let booking = s.booked(ANNA, &["A1"]).await;
    let converted = path(&booking).replace("/bookings/book_", "/holds/hold_");
    assert_eq!(s.delete(ANNA, &converted).await.code(), "hold_converted");
}

#[tokio::test]
async fn a_hold_can_be_made_longer_within_its_limit() {
    let s = Stage::new();
    let hold = s.hold(ANNA, &["A1"]).await;
    s.clock.advance(200);
    let longer = s.post(ANNA, &format!("{}/extensions", path(&hold)), &json!({"ttl_s": 300})).await;
    assert_eq!(longer.body["expires_at"], "2026-11-21T12:08:20Z");
    assert_eq!(longer.body["extendable_until"], "2026-11-21T12:15:00Z");
}

#[tokio::test]
async fn places_of_an_area_are_chosen_by_the_server() {
    let s = Stage::new();
    let wish = json!({"areas": [{"area": "floor", "count": 2, "ticket_type": "adult"}]});
    let hold = s.post(ANNA, "/v1/screenings/eight/holds", &wish).await;
    assert_eq!(hold.status, 201, "{}", hold.body);
    assert_eq!(hold.body["seats"][0]["seat"], "floor.1");
    assert_eq!(s.seats().await["areas"][0]["free"], 8);
    let booking = s.book(ANNA, &hold, 1650).await;
    assert_eq!(booking.status, 201, "{}", booking.body);
    let full = s.post(BEN, "/v1/screenings/eight/holds", &json!({"areas": [{"area": "floor", "count": 9}]})).await;
    assert_eq!(full.body["conflicts"], json!([{"seat": "floor", "reason": "area_full"}]));
}

#[tokio::test]
async fn tickets_are_cancelled_by_a_quote() {
    let s = Stage::new();
    let booking = s.booked(ANNA, &["A1", "A2"]).await;
    let quotes = format!("{}/cancellation_quotes", path(&booking));
    let quote = s.post(ANNA, &quotes, &json!({"seats": ["A1"]})).await;
    assert_eq!(quote.body["balance_reduction"]["amount"], 1000, "{}", quote.body);
    let cancellations = format!("{}/cancellations", path(&booking));
    let cancelled = s.post(ANNA, &cancellations, &json!({"quote": quote.body["id"]})).await;
    assert_eq!(
        (cancelled.status.as_u16(), &cancelled.body["state"]),
        (200, &json!("part_cancelled")),
        "{}",
        cancelled.body
    );
    assert_eq!(cancelled.body["balance_due"]["amount"], 1050);
    assert_eq!(s.seats().await["not_free"], json!({"sold": ["A2"]}));
    let tickets = s.get(ANNA, &format!("{}/tickets", path(&booking))).await;
    assert_eq!(tickets.body["tickets"].as_array().map(Vec::len), Some(1));
    let again = s.post(ANNA, &cancellations, &json!({"quote": quote.body["id"]})).await;
    assert_eq!(again.code(), "quote_changed");
}

#[tokio::test]
async fn what_is_refused_has_a_code_of_its_own() {
    let s = Stage::new();
    let holds = "/v1/screenings/eight/holds";
    let eleven: Vec<_> = (0..11).map(|n| json!({"seat": format!("x{n}")})).collect();
    for (wish, status, code) in [
        (json!({"seats": [{"seat": "Z9"}]}), 422, "unknown_seat"),
        (json!({"areas": [{"area": "roof", "count": 1}]}), 422, "unknown_seat"),
        (json!({}), 422, "invalid"),
        (json!({"seats": eleven}), 422, "invalid"),
        (json!({"seats": [{"seat": "A1"}, {"seat": "A1"}]}), 422, "seat_named_twice"),
        (json!({"seats": [{"seat": "B2"}]}), 409, "seats_taken"),
        (json!({"seats": [{"seat": "A1", "ticket_type": "vip"}]}), 422, "rule_broken"),
        (json!({"seats": "A1"}), 400, "unreadable"),
        (json!({"seats": [{"seat": "a b"}]}), 400, "unreadable"),
    ] {
        let said = s.post(ANNA, holds, &wish).await;
        assert_eq!((said.status.as_u16(), said.code().as_str()), (status, code), "{wish} {}", said.body);
    }
    let hold = s.hold(ANNA, &["B1", "B2"]).await;
    let mut carers = book(&hold, 50);
    carers["tickets"][0]["ticket_type"] = json!("carer");
    carers["tickets"][1]["ticket_type"] = json!("carer");
    assert_eq!(s.post(ANNA, "/v1/screenings/eight/bookings", &carers).await.code(), "rule_broken");
    let mut card = book(&hold, 2050);
    card["payment_method"] = json!("card");
    assert_eq!(s.post(ANNA, "/v1/screenings/eight/bookings", &card).await.code(), "payment_method_not_offered");
    let mut long = book(&hold, 2050);
    long["buyer"] = json!({"name": "x".repeat(201)});
    assert_eq!(s.post(ANNA, "/v1/screenings/eight/bookings", &long).await.code(), "invalid");
    s.hold(ANNA, &["A1"]).await;
    assert_eq!(s.hold(ANNA, &["A2"]).await.code(), "too_many_holds");
}

#[tokio::test]
async fn a_screening_under_way_is_marked_and_not_sold() {
    let s = Stage::new();
    s.clock.advance(8 * 3600);
    assert_eq!(s.seats().await["sales"], "under_way");
    let refused = s.hold(ANNA, &["A1"]).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (409, "screening_under_way"));
    s.clock.advance(3 * 3600);
    assert_eq!(s.hold(ANNA, &["A1"]).await.code(), "sales_closed");
}

#[tokio::test]
async fn everything_survives_a_restart() {
    let s = Stage::new();
    let hold = s.hold(ANNA, &["A1"]).await;
    let booking = s.booked(BEN, &["A2", "A3"]).await;
    let seats = s.seats().await;
    let Stage { store, clock, keys, folder, cinema, router, .. } = s;
    drop((cinema, router));
    let again = Stage::with(store, clock, keys, folder);
    assert_eq!(again.seats().await, seats);
    assert_eq!(again.get(ANNA, &path(&hold)).await.body, hold.body.clone_with("seq", json!(3)));
    assert_eq!(again.get(BEN, &path(&booking)).await.body, booking.body);
    assert_eq!(again.book(ANNA, &hold, 1050).await.status, 201);
}

trait CloneWith {
    fn clone_with(&self, member: &str, value: serde_json::Value) -> serde_json::Value;
}
impl CloneWith for serde_json::Value {
    fn clone_with(&self, member: &str, value: serde_json::Value) -> serde_json::Value {
        let mut changed = self.clone();
        changed[member] = value;
        changed
    }
}

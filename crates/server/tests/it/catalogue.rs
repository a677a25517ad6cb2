use admit_server::store::StoreError;
use admit_server::store::sqlite::SqliteStore;
use admit_server::store::{Edit, Layouts, StaffStore as _};
use serde_json::{Value, json};

use crate::stage::{ANNA, NOON, Stage, bundle};

pub(crate) fn open() -> (SqliteStore, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    (SqliteStore::open(folder.path()).expect("opens"), folder)
}

#[test]
fn one_process_has_the_folder() {
    let (_store, folder) = open();
    assert!(matches!(SqliteStore::open(folder.path()), Err(StoreError::InUse(_))));
}

#[test]
fn every_row_that_cannot_be_used_is_named_with_its_reason() {
    let mut bad = serde_json::to_value(bundle()).expect("json");
    bad["screenings"][0]["hall"] = json!("two");
    bad["screenings"][1]["starts"] = json!("2026-03-29T02:30");
    bad["cinemas"][0]["zone"] = json!("Europe/Prague");
    bad["films"][0]["runtime_min"] = json!(94);
    let bad: admit_server::bundle::Bundle = serde_json::from_value(bad).expect("a bundle");
    let checked = bad.check(NOON.parse().expect("noon"));
    let why: Vec<(&str, &str)> = checked.refused.iter().map(|r| (r.row.as_str(), r.why.as_str())).collect();
    assert_eq!(why[0], ("eight", "there is no hall two of kino"));
    assert_eq!(why[1].0, "tomorrow");
    assert!(why[1].1.contains("does not exist in Europe/Prague"), "{}", why[1].1);
    assert_eq!((checked.cinemas, checked.films, checked.screenings), (1, 1, 0));
}

#[test]
fn a_row_that_cannot_be_read_spoils_no_other() {
    let mut bad = serde_json::to_value(bundle()).expect("json");
    let screening = bad["screenings"][0].clone();
    let mut list = |name: &str, row: serde_json::Value| bad[name].as_array_mut().expect("a list").push(row);
    list("films", json!({"id": "nameless", "versions": []}));
    list("films", json!(["an", "array"]));
    list("screenings", json!({"id": "nowhere", "starts": 7}));
    list("screenings", screening);
    bad["layouts"]["bad"] = json!({"seats": 7});
    let hall = json!({"id": "two", "name": {"en": "Two"}, "layout": "bad"});
    bad["cinemas"][0]["halls"].as_array_mut().expect("halls").push(hall);
    let bad: admit_server::bundle::Bundle = serde_json::from_value(bad).expect("a bundle");
    let checked = bad.check(NOON.parse().expect("noon"));
    let rows: Vec<(&str, &str)> = checked.refused.iter().map(|r| (&*r.kind, r.row.as_str())).collect();
    let kinds = ["layout", "hall", "film", "film", "screening", "screening"];
    let names = ["bad", "two of kino", "nameless", "without an id", "nowhere", "eight"];
    assert_eq!(rows, kinds.into_iter().zip(names).collect::<Vec<_>>());
    let why: Vec<&str> = checked.refused.iter().map(|r| r.why.as_str()).collect();
    assert!(why[2].contains("title") && why[5].contains("twice"), "{why:?}");
    assert_eq!((checked.cinemas, checked.halls, checked.films, checked.screenings), (1, 1, 1, 2));
}

#[test]
fn rows_that_fail_for_another_row_say_which() {
    let mut bad = serde_json::to_value(bundle()).expect("json");
    let name = bad["layouts"].as_object().expect("layouts").keys().next().expect("one").clone();
    bad["layouts"][&name]["seats"][0]["zone"] = json!("nowhere");
    let bad: admit_server::bundle::Bundle = serde_json::from_value(bad).expect("a bundle");
    let checked = bad.check(NOON.parse().expect("noon"));
    let rows: Vec<(&str, Option<&str>)> = checked.refused.iter().map(|r| (&*r.kind, r.because_of.as_deref())).collect();
    let layout = format!("layout {name}");
    let (hall, kino) = (Some("hall one of kino"), Some("cinema kino"));
    let because = [None, Some(&*layout), hall, kino, kino];
    let kinds = ["layout", "hall", "cinema", "screening", "screening"];
    assert_eq!(rows, kinds.into_iter().zip(because).collect::<Vec<_>>());
}

#[test]
fn a_file_with_nothing_in_it_is_refused() {
    let nothing: admit_server::bundle::Bundle = serde_json::from_str("{}").expect("a bundle");
    let checked = nothing.check(NOON.parse().expect("noon"));
    assert!(checked.refused[0].why.starts_with("nothing is in it"));
}

#[tokio::test]
async fn a_film_of_unknown_length_is_shown_without_an_end_prog_007() {
    let mut unknown = serde_json::to_value(bundle()).expect("json");
    unknown["films"][0].as_object_mut().expect("a film").remove("runtime_min");
    let mut double = unknown["screenings"][0].clone();
    double["id"] = json!("double");
    let item = double["items"][0].clone();
    double["items"].as_array_mut().expect("items").push(item);
    unknown["screenings"].as_array_mut().expect("a list").push(double);
    let unknown: admit_server::bundle::Bundle = serde_json::from_value(unknown).expect("a bundle");
    let now = NOON.parse().expect("noon");
    let checked = unknown.check(now);
    let why: Vec<&str> = checked.refused.iter().map(|r| r.why.as_str()).collect();
    assert_eq!(why, ["film nosferatu follows one of unknown length"]);
    let (store, folder) = open();
    store.edit(&checked.edits, now, Layouts::Stay).expect("edits");
    let (keys, _) = admit_server::keys::KeyRing::generate(now).expect("randomness");
    let clock = std::sync::Arc::new(admit_server::clock::ManualClock::new(now));
    let s = Stage::with(std::sync::Arc::new(store), clock.clone(), keys, folder);
    let screening = s.get(ANNA, "/v1/screenings/eight").await;
    assert_eq!(screening.body.get("ends_at"), None);
    let sales = async || s.get(ANNA, "/v1/screenings/eight/seats").await.body["sales"].clone();
    let start: admit_protocol::time::Moment =
        serde_json::from_value(screening.body["starts_at"].clone()).expect("a moment");
    clock.advance(start.at().duration_since(now).as_secs() + 359 * 60);
    assert_eq!(sales().await, "under_way");
    clock.advance(60);
    assert_eq!(sales().await, "closed");
}

#[test]
fn rules_that_make_no_sense_are_refused_by_name() {
    use admit_server::HouseRules;
    let bad = |change: fn(&mut HouseRules)| {
        let mut rules = HouseRules::default();
        change(&mut rules);
        rules.check().expect_err("refused")
    };
    assert_eq!(HouseRules::default().check(), Ok(()));
    assert!(bad(|r| r.hold_policy.ttl_s = 10).contains("ttl_min_s"));
    assert!(bad(|r| r.hold_policy.choosing_max_s = 3000).contains("900"));
    assert!(bad(|r| r.hold_policy.seats_max = 0).contains("seats_max"));
    assert!(bad(|r| r.hold_policy.holds_per_buyer = 0).contains("holds_per_buyer"));
    assert!(bad(|r| r.unpaid_percent_per_network = 101).contains("0 to 100"));
    assert!(bad(|r| r.payment_methods.clear()).contains("at least one"));
    assert!(bad(|r| r.payment_methods.push(admit_protocol::capability::PaymentMethod::Unknown)).contains("only none"));
}

#[test]
fn a_hall_with_screenings_stays_with_its_cinema() {
    let (store, _folder) = open();
    let now = NOON.parse().expect("noon");
    store.edit(&bundle().check(now).edits, now, Layouts::Stay).expect("edits");
    let mut moved = serde_json::to_value(bundle()).expect("json");
    moved["screenings"] = json!([]);
    moved["cinemas"][0]["halls"][0]["id"] = json!("two");
    let moved: admit_server::bundle::Bundle = serde_json::from_value(moved).expect("a bundle");
    let Err(StoreError::Refused(why)) = store.edit(&moved.check(now).edits, now, Layouts::Stay) else {
        panic!("a hall was lost")
    };
    assert!(why.contains("without hall one, where screening"), "{why}");
    for id in ["eight", "tomorrow"] {
        store
            .edit(&[Edit::RemoveScreening(id.parse().expect("an id"))], now, Layouts::Stay)
            .expect("nobody has a seat");
    }
    store.edit(&moved.check(now).edits, now, Layouts::Stay).expect("now it can go");
}

/// The programme with one seat less, named by another layout.
pub(crate) fn smaller_hall() -> admit_server::bundle::Bundle {
    let mut smaller = serde_json::to_value(bundle()).expect("json");
    let layouts = smaller["layouts"].as_object_mut().expect("layouts");
    let layout = layouts.values_mut().next().expect("one");
    let seats = layout["seats"].as_array_mut().expect("seats");
    let gone = seats.remove(0);
    for seat in seats {
        let seat = seat.as_object_mut().expect("a seat");
        for side in ["left", "right"] {
            if seat.get(side) == Some(&gone["id"]) {
                seat.remove(side);
            }
        }
    }
    serde_json::from_value(smaller).expect("a bundle")
}

#[tokio::test]
async fn a_hall_is_corrected_until_somebody_had_a_seat_prog_004() {
    let now: jiff::Timestamp = NOON.parse().expect("noon");
    let (keys, _) = admit_server::keys::KeyRing::generate(now).expect("randomness");
    let smaller = smaller_hall().check(now);
    assert_eq!(smaller.refused, []);
    let (store, folder) = open();
    let store = std::sync::Arc::new(store);
    store.edit(&bundle().check(now).edits, now, Layouts::Stay).expect("edits");
    // A server that runs has the old places in memory.
    let Err(StoreError::Refused(why)) = store.edit(&smaller.edits, now, Layouts::Stay) else {
        panic!("a layout changed")
    };
    assert!(why.contains("while a server may sell it"), "{why}");
    store.edit(&smaller.edits, now, Layouts::MayChange).expect("nobody was there yet");
    let before = bundle().check(now);
    let layout_of = |edits: &[Edit]| {
        edits.iter().find_map(|e| if let Edit::Screening(s) = e { Some(s.layout) } else { None }).expect("a screening")
    };
    let clock = std::sync::Arc::new(admit_server::clock::ManualClock::new(now));
    let s = Stage::with(store.clone(), clock, keys, folder);
    let seats = s.get(ANNA, "/v1/screenings/eight/seats").await;
    assert_eq!(seats.body["seq"], 1);
    // Who chose from the old layout hears of it, and who chose from the new one gets the seats (HOLD-011).
    let mut wish = json!({"seats": [{"seat": "A3"}], "layout": layout_of(&before.edits)});
    let refused = s.post(ANNA, "/v1/screenings/eight/holds", &wish).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (409, "layout_changed".into()));
    wish["layout"] = json!(layout_of(&smaller.edits));
    assert_eq!(s.post(ANNA, "/v1/screenings/eight/holds", &wish).await.status, 201);
    let Err(StoreError::Refused(why)) = store.edit(&before.edits, now, Layouts::MayChange) else {
        panic!("a layout changed")
    };
    assert!(why.contains("screening eight: somebody had a seat in it"), "{why}");
    // An import names every screening that this is true of, and takes the others.
    let mut again = bundle().check(now);
    again.keep_layouts(&*store, Layouts::MayChange).expect("reads");
    let refused: Vec<&str> = again.refused.iter().map(|r| r.row.as_str()).collect();
    assert_eq!((refused, again.screenings), (vec!["eight"], 1));
    // The way out that the message names.
    let mut both = serde_json::to_value(bundle()).expect("json");
    let old = serde_json::to_value(smaller_hall()).expect("json")["layouts"].clone();
    let old = old.as_object().expect("layouts").values().next().expect("one").clone();
    both["layouts"]["before"] = old;
    both["screenings"][0]["layout"] = json!("before");
    let both: admit_server::bundle::Bundle = serde_json::from_value(both).expect("a bundle");
    let both = both.check(now);
    assert_eq!(both.refused, []);
    store.edit(&both.edits, now, Layouts::MayChange).expect("the screening keeps its layout, the hall has the new one");
    let listing = admit_server::store::Store::catalogue(&*store).expect("reads");
    let (exported, lost) = admit_server::bundle::Bundle::export(&listing, now).expect("exports");
    assert_eq!(lost, [], "what is pinned can be said in a file");
    let exported = exported.check(now);
    assert_eq!((exported.refused.len(), layout_of(&exported.edits)), (0, layout_of(&smaller.edits)));
}

#[test]
fn a_file_adds_to_what_is_there() {
    let now: jiff::Timestamp = NOON.parse().expect("noon");
    let (store, _folder) = open();
    store.edit(&bundle().check(now).edits, now, Layouts::Stay).expect("edits");
    let there = admit_server::store::Store::catalogue(&store).expect("reads");
    let whole = serde_json::to_value(bundle()).expect("json");
    // Next week: one screening, with the prices that there are, by the name that the first file gave them.
    let mut row = whole["screenings"][0].clone();
    row["id"] = json!("next");
    row["starts"] = json!("2026-11-28T20:00");
    let more: admit_server::bundle::Bundle =
        serde_json::from_value(json!({"screenings": [row.clone()], "cancellation": whole["cancellation"]}))
            .expect("a bundle");
    let checked = more.check_with(&there, now);
    assert_eq!((checked.refused.as_slice(), checked.strange.as_slice(), checked.screenings), (&[][..], &[][..], 1));
    store.edit(&checked.edits, now, Layouts::Stay).expect("edits");
    assert_eq!(more.check(now).refused[0].why, "there is no cinema kino", "by itself it says too little");
    let bad = |member: &str, value: Value| {
        let mut row = row.clone();
        row[member] = value;
        let bad: admit_server::bundle::Bundle = serde_json::from_value(json!({"screenings": [row]})).expect("a bundle");
        bad.check_with(&there, now).refused[0].why.clone()
    };
    let layout = there.screenings[0].screening.layout.to_string();
    assert_eq!(bad("hall", json!("three")), "there is no hall three of kino");
    assert!(bad("price_table", json!("matinee")).contains("there is no price_table matinee"));
    assert!(bad("price_table", json!(layout.clone())).contains("there is no price_table"), "a layout is none");
    assert!(bad("layout", json!("sha256-x")).contains("there is no layout"));
    // It begins while one that is there is shown.
    let mut over = row.clone();
    over["starts"] = json!("2026-11-21T21:30");
    let over: admit_server::bundle::Bundle = serde_json::from_value(json!({"screenings": [over]})).expect("a bundle");
    let strange: Vec<String> = over.check_with(&there, now).strange.into_iter().map(|r| r.why).collect();
    assert!(strange.contains(&"in hall one it begins before screening eight is over".to_owned()), "{strange:?}");
    assert!(
        strange[0].starts_with("for 1 of its screenings nothing is said of cancellations"),
        "the policy was forgotten: {strange:?}"
    );
    // A hall is corrected, and its screenings are not in the file.
    let mut hall = serde_json::to_value(smaller_hall()).expect("json");
    hall.as_object_mut().expect("a bundle").remove("screenings");
    let hall: admit_server::bundle::Bundle = serde_json::from_value(hall).expect("a bundle");
    let there = admit_server::store::Store::catalogue(&store).expect("reads");
    let strange = hall.check_with(&there, now).strange;
    assert!(strange.iter().any(|r| r.row == "one of kino" && r.why.starts_with("3 of its screenings")), "{strange:?}");
}

#[tokio::test]
async fn a_server_that_runs_for_a_year_signs_and_keeps_its_keys() {
    use admit_server::keys::KeyRing;
    let now: jiff::Timestamp = NOON.parse().expect("noon");
    let (store, folder) = open();
    let kept = folder.path().join("keys");
    store.edit(&bundle().check(now).edits, now, Layouts::Stay).expect("edits");
    let clock = std::sync::Arc::new(admit_server::clock::ManualClock::new(now));
    let keys = KeyRing::open_or_create(&kept, now).expect("keys");
    let s = Stage::with(std::sync::Arc::new(store), clock.clone(), keys, folder);
    let listed = async || {
        let _ = s.cinema.manifest();
        KeyRing::open(&kept).expect("kept").public()
    };
    let first = listed().await;
    for day in 1..=365 {
        clock.advance(24 * 3600);
        // Whoever asks for the manifest sees every key that is kept, and one of them signs.
        let manifest: serde_json::Value = s.get(ANNA, "/.well-known/admit").await.body;
        assert!(manifest["payload"].is_string(), "day {day}");
        let ring = KeyRing::open(&kept).expect("kept");
        let later = admit_protocol::time::after(now, day * 24 * 3600);
        assert!(ring.signing(later).is_some(), "day {day}");
    }
    let last = listed().await;
    assert!(last.ticket.len() > 4 && last.ticket.starts_with(&first.ticket) && last.identity == first.identity);
}

#[tokio::test]
async fn who_has_tickets_is_told_of_another_time() {
    let now: jiff::Timestamp = NOON.parse().expect("noon");
    let (store, folder) = open();
    let path = folder.path().join("cinema.sqlite");
    let store = std::sync::Arc::new(store);
    store.edit(&bundle().check(now).edits, now, Layouts::Stay).expect("edits");
    let (keys, _) = admit_server::keys::KeyRing::generate(now).expect("randomness");
    let clock = std::sync::Arc::new(admit_server::clock::ManualClock::new(now));
    let s = Stage::with(store.clone(), clock, keys, folder);
    let hold = s.hold(ANNA, &["A1"]).await;
    let mut with_address = crate::stage::book(&hold, 1050);
    with_address["buyer"] = json!({"email": "anna@example.org"});
    let booking = s.post(ANNA, "/v1/screenings/eight/bookings", &with_address).await;
    assert_eq!(booking.status, 201, "{}", booking.body);
    s.booked(ANNA, &["A2"]).await;
    s.hold(ANNA, &["A3"]).await;
    let edits = |change: fn(&mut serde_json::Value)| {
        let mut programme = serde_json::to_value(bundle()).expect("json");
        change(&mut programme["screenings"][0]);
        let programme: admit_server::bundle::Bundle = serde_json::from_value(programme).expect("a bundle");
        programme.check(now).edits
    };
    // A word to the visitor disturbs nobody.
    assert_eq!(store.edit(&edits(|s| s["note"] = json!({"en": "With music"})), now, Layouts::Stay).expect("edits"), []);
    // A date that was mistyped would end bookings that nobody can bring back.
    let over = store.edit(&edits(|s| s["starts"] = json!("2026-11-20T22:00")), now, Layouts::Stay);
    assert!(matches!(over, Err(StoreError::Refused(why)) if why.contains("is the date right?")));
    let disturbed = store.edit(&edits(|s| s["starts"] = json!("2026-11-21T22:00")), now, Layouts::Stay).expect("edits");
    assert_eq!(disturbed.len(), 1);
    assert_eq!((disturbed[0].bookings.len(), disturbed[0].without_address.len()), (2, 1));
    let db = rusqlite::Connection::open(path).expect("opens");
    let sql = "SELECT address, body FROM outbox WHERE kind = 'screening_changed'";
    let (to, told): (String, String) =
        db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).expect("one message");
    let told: serde_json::Value = serde_json::from_str(&told).expect("json");
    assert_eq!((to.as_str(), &told["booking"]), ("anna@example.org", &booking.body["id"]));
    assert_eq!(told["after"]["starts_at"]["local"], "2026-11-21T22:00:00+01:00");
    // Who pays at the cinema has an hour more, too: also for a house that was in memory.
    s.cinema.reload().await.expect("reloads");
    let instant = |said: &crate::stage::Said| -> jiff::Timestamp {
        said.body["collect_by"].as_str().expect("a time to pay").parse().expect("an instant")
    };
    let later = s.get(ANNA, &crate::stage::path(&booking)).await;
    assert_eq!(instant(&later).duration_since(instant(&booking)).as_mins(), 60);
    assert_eq!(s.hold(ANNA, &["A4"]).await.status, 201, "and it is sold as before");
    // What was ever sold is never deleted: what is to be given back would be forgotten.
    let gone = store.edit(&[Edit::RemoveScreening("eight".parse().expect("an id"))], now, Layouts::Stay);
    assert!(matches!(gone, Err(StoreError::Refused(why)) if why.contains("set its status to cancelled")));
}

#[tokio::test]
async fn who_booked_another_film_is_told() {
    let now: jiff::Timestamp = NOON.parse().expect("noon");
    let (store, folder) = open();
    let store = std::sync::Arc::new(store);
    store.edit(&bundle().check(now).edits, now, Layouts::Stay).expect("edits");
    let (keys, _) = admit_server::keys::KeyRing::generate(now).expect("randomness");
    let clock = std::sync::Arc::new(admit_server::clock::ManualClock::new(now));
    let s = Stage::with(store.clone(), clock, keys, folder);
    s.booked(ANNA, &["A1"]).await;
    let mut programme = serde_json::to_value(bundle()).expect("json");
    let mut other = programme["films"][0].clone();
    other["id"] = json!("other");
    programme["films"].as_array_mut().expect("a list").push(other);
    programme["screenings"][0]["items"] = json!([{"film": "other"}]);
    let programme: admit_server::bundle::Bundle = serde_json::from_value(programme).expect("a bundle");
    let disturbed = store.edit(&programme.check(now).edits, now, Layouts::Stay).expect("edits");
    assert_eq!((disturbed.len(), disturbed[0].bookings.len()), (1, 1));
}

#[test]
fn prices_that_are_probably_a_slip_are_pointed_at() {
    let (store, _folder) = open();
    let now = NOON.parse().expect("noon");
    store.edit(&bundle().check(now).edits, now, Layouts::Stay).expect("edits");
    let there = admit_server::store::Store::catalogue(&store).expect("reads");
    let strange = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut file = serde_json::to_value(bundle()).expect("json");
        change(&mut file["price_tables"]["evening"]);
        let file: admit_server::bundle::Bundle = serde_json::from_value(file).expect("a bundle");
        let said = file.check_with(&there, now).strange.into_iter().filter(|r| r.kind == "price_table");
        said.map(|r| r.why).collect::<Vec<_>>()
    };
    assert_eq!(strange(&|_| ()), Vec::<String>::new());
    // Written in euros, not in cents.
    let costs = |amount: i64| {
        strange(&|table| {
            table["offers"][0]["base"]["amount"] = json!(amount);
            table["offers"][0]["total"]["amount"] = json!(amount);
        })
    };
    let euros = costs(10);
    assert!(euros.contains(&"adult in std costs 0.10 EUR: amounts are in the smallest unit, 7.00 is 700".to_owned()));
    assert!(euros.contains(&"adult in std costs 0.10 EUR, and was 10.00 EUR before".to_owned()), "{euros:?}");
    assert!(costs(0).contains(&"adult in std costs nothing, and was 10.00 EUR before".to_owned()), "{:?}", costs(0));
    assert_eq!(
        costs(1050),
        ["adult in std costs 10.50 EUR, and was 10.00 EUR before"],
        "who changes a price sees what it was"
    );
    let gone = strange(&|table| drop(table["offers"].as_array_mut().expect("a list").remove(1)));
    assert_eq!(gone, ["child in std has no price any more, and was 7.00 EUR before"]);
    let forgotten = strange(&|table| {
        table["ticket_types"].as_array_mut().expect("a list").retain(|t| t["id"] != "child");
        table["ticket_types"].as_array_mut().expect("a list").retain(|t| t["id"] != "carer");
        table["offers"].as_array_mut().expect("a list").retain(|o| o["ticket_type"] == "adult");
    });
    assert!(
        forgotten.contains(&"there is no ticket child any more, which was 7.00 EUR before".to_owned()),
        "{forgotten:?}"
    );
}

#[test]
fn an_edit_is_made_whole_or_not_at_all() {
    let (store, _folder) = open();
    let now = NOON.parse().expect("noon");
    let mut edits = bundle().check(now).edits;
    edits.push(Edit::RemoveScreening("nobody".parse().expect("id")));
    assert!(matches!(store.edit(&edits, now, Layouts::Stay), Err(StoreError::Refused(_))));
    let listing = admit_server::store::Store::catalogue(&store).expect("reads");
    assert!(listing.cinemas.is_empty() && listing.screenings.is_empty() && listing.documents.is_empty());
}

#[tokio::test]
async fn the_feed_tells_every_screening_once_and_then_what_changes() {
    let s = Stage::new();
    let all = s.get(ANNA, "/v1/feed").await;
    assert_eq!(all.body["items"].as_array().map(Vec::len), Some(2));
    let next = all.body["next"].as_str().expect("a cursor");
    let none = s.get(ANNA, &format!("/v1/feed?cursor={next}")).await;
    assert_eq!(none.body["items"], json!([]));
    assert_eq!(s.get(ANNA, "/v1/feed?cursor=x").await.code(), "unreadable");
    assert_eq!(s.get(ANNA, "/v1/feed?cursor=0.0").await.code(), "cursor_expired");
}

#[tokio::test]
async fn what_is_not_offered_says_so() {
    let rules = admit_server::HouseRules { waitlist: false, ..admit_server::HouseRules::default() };
    let Stage { store, clock, keys, folder, .. } = Stage::new();
    let s = Stage::by(rules, store, clock, keys, folder);
    let said = s.post(ANNA, "/v1/screenings/eight/waitlist", &json!({})).await;
    assert_eq!((said.status.as_u16(), said.code().as_str()), (404, "capability_not_offered"));
    assert_eq!(s.get(ANNA, "/v1/nothing").await.code(), "not_found");
    assert_eq!(s.delete(ANNA, "/v1/screenings/eight/seats").await.code(), "method_not_allowed");
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let s = Stage::new();
    for path in
        ["/.well-known/admit", "/v1/cinemas/kino/programme", "/v1/screenings/eight", "/v1/screenings/eight/seats"]
    {
        let first = s.get(ANNA, path).await;
        let request = http::Request::get(path).header("if-none-match", &first.headers["etag"]);
        let second = s.send(request.body(axum::body::Body::empty()).expect("a request")).await;
        assert_eq!((second.status.as_u16(), second.bytes.len()), (304, 0), "{path}");
    }
}

#[tokio::test]
async fn any_page_may_ask_without_cookies() {
    let s = Stage::new();
    let said = s.get(ANNA, "/v1/screenings/eight/seats").await;
    assert_eq!(said.headers["access-control-allow-origin"], "*");
    assert!(!said.headers.contains_key("access-control-allow-credentials"));
    assert!(said.headers.contains_key("request-id") && said.headers.contains_key("admit-now"));
}

#[test]
fn what_is_exported_is_imported_again_and_changes_nothing() {
    let (store, _folder) = open();
    let now = NOON.parse().expect("noon");
    store.edit(&bundle().check(now).edits, now, Layouts::Stay).expect("edits");
    let before = admit_server::store::Store::catalogue(&store).expect("reads");
    let (exported, lost) = admit_server::bundle::Bundle::export(&before, now).expect("exports");
    assert_eq!(lost, []);
    let file = serde_json::to_string(&exported).expect("writes");
    let read: admit_server::bundle::Bundle = serde_json::from_str(&file).expect("reads");
    let later = "2026-11-21T15:00:00Z".parse().expect("later");
    let checked = read.check(later);
    assert_eq!(checked.refused, []);
    store.edit(&checked.edits, later, Layouts::Stay).expect("edits");
    let after = admit_server::store::Store::catalogue(&store).expect("reads");
    assert_eq!((after.cinemas, after.films, after.screenings), (before.cinemas, before.films, before.screenings));
    assert_eq!(after.documents.len(), before.documents.len());
}

#[tokio::test]
async fn a_chain_of_any_size_fits_pages_that_every_reader_takes() {
    let mut chain = serde_json::to_value(bundle()).expect("json");
    let hall =
        |n: usize| json!({"id": format!("h{n}"), "name": {"en": format!("Hall {n}, ").repeat(20)}, "layout": "one"});
    for n in 0..40 {
        let mut cinema = chain["cinemas"][0].clone();
        cinema["id"] = json!(format!("kino-{n}"));
        cinema["halls"] = (0..100).map(hall).collect();
        chain["cinemas"].as_array_mut().expect("a list").push(cinema);
    }
    let mut bloated = chain["cinemas"][0].clone();
    bloated["id"] = json!("bloated");
    bloated["halls"] =
        (0..200).map(|n| json!({"id": format!("h{n}"), "name": {"en": "x".repeat(1000)}, "layout": "one"})).collect();
    chain["cinemas"].as_array_mut().expect("a list").push(bloated);
    let chain: admit_server::bundle::Bundle = serde_json::from_value(chain).expect("a bundle");
    let checked = chain.check(NOON.parse().expect("noon"));
    assert_eq!(checked.refused.iter().map(|r| r.row.as_str()).collect::<Vec<_>>(), ["bloated"]);

    let (store, folder) = open();
    let now = NOON.parse().expect("noon");
    store.edit(&checked.edits, now, Layouts::Stay).expect("edits");
    let (keys, _) = admit_server::keys::KeyRing::generate(now).expect("randomness");
    let clock = std::sync::Arc::new(admit_server::clock::ManualClock::new(now));
    let s = Stage::with(std::sync::Arc::new(store), clock, keys, folder);
    let manifest = s.manifest();
    let mut cinemas = 0;
    for page in &manifest.cinema_pages {
        let said = s.get(ANNA, &format!("/v1/cinema_pages/{page}")).await;
        assert!(said.bytes.len() <= admit_protocol::json::MANIFEST_BYTES_MAX, "{} bytes", said.bytes.len());
        cinemas += said.body["cinemas"].as_array().map_or(0, Vec::len);
    }
    assert_eq!((cinemas, manifest.cinema_pages.len() > 1), (41, true));
}

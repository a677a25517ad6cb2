//! What a programme says that can be used, and is probably not what was meant.

use admit_server::store::{Layouts, StaffStore as _};
use serde_json::{Value, json};

use crate::catalogue::open;
use crate::stage::{NOON, bundle};

#[test]
fn what_is_probably_not_meant_is_pointed_at() {
    let mut odd = serde_json::to_value(bundle()).expect("json");
    let with = |id: &str, starts: &str| {
        let mut screening = odd["screenings"][0].clone();
        (screening["id"], screening["starts"]) = (json!(id), json!(starts));
        screening
    };
    let more = [with("late", "2020-11-21T20:00"), with("far", "2206-11-21T20:00"), with("over", "2026-11-21T21:00")];
    odd["screenings"].as_array_mut().expect("a list").extend(more);
    let table = odd["price_tables"].as_object().expect("tables").keys().next().expect("one").clone();
    let offers = odd["price_tables"][&table]["offers"].as_array_mut().expect("offers");
    let mut offer = offers[0].clone();
    offer["zone"] = json!("balcony");
    offers.push(offer);
    let odd: admit_server::bundle::Bundle = serde_json::from_value(odd).expect("a bundle");
    let checked = odd.check(NOON.parse().expect("noon"));
    assert_eq!(checked.refused, []);
    let strange: Vec<&str> = checked.strange.iter().map(|r| r.why.as_str()).collect();
    assert_eq!(
        strange,
        [
            "it has prices for zone balcony, which no hall has",
            "it began at Sat 21 Nov 2020, 20:00 already",
            "it begins at Fri 21 Nov 2206, 20:00: is it that year?",
            "in hall one it begins before screening eight is over",
        ]
    );
}

#[test]
fn what_a_file_leaves_out_and_prices_it_changes_are_pointed_at() {
    let now: jiff::Timestamp = NOON.parse().expect("noon");
    let (store, _folder) = open();
    let read = |value: &Value| serde_json::from_value::<admit_server::bundle::Bundle>(value.clone()).expect("a bundle");
    let whole = serde_json::to_value(bundle()).expect("json");
    let mut said = whole.clone();
    let row = said["screenings"][0].as_object_mut().expect("a row");
    row.insert("collect_min".into(), json!(90));
    row.insert("note".into(), json!({"en": "with an introduction"}));
    row.insert("sales_open".into(), json!("2026-11-21T15:00:00Z"));
    let id = row["id"].clone();
    store.edit(&read(&said).check(now).edits, now, Layouts::Stay).expect("edits");
    let there = admit_server::store::Store::catalogue(&store).expect("reads");
    assert_eq!(read(&said).check_with(&there, now).strange, [], "the same file again");
    let strange = read(&whole).check_with(&there, now).strange;
    let why =
        "the file leaves out `collect_min`, `note`, `sales_open`, which it had before, and so it has that no more";
    assert_eq!(strange.iter().map(|r| (&*r.row, &*r.why)).collect::<Vec<_>>(), [(id.as_str().expect("an id"), why)]);
    // Prices under the same name, for some of those that have them.
    let mut dearer = said.clone();
    dearer["screenings"].as_array_mut().expect("rows").truncate(1);
    let name = dearer["screenings"][0]["price_table"].as_str().expect("a name").to_owned();
    let fee = &mut dearer["price_tables"][&name]["booking_fees"][0]["amount"]["amount"];
    *fee = json!(fee.as_i64().expect("an amount") + 10);
    let strange = read(&dearer).check_with(&there, now).strange;
    let prices: Vec<_> = strange.iter().filter(|r| r.kind == "price_table").collect();
    assert_eq!((prices.len(), &*prices[0].row), (1, &*name), "{strange:?}");
    assert!(prices[0].why.starts_with("it is not what it was before; 1 of the screenings"), "{strange:?}");
}

#[test]
fn an_old_file_and_another_currency_are_pointed_at() {
    let now: jiff::Timestamp = NOON.parse().expect("noon");
    let (store, _folder) = open();
    let whole = serde_json::to_value(bundle()).expect("json");
    let mut off = whole.clone();
    off["screenings"][0]["status"] = json!("cancelled");
    let read = |value: Value| serde_json::from_value::<admit_server::bundle::Bundle>(value).expect("a bundle");
    store.edit(&read(off).check(now).edits, now, Layouts::Stay).expect("edits");
    let there = admit_server::store::Store::catalogue(&store).expect("reads");
    let strange = bundle().check_with(&there, now).strange;
    assert_eq!(strange.iter().map(|r| r.why.as_str()).collect::<Vec<_>>(), ["it was cancelled, and takes place again"]);
    // A cinema in another currency than what it sells.
    let text = whole.to_string().replace("\"EUR\"", "\"CHF\"");
    let mut dear: Value = serde_json::from_str(&text).expect("json");
    dear["screenings"].as_array_mut().expect("screenings").pop();
    let refused = read(dear.clone()).check_with(&there, now).refused;
    assert!(refused[0].why.contains("screening tomorrow, which this file leaves out, is sold in EUR"), "{refused:?}");
    let all = read(serde_json::from_str(&text).expect("json")).check_with(&there, now);
    assert_eq!(all.refused, []);
    store.edit(&all.edits, now, Layouts::Stay).expect("nobody has bought anything yet");
}

#[test]
fn slips_of_a_unit_or_a_date_are_pointed_at() {
    let now: jiff::Timestamp = NOON.parse().expect("noon");
    let (store, _folder) = open();
    store.edit(&bundle().check(now).edits, now, Layouts::Stay).expect("edits");
    let there = admit_server::store::Store::catalogue(&store).expect("reads");
    let whole = serde_json::to_value(bundle()).expect("json");
    let says = |change: &dyn Fn(&mut Value)| {
        let mut odd = whole.clone();
        change(&mut odd);
        let odd: admit_server::bundle::Bundle = serde_json::from_value(odd).expect("a bundle");
        let checked = odd.check_with(&there, now);
        assert_eq!(checked.refused, []);
        checked.strange.iter().map(|r| r.why.clone()).collect::<Vec<_>>()
    };
    assert_eq!(says(&|_| ()), Vec::<String>::new());
    let degrees = says(&|p| p["cinemas"][0]["position"] = json!({"lat_e6": 50, "lon_e6": 14}));
    assert!(degrees[0].contains("are millionths of a degree, 41.15 is 41150000"), "{degrees:?}");
    let moved = says(&|p| p["cinemas"][0]["position"]["lon_e6"] = json!(15_421_000));
    assert_eq!(moved, ["its position is 50.08700, 15.42100, 71 km from where it was"]);
    assert_eq!(says(&|p| p["cinemas"][0]["position"]["lon_e6"] = json!(14_422_000)), Vec::<String>::new());
    let phone = says(&|p| p["cinemas"][0]["telephone"] = json!("0 1234 567 890"));
    assert!(phone[0].contains("cannot be dialled from abroad"), "{phone:?}");
    assert_eq!(says(&|p| p["cinemas"][0]["telephone"] = json!("+420 (2) 1234-567")), Vec::<String>::new());
    let dear = says(&|p| {
        let table = p["price_tables"].as_object_mut().expect("tables").values_mut().next().expect("one");
        for offer in table["offers"].as_array_mut().expect("offers") {
            (offer["base"]["amount"], offer["total"]["amount"]) = (json!(90_000), json!(90_000));
            offer.as_object_mut().expect("an offer").remove("fees");
        }
    });
    assert!(
        dear.iter().any(|why| why.contains("costs 900.00 EUR: amounts are in the smallest unit, 9.00 is 900")),
        "{dear:?}"
    );
    let fee = says(&|p| {
        let table = p["price_tables"].as_object_mut().expect("tables").values_mut().next().expect("one");
        table["booking_fees"] =
            json!([{"id": "vvk", "name": {"en": "Fee"}, "amount": {"amount": 8000, "currency": "EUR"}}]);
    });
    assert!(fee.iter().any(|why| why == "its fee vvk, 80.00 EUR, is more than any ticket costs"), "{fee:?}");
    let language = says(&|p| p["films"][0]["versions"][0]["subtitle_languages"] = json!(["jp"]));
    assert_eq!(language, ["`jp` is no language: is `ja` meant?"]);
    let row = |member: &'static str, value: Value| says(&move |p| p["screenings"][1][member] = value.clone());
    assert_eq!(row("doors_min", json!(600)), ["its doors open 600 minutes before the start (`doors_min`)"]);
    let trailers = row("trailers_min", json!(150));
    assert_eq!(trailers, ["its film begins after 150 minutes of trailers (`trailers_min`)"]);
    // Noon, and it was yesterday; this morning it would have been today's.
    assert_eq!(row("starts", json!("2026-11-20T21:00")), ["it began at Fri 20 Nov 2026, 21:00 already"]);
    assert_eq!(row("starts", json!("2026-11-21T09:00")), Vec::<String>::new());
    let year = row("starts", json!("2027-11-21T21:00"));
    assert_eq!(year, ["it begins at Sun 21 Nov 2027, 21:00: is it that year?"]);
    let tiers = json!([{"until_before_start_s": 7200, "refund_percent": 50}, {"until_before_start_s": 60, "refund_percent": 100}]);
    let upside_down = row("cancellation", json!({"tiers": tiers}));
    assert_eq!(upside_down, ["who cancels early gets less back than who cancels late"]);
}

#[test]
fn what_the_whole_file_says_of_cancellations_is_read_to_the_letter() {
    let now: jiff::Timestamp = NOON.parse().expect("noon");
    let whole = serde_json::to_value(bundle()).expect("json");
    let refused = |cancellation: Value| {
        let mut bad = whole.clone();
        bad["cancellation"] = cancellation;
        let bad: admit_server::bundle::Bundle = serde_json::from_value(bad).expect("a bundle");
        bad.check(now).refused
    };
    for (member, cancellation) in [
        ("fee_per_tickets", json!({"tiers": [], "fee_per_tickets": {"amount": 100, "currency": "EUR"}})),
        ("exchange.foo", json!({"exchange": {"until_before_start_s": 100, "foo": 1}})),
        ("tier", json!({"tier": []})),
    ] {
        let refused = refused(cancellation);
        assert_eq!(&*refused[0].row, "cancellation");
        assert_eq!(refused[0].why, format!("`{member}` is not known: a typo?"));
        assert_eq!(refused[1].because_of.as_deref(), Some("programme cancellation"), "{refused:?}");
    }
    // A screening with a policy of its own gets that of the file: the file says so.
    let (store, _folder) = open();
    let mut own = whole.clone();
    own["screenings"][0]["cancellation"] = json!({"tiers": []});
    let own: admit_server::bundle::Bundle = serde_json::from_value(own).expect("a bundle");
    store.edit(&own.check(now).edits, now, Layouts::Stay).expect("edits");
    let there = admit_server::store::Store::catalogue(&store).expect("reads");
    assert_eq!(bundle().check_with(&there, now).strange, [], "the change is named, and nothing was left out");
}

#[test]
fn a_fee_that_nobody_could_take_is_refused() {
    for policy in [
        json!({"tiers": [], "fee_per_ticket": {"amount": 100, "currency": "GBP"}}),
        json!({"exchange": {"until_before_start_s": 3600, "fee_per_ticket": {"amount": 50, "currency": "GBP"}}}),
    ] {
        let mut foreign = serde_json::to_value(bundle()).expect("json");
        foreign["cancellation"] = policy;
        let foreign: admit_server::bundle::Bundle = serde_json::from_value(foreign).expect("a bundle");
        let refused = foreign.check(NOON.parse().expect("noon")).refused;
        assert_eq!(refused[0].why, "its cancellation policy has a fee in GBP, the cinema sells in EUR");
    }
}

#[test]
fn what_could_never_be_sold_is_refused() {
    let mut late = serde_json::to_value(bundle()).expect("json");
    late["screenings"][0]["sales_open"] = json!("2026-11-21T20:00:00Z");
    let read = |late: &Value| serde_json::from_value::<admit_server::bundle::Bundle>(late.clone()).expect("a bundle");
    let refused = read(&late).check(NOON.parse().expect("noon")).refused;
    assert_eq!(refused[0].why, "`sales_open` is Sat 21 Nov 2026, 21:00, when its sales are over already");
    late["screenings"][0]["sales_open"] = json!("2026-11-21 19:00");
    let refused = read(&late).check(NOON.parse().expect("noon")).refused;
    let instant =
        "`sales_open`: an instant says its offset from UTC, such as 2026-11-21T10:00:00+01:00 or 2026-11-21T09:00:00Z";
    assert_eq!(refused[0].why, instant);
    late["screenings"][0]["sales_open"] = json!("2026-11-21T18:00:00Z");
    late["films"][0]["title"] = json!("Nosferatu");
    let refused = read(&late).check(NOON.parse().expect("noon")).refused;
    let text = "`title`: the text \"Nosferatu\" is found, not a text by language, such as {\"en\": \"Metropolis\"}";
    assert_eq!(refused[0].why, text);
}

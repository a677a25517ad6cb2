//! Every parser of JSON.

use admit_protocol::booking::{Book, Booking, Cancel, CancellationQuote, QuoteCancellation, Tickets};
use admit_protocol::cinema::{CinemaPage, Country};
use admit_protocol::directory::{Announce, Announcement, FilmsShowing, Listings, ScreeningHints};
use admit_protocol::door::{ScanResults, UploadScans};
use admit_protocol::exchange::{Exchange, ExchangeQuote, QuoteExchange};
use admit_protocol::feed::Feed;
use admit_protocol::hold::{ExtendHold, Hold, PlaceHold};
use admit_protocol::json::{self, Numbers};
use admit_protocol::jws::Jws;
use admit_protocol::layout::Layout;
use admit_protocol::manifest::Manifest;
use admit_protocol::notification::{ChallengeAnswer, Notification};
use admit_protocol::price::PriceTable;
use admit_protocol::problem::Problem;
use admit_protocol::queue::QueuePlace;
use admit_protocol::receipt::{Receipt, SeatLogEntry, SeatLogPage};
use admit_protocol::screening::{Programme, Screening};
use admit_protocol::seats::{Seats, SeatsChange};
use admit_protocol::waitlist::{JoinWaitlist, WaitlistEntry};
use admit_server::bundle::Bundle;
use serde_json::{Value, json};

use super::{both, get, hostile, post, programme};

/// Reads bytes as one kind of message; what is accepted is written and read again as the same.
fn read_as<T>(bytes: &[u8])
where
    T: serde::de::DeserializeOwned + serde::Serialize + PartialEq + std::fmt::Debug,
{
    if let Ok(message) = json::read::<T>(bytes, 4 << 20, Numbers::Any) {
        let again = serde_json::to_vec(&message).expect("writes");
        let again: T = json::read(&again, 8 << 20, Numbers::Any).expect("what we write, we read");
        assert_eq!(again, message);
    }
}

/// Each kind of message of the protocol. The schemas' list is longer by nothing.
const MESSAGES: [fn(&[u8]); 38] = [
    read_as::<UploadScans>,
    read_as::<Announce>,
    read_as::<Announcement>,
    read_as::<Book>,
    read_as::<Booking>,
    read_as::<Cancel>,
    read_as::<CancellationQuote>,
    read_as::<CinemaPage>,
    read_as::<ExtendHold>,
    read_as::<Feed>,
    read_as::<FilmsShowing>,
    read_as::<Hold>,
    read_as::<Jws>,
    read_as::<Layout>,
    read_as::<Listings>,
    read_as::<Manifest>,
    read_as::<PlaceHold>,
    read_as::<PriceTable>,
    read_as::<Problem>,
    read_as::<Programme>,
    read_as::<QuoteCancellation>,
    read_as::<ScanResults>,
    read_as::<Screening>,
    read_as::<ScreeningHints>,
    read_as::<Seats>,
    read_as::<SeatsChange>,
    read_as::<Tickets>,
    read_as::<JoinWaitlist>,
    read_as::<WaitlistEntry>,
    read_as::<QueuePlace>,
    read_as::<QuoteExchange>,
    read_as::<ExchangeQuote>,
    read_as::<Exchange>,
    read_as::<Receipt>,
    read_as::<SeatLogPage>,
    read_as::<SeatLogEntry>,
    read_as::<Notification>,
    read_as::<ChallengeAnswer>,
];

fn every_parser(bytes: &[u8]) {
    MESSAGES.iter().for_each(|read| read(bytes));
    let now = jiff::Timestamp::now();
    let _ = json::read::<Bundle>(bytes, 1 << 22, Numbers::Any).map(|bundle| bundle.check(now));
    let _ = admit_index::import::read_geojson(bytes, Country::parse("FR").expect("FR"));
    let _ = admit_server::plans::read(bytes);
}

#[test]
fn every_kind_of_message_is_tried() {
    assert_eq!(MESSAGES.len(), admit_protocol::schema::all().len());
}

#[test]
fn json_that_must_fail_fails_and_json_that_must_parse_parses_but_for_what_we_refuse() {
    let Some(hostile) = hostile("robustness: JSON test suite") else { return };
    let mut stricter = Vec::new();
    for (name, bytes) in &hostile.json {
        every_parser(bytes);
        let read = json::read::<Value>(bytes, 1 << 20, Numbers::Any);
        match name.as_bytes()[0] {
            b'n' => assert!(read.is_err(), "{name} must fail"),
            b'y' => match read {
                Ok(value) => assert_eq!(value, serde_json::from_slice::<Value>(bytes).expect(name), "{name}"),
                Err(_) => stricter.push(name.as_str()),
            },
            _ => {}
        }
    }
    stricter.sort_unstable();
    // Whole numbers beyond 2^53, and a member twice: valid JSON, and ambiguous messages (HTTP-004).
    let beyond = ["number", "number_real_capital_e", "number_real_exponent", "number_real_fraction_exponent"];
    let twice = ["object_duplicated_key", "object_duplicated_key_and_value", "object_extreme_numbers"];
    let expected: Vec<String> = beyond.iter().chain(&twice).map(|name| format!("y_{name}.json")).collect();
    assert_eq!(stricter, expected);
}

/// Good messages of a cinema, to be spoiled.
async fn good_messages() -> Vec<Value> {
    let both = both(programme());
    // The layout is a message of its own, and large.
    let mut file = programme();
    file["layouts"] = json!({});
    let mut messages = vec![file];
    let (_, jws) = get(&both.cinema, "/.well-known/admit").await;
    let signed: Jws = serde_json::from_value(jws.clone()).expect("a jws");
    let manifest: Manifest = signed.unverified(1 << 20).expect("a manifest");
    messages.extend([jws, serde_json::to_value(&manifest).expect("writes")]);
    let (_, screening) = get(&both.cinema, "/v1/screenings/show").await;
    let page = format!("/v1/cinema_pages/{}", manifest.cinema_pages[0]);
    let layout = format!("/v1/layouts/{}", screening["layout"].as_str().expect("a name"));
    let table = format!("/v1/price_tables/{}", screening["price_table"].as_str().expect("a name"));
    let others = ["/v1/cinemas/kino/programme", "/v1/feed", "/v1/screenings/show/seats", "/v1/screenings/nobody"];
    for path in [page.as_str(), &layout, &table].into_iter().chain(others) {
        messages.push(get(&both.cinema, path).await.1);
    }
    let wish = json!({"seats": [{"seat": "A1", "ticket_type": "adult"}]});
    let (status, hold) = post(&both.cinema, "/v1/screenings/show/holds", wish.to_string().into_bytes()).await;
    assert_eq!(status, 201, "{hold}");
    let book = json!({"hold": hold["id"], "tickets": wish["seats"], "total": hold["quote"]["total"],
        "payment_method": "at_cinema", "buyer": {"name": "Anna", "email": "anna@kino.example", "language": "en"}});
    let (status, booking) = post(&both.cinema, "/v1/screenings/show/bookings", book.to_string().into_bytes()).await;
    assert_eq!(status, 201, "{booking}");
    let tickets = format!("/v1/screenings/show/bookings/{}/tickets", booking["id"].as_str().expect("an id"));
    messages.extend([wish, hold, book, booking, get(&both.cinema, &tickets).await.1, screening]);
    messages
}

/// Every place of a document where a text stands: first as value, then as the name of a member.
fn spoiled(message: &Value, text: &str, spoil: &mut impl FnMut(&Value)) {
    let mut paths = Vec::new();
    leaves(message, String::new(), &mut paths);
    // Of long lists, the first entry stands for all.
    paths.retain(|path| !path.split('/').any(|step| step.parse::<usize>().is_ok_and(|n| n > 0)));
    for path in paths {
        let mut changed = message.clone();
        if let Some(leaf) = changed.pointer_mut(&path) {
            *leaf = json!(text);
        }
        spoil(&changed);
    }
    if let Value::Object(members) = message {
        let mut renamed = members.clone();
        renamed.insert(text.to_owned(), json!(text));
        spoil(&Value::Object(renamed));
    }
}

fn leaves(value: &Value, path: String, paths: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                leaves(value, format!("{path}/{}", name.replace('~', "~0").replace('/', "~1")), paths);
            }
        }
        Value::Array(values) => {
            for (n, value) in values.iter().enumerate() {
                leaves(value, format!("{path}/{n}"), paths);
            }
        }
        Value::Null => {}
        _ => paths.push(path),
    }
}

#[tokio::test]
async fn a_text_anywhere_in_a_message_breaks_no_parser() {
    let Some(hostile) = hostile("robustness: spoiled messages") else { return };
    // Each text once, in a message and at places that change with it: all pairs would be millions.
    let messages = good_messages().await;
    assert!(messages.len() > 15);
    let mut tried = 0;
    for (n, text) in hostile.texts.iter().enumerate() {
        let message = &messages[n % messages.len()];
        spoiled(message, text, &mut |changed| {
            let bytes = serde_json::to_vec(changed).expect("writes");
            every_parser(&bytes);
            tried += 1;
        });
    }
    assert!(tried > 20_000, "{tried}");
}

//! What can be asked of servers and indexes, as one table: the page of endpoints and the OpenAPI descriptions are made from it.

use admit_protocol::door::ALLOW_LIST_MEDIA_TYPE;
use admit_protocol::endpoint::{self, Endpoint};
use admit_protocol::feed::FEED_WAIT_MAX_S;

/// One endpoint, with all that its page says of it.
pub(crate) struct Operation {
    pub(crate) endpoint: Endpoint,
    pub(crate) by: By,
    /// What a manifest must list; none, if every server or index has it.
    pub(crate) capability: Option<&'static str>,
    /// The schema of what is sent.
    pub(crate) asked: Option<&'static str>,
    pub(crate) answered: Answered,
    pub(crate) query: &'static [Parameter],
}

/// Who may ask, and whether it is one effect.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Anybody,
    /// The buyer's own, as `Authorization: Bearer`.
    Secret,
    /// And an `Idempotency-Key`.
    SecretAndKey,
    Scanner,
}

impl By {
    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::Anybody => "anybody",
            Self::Secret => "secret",
            Self::SecretAndKey => "secret, key",
            Self::Scanner => "scanner",
        }
    }
}

/// What comes back, if it is done.
#[derive(Clone, Copy)]
pub(crate) enum Answered {
    /// A message by its schema.
    With(u16, &'static str),
    /// 201 with a message, or 200 with what was there.
    MadeOrThere(&'static str),
    Nothing,
    /// A document of another kind: its media type, what it is, and the page that says more.
    Document(&'static str, &'static str, &'static str),
}

/// What may follow the path.
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) of: Kind,
}

pub(crate) enum Kind {
    Text,
    /// From and to.
    Number(i64, i64),
}

const fn text(name: &'static str, about: &'static str) -> Parameter {
    Parameter { name, about, of: Kind::Text }
}

const fn number(name: &'static str, from: i64, to: i64, about: &'static str) -> Parameter {
    Parameter { name, about, of: Kind::Number(from, to) }
}

const CURSOR: Parameter = text("cursor", "The `next` of the page before; left out for the first page.");
const AFTER: Parameter =
    number("after", 0, 9_007_199_254_740_991, "The `seq` that was read last; 0 if nothing is said.");
const ORIGIN: Parameter = text("origin", "The address of the server, such as https://kino.example.");
const WAIT: Parameter = number(
    "wait",
    0,
    FEED_WAIT_MAX_S as i64,
    "Seconds to wait for news, where there are none yet; 0 if nothing is said.",
);
const SEARCH: &[Parameter] = &[
    text("q", "A name or title, typos forgiven."),
    number("lat_e6", -90_000_000, 90_000_000, "Of the middle, in microdegrees."),
    number("lon_e6", -180_000_000, 180_000_000, "Of the middle, in microdegrees."),
    number("radius_m", 1, 20_100_000, "Around the middle, in metres; 50,000 if nothing is said."),
    text("box", "south,west,north,east in microdegrees; west may be greater than east."),
    text("city", "A city."),
    text("country", "A country, by two letters of ISO 3166."),
    text("date", "A business date, or today or tomorrow by each cinema's own clock."),
    number("limit", 1, 100, "At most so many, the best or nearest; 20 if nothing is said."),
];

/// What can be asked of a server.
pub(crate) fn of_servers() -> Vec<Operation> {
    endpoint::SERVER.iter().map(|endpoint| operation(*endpoint)).collect()
}

/// What can be asked of an index.
pub(crate) fn of_indexes() -> Vec<Operation> {
    endpoint::INDEX.iter().map(|endpoint| operation(*endpoint)).collect()
}

fn operation(endpoint: Endpoint) -> Operation {
    use Answered::{Document, MadeOrThere, Nothing, With};
    use By::{Anybody, Scanner, Secret, SecretAndKey};
    let (by, capability, asked, answered) = match endpoint.name {
        "GET_CINEMA_PAGE" => (Anybody, None, None, With(200, "cinema_page")),
        "GET_PROGRAMME" => (Anybody, None, None, With(200, "programme")),
        "GET_FEED" => (Anybody, Some("feed"), None, With(200, "feed")),
        "GET_LAYOUT" => (Anybody, None, None, With(200, "layout")),
        "GET_PRICE_TABLE" => (Anybody, None, None, With(200, "price_table")),
        "GET_SCREENING" => (Anybody, None, None, With(200, "screening")),
        "GET_SEATS" => (Anybody, None, None, With(200, "seats")),
        "GET_LIVE" => (Anybody, Some("live"), None, Document("text/event-stream", "seats as they change", "seats.md")),
        "PLACE_HOLD" => (SecretAndKey, None, Some("place_hold"), With(201, "hold")),
        "GET_HOLD" => (Secret, None, None, With(200, "hold")),
        "RELEASE_HOLD" => (Secret, None, None, Nothing),
        "GET_RECEIPT" => (Secret, Some("receipts"), None, With(200, "jws")),
        "GET_SEAT_LOG" => (Anybody, Some("receipts"), None, With(200, "seat_log")),
        "EXTEND_HOLD" => (SecretAndKey, Some("extend"), Some("extend_hold"), With(200, "hold")),
        "BOOK" => (SecretAndKey, None, Some("book"), With(201, "booking")),
        "GET_BOOKING" => (Secret, None, None, With(200, "booking")),
        "FORGET_BUYER" => (Secret, None, None, Nothing),
        "GET_TICKETS" => (Secret, None, None, With(200, "tickets")),
        "QUOTE_CANCELLATION" => (Secret, None, Some("quote_cancellation"), With(200, "cancellation_quote")),
        "CANCEL" => (SecretAndKey, None, Some("cancel"), With(200, "booking")),
        "QUOTE_EXCHANGE" => (Secret, Some("exchange"), Some("quote_exchange"), With(200, "exchange_quote")),
        "EXCHANGE" => (SecretAndKey, Some("exchange"), Some("exchange"), With(201, "booking")),
        "JOIN_WAITLIST" => (SecretAndKey, Some("waitlist"), Some("join_waitlist"), With(201, "waitlist_entry")),
        "GET_WAITLIST_ENTRY" => (Secret, Some("waitlist"), None, With(200, "waitlist_entry")),
        "LEAVE_WAITLIST" => (Secret, Some("waitlist"), None, Nothing),
        "FORGET_WAITING" => (Secret, Some("waitlist"), None, Nothing),
        "JOIN_QUEUE" => (Secret, Some("queue"), None, MadeOrThere("queue_place")),
        "GET_QUEUE_PLACE" => (Secret, Some("queue"), None, With(200, "queue_place")),
        "LEAVE_QUEUE" => (Secret, Some("queue"), None, Nothing),
        "GET_ALLOW_LIST" => {
            (Scanner, Some("door"), None, Document(ALLOW_LIST_MEDIA_TYPE, "a signed list", "tickets.md"))
        }
        "UPLOAD_SCANS" => (Scanner, Some("door"), Some("upload_scans"), With(200, "scan_results")),
        "ANNOUNCE" => (Anybody, None, Some("announce"), With(200, "announcement")),
        "GET_ANNOUNCEMENT" => (Anybody, None, None, With(200, "announcement")),
        "FIND_CINEMAS" => (Anybody, None, None, With(200, "listings")),
        "FIND_FILMS" => (Anybody, Some("screenings"), None, With(200, "films_showing")),
        "FIND_SCREENINGS" => (Anybody, Some("screenings"), None, With(200, "screening_hints")),
        "GET_MANIFEST" => (Anybody, None, None, With(200, "jws")),
        unknown => unreachable!("{unknown} is a new endpoint: say here what is asked and answered"),
    };
    let query: &[Parameter] = match endpoint.name {
        "GET_PROGRAMME" => &[CURSOR],
        "GET_FEED" => &[CURSOR, WAIT],
        "GET_SEAT_LOG" => &[AFTER],
        "GET_ANNOUNCEMENT" | "GET_MANIFEST" => &[ORIGIN],
        "FIND_CINEMAS" | "FIND_FILMS" | "FIND_SCREENINGS" => SEARCH,
        _ => &[],
    };
    Operation { endpoint, by, capability, asked, answered, query }
}

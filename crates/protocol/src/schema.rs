//! JSON Schemas (2020-12) of every message, made from the types.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde_json::Value;

/// Every message by its file name in `spec/v1/schema/`.
#[must_use]
pub fn all() -> Vec<(&'static str, Schema)> {
    vec![
        ("upload_scans", of::<crate::door::UploadScans>()),
        ("announce", of::<crate::directory::Announce>()),
        ("announcement", of::<crate::directory::Announcement>()),
        ("book", of::<crate::booking::Book>()),
        ("booking", of::<crate::booking::Booking>()),
        ("cancel", of::<crate::booking::Cancel>()),
        ("cancellation_quote", of::<crate::booking::CancellationQuote>()),
        ("cinema_page", of::<crate::cinema::CinemaPage>()),
        ("exchange", of::<crate::exchange::Exchange>()),
        ("exchange_quote", of::<crate::exchange::ExchangeQuote>()),
        ("extend_hold", of::<crate::hold::ExtendHold>()),
        ("feed", of::<crate::feed::Feed>()),
        ("films_showing", of::<crate::directory::FilmsShowing>()),
        ("hold", of::<crate::hold::Hold>()),
        ("join_waitlist", of::<crate::waitlist::JoinWaitlist>()),
        ("jws", of::<crate::jws::Jws>()),
        ("layout", of::<crate::layout::Layout>()),
        ("listings", of::<crate::directory::Listings>()),
        ("manifest", of::<crate::manifest::Manifest>()),
        ("challenge_answer", of::<crate::notification::ChallengeAnswer>()),
        ("notification", of::<crate::notification::Notification>()),
        ("place_hold", of::<crate::hold::PlaceHold>()),
        ("price_table", of::<crate::price::PriceTable>()),
        ("problem", of::<crate::problem::Problem>()),
        ("programme", of::<crate::screening::Programme>()),
        ("queue_place", of::<crate::queue::QueuePlace>()),
        ("quote_cancellation", of::<crate::booking::QuoteCancellation>()),
        ("quote_exchange", of::<crate::exchange::QuoteExchange>()),
        ("receipt", of::<crate::receipt::Receipt>()),
        ("scan_results", of::<crate::door::ScanResults>()),
        ("screening", of::<crate::screening::Screening>()),
        ("screening_hints", of::<crate::directory::ScreeningHints>()),
        ("seat_log", of::<crate::receipt::SeatLogPage>()),
        ("seat_log_entry", of::<crate::receipt::SeatLogEntry>()),
        ("seats", of::<crate::seats::Seats>()),
        ("seats_change", of::<crate::seats::SeatsChange>()),
        ("tickets", of::<crate::booking::Tickets>()),
        ("waitlist_entry", of::<crate::waitlist::WaitlistEntry>()),
    ]
}

/// The schema of one type, as those of messages are made.
#[must_use]
pub fn of<T: JsonSchema>() -> Schema {
    // One description serves both who writes and who reads: what has a default may be left out.
    let settings = SchemaSettings::draft2020_12().for_deserialize().with_transform(RecursiveTransform(words_only));
    settings.into_generator().into_root_schema_for::<T>()
}

/// Examples in Rust are for readers of rustdoc.
fn words_only(schema: &mut Schema) {
    if let Some(Value::String(text)) = schema.get_mut("description")
        && let Some(code) = text.find("```")
    {
        text.truncate(text[..code].trim_end().len());
    }
}

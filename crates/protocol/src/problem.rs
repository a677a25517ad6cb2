//! What went wrong, for programs and for people: RFC 9457 problem documents.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::hold::Quote;
use crate::id::SeatId;
use crate::open_enum::open_enum;

/// The `Content-Type` of a problem.
pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";

/// A refusal or a failure. `code` is for programs; `title` and `detail` are for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// A name for this kind of problem: `urn:admit:problem:` and the code.
    #[serde(rename = "type")]
    #[schemars(length(max = 2048))]
    pub kind: String,
    /// What it is, for programs. One code for each cause.
    pub code: ProblemCode,
    /// The HTTP status, once more.
    pub status: u16,
    /// What it is, for people.
    #[schemars(length(max = 1024))]
    pub title: String,
    /// What it is this time, and what to do next.
    #[schemars(length(max = 4096))]
    pub detail: String,
    /// Which members of the request are meant: JSON pointers (RFC 6901).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pointers: Vec<String>,
    /// Which seats are in the way, all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<SeatConflict>,
    /// The right prices, for `price_changed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote: Option<Quote>,
    /// The house version this rests on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Whether the same request can succeed later.
    pub retryable: bool,
    /// When to try again, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// A seat that is in the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SeatConflict {
    /// The seat.
    pub seat: SeatId,
    /// Why it cannot be had.
    pub reason: ConflictReason,
}

open_enum! {
    /// Why a seat cannot be had.
    ConflictReason {
        /// Somebody is choosing or paying.
        Held = "held",
        /// Somebody has it.
        Sold = "sold",
        /// The cinema does not sell it.
        Blocked = "blocked",
        /// The hall has no such seat.
        NoSuchSeat = "no_such_seat",
        /// Named twice in one request.
        NamedTwice = "named_twice",
        /// For the companion of somebody in the wheelchair space beside it, which is not in the request.
        CompanionOnly = "companion_only",
        /// The area has fewer places left.
        AreaFull = "area_full",
        /// It is free, and would be left alone between taken seats.
        LeftAlone = "left_alone",
        /// It is free, and part of a sofa that is sold whole.
        PartOfGroup = "part_of_group",
    }
}

impl Problem {
    /// A problem of this kind, with a word about this case.
    #[must_use]
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self {
            kind: code.kind().into_owned(),
            code,
            status: code.status(),
            title: code.title().to_owned(),
            detail: detail.into(),
            pointers: Vec::new(),
            conflicts: Vec::new(),
            quote: None,
            seq: None,
            retryable: code.retryable(),
            retry_after_ms: None,
        }
    }

    /// Points at a member of the request.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        self.pointers.push(pointer.into());
        self
    }

    /// Says when to try again.
    #[must_use]
    pub fn retry_after_ms(mut self, ms: u64) -> Self {
        self.retryable = true;
        self.retry_after_ms = Some(ms);
        self
    }
}

/// Codes, statuses and titles: the one table of them.
macro_rules! problem_codes {
    ($($(#[$doc:meta])* $variant:ident = $word:literal, $status:literal, $retryable:literal, $title:literal;)*) => {
        open_enum! {
            /// What a problem is, for programs. An unknown code is treated by its HTTP status.
            ProblemCode { $($(#[$doc])* $variant = $word,)* }
        }

        impl ProblemCode {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The HTTP status it comes with.
            #[must_use]
            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* Self::Unknown => 500 }
            }

            /// Whether the same request can succeed later.
            #[must_use]
            pub fn retryable(self) -> bool {
                match self { $(Self::$variant => $retryable,)* Self::Unknown => false }
            }

            /// What it is, for people.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* Self::Unknown => "Something went wrong" }
            }
        }
    };
}

problem_codes! {
    /// Not JSON, or JSON of the wrong shape.
    Unreadable = "unreadable", 400, false, "The request could not be read";
    /// `Idempotency-Key` is missing or malformed.
    IdempotencyKeyMissing = "idempotency_key_missing", 400, false, "The request needs a good Idempotency-Key";
    /// No credentials, or credentials that cannot be read.
    Unauthenticated = "unauthenticated", 401, false, "The request does not say who is asking";
    /// Credentials that do not suffice.
    Forbidden = "forbidden", 403, false, "This is not allowed";
    /// There is nothing, or nothing that this asker may know of.
    NotFound = "not_found", 404, false, "Not found";
    /// The server does not declare this capability.
    CapabilityNotOffered = "capability_not_offered", 404, false, "This server does not offer that";
    /// The path exists, with another method.
    MethodNotAllowed = "method_not_allowed", 405, false, "This address is not used that way";
    /// Another state than the request expects.
    SeatsTaken = "seats_taken", 409, true, "Some of these seats cannot be had";
    /// The total echoed is not the total.
    PriceChanged = "price_changed", 409, false, "The price is different";
    /// The layout that seats were chosen from is not the screening's any more.
    LayoutChanged = "layout_changed", 409, false, "The seats are arranged differently now";
    /// Not yet.
    SalesNotOpen = "sales_not_open", 409, true, "Sales have not begun";
    /// Not any more, or not just now.
    SalesClosed = "sales_closed", 409, false, "This screening is not on sale";
    /// The film has begun.
    ScreeningUnderWay = "screening_under_way", 409, false, "The film has begun";
    /// It does not take place.
    ScreeningCancelled = "screening_cancelled", 409, false, "This screening does not take place";
    /// There are not so many seats side by side, or none for that price or in that zone.
    NotTogether = "not_together", 409, true, "There are not so many seats side by side";
    /// The hold became a booking.
    HoldConverted = "hold_converted", 409, false, "This hold is a booking already";
    /// A payment is under way.
    HoldPaying = "hold_paying", 409, true, "A payment is under way for this hold";
    /// Too many of something.
    TooManyHolds = "too_many_holds", 409, true, "Too much is held or unpaid at a time";
    /// Nobody need wait.
    SeatsAvailable = "seats_available", 409, false, "There are seats: nobody need wait";
    /// One entry a secret.
    AlreadyWaiting = "already_waiting", 409, false, "This purchase is in the waitlist, or was";
    /// As many wait as may.
    WaitlistFull = "waitlist_full", 409, true, "The waitlist is full";
    /// Nobody can come yet.
    QueueNotOpen = "queue_not_open", 409, true, "The queue has not opened";
    /// As many have a place as may.
    QueueFull = "queue_full", 409, true, "The queue is full";
    /// Sold to who stood in the queue.
    QueuePassNeeded = "queue_pass_needed", 409, false, "Get a place in the queue first";
    /// The pass is good later.
    NotYourTurn = "not_your_turn", 409, true, "It is not your turn yet";
    /// The booking is in another state.
    BookingState = "booking_state", 409, false, "The booking does not allow that any more";
    /// The ticket opened the door.
    TicketUsed = "ticket_used", 409, false, "This ticket was used";
    /// The quote is not what a cancellation would bring now.
    QuoteChanged = "quote_changed", 409, false, "What comes back is different now";
    /// Another change came first.
    EditConflict = "edit_conflict", 409, true, "Somebody else changed this meanwhile";
    /// The same key is being worked on.
    RequestInFlight = "request_in_flight", 409, true, "This request is being worked on";
    /// The hold's time ran out.
    HoldExpired = "hold_expired", 410, false, "The hold has ended";
    /// The pass was good before.
    QueuePassExpired = "queue_pass_expired", 410, false, "Your turn is over";
    /// The cursor is too old.
    CursorExpired = "cursor_expired", 410, false, "This place in the list is gone";
    /// The server is at another origin now.
    Moved = "moved", 410, false, "This server has moved";
    /// `If-Match` names another version.
    PreconditionFailed = "precondition_failed", 412, false, "This has changed since you read it";
    /// More bytes than this kind of message may have.
    TooLarge = "too_large", 413, false, "The request is too large";
    /// Not JSON, or compressed.
    UnsupportedMediaType = "unsupported_media_type", 415, false, "The request is not in a form that is read here";
    /// Good JSON that says something impossible.
    Invalid = "invalid", 422, false, "The request cannot be met as it is";
    /// The hall has no such seat.
    UnknownSeat = "unknown_seat", 422, false, "There is no such seat";
    /// No place of this hall, empty, would do.
    NeverFits = "never_fits", 422, false, "This hall has no such seats, however many come free";
    /// A seat is named more than once.
    SeatNamedTwice = "seat_named_twice", 422, false, "A seat is named twice";
    /// The hall has no such price zone.
    UnknownZone = "unknown_zone", 422, false, "There is no such price zone";
    /// A rule about seats or tickets is broken.
    RuleBroken = "rule_broken", 422, false, "This choice is against a rule of the house";
    /// The key was used for another request.
    IdempotencyKeyReused = "idempotency_key_reused", 422, false, "This Idempotency-Key was used for something else";
    /// The method is not one of the manifest's, or does not fit the total.
    PaymentMethodNotOffered = "payment_method_not_offered", 422, false, "This cannot be paid that way";
    /// The policy does not allow it, or not any more.
    NotCancellable = "not_cancellable", 422, false, "This cannot be cancelled";
    /// Too many requests.
    RateLimited = "rate_limited", 429, true, "Too many requests";
    /// Something here is broken.
    Internal = "internal", 500, false, "Something went wrong here";
    /// Not now.
    Busy = "busy", 503, true, "The server is busy";
    /// Perhaps done, perhaps not: ask again with the same key.
    OutcomeUnknown = "outcome_unknown", 503, true, "It is not known yet whether this was done";
}

impl ProblemCode {
    /// Its name as the `type` of a problem.
    #[must_use]
    pub fn kind(self) -> Cow<'static, str> {
        format!("urn:admit:problem:{self}").into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_read_back_as_it_was() {
        let seat = SeatId::parse("A1").expect("id");
        let mut problem = Problem::new(ProblemCode::SeatsTaken, "A1 is taken").at("/seats/0");
        problem.conflicts.push(SeatConflict { seat, reason: ConflictReason::Held });
        let wire = serde_json::to_string(&problem).expect("writes");
        assert_eq!(serde_json::from_str::<Problem>(&wire).expect(&wire), problem);
    }

    #[test]
    fn a_code_of_a_later_version_does_not_break_a_client() {
        let wire = r#"{"type":"urn:x","code":"moon_phase","status":409,"title":"t","detail":"d","retryable":false}"#;
        assert_eq!(serde_json::from_str::<Problem>(wire).expect(wire).code, ProblemCode::Unknown);
    }

    #[test]
    fn every_code_has_a_section_with_an_example_err_001_err_002() {
        let page = include_str!("../../../spec/v1/errors.md");
        let sections: Vec<&str> = page.split("\n### ").skip(1).collect();
        assert_eq!(sections.len(), ProblemCode::ALL.len(), "as many sections as codes");
        for code in ProblemCode::ALL {
            let name = code.as_str();
            let section = sections.iter().find(|s| s.starts_with(&format!("{code}\n"))).expect(name);
            let retryable = if code.retryable() { "retryable" } else { "not retryable" };
            let says = section.lines().nth(1).unwrap_or_default();
            assert!(says.starts_with(&format!("{}, {retryable}", code.status())), "{code}: {says}");
            let example = section.split("```json").nth(1).and_then(|rest| rest.split("```").next()).expect(name);
            let problem: Problem = serde_json::from_str(example).unwrap_or_else(|e| panic!("{code}: {e}"));
            let right = Problem::new(*code, problem.detail.clone());
            let said = (&problem.kind, problem.code, problem.status, &problem.title, problem.retryable);
            assert_eq!(said, (&right.kind, right.code, right.status, &right.title, right.retryable));
        }
    }

    #[test]
    fn every_code_has_a_status_of_its_family() {
        for code in ProblemCode::ALL {
            assert!((400..=599).contains(&code.status()), "{code}");
            assert_eq!(ProblemCode::from_word(code.as_str()), *code);
        }
    }
}

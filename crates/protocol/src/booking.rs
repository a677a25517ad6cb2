//! A booking: seats that were bought, and what becomes of them.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::capability::PaymentMethod;
use crate::exchange::BookingLink;
use crate::hold::{Hold, QuoteLine};
use crate::id::{BookingId, EpochId, HoldId, QuoteId, ScreeningId, SeatId, TicketTypeId};
use crate::money::Money;
use crate::notification::Webhook;
use crate::open_enum::open_enum;
use crate::origin::OriginPolicy;
use crate::policy::CancellationPolicy;
use crate::text::{LanguageTag, is_plain};
use crate::ticket::TicketId;

/// Turns a hold into a booking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Book {
    /// The hold.
    pub hold: HoldId,
    /// A ticket type for every held seat: this is final.
    #[schemars(length(min = 1, max = 100))]
    pub tickets: Vec<TicketChoice>,
    /// What the buyer saw. Another total is refused with `price_changed` and the right one.
    pub total: Money,
    /// How it is paid: one of the manifest's.
    pub payment_method: PaymentMethod,
    /// Who buys, if they say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buyer: Option<Buyer>,
}

impl Book {
    /// Books a hold as it is, for the total that it names: the hold's quote is what the buyer is shown. Nothing, as long as a held
    /// seat has no ticket type.
    #[must_use]
    pub fn of(hold: &Hold, payment_method: PaymentMethod) -> Option<Self> {
        let quote = hold.quote.as_ref()?;
        let ticket = |line: &QuoteLine| TicketChoice { seat: line.seat, ticket_type: line.ticket_type };
        let tickets = quote.lines.iter().map(ticket).collect();
        Some(Self { hold: hold.id, tickets, total: quote.total, payment_method, buyer: None })
    }
}

/// For whom a seat is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TicketChoice {
    /// The seat.
    pub seat: SeatId,
    /// The type.
    pub ticket_type: TicketTypeId,
}

/// Who buys. Nothing of it is needed to sell a seat.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Buyer {
    /// What to call them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub name: Option<String>,
    /// Where to write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 254))]
    pub email: Option<String>,
    /// Where to call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub telephone: Option<String>,
    /// In which language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<LanguageTag>,
    /// What an app's own server is told by (NOTE-001): an https URL. Passed over where there is no capability `notifications`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub webhook: Option<String>,
}

impl Buyer {
    /// Checks that every field is short and free of control characters, that somebody can be written to, and that a webhook is at an
    /// origin that `origins` lets in.
    ///
    /// # Errors
    /// The member that is wrong, as a JSON pointer, and what is wrong with it.
    pub fn check(&self, origins: OriginPolicy) -> Result<(), (&'static str, String)> {
        if let Some(Err(error)) = self.webhook.as_deref().map(|webhook| Webhook::parse(webhook, origins)) {
            return Err(("/webhook", error.to_string()));
        }
        let fields = [("/name", &self.name, 200), ("/email", &self.email, 254), ("/telephone", &self.telephone, 32)];
        for (pointer, text, max) in fields {
            if !text.as_deref().is_none_or(|text| is_plain(text, max)) {
                return Err((pointer, format!("it is longer than {max} bytes, or has control characters in it")));
            }
        }
        let reachable = |email: &str| {
            let whole = email.split_once('@').is_some_and(|(who, host)| !who.is_empty() && !host.is_empty());
            whole && !email.contains(char::is_whitespace)
        };
        match &self.email {
            Some(email) if !reachable(email) => Err(("/email", "it is no address, such as anna@mail.example".into())),
            _ => Ok(()),
        }
    }
}

/// A booking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Booking {
    /// Its name for machines.
    pub id: BookingId,
    /// Its name for people at a box office: short, without look-alike letters.
    #[serde(rename = "ref")]
    #[schemars(length(max = 16))]
    pub reference: String,
    /// Where it is, in full.
    #[schemars(length(max = 2048))]
    pub url: String,
    /// Of which screening.
    pub screening: ScreeningId,
    /// What became of it.
    pub state: BookingState,
    /// Its tickets.
    pub lines: Vec<BookingLine>,
    /// Paid once for all.
    pub booking_fees: Money,
    /// What it came to when it was booked.
    pub total: Money,
    /// What was paid.
    pub paid: Money,
    /// What is still to be paid at the cinema.
    pub balance_due: Money,
    /// What comes back of what was paid, for tickets that were cancelled.
    pub refunded: Money,
    /// What of that the buyer has not got yet.
    pub refund_due: Money,
    /// Until when the balance must be paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collect_by: Option<Timestamp>,
    /// How it is paid.
    pub payment_method: PaymentMethod,
    /// What of `paid` moved here from the booking that this one replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_in: Option<Money>,
    /// What of `paid` moved to bookings that replace this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_out: Option<Money>,
    /// The booking whose tickets were given for these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<BookingLink>,
    /// The policy that was in force when it was booked.
    pub cancellation: CancellationPolicy,
    /// Since when.
    pub confirmed_at: Timestamp,
    /// The epoch of `seq`.
    pub epoch: EpochId,
    /// The house version that has this booking in it.
    pub seq: u64,
}

/// One ticket of a booking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BookingLine {
    /// The seat.
    pub seat: SeatId,
    /// The type.
    pub ticket_type: TicketTypeId,
    /// All included.
    pub total: Money,
    /// What became of it.
    pub state: TicketState,
    /// The booking that it was given for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<BookingLink>,
}

open_enum! {
    /// What became of a booking.
    BookingState {
        /// It stands.
        Confirmed = "confirmed",
        /// Some of its tickets are cancelled.
        PartCancelled = "part_cancelled",
        /// All of its tickets are cancelled.
        Cancelled = "cancelled",
    }

    /// What became of a ticket.
    TicketState {
        /// It opens the door.
        Valid = "valid",
        /// It opened the door.
        Used = "used",
        /// It does not open the door any more.
        Revoked = "revoked",
    }
}

/// The tickets of a booking, made when they are read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tickets {
    /// The booking.
    pub booking: BookingId,
    /// Tickets that are not revoked.
    pub tickets: Vec<BookedTicket>,
}

/// A ticket as its buyer gets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BookedTicket {
    /// Its name: the same however often it is read, also after the signing key changed.
    pub id: TicketId,
    /// The seat.
    pub seat: SeatId,
    /// The type.
    pub ticket_type: TicketTypeId,
    /// How many people it lets in.
    pub admits: u8,
    /// The text of the QR code.
    #[schemars(length(max = 1600))]
    pub code: String,
    /// Whether it opens the door only beside a proof of who bought it (TICK-009).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wants_proof: bool,
    /// From when it opens the door.
    pub not_before: Timestamp,
    /// Until when.
    pub not_after: Timestamp,
}

/// Asks what a cancellation would bring back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QuoteCancellation {
    /// Which seats. None named: all that are left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub seats: Vec<SeatId>,
}

/// What a cancellation would bring back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CancellationQuote {
    /// To be confirmed by this name.
    pub id: QuoteId,
    /// What comes back for each ticket, and what was paid or is due for it.
    pub lines: Vec<CancellationLine>,
    /// The sum of what comes back in money.
    pub refund: Money,
    /// By how much the balance to be paid at the cinema goes down.
    pub balance_reduction: Money,
    /// Until before when this holds.
    pub valid_until: Timestamp,
}

/// What comes back for one ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CancellationLine {
    /// The seat.
    pub seat: SeatId,
    /// The type.
    pub ticket_type: TicketTypeId,
    /// What was paid for it, or is due.
    pub total: Money,
    /// What comes back.
    pub refund: Money,
}

/// Confirms a cancellation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cancel {
    /// The quote.
    pub quote: QuoteId,
}

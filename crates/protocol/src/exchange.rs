//! Tickets for other seats, or for another screening (capability `exchange`).

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::booking::TicketChoice;
use crate::hold::Quote;
use crate::id::{BookingId, HoldId, QuoteId, ScreeningId, SeatId, TicketTypeId};
use crate::money::Money;

/// What is given for what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QuoteExchange {
    /// Which tickets are given. None named: all that are left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub seats: Vec<SeatId>,
    /// The screening of the seats that are taken.
    pub screening: ScreeningId,
    /// The seats that are taken: a hold under the same secret.
    pub hold: HoldId,
    /// A ticket type for every held seat: this is final.
    #[schemars(length(min = 1, max = 100))]
    pub tickets: Vec<TicketChoice>,
}

/// What an exchange would come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExchangeQuote {
    /// To be confirmed by this name.
    pub id: QuoteId,
    /// What each ticket that is given is worth.
    pub given: Vec<GivenTicket>,
    /// What moves to the new booking, of what was paid: never more than that.
    pub moves: Money,
    /// What the new tickets cost.
    pub taken: Quote,
    /// What is left to pay for them, at the cinema.
    pub balance_due: Money,
    /// What comes back, if they cost less.
    pub refund: Money,
    /// Until before when this holds.
    pub valid_until: Timestamp,
}

/// A ticket that is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GivenTicket {
    /// The seat.
    pub seat: SeatId,
    /// The type.
    pub ticket_type: TicketTypeId,
    /// What it cost.
    pub total: Money,
    /// What it is worth now.
    pub worth: Money,
}

/// Confirms an exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Exchange {
    /// The quote.
    pub quote: QuoteId,
    /// What it is for, as it was asked.
    pub of: QuoteExchange,
}

/// Another booking of the same buyer at the same server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BookingLink {
    /// Its screening.
    pub screening: ScreeningId,
    /// Its name.
    pub booking: BookingId,
    /// Where it is, in full.
    #[schemars(length(max = 2048))]
    pub url: String,
}

//! One purchase, as it stands in a wallet.

use std::collections::BTreeMap;

use admit_protocol::booking::{Book, Booking, Tickets};
use admit_protocol::hold::{Hold, PlaceHold};
use admit_protocol::id::{AreaId, QuoteId, ScreeningId, SeatId, TicketTypeId};
use admit_protocol::origin::Origin;
use admit_protocol::time::ZoneName;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Exchanging, KeptReceipt, PurchaseNumber};
use crate::secret::{RequestKey, Secret};

/// A hold that nobody heard of cannot be extended or paid: no server holds seats for longer.
const WISH_LIFE: SignedDuration = SignedDuration::from_mins(15);

/// One purchase, from the wish to the tickets.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Purchase {
    /// Its number.
    pub number: PurchaseNumber,
    /// At which server.
    pub origin: Origin,
    /// Of which screening.
    pub screening: ScreeningId,
    /// A line for people: film, cinema, time.
    pub title: String,
    /// Seats as they are printed on the chairs, where that is known.
    #[serde(default)]
    pub printed: BTreeMap<SeatId, String>,
    /// Areas without numbered seats as people call them, where that is known.
    #[serde(default)]
    pub areas: BTreeMap<AreaId, String>,
    /// Ticket types as people call them, where that is known.
    #[serde(default)]
    pub called: BTreeMap<TicketTypeId, String>,
    /// Proves that it is yours.
    pub secret: Secret,
    /// When the wish was written down, by the clock here.
    #[serde(default)]
    pub begun_at: Timestamp,
    /// Where its times are told: the zone of the cinema.
    #[serde(default)]
    pub zone: Option<ZoneName>,
    /// The key and the wish that the hold was asked for with.
    pub hold_request: (RequestKey, PlaceHold),
    /// The hold, once it is known.
    #[serde(default)]
    pub hold: Option<Hold>,
    /// The key and the choice that the booking was asked for with.
    #[serde(default)]
    pub book_request: Option<(RequestKey, Book)>,
    /// The booking, once it is known.
    #[serde(default)]
    pub booking: Option<Booking>,
    /// The key and the quote that a cancellation was asked for with, until its answer is known.
    #[serde(default)]
    pub cancel_request: Option<(RequestKey, QuoteId)>,
    /// The purchase whose tickets are to be given for these seats: they are held for nothing else.
    #[serde(default)]
    pub for_exchange: Option<PurchaseNumber>,
    /// What an exchange for these seats was asked for with, if that is how they are bought.
    #[serde(default)]
    pub exchange_request: Option<Box<Exchanging>>,
    /// Its tickets, as they were read last: good at the door also when the server cannot be reached.
    #[serde(default)]
    pub tickets: Option<Tickets>,
    /// What the cinema signed of it, as it came.
    #[serde(default)]
    pub receipts: Vec<KeptReceipt>,
    /// What became of its screening, in words, as somebody heard it last.
    #[serde(default)]
    pub became: Option<String>,
}

impl Purchase {
    /// Whether something was asked whose answer is not known. [`Wallet::resume`](crate::Wallet::resume) finds out.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let asked = self.book_request.is_some() || self.exchange_request.is_some();
        self.hold.is_none() || (asked && self.booking.is_none()) || self.cancel_request.is_some()
    }

    /// Whether the wish was written down so long ago that a hold that came of it is over (H1), unheard.
    pub(super) fn is_too_old(&self, now: Timestamp) -> bool {
        self.hold.is_none() && now.duration_since(self.begun_at) > WISH_LIFE
    }

    /// A seat as it is printed on the chair, or the place of an area; its name for machines where that is not known.
    #[must_use]
    pub fn printed(&self, seat: &SeatId) -> String {
        let place = || {
            let (area, number) = seat.as_str().rsplit_once('.')?;
            let area = self.areas.get(&AreaId::parse(area).ok()?)?;
            Some(format!("{area} place {number}"))
        };
        self.printed.get(seat).cloned().or_else(place).unwrap_or_else(|| seat.to_string())
    }

    /// A ticket type as people call it, or its name for machines where that is not known.
    #[must_use]
    pub fn called<'a>(&'a self, ticket_type: &'a TicketTypeId) -> &'a str {
        self.called.get(ticket_type).map_or(ticket_type.as_str(), String::as_str)
    }
}

/// What a person will want to read of a purchase later, also when the cinema cannot be reached.
#[derive(Debug, Clone, Default)]
pub struct Keepsake {
    /// A line: film, cinema, time.
    pub title: String,
    /// Seats as they are printed on the chairs.
    pub printed: BTreeMap<SeatId, String>,
    /// Areas without numbered seats as people call them.
    pub areas: BTreeMap<AreaId, String>,
    /// Ticket types as people call them.
    pub called: BTreeMap<TicketTypeId, String>,
    /// Where its times are told: the zone of the cinema.
    pub zone: Option<ZoneName>,
}

impl From<&str> for Keepsake {
    fn from(title: &str) -> Self {
        Self { title: title.to_owned(), ..Self::default() }
    }
}

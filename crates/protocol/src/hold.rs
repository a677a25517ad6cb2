//! A hold: a promise that these seats are yours, at these prices, until then.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::ContentName;
use crate::id::{AreaId, BookingId, EpochId, HoldId, ScreeningId, SeatId, TicketTypeId, WaitlistEntryId, ZoneId};
use crate::money::Money;
use crate::open_enum::open_enum;

/// Seats in one hold, whatever a server's own limit says.
pub const SEATS_PER_HOLD_MAX: usize = 100;

/// What to hold: all of it or nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlaceHold {
    /// Numbered seats.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub seats: Vec<SeatWish>,
    /// Places in areas without numbered seats (capability `general_admission`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub areas: Vec<AreaWish>,
    /// Instead of seats and areas: the best that is left for a party (capability `best_available`). The server chooses when it decides,
    /// so nobody else was given the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<Best>,
    /// How long, in seconds; clamped to the server's announced limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_s: Option<u32>,
    /// The layout that the seats were chosen from: with another one the same names are other seats (HOLD-011).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<ContentName>,
    /// The pass of a place in the screening's queue, if it has one (capability `queue`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub queue_pass: Option<String>,
}

/// Who comes, and where they want to sit: side by side, around the best place of the hall, and so that no single seat is left over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Best {
    /// How many they are.
    #[schemars(range(min = 1, max = 100))]
    pub count: u16,
    /// How many of them sit in their own wheelchair.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(range(max = 100))]
    pub wheelchairs: u16,
    /// In which price zones; in any, if none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub zones: Vec<ZoneId>,
    /// What one ticket may cost, all included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub highest_price: Option<Money>,
    /// Whether they may be split, if there are not so many seats side by side.
    #[serde(default)]
    pub split: bool,
    /// The ticket type of all of them; the table's first, if nothing is said, as far as prices matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket_type: Option<TicketTypeId>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_zero(count: &u16) -> bool {
    *count == 0
}

/// A seat, and perhaps already for whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SeatWish {
    /// The seat.
    pub seat: SeatId,
    /// Final when booking; here it gets the price into the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket_type: Option<TicketTypeId>,
}

/// Some places of an area.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AreaWish {
    /// The area.
    pub area: AreaId,
    /// How many places.
    #[schemars(range(min = 1, max = 100))]
    pub count: u32,
    /// For all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket_type: Option<TicketTypeId>,
}

/// Asks for more time (capability `extend`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExtendHold {
    /// How long from now, in seconds; clamped to the server's announced limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_s: Option<u32>,
}

/// A hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hold {
    /// Its name.
    pub id: HoldId,
    /// Where it is, in full.
    #[schemars(length(max = 2048))]
    pub url: String,
    /// Of which screening.
    pub screening: ScreeningId,
    /// What became of it.
    pub state: HoldState,
    /// The booking that it became, if it is converted: for who never heard of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub booking: Option<BookingId>,
    /// The waitlist entry that it was offered to, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waitlist_entry: Option<WaitlistEntryId>,
    /// What is held.
    pub seats: Vec<HeldSeat>,
    /// The prices that hold for it, whatever changes meanwhile.
    pub price_table: ContentName,
    /// What it comes to, if every seat has a ticket type and these tickets are sold together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote: Option<Quote>,
    /// Since when.
    pub created_at: Timestamp,
    /// Until before when. From this instant on the seats are free.
    pub expires_at: Timestamp,
    /// How far it can be extended.
    pub extendable_until: Timestamp,
    /// The epoch of `seq`.
    pub epoch: EpochId,
    /// The house version that has this hold in it: states with a lower one do not show it yet.
    pub seq: u64,
}

/// A seat that is held. A place of an area is a seat, too: `{area}.{n}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeldSeat {
    /// The seat, or the place that the server chose.
    pub seat: SeatId,
    /// The area of the place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub area: Option<AreaId>,
    /// The ticket type asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket_type: Option<TicketTypeId>,
}

/// What some tickets cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Quote {
    /// Each ticket.
    pub lines: Vec<QuoteLine>,
    /// What is paid once for all.
    pub booking_fees: Money,
    /// The sum of lines and booking fees: what the buyer pays, and nothing on top.
    pub total: Money,
}

/// What one ticket costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QuoteLine {
    /// The seat.
    pub seat: SeatId,
    /// The type.
    pub ticket_type: TicketTypeId,
    /// All included.
    pub total: Money,
}

open_enum! {
    /// What became of a hold.
    HoldState {
        /// It holds.
        Active = "active",
        /// A payment is under way; its time is over when the payment is.
        Paying = "paying",
        /// It ends as soon as the payment is known to be over.
        Closing = "closing",
        /// It became a booking.
        Converted = "converted",
        /// Its owner gave it back.
        Released = "released",
        /// Its time ran out.
        Expired = "expired",
    }
}

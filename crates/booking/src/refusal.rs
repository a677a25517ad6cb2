//! Why something was not done: an answer, not a failure. It carries what the buyer needs next.

use admit_protocol::capability::PaymentMethod;
use admit_protocol::hold::Quote;
use admit_protocol::id::{AreaId, SeatId, ZoneId};
use admit_protocol::money::Money;
use admit_protocol::price::TicketRule;
use admit_protocol::problem::SeatConflict;
use admit_protocol::seats::SalesState;
use jiff::Timestamp;

/// Why something was not done. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no such hold or booking, or it is somebody else's.
    NotFound,
    /// The screening is not on sale.
    NotOnSale(SalesState),
    /// Nothing was asked for.
    NoSeats,
    /// More seats than one hold may have.
    TooManySeats {
        /// The limit.
        max: u16,
    },
    /// The hall has no such seats.
    UnknownSeats(Vec<SeatId>),
    /// These seats are named twice.
    NamedTwice(Vec<SeatId>),
    /// The hall has no such price zones.
    UnknownZones(Vec<ZoneId>),
    /// The hall has no such area.
    UnknownArea(AreaId),
    /// Some seats cannot be had: all of them, with reasons.
    SeatsTaken(Vec<SeatConflict>),
    /// These seats are free, and would be left over as the house does not allow: all of them, with reasons.
    LeftOver(Vec<SeatConflict>),
    /// So many cannot sit side by side, or there is nothing for that price, or in that zone.
    NotTogether {
        /// How many can.
        most: usize,
    },
    /// This screening has no waitlist.
    NoWaitlist,
    /// No such party could ever sit here.
    NeverFits,
    /// There are seats for this party: nobody need wait.
    SeatsAvailable,
    /// Whoever has this secret waits here, or waited.
    AlreadyWaiting,
    /// As many wait as may.
    WaitlistFull {
        /// The limit.
        max: u32,
    },
    /// As many of the buyer's network wait as may.
    NetworkWaitsTooMuch {
        /// The limit.
        max: usize,
    },
    /// It is not sold yet.
    SalesNotOpen {
        /// From when it is.
        opens_at: Timestamp,
        /// How long that is from now, in milliseconds.
        wait_ms: u64,
    },
    /// Nobody can come to the queue yet.
    QueueNotOpen {
        /// From when one can.
        opens_at: Timestamp,
        /// How long that is from now, in milliseconds.
        wait_ms: u64,
    },
    /// As many have a place in the queue as may.
    QueueFull {
        /// The limit.
        max: u32,
    },
    /// As many of the buyer's network have a place in the queue as may.
    NetworkQueuesTooMuch {
        /// The limit.
        max: u32,
    },
    /// It is sold to who has a pass.
    QueuePassNeeded,
    /// The pass is not good yet.
    NotYourTurn {
        /// From when it is.
        turn_at: Timestamp,
        /// How long that is from now, in milliseconds.
        wait_ms: u64,
    },
    /// The pass is not good any more.
    QueuePassExpired,
    /// The buyer holds as much as one may.
    TooManyHolds {
        /// The limit.
        max: u16,
    },
    /// The buyer's network holds as much as one may.
    NetworkHoldsTooMuch {
        /// The limit, in places.
        max: usize,
    },
    /// A ticket is not sold for this seat, or a rule of its type is broken.
    TicketRule {
        /// Which seat, if one is meant.
        seat: Option<SeatId>,
        /// The rule.
        rule: TicketRule,
    },
    /// The tickets are not one for each held seat.
    TicketsDoNotMatch {
        /// Held seats without a ticket.
        missing: Vec<SeatId>,
        /// Tickets for seats that are not held, or named twice.
        extra: Vec<SeatId>,
    },
    /// The total is another.
    PriceChanged(Quote),
    /// It cannot be paid that way.
    PaymentMethod(PaymentMethod),
    /// The hold's time ran out, or it was given back.
    HoldEnded,
    /// The hold became a booking.
    HoldConverted,
    /// A payment is under way for this hold.
    HoldPaying,
    /// The amount taken is not the balance.
    WrongBalance {
        /// What is due.
        due: Money,
    },
    /// What is handed over is not what comes back.
    WrongRefund {
        /// What is left to hand over.
        due: Money,
    },
    /// The screening does not take place: what was paid comes back (CANC-007).
    RefundOwed,
    /// The ticket of this seat opened the door.
    TicketUsed(SeatId),
    /// The ticket of this seat is cancelled.
    TicketCancelled(SeatId),
    /// The booking has no ticket for these seats.
    NotInBooking(Vec<SeatId>),
    /// These tickets would be left without the one that they are only sold with.
    LeftAlone(Vec<SeatId>),
    /// The policy does not allow it, or not any more.
    NotCancellable,
    /// What was paid is in another currency than what is taken.
    OtherCurrency,
    /// No ticket of the booking is left.
    AllCancelled,
    /// What comes back is not what the quote says, or the quote's time ran out.
    QuoteChanged,
    /// More scans than one upload may have, or a scan that takes back itself.
    BadScan,
}

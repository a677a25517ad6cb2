//! What can be asked of a house.

use std::sync::Arc;

use admit_protocol::booking::Buyer;
use admit_protocol::capability::PaymentMethod;
use admit_protocol::door::ScanKind;
use admit_protocol::hold::Best;
use admit_protocol::id::{AreaId, DeviceId, QuoteId, ScanId, SeatId, TicketTypeId};
use admit_protocol::money::Money;
use admit_protocol::ticket::Ticket;
use jiff::Timestamp;

use crate::changes::BlockReason;
use crate::decide::ExchangeWish;
use crate::hold::{HoldKey, Network, Owner};
use crate::queue::Admission;
use crate::terms::Terms;
use crate::waitlist::EntryKey;

/// What can be asked of a house. Ids and randomness come with the command, so deciding is a pure function.
#[derive(Debug, Clone)]
pub enum Command {
    /// Holds seats.
    PlaceHold(PlaceHold),
    /// Gives a hold back.
    Release {
        /// Which.
        hold: HoldKey,
        /// Who asks.
        by: By,
    },
    /// Makes a hold last longer.
    Extend {
        /// Which.
        hold: HoldKey,
        /// Who asks.
        owner: Owner,
        /// How long from now, if that was said.
        ttl_s: Option<u32>,
    },
    /// Turns a hold into a booking that needs no payment now.
    Book {
        /// Which.
        hold: HoldKey,
        /// Who asks.
        owner: Owner,
        /// What they chose.
        choice: Choice,
    },
    /// A payment session is about to be opened for a hold.
    BeginPayment {
        /// Which.
        hold: HoldKey,
        /// Who asks.
        owner: Owner,
        /// What they chose.
        choice: Choice,
        /// When the session ends by itself.
        until: Timestamp,
    },
    /// A payment is known to be over.
    EndPayment {
        /// Of which hold.
        hold: HoldKey,
        /// Whether money came.
        paid: bool,
    },
    /// Somebody paid at the cinema.
    Settle {
        /// Which booking.
        booking: HoldKey,
        /// The balance that was taken: must be what is due.
        amount: Money,
    },
    /// Somebody at the cinema got back what was paid for cancelled tickets.
    Refund {
        /// Which booking.
        booking: HoldKey,
        /// What was handed over: must be all that comes back.
        amount: Money,
    },
    /// Cancels tickets.
    Cancel {
        /// Of which booking.
        booking: HoldKey,
        /// Who asks, and on what ground.
        cancellation: Cancellation,
    },
    /// Gives tickets for seats that are held, of this very screening. For those of another one see [`House::exchange_to`].
    ///
    /// [`House::exchange_to`]: crate::House::exchange_to
    Exchange {
        /// What for what.
        wish: ExchangeWish,
        /// What the buyer agreed to.
        quote: QuoteId,
        /// Random bytes from which ticket ids are made.
        seed: [u8; 16],
    },
    /// Takes seats off sale.
    Block {
        /// Which.
        seats: Vec<SeatId>,
        /// Why.
        reason: BlockReason,
        /// Until when.
        until: Option<Timestamp>,
    },
    /// Puts blocked seats back on sale.
    Unblock {
        /// Which.
        seats: Vec<SeatId>,
    },
    /// Takes over what doors have scanned.
    Scan {
        /// By which device.
        device: DeviceId,
        /// What it scanned.
        scans: Vec<DoorScan>,
    },
    /// A party waits for seats.
    JoinWaitlist(JoinWaitlist),
    /// A party waits no more, or does not want what it is offered.
    LeaveWaitlist {
        /// Which entry.
        entry: EntryKey,
        /// Who asks.
        by: By,
    },
    /// What somebody gave to be reached by goes (PRIV-004, PRIV-005).
    Forget(Forget),
    /// What time or an edit brings to those who wait is looked at now.
    LookAtLine,
    /// Staff changed the screening.
    Amend(Arc<Terms>),
}

/// Who is to be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forget {
    /// Who has a booking.
    Booking {
        /// Which booking.
        booking: HoldKey,
        /// Who asks.
        by: By,
    },
    /// Who waits, or waited.
    Entry {
        /// Which entry.
        entry: EntryKey,
        /// Who asks.
        by: By,
    },
    /// Everybody: the screening is long over.
    Everybody,
}

/// Who asks for something that buyers and staff may both ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The buyer.
    Owner(Owner),
    /// The cinema.
    Staff,
}

/// A wish for seats.
#[derive(Debug, Clone)]
pub struct PlaceHold {
    /// The name it will have.
    pub hold: HoldKey,
    /// For whom.
    pub owner: Owner,
    /// From where.
    pub network: Option<Network>,
    /// Numbered seats.
    pub seats: Vec<(SeatId, Option<TicketTypeId>)>,
    /// Places in areas.
    pub areas: Vec<(AreaId, u32, Option<TicketTypeId>)>,
    /// Or the best that is left, whatever that is.
    pub best: Option<Best>,
    /// How long, if that was said.
    pub ttl_s: Option<u32>,
    /// By what they may hold seats where there is a queue.
    pub admission: Admission,
}

/// A wish to wait for seats.
#[derive(Debug, Clone)]
pub struct JoinWaitlist {
    /// The name it will have.
    pub entry: EntryKey,
    /// For whom.
    pub owner: Owner,
    /// From where.
    pub network: Option<Network>,
    /// Who comes, and where they want to sit.
    pub best: Best,
    /// Who they are, if they said.
    pub buyer: Option<Buyer>,
    /// By what they may come where there is a queue.
    pub admission: Admission,
}

/// What a buyer chose to book.
#[derive(Debug, Clone)]
pub struct Choice {
    /// A ticket type for every seat.
    pub tickets: Vec<(SeatId, TicketTypeId)>,
    /// The total they saw.
    pub total: Money,
    /// How they pay.
    pub method: PaymentMethod,
    /// Who they are, if they said.
    pub buyer: Option<Buyer>,
    /// Random bytes from which ticket ids are made.
    pub seed: [u8; 16],
}

/// On what ground tickets are cancelled.
#[derive(Debug, Clone)]
pub enum Cancellation {
    /// The buyer agrees to a quote.
    Quoted {
        /// Who asks.
        owner: Owner,
        /// The quote.
        quote: QuoteId,
    },
    /// Staff decides, also for used tickets (P10).
    Staff {
        /// Which seats; none named: all that are left.
        seats: Vec<SeatId>,
        /// Whether everything that was paid for them goes back.
        refund: bool,
    },
}

/// One scan, its code already checked.
#[derive(Debug, Clone)]
pub struct DoorScan {
    /// The device's name for it.
    pub id: ScanId,
    /// What was done.
    pub kind: ScanKind,
    /// The ticket, if the code was one that this cinema signed.
    pub ticket: Option<Ticket>,
    /// Whether its holder proved to be the one, where the ticket names one.
    pub proven: bool,
    /// For an undo: which scan it takes back.
    pub undoes: Option<ScanId>,
    /// When, by the device's clock.
    pub at: Timestamp,
    /// Whether the device decided alone.
    pub offline: bool,
}

//! Holds, and the bookings that come of them, as a house keeps them.

use std::fmt;
use std::sync::Arc;

use admit_protocol::booking::Buyer;
use admit_protocol::capability::PaymentMethod;
use admit_protocol::id::{BookingId, HoldId, ScreeningId};
use admit_protocol::money::{Currency, Money};
use admit_protocol::policy::CancellationPolicy;
use admit_protocol::price::TicketType;
use admit_protocol::ticket::TicketId;
use jiff::Timestamp;

use crate::plan::Place;
use crate::terms::Prices;

/// The name of a hold within its server, and of the booking that comes of it: a UUID, as `hold_…` and `book_…` on the
/// wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
// A house has many of them, and what is aligned to 16 bytes costs more than it holds.
#[repr(Rust, packed(8))]
pub struct HoldKey(pub u128);

impl HoldKey {
    /// As a hold on the wire.
    #[must_use]
    pub fn hold_id(self) -> HoldId {
        HoldId::parse(&written("hold_", self.0)).expect("37 characters of an id")
    }

    /// As a booking on the wire.
    #[must_use]
    pub fn booking_id(self) -> BookingId {
        BookingId::parse(&written("book_", self.0)).expect("37 characters of an id")
    }

    /// As 32 hexadecimal digits.
    #[must_use]
    pub fn hex(self) -> String {
        written("", self.0)
    }

    /// The hold of that id, if it can be one of ours.
    #[must_use]
    pub fn of_hold(id: HoldId) -> Option<Self> {
        read_key("hold_", id.as_str()).map(Self)
    }

    /// The booking of that id, if it can be one of ours.
    #[must_use]
    pub fn of_booking(id: BookingId) -> Option<Self> {
        read_key("book_", id.as_str()).map(Self)
    }

    /// What a person says at the box office: eight letters and digits, none of which looks like another.
    #[must_use]
    pub fn reference(self) -> String {
        // Without 0 1 I L O: 31 symbols. The low 62 bits of a UUIDv7 are random.
        const SYMBOLS: &[u8; 31] = b"23456789ABCDEFGHJKMNPQRSTUVWXYZ";
        let mut rest = self.0 & ((1 << 62) - 1);
        let mut reference = String::with_capacity(8);
        for _ in 0..8 {
            reference.push(char::from(SYMBOLS[(rest % 31) as usize]));
            rest /= 31;
        }
        reference
    }
}

/// A UUID as an id of ours.
pub(crate) fn written(prefix: &str, key: u128) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut id = String::with_capacity(prefix.len() + 32);
    id.push_str(prefix);
    for byte in key.to_be_bytes() {
        id.extend([byte >> 4, byte & 15].map(|digit| char::from(DIGITS[usize::from(digit)])));
    }
    id
}

/// The UUID in an id of ours.
pub(crate) fn read_key(prefix: &str, id: &str) -> Option<u128> {
    let hex = id.strip_prefix(prefix)?;
    // `from_str_radix` reads a sign, capitals and fewer digits, too; an id has one form.
    let plain = hex.len() == 32 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    plain.then(|| u128::from_str_radix(hex, 16).ok()).flatten()
}

/// Who holds: the SHA-256 of a buyer's secret. The secret itself is never kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(pub [u8; 32]);

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Owner({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

/// From where: a fingerprint of the network prefix, for limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network(pub u64);

/// The number of a ticket type within the pinned price table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeNo(pub u8);

/// One place of a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldPlace {
    /// The place.
    pub place: Place,
    /// For whom, if that was said.
    pub ticket_type: Option<TypeNo>,
}

/// A hold, in whatever became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Its name.
    pub key: HoldKey,
    /// Whose it is.
    pub owner: Owner,
    /// From where it came.
    pub network: Option<Network>,
    /// What is held.
    pub places: Vec<HeldPlace>,
    /// The prices it was made with.
    pub prices: Arc<Prices>,
    /// Since when.
    pub created_at: Timestamp,
    /// The house version that first had it.
    pub seq: u64,
    /// What became of it.
    pub state: HoldState,
}

/// What became of a hold. Only the edges of the state machine in `spec/v1/holds.md` exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HoldState {
    /// The buyer is choosing. From `until` on it is as if it had never been.
    Active {
        /// The deadline.
        until: Timestamp,
    },
    /// A payment is under way. The seats stay held until it is known to be over (H2).
    Paying {
        /// What is being paid.
        order: Order,
        /// When the payment session ends by itself.
        until: Timestamp,
    },
    /// The payment is being ended; no new one can begin (H3).
    Closing {
        /// What was being paid.
        order: Order,
        /// When the seats are given back, even if the payment's end stays unknown (H1).
        until: Timestamp,
    },
    /// It is a booking.
    Converted(Booking),
    /// Its owner or the cinema gave it back.
    Released {
        /// When.
        at: Timestamp,
    },
    /// Its time ran out.
    Expired {
        /// When.
        at: Timestamp,
        /// What was being paid, if anything: money may still come (LATE_PAID).
        order: Option<Order>,
    },
    /// Money came when its seats were gone: it goes back (P6).
    RefundDue {
        /// What was paid.
        order: Order,
        /// When that was found.
        at: Timestamp,
    },
}

impl HoldState {
    /// Whether seats are claimed by it.
    #[must_use]
    pub fn claims_seats(&self) -> bool {
        matches!(self, Self::Active { .. } | Self::Paying { .. } | Self::Closing { .. } | Self::Converted(_))
    }

    /// The instant at which something happens to it by itself.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        match self {
            Self::Active { until } | Self::Paying { until, .. } | Self::Closing { until, .. } => Some(*until),
            Self::Converted(booking) => booking.collect_by.filter(|_| !booking.balance_due().is_zero()),
            Self::Released { .. } | Self::Expired { .. } | Self::RefundDue { .. } => None,
        }
    }
}

/// What a buyer has chosen to pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// A ticket for every place.
    pub lines: Vec<OrderLine>,
    /// Paid once for all.
    pub booking_fees: Money,
    /// All of it.
    pub total: Money,
    /// How.
    pub method: PaymentMethod,
    /// Who, if they said.
    pub buyer: Option<Box<Buyer>>,
    /// Random bytes from which ticket ids are made.
    pub seed: [u8; 16],
}

/// One ticket of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderLine {
    /// The place.
    pub place: Place,
    /// The type.
    pub ticket_type: TypeNo,
    /// All included.
    pub price: Money,
}

/// A booking. What happened at the door is in the house's scans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booking {
    /// Its tickets.
    pub lines: Vec<Line>,
    /// Paid once for all; nothing when all of it is cancelled.
    pub booking_fees: Money,
    /// What it came to when it was booked.
    pub total: Money,
    /// What was paid.
    pub paid: Money,
    /// What of that comes back.
    pub refunded: Money,
    /// What of that the buyer has.
    pub paid_out: Money,
    /// What it has to do with exchanges: nothing, most of the time.
    pub exchanged: Option<Box<Exchanged>>,
    /// How.
    pub method: PaymentMethod,
    /// Who, if they said.
    pub buyer: Option<Box<Buyer>>,
    /// The policy in force when it was booked.
    pub policy: Arc<CancellationPolicy>,
    /// Until when the balance must be paid.
    pub collect_by: Option<Timestamp>,
    /// Since when.
    pub confirmed_at: Timestamp,
    /// Random bytes from which ticket ids are made.
    pub seed: [u8; 16],
}

/// What a booking has to do with exchanges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchanged {
    /// What of that which was paid came from the booking that this one replaces.
    pub moved_in: Money,
    /// What of that the policy of that booking would have given back in money then: no more of it ever comes back, unless the cinema
    /// calls a screening off.
    pub refundable_in: Money,
    /// What of it went to bookings that replace this one.
    pub moved_out: Money,
    /// What of that would have come back in money.
    pub refundable_out: Money,
    /// The booking whose tickets were given for these.
    pub replaces: Option<Link>,
    /// Which lines were given for which bookings.
    pub replaced_by: Vec<(u16, Link)>,
}

impl Exchanged {
    /// Nothing yet, in this currency.
    #[must_use]
    pub fn none(currency: Currency) -> Self {
        let zero = Money::zero(currency);
        let (moved_in, refundable_in, moved_out, refundable_out) = (zero, zero, zero, zero);
        Self { moved_in, refundable_in, moved_out, refundable_out, replaces: None, replaced_by: Vec::new() }
    }
}

/// A booking of whichever screening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Its screening.
    pub screening: ScreeningId,
    /// Its key.
    pub booking: HoldKey,
}

/// One ticket of a booking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// The place.
    pub place: Place,
    /// The type.
    pub ticket_type: TypeNo,
    /// All included.
    pub price: Money,
    /// Goes up with every ticket that replaces this one, and when it is revoked.
    pub generation: u16,
    /// Whether it opens the door no more.
    pub revoked: bool,
}

impl Booking {
    /// What is still to be paid: tickets that stand, and booking fees, less what was paid and is still here.
    #[must_use]
    pub fn balance_due(&self) -> Money {
        let zero = Money::zero(self.total.currency());
        if self.is_cancelled() {
            return zero;
        }
        self.standing().minus(self.kept()).unwrap_or(zero).max(zero)
    }

    /// What tickets that stand cost, and booking fees.
    ///
    /// # Panics
    /// Never: these are parts of a total that was in range.
    #[must_use]
    pub fn standing(&self) -> Money {
        let standing = self.lines.iter().filter(|l| !l.revoked).map(|l| l.price);
        let all = Money::sum(self.total.currency(), standing.chain([self.booking_fees]));
        all.expect("parts of a total that was in range")
    }

    /// What of that which was paid came from the booking that this one replaces.
    #[must_use]
    pub fn moved_in(&self) -> Money {
        self.exchanged.as_ref().map_or(Money::zero(self.total.currency()), |e| e.moved_in)
    }

    /// What of it went to bookings that replace this one.
    #[must_use]
    pub fn moved_out(&self) -> Money {
        self.exchanged.as_ref().map_or(Money::zero(self.total.currency()), |e| e.moved_out)
    }

    /// The most that can come back in money of what is kept: not more than the policies under which it was paid would have given back.
    #[must_use]
    pub fn refundable(&self) -> Money {
        let zero = Money::zero(self.total.currency());
        let Some(e) = &self.exchanged else { return self.kept() };
        let left = self.paid.minus(e.moved_in).and_then(|own| own.plus(e.refundable_in));
        let left = left.and_then(|left| left.minus(self.refunded)).and_then(|left| left.minus(e.refundable_out));
        left.unwrap_or(zero).clamp(zero, self.kept().max(zero))
    }

    /// What was paid and neither comes back nor went to another booking.
    #[must_use]
    pub fn kept(&self) -> Money {
        let kept = self.paid.minus(self.refunded).and_then(|left| left.minus(self.moved_out()));
        kept.unwrap_or(Money::zero(self.total.currency()))
    }

    /// What comes back and was not handed over yet.
    #[must_use]
    pub fn refund_due(&self) -> Money {
        self.refunded.minus(self.paid_out).unwrap_or(Money::zero(self.total.currency()))
    }

    /// The ticket id of a line as it stands.
    #[must_use]
    pub fn ticket_id(&self, line: usize) -> Option<TicketId> {
        let generation = self.lines.get(line)?.generation;
        Some(TicketId::derive(&self.seed, u16::try_from(line).ok()?, generation))
    }

    /// Whether no ticket stands any more.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.lines.iter().all(|l| l.revoked)
    }
}

impl Hold {
    /// The ticket type with this number in the pinned table.
    ///
    /// # Panics
    /// When the number is of another table.
    #[must_use]
    pub fn ticket_type(&self, number: TypeNo) -> &TicketType {
        &self.prices.table.ticket_types[usize::from(number.0)]
    }

    /// The booking that came of it.
    #[must_use]
    pub fn booking(&self) -> Option<&Booking> {
        match &self.state {
            HoldState::Converted(booking) => Some(booking),
            _ => None,
        }
    }

    /// The places it claims now: those of standing tickets once it is a booking.
    pub fn claimed_places(&self) -> impl Iterator<Item = Place> + '_ {
        let claims = self.state.claims_seats();
        let standing = move |place: Place| match self.booking() {
            Some(b) => b.lines.iter().any(|l| l.place == place && !l.revoked),
            None => claims,
        };
        self.places.iter().map(|p| p.place).filter(move |p| standing(*p))
    }

    /// How many of its places are claimed and not paid for.
    #[must_use]
    pub fn unpaid_places(&self) -> usize {
        match &self.state {
            HoldState::Converted(b) if b.balance_due().is_zero() => 0,
            _ => self.claimed_places().count(),
        }
    }
}

//! What a house looks like on the wire.

use std::borrow::Cow;

use admit_booking::{
    Booking, CancellationOffer, Changes, Entry, EntryKey, EntryState, ExchangeOffer, Hold, HoldKey, HoldState, House,
    price,
};
use admit_protocol::booking as wire;
use admit_protocol::exchange::{BookingLink, ExchangeQuote, GivenTicket};
use admit_protocol::hold::{HeldSeat, Hold as WireHold, HoldState as WireState};
use admit_protocol::id::EpochId;
use admit_protocol::money::Money;
use admit_protocol::seats::{SalesState, Seats};
use admit_protocol::waitlist::{WaitlistEntry, WaitlistOffer, WaitlistState};
use axum::body::Bytes;
use jiff::Timestamp;

use crate::store::About;

/// What an answer is about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Subject {
    /// A hold that was made.
    Placed(HoldKey),
    /// A hold that was changed.
    Hold(HoldKey),
    /// A hold that was given back.
    Released(HoldKey),
    /// A booking that was made.
    Booked(HoldKey),
    /// A booking that was changed.
    Booking(HoldKey),
    /// A party that came to wait.
    Joined(EntryKey),
    /// A party that waits no more.
    Left(EntryKey),
    /// Nothing that is shown.
    Nothing,
}

impl Subject {
    /// What a request is on record at.
    pub(crate) fn about(self) -> Option<About> {
        match self {
            Self::Placed(key) | Self::Hold(key) | Self::Released(key) | Self::Booked(key) | Self::Booking(key) => {
                Some(About::Hold(key))
            }
            Self::Joined(key) | Self::Left(key) => Some(About::Entry(key)),
            Self::Nothing => None,
        }
    }

    /// The hold or booking.
    pub(crate) fn hold(self) -> Option<HoldKey> {
        match self.about() {
            Some(About::Hold(key)) => Some(key),
            _ => None,
        }
    }
}

/// A house, and what is about to become of it.
pub(crate) struct View<'a> {
    pub(crate) house: &'a House,
    pub(crate) changes: &'a Changes,
    /// The version that will have the changes.
    pub(crate) seq: u64,
}

impl View<'_> {
    /// A hold as the changes leave it.
    fn hold(&self, key: HoldKey) -> Option<Cow<'_, Hold>> {
        if let Some(placed) = self.changes.placed.iter().find(|h| h.key == key) {
            return Some(Cow::Borrowed(placed));
        }
        let hold = self.house.hold(key)?;
        Some(match self.changes.moved.iter().rev().find(|(k, _)| *k == key) {
            Some((_, state)) => Cow::Owned(Hold { state: state.clone(), ..hold.clone() }),
            None => Cow::Borrowed(hold),
        })
    }

    /// A waitlist entry as the changes leave it.
    fn entry(&self, key: EntryKey) -> Option<&Entry> {
        self.changes.entries.iter().rev().find(|entry| entry.key == key).or_else(|| self.house.entry(key))
    }
}

/// Makes answers: knows where this server is and which run of the houses this is.
#[derive(Debug, Clone)]
pub(crate) struct Answers {
    /// `https://kino.example/v1`
    pub(crate) api: String,
    pub(crate) epoch: EpochId,
}

impl Answers {
    /// Status and body for what was just decided.
    pub(crate) fn after(&self, view: &View<'_>, subject: Subject) -> (u16, Bytes) {
        let status = match subject {
            Subject::Placed(_) | Subject::Booked(_) | Subject::Joined(_) => 201,
            Subject::Hold(_) | Subject::Booking(_) => 200,
            Subject::Released(key) => match view.hold(key).map(|h| matches!(h.state, HoldState::Closing { .. })) {
                Some(true) => 202,
                _ => 204,
            },
            Subject::Left(_) | Subject::Nothing => 204,
        };
        if let Subject::Joined(key) = subject {
            let entry = view.entry(key).map(|entry| json(&self.entry(view.house, entry, entry.created_at, view.seq)));
            return (status, entry.unwrap_or_default());
        }
        let hold = subject.hold().and_then(|key| view.hold(key));
        (status, hold.map(|hold| self.body(view.house, &hold, view.seq, subject)).unwrap_or_default())
    }

    /// The body for a subject as things are now.
    pub(crate) fn now(&self, house: &House, subject: Subject, about: About) -> Bytes {
        let seq = house.version();
        match about {
            About::Hold(key) => house.hold(key).map(|hold| self.body(house, hold, seq, subject)),
            About::Entry(key) => house.entry(key).map(|entry| json(&self.entry(house, entry, house.now(), seq))),
        }
        .unwrap_or_default()
    }

    fn body(&self, house: &House, hold: &Hold, seq: u64, subject: Subject) -> Bytes {
        match (subject, hold.booking()) {
            (Subject::Placed(_) | Subject::Hold(_), _) => json(&self.hold(house, hold, seq)),
            (Subject::Booked(_) | Subject::Booking(_), Some(booking)) => json(&self.booking(house, hold, booking, seq)),
            _ => Bytes::new(),
        }
    }

    pub(crate) fn hold(&self, house: &House, hold: &Hold, seq: u64) -> WireHold {
        let plan = &house.terms().plan;
        let seats: Vec<HeldSeat> = hold
            .places
            .iter()
            .map(|held| HeldSeat {
                seat: plan.seat_id(held.place),
                area: plan.area_of(held.place).map(|a| a.area),
                ticket_type: held.ticket_type.map(|number| hold.ticket_type(number).id),
            })
            .collect();
        let typed = |(held, seat): (&admit_booking::HeldPlace, &HeldSeat)| {
            Some((seat.seat, plan.zone(held.place)?, seat.ticket_type?))
        };
        let tickets: Option<Vec<_>> = hold.places.iter().zip(&seats).map(typed).collect();
        let quote = tickets.and_then(|tickets| price::quote(&hold.prices.table, &tickets).ok());
        let (state, expires_at) = shown(&hold.state);
        let id = hold.key.hold_id();
        WireHold {
            id,
            url: format!("{}/screenings/{}/holds/{id}", self.api, house.terms().screening),
            screening: house.terms().screening,
            state,
            booking: (state == WireState::Converted).then(|| hold.key.booking_id()),
            waitlist_entry: house.entry_of_offer(hold.key).map(|entry| entry.key.id()),
            seats,
            price_table: hold.prices.name,
            quote,
            created_at: hold.created_at,
            expires_at,
            extendable_until: house.extendable_until(hold.created_at).max(expires_at),
            epoch: self.epoch,
            seq,
        }
    }

    /// A waitlist entry. One that waits for what is not sold any more waits no more.
    pub(crate) fn entry(&self, house: &House, entry: &Entry, now: Timestamp, seq: u64) -> WaitlistEntry {
        let sales = house.sales_state(now);
        let over = matches!(sales, SalesState::Closed | SalesState::UnderWay | SalesState::Cancelled);
        let state = match entry.state {
            EntryState::Waiting if over => WaitlistState::Gone,
            EntryState::Waiting => WaitlistState::Waiting,
            EntryState::Offered(_) => WaitlistState::Offered,
            EntryState::Taken(_) => WaitlistState::Taken,
            EntryState::Declined(_) => WaitlistState::Declined,
            EntryState::Gone => WaitlistState::Gone,
        };
        let (id, screening) = (entry.key.id(), house.terms().screening);
        let offer = |key: HoldKey| {
            let hold = house.hold(key)?;
            let (_, expires_at) = shown(&hold.state);
            let id = key.hold_id();
            let url = format!("{}/screenings/{screening}/holds/{id}", self.api);
            Some(WaitlistOffer { hold: id, url, expires_at })
        };
        WaitlistEntry {
            id,
            url: format!("{}/screenings/{screening}/waitlist/{id}", self.api),
            screening,
            state,
            best: entry.best.clone(),
            position: (state == WaitlistState::Waiting)
                .then(|| u32::try_from(house.position(entry)).unwrap_or(u32::MAX)),
            offer: entry.offer().and_then(offer),
            lapses: entry.lapses,
            created_at: entry.created_at,
            epoch: self.epoch,
            seq,
        }
    }

    fn link(&self, link: admit_booking::Link) -> BookingLink {
        let (screening, booking) = (link.screening, link.booking.booking_id());
        BookingLink { screening, booking, url: format!("{}/screenings/{screening}/bookings/{booking}", self.api) }
    }

    pub(crate) fn booking(&self, house: &House, hold: &Hold, booking: &Booking, seq: u64) -> wire::Booking {
        let plan = &house.terms().plan;
        let revoked = booking.lines.iter().filter(|l| l.revoked).count();
        let exchanged = booking.exchanged.as_deref();
        let replaced = |n: usize| {
            let (_, to) = exchanged?.replaced_by.iter().find(|(line, _)| usize::from(*line) == n)?;
            Some(self.link(*to))
        };
        let lines = booking.lines.iter().enumerate().map(|(n, line)| wire::BookingLine {
            seat: plan.seat_id(line.place),
            ticket_type: hold.ticket_type(line.ticket_type).id,
            total: line.price,
            state: house.ticket_state(hold.key, booking, n),
            replaced_by: replaced(n),
        });
        let moved = |amount: Money| (!amount.is_zero()).then_some(amount);
        let id = hold.key.booking_id();
        let balance_due = booking.balance_due();
        wire::Booking {
            id,
            reference: hold.key.reference(),
            url: format!("{}/screenings/{}/bookings/{id}", self.api, house.terms().screening),
            screening: house.terms().screening,
            state: match revoked {
                0 => wire::BookingState::Confirmed,
                n if n == booking.lines.len() => wire::BookingState::Cancelled,
                _ => wire::BookingState::PartCancelled,
            },
            lines: lines.collect(),
            booking_fees: booking.booking_fees,
            total: booking.total,
            paid: booking.paid,
            balance_due,
            refunded: booking.refunded,
            refund_due: booking.refund_due(),
            collect_by: booking.collect_by.filter(|_| !balance_due.is_zero()),
            payment_method: booking.method,
            moved_in: moved(booking.moved_in()),
            moved_out: moved(booking.moved_out()),
            replaces: exchanged.and_then(|e| e.replaces).map(|from| self.link(from)),
            cancellation: (*booking.policy).clone(),
            confirmed_at: booking.confirmed_at,
            epoch: self.epoch,
            seq,
        }
    }

    pub(crate) fn seats(&self, house: &House, sales: SalesState) -> Seats {
        let terms = house.terms();
        Seats {
            screening: terms.screening,
            epoch: self.epoch,
            seq: house.version(),
            sales,
            layout: terms.plan.name(),
            price_table: terms.prices.name,
            not_free: house.seats_not_free(),
            areas: house.area_seats(),
        }
    }

    /// What giving tickets of a booking would come to.
    pub(crate) fn exchange(house: &House, hold: &Hold, booking: &Booking, offer: &ExchangeOffer) -> ExchangeQuote {
        let given = |(number, worth): &(usize, Money)| {
            let line = booking.lines[*number];
            GivenTicket {
                seat: house.terms().plan.seat_id(line.place),
                ticket_type: hold.ticket_type(line.ticket_type).id,
                total: line.price,
                worth: *worth,
            }
        };
        ExchangeQuote {
            id: offer.id,
            given: offer.given.iter().map(given).collect(),
            moves: offer.moves,
            taken: offer.taken.clone(),
            balance_due: offer.balance_due,
            refund: offer.refund,
            valid_until: offer.valid_until,
        }
    }

    pub(crate) fn cancellation(
        &self,
        house: &House,
        hold: &Hold,
        booking: &Booking,
        offer: &CancellationOffer,
    ) -> wire::CancellationQuote {
        let plan = &house.terms().plan;
        let line = |(number, refund): &(usize, Money)| {
            let line = booking.lines[*number];
            wire::CancellationLine {
                seat: plan.seat_id(line.place),
                ticket_type: hold.ticket_type(line.ticket_type).id,
                total: line.price,
                refund: *refund,
            }
        };
        wire::CancellationQuote {
            id: offer.id,
            lines: offer.lines.iter().map(line).collect(),
            refund: offer.refund,
            balance_reduction: offer.balance_reduction,
            valid_until: offer.valid_until,
        }
    }
}

/// What became of a hold, and until when it holds, or since when it does not.
fn shown(state: &HoldState) -> (WireState, Timestamp) {
    match state {
        HoldState::Active { until } => (WireState::Active, *until),
        HoldState::Paying { until, .. } => (WireState::Paying, *until),
        HoldState::Closing { until, .. } => (WireState::Closing, *until),
        HoldState::Converted(booking) => (WireState::Converted, booking.confirmed_at),
        HoldState::Released { at } => (WireState::Released, *at),
        HoldState::Expired { at, .. } | HoldState::RefundDue { at, .. } => (WireState::Expired, *at),
    }
}

/// Bytes of a value of ours.
pub(crate) fn json<T: serde::Serialize>(value: &T) -> Bytes {
    // Room for a hold or a booking of some seats, so that the buffer does not grow step by step.
    let mut bytes = Vec::with_capacity(2048);
    // Wire types have string keys and no floats: they always serialise.
    serde_json::to_writer(&mut bytes, value).expect("wire types serialise");
    Bytes::from(bytes)
}

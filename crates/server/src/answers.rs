//! What a house looks like on the wire.

use std::borrow::Cow;

use admit_booking::{Booking, CancellationOffer, Changes, Hold, HoldKey, HoldState, House, price};
use admit_protocol::booking as wire;
use admit_protocol::hold::{HeldSeat, Hold as WireHold, HoldState as WireState};
use admit_protocol::id::EpochId;
use admit_protocol::seats::{SalesState, Seats};
use axum::body::Bytes;

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
    /// Nothing that is shown.
    Nothing,
}

impl Subject {
    /// The hold or booking.
    pub(crate) fn hold(self) -> Option<HoldKey> {
        match self {
            Self::Placed(key) | Self::Hold(key) | Self::Released(key) | Self::Booked(key) | Self::Booking(key) => {
                Some(key)
            }
            Self::Nothing => None,
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
            Subject::Placed(_) | Subject::Booked(_) => 201,
            Subject::Hold(_) | Subject::Booking(_) => 200,
            Subject::Released(key) => match view.hold(key).map(|h| matches!(h.state, HoldState::Closing { .. })) {
                Some(true) => 202,
                _ => 204,
            },
            Subject::Nothing => 204,
        };
        let hold = subject.hold().and_then(|key| view.hold(key));
        (status, hold.map(|hold| self.body(view.house, &hold, view.seq, subject)).unwrap_or_default())
    }

    /// The body for a subject as things are now.
    pub(crate) fn now(&self, house: &House, subject: Subject, hold: HoldKey) -> Bytes {
        house.hold(hold).map(|hold| self.body(house, hold, house.version(), subject)).unwrap_or_default()
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
        let (state, expires_at) = match &hold.state {
            HoldState::Active { until } => (WireState::Active, *until),
            HoldState::Paying { until, .. } => (WireState::Paying, *until),
            HoldState::Closing { until, .. } => (WireState::Closing, *until),
            HoldState::Converted(booking) => (WireState::Converted, booking.confirmed_at),
            HoldState::Released { at } => (WireState::Released, *at),
            HoldState::Expired { at, .. } | HoldState::RefundDue { at, .. } => (WireState::Expired, *at),
        };
        let id = hold.key.hold_id();
        WireHold {
            id,
            url: format!("{}/screenings/{}/holds/{id}", self.api, house.terms().screening),
            screening: house.terms().screening,
            state,
            booking: (state == WireState::Converted).then(|| hold.key.booking_id()),
            seats,
            price_table: hold.prices.name,
            quote,
            created_at: hold.created_at,
            expires_at,
            extendable_until: house.extendable_until(hold.created_at),
            epoch: self.epoch,
            seq,
        }
    }

    pub(crate) fn booking(&self, house: &House, hold: &Hold, booking: &Booking, seq: u64) -> wire::Booking {
        let plan = &house.terms().plan;
        let revoked = booking.lines.iter().filter(|l| l.revoked).count();
        let lines = booking.lines.iter().enumerate().map(|(n, line)| wire::BookingLine {
            seat: plan.seat_id(line.place),
            ticket_type: hold.ticket_type(line.ticket_type).id,
            total: line.price,
            state: house.ticket_state(hold.key, booking, n),
        });
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

    pub(crate) fn cancellation(
        &self,
        house: &House,
        hold: &Hold,
        booking: &Booking,
        offer: &CancellationOffer,
    ) -> wire::CancellationQuote {
        let plan = &house.terms().plan;
        let line = |(number, refund): &(usize, admit_protocol::money::Money)| {
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

/// Bytes of a value of ours.
pub(crate) fn json<T: serde::Serialize>(value: &T) -> Bytes {
    // Room for a hold or a booking of some seats, so that the buffer does not grow step by step.
    let mut bytes = Vec::with_capacity(2048);
    // Wire types have string keys and no floats: they always serialise.
    serde_json::to_writer(&mut bytes, value).expect("wire types serialise");
    Bytes::from(bytes)
}

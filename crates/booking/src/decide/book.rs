//! Turning holds into bookings.

use std::collections::BTreeMap;

use admit_protocol::capability::PaymentMethod;
use admit_protocol::hold::Quote;
use admit_protocol::id::{SeatId, TicketTypeId};
use admit_protocol::money::Money;
use admit_protocol::seats::SalesState;
use admit_protocol::time::after;
use jiff::Timestamp;

use super::hold::still_choosing;
use crate::changes::Changes;
use crate::command::{By, Choice};
use crate::hold::{Booking, Hold, HoldKey, HoldState, Line, Order, OrderLine, Owner, TypeNo};
use crate::house::House;
use crate::price::quote;
use crate::refusal::Refusal;

/// The least time that somebody has who promises to pay at the cinema, in seconds.
const COLLECT_LEAST_S: i64 = 15 * 60;

impl House {
    pub(super) fn book(&self, key: HoldKey, owner: Owner, choice: &Choice, now: Timestamp) -> Result<Changes, Refusal> {
        let hold = self.hold_by(key, By::Owner(owner))?;
        still_choosing(hold, now)?;
        // Nobody buys a ticket for what does not take place (HOLD-015).
        if !self.terms.status.takes_place() {
            return Err(Refusal::NotOnSale(SalesState::Cancelled));
        }
        let order = self.order(hold, choice)?;
        let payable = match choice.method {
            PaymentMethod::None => order.total.is_zero(),
            PaymentMethod::AtCinema => now < self.collect_until(now) && !order.total.is_zero(),
            _ => false,
        };
        if !payable || !self.terms.payment_methods.contains(&choice.method) {
            return Err(Refusal::PaymentMethod(choice.method));
        }
        let booking = self.booking(order, false, now);
        Ok(Changes { moved: vec![(key, HoldState::Converted(booking))], ..Changes::default() })
    }

    /// What a ticket for every held seat costs, at the pinned prices.
    pub(super) fn quote_for(&self, hold: &Hold, chosen: &[(SeatId, TicketTypeId)]) -> Result<Quote, Refusal> {
        let plan = &self.terms.plan;
        let mut wanted: BTreeMap<SeatId, TicketTypeId> = BTreeMap::new();
        let mut extra = Vec::new();
        for &(seat, ticket_type) in chosen {
            if wanted.insert(seat, ticket_type).is_some() {
                extra.push(seat);
            }
        }
        let mut tickets = Vec::with_capacity(hold.places.len());
        let mut missing = Vec::new();
        for held in &hold.places {
            let seat = plan.seat_id(held.place);
            match (wanted.remove(&seat), plan.zone(held.place)) {
                (Some(ticket_type), Some(zone)) => tickets.push((seat, zone, ticket_type)),
                _ => missing.push(seat),
            }
        }
        extra.extend(wanted.into_keys());
        if !missing.is_empty() || !extra.is_empty() {
            return Err(Refusal::TicketsDoNotMatch { missing, extra });
        }
        quote(&hold.prices.table, &tickets)
    }

    /// The order for a choice: a ticket for every held seat, at the pinned prices, for the total that the buyer saw.
    pub(super) fn order(&self, hold: &Hold, choice: &Choice) -> Result<Order, Refusal> {
        let table = &hold.prices.table;
        let quote = self.quote_for(hold, &choice.tickets)?;
        if quote.total != choice.total {
            return Err(Refusal::PriceChanged(quote));
        }
        let number = |id: TicketTypeId| table.ticket_types.iter().position(|t| t.id == id).unwrap_or_default();
        let line = |(held, line): (&crate::HeldPlace, &admit_protocol::hold::QuoteLine)| OrderLine {
            place: held.place,
            ticket_type: TypeNo(u8::try_from(number(line.ticket_type)).unwrap_or(u8::MAX)),
            price: line.total,
        };
        Ok(Order {
            lines: hold.places.iter().zip(&quote.lines).map(line).collect(),
            booking_fees: quote.booking_fees,
            total: quote.total,
            method: choice.method,
            buyer: choice.buyer.clone().map(Box::new),
            seed: choice.seed,
        })
    }

    /// The booking of an order; `paid` when its money has come.
    pub(super) fn booking(&self, order: Order, paid: bool, now: Timestamp) -> Booking {
        let zero = Money::zero(order.total.currency());
        let line = |l: &OrderLine| Line {
            place: l.place,
            ticket_type: l.ticket_type,
            price: l.price,
            generation: 1,
            revoked: false,
        };
        Booking {
            lines: order.lines.iter().map(line).collect(),
            booking_fees: order.booking_fees,
            total: order.total,
            paid: if paid { order.total } else { zero },
            refunded: zero,
            paid_out: zero,
            exchanged: None,
            collect_by: (order.method == PaymentMethod::AtCinema).then_some(self.collect_until(now)),
            method: order.method,
            buyer: order.buyer,
            policy: self.terms.cancellation.clone(),
            confirmed_at: now,
            seed: order.seed,
        }
    }

    /// Until before when a booking that is made at `now` must be paid at the cinema (BOOK-005). Nobody gets less than a quarter of
    /// an hour while there is one left: who comes in the last minutes pays before the start, who comes later while it is sold.
    pub(super) fn collect_until(&self, now: Timestamp) -> Timestamp {
        let terms = &self.terms;
        match (after(now, COLLECT_LEAST_S) < terms.collect_by, now < terms.starts_at) {
            (true, _) => terms.collect_by,
            (false, true) => terms.starts_at,
            (false, false) => terms.sales.closes_at,
        }
    }
}

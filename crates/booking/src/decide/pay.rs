//! Payments that are begun, end well, end badly, or come late; money over the counter.

use admit_protocol::money::Money;
use admit_protocol::seats::SalesState;
use admit_protocol::time::after;
use jiff::Timestamp;

use super::end;
use super::hold::still_choosing;
use crate::HOLD_LIFE_MAX_S;
use crate::changes::{Changes, Claim};
use crate::command::{By, Choice};
use crate::hold::{Booking, Hold, HoldKey, HoldState, Order, Owner};
use crate::house::House;
use crate::refusal::Refusal;

impl House {
    pub(super) fn begin_payment(
        &self,
        key: HoldKey,
        owner: Owner,
        choice: &Choice,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Changes, Refusal> {
        let hold = self.hold_by(key, By::Owner(owner))?;
        still_choosing(hold, now)?;
        let order = self.order(hold, choice)?;
        let latest = after(hold.created_at, HOLD_LIFE_MAX_S - super::CLOSING_GRACE_S);
        if order.total <= Money::zero(order.total.currency()) || until <= now {
            return Err(Refusal::PaymentMethod(choice.method));
        }
        let paying = HoldState::Paying { order, until: until.min(latest) };
        Ok(Changes { moved: vec![(key, paying)], ..Changes::default() })
    }

    /// However often and in whatever order this is said, there is one booking, or money that goes back (P4).
    pub(super) fn end_payment(&self, key: HoldKey, paid: bool, now: Timestamp) -> Result<Changes, Refusal> {
        let hold = self.hold_by(key, By::Staff)?;
        let mut changes = Changes::default();
        match (&hold.state, paid) {
            (HoldState::Paying { order, .. } | HoldState::Closing { order, .. }, true) => {
                let booking = self.booking(order.clone(), true, now);
                changes.moved.push((key, HoldState::Converted(booking)));
            }
            (HoldState::Paying { order, .. } | HoldState::Closing { order, .. }, false) => {
                end(hold, HoldState::Expired { at: now, order: Some(order.clone()) }, &mut changes);
            }
            (HoldState::Expired { order: Some(order), .. }, true) => self.late_paid(hold, order, now, &mut changes),
            (HoldState::Active { .. }, _) => return Err(Refusal::NotFound),
            (HoldState::Converted(_) | HoldState::RefundDue { .. }, _)
            | (HoldState::Released { .. } | HoldState::Expired { .. }, _) => {}
        }
        Ok(changes)
    }

    /// P6: all the same seats, if all are still free; else the money goes back. Never some, never others.
    fn late_paid(&self, hold: &Hold, order: &Order, now: Timestamp, changes: &mut Changes) {
        let free = order.lines.iter().all(|l| self.claim(l.place).is_none());
        if free {
            changes.claimed.extend(order.lines.iter().map(|l| (l.place, Claim::Hold(hold.key))));
            changes.moved.push((hold.key, HoldState::Converted(self.booking(order.clone(), true, now))));
        } else {
            changes.moved.push((hold.key, HoldState::RefundDue { order: order.clone(), at: now }));
        }
    }

    /// Somebody pays what is due, at the counter.
    pub(super) fn settle(&self, key: HoldKey, amount: Money) -> Result<Changes, Refusal> {
        if self.is_off() {
            return Err(Refusal::NotOnSale(SalesState::Cancelled));
        }
        let hold = self.hold_by(key, By::Staff)?;
        let booking = hold.booking().ok_or(Refusal::NotFound)?;
        let due = booking.balance_due();
        let over_the_counter = booking.paid.minus(booking.moved_in()).unwrap_or(booking.paid);
        if over_the_counter == amount && due.is_zero() && !amount.is_zero() {
            return Ok(Changes::default());
        }
        if due != amount || due.is_zero() {
            return Err(Refusal::WrongBalance { due });
        }
        let paid = booking.paid.plus(amount).map_err(|_| Refusal::WrongBalance { due })?;
        let settled = Booking { paid, ..booking.clone() };
        Ok(Changes { moved: vec![(key, HoldState::Converted(settled))], ..Changes::default() })
    }

    /// The counter hands over what comes back for tickets that were cancelled. All of it, once: who asks again hears that
    /// nothing is left.
    pub(super) fn refund(&self, key: HoldKey, amount: Money) -> Result<Changes, Refusal> {
        let hold = self.hold_by(key, By::Staff)?;
        let booking = hold.booking().ok_or(Refusal::NotFound)?;
        let due = booking.refund_due();
        if due != amount || due.is_zero() {
            return Err(Refusal::WrongRefund { due });
        }
        let refunded = Booking { paid_out: booking.refunded, ..booking.clone() };
        Ok(Changes { moved: vec![(key, HoldState::Converted(refunded))], ..Changes::default() })
    }
}

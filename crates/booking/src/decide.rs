//! What a command changes. Each file decides about one noun; nothing here changes a house.

mod book;
mod cancel;
mod exchange;
mod forget;
mod hold;
mod pay;
mod scan;
mod seats;
mod waitlist;

use admit_protocol::id::SeatId;
use admit_protocol::time::after;
use jiff::Timestamp;

pub use self::cancel::CancellationOffer;
pub use self::exchange::{ExchangeOffer, ExchangeWish};
use crate::HOLD_LIFE_MAX_S;
use crate::changes::{Changes, Claim};
use crate::command::{By, Command};
use crate::hold::{Hold, HoldKey, HoldState};
use crate::house::{Deadline, House};
use crate::refusal::Refusal;

impl House {
    /// What happened by itself up to `now`: holds whose time is over, payments to be closed, bookings that nobody paid,
    /// seats that go on sale. To be applied before any [`House::decide`], so that a lapsed hold never decides anything
    /// (H4, H5). Empty most of the time, and then free of cost.
    #[must_use]
    pub fn advance(&self, now: Timestamp) -> Changes {
        let mut changes = Changes::default();
        for deadline in self.due(now) {
            match deadline {
                Deadline::Block(place) => changes.freed.extend(self.claim(place).map(|claim| (place, claim))),
                Deadline::Line => changes.line_looked_at = Some(now),
                Deadline::Hold(key) => self.lapse(&self.holds[&key], now, &mut changes),
            }
        }
        self.then_offer(changes, now)
    }

    fn lapse(&self, hold: &Hold, now: Timestamp, changes: &mut Changes) {
        let next = match &hold.state {
            HoldState::Active { .. } => HoldState::Expired { at: now, order: None },
            // H2: the timer never gives the seats of an open payment away; it begins to end the payment.
            HoldState::Paying { order, until } => {
                let until = after(*until, CLOSING_GRACE_S).min(after(hold.created_at, HOLD_LIFE_MAX_S));
                if until > now {
                    changes.moved.push((hold.key, HoldState::Closing { order: order.clone(), until }));
                    return;
                }
                HoldState::Expired { at: now, order: Some(order.clone()) }
            }
            HoldState::Closing { order, .. } => HoldState::Expired { at: now, order: Some(order.clone()) },
            HoldState::Converted(booking) => return cancel::lapse_unpaid(hold, booking, self.is_off(), changes),
            HoldState::Released { .. } | HoldState::Expired { .. } | HoldState::RefundDue { .. } => return,
        };
        end(hold, next, changes);
    }

    /// Decides what `command` changes at `now`, without changing anything. No changes means: done already.
    ///
    /// # Errors
    /// When the command is refused. Nothing changes then, either.
    pub fn decide(&self, command: &Command, now: Timestamp) -> Result<Changes, Refusal> {
        // Whoever comes to wait brings nobody else a seat.
        match command {
            Command::JoinWaitlist(wish) => self.join_waitlist(wish, now),
            _ => Ok(self.then_offer(self.decide_alone(command, now)?, now)),
        }
    }

    /// What changes bring to those who wait, together with them (W1): for who decides about two houses at once.
    #[must_use]
    pub fn with_offers(&self, changes: Changes, now: Timestamp) -> Changes {
        self.then_offer(changes, now)
    }

    /// Why a command is refused, if it is: as [`House::decide`] says, without working out what it would bring to others.
    #[must_use]
    pub fn refusal(&self, command: &Command, now: Timestamp) -> Option<Refusal> {
        self.decide_alone(command, now).err()
    }

    /// What a command changes, but for what its changes bring to those who wait.
    fn decide_alone(&self, command: &Command, now: Timestamp) -> Result<Changes, Refusal> {
        match command {
            Command::PlaceHold(wish) => self.place_hold(wish, now),
            Command::Release { hold, by } => self.release(*hold, *by, now),
            Command::Extend { hold, owner, ttl_s } => self.extend(*hold, *owner, *ttl_s, now),
            Command::Book { hold, owner, choice } => self.book(*hold, *owner, choice, now),
            Command::BeginPayment { hold, owner, choice, until } => {
                self.begin_payment(*hold, *owner, choice, *until, now)
            }
            Command::EndPayment { hold, paid } => self.end_payment(*hold, *paid, now),
            Command::Settle { booking, amount } => self.settle(*booking, *amount),
            Command::Refund { booking, amount } => self.refund(*booking, *amount),
            Command::Cancel { booking, cancellation } => self.cancel(*booking, cancellation, now),
            Command::Exchange { wish, quote, seed } => self.exchange_here(wish, *quote, *seed, now),
            Command::Block { seats, reason, until } => self.block(seats, *reason, *until, now),
            Command::Unblock { seats } => self.unblock(seats),
            Command::Scan { device, scans } => self.scan(*device, scans, now),
            Command::JoinWaitlist(wish) => self.join_waitlist(wish, now),
            Command::LookAtLine => Ok(Changes { line_looked_at: Some(now), ..Changes::default() }),
            Command::LeaveWaitlist { entry, by } => self.leave_waitlist(*entry, *by, now),
            Command::Forget(whom) => self.forget(*whom),
            Command::Amend(terms) => Ok(Changes { terms: Some(terms.clone()), ..Changes::default() }),
        }
    }

    fn hold_by(&self, key: HoldKey, by: By) -> Result<&Hold, Refusal> {
        let hold = match by {
            By::Owner(owner) => self.hold_of(key, owner),
            By::Staff => self.hold(key),
        };
        hold.ok_or(Refusal::NotFound)
    }

    fn places_of(&self, seats: &[SeatId]) -> Result<Vec<crate::Place>, Refusal> {
        let plan = &self.terms.plan;
        let unknown: Vec<SeatId> = seats.iter().copied().filter(|s| plan.place(*s).is_none()).collect();
        if unknown.is_empty() {
            Ok(seats.iter().filter_map(|s| plan.place(*s)).collect())
        } else {
            Err(Refusal::UnknownSeats(unknown))
        }
    }
}

/// How long a payment's end may stay unknown after its session's own end, in seconds.
const CLOSING_GRACE_S: i64 = 300;

/// Frees what a hold claims, and says what becomes of it.
fn end(hold: &Hold, state: HoldState, changes: &mut Changes) {
    changes.freed.extend(hold.claimed_places().map(|place| (place, Claim::Hold(hold.key))));
    changes.moved.push((hold.key, state));
}

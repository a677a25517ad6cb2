//! The invariants of a house, by name: checked after every simulated step, when a house is loaded, and by the audit.

use std::collections::BTreeSet;
use std::fmt;

use admit_protocol::booking::TicketState;
use admit_protocol::capability::PaymentMethod;
use admit_protocol::time::after;

use crate::HOLD_LIFE_MAX_S;
use crate::changes::{BlockReason, Claim};
use crate::hold::{Hold, HoldState};
use crate::house::House;
use crate::unpaid::Unpaid;
use crate::waitlist::EntryState;

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Its name, such as `S1`.
    pub invariant: &'static str,
    /// What was found.
    pub found: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.found)
    }
}

impl House {
    /// Every invariant that does not hold.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        let mut broken = |invariant, what: String| found.push(Violation { invariant, found: what });
        let plan = &self.terms().plan;
        // S1: one claim a place is the shape of the table; here: every claim has a living owner that says the same.
        for (place, claim) in self.claims() {
            if let Claim::Hold(key) = claim
                && !self.hold(key).is_some_and(|h| h.claimed_places().any(|p| p == place))
            {
                broken("S1", format!("{} is claimed by {key:?}, which does not claim it", plan.seat_id(place)));
            }
        }
        let mut unpaid = Unpaid::default();
        self.holds().for_each(|hold| unpaid.add(hold));
        if unpaid != self.unpaid {
            broken("limits", format!("what counts against limits is {unpaid:?}, and {:?} is counted", self.unpaid));
        }
        check_waitlist(self, &mut broken);
        for hold in self.holds() {
            // S4, S5: what a hold says it has, it has; all of it.
            for place in hold.claimed_places() {
                if self.claim(place) != Some(Claim::Hold(hold.key)) {
                    broken("S4", format!("{:?} says it has {}, but does not", hold.key, plan.seat_id(place)));
                }
            }
            let distinct: BTreeSet<_> = hold.places.iter().map(|p| p.place).collect();
            if distinct.len() != hold.places.len() {
                broken("S4", format!("{:?} has a place twice", hold.key));
            }
            check_hold(self, hold, &mut broken);
        }
        found
    }
}

fn check_waitlist(house: &House, broken: &mut impl FnMut(&'static str, String)) {
    let mut turns = BTreeSet::new();
    for entry in house.entries().filter(|entry| entry.waits()) {
        if !turns.insert(entry.turn) {
            broken("W2", format!("two parties have turn {}", entry.turn));
        }
    }
    for entry in house.entries() {
        let EntryState::Offered(key) = entry.state else { continue };
        let offer = house.hold(key).filter(|hold| hold.state.claims_seats() && hold.booking().is_none());
        if offer.is_none_or(|hold| hold.owner != entry.owner) {
            broken("W4", format!("{:?} has no such offer as {key:?}", entry.key));
        }
    }
    let kept = |(_, claim): &(_, Claim)| matches!(claim, Claim::Block(block) if block.reason == BlockReason::Waitlist);
    if turns.is_empty() && house.claims().any(|claim| kept(&claim)) {
        broken("W6", "places are kept for somebody in line, and nobody waits".to_owned());
    }
}

fn check_hold(house: &House, hold: &Hold, broken: &mut impl FnMut(&'static str, String)) {
    let bound = after(hold.created_at, HOLD_LIFE_MAX_S);
    match &hold.state {
        HoldState::Active { until } | HoldState::Paying { until, .. } | HoldState::Closing { until, .. } => {
            if *until > bound {
                broken("H1", format!("{:?} would last until {until}, after {bound}", hold.key));
            }
        }
        HoldState::Converted(booking) => {
            let due = booking.balance_due();
            if !due.is_zero() && booking.method != PaymentMethod::AtCinema {
                broken("P5", format!("{:?} is confirmed and {due} is due", hold.key));
            }
            if booking.refunded.plus(booking.moved_out()).is_ok_and(|gone| gone > booking.paid) {
                broken(
                    "P8",
                    format!(
                        "{:?} gave back {} and moved {} of {}",
                        hold.key,
                        booking.refunded,
                        booking.moved_out(),
                        booking.paid
                    ),
                );
            }
            if booking.paid_out > booking.refunded {
                broken("P8", format!("{:?} handed over {} of {}", hold.key, booking.paid_out, booking.refunded));
            }
            for (n, line) in booking.lines.iter().enumerate() {
                let used = house.ticket_state(hold.key, booking, n) == TicketState::Used;
                if line.revoked && used {
                    broken("T2", format!("line {n} of {:?} is revoked and used", hold.key));
                }
            }
            let lines: BTreeSet<_> = booking.lines.iter().map(|l| l.place).collect();
            if lines.len() != booking.lines.len() {
                broken("T2", format!("{:?} has two tickets for one place", hold.key));
            }
        }
        HoldState::Released { .. } | HoldState::Expired { .. } | HoldState::RefundDue { .. } => {}
    }
}

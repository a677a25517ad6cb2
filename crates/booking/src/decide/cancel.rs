//! Cancelling tickets: quote first, then by the quote's name.
//!
//! A quote is not kept. Its name says which lines it is for and until when it holds, and ends in a digest over what
//! comes back; confirming it works it all out again, so a name that somebody made up brings nothing that the policy
//! does not give.

use std::collections::BTreeSet;

use admit_protocol::booking::TicketState;
use admit_protocol::digest::sha256;
use admit_protocol::id::{QuoteId, SeatId, TicketTypeId};
use admit_protocol::layout::SeatKind;
use admit_protocol::money::Money;
use admit_protocol::price::TicketRule;
use admit_protocol::time::after;
use jiff::Timestamp;

use crate::changes::{Changes, Claim};
use crate::command::{By, Cancellation};
use crate::hold::{Booking, Hold, HoldKey, HoldState, Line, Owner};
use crate::house::House;
use crate::plan::Place;
use crate::price::sum;
use crate::refusal::Refusal;

/// How long a quote holds at most, in seconds.
pub(super) const QUOTE_LIFE_S: i64 = 600;

/// What a cancellation would bring back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancellationOffer {
    /// Its name.
    pub id: QuoteId,
    /// Each line, by number, and what comes back for it.
    pub lines: Vec<(usize, Money)>,
    /// The sum of what comes back in money, booking fees included.
    pub refund: Money,
    /// By how much the balance goes down.
    pub balance_reduction: Money,
    /// Until before when it holds.
    pub valid_until: Timestamp,
}

impl House {
    /// What cancelling these seats of a booking would bring back; all that are left if none are named.
    ///
    /// # Errors
    /// When there is no such booking of this owner's, or a ticket is used or cancelled, or the policy forbids it.
    pub fn quote_cancellation(
        &self,
        key: HoldKey,
        owner: Owner,
        seats: &[SeatId],
        now: Timestamp,
    ) -> Result<CancellationOffer, Refusal> {
        let (hold, booking) = self.booking_by(key, By::Owner(owner))?;
        let lines = self.lines_of(booking, seats)?;
        self.check_unused(hold, booking, &lines)?;
        self.check_left(hold, booking, &lines, now)?;
        let latest = after(now, QUOTE_LIFE_S);
        let valid_until = match self.policy_end(booking, now) {
            Some(end) => end.min(latest),
            None => return Err(Refusal::NotCancellable),
        };
        self.offer(hold, booking, lines, valid_until, now)
    }

    /// Until when what holds at `now` goes on holding; `None` when nothing can be cancelled.
    pub(super) fn policy_end(&self, booking: &Booking, now: Timestamp) -> Option<Timestamp> {
        if self.is_off() {
            return Some(after(now, QUOTE_LIFE_S));
        }
        // Who has not paid may step back until the time to pay is over: nothing has to be given back.
        if !booking.balance_due().is_zero() {
            return booking.collect_by.filter(|by| now < *by);
        }
        booking.policy.holds_until(self.terms.starts_at, now)
    }

    fn offer(
        &self,
        hold: &Hold,
        booking: &Booking,
        lines: Vec<usize>,
        valid_until: Timestamp,
        now: Timestamp,
    ) -> Result<CancellationOffer, Refusal> {
        let zero = Money::zero(booking.total.currency());
        let due = booking.balance_due();
        let all = lines.len() == booking.lines.iter().filter(|l| !l.revoked).count();
        let mut offered = Vec::with_capacity(lines.len());
        for number in lines {
            let back = if due.is_zero() { self.refund_of(hold, booking, booking.lines[number], now)? } else { zero };
            offered.push((number, back));
        }
        let fees = match (all && due.is_zero(), self.is_off()) {
            (false, _) => zero,
            (true, false) => refundable_fees(hold),
            (true, true) => with_the_last(booking),
        };
        let table = &hold.prices.table;
        let most = if self.is_off() { booking.kept() } else { booking.refundable() };
        let refund = match due.is_zero() {
            true => sum(table, offered.iter().map(|(_, back)| *back).chain([fees])),
            // What had moved here and is not needed for what stays.
            false => booking.kept().minus(stays(hold, booking, &offered)).unwrap_or(zero).max(zero),
        };
        let refund = refund.min(most);
        let left = booking.kept().minus(refund).unwrap_or(zero);
        let due_then = stays(hold, booking, &offered).minus(left).unwrap_or(zero).max(zero);
        let balance_reduction = due.minus(due_then).unwrap_or(zero).max(zero);
        let id = quote_id(hold.key, booking, &offered, refund, valid_until);
        Ok(CancellationOffer { id, lines: offered, refund, balance_reduction, valid_until })
    }

    pub(super) fn refund_of(
        &self,
        hold: &Hold,
        booking: &Booking,
        line: Line,
        now: Timestamp,
    ) -> Result<Money, Refusal> {
        if self.is_off() {
            return Ok(line.price);
        }
        let zone = self.terms.plan.zone(line.place);
        let ticket_type = hold.ticket_type(line.ticket_type).id;
        let offer = zone.and_then(|zone| hold.prices.table.offer(ticket_type, zone));
        let kept = offer.into_iter().flat_map(|o| &o.fees).filter(|f| !f.refundable).map(|f| f.amount);
        let refundable = kept.fold(line.price, |left, fee| left.minus(fee).unwrap_or(left));
        let refund =
            booking.policy.refund(refundable, self.terms.starts_at, now).map_err(|_| Refusal::NotCancellable)?;
        refund.ok_or(Refusal::NotCancellable)
    }

    pub(super) fn cancel(&self, key: HoldKey, cancellation: &Cancellation, now: Timestamp) -> Result<Changes, Refusal> {
        let (hold, booking) = match cancellation {
            Cancellation::Quoted { owner, .. } => self.booking_by(key, By::Owner(*owner))?,
            Cancellation::Staff { .. } => self.booking_by(key, By::Staff)?,
        };
        let kept = booking.kept();
        // CANC-010: what was kept when it was cancelled is given back after all.
        if let Cancellation::Staff { seats, refund: true } = cancellation
            && seats.is_empty()
            && booking.is_cancelled()
            && !kept.is_zero()
        {
            return Ok(revoke(hold, booking, &[], kept));
        }
        let (lines, refund) = match cancellation {
            Cancellation::Quoted { quote, .. } => {
                let (lines, valid_until) = read_quote_id(*quote).ok_or(Refusal::QuoteChanged)?;
                if now >= valid_until || lines.iter().any(|n| booking.lines.get(*n).is_none_or(|l| l.revoked)) {
                    return Err(Refusal::QuoteChanged);
                }
                self.check_unused(hold, booking, &lines)?;
                self.check_left(hold, booking, &lines, now)?;
                if self.policy_end(booking, now).is_none() {
                    return Err(Refusal::NotCancellable);
                }
                let offer = self.offer(hold, booking, lines.clone(), valid_until, now)?;
                if offer.id != *quote {
                    return Err(Refusal::QuoteChanged);
                }
                (lines, offer.refund)
            }
            Cancellation::Staff { seats, refund } => {
                let lines = self.lines_of(booking, seats)?;
                self.check_left(hold, booking, &lines, now)?;
                let zero = Money::zero(booking.total.currency());
                if self.is_off() && !refund && !kept.is_zero() {
                    return Err(Refusal::RefundOwed);
                }
                let last = lines.len() == booking.lines.iter().filter(|l| !l.revoked).count();
                let fees = if last { with_the_last(booking) } else { zero };
                let prices = lines.iter().map(|n| booking.lines[*n].price).chain([fees]);
                let paid = sum(&hold.prices.table, prices).min(kept);
                (lines, if *refund { paid } else { zero })
            }
        };
        Ok(revoke(hold, booking, &lines, refund))
    }

    pub(super) fn booking_by(&self, key: HoldKey, by: By) -> Result<(&Hold, &Booking), Refusal> {
        let hold = self.hold_by(key, by)?;
        Ok((hold, hold.booking().ok_or(Refusal::NotFound)?))
    }

    pub(super) fn lines_of(&self, booking: &Booking, seats: &[SeatId]) -> Result<Vec<usize>, Refusal> {
        let standing = |place: Place| booking.lines.iter().position(|l| l.place == place && !l.revoked);
        if seats.is_empty() {
            let left: Vec<usize> = (0..booking.lines.len()).filter(|n| !booking.lines[*n].revoked).collect();
            return if left.is_empty() { Err(Refusal::AllCancelled) } else { Ok(left) };
        }
        let has =
            |seat: &SeatId| self.terms.plan.place(*seat).is_some_and(|p| booking.lines.iter().any(|l| l.place == p));
        let elsewhere: Vec<SeatId> = seats.iter().copied().filter(|seat| !has(seat)).collect();
        if !elsewhere.is_empty() {
            return Err(Refusal::NotInBooking(elsewhere));
        }
        let line =
            |seat: &SeatId| self.terms.plan.place(*seat).and_then(standing).ok_or(Refusal::TicketCancelled(*seat));
        let lines: BTreeSet<usize> = seats.iter().map(line).collect::<Result<_, _>>()?;
        Ok(lines.into_iter().collect())
    }

    /// CANC-008: what is left must be something that is sold. Nobody keeps a carer's free ticket, or the seat of a companion,
    /// by cancelling the ticket that it goes with.
    pub(super) fn check_left(
        &self,
        hold: &Hold,
        booking: &Booking,
        lines: &[usize],
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if self.is_off() {
            return Ok(());
        }
        let left = booking.lines.iter().enumerate().filter(|(n, l)| !l.revoked && !lines.contains(n));
        let left: Vec<(SeatId, TicketTypeId)> =
            left.map(|(_, l)| (self.terms.plan.seat_id(l.place), hold.ticket_type(l.ticket_type).id)).collect();
        let types: Vec<TicketTypeId> = left.iter().map(|(_, t)| *t).collect();
        if let Err(TicketRule::NeedsCompany { ticket_type, .. }) = hold.prices.table.check_types(&types) {
            let alone = left.iter().filter(|(_, t)| *t == ticket_type).map(|(seat, _)| *seat);
            return Err(Refusal::LeftAlone(alone.collect()));
        }
        let gone: Vec<SeatId> = lines.iter().map(|n| self.terms.plan.seat_id(booking.lines[*n].place)).collect();
        let kept: Vec<SeatId> = left.iter().map(|(seat, _)| *seat).collect();
        let alone = kept.iter().filter(|seat| {
            let spaces = self.spaces_of_companion(**seat, now);
            spaces.iter().any(|space| gone.contains(space)) && !spaces.iter().any(|space| kept.contains(space))
        });
        let mut alone: Vec<SeatId> = alone.copied().collect();
        // A companion may have been booked later, by the same buyer.
        let plan = &self.terms.plan;
        let own = |seat: &SeatId| {
            let claim = plan.place(*seat).and_then(|place| self.claim(place));
            matches!(claim, Some(Claim::Hold(key)) if self.holds.get(&key).is_some_and(|h| h.owner == hold.owner))
        };
        let companions = plan.layout().seats.iter().filter(|s| s.kind == SeatKind::Companion).map(|s| s.id);
        alone.extend(companions.filter(|seat| {
            let spaces = self.spaces_of_companion(*seat, now);
            let elsewhere = !gone.contains(seat) && !kept.contains(seat) && own(seat);
            elsewhere && spaces.iter().any(|s| gone.contains(s)) && !spaces.iter().any(|s| !gone.contains(s) && own(s))
        }));
        if alone.is_empty() { Ok(()) } else { Err(Refusal::LeftAlone(alone)) }
    }

    /// P10: a used ticket gives nothing back without staff.
    pub(super) fn check_unused(&self, hold: &Hold, booking: &Booking, lines: &[usize]) -> Result<(), Refusal> {
        let used = |n: &&usize| self.ticket_state(hold.key, booking, **n) == TicketState::Used;
        match lines.iter().find(used).and_then(|n| booking.lines.get(*n)) {
            Some(line) => Err(Refusal::TicketUsed(self.terms.plan.seat_id(line.place))),
            None => Ok(()),
        }
    }
}

/// What was paid for a booking and for no ticket of it: its fees, and what an exchange brought too much. It goes with the last ticket.
pub(super) fn with_the_last(booking: &Booking) -> Money {
    let zero = Money::zero(booking.total.currency());
    // What could come back of it came back when it was exchanged.
    let came_back = booking.exchanged.as_ref().map_or(zero, |e| e.refundable_in);
    let over = booking.paid.minus(booking.total).and_then(|over| over.minus(came_back)).unwrap_or(zero).max(zero);
    booking.booking_fees.plus(over).unwrap_or(booking.booking_fees)
}

/// What is left of a booking's price when these lines are gone; nothing, and no fees, when all are.
pub(super) fn stays(hold: &Hold, booking: &Booking, gone: &[(usize, Money)]) -> Money {
    let zero = Money::zero(booking.total.currency());
    let goes = sum(&hold.prices.table, gone.iter().map(|(line, _)| booking.lines[*line].price));
    let left = booking.standing().minus(goes).unwrap_or(zero);
    if gone.len() == booking.lines.iter().filter(|l| !l.revoked).count() { zero } else { left }
}

/// Revokes tickets and frees their seats, in one (S5, P9).
pub(super) fn revoke(hold: &Hold, booking: &Booking, lines: &[usize], refund: Money) -> Changes {
    let mut after = booking.clone();
    let mut freed = Vec::with_capacity(lines.len());
    for &number in lines {
        let line = &mut after.lines[number];
        line.revoked = true;
        line.generation = line.generation.saturating_add(1);
        freed.push((line.place, Claim::Hold(hold.key)));
    }
    after.refunded = after.refunded.plus(refund).unwrap_or(after.refunded);
    Changes { freed, moved: vec![(hold.key, HoldState::Converted(after))], ..Changes::default() }
}

/// Nobody paid in time: the seats go back on sale.
pub(super) fn lapse_unpaid(hold: &Hold, booking: &Booking, is_off: bool, changes: &mut Changes) {
    let standing: Vec<usize> = (0..booking.lines.len()).filter(|n| !booking.lines[*n].revoked).collect();
    // What had come from another booking comes back, as far as it would have come back there; all of it, where the cinema called off.
    let back = if is_off { booking.kept() } else { booking.refundable() };
    let revoked = revoke(hold, booking, &standing, back);
    changes.freed.extend(revoked.freed);
    changes.moved.extend(revoked.moved);
}

pub(super) fn refundable_fees(hold: &Hold) -> Money {
    let table = &hold.prices.table;
    sum(table, table.booking_fees.iter().filter(|f| f.refundable).map(|f| f.amount))
}

/// `{valid until, ms, hex}.{one bit for each line, hex}.{digest}`: at most 11 + 1 + 25 + 1 + 22 characters.
fn quote_id(key: HoldKey, booking: &Booking, lines: &[(usize, Money)], refund: Money, until: Timestamp) -> QuoteId {
    let bits = lines.iter().fold(0_u128, |bits, (n, _)| bits | 1 << n.min(&127));
    let until = until.as_millisecond();
    let mut parts = vec![b"admit-quote".to_vec(), key.0.to_be_bytes().to_vec(), until.to_be_bytes().to_vec()];
    for (number, back) in lines {
        parts.push(booking.lines[*number].generation.to_be_bytes().to_vec());
        parts.push(back.amount().to_be_bytes().to_vec());
    }
    parts.push(bits.to_be_bytes().to_vec());
    parts.push(refund.amount().to_be_bytes().to_vec());
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    let digest = u64::from_be_bytes(sha256(&parts)[..8].try_into().expect("8 of 32 bytes"));
    QuoteId::parse(&format!("{until:x}.{bits:x}.{digest:016x}")).expect("at most 61 characters of an id")
}

pub(super) fn read_quote_id(id: QuoteId) -> Option<(Vec<usize>, Timestamp)> {
    let mut parts = id.as_str().split('.');
    let until = i64::from_str_radix(parts.next()?, 16).ok()?;
    let bits = u128::from_str_radix(parts.next()?, 16).ok()?;
    let lines = (0..128).filter(|n| bits >> n & 1 == 1).collect();
    Some((lines, Timestamp::from_millisecond(until).ok()?))
}

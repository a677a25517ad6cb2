//! Exchanging tickets for seats that are held, at this screening or at another one: quote first, then by the quote's name.
//!
//! The new seats are held before, and the old tickets stand until the exchange is made, in one change: at no instant has the buyer
//! neither or both.

use admit_protocol::capability::PaymentMethod;
use admit_protocol::digest::sha256;
use admit_protocol::hold::Quote;
use admit_protocol::id::{QuoteId, ScreeningId, SeatId, TicketTypeId};
use admit_protocol::money::Money;
use admit_protocol::seats::SalesState;
use admit_protocol::time::after;
use jiff::Timestamp;

use super::cancel::{QUOTE_LIFE_S, read_quote_id, refundable_fees, revoke, stays, with_the_last};
use super::hold::still_choosing;
use crate::changes::Changes;
use crate::command::{By, Choice};
use crate::hold::{Booking, Exchanged, Hold, HoldKey, HoldState, Link, Owner};
use crate::house::House;
use crate::price::sum;
use crate::refusal::Refusal;

/// What somebody gives for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeWish {
    /// Whose tickets are given.
    pub booking: HoldKey,
    /// Who asks: the booking and the hold are theirs.
    pub owner: Owner,
    /// Which tickets; none named: all that are left.
    pub seats: Vec<SeatId>,
    /// The screening of the hold.
    pub screening: ScreeningId,
    /// The seats that are taken.
    pub hold: HoldKey,
    /// A ticket type for every held seat.
    pub tickets: Vec<(SeatId, TicketTypeId)>,
}

/// What an exchange would come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeOffer {
    /// Its name.
    pub id: QuoteId,
    /// Each line that is given, by number, and what it is worth.
    pub given: Vec<(usize, Money)>,
    /// What moves to the new booking: never more than was paid.
    pub moves: Money,
    /// What of that would have come back in money.
    pub refundable: Money,
    /// What the new tickets cost.
    pub taken: Quote,
    /// What is left to pay.
    pub balance_due: Money,
    /// What comes back.
    pub refund: Money,
    /// Until before when it holds.
    pub valid_until: Timestamp,
}

impl House {
    /// What an exchange would come to, for seats of `other`: this house again, where they are of the same screening.
    ///
    /// # Errors
    /// When the booking or the hold is not this owner's, a ticket is used or cancelled, or the policy forbids it; when the hold has
    /// ended, the tickets do not fit it, or what is left to pay cannot be paid.
    pub fn quote_exchange(&self, other: &Self, wish: &ExchangeWish, now: Timestamp) -> Result<ExchangeOffer, Refusal> {
        self.offer_exchange(other, wish, None, now)
    }

    /// What an exchange changes: here, where tickets are given, and in `other`, where seats are taken. Both are to be saved, or neither.
    ///
    /// # Errors
    /// As [`House::quote_exchange`], and when what it comes to is not what the quote says.
    pub fn exchange_to(
        &self,
        other: &Self,
        wish: &ExchangeWish,
        quote: QuoteId,
        seed: [u8; 16],
        now: Timestamp,
    ) -> Result<(Changes, Changes), Refusal> {
        let (_, until) = read_quote_id(quote).ok_or(Refusal::QuoteChanged)?;
        if now >= until {
            return Err(Refusal::QuoteChanged);
        }
        let offer = self.offer_exchange(other, wish, Some(until), now)?;
        if offer.id != quote {
            return Err(Refusal::QuoteChanged);
        }
        let (old, given) = self.booking_by(wish.booking, By::Owner(wish.owner))?;
        let hold = other.hold_by(wish.hold, By::Owner(wish.owner))?;
        let link = |house: &Self, booking| Link { screening: house.terms.screening, booking };
        let method = if offer.taken.total.is_zero() { PaymentMethod::None } else { PaymentMethod::AtCinema };
        let total = offer.taken.total;
        let choice =
            Choice { tickets: wish.tickets.clone(), total, method, buyer: given.buyer.as_deref().cloned(), seed };
        let mut new = other.booking(other.order(hold, &choice)?, false, now);
        (new.paid, new.refunded) = (offer.moves, offer.refund);
        let nothing = Exchanged::none(total.currency());
        let replaces = Some(link(self, old.key));
        let refundable_in = offer.refundable;
        new.exchanged = Some(Box::new(Exchanged { moved_in: offer.moves, refundable_in, replaces, ..nothing.clone() }));
        let lines: Vec<usize> = offer.given.iter().map(|(line, _)| *line).collect();
        let mut here = revoke(old, given, &lines, Money::zero(total.currency()));
        if let Some((_, HoldState::Converted(after))) = here.moved.first_mut() {
            let exchanged = after.exchanged.get_or_insert_with(|| Box::new(nothing));
            exchanged.moved_out = exchanged.moved_out.plus(offer.moves).map_err(|_| Refusal::NotCancellable)?;
            let refundable = exchanged.refundable_out.plus(offer.refundable);
            exchanged.refundable_out = refundable.map_err(|_| Refusal::NotCancellable)?;
            let replaced = lines.iter().filter_map(|line| u16::try_from(*line).ok());
            exchanged.replaced_by.extend(replaced.map(|line| (line, link(other, hold.key))));
        }
        let there = Changes { moved: vec![(hold.key, HoldState::Converted(new))], ..Changes::default() };
        Ok((here, there))
    }

    /// As [`House::exchange_to`], for seats of this very screening.
    pub(super) fn exchange_here(
        &self,
        wish: &ExchangeWish,
        quote: QuoteId,
        seed: [u8; 16],
        now: Timestamp,
    ) -> Result<Changes, Refusal> {
        let (mut changes, there) = self.exchange_to(self, wish, quote, seed, now)?;
        changes.moved.extend(there.moved);
        Ok(changes)
    }

    fn offer_exchange(
        &self,
        other: &Self,
        wish: &ExchangeWish,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<ExchangeOffer, Refusal> {
        let (old, booking) = self.booking_by(wish.booking, By::Owner(wish.owner))?;
        let lines = self.lines_of(booking, &wish.seats)?;
        self.check_unused(old, booking, &lines)?;
        self.check_left(old, booking, &lines, now)?;
        let Worth { given, moves, refundable, until: policy_end } = self.worth(old, booking, lines, now)?;
        let hold = other.hold_by(wish.hold, By::Owner(wish.owner))?;
        let held_until = still_choosing(hold, now)?;
        if other.is_off() {
            return Err(Refusal::NotOnSale(SalesState::Cancelled));
        }
        let taken = other.quote_for(hold, &wish.tickets)?;
        let zero = Money::zero(taken.total.currency());
        let left = taken.total.minus(moves).map_err(|_| Refusal::OtherCurrency)?;
        // What is too much comes back as far as it would have come back without an exchange.
        let (balance_due, refund) = (left.max(zero), zero.minus(left).unwrap_or(zero).max(zero).min(refundable));
        let at_cinema = other.terms.payment_methods.contains(&PaymentMethod::AtCinema);
        let payable = at_cinema && now < other.collect_until(now);
        if !balance_due.is_zero() && !payable {
            return Err(Refusal::PaymentMethod(PaymentMethod::AtCinema));
        }
        let latest = policy_end.min(held_until).min(after(now, QUOTE_LIFE_S));
        // Who confirms names the end that was quoted; one that was never given out has another digest.
        let valid_until = until.unwrap_or(latest);
        let id = exchange_quote_id(wish, booking, &given, [moves, refundable, taken.total, refund], valid_until);
        Ok(ExchangeOffer { id, given, moves, refundable, taken, balance_due, refund, valid_until })
    }

    /// What each of these lines is worth, what of it moves, and until when that holds.
    fn worth(&self, hold: &Hold, booking: &Booking, lines: Vec<usize>, now: Timestamp) -> Result<Worth, Refusal> {
        let (table, zero) = (&hold.prices.table, Money::zero(booking.total.currency()));
        let all = lines.len() == booking.lines.iter().filter(|l| !l.revoked).count();
        if booking.kept().is_zero() && !booking.balance_due().is_zero() {
            // Nothing was paid for it: there is nothing to move, and nothing to lose.
            let until = self.policy_end(booking, now).ok_or(Refusal::NotCancellable)?;
            let given = lines.into_iter().map(|line| (line, zero)).collect();
            return Ok(Worth { given, moves: zero, refundable: zero, until });
        }
        let (off, is_due) = (self.is_off(), !booking.balance_due().is_zero());
        let whole =
            if off { Some(after(now, QUOTE_LIFE_S)) } else { booking.policy.exchange_until(self.terms.starts_at, now) };
        let fee = booking.policy.exchange.and_then(|rule| rule.fee_per_ticket).filter(|_| !off);
        let back = |line: usize| self.refund_of(hold, booking, booking.lines[line], now);
        let worth = |line: usize| -> Result<(usize, Money), Refusal> {
            let price = booking.lines[line].price;
            match whole {
                Some(_) => {
                    let less = fee.map_or(Ok(price), |fee| price.minus(fee));
                    Ok((line, less.map_err(|_| Refusal::NotCancellable)?.max(zero)))
                }
                // Until it must be paid, all of what is not needed comes back.
                None if is_due => Ok((line, price)),
                None => Ok((line, back(line)?)),
            }
        };
        let given = lines.iter().copied().map(worth).collect::<Result<Vec<_>, _>>()?;
        let fees = match (all, whole) {
            (false, _) => zero,
            (true, None) if !is_due => refundable_fees(hold),
            (true, _) => with_the_last(booking),
        };
        // Of what is not paid to the end, what the tickets that stay need stays.
        let free = match is_due {
            true => booking.kept().minus(stays(hold, booking, &given)).unwrap_or(zero).max(zero),
            false => booking.kept(),
        };
        let moves = match (is_due, whole) {
            // What is not paid yet pays no fee: it is taken from what was.
            (true, Some(_)) => {
                let prices = sum(table, lines.iter().map(|line| booking.lines[*line].price).chain([fees]));
                let worths = sum(table, given.iter().map(|(_, worth)| *worth).chain([fees]));
                let kept = prices.minus(worths).unwrap_or(zero);
                prices.min(free).minus(kept).unwrap_or(zero).max(zero)
            }
            _ => sum(table, given.iter().map(|(_, worth)| *worth).chain([fees])).min(free),
        };
        let moves = if is_due && whole.is_none() { moves.min(booking.refundable()) } else { moves };
        // What a cancellation would bring now: only so much of it ever comes back in money.
        let cash_fees = if all { refundable_fees(hold) } else { zero };
        let cash = match is_due {
            true => free,
            false => sum(table, lines.iter().map(|line| back(*line).unwrap_or(zero)).chain([cash_fees])),
        };
        let refundable = if off { moves } else { cash.min(booking.refundable()).min(moves) };
        // What a part of it rests on may end before the rest.
        let cancellable = self.policy_end(booking, now);
        let until = match whole {
            Some(whole) if is_due || !refundable.is_zero() => cancellable.map_or(whole, |end| end.min(whole)),
            Some(whole) => whole,
            None => cancellable.ok_or(Refusal::NotCancellable)?,
        };
        Ok(Worth { given, moves, refundable, until })
    }
}

/// What tickets are worth that are given.
struct Worth {
    /// Each line, by number.
    given: Vec<(usize, Money)>,
    /// What moves, of what was paid.
    moves: Money,
    /// What of that would have come back in money.
    refundable: Money,
    /// Until when that holds.
    until: Timestamp,
}

/// As that of a cancellation: until when, which lines, and a digest over everything that it comes to.
fn exchange_quote_id(
    wish: &ExchangeWish,
    booking: &Booking,
    given: &[(usize, Money)],
    amounts: [Money; 4],
    until: Timestamp,
) -> QuoteId {
    let bits = given.iter().fold(0_u128, |bits, (line, _)| bits | 1 << line.min(&127));
    let until = until.as_millisecond();
    let mut parts = vec![b"admit-exchange".to_vec(), wish.booking.0.to_be_bytes().to_vec()];
    parts.extend([wish.hold.0.to_be_bytes().to_vec(), until.to_be_bytes().to_vec(), bits.to_be_bytes().to_vec()]);
    for (line, worth) in given {
        parts.push(booking.lines[*line].generation.to_be_bytes().to_vec());
        parts.push(worth.amount().to_be_bytes().to_vec());
    }
    for (seat, ticket_type) in &wish.tickets {
        // Ids have no NUL in them.
        parts.push(format!("{seat}\0{ticket_type}\0").into_bytes());
    }
    parts.extend(amounts.map(|money| money.amount().to_be_bytes().to_vec()));
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    let digest = u64::from_be_bytes(sha256(&parts)[..8].try_into().expect("8 of 32 bytes"));
    QuoteId::parse(&format!("{until:x}.{bits:x}.{digest:016x}")).expect("at most 61 characters of an id")
}

//! Tickets for other seats, and for another screening (`spec/v1/exchange.md`).

use std::sync::Arc;

use admit_booking::{Changes, Command, ExchangeOffer, ExchangeWish, HoldKey, HoldState, Link, Place, Refusal, Terms};
use admit_protocol::booking::TicketState;
use admit_protocol::door::Verdict;
use admit_protocol::id::TicketTypeId;
use admit_protocol::policy::{CancellationPolicy, ExchangeRule};
use admit_protocol::screening::ScreeningStatus;
use admit_protocol::seats::SalesState;
use admit_protocol::time::after;

use crate::door::{entry, scan, ticket};
use crate::stage::{Stage, eur, owner, seat};

/// Noon; the film is at eight in the evening, and tickets are worth their price until five.
fn exchanging(change: impl FnOnce(&mut Terms)) -> Stage {
    Stage::with(|terms| {
        let rule = ExchangeRule { until_before_start_s: 3 * 3600, fee_per_ticket: None };
        let policy = CancellationPolicy { exchange: Some(rule), ..(*terms.cancellation).clone() };
        terms.cancellation = Arc::new(policy);
        change(terms);
    })
}

/// The same hall on another day, in a house of its own.
fn tomorrow(change: impl FnOnce(&mut Terms)) -> Stage {
    exchanging(|terms| {
        terms.screening = "tomorrow".parse().expect("id");
        terms.starts_at = after(terms.starts_at, 86_400);
        terms.ends_at = after(terms.ends_at, 86_400);
        terms.collect_by = after(terms.collect_by, 86_400);
        terms.sales.closes_at = after(terms.sales.closes_at, 86_400);
        change(terms);
    })
}

fn wish(s: &Stage, booking: HoldKey, give: &[&str], hold: HoldKey, take: &[(&str, &str)]) -> ExchangeWish {
    ExchangeWish {
        booking,
        owner: owner("anna"),
        seats: give.iter().map(|s| seat(s)).collect(),
        screening: s.house.terms().screening,
        hold,
        tickets: take.iter().map(|(s, t)| (seat(s), TicketTypeId::parse(t).expect(t))).collect(),
    }
}

fn paid(s: &mut Stage, booking: HoldKey) {
    let due = s.get(booking).booking().expect("booked").balance_due();
    s.run(&Command::Settle { booking, amount: due }).expect("settles");
}

/// Two nights, and a paid booking for the first one.
fn paid_tonight(seats: &[&str]) -> (Stage, Stage, HoldKey) {
    let (mut s, mut t) = (exchanging(|_| ()), tomorrow(|_| ()));
    let old = s.booked("anna", seats);
    paid(&mut s, old);
    t.wait(1);
    (s, t, old)
}

fn call_off(s: &mut Stage) {
    let mut off = (**s.house.terms()).clone();
    off.status = ScreeningStatus::Cancelled;
    s.run(&Command::Amend(Arc::new(off))).expect("amends");
}

/// Quotes, and exchanges by the quote, between two houses.
fn exchange(
    from: &mut Stage,
    to: &mut Stage,
    wish: &ExchangeWish,
) -> Result<(ExchangeOffer, Changes, Changes), Refusal> {
    let offer = from.house.quote_exchange(&to.house, wish, from.now)?;
    let (here, there) = from.house.exchange_to(&to.house, wish, offer.id, [9; 16], from.now)?;
    from.apply(here.clone());
    to.apply(there.clone());
    Ok((offer, here, there))
}

fn here(s: &mut Stage, wish: &ExchangeWish) -> Result<ExchangeOffer, Refusal> {
    let offer = s.house.quote_exchange(&s.house, wish, s.now)?;
    s.run(&Command::Exchange { wish: wish.clone(), quote: offer.id, seed: [9; 16] })?;
    Ok(offer)
}

#[test]
fn a_seat_is_swapped_for_another_in_one_change_exch_003() {
    let mut s = exchanging(|_| ());
    let old = s.booked("anna", &["A1", "A2"]);
    paid(&mut s, old);
    let new = s.hold("anna", &["A4"]).expect("free");
    let swap = wish(&s, old, &["A2"], new, &[("A4", "adult")]);
    let before = s.house.version();
    let offer = here(&mut s, &swap).expect("allowed");
    assert_eq!((offer.moves, offer.taken.total, offer.balance_due), (eur(1000), eur(1050), eur(50)));
    assert_eq!(s.house.version(), before + 1, "one change");
    let (given, taken) = (s.get(old).booking().expect("stands"), s.get(new).booking().expect("booked"));
    assert_eq!((given.moved_out(), given.kept(), given.balance_due()), (eur(1000), eur(1050), eur(0)));
    assert_eq!((taken.paid, taken.moved_in(), taken.balance_due()), (eur(1000), eur(1000), eur(50)));
    let screening = s.house.terms().screening;
    let (given, taken) = (given.exchanged.as_ref().expect("gave"), taken.exchanged.as_ref().expect("took"));
    assert_eq!(taken.replaces, Some(Link { screening, booking: old }));
    assert_eq!(given.replaced_by, [(1, Link { screening, booking: new })]);
    let ticket = |booking: HoldKey, line| s.house.ticket_state(booking, s.get(booking).booking().expect("one"), line);
    assert_eq!(
        [ticket(old, 0), ticket(old, 1), ticket(new, 0)],
        [TicketState::Valid, TicketState::Revoked, TicketState::Valid]
    );
    assert!(s.house.claim(Place(1)).is_none() && s.house.claim(Place(3)).is_some(), "A2 is free, A4 is not");
    // The same again is no quote any more.
    let again = s.run(&Command::Exchange { wish: swap, quote: offer.id, seed: [9; 16] });
    assert!(matches!(again, Err(Refusal::TicketCancelled(_))), "{again:?}");
}

#[test]
fn what_was_paid_moves_to_another_screening_exch_004() {
    let (mut s, mut t, old) = paid_tonight(&["A1", "A2"]);
    let new = t.hold("anna", &["A3", "A4"]).expect("free");
    let both = wish(&t, old, &[], new, &[("A3", "adult"), ("A4", "child")]);
    let (offer, ..) = exchange(&mut s, &mut t, &both).expect("allowed");
    // All of it is given, so what was paid once for all moves, too; a child is cheaper.
    assert_eq!((offer.moves, offer.taken.total, offer.refund), (eur(2050), eur(1750), eur(300)));
    let (given, taken) = (s.get(old).booking().expect("was"), t.get(new).booking().expect("booked"));
    assert!(given.is_cancelled() && given.kept().is_zero());
    assert_eq!((given.refunded, given.refund_due()), (eur(0), eur(0)), "it went on, and does not come back");
    assert_eq!((taken.paid, taken.refund_due(), taken.balance_due()), (eur(2050), eur(300), eur(0)));
    assert_eq!(s.house.claims().count(), 0, "the old seats are free");
}

#[test]
fn what_is_left_to_pay_is_paid_or_everything_comes_back() {
    let (mut s, mut t) = (exchanging(|_| ()), tomorrow(|_| ()));
    let old = s.hold("anna", &["A1"]).expect("free");
    s.book("anna", old, crate::stage::choice(&[("A1", "child")], 750)).expect("books");
    paid(&mut s, old);
    t.wait(1);
    let new = t.hold("anna", &["A3"]).expect("free");
    let dearer = wish(&t, old, &[], new, &[("A3", "adult")]);
    let (offer, ..) = exchange(&mut s, &mut t, &dearer).expect("allowed");
    assert_eq!((offer.moves, offer.balance_due), (eur(750), eur(300)));
    let mut other = exchanging(|_| ());
    other.house = t.house.clone();
    // Paid at the counter: the difference alone, once.
    let wrong = t.run(&Command::Settle { booking: new, amount: eur(1050) });
    assert_eq!(wrong.map(drop), Err(Refusal::WrongBalance { due: eur(300) }));
    t.run(&Command::Settle { booking: new, amount: eur(300) }).expect("settles");
    assert!(t.run(&Command::Settle { booking: new, amount: eur(300) }).expect("done already").is_empty());
    assert_eq!(t.get(new).booking().expect("booked").paid, eur(1050));
    // Or not paid: the seats go, and what had moved comes back.
    other.now = t.house.terms().collect_by;
    let lapsed = other.house.advance(other.now);
    other.apply(lapsed);
    let lost = other.get(new).booking().expect("was");
    assert!(lost.is_cancelled());
    assert_eq!(lost.refund_due(), eur(700), "all but the fee of the booking, which never comes back");
}

#[test]
fn what_moved_and_is_not_needed_comes_back_when_a_part_is_cancelled() {
    let (mut s, mut t, old) = paid_tonight(&["A1"]);
    let new = t.hold("anna", &["A3", "A4"]).expect("free");
    let two = wish(&t, old, &[], new, &[("A3", "adult"), ("A4", "adult")]);
    let (offer, ..) = exchange(&mut s, &mut t, &two).expect("allowed");
    assert_eq!((offer.moves, offer.balance_due), (eur(1050), eur(1000)));
    let cancel = |t: &mut Stage, seats: &[&str]| {
        let seats: Vec<_> = seats.iter().map(|s| seat(s)).collect();
        let offer = t.house.quote_cancellation(new, owner("anna"), &seats, t.now).expect("may");
        let cancellation = admit_booking::Cancellation::Quoted { owner: owner("anna"), quote: offer.id };
        t.run(&Command::Cancel { booking: new, cancellation }).expect("cancels");
        (offer.refund, offer.balance_reduction)
    };
    assert_eq!(cancel(&mut t, &["A4"]), (eur(0), eur(1000)), "one is paid by what moved");
    assert_eq!(t.get(new).booking().expect("stands").balance_due(), eur(0));
    assert_eq!(cancel(&mut t, &[]), (eur(1000), eur(0)));
    let (mut s, mut t, old) = paid_tonight(&["A1"]);
    let new = t.hold("anna", &["A3", "A4"]).expect("free");
    let two = wish(&t, old, &[], new, &[("A3", "adult"), ("A4", "adult")]);
    exchange(&mut s, &mut t, &two).expect("allowed");
    let all = t.house.quote_cancellation(new, owner("anna"), &[], t.now).expect("may");
    assert_eq!((all.refund, all.balance_reduction), (eur(1000), eur(1000)), "nobody keeps it");
}

#[test]
fn no_way_round_by_an_exchange_brings_back_what_a_cancellation_would_not_exch_006() {
    let (mut s, mut t) = (exchanging(|_| ()), tomorrow(|_| ()));
    let old = s.booked("anna", &["A1", "A2"]);
    paid(&mut s, old);
    // At half past two half of it comes back; the tickets are worth their price in an exchange until five.
    s.now = after(s.now, 9000);
    t.now = s.now;
    let new = t.hold("anna", &["A3"]).expect("free");
    let give = wish(&t, old, &[], new, &[("A3", "child")]);
    let (offer, ..) = exchange(&mut s, &mut t, &give).expect("allowed");
    assert_eq!((offer.moves, offer.refundable, offer.taken.total), (eur(2050), eur(1000), eur(750)));
    assert_eq!(offer.refund, eur(1000), "not the 1,300 that are too much");
    // And tomorrow's film, which is a day off, gives nothing more.
    let back = t.house.quote_cancellation(new, owner("anna"), &[], t.now).expect("may");
    assert_eq!(back.refund, eur(0));
    // Unless it is the cinema that calls off.
    call_off(&mut t);
    let off = t.house.quote_cancellation(new, owner("anna"), &[], t.now).expect("may");
    assert_eq!(off.refund, eur(1050));
}

#[test]
fn what_moved_comes_back_whole_when_the_cinema_calls_off_before_the_rest_is_paid() {
    let (mut s, mut t, old) = paid_tonight(&["A1"]);
    let new = t.hold("anna", &["A3", "A4"]).expect("free");
    let two = wish(&t, old, &[], new, &[("A3", "adult"), ("A4", "adult")]);
    exchange(&mut s, &mut t, &two).expect("allowed");
    call_off(&mut t);
    t.now = t.house.terms().collect_by;
    let lapsed = t.house.advance(t.now);
    t.apply(lapsed);
    assert_eq!(t.get(new).booking().expect("was").refund_due(), eur(1050), "the fee of the booking, too");
}

#[test]
fn a_quote_holds_no_longer_than_what_a_part_of_it_rests_on() {
    let (mut s, mut t) = (exchanging(|_| ()), tomorrow(|_| ()));
    let old = s.booked("anna", &["A1", "A2"]);
    paid(&mut s, old);
    // A minute before two in the afternoon: from then on only half comes back.
    s.now = after(s.now, 2 * 3600 - 60);
    t.now = s.now;
    let new = t.hold("anna", &["A3"]).expect("free");
    let give = wish(&t, old, &[], new, &[("A3", "child")]);
    let offer = s.house.quote_exchange(&t.house, &give, s.now).expect("allowed");
    assert_eq!((offer.refund, offer.valid_until), (eur(1300), after(s.now, 60)));
    let confirm = |at| s.house.exchange_to(&t.house, &give, offer.id, [9; 16], at).map(drop);
    assert_eq!(confirm(after(s.now, 59)), Ok(()));
    assert_eq!(confirm(after(s.now, 60)), Err(Refusal::QuoteChanged));
}

#[test]
fn what_an_exchange_brought_too_much_moves_on_with_the_last_ticket_exch_004() {
    let no_cash = |terms: &mut Terms| {
        let rule = ExchangeRule { until_before_start_s: 3600, fee_per_ticket: None };
        let policy = CancellationPolicy { exchange: Some(rule), ..CancellationPolicy::default() };
        terms.cancellation = Arc::new(policy);
    };
    let (mut s, mut t) = (Stage::with(no_cash), tomorrow(no_cash));
    let old = s.booked("anna", &["A1"]);
    paid(&mut s, old);
    t.wait(1);
    let cheap = t.hold("anna", &["A3"]).expect("free");
    let down = wish(&t, old, &[], cheap, &[("A3", "child")]);
    let (offer, ..) = exchange(&mut s, &mut t, &down).expect("allowed");
    assert_eq!((offer.moves, offer.refund, offer.refundable), (eur(1050), eur(0), eur(0)));
    s.now = after(s.now, 1);
    let dear = s.hold("anna", &["A2"]).expect("free");
    let up = wish(&s, cheap, &[], dear, &[("A2", "adult")]);
    let (offer, ..) = exchange(&mut t, &mut s, &up).expect("allowed");
    assert_eq!((offer.moves, offer.balance_due), (eur(1050), eur(0)), "it was paid, and is not lost");
}

#[test]
fn a_booking_that_is_not_paid_to_the_end_is_worth_what_cancelling_it_brings() {
    // The new screening has no rule.
    let (mut s, mut t) = (
        exchanging(|_| ()),
        tomorrow(|terms| {
            let tier = CancellationPolicy { exchange: None, ..(*terms.cancellation).clone() };
            terms.cancellation = Arc::new(tier);
        }),
    );
    let old = s.booked("anna", &["A1"]);
    paid(&mut s, old);
    t.wait(1);
    let new = t.hold("anna", &["A3", "A4"]).expect("free");
    let both = wish(&t, old, &[], new, &[("A3", "adult"), ("A4", "adult")]);
    exchange(&mut s, &mut t, &both).expect("allowed");
    // An hour before that one begins: nothing of what was paid to the end would come back.
    t.now = after(t.house.terms().starts_at, -3600);
    s.now = t.now;
    let cancelling = t.house.quote_cancellation(new, owner("anna"), &[], t.now).expect("may").refund;
    let next = t.hold("anna", &["A1"]).expect("free");
    let swap = wish(&t, new, &[], next, &[("A1", "adult")]);
    let offer = t.house.quote_exchange(&t.house, &swap, t.now).expect("allowed");
    assert_eq!((cancelling, offer.moves, offer.refundable), (eur(1000), eur(1000), eur(1000)));
}

#[test]
fn each_exchange_takes_its_fee_also_of_what_is_not_paid_to_the_end_exch_004() {
    let mut s = exchanging(|terms| {
        let rule = ExchangeRule { until_before_start_s: 3 * 3600, fee_per_ticket: Some(eur(50)) };
        let policy = CancellationPolicy { exchange: Some(rule), ..(*terms.cancellation).clone() };
        terms.cancellation = Arc::new(policy);
    });
    let mut has = s.booked("anna", &["A1"]);
    paid(&mut s, has);
    for (n, (to, kept)) in [("A2", 1000), ("A3", 950), ("A4", 900)].into_iter().enumerate() {
        let next = s.hold("anna", &[to]).expect("free");
        let swap = wish(&s, has, &[], next, &[(to, "adult")]);
        let offer = s.house.quote_exchange(&s.house, &swap, s.now).expect("allowed");
        assert_eq!((offer.moves, offer.balance_due), (eur(kept), eur(1050 - kept)), "exchange {n}");
        s.run(&Command::Exchange { wish: swap, quote: offer.id, seed: [7; 16] }).expect("exchanges");
        has = next;
    }
}

#[test]
fn what_came_back_when_it_was_exchanged_comes_back_once() {
    let (mut s, mut t, old) = paid_tonight(&["A1", "A2", "A3"]);
    let new = t.hold("anna", &["A3", "A4"]).expect("free");
    let cheaper = wish(&t, old, &[], new, &[("A3", "child"), ("A4", "child")]);
    let (offer, ..) = exchange(&mut s, &mut t, &cheaper).expect("allowed");
    assert_eq!((offer.refund, offer.taken.total), (eur(1600), eur(1450)));
    // Half of one ticket comes back, then the other one is called off.
    t.now = after(t.house.terms().starts_at, -4 * 3600);
    let half = t.house.quote_cancellation(new, owner("anna"), &[seat("A4")], t.now).expect("may");
    let cancellation = admit_booking::Cancellation::Quoted { owner: owner("anna"), quote: half.id };
    t.run(&Command::Cancel { booking: new, cancellation }).expect("cancels");
    assert_eq!(half.refund, eur(350));
    call_off(&mut t);
    let last = t.house.quote_cancellation(new, owner("anna"), &[], t.now).expect("may");
    assert_eq!(last.refund, eur(750), "the ticket and the fee of the booking, and no more");
}

#[test]
fn what_is_not_paid_is_worth_nothing_and_owes_nothing_any_more() {
    let (mut s, mut t) = (exchanging(|_| ()), tomorrow(|_| ()));
    let old = s.booked("anna", &["A1", "A2"]);
    t.wait(1);
    let new = t.hold("anna", &["A3"]).expect("free");
    let one = wish(&t, old, &["A2"], new, &[("A3", "adult")]);
    let (offer, ..) = exchange(&mut s, &mut t, &one).expect("allowed");
    assert_eq!((offer.moves, offer.balance_due), (eur(0), eur(1050)));
    assert_eq!(s.get(old).booking().expect("stands").balance_due(), eur(1050));
}

#[test]
fn without_a_rule_a_ticket_is_worth_what_a_cancellation_brings_exch_004() {
    let (mut s, mut t) = (Stage::new(), tomorrow(|_| ()));
    let old = s.booked("anna", &["A1", "A2"]);
    paid(&mut s, old);
    // Half of it comes back from two in the afternoon on, and nothing from six.
    s.now = after(s.now, 5 * 3600);
    t.now = s.now;
    let new = t.hold("anna", &["A3"]).expect("free");
    let take = [("A3", "adult")];
    let half = s.house.quote_exchange(&t.house, &wish(&t, old, &["A2"], new, &take), s.now).expect("allowed");
    assert_eq!(half.moves, eur(500));
    s.now = after(s.now, 3600);
    t.now = s.now;
    let late = t.hold("anna", &["A4"]).expect("free");
    let quote = s.house.quote_exchange(&t.house, &wish(&t, old, &["A2"], late, &[("A4", "adult")]), s.now);
    assert_eq!(quote, Err(Refusal::NotCancellable));
}

#[test]
fn a_fee_is_kept_for_each_ticket_and_what_is_off_costs_none() {
    let rule = ExchangeRule { until_before_start_s: 3600, fee_per_ticket: Some(eur(150)) };
    let with_fee = |terms: &mut Terms| {
        terms.cancellation = Arc::new(CancellationPolicy { exchange: Some(rule), ..CancellationPolicy::default() });
    };
    let (mut s, mut t) = (Stage::with(with_fee), tomorrow(|_| ()));
    let old = s.booked("anna", &["A1", "A2"]);
    paid(&mut s, old);
    t.wait(1);
    let new = t.hold("anna", &["A3", "A4"]).expect("free");
    let both = wish(&t, old, &[], new, &[("A3", "adult"), ("A4", "adult")]);
    let quote = |s: &Stage| s.house.quote_exchange(&t.house, &both, s.now).expect("allowed").moves;
    assert_eq!(quote(&s), eur(1750));
    call_off(&mut s);
    assert_eq!(quote(&s), eur(2050), "nobody pays for what the cinema called off");
}

#[test]
fn nobody_exchanges_what_is_not_theirs_or_not_there() {
    let (s, mut t, old) = paid_tonight(&["A1", "A2"]);
    let (new, bens) = (t.hold("anna", &["A3"]).expect("free"), t.hold("ben", &["A1"]).expect("free"));
    let take = [("A3", "adult")];
    let good = wish(&t, old, &["A2"], new, &take);
    let refused =
        |s: &Stage, t: &Stage, wish: &ExchangeWish| s.house.quote_exchange(&t.house, wish, s.now).expect_err("no");
    assert_eq!(refused(&s, &t, &wish(&t, old, &["A2"], bens, &[("A1", "adult")])), Refusal::NotFound);
    assert_eq!(refused(&s, &t, &ExchangeWish { owner: owner("ben"), ..good.clone() }), Refusal::NotFound);
    assert!(matches!(refused(&s, &t, &wish(&t, old, &["A4"], new, &take)), Refusal::NotInBooking(_)));
    assert!(matches!(refused(&s, &t, &wish(&t, old, &["A2"], new, &[])), Refusal::TicketsDoNotMatch { .. }));
    let offer = s.house.quote_exchange(&t.house, &good, s.now).expect("allowed");
    let other = wish(&t, old, &["A1"], new, &take);
    let changed = s.house.exchange_to(&t.house, &other, offer.id, [1; 16], s.now);
    assert_eq!(changed.map(drop), Err(Refusal::QuoteChanged), "a quote is for what it was asked for");
    let late = s.house.exchange_to(&t.house, &good, offer.id, [1; 16], offer.valid_until);
    assert_eq!(late.map(drop), Err(Refusal::QuoteChanged));
    t.wait(600);
    let lapsed = t.house.advance(t.now);
    t.apply(lapsed);
    assert_eq!(refused(&s, &t, &good), Refusal::HoldEnded);
    assert!(matches!(s.get(old).state, HoldState::Converted(_)), "the old tickets stand");
}

#[test]
fn a_booking_gives_its_tickets_one_after_another_and_each_knows_for_what() {
    let (mut s, mut t, old) = paid_tonight(&["A1", "A2"]);
    let first = t.hold("anna", &["A3"]).expect("free");
    let second = t.hold("anna", &["A4"]).expect("free");
    let give = |t: &Stage, seat: &str, hold, take: &str| wish(t, old, &[seat], hold, &[(take, "adult")]);
    let one = give(&t, "A1", first, "A3");
    exchange(&mut s, &mut t, &one).expect("allowed");
    let other = give(&t, "A2", second, "A4");
    exchange(&mut s, &mut t, &other).expect("allowed");
    let given = s.get(old).booking().expect("was");
    // Both tickets, and with the last one what was paid once for all.
    assert_eq!((given.moved_out(), given.kept()), (eur(2050), eur(0)));
    let replaced: Vec<_> =
        given.exchanged.iter().flat_map(|e| &e.replaced_by).map(|(n, to)| (*n, to.booking)).collect();
    assert_eq!(replaced, [(0, first), (1, second)]);
}

#[test]
fn a_used_ticket_is_not_given_and_nobody_goes_where_nothing_takes_place_exch_007() {
    let (mut s, mut t) = (exchanging(|_| ()), tomorrow(|_| ()));
    let old = s.booked("anna", &["A1", "A2"]);
    paid(&mut s, old);
    s.wait(4 * 3600);
    t.now = s.now;
    let new = t.hold("anna", &["A3"]).expect("free");
    let good = wish(&t, old, &["A2"], new, &[("A3", "adult")]);
    assert!(s.house.quote_exchange(&t.house, &good, s.now).is_ok());
    let code = ticket(&s, old, 1);
    let scanned = entry("s1", Some(code), &s);
    assert_eq!(scan(&mut s, "door-1", vec![scanned]), [Verdict::Green]);
    assert_eq!(s.house.quote_exchange(&t.house, &good, s.now), Err(Refusal::TicketUsed(seat("A2"))));
    let other = ExchangeWish { seats: vec![seat("A1")], ..good };
    call_off(&mut t);
    let nowhere = s.house.quote_exchange(&t.house, &other, s.now);
    assert_eq!(nowhere, Err(Refusal::NotOnSale(SalesState::Cancelled)));
}

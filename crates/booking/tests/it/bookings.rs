use admit_booking::{Cancellation, Choice, Command, HoldKey, Refusal, Terms};
use admit_protocol::booking::TicketState;
use admit_protocol::capability::PaymentMethod;
use admit_protocol::id::QuoteId;
use admit_protocol::price::TicketRule;
use admit_protocol::screening::ScreeningStatus;

use crate::stage::{Stage, choice, eur, owner, seat};

fn cancel(s: &mut Stage, booking: HoldKey, quote: QuoteId) -> Result<admit_booking::Changes, Refusal> {
    s.run(&Command::Cancel { booking, cancellation: Cancellation::Quoted { owner: owner("anna"), quote } })
}

#[test]
fn the_total_is_the_one_the_buyer_saw_or_nothing_happens() {
    let mut s = Stage::new();
    let hold = s.hold("anna", &["A1", "A2"]).expect("free");
    let tickets = [("A1", "adult"), ("A2", "child")];
    let Err(Refusal::PriceChanged(quote)) = s.book("anna", hold, choice(&tickets, 1700)) else {
        panic!("17.00 is not 17.50");
    };
    assert_eq!((quote.total, quote.booking_fees), (eur(1750), eur(50)));
    s.book("anna", hold, choice(&tickets, 1750)).expect("the hold stays");
    let booking = s.get(hold).booking().expect("booked");
    assert_eq!((booking.total, booking.balance_due()), (eur(1750), eur(1750)));
}

#[test]
fn there_is_one_ticket_for_each_held_seat() {
    let mut s = Stage::new();
    let hold = s.hold("anna", &["A1", "A2"]).expect("free");
    let refused = s.book("anna", hold, choice(&[("A1", "adult"), ("A3", "adult")], 2050));
    let expected = Refusal::TicketsDoNotMatch { missing: vec![seat("A2")], extra: vec![seat("A3")] };
    assert_eq!(refused.err(), Some(expected));
    let twice = choice(&[("A1", "adult"), ("A2", "adult"), ("A1", "child")], 2050);
    let expected = Refusal::TicketsDoNotMatch { missing: vec![], extra: vec![seat("A1")] };
    assert_eq!(s.book("anna", hold, twice).err(), Some(expected));
}

#[test]
fn a_carer_needs_somebody_who_pays() {
    let mut s = Stage::new();
    let hold = s.hold("anna", &["B1", "B2"]).expect("free");
    let alone = s.book("anna", hold, choice(&[("B1", "carer"), ("B2", "carer")], 50));
    assert!(matches!(alone, Err(Refusal::TicketRule { rule: TicketRule::NeedsCompany { .. }, .. })));
    s.book("anna", hold, choice(&[("B1", "adult"), ("B2", "carer")], 1050)).expect("with an adult");
}

#[test]
fn it_is_paid_as_the_cinema_offers() {
    let mut s = Stage::new();
    let hold = s.hold("anna", &["A1"]).expect("free");
    for method in [PaymentMethod::None, PaymentMethod::Unknown] {
        let refused = s.book("anna", hold, Choice { method, ..choice(&[("A1", "adult")], 1050) });
        assert_eq!(refused.err(), Some(Refusal::PaymentMethod(method)));
    }
    let mut s = Stage::with(|t| t.payment_methods = vec![PaymentMethod::None]);
    let hold = s.hold("anna", &["A1"]).expect("free");
    let refused = s.book("anna", hold, choice(&[("A1", "adult")], 1050));
    assert_eq!(refused.err(), Some(Refusal::PaymentMethod(PaymentMethod::AtCinema)));
}

#[test]
fn who_comes_in_the_last_minutes_pays_before_the_start_book_005() {
    let mut s = Stage::new();
    s.wait(7 * 3600 + 1800);
    let hold = s.hold("anna", &["A1"]).expect("still on sale");
    s.book("anna", hold, choice(&[("A1", "adult")], 1050)).expect("there is half an hour left");
    s.wait(1799);
    let booking = s.house.advance(s.now);
    assert!(booking.is_empty(), "until the start");
    s.wait(1);
    let lapsed = s.house.advance(s.now);
    s.apply(lapsed);
    assert!(s.is_free("A1"));
    let mut late = Stage::with(|t| t.sales.closes_at = admit_protocol::time::after(t.starts_at, 600));
    late.wait(8 * 3600);
    let hold = late.hold("anna", &["A1"]).expect("sold to latecomers");
    late.book("anna", hold, choice(&[("A1", "adult")], 1050)).expect("who comes late pays at once");
    late.wait(600);
    let lapsed = late.house.advance(late.now);
    late.apply(lapsed);
    assert!(late.is_free("A1"), "or not at all");
    // Ten seconds before the time to pay, nobody is given ten seconds.
    let mut soon = Stage::new();
    soon.wait(7 * 3600 + 1800 - 10);
    soon.booked("anna", &["A1"]);
    soon.wait(1700);
    assert!(soon.house.advance(soon.now).is_empty());
}

#[test]
fn a_hold_is_booked_once() {
    let mut s = Stage::new();
    let hold = s.booked("anna", &["A1"]);
    assert_eq!(s.book("anna", hold, choice(&[("A1", "adult")], 1050)).err(), Some(Refusal::HoldConverted));
    assert_eq!(s.release("anna", hold).err(), Some(Refusal::HoldConverted));
    assert_eq!(s.extend("anna", hold, 300).err(), Some(Refusal::HoldConverted));
}

#[test]
fn a_booked_seat_stays_booked_whatever_time_it_is() {
    let mut s = Stage::new();
    let booking = s.booked("anna", &["A1"]);
    s.run(&Command::Settle { booking, amount: eur(1050) }).expect("paid");
    s.wait(24 * 3600);
    let lapsed = s.house.advance(s.now);
    assert!(lapsed.is_empty());
    assert!(!s.is_free("A1"));
}

#[test]
fn seats_that_nobody_paid_for_go_back_on_sale_in_time() {
    let mut s = Stage::new();
    let unpaid = s.booked("anna", &["A1"]);
    let paid = s.booked("ben", &["A2"]);
    s.run(&Command::Settle { booking: paid, amount: eur(1050) }).expect("paid");
    s.wait(7 * 3600 + 1799);
    assert!(s.house.advance(s.now).is_empty());
    s.wait(1);
    s.hold("carla", &["A1"]).expect("free at collect_by");
    assert!(s.get(unpaid).booking().expect("still there").is_cancelled());
    assert!(!s.is_free("A2"));
}

#[test]
fn a_settlement_takes_exactly_the_balance_and_once() {
    let mut s = Stage::new();
    let booking = s.booked("anna", &["A1"]);
    let wrong = s.run(&Command::Settle { booking, amount: eur(1000) });
    assert_eq!(wrong.err(), Some(Refusal::WrongBalance { due: eur(1050) }));
    s.run(&Command::Settle { booking, amount: eur(1050) }).expect("the balance");
    assert!(s.run(&Command::Settle { booking, amount: eur(1050) }).expect("again").is_empty());
    assert_eq!(s.get(booking).booking().expect("booked").balance_due(), eur(0));
}

#[test]
fn a_cancelled_ticket_frees_its_seat_and_gives_back_what_the_policy_says() {
    let mut s = Stage::new();
    let booking = s.booked("anna", &["A1", "A2"]);
    s.run(&Command::Settle { booking, amount: eur(2050) }).expect("paid");
    let quote = s.house.quote_cancellation(booking, owner("anna"), &[seat("A1")], s.now).expect("8 h before");
    assert_eq!((quote.refund, quote.balance_reduction), (eur(1000), eur(0)));
    cancel(&mut s, booking, quote.id).expect("as quoted");
    assert!(s.is_free("A1") && !s.is_free("A2"));
    let state = |n| s.house.ticket_state(booking, s.get(booking).booking().expect("booked"), n);
    assert_eq!((state(0), state(1)), (TicketState::Revoked, TicketState::Valid));
    assert_eq!(s.get(booking).booking().expect("booked").refunded, eur(1000));
}

#[test]
fn what_comes_back_is_handed_over_once() {
    let mut s = Stage::new();
    let booking = s.booked("anna", &["A1", "A2"]);
    s.run(&Command::Settle { booking, amount: eur(2050) }).expect("paid");
    let due = |s: &Stage| s.get(booking).booking().expect("booked").refund_due();
    let refund = |s: &mut Stage, amount| s.run(&Command::Refund { booking, amount: eur(amount) }).err();
    assert_eq!(refund(&mut s, 1000), Some(Refusal::WrongRefund { due: eur(0) }));
    for (n, name) in ["A1", "A2"].into_iter().enumerate() {
        let quote = s.house.quote_cancellation(booking, owner("anna"), &[seat(name)], s.now).expect("in time");
        cancel(&mut s, booking, quote.id).expect("as quoted");
        assert_eq!(due(&s), eur(1000), "ticket {n}");
        assert_eq!(refund(&mut s, 999), Some(Refusal::WrongRefund { due: eur(1000) }));
        assert_eq!(refund(&mut s, 1000), None);
        assert_eq!((due(&s), refund(&mut s, 1000)), (eur(0), Some(Refusal::WrongRefund { due: eur(0) })));
    }
}

#[test]
fn what_comes_back_goes_down_towards_the_start() {
    let mut s = Stage::new();
    let booking = s.booked("anna", &["A1"]);
    s.run(&Command::Settle { booking, amount: eur(1050) }).expect("paid");
    let quote = |s: &Stage| s.house.quote_cancellation(booking, owner("anna"), &[], s.now);
    s.wait(2 * 3600 - 1);
    assert_eq!(quote(&s).map(|q| q.refund), Ok(eur(1000)));
    s.wait(1);
    assert_eq!(quote(&s).map(|q| q.refund), Ok(eur(500)));
    s.wait(4 * 3600);
    assert_eq!(quote(&s).err(), Some(Refusal::NotCancellable));
}

#[test]
fn nobody_keeps_what_is_not_sold_alone_canc_008() {
    let mut s = Stage::new();
    // B1 is a wheelchair space, B2 its companion's seat; a carer's ticket is free and comes with an adult's.
    let hold = s.hold("anna", &["A1", "B1", "B2"]).expect("free");
    let tickets = [("A1", "carer"), ("B1", "adult"), ("B2", "adult")];
    s.book("anna", hold, choice(&tickets, 2050)).expect("booked");
    let quote = |s: &Stage, seats: &[&str]| {
        let seats: Vec<_> = seats.iter().map(|x| seat(x)).collect();
        s.house.quote_cancellation(hold, owner("anna"), &seats, s.now)
    };
    assert_eq!(quote(&s, &["B1"]).err(), Some(Refusal::LeftAlone(vec![seat("B2")])));
    assert_eq!(quote(&s, &["B1", "B2"]).err(), Some(Refusal::LeftAlone(vec![seat("A1")])));
    quote(&s, &["A1", "B1", "B2"]).expect("all of it");
    quote(&s, &["A1"]).expect("the carer stays at home");
    // A quote is decided again when it is confirmed: one for B2 does not carry A1 and B1 with it.
    let b2 = quote(&s, &["B2"]).expect("the companion stays at home");
    cancel(&mut s, hold, b2.id).expect("as quoted");
    assert_eq!(quote(&s, &["B1"]).err(), Some(Refusal::LeftAlone(vec![seat("A1")])));
    let mut staff = |seats: &[&str]| {
        let seats = seats.iter().map(|x| seat(x)).collect();
        s.run(&Command::Cancel { booking: hold, cancellation: Cancellation::Staff { seats, refund: false } })
    };
    assert_eq!(staff(&["B1"]).err(), Some(Refusal::LeftAlone(vec![seat("A1")])), "at the counter, too");
    staff(&["A1", "B1"]).expect("both");
}

#[test]
fn a_companion_that_came_later_stays_with_its_space() {
    let mut s = Stage::new();
    let space = s.booked("anna", &["B1"]);
    let companion = s.booked("anna", &["B2"]);
    let quote = |s: &Stage, booking| s.house.quote_cancellation(booking, owner("anna"), &[], s.now);
    assert_eq!(quote(&s, space).err(), Some(Refusal::LeftAlone(vec![seat("B2")])));
    let first = quote(&s, companion).expect("the companion stays at home");
    cancel(&mut s, companion, first.id).expect("as quoted");
    quote(&s, space).expect("now it can go");
}

#[test]
fn what_does_not_take_place_is_paid_back_whole_canc_007() {
    use admit_protocol::screening::ScreeningStatus::{Cancelled, Moved, OnSale, Postponed};
    for (status, back) in [(OnSale, None), (Cancelled, Some(2050)), (Postponed, Some(2050)), (Moved, Some(2050))] {
        let mut s = Stage::new();
        let booking = s.booked("anna", &["A1", "A2"]);
        s.run(&Command::Settle { booking, amount: eur(2050) }).expect("paid");
        let terms = Terms { status, ..(**s.house.terms()).clone() };
        s.run(&Command::Amend(std::sync::Arc::new(terms))).expect("amended");
        // Long after the policy's last tier.
        s.wait(7 * 3600 + 1800);
        let quote = s.house.quote_cancellation(booking, owner("anna"), &[], s.now).ok();
        assert_eq!(quote.as_ref().map(|q| q.refund), back.map(eur), "{status}");
        if let Some(quote) = quote {
            let one = s.house.quote_cancellation(booking, owner("anna"), &[seat("A1")], s.now).expect("quoted");
            assert_eq!(one.refund, eur(1000));
            cancel(&mut s, booking, quote.id).expect("as quoted");
            assert_eq!(s.get(booking).booking().expect("booked").refunded, eur(2050));
        }
    }
}

#[test]
fn a_quote_holds_until_it_says_and_no_longer() {
    let mut s = Stage::new();
    let booking = s.booked("anna", &["A1"]);
    s.run(&Command::Settle { booking, amount: eur(1050) }).expect("paid");
    let early = s.house.quote_cancellation(booking, owner("anna"), &[], s.now).expect("quoted");
    s.wait(600);
    assert_eq!(cancel(&mut s, booking, early.id).err(), Some(Refusal::QuoteChanged));
    s.wait(2 * 3600 - 600 - 10);
    let last = s.house.quote_cancellation(booking, owner("anna"), &[], s.now).expect("quoted");
    s.wait(10);
    assert_eq!(cancel(&mut s, booking, last.id).err(), Some(Refusal::QuoteChanged));
    assert!(!s.is_free("A1"));
}

#[test]
fn a_quote_that_somebody_made_up_brings_nothing() {
    let mut s = Stage::new();
    let booking = s.booked("anna", &["A1"]);
    s.run(&Command::Settle { booking, amount: eur(1050) }).expect("paid");
    let good = s.house.quote_cancellation(booking, owner("anna"), &[], s.now).expect("quoted");
    let far = format!("7fffffffffff.{}", good.id.as_str().split_once('.').expect("parts").1);
    for bad in [far.as_str(), "x", "1.1.1", "19a.ffffffffffffffffffffffffffffffff.0", "-1.1.1"] {
        let refused = cancel(&mut s, booking, QuoteId::parse(bad).expect("an id"));
        assert_eq!(refused.err(), Some(Refusal::QuoteChanged), "{bad}");
    }
    cancel(&mut s, booking, good.id).expect("the real one");
    assert_eq!(cancel(&mut s, booking, good.id).err(), Some(Refusal::QuoteChanged));
}

#[test]
fn who_has_not_paid_steps_back_for_nothing() {
    let mut s = Stage::new();
    let booking = s.booked("anna", &["A1", "A2"]);
    let quote = s.house.quote_cancellation(booking, owner("anna"), &[seat("A2")], s.now).expect("unpaid");
    assert_eq!((quote.refund, quote.balance_reduction), (eur(0), eur(1000)));
    cancel(&mut s, booking, quote.id).expect("as quoted");
    assert_eq!(s.get(booking).booking().expect("booked").balance_due(), eur(1050));
    let rest = s.house.quote_cancellation(booking, owner("anna"), &[], s.now).expect("unpaid");
    assert_eq!(rest.balance_reduction, eur(1050));
    cancel(&mut s, booking, rest.id).expect("as quoted");
    assert_eq!(s.get(booking).booking().expect("booked").balance_due(), eur(0));
}

#[test]
fn only_the_owner_cancels_and_only_tickets_that_stand() {
    let mut s = Stage::new();
    let booking = s.booked("anna", &["A1"]);
    let quote = |who: &str, seats: &[&str]| {
        let seats: Vec<_> = seats.iter().map(|x| seat(x)).collect();
        s.house.quote_cancellation(booking, owner(who), &seats, s.now).err()
    };
    assert_eq!(quote("ben", &[]), Some(Refusal::NotFound));
    assert_eq!(quote("anna", &["A2"]), Some(Refusal::NotInBooking(vec![seat("A2")])));
    assert_eq!(quote("anna", &["Z1"]), Some(Refusal::NotInBooking(vec![seat("Z1")])));
}

#[test]
fn staff_cancels_whenever_it_must() {
    let mut s = Stage::new();
    let booking = s.booked("anna", &["A1"]);
    s.run(&Command::Settle { booking, amount: eur(1050) }).expect("paid");
    s.wait(7 * 3600);
    let cancellation = Cancellation::Staff { seats: vec![], refund: true };
    s.run(&Command::Cancel { booking, cancellation }).expect("staff");
    assert!(s.is_free("A1"));
    assert_eq!(s.get(booking).booking().expect("booked").refunded, eur(1050));
}

#[test]
fn what_was_kept_by_mistake_is_given_back_after_all_canc_010() {
    let mut s = Stage::new();
    let booking = s.booked("anna", &["A1", "A2"]);
    s.run(&Command::Settle { booking, amount: eur(2050) }).expect("paid");
    let cancel = |s: &mut Stage, seats: &[&str], refund| {
        let seats = seats.iter().map(|x| seat(x)).collect();
        s.run(&Command::Cancel { booking, cancellation: Cancellation::Staff { seats, refund } }).err()
    };
    assert_eq!(cancel(&mut s, &["A1"], true), None);
    assert_eq!(cancel(&mut s, &[], false), None, "the rest is kept");
    let booked = s.get(booking).booking().expect("booked");
    assert_eq!((booked.refunded, booked.booking_fees, booked.balance_due()), (eur(1000), eur(50), eur(0)));
    assert_eq!(cancel(&mut s, &[], false), Some(Refusal::AllCancelled));
    assert_eq!(cancel(&mut s, &["A1"], true), Some(Refusal::TicketCancelled(seat("A1"))));
    s.hold("ben", &["A1"]).expect("free");
    assert_eq!(cancel(&mut s, &[], true), None);
    assert_eq!(s.get(booking).booking().expect("booked").refund_due(), eur(2050));
    assert!(!s.is_free("A1"), "nobody's seat is freed by it");
    assert_eq!(cancel(&mut s, &[], true), Some(Refusal::AllCancelled), "once");
}

#[test]
fn staff_gives_everything_back_for_what_does_not_take_place_canc_007() {
    let mut s = Stage::new();
    let booking = s.booked("anna", &["A1", "A2"]);
    s.run(&Command::Settle { booking, amount: eur(2050) }).expect("paid");
    let unpaid = s.booked("ben", &["A3"]);
    let terms = Terms { status: ScreeningStatus::Cancelled, ..(**s.house.terms()).clone() };
    s.run(&Command::Amend(terms.into())).expect("cancelled");
    let cancel = |s: &mut Stage, booking, seats: &[&str], refund| {
        let seats = seats.iter().map(|x| seat(x)).collect();
        s.run(&Command::Cancel { booking, cancellation: Cancellation::Staff { seats, refund } }).err()
    };
    assert_eq!(cancel(&mut s, booking, &["A1"], false), Some(Refusal::RefundOwed));
    assert_eq!(cancel(&mut s, booking, &["A1"], true), None);
    assert_eq!(cancel(&mut s, booking, &[], true), None);
    assert_eq!(s.get(booking).booking().expect("booked").refund_due(), eur(2050));
    assert_eq!(cancel(&mut s, unpaid, &[], false), None, "nothing was paid");
}

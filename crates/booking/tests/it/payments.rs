use admit_booking::{Command, HoldKey, HoldState, Refusal};
use admit_protocol::time::after;

use crate::stage::{Stage, choice, owner};

/// A hold of A1 with a payment session of half an hour.
fn paying(s: &mut Stage) -> HoldKey {
    let hold = s.hold("anna", &["A1"]).expect("free");
    let choice = choice(&[("A1", "adult")], 1050);
    let until = after(s.now, 1800);
    s.run(&Command::BeginPayment { hold, owner: owner("anna"), choice, until }).expect("begins");
    hold
}

fn end(s: &mut Stage, hold: HoldKey, paid: bool) -> admit_booking::Changes {
    s.run(&Command::EndPayment { hold, paid }).expect("never refused")
}

#[test]
fn money_that_came_makes_a_booking_however_often_it_is_said() {
    let mut s = Stage::new();
    let hold = paying(&mut s);
    assert!(!end(&mut s, hold, true).is_empty());
    for paid in [true, false, true] {
        assert!(end(&mut s, hold, paid).is_empty());
    }
    assert!(s.get(hold).booking().expect("booked").balance_due().is_zero());
}

#[test]
fn the_holds_own_timer_never_gives_the_seats_of_an_open_payment_away() {
    let mut s = Stage::new();
    let hold = paying(&mut s);
    s.wait(1799);
    assert!(s.hold("ben", &["A1"]).is_err());
    s.wait(1);
    assert!(s.hold("ben", &["A1"]).is_err(), "closing keeps the seats until the end is known");
    assert!(matches!(s.get(hold).state, HoldState::Closing { .. }));
    end(&mut s, hold, true);
    assert!(s.get(hold).booking().is_some());
}

#[test]
fn a_payment_that_failed_frees_the_seats() {
    let mut s = Stage::new();
    let hold = paying(&mut s);
    end(&mut s, hold, false);
    assert!(s.is_free("A1"));
}

#[test]
fn a_payment_whose_end_stays_unknown_does_not_hold_for_ever() {
    let mut s = Stage::new();
    let hold = paying(&mut s);
    s.wait(1800);
    let step = s.house.advance(s.now);
    s.apply(step);
    s.wait(300);
    s.hold("ben", &["A1"]).expect("free after the grace");
    assert!(matches!(s.get(hold).state, HoldState::Expired { order: Some(_), .. }));
}

#[test]
fn a_house_that_slept_past_both_deadlines_frees_at_once() {
    let mut s = Stage::new();
    paying(&mut s);
    s.wait(24 * 3600);
    let step = s.house.advance(s.now);
    s.apply(step);
    assert!(s.is_free("A1"));
}

#[test]
fn late_money_gets_the_same_seats_if_all_are_free() {
    let mut s = Stage::new();
    let hold = paying(&mut s);
    end(&mut s, hold, false);
    end(&mut s, hold, true);
    assert!(s.get(hold).booking().is_some());
    assert!(!s.is_free("A1"));
}

#[test]
fn late_money_for_seats_that_are_gone_goes_back() {
    let mut s = Stage::new();
    let hold = paying(&mut s);
    end(&mut s, hold, false);
    let other = s.hold("ben", &["A1"]).expect("free");
    end(&mut s, hold, true);
    assert!(matches!(s.get(hold).state, HoldState::RefundDue { .. }));
    assert!(matches!(s.get(other).state, HoldState::Active { .. }));
    assert!(end(&mut s, hold, true).is_empty(), "it goes back once");
}

#[test]
fn giving_back_a_hold_in_payment_waits_for_the_payment() {
    let mut s = Stage::new();
    let hold = paying(&mut s);
    s.release("anna", hold).expect("own");
    assert!(!s.is_free("A1"));
    let choice = choice(&[("A1", "adult")], 1050);
    let until = after(s.now, 1800);
    let again = s.run(&Command::BeginPayment { hold, owner: owner("anna"), choice, until });
    assert_eq!(again.err(), Some(Refusal::HoldPaying), "H3");
    end(&mut s, hold, false);
    assert!(s.is_free("A1"));
}

#[test]
fn a_payment_session_ends_within_the_life_of_its_hold() {
    let mut s = Stage::new();
    let hold = s.hold("anna", &["A1"]).expect("free");
    let created = s.now;
    let choice = choice(&[("A1", "adult")], 1050);
    let until = after(s.now, 24 * 3600);
    s.run(&Command::BeginPayment { hold, owner: owner("anna"), choice, until }).expect("begins");
    assert_eq!(s.get(hold).state.deadline(), Some(after(created, 45 * 60)));
}

#[test]
fn there_is_no_payment_for_a_hold_that_nobody_pays() {
    let mut s = Stage::new();
    let hold = s.hold("anna", &["A1"]).expect("free");
    let refused = s.run(&Command::EndPayment { hold, paid: true });
    assert_eq!(refused.err(), Some(Refusal::NotFound));
}

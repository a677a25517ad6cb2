use admit_booking::{BlockReason, Command, Refusal};
use admit_protocol::problem::ConflictReason;
use admit_protocol::time::after;
use jiff::Timestamp;

use crate::stage::{Stage, seat};

fn block(s: &mut Stage, seats: &[&str], until: Option<Timestamp>) -> Result<admit_booking::Changes, Refusal> {
    let seats = seats.iter().map(|x| seat(x)).collect();
    s.run(&Command::Block { seats, reason: BlockReason::House, until })
}

#[test]
fn blocked_seats_are_not_sold_until_they_are_put_back() {
    let mut s = Stage::new();
    block(&mut s, &["A1", "A2"], None).expect("free");
    let Err(Refusal::SeatsTaken(conflicts)) = s.hold("anna", &["A1"]) else { panic!("blocked") };
    assert_eq!(conflicts[0].reason, ConflictReason::Blocked);
    assert!(block(&mut s, &["A1"], None).expect("again").is_empty());
    s.run(&Command::Unblock { seats: vec![seat("A1"), seat("A3")] }).expect("back");
    s.hold("anna", &["A1"]).expect("free");
}

#[test]
fn a_seat_that_somebody_has_is_not_blocked_and_the_others_stay() {
    let mut s = Stage::new();
    s.hold("anna", &["A2"]).expect("free");
    assert!(matches!(block(&mut s, &["A1", "A2"], None), Err(Refusal::SeatsTaken(c)) if c.len() == 1));
    assert!(s.is_free("A1"));
    let refused = s.run(&Command::Unblock { seats: vec![seat("A2")] });
    assert!(matches!(refused, Err(Refusal::SeatsTaken(_))));
}

#[test]
fn a_timed_block_ends_by_itself() {
    let mut s = Stage::new();
    let until = after(s.now, 60);
    block(&mut s, &["A1"], Some(until)).expect("free");
    assert_eq!(s.house.next_deadline(), Some(until));
    s.wait(59);
    assert!(s.hold("anna", &["A1"]).is_err());
    s.wait(1);
    s.hold("anna", &["A1"]).expect("back on sale");
}

#[test]
fn a_block_can_be_made_longer() {
    let mut s = Stage::new();
    let until = after(s.now, 60);
    block(&mut s, &["A1"], Some(until)).expect("free");
    block(&mut s, &["A1"], None).expect("for good");
    s.wait(61);
    assert!(s.hold("anna", &["A1"]).is_err());
    assert_eq!(s.house.next_deadline(), None);
}

#[test]
fn unknown_seats_are_named() {
    let mut s = Stage::new();
    assert_eq!(block(&mut s, &["Z1"], None).err(), Some(Refusal::UnknownSeats(vec![seat("Z1")])));
    assert_eq!(block(&mut s, &[], None).err(), Some(Refusal::NoSeats));
}

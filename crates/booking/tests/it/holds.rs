use admit_booking::{Command, HoldState, Network, Refusal};
use admit_protocol::hold::Best;
use admit_protocol::id::TicketTypeId;
use admit_protocol::price::TicketRule;
use admit_protocol::problem::{ConflictReason, SeatConflict};
use admit_protocol::screening::{OrphanRule, ScreeningStatus, SeatRules};
use admit_protocol::seats::SalesState;
use admit_protocol::time::after;

use crate::stage::{Stage, choice, eur, owner, seat};

fn taken(list: &[(&str, ConflictReason)]) -> Refusal {
    Refusal::SeatsTaken(list.iter().map(|(s, reason)| SeatConflict { seat: seat(s), reason: *reason }).collect())
}

#[test]
fn a_hold_is_all_or_nothing_and_names_every_seat_in_the_way() {
    let mut s = Stage::new();
    s.hold("anna", &["A1", "A2"]).expect("free");
    let refused = s.hold("ben", &["A1", "A2", "A3"]);
    assert_eq!(refused, Err(taken(&[("A1", ConflictReason::Held), ("A2", ConflictReason::Held)])));
    assert!(s.is_free("A3"));
}

#[test]
fn from_its_deadline_on_it_is_as_if_the_hold_had_never_been() {
    let mut s = Stage::new();
    let hold = s.hold("anna", &["A1"]).expect("free");
    s.wait(299);
    assert_eq!(s.hold("ben", &["A1"]), Err(taken(&[("A1", ConflictReason::Held)])));
    s.wait(1);
    s.hold("ben", &["A1"]).expect("free at the very deadline");
    assert_eq!(s.book("anna", hold, choice(&[("A1", "adult")], 1050)).err(), Some(Refusal::HoldEnded));
}

#[test]
fn a_lapsed_hold_decides_nothing_even_if_nobody_advanced_the_house() {
    let mut s = Stage::new();
    let hold = s.hold("anna", &["A1"]).expect("free");
    s.wait(300);
    let book = Command::Book { hold, owner: owner("anna"), choice: choice(&[("A1", "adult")], 1050) };
    assert_eq!(s.house.decide(&book, s.now).err(), Some(Refusal::HoldEnded));
}

#[test]
fn unknown_and_doubled_seats_are_named() {
    let mut s = Stage::new();
    assert_eq!(s.hold("anna", &["A1", "Z9"]), Err(Refusal::UnknownSeats(vec![seat("Z9")])));
    assert_eq!(s.hold("anna", &["A1", "A1"]), Err(Refusal::NamedTwice(vec![seat("A1")])));
    assert_eq!(s.hold("anna", &[]), Err(Refusal::NoSeats));
}

#[test]
fn a_hold_has_a_largest_size() {
    let mut s = Stage::with(|t| t.hold_policy.seats_max = 2);
    assert_eq!(s.hold("anna", &["A1", "A2", "A3"]), Err(Refusal::TooManySeats { max: 2 }));
    assert_eq!(s.hold_area("anna", "floor", u32::MAX), Err(Refusal::TooManySeats { max: 2 }));
}

#[test]
fn a_buyer_has_two_holds_at_most_until_one_ends() {
    let mut s = Stage::new();
    s.hold("anna", &["A1"]).expect("first");
    let second = s.hold("anna", &["A2"]).expect("second");
    assert_eq!(s.hold("anna", &["A3"]), Err(Refusal::TooManyHolds { max: 2 }));
    s.release("anna", second).expect("own");
    s.hold("anna", &["A3"]).expect("one ended");
    s.wait(300);
    s.hold("anna", &["A4"]).expect("all lapsed");
}

#[test]
fn one_network_cannot_hold_the_whole_hall() {
    let mut s = Stage::with(|t| {
        t.unpaid_percent_per_network = 30;
        t.hold_policy.seats_max = 4;
    });
    let mut wish = s.wish("anna", &["A1", "A2", "A3"]);
    wish.network = Some(Network(1));
    s.run(&Command::PlaceHold(wish)).expect("3 of 18 places");
    let mut wish = s.wish("ben", &["B3", "B4", "A4"]);
    wish.network = Some(Network(1));
    assert_eq!(s.run(&Command::PlaceHold(wish.clone())).err(), Some(Refusal::NetworkHoldsTooMuch { max: 5 }));
    wish.network = Some(Network(2));
    s.run(&Command::PlaceHold(wish)).expect("another network");
}

#[test]
fn the_server_chooses_among_what_is_left_choose_001() {
    let mut s = Stage::new();
    let best = |s: &mut Stage, who: &str, best: Best| {
        let mut wish = s.wish(who, &[]);
        wish.best = Some(best);
        let key = wish.hold;
        s.run(&Command::PlaceHold(wish)).map(|_| {
            let places = s.get(key).places.iter().map(|held| s.house.terms().plan.seat_id(held.place).to_string());
            places.collect::<Vec<_>>().join(" ")
        })
    };
    let of = |count| Best { count, zones: vec!["std".parse().expect("an id")], ..Best::default() };
    s.hold("anna", &["A3"]).expect("free");
    assert_eq!(best(&mut s, "ben", of(3)), Err(Refusal::NotTogether { most: 2 }), "the floor is another zone");
    assert_eq!(
        best(&mut s, "ben", Best { split: true, ..of(3) }),
        Ok("A4 B3 B4".into()),
        "two rows, next to each other"
    );
    assert_eq!(best(&mut s, "cleo", of(1)), Ok("A2".into()), "not the space, nor the companion's seat");
    assert_eq!(best(&mut s, "dora", Best { wheelchairs: 1, ..of(2) }), Ok("B1 B2".into()));
    assert_eq!(best(&mut s, "emil", of(2)), Err(Refusal::NotTogether { most: 1 }));
    assert_eq!(best(&mut s, "emil", of(0)), Err(Refusal::NoSeats));
    assert_eq!(best(&mut s, "emil", of(500)), Err(Refusal::TooManySeats { max: 10 }));
    // Anywhere: the floor has room.
    let anywhere = Best { count: 3, ..Best::default() };
    assert_eq!(best(&mut s, "emil", anywhere.clone()), Ok("floor.1 floor.2 floor.3".into()));
    let cheap = Best { highest_price: Some(eur(100)), ..anywhere };
    assert_eq!(best(&mut s, "fred", cheap), Err(Refusal::NeverFits), "nobody need come again for that");
}

#[test]
fn what_would_be_left_over_is_named_choose_006() {
    let mut s = Stage::with(|t| t.seat_rules = SeatRules { orphans: OrphanRule::Strict, ..SeatRules::default() });
    let alone = |seats: &[&str]| {
        let conflict = |s: &&str| SeatConflict { seat: seat(s), reason: ConflictReason::LeftAlone };
        Err(Refusal::LeftOver(seats.iter().map(conflict).collect()))
    };
    assert_eq!(s.hold("anna", &["A2"]), alone(&["A1"]));
    assert_eq!(s.hold("anna", &["A2", "A3"]), alone(&["A1", "A4"]));
    assert!(s.is_free("A2"), "nothing is held");
    s.hold("anna", &["A1", "A2"]).expect("leaves a pair");
    assert_eq!(s.hold("ben", &["B3"]), alone(&["B4"]), "what is beside it is a companion's seat");
    s.hold("ben", &["B1", "B2"]).expect("a space and its companion");
}

#[test]
fn a_companion_seat_goes_with_its_wheelchair_space() {
    let mut s = Stage::new();
    assert_eq!(s.hold("anna", &["B2"]), Err(taken(&[("B2", ConflictReason::CompanionOnly)])));
    s.hold("anna", &["B1", "B2"]).expect("both");
    let mut s = Stage::new();
    s.hold("anna", &["B1"]).expect("the space");
    assert_eq!(s.hold("ben", &["B2"]), Err(taken(&[("B2", ConflictReason::CompanionOnly)])));
    s.hold("anna", &["B2"]).expect("her own companion");
}

#[test]
fn companion_seats_are_released_to_all_in_time() {
    let mut s = Stage::with(|t| t.companion_release_at = Some(after(t.sales.opens_at, 3600)));
    s.wait(3599);
    assert!(s.hold("anna", &["B2"]).is_err());
    s.wait(1);
    s.hold("anna", &["B2"]).expect("released");
}

#[test]
fn areas_are_held_by_count_and_never_oversold() {
    let mut s = Stage::new();
    let first = s.hold_area("anna", "floor", 6).expect("10 free");
    assert_eq!(s.get(first).places.len(), 6);
    assert_eq!(s.hold_area("ben", "floor", 5), Err(taken(&[("floor", ConflictReason::AreaFull)])));
    s.hold_area("ben", "floor", 4).expect("the rest");
    assert_eq!(s.house.area_seats()[0].free, 0);
    s.release("anna", first).expect("own");
    assert_eq!(s.house.area_seats()[0].free, 6);
}

#[test]
fn a_place_of_an_area_has_one_name() {
    let s = Stage::new();
    let plan = &s.house.terms().plan;
    assert!(plan.place(seat("floor.1")).is_some() && plan.place(seat("floor.10")).is_some());
    for no in ["floor.0", "floor.11", "floor.01", "floor.-1", "floor.", "floor", "stage.1"] {
        assert_eq!(plan.place(seat(no)), None, "{no}");
    }
}

#[test]
fn extending_never_shortens_and_never_passes_the_time_for_choosing() {
    let mut s = Stage::new();
    let hold = s.hold("anna", &["A1"]).expect("free");
    let start = s.now;
    let until = |s: &Stage| s.get(hold).state.deadline();
    s.extend("anna", hold, 30).expect("own");
    assert_eq!(until(&s), Some(after(start, 300)));
    s.wait(200);
    s.extend("anna", hold, 600).expect("own");
    assert_eq!(until(&s), Some(after(start, 800)));
    s.wait(500);
    s.extend("anna", hold, 600).expect("own");
    assert_eq!(until(&s), Some(after(start, 900)));
    s.wait(200);
    assert_eq!(s.extend("anna", hold, 600).err(), Some(Refusal::HoldEnded));
}

#[test]
fn somebody_elses_hold_is_not_there() {
    let mut s = Stage::new();
    let hold = s.hold("anna", &["A1"]).expect("free");
    assert_eq!(s.release("ben", hold).err(), Some(Refusal::NotFound));
    assert_eq!(s.extend("ben", hold, 300).err(), Some(Refusal::NotFound));
    assert_eq!(s.book("ben", hold, choice(&[("A1", "adult")], 1050)).err(), Some(Refusal::NotFound));
}

#[test]
fn a_repeated_release_changes_nothing() {
    let mut s = Stage::new();
    let hold = s.hold("anna", &["A1"]).expect("free");
    assert!(!s.release("anna", hold).expect("own").is_empty());
    assert!(s.release("anna", hold).expect("over").is_empty());
    assert!(s.is_free("A1"));
    let lapsed = s.hold("anna", &["A1"]).expect("free");
    s.wait(300);
    assert!(s.release("anna", lapsed).expect("over").is_empty());
    assert!(matches!(s.get(lapsed).state, HoldState::Expired { .. }));
}

#[test]
fn seats_are_held_while_the_screening_is_on_sale() {
    for (status, state) in [
        (ScreeningStatus::Planned, SalesState::Closed),
        (ScreeningStatus::Closed, SalesState::Closed),
        (ScreeningStatus::Unknown, SalesState::Closed),
        (ScreeningStatus::Paused, SalesState::Paused),
        (ScreeningStatus::Cancelled, SalesState::Cancelled),
        (ScreeningStatus::Moved, SalesState::Cancelled),
    ] {
        let mut s = Stage::with(|t| t.status = status);
        assert_eq!(s.hold("anna", &["A1"]), Err(Refusal::NotOnSale(state)), "{status}");
    }
    let mut s = Stage::new();
    s.wait(-1);
    let soon = Err(Refusal::SalesNotOpen { opens_at: s.house.terms().sales.opens_at, wait_ms: 1000 });
    assert_eq!(s.hold("anna", &["A1"]), soon);
    s.wait(1 + 8 * 3600);
    assert_eq!(s.hold("anna", &["A1"]), Err(Refusal::NotOnSale(SalesState::UnderWay)));
    s.wait(2 * 3600);
    assert_eq!(s.hold("anna", &["A1"]), Err(Refusal::NotOnSale(SalesState::Closed)));
}

#[test]
fn latecomers_buy_only_where_the_cinema_says_so() {
    let mut s = Stage::with(|t| t.sales.closes_at = after(t.starts_at, 900));
    s.wait(8 * 3600);
    assert_eq!(s.house.sales_state(s.now), SalesState::UnderWayOpen);
    s.hold("anna", &["A1"]).expect("a late seat");
    s.wait(900);
    assert_eq!(s.hold("ben", &["A2"]), Err(Refusal::NotOnSale(SalesState::UnderWay)));
}

#[test]
fn a_ticket_type_that_is_not_sold_for_the_seat_is_refused() {
    let mut s = Stage::new();
    let vip = TicketTypeId::parse("vip").expect("id");
    let mut wish = s.wish("anna", &["A1"]);
    wish.seats[0].1 = Some(vip);
    let rule = Refusal::TicketRule { seat: Some(seat("A1")), rule: TicketRule::NotSold(vip) };
    assert_eq!(s.run(&Command::PlaceHold(wish)).err(), Some(rule));
    let carer = TicketTypeId::parse("carer").expect("id");
    let mut wish = s.wish("anna", &[]);
    wish.areas.push(("floor".parse().expect("id"), 1, Some(carer)));
    assert!(matches!(s.run(&Command::PlaceHold(wish)), Err(Refusal::TicketRule { .. })));
}

#[test]
fn a_price_edit_does_not_touch_a_hold() {
    let mut s = Stage::new();
    let hold = s.hold("anna", &["A1"]).expect("free");
    let mut dearer = admit_booking::example::prices().table;
    for offer in &mut dearer.offers {
        offer.base = eur(9900);
        offer.total = eur(9900);
    }
    let name = admit_protocol::digest::ContentName::of(b"dearer");
    let mut terms = (**s.house.terms()).clone();
    terms.prices = admit_booking::Prices::new(name, dearer).expect("sound").into();
    s.run(&Command::Amend(terms.into())).expect("staff");
    s.book("anna", hold, choice(&[("A1", "adult")], 1050)).expect("the price she saw");
    let later = s.hold("ben", &["A2"]).expect("free");
    assert!(matches!(s.book("ben", later, choice(&[("A2", "adult")], 1050)), Err(Refusal::PriceChanged(_))));
}

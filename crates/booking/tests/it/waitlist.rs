//! Who waits is offered what comes free, in the order of the line, and nobody waits for ever.

use admit_booking::queue::{Admission, Pass, QueueTerms};
use admit_booking::{
    BlockReason, Command, Entry, EntryKey, EntryState, HoldKey, HoldState, JoinWaitlist, Network, Refusal,
};
use admit_protocol::hold::Best;
use admit_protocol::queue::{QueuePolicy, ScreeningQueue};
use admit_protocol::seats::NotFree;
use admit_protocol::time::after;
use jiff::Timestamp;
use proptest::prelude::*;

use crate::stage::{Stage, choice, eur, owner, seat};

pub(crate) fn party(count: u16) -> Best {
    Best { count, zones: vec!["std".parse().expect("an id")], ..Best::default() }
}

fn wish(who: &str, best: Best) -> JoinWaitlist {
    let key = who.bytes().fold(0, |key, byte| key << 8 | u128::from(byte));
    JoinWaitlist {
        entry: EntryKey(key),
        owner: owner(who),
        network: None,
        best,
        buyer: None,
        admission: Admission::None,
    }
}

pub(crate) fn join(s: &mut Stage, who: &str, best: Best) -> Result<EntryKey, Refusal> {
    let wish = wish(who, best);
    let key = wish.entry;
    s.run(&Command::JoinWaitlist(wish)).map(|_| key)
}

fn leave(s: &mut Stage, who: &str, entry: EntryKey) -> Result<(), Refusal> {
    s.run(&Command::LeaveWaitlist { entry, by: admit_booking::By::Owner(owner(who)) }).map(drop)
}

fn get(s: &Stage, entry: EntryKey) -> &Entry {
    s.house.entry(entry).expect("an entry")
}

fn offered(s: &Stage, entry: EntryKey) -> Option<HoldKey> {
    match get(s, entry).state {
        EntryState::Offered(hold) => Some(hold),
        _ => None,
    }
}

fn seats_of(s: &Stage, hold: HoldKey) -> Vec<String> {
    let plan = &s.house.terms().plan;
    s.get(hold).places.iter().map(|held| plan.seat_id(held.place).to_string()).collect()
}

/// All eight numbered seats are taken and paid, each pair by one buyer: A1 A2, A3 A4, B1 B2, B3 B4.
fn full() -> (Stage, [HoldKey; 4]) {
    let mut s = Stage::new();
    let pairs = [("p1", ["A1", "A2"]), ("p2", ["A3", "A4"]), ("p3", ["B1", "B2"]), ("p4", ["B3", "B4"])];
    let holds = pairs.map(|(who, seats)| s.booked(who, &seats));
    for booking in holds {
        s.run(&Command::Settle { booking, amount: eur(2050) }).expect("paid");
    }
    (s, holds)
}

fn cancel(s: &mut Stage, booking: HoldKey, seats: &[&str]) {
    let seats = seats.iter().map(|id| seat(id)).collect();
    let cancellation = admit_booking::Cancellation::Staff { seats, refund: true };
    s.run(&Command::Cancel { booking, cancellation }).expect("cancels");
}

#[test]
fn what_comes_free_is_offered_to_the_first_who_fits_in_the_same_change_w1_w2() {
    let (mut s, [first, ..]) = full();
    let three = join(&mut s, "three", party(3)).expect("waits");
    let two = join(&mut s, "two", party(2)).expect("waits");
    let late = join(&mut s, "late", party(2)).expect("waits");
    assert_eq!([three, two, late].map(|key| s.house.position(get(&s, key))), [1, 2, 3]);
    let seats = vec![seat("A1"), seat("A2")];
    let command =
        Command::Cancel { booking: first, cancellation: admit_booking::Cancellation::Staff { seats, refund: true } };
    let changes = s.run(&command).expect("cancels");
    assert_eq!((changes.freed.len(), changes.claimed.len(), changes.placed.len()), (2, 2, 1), "one change has it all");
    let offer = offered(&s, two).expect("offered to who fits");
    assert_eq!(seats_of(&s, offer), ["A1", "A2"]);
    assert_eq!(s.house.not_free(s.place("A1")), Some(NotFree::Held), "nobody saw it free");
    assert!(s.hold("public", &["A1"]).is_err());
    assert_eq!((offered(&s, three), offered(&s, late)), (None, None));
    assert_eq!(s.get(offer).state, HoldState::Active { until: after(s.now, 900) });
    s.book("two", offer, choice(&[("A1", "adult"), ("A2", "adult")], 2050)).expect("under the entry's own secret");
    assert_eq!(get(&s, two).state, EntryState::Taken(offer));
    // W5: what is cancelled later goes on, and who had it does not come back.
    cancel(&mut s, offer, &["A1", "A2"]);
    assert_eq!(get(&s, two).state, EntryState::Taken(offer));
    assert!(offered(&s, late).is_some());
}

#[test]
fn who_need_not_wait_or_never_could_does_not_wait() {
    let mut s = Stage::new();
    assert_eq!(join(&mut s, "anna", party(2)).err(), Some(Refusal::SeatsAvailable));
    let (mut s, _) = full();
    assert_eq!(join(&mut s, "anna", party(5)).err(), Some(Refusal::NeverFits), "no row has five");
    assert_eq!(join(&mut s, "anna", party(0)).err(), Some(Refusal::NoSeats));
    assert_eq!(join(&mut s, "anna", party(11)).err(), Some(Refusal::TooManySeats { max: 10 }));
    let cheap = Best { highest_price: Some(eur(1)), ..party(1) };
    assert_eq!(join(&mut s, "anna", cheap).err(), Some(Refusal::NeverFits));
    let moon = Best { zones: vec!["moon".parse().expect("an id")], ..party(1) };
    assert!(matches!(join(&mut s, "anna", moon).err(), Some(Refusal::UnknownZones(_))));
    let carers = Best { ticket_type: Some("carer".parse().expect("an id")), ..party(2) };
    let refused = join(&mut s, "anna", carers).err();
    assert!(matches!(refused, Some(Refusal::TicketRule { .. })), "nobody could book that: {refused:?}");
    // Of the floor there is plenty.
    assert_eq!(join(&mut s, "anna", Best { count: 2, ..Best::default() }).err(), Some(Refusal::SeatsAvailable));
    join(&mut s, "anna", party(2)).expect("waits");
    assert_eq!(join(&mut s, "anna", party(1)).err(), Some(Refusal::AlreadyWaiting), "one entry a secret (W7)");
    s.wait(8 * 3600);
    assert!(matches!(join(&mut s, "ben", party(1)).err(), Some(Refusal::NotOnSale(_))));
}

#[test]
fn a_line_has_an_end_and_one_network_does_not_fill_it_w7() {
    let (mut s, _) = full();
    let from = |who: &str| JoinWaitlist { network: Some(Network(7)), ..wish(who, party(1)) };
    for n in 0..10 {
        s.run(&Command::JoinWaitlist(from(&format!("n{n}")))).expect("waits");
    }
    let eleventh = s.run(&Command::JoinWaitlist(from("n10"))).err();
    assert_eq!(eleventh, Some(Refusal::NetworkWaitsTooMuch { max: 10 }));
    leave(&mut s, "n3", wish("n3", party(1)).entry).expect("leaves");
    s.run(&Command::JoinWaitlist(from("n10"))).expect("there is room again");
    let mut terms = (**s.house.terms()).clone();
    terms.waitlist = Some(admit_protocol::manifest::WaitlistPolicy { entries_max: 10, ..Default::default() });
    s.run(&Command::Amend(terms.clone().into())).expect("amended");
    assert_eq!(join(&mut s, "anna", party(1)).err(), Some(Refusal::WaitlistFull { max: 10 }));
    terms.waitlist = None;
    s.run(&Command::Amend(terms.into())).expect("amended");
    assert_eq!(join(&mut s, "anna", party(1)).err(), Some(Refusal::NoWaitlist));
}

#[test]
fn an_offer_that_lapses_goes_to_the_next_and_its_party_to_the_end_twice_w4() {
    let (mut s, [first, ..]) = full();
    let slow = join(&mut s, "slow", party(2)).expect("waits");
    let next = join(&mut s, "next", party(2)).expect("waits");
    cancel(&mut s, first, &["A1", "A2"]);
    let offer = offered(&s, slow).expect("offered");
    s.wait(900);
    let changes = s.house.advance(s.now);
    assert_eq!(changes.moved.len(), 1);
    assert_eq!(changes.placed.len(), 1, "it lapses and is offered on in one change");
    s.apply(changes);
    assert!(matches!(s.get(offer).state, HoldState::Expired { .. }));
    assert!(offered(&s, next).is_some());
    assert_eq!((get(&s, slow).state, get(&s, slow).lapses), (EntryState::Waiting, 1));
    leave(&mut s, "next", next).expect("declines");
    for lapses in [1, 2] {
        // It comes back to who let it lapse, as nobody else waits.
        assert!(offered(&s, slow).is_some());
        assert_eq!(get(&s, slow).lapses, lapses);
        s.wait(900);
        let lapsed = s.house.advance(s.now);
        s.apply(lapsed);
    }
    assert_eq!(get(&s, slow).state, EntryState::Gone, "three offers, and no answer to any");
    assert!(s.is_free("A1") && s.is_free("A2"));
}

#[test]
fn who_declines_or_leaves_is_out_and_the_seats_go_on() {
    let (mut s, [first, ..]) = full();
    let one = join(&mut s, "one", party(2)).expect("waits");
    let two = join(&mut s, "two", party(2)).expect("waits");
    let three = join(&mut s, "three", party(2)).expect("waits");
    leave(&mut s, "one", one).expect("leaves");
    leave(&mut s, "one", one).expect("again");
    assert_eq!(get(&s, one).state, EntryState::Gone);
    assert_eq!(leave(&mut s, "thief", two).err(), Some(Refusal::NotFound));
    cancel(&mut s, first, &["A1", "A2"]);
    let offer = offered(&s, two).expect("offered");
    s.release("two", offer).expect("declined");
    assert_eq!(get(&s, two).state, EntryState::Declined(offer));
    let offer = offered(&s, three).expect("offered on");
    leave(&mut s, "three", three).expect("declines");
    assert_eq!(get(&s, three).state, EntryState::Declined(offer));
    assert!(s.is_free("A1") && s.is_free("A2"));
}

#[test]
fn a_large_party_is_not_passed_over_for_ever_w3() {
    let (mut s, [p1, p2, _, p4]) = full();
    let four = join(&mut s, "four", party(4)).expect("waits");
    // Single seats come free and are gone, five times.
    let mut booking = p1;
    for n in 0..5 {
        cancel(&mut s, booking, &["A1"]);
        assert!(s.is_free("A1"), "nobody keeps it: {n}");
        booking = s.booked(&format!("quick{n}"), &["A1"]);
    }
    assert_eq!(get(&s, four).passed_over, 5);
    cancel(&mut s, booking, &["A1"]);
    assert_eq!(s.house.not_free(s.place("A1")), Some(NotFree::Blocked), "from now on it is kept");
    assert!(s.hold("public", &["A1"]).is_err());
    let small = join(&mut s, "small", party(1)).expect("waits behind");
    cancel(&mut s, p4, &["B4"]);
    assert_eq!(s.house.not_free(s.place("B4")), Some(NotFree::Blocked), "who comes later does not get it, either");
    assert_eq!(offered(&s, small), None);
    cancel(&mut s, p1, &["A2"]);
    cancel(&mut s, p2, &["A3", "A4"]);
    let offer = offered(&s, four).expect("it fits at last");
    assert_eq!(seats_of(&s, offer), ["A1", "A2", "A3", "A4"]);
    let next = offered(&s, small).expect("what was kept is let go");
    assert_eq!(seats_of(&s, next), ["B4"]);
}

#[test]
fn who_is_first_in_line_waits_a_quarter_of_an_hour_at_most_w3() {
    let (mut s, [p1, p2, ..]) = full();
    let four = join(&mut s, "four", party(4)).expect("waits");
    cancel(&mut s, p1, &["A1"]);
    s.wait(899);
    cancel(&mut s, p1, &["A2"]);
    assert!(s.is_free("A1") && s.is_free("A2"));
    s.wait(1);
    cancel(&mut s, p2, &["A3"]);
    assert_eq!(s.house.not_free(s.place("A3")), Some(NotFree::Blocked));
    cancel(&mut s, p2, &["A4"]);
    assert!(offered(&s, four).is_some());
}

#[test]
fn nothing_is_kept_shortly_before_the_start_nor_for_nobody_w3() {
    let (mut s, [p1, p2, ..]) = full();
    let four = join(&mut s, "four", party(4)).expect("waits");
    cancel(&mut s, p1, &["A1"]);
    s.wait(900);
    cancel(&mut s, p2, &["A3"]);
    let kept = s.house.claims().find_map(|(place, claim)| match claim {
        admit_booking::Claim::Block(block) if place == s.place("A3") => Some(block),
        _ => None,
    });
    let start = s.house.terms().starts_at;
    let kept = kept.expect("kept");
    assert_eq!((kept.reason, kept.until), (BlockReason::Waitlist, Some(after(start, -1200))));
    leave(&mut s, "four", four).expect("leaves");
    assert!(s.is_free("A3"), "for nobody nothing is kept");
    let again = join(&mut s, "fourth", party(4)).expect("waits");
    for _ in 0..2 {
        s.wait(900);
        let booking = s.booked("quick", &["A3"]);
        cancel(&mut s, booking, &["A3"]);
    }
    assert_eq!(s.house.not_free(s.place("A3")), Some(NotFree::Blocked));
    s.now = after(start, -1200);
    let lapsed = s.house.advance(s.now);
    s.apply(lapsed);
    assert!(s.is_free("A3"), "twenty minutes before the start it is everybody's");
    assert!(get(&s, again).waits());
}

#[test]
fn what_time_brings_is_offered_to_who_waits_first_w6() {
    let mut s = Stage::with(|terms| terms.companion_release_at = Some(after(terms.starts_at, -3600)));
    for seat in ["A1", "A2", "A3", "A4", "B3", "B4"] {
        s.booked(seat, &[seat]);
    }
    let waits = join(&mut s, "waits", party(1)).expect("the companion's seat is for nobody alone");
    let release = after(s.house.terms().starts_at, -3600);
    s.now = release;
    let changes = s.house.advance(s.now);
    s.apply(changes);
    assert_eq!(offered(&s, waits).map(|offer| seats_of(&s, offer)), Some(vec!["B2".to_owned()]));
    assert!(s.house.advance(s.now).is_empty(), "that was all");
}

#[test]
fn nothing_is_offered_while_sales_are_paused_and_then_all_at_once() {
    let (mut s, [first, ..]) = full();
    let waits = join(&mut s, "waits", party(2)).expect("waits");
    let mut terms = (**s.house.terms()).clone();
    terms.status = admit_protocol::screening::ScreeningStatus::Paused;
    s.run(&Command::Amend(terms.clone().into())).expect("paused");
    cancel(&mut s, first, &["A1", "A2"]);
    assert!(offered(&s, waits).is_none() && s.is_free("A1"));
    terms.status = admit_protocol::screening::ScreeningStatus::OnSale;
    s.run(&Command::Amend(terms.into())).expect("on sale");
    assert!(offered(&s, waits).is_some(), "before anybody else can ask");
}

#[test]
fn a_house_with_a_line_is_restored_as_it_was() {
    let (mut s, [first, ..]) = full();
    join(&mut s, "one", party(2)).expect("waits");
    join(&mut s, "two", party(3)).expect("waits");
    cancel(&mut s, first, &["A1", "A2"]);
    let saved = admit_booking::Saved {
        version: s.house.version(),
        now: s.house.now(),
        claims: s.house.claims().collect(),
        holds: s.house.holds().cloned().collect(),
        scans: vec![],
        entries: s.house.entries().cloned().collect(),
    };
    let mut restored = Stage::new();
    restored.house = admit_booking::House::restore(s.house.terms().clone(), saved).expect("restores");
    assert!(restored.house.entries().eq(s.house.entries()));
    assert_eq!(restored.house.next_deadline(), s.house.next_deadline());
    restored.now = after(s.now, 900);
    s.now = restored.now;
    assert_eq!(restored.house.advance(s.now).entries, s.house.advance(s.now).entries);
}

/// The chairs that anybody may buy, in runs of neighbours.
const RUNS: [&[&str]; 2] = [&["A1", "A2", "A3", "A4"], &["B3", "B4"]];

/// Whether so many neighbours are among these seats: counted by hand, without the code that chooses.
fn fits(count: u16, free: &dyn Fn(&str) -> bool) -> bool {
    RUNS.iter().any(|run| {
        let mut together = 0;
        run.iter().any(|seat| {
            together = if free(seat) { together + 1 } else { 0 };
            together >= count
        })
    })
}

/// Who has each chair, and who waits, in order: what a step is compared with.
struct Before {
    taken: Vec<&'static str>,
    line: Vec<(EntryKey, u16, u8)>,
}

fn look(s: &Stage) -> Before {
    let mut line: Vec<&Entry> = s.house.entries().filter(|entry| entry.waits()).collect();
    line.sort_by_key(|entry| entry.turn);
    Before {
        taken: RUNS.concat().into_iter().filter(|seat| !s.is_free(seat)).collect(),
        line: line.into_iter().map(|entry| (entry.key, entry.best.count, entry.passed_over)).collect(),
    }
}

/// What must be so after whatever happened.
fn check(s: &Stage, before: &Before, open: bool) -> Result<(), TestCaseError> {
    let now = look(s);
    let free = |seat: &str| s.is_free(seat);
    if !open {
        return Ok(());
    }
    // W6, W1: nobody waits for what is free.
    for (key, count, _) in &now.line {
        prop_assert!(!fits(*count, &free), "{key:?} waits, and {count} are free");
    }
    prop_assert_eq!(s.house.unserved(s.now), None);
    let kept = |seat: &&str| s.house.not_free(s.place(seat)) == Some(NotFree::Blocked);
    for (n, (key, count, passed)) in before.line.iter().enumerate().filter(|(_, (key, ..))| get(s, *key).waits()) {
        // W2: what was offered to somebody behind it would not have done, with all that is free.
        let behind = before.line.iter().skip(n + 1).filter_map(|(key, ..)| offered(s, *key));
        let gone: Vec<String> = behind.flat_map(|offer| seats_of(s, offer)).collect();
        let could = |seat: &str| free(seat) || gone.iter().any(|had| had == seat);
        prop_assert!(!fits(*count, &could), "{key:?} of {count} was skipped: {gone:?}");
        // W3: nobody is passed over a sixth time.
        let came_free = before.taken.iter().filter(|seat| !kept(seat));
        let lost: Vec<&&str> = came_free.filter(|seat| free(seat) || gone.iter().any(|had| had == **seat)).collect();
        let late = s.now >= after(s.house.terms().starts_at, -1200);
        prop_assert!(*passed < 5 || lost.is_empty() || late, "{key:?} was passed over again: {lost:?}");
    }
    Ok(())
}

fn evening(steps: &[(u8, u8, u8)]) -> Result<(), TestCaseError> {
    let (mut s, pairs) = full();
    let mut holds: Vec<(String, HoldKey)> = vec![];
    let mut entries: Vec<(String, EntryKey)> = vec![];
    for (n, &(kind, a, b)) in steps.iter().enumerate() {
        let pause = [0, 1, 60, 299, 300, 900, 901, 3000][usize::from(kind / 8) % 8];
        let before = look(&s);
        s.wait(pause);
        let lapsed = s.house.advance(s.now);
        s.apply(lapsed);
        let open = s.house.sales_state(s.now).is_open();
        check(&s, &before, open)?;
        let before = look(&s);
        let chairs = RUNS.concat();
        let chair = chairs[usize::from(a) % chairs.len()];
        let who = format!("w{n}");
        let pick = |of: &[(String, EntryKey)]| of.get(usize::from(a) % of.len().max(1)).cloned();
        match kind % 8 {
            0 | 1 => entries.extend(join(&mut s, &who, party(u16::from(b % 4) + 1)).map(|key| (who, key))),
            2 => holds.extend(s.hold(&who, &[chair]).map(|key| (who, key))),
            3 => {
                if let Some((who, hold)) = holds.get(usize::from(b) % holds.len().max(1)).cloned() {
                    let _ = s.release(&who, hold);
                }
            }
            4 => {
                let standing =
                    |booking: &HoldKey| s.get(*booking).claimed_places().any(|place| place == s.place(chair));
                if let Some(booking) = pairs.into_iter().find(standing) {
                    cancel(&mut s, booking, &[chair]);
                }
            }
            5 => {
                if let Some((who, entry)) = pick(&entries) {
                    let _ = leave(&mut s, &who, entry);
                }
            }
            6 => {
                if let Some((who, entry)) = pick(&entries)
                    && let Some(offer) = offered(&s, entry)
                {
                    let seats = seats_of(&s, offer);
                    let tickets: Vec<(&str, &str)> = seats.iter().map(|seat| (seat.as_str(), "adult")).collect();
                    let total = 50 + 1000 * i64::try_from(seats.len()).expect("few");
                    let _ = s.book(&who, offer, choice(&tickets, total));
                }
            }
            _ => {
                let seats = vec![seat(chair)];
                let block = Command::Block { seats: seats.clone(), reason: BlockReason::House, until: None };
                let _ = s.run(&if b % 2 == 0 { block } else { Command::Unblock { seats } });
            }
        }
        check(&s, &before, open)?;
        // What is on record is the same house.
        prop_assert!(s.house.entries().all(|entry| entry.lapses <= 2 && entry.passed_over <= 5));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn nobody_in_line_is_skipped_or_waits_for_what_is_free_w1_w2_w3_w6(
        steps in prop::collection::vec(any::<(u8, u8, u8)>(), 1..60)
    ) {
        evening(&steps)?;
    }
}

#[test]
fn a_waitlist_that_is_switched_off_ends_well_for_who_has_an_offer() {
    let (mut s, [p1, p2, ..]) = full();
    let two = join(&mut s, "two", party(2)).expect("waits");
    let four = join(&mut s, "four", party(4)).expect("waits");
    cancel(&mut s, p2, &["A3", "A4"]);
    let offer = offered(&s, two).expect("offered");
    let off = admit_booking::Terms { waitlist: None, ..(**s.house.terms()).clone() };
    s.run(&Command::Amend(off.into())).expect("switched off");
    cancel(&mut s, p1, &["A1", "A2"]);
    assert!(s.is_free("A1") && get(&s, four).waits(), "nothing is offered any more");
    s.book("two", offer, choice(&[("A3", "adult"), ("A4", "adult")], 2050)).expect("what was offered is theirs");
    assert_eq!(get(&s, two).state, EntryState::Taken(offer));
    leave(&mut s, "four", four).expect("leaves");
}

#[test]
fn who_only_tries_seats_on_makes_nobody_passed_over() {
    let (mut s, [p1, ..]) = full();
    cancel(&mut s, p1, &["A1"]);
    let four = join(&mut s, "four", party(4)).expect("waits");
    for n in 0..8 {
        let who = format!("churn{n}");
        let hold = s.hold(&who, &["A1"]).expect("free as before");
        s.release(&who, hold).expect("given back");
    }
    assert_eq!((get(&s, four).passed_over, s.is_free("A1")), (0, true));
}

#[test]
fn nothing_is_kept_for_a_party_that_may_not_have_it() {
    let (mut s, [p1, _, p3, _]) = full();
    let best = Best { wheelchairs: 1, ..party(1) };
    let wheels = join(&mut s, "wheels", best).expect("waits for the one space");
    let mut booking = p1;
    for n in 0..7 {
        cancel(&mut s, booking, &["A1"]);
        assert!(s.is_free("A1"), "a chair is no use to them: {n}");
        booking = s.booked(&format!("quick{n}"), &["A1"]);
    }
    assert_eq!(get(&s, wheels).passed_over, 0);
    cancel(&mut s, p3, &["B1", "B2"]);
    assert!(offered(&s, wheels).is_some());
}

#[test]
fn what_is_kept_stays_kept_while_sales_are_paused_and_moves_with_the_start() {
    let (mut s, [p1, p2, ..]) = full();
    let four = join(&mut s, "four", party(4)).expect("waits");
    cancel(&mut s, p1, &["A1"]);
    s.wait(900);
    cancel(&mut s, p2, &["A3"]);
    let kept = |s: &Stage| s.house.not_free(s.place("A3")) == Some(NotFree::Blocked);
    assert!(kept(&s));
    let mut terms = (**s.house.terms()).clone();
    terms.status = admit_protocol::screening::ScreeningStatus::Paused;
    s.run(&Command::Amend(terms.clone().into())).expect("paused");
    assert!(kept(&s));
    terms.status = admit_protocol::screening::ScreeningStatus::OnSale;
    terms.starts_at = after(terms.starts_at, -3600);
    let until = after(terms.starts_at, -1200);
    s.run(&Command::Amend(terms.clone().into())).expect("on sale, and earlier");
    let blocks = s.house.claims().filter_map(|(_, claim)| match claim {
        admit_booking::Claim::Block(block) => Some(block.until),
        admit_booking::Claim::Hold(_) => None,
    });
    assert_eq!(blocks.collect::<Vec<_>>(), [Some(until)]);
    assert_eq!(get(&s, four).passed_over, 1, "to be kept anew is not to be passed over");
    terms.status = admit_protocol::screening::ScreeningStatus::Cancelled;
    s.run(&Command::Amend(terms.into())).expect("cancelled");
    assert!(s.is_free("A3"), "nobody buys it any more");
}

#[test]
fn nobody_waits_past_a_queue_queue_006() {
    let noon: Timestamp = admit_booking::example::NOW.parse().expect("noon");
    let mut s = Stage::with(|terms| {
        let announced = ScreeningQueue { opens_at: after(noon, -1800), admits_per_min: 60 };
        terms.queue = Some(QueueTerms { announced, policy: QueuePolicy::default() });
    });
    let join = |s: &mut Stage, admission| {
        s.run(&Command::JoinWaitlist(JoinWaitlist { admission, ..wish("ben", party(1)) })).map(drop)
    };
    assert_eq!(join(&mut s, Admission::None), Err(Refusal::QueuePassNeeded));
    let pass = Pass { from: noon, until: after(noon, 60) };
    assert_eq!(join(&mut s, Admission::Pass(pass)), Err(Refusal::SeatsAvailable), "and the next question is asked");
}

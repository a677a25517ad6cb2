//! The queue before a sale (`spec/v1/queue.md`).

use std::collections::{BTreeMap, BTreeSet};

use admit_booking::queue::{Admission, Line, Pass, QueuePlace, QueueTerms, read_pass};
use admit_booking::{Command, Network, Owner, Refusal, Terms, example};
use admit_protocol::digest::sha256;
use admit_protocol::queue::{QueuePolicy, ScreeningQueue};
use admit_protocol::screening::ScreeningStatus;
use admit_protocol::time::after;
use jiff::{SignedDuration, Timestamp};

use crate::stage::{Stage, owner};

fn noon() -> Timestamp {
    example::NOW.parse().expect("noon")
}

/// Sales begin at noon, the queue opens half an hour before, and lets sixty in each minute.
fn queue() -> QueueTerms {
    let announced = ScreeningQueue { opens_at: after(noon(), -1800), admits_per_min: 60 };
    QueueTerms { announced, policy: QueuePolicy { pass_ttl_s: 600, places_per_network: 3, places_max: 2000 } }
}

fn terms() -> Terms {
    let mut terms = example::terms();
    terms.sales.opens_at = noon();
    terms.queue = Some(queue());
    terms
}

/// A queue as a store keeps it.
struct Kept {
    line: Line,
    places: BTreeMap<Owner, QueuePlace>,
    terms: Terms,
}

impl Kept {
    fn new() -> Self {
        Self { line: Line::new([1; 32], [2; 32]), places: BTreeMap::new(), terms: terms() }
    }

    /// As a server does it: the draw first, if it is due.
    fn come(&mut self, who: u32, network: u64, now: Timestamp) -> Result<QueuePlace, Refusal> {
        let owner = Owner(sha256(&[&who.to_be_bytes()]));
        if self.line.is_to_be_drawn(&self.terms, now) {
            let owners = self.places.keys().copied().collect();
            for (owner, turn) in self.line.draw(&self.terms, &queue(), owners, now) {
                self.places.get_mut(&owner).expect("theirs").turn = Some(turn);
            }
        }
        let since = self.line.over_before(&self.terms, &queue(), now);
        let counts = |p: &&QueuePlace| p.network == Some(Network(network)) && p.turn.is_none_or(|turn| turn > since);
        let of_network = self.places.values().filter(counts).count() as u64;
        let known = self.places.get(&owner).copied();
        let asker = (owner, Some(Network(network)));
        let place = self.line.come(&self.terms, &queue(), asker, known, of_network, now)?;
        self.places.insert(owner, place);
        Ok(place)
    }

    fn turns(&self) -> BTreeSet<Timestamp> {
        self.places.values().filter_map(|p| self.line.turn(&self.terms, p)).collect()
    }

    fn leave(&mut self, who: u32) {
        let owner = Owner(sha256(&[&who.to_be_bytes()]));
        let place = self.places.remove(&owner).expect("theirs");
        self.places.extend(self.line.leave(place).map(|left| (owner, left)));
    }

    /// When it is the turn of who comes now.
    fn turn(&mut self, who: u32, s: i64) -> Option<Timestamp> {
        let place = self.come(who, who.into(), after(noon(), s)).expect("open");
        self.line.turn(&self.terms, &place)
    }
}

#[test]
fn who_came_before_the_sale_is_drawn_by_a_seed_that_was_committed_to_queue_003() {
    let mut kept = Kept::new();
    let committed = kept.line.commitment();
    for who in 0..500 {
        let place = kept.come(who, who.into(), after(noon(), i64::from(who) - 1000)).expect("open");
        assert_eq!(place.turn, None, "nobody knows before");
    }
    kept.come(500, 500, noon()).expect("open");
    assert!(committed.fits(&kept.line.seed), "it is the seed that was committed to");
    let mut drawn: Vec<&QueuePlace> = kept.places.values().filter(|p| p.came_at < noon()).collect();
    drawn.sort_by_key(|p| p.turn);
    let lots: Vec<[u8; 32]> = drawn.iter().map(|p| sha256(&[&kept.line.seed, &p.owner.0])).collect();
    assert!(lots.is_sorted(), "who knows the seed finds the same order");
    let came: Vec<Timestamp> = drawn.iter().map(|p| p.came_at).collect();
    let first_half: usize = came[..250].iter().filter(|at| **at < after(noon(), -750)).count();
    assert!((90..160).contains(&first_half), "who came early is not before who came late: {first_half} of 250");
}

#[test]
fn turns_begin_with_the_sale_and_keep_the_announced_distance_queue_005() {
    let mut kept = Kept::new();
    for who in 0..100 {
        kept.come(who, who.into(), after(noon(), -60)).expect("open");
    }
    // Some come while the line is long, some when nobody waits any more.
    for (who, late) in (100..200).zip((0..).step_by(3)) {
        kept.come(who, who.into(), after(noon(), late)).expect("open");
    }
    let turns: Vec<Timestamp> = kept.turns().into_iter().collect();
    assert_eq!((turns.len(), turns[0]), (200, noon()));
    assert!(turns.windows(2).all(|two| two[1].duration_since(two[0]) >= SignedDuration::from_secs(1)), "{turns:?}");
    let hundredth = after(noon(), 99);
    assert!(turns[..100].windows(2).all(|two| two[1].duration_since(two[0]).as_secs() == 1) && turns[99] == hundredth);
    // QUEUE-004: who comes when nobody waits is let in at once.
    let quiet = kept.come(999, 999, after(noon(), 4000)).expect("open");
    assert_eq!(quiet.turn, Some(after(noon(), 4000)));
}

#[test]
fn rates_that_do_not_divide_a_minute_are_kept_too() {
    let mut kept = Kept::new();
    let fast = QueueTerms { announced: ScreeningQueue { admits_per_min: 7000, ..queue().announced }, ..queue() };
    let owners = (0..7000_u32).map(|n| Owner(sha256(&[&n.to_be_bytes()]))).collect();
    let turns = kept.line.draw(&kept.terms, &fast, owners, noon());
    let last = turns.last().expect("some").1;
    let minute = last.duration_since(noon()).as_secs_f64();
    assert!((59.99..60.01).contains(&minute), "7,000 in {minute} seconds");
}

#[test]
fn a_place_is_one_effect_and_a_turn_stays_queue_002() {
    let mut kept = Kept::new();
    let first = kept.come(1, 1, after(noon(), -10)).expect("open");
    assert_eq!(kept.come(1, 1, after(noon(), -5)).expect("open"), first);
    let drawn = kept.come(1, 1, noon()).expect("open");
    assert_eq!((drawn.turn, drawn.came_at), (Some(noon()), first.came_at));
    assert_eq!(kept.line.places, 1);
}

#[test]
fn a_sale_that_is_put_off_puts_off_all_turns_queue_005() {
    let mut kept = Kept::new();
    kept.come(1, 1, after(noon(), -10)).expect("open");
    assert_eq!(kept.turn(1, 0), Some(noon()));
    assert_eq!(kept.turn(2, 0), Some(after(noon(), 1)));
    let before = kept.line.pass(&kept.terms, &queue(), &kept.places.values().copied().next().expect("one"));
    kept.terms.sales.opens_at = after(noon(), 300);
    assert_eq!(kept.turn(1, 1), Some(after(noon(), 300)), "nobody's turn is before the sale");
    assert_eq!(kept.turn(2, 2), Some(after(noon(), 301)));
    assert_eq!(kept.turn(3, 2), Some(after(noon(), 302)));
    let place = kept.places.values().copied().next().expect("one");
    let later = kept.line.pass(&kept.terms, &queue(), &place).expect("a turn");
    let before = before.expect("a turn");
    assert_eq!(later.0.until, after(before.0.until, 300));
    let read = |text: &str| read_pass(&kept.line.key, &kept.terms, place.owner, text);
    assert_eq!((read(&before.1), read(&later.1)), (None, Some(later.0)), "a pass from before is none");
    assert_eq!(kept.turn(4, 400), Some(after(noon(), 400)), "and who comes when nobody waits comes at once");
    assert_eq!(kept.turn(5, 400), Some(after(noon(), 401)));
    // Brought forward again, what was told stays.
    kept.terms.sales.opens_at = noon();
    assert_eq!(kept.turn(1, 3), Some(noon()));
}

#[test]
fn nobodys_turn_passes_while_nothing_is_sold_queue_003() {
    let mut kept = Kept::new();
    for who in 0..3 {
        kept.come(who, who.into(), after(noon(), -10)).expect("open");
    }
    kept.terms.status = ScreeningStatus::Paused;
    assert_eq!(kept.turn(0, 900), None, "paused: nothing is drawn");
    kept.terms.status = ScreeningStatus::OnSale;
    kept.turn(9, 1200);
    let turns = kept.turns();
    assert_eq!(turns.first(), Some(&after(noon(), 1200)), "and then everybody has the whole of their turn");
    assert_eq!(turns.len(), 4);
    // A pause does not open a queue before its time.
    let mut kept = Kept::new();
    kept.terms.status = ScreeningStatus::Paused;
    assert!(matches!(kept.come(1, 1, after(noon(), -1801)), Err(Refusal::QueueNotOpen { .. })));
}

#[test]
fn who_gives_a_place_up_gets_no_other_one_by_it_queue_009() {
    let mut kept = Kept::new();
    kept.come(1, 1, after(noon(), -10)).expect("open");
    kept.leave(1);
    assert_eq!((kept.line.places, kept.places.len()), (0, 0), "before the draw nothing stays");
    for who in 1..=3 {
        kept.come(who, 1, noon()).expect("open");
    }
    kept.leave(3);
    assert_eq!(kept.line.places, 3, "a turn that was given out is taken");
    assert_eq!(kept.come(4, 1, after(noon(), 1)), Err(Refusal::NetworkQueuesTooMuch { max: 3 }));
    let back = kept.come(3, 1, after(noon(), 5)).expect("theirs");
    assert_eq!((back.turn, back.left), (Some(after(noon(), 2)), false));
    // Over, a place counts no more for its network.
    assert!(kept.come(5, 1, after(noon(), 600)).is_ok());
}

#[test]
fn who_let_a_pass_end_comes_again_at_the_end_queue_010() {
    let mut kept = Kept::new();
    kept.come(1, 1, after(noon(), -10)).expect("open");
    kept.come(2, 2, noon()).expect("open");
    let again = |kept: &mut Kept, s: i64| kept.come(1, 1, after(noon(), s)).expect("open").turn.expect("drawn");
    assert_eq!(again(&mut kept, 599), noon(), "its pass is still good");
    assert_eq!(again(&mut kept, 600), after(noon(), 600), "a new turn");
    assert_eq!((kept.line.places, kept.places.len()), (2, 2));
}

#[test]
fn places_are_bounded_queue_007() {
    let mut kept = Kept::new();
    let early = kept.come(1, 1, after(noon(), -1801));
    assert_eq!(early, Err(Refusal::QueueNotOpen { opens_at: after(noon(), -1800), wait_ms: 1000 }));
    for who in 0..3 {
        kept.come(who, 7, after(noon(), -100)).expect("open");
    }
    assert_eq!(kept.come(3, 7, after(noon(), -100)), Err(Refusal::NetworkQueuesTooMuch { max: 3 }));
    assert!(kept.come(2, 7, after(noon(), -100)).is_ok(), "who has a place has it");
    kept.line.places = 2000;
    assert_eq!(kept.come(4, 4, after(noon(), -100)), Err(Refusal::QueueFull { max: 2000 }));
    kept.terms.status = ScreeningStatus::Cancelled;
    assert!(matches!(kept.come(5, 5, noon()), Err(Refusal::NotOnSale(_))));
}

#[test]
fn a_pass_is_good_for_its_buyer_its_screening_and_its_time_queue_006() {
    let (line, terms) = (Line::new([1; 32], [2; 32]), terms());
    let place =
        QueuePlace { owner: owner("anna"), network: None, came_at: noon(), turn: Some(after(noon(), 60)), left: false };
    let (pass, text) = line.pass(&terms, &queue(), &place).expect("a turn");
    assert_eq!(pass, Pass { from: after(noon(), 60), until: after(noon(), 660) });
    let read = |key: &[u8; 32], screening: &str, who: &str, text: &str| {
        let terms = Terms { screening: screening.parse().expect("id"), ..terms.clone() };
        read_pass(key, &terms, owner(who), text)
    };
    let here = terms.screening.as_str();
    assert_eq!(read(&line.key, here, "anna", &text), Some(pass));
    assert_eq!(read(&line.key, here, "ben", &text), None);
    assert_eq!(read(&line.key, "elsewhere", "anna", &text), None);
    assert_eq!(read(&[3; 32], here, "anna", &text), None);
    for at in 0..text.len() {
        let mut forged = text.clone().into_bytes();
        forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).expect("ASCII");
        assert_eq!(read(&line.key, here, "anna", &forged), None, "character {at}");
    }
    let mut s = Stage::with(|t| *t = terms.clone());
    let hold = |s: &mut Stage, seats: &[&str], admission: Admission, at: i64| {
        s.now = after(noon(), at);
        let wish = admit_booking::PlaceHold { admission, ..s.wish("anna", seats) };
        s.run(&Command::PlaceHold(wish)).map(drop)
    };
    assert_eq!(hold(&mut s, &["A1"], Admission::None, 60), Err(Refusal::QueuePassNeeded));
    let early = Refusal::NotYourTurn { turn_at: after(noon(), 60), wait_ms: 1000 };
    assert_eq!(hold(&mut s, &["A1"], Admission::Pass(pass), 59), Err(early));
    assert_eq!(hold(&mut s, &["A1"], Admission::Pass(pass), 60), Ok(()));
    assert_eq!(hold(&mut s, &["A2"], Admission::Pass(pass), 659), Ok(()));
    assert_eq!(hold(&mut s, &["A3"], Admission::Pass(pass), 660), Err(Refusal::QueuePassExpired));
    assert_eq!(hold(&mut s, &["A3"], Admission::Counter, 661), Ok(()), "who stands at the counter stood in line");
}

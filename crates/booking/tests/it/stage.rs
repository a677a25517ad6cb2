//! A house, a clock, and short ways to ask for things.

use std::sync::Arc;

use admit_booking::queue::Admission;
use admit_booking::{
    By, Changes, Choice, Command, Hold, HoldKey, House, Owner, Place, PlaceHold, Refusal, Terms, example,
};
use admit_protocol::capability::PaymentMethod;
use admit_protocol::id::{AreaId, SeatId, TicketTypeId};
use admit_protocol::money::Money;
use admit_protocol::time::after;
use jiff::Timestamp;

pub(crate) struct Stage {
    pub(crate) house: House,
    pub(crate) now: Timestamp,
    next: u128,
}

pub(crate) fn owner(name: &str) -> Owner {
    let mut bytes = [0; 32];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    Owner(bytes)
}

pub(crate) fn seat(id: &str) -> SeatId {
    SeatId::parse(id).expect(id)
}

pub(crate) fn eur(amount: i64) -> Money {
    Money::new(amount, "EUR".parse().expect("EUR")).expect("in range")
}

pub(crate) fn choice(tickets: &[(&str, &str)], total: i64) -> Choice {
    let ticket = |(s, t): &(&str, &str)| (seat(s), TicketTypeId::parse(t).expect(t));
    Choice {
        tickets: tickets.iter().map(ticket).collect(),
        total: eur(total),
        method: PaymentMethod::AtCinema,
        buyer: None,
        seed: [7; 16],
    }
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::with(|_| ())
    }

    pub(crate) fn with(change: impl FnOnce(&mut Terms)) -> Self {
        let mut terms = example::terms();
        change(&mut terms);
        Self { house: House::new(Arc::new(terms)), now: example::NOW.parse().expect("noon"), next: 1 }
    }

    pub(crate) fn wait(&mut self, seconds: i64) {
        self.now = after(self.now, seconds);
    }

    /// As the server does it: advance, decide, apply, and check every invariant.
    pub(crate) fn run(&mut self, command: &Command) -> Result<Changes, Refusal> {
        let lapsed = self.house.advance(self.now);
        self.apply(lapsed);
        let changes = self.house.decide(command, self.now)?;
        self.apply(changes.clone());
        Ok(changes)
    }

    pub(crate) fn apply(&mut self, changes: Changes) {
        if !changes.is_empty() {
            self.house.apply(changes).expect("changes fit the house they were decided on");
            self.house.saved(self.house.version() + 1, self.now);
        }
        assert_eq!(self.house.violations(), []);
    }

    pub(crate) fn wish(&mut self, who: &str, seats: &[&str]) -> PlaceHold {
        let hold = HoldKey(self.next);
        self.next += 1;
        let seats = seats.iter().map(|s| (seat(s), None)).collect();
        PlaceHold {
            hold,
            owner: owner(who),
            network: None,
            seats,
            areas: vec![],
            best: None,
            ttl_s: None,
            admission: Admission::None,
        }
    }

    pub(crate) fn hold(&mut self, who: &str, seats: &[&str]) -> Result<HoldKey, Refusal> {
        let wish = self.wish(who, seats);
        let key = wish.hold;
        self.run(&Command::PlaceHold(wish)).map(|_| key)
    }

    pub(crate) fn hold_area(&mut self, who: &str, area: &str, count: u32) -> Result<HoldKey, Refusal> {
        let mut wish = self.wish(who, &[]);
        wish.areas.push((AreaId::parse(area).expect(area), count, None));
        let key = wish.hold;
        self.run(&Command::PlaceHold(wish)).map(|_| key)
    }

    pub(crate) fn release(&mut self, who: &str, hold: HoldKey) -> Result<Changes, Refusal> {
        self.run(&Command::Release { hold, by: By::Owner(owner(who)) })
    }

    pub(crate) fn extend(&mut self, who: &str, hold: HoldKey, ttl_s: u32) -> Result<Changes, Refusal> {
        self.run(&Command::Extend { hold, owner: owner(who), ttl_s: Some(ttl_s) })
    }

    pub(crate) fn book(&mut self, who: &str, hold: HoldKey, choice: Choice) -> Result<Changes, Refusal> {
        self.run(&Command::Book { hold, owner: owner(who), choice })
    }

    /// A booking of one adult on each of these seats.
    pub(crate) fn booked(&mut self, who: &str, seats: &[&str]) -> HoldKey {
        let hold = self.hold(who, seats).expect("free");
        let tickets: Vec<(&str, &str)> = seats.iter().map(|s| (*s, "adult")).collect();
        let total = 50 + 1000 * i64::try_from(seats.len()).expect("few");
        self.book(who, hold, choice(&tickets, total)).expect("books");
        hold
    }

    pub(crate) fn get(&self, key: HoldKey) -> &Hold {
        self.house.hold(key).expect("a hold")
    }

    pub(crate) fn place(&self, id: &str) -> Place {
        self.house.terms().plan.place(seat(id)).expect(id)
    }

    pub(crate) fn is_free(&self, id: &str) -> bool {
        self.house.claim(self.place(id)).is_none()
    }
}

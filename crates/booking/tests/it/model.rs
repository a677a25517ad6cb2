//! A small model of a house, written without a look at the real one, and 100,000 random evenings on which both agree.

use std::collections::BTreeMap;

use admit_booking::{By, Cancellation, Command, HoldKey, Refusal};
use admit_protocol::seats::NotFree;
use admit_protocol::time::after;
use proptest::prelude::*;

use crate::stage::{Stage, choice, owner, seat};

const SEATS: [&str; 8] = ["A1", "A2", "A3", "A4", "B1", "B2", "B3", "B4"];
const WHO: [&str; 3] = ["anna", "ben", "carla"];

/// Who has a seat, as the model sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Has {
    Nobody,
    Hold(usize),
    Cinema,
}

/// What became of a hold, as the model sees it. Times are seconds since noon.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Is {
    Choosing {
        until: i64,
    },
    Paying {
        until: i64,
    },
    Closing {
        until: i64,
    },
    Unpaid {
        by: i64,
    },
    Paid,
    /// Over; money may still come for it if it was being paid.
    Over {
        was_paying: bool,
    },
    MoneyGoesBack,
}

struct ModelHold {
    who: usize,
    seats: Vec<usize>,
    born: i64,
    is: Is,
}

/// The rules, as a person would tell them.
struct Model {
    now: i64,
    seats: [Has; 8],
    holds: Vec<ModelHold>,
}

const COLLECT_BY: i64 = 27_000;
const START: i64 = 28_800;

impl Model {
    fn new() -> Self {
        Self { now: 0, seats: [Has::Nobody; 8], holds: vec![] }
    }

    fn free_seats_of(&mut self, hold: usize) {
        for seat in &mut self.seats {
            if *seat == Has::Hold(hold) {
                *seat = Has::Nobody;
            }
        }
    }

    fn time_passes(&mut self) {
        for n in 0..self.holds.len() {
            let bound = self.holds[n].born + 3000;
            match self.holds[n].is {
                Is::Choosing { until } if until <= self.now => {
                    self.holds[n].is = Is::Over { was_paying: false };
                    self.free_seats_of(n);
                }
                Is::Paying { until } if until <= self.now => {
                    let until = (until + 300).min(bound);
                    self.holds[n].is = Is::Closing { until };
                    if until <= self.now {
                        self.holds[n].is = Is::Over { was_paying: true };
                        self.free_seats_of(n);
                    }
                }
                Is::Closing { until } if until <= self.now => {
                    self.holds[n].is = Is::Over { was_paying: true };
                    self.free_seats_of(n);
                }
                Is::Unpaid { by } if by <= self.now => self.free_seats_of(n),
                _ => {}
            }
        }
    }

    /// Returns whether the hold is placed.
    fn hold(&mut self, who: usize, wanted: &[usize]) -> bool {
        let open = (0..START).contains(&self.now);
        let living = |h: &&ModelHold| {
            h.who == who && matches!(h.is, Is::Choosing { .. } | Is::Paying { .. } | Is::Closing { .. })
        };
        let all_free = wanted.iter().all(|s| self.seats[*s] == Has::Nobody);
        // B2 (5) is for the companion of B1 (4).
        let own = matches!(self.seats[4], Has::Hold(h) if self.holds[h].who == who);
        let company = !wanted.contains(&5) || wanted.contains(&4) || own;
        if !open || wanted.is_empty() || self.holds.iter().filter(living).count() >= 2 || !all_free || !company {
            return false;
        }
        for seat in wanted {
            self.seats[*seat] = Has::Hold(self.holds.len());
        }
        let is = Is::Choosing { until: self.now + 300 };
        self.holds.push(ModelHold { who, seats: wanted.to_vec(), born: self.now, is });
        true
    }

    fn choosing(&self, hold: usize, who: usize) -> bool {
        self.holds[hold].who == who && matches!(self.holds[hold].is, Is::Choosing { .. })
    }
}

/// One step of an evening, from three random numbers.
fn step(
    s: &mut Stage,
    model: &mut Model,
    keys: &mut Vec<HoldKey>,
    (kind, a, b): (u8, u8, u8),
) -> Result<(), TestCaseError> {
    let who = usize::from(a % 3);
    let pick = || keys.get(usize::from(b) % keys.len().max(1)).copied().map(|k| (usize::from(b) % keys.len(), k));
    // A short stretch of the bits of `b`: neighbouring seats, often in the way of somebody.
    let wanted: Vec<usize> = (0..usize::from(b % 4)).map(|n| (usize::from(b / 4) + n) % 8).collect();
    let full = |model: &Model, n: usize| -> (Vec<(&'static str, &'static str)>, i64) {
        let tickets: Vec<_> = model.holds[n].seats.iter().map(|s| (SEATS[*s], "adult")).collect();
        let total = 50 + 1000 * i64::try_from(tickets.len()).expect("few");
        (tickets, total)
    };
    match kind % 12 {
        0..=3 => {
            let names: Vec<&str> = wanted.iter().map(|s| SEATS[*s]).collect();
            let real = s.hold(WHO[who], &names);
            prop_assert_eq!(real.is_ok(), model.hold(who, &wanted), "hold {:?} for {}: {:?}", names, WHO[who], real);
            keys.extend(real);
        }
        4 => {
            if let Some((n, key)) = pick() {
                let booked = matches!(model.holds[n].is, Is::Unpaid { .. } | Is::Paid);
                let real = s.release(WHO[who], key);
                prop_assert_eq!(real.is_ok(), model.holds[n].who == who && !booked);
                if real.is_ok() {
                    match model.holds[n].is {
                        Is::Choosing { .. } => {
                            model.holds[n].is = Is::Over { was_paying: false };
                            model.free_seats_of(n);
                        }
                        Is::Paying { until } => {
                            let until = (until + 300).min(model.holds[n].born + 3000);
                            model.holds[n].is = Is::Closing { until };
                        }
                        _ => {}
                    }
                }
            }
        }
        5 => {
            if let Some((n, key)) = pick() {
                let real = s.extend(WHO[who], key, 600);
                prop_assert_eq!(real.is_ok(), model.choosing(n, who));
                if let Is::Choosing { until } = model.holds[n].is
                    && real.is_ok()
                {
                    let later = (model.now + 600).min(model.holds[n].born + 900);
                    model.holds[n].is = Is::Choosing { until: until.max(later) };
                }
            }
        }
        6 | 7 => {
            if let Some((n, key)) = pick() {
                let (tickets, total) = full(model, n);
                let real = s.book(WHO[who], key, choice(&tickets, total));
                prop_assert_eq!(real.is_ok(), model.choosing(n, who) && model.now < START, "{:?}", real);
                if real.is_ok() {
                    let by = if model.now + 900 < COLLECT_BY { COLLECT_BY } else { START };
                    model.holds[n].is = Is::Unpaid { by };
                }
            }
        }
        8 => {
            if let Some((n, key)) = pick() {
                let (tickets, total) = full(model, n);
                let command = Command::BeginPayment {
                    hold: key,
                    owner: owner(WHO[who]),
                    choice: choice(&tickets, total),
                    until: after(s.now, 1800),
                };
                let real = s.run(&command);
                prop_assert_eq!(real.is_ok(), model.choosing(n, who));
                if real.is_ok() {
                    let until = (model.now + 1800).min(model.holds[n].born + 2700);
                    model.holds[n].is = Is::Paying { until };
                }
            }
        }
        9 => {
            if let Some((n, key)) = pick() {
                let paid = a % 2 == 0;
                let real = s.run(&Command::EndPayment { hold: key, paid });
                prop_assert_eq!(real.is_err(), matches!(model.holds[n].is, Is::Choosing { .. }));
                let all_free = model.holds[n].seats.iter().all(|seat| model.seats[*seat] == Has::Nobody);
                match (model.holds[n].is, paid) {
                    (Is::Paying { .. } | Is::Closing { .. }, true) => model.holds[n].is = Is::Paid,
                    (Is::Paying { .. } | Is::Closing { .. }, false) => {
                        model.holds[n].is = Is::Over { was_paying: true };
                        model.free_seats_of(n);
                    }
                    (Is::Over { was_paying: true }, true) if all_free => {
                        for seat in model.holds[n].seats.clone() {
                            model.seats[seat] = Has::Hold(n);
                        }
                        model.holds[n].is = Is::Paid;
                    }
                    (Is::Over { was_paying: true }, true) => model.holds[n].is = Is::MoneyGoesBack,
                    _ => {}
                }
            }
        }
        10 => {
            let seats = wanted.iter().map(|n| seat(SEATS[*n])).collect();
            let anybody = wanted.iter().any(|n| matches!(model.seats[*n], Has::Hold(_)));
            let (command, has, ok) = if a % 2 == 0 {
                let command = Command::Block { seats, reason: admit_booking::BlockReason::House, until: None };
                (command, Has::Cinema, !anybody && !wanted.is_empty())
            } else {
                (Command::Unblock { seats }, Has::Nobody, !anybody)
            };
            prop_assert_eq!(s.run(&command).is_ok(), ok);
            if ok {
                for n in &wanted {
                    model.seats[*n] = has;
                }
            }
        }
        _ => {
            if let Some((n, key)) = pick() {
                let booked = matches!(model.holds[n].is, Is::Unpaid { .. } | Is::Paid);
                let stands = model.seats.contains(&Has::Hold(n));
                let quote = s.house.quote_cancellation(key, owner(WHO[who]), &[], s.now);
                let in_time = match model.holds[n].is {
                    Is::Unpaid { by } => model.now < by,
                    _ => model.now < START - 7200,
                };
                // B1 is a wheelchair space; B2 is its companion's seat, and may be of another purchase of the same buyer.
                let companion = match (model.seats[4], model.seats[5]) {
                    (Has::Hold(space), Has::Hold(other)) => space == n && other != n && model.holds[other].who == who,
                    _ => false,
                };
                let may = model.holds[n].who == who && booked && stands && in_time && !companion;
                prop_assert_eq!(quote.is_ok(), may, "{:?}", quote);
                if let Ok(quote) = quote {
                    let cancellation = Cancellation::Quoted { owner: owner(WHO[who]), quote: quote.id };
                    s.run(&Command::Cancel { booking: key, cancellation })
                        .map_err(|r| TestCaseError::fail(format!("{r:?}")))?;
                    model.free_seats_of(n);
                }
            }
        }
    }
    Ok(())
}

fn evening(steps: &[(u8, u8, u8)]) -> Result<(), TestCaseError> {
    let mut s = Stage::new();
    let mut model = Model::new();
    let mut keys = Vec::new();
    for &(kind, a, b) in steps {
        // From nothing over seconds to hours.
        let pause = [0, 0, 1, 7, 60, 299, 300, 301, 600, 1800, 2100, 3600][usize::from(kind / 12) % 12];
        s.wait(pause);
        model.now += pause;
        let lapsed = s.house.advance(s.now);
        s.apply(lapsed);
        model.time_passes();
        step(&mut s, &mut model, &mut keys, (kind, a, b))?;
        for (n, name) in SEATS.iter().enumerate() {
            let real = s.house.not_free(s.place(name));
            let modelled = match model.seats[n] {
                Has::Nobody => None,
                Has::Cinema => Some(NotFree::Blocked),
                Has::Hold(h) if matches!(model.holds[h].is, Is::Unpaid { .. } | Is::Paid) => Some(NotFree::Sold),
                Has::Hold(_) => Some(NotFree::Held),
            };
            prop_assert_eq!(real, modelled, "{} after {:?}", name, (kind, a, b));
        }
    }
    // H1: in the end nothing is stuck.
    s.wait(24 * 3600);
    for _ in 0..2 {
        let lapsed = s.house.advance(s.now);
        s.apply(lapsed);
    }
    prop_assert!(s.house.holds().all(|h| h.booking().is_some() || !h.state.claims_seats()));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100_000, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn the_house_and_its_model_agree_on_every_evening(steps in prop::collection::vec(any::<(u8, u8, u8)>(), 1..40)) {
        evening(&steps)?;
    }
}

proptest! {
    #[test]
    fn a_refused_command_changes_nothing(steps in prop::collection::vec(any::<(u8, u8, u8)>(), 1..20), wish in any::<u8>()) {
        let mut s = Stage::new();
        let (mut model, mut keys) = (Model::new(), Vec::new());
        for one in steps {
            step(&mut s, &mut model, &mut keys, one)?;
        }
        let before: BTreeMap<_, _> = SEATS.iter().map(|n| (*n, s.house.claim(s.place(n)))).collect();
        let names: Vec<&str> = SEATS.iter().enumerate().filter(|(n, _)| wish >> n & 1 == 1).map(|(_, s)| *s).collect();
        if s.hold("dora", &names).is_err() {
            let after: BTreeMap<_, _> = SEATS.iter().map(|n| (*n, s.house.claim(s.place(n)))).collect();
            prop_assert_eq!(before, after);
        }
        let unknown = HoldKey(u128::MAX);
        prop_assert_eq!(s.run(&Command::Release { hold: unknown, by: By::Staff }).err(), Some(Refusal::NotFound));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn who_takes_over_what_changed_has_the_same_house(steps in prop::collection::vec(any::<(u8, u8, u8)>(), 1..40)) {
        let mut s = Stage::new();
        let (mut model, mut keys) = (Model::new(), Vec::new());
        let mut follower = s.house.clone();
        for (n, one) in steps.into_iter().enumerate() {
            s.wait([0, 1, 299, 3600][usize::from(one.1) % 4]);
            model.now = s.now.duration_since(admit_booking::example::NOW.parse().expect("noon")).as_secs();
            let lapsed = s.house.advance(s.now);
            s.apply(lapsed);
            model.time_passes();
            step(&mut s, &mut model, &mut keys, one)?;
            let blocks = |house: &admit_booking::House| {
                house.claims().filter(|(_, claim)| matches!(claim, admit_booking::Claim::Block(_))).collect::<Vec<_>>()
            };
            if blocks(&s.house) != blocks(&follower) {
                // More than holds changed: such a house is loaded.
                follower = s.house.clone();
            }
            // Not after every step: holds may come, go and be followed by others on the same seats in between.
            if n % 3 == 2 {
                let changed = s.house.holds().filter(|hold| follower.hold(hold.key) != Some(hold)).cloned().collect();
                let took = follower.catch_up(changed, s.house.version(), s.house.now());
                prop_assert!(took.is_ok(), "{:?}", took);
                prop_assert!(follower.claims().eq(s.house.claims()));
                prop_assert!(follower.holds().eq(s.house.holds()));
                prop_assert_eq!(follower.violations(), []);
                prop_assert_eq!(follower.next_deadline(), s.house.next_deadline());
            }
        }
    }
}

//! Choosing seats for people: the rules about what may be left over, and the best that is left for a party.
//!
//! Both look at a [`Hall`]: a plan, and which of its places are free. Nothing else is asked for, so a server decides by this and an
//! app shows by it, and both say the same.

mod best;
mod rules;

use std::cell::OnceCell;

use admit_protocol::layout::{Seat, SeatKind};
use admit_protocol::screening::SeatRules;

pub use self::best::{Party, Pick};
pub use self::rules::SeatRule;
use crate::plan::{Place, Plan};

/// The seats of a screening as they are taken now.
pub struct Hall<'a> {
    plan: &'a Plan,
    free: &'a dyn Fn(Place) -> bool,
    rules: SeatRules,
    /// Whether companions' seats are sold to anybody by now.
    companions_released: bool,
    /// How many chairs there are that anybody may buy, and how many of them are free: counted when a rule asks.
    ordinary: OnceCell<(usize, usize)>,
}

impl<'a> Hall<'a> {
    /// A hall of which `free` says what nobody has.
    pub fn new(plan: &'a Plan, free: &'a dyn Fn(Place) -> bool, rules: SeatRules, companions_released: bool) -> Self {
        Self { plan, free, rules, companions_released, ordinary: OnceCell::new() }
    }

    fn seats(&self) -> impl Iterator<Item = (Place, &'a Seat)> + use<'a> {
        (0..).map(Place).zip(&self.plan.layout().seats)
    }

    /// Whether this is a chair that anybody may buy: no space for a wheelchair, and no companion's seat before its time.
    pub(crate) fn is_ordinary(&self, place: Place) -> bool {
        self.plan.seat(place).is_some_and(|seat| match seat.kind {
            SeatKind::WheelchairSpace => false,
            SeatKind::Companion => self.companions_released,
            _ => true,
        })
    }

    /// Whether anybody could buy this seat now.
    fn is_open(&self, place: Place) -> bool {
        self.is_ordinary(place) && (self.free)(place)
    }

    /// The runs of seats side by side that anybody could buy, from left to right.
    fn runs(&self) -> Vec<Vec<Place>> {
        let mut runs = Vec::new();
        for (place, _) in self.seats().filter(|(place, _)| self.is_open(*place)) {
            let [left, _] = self.plan.beside(place);
            if left.is_some_and(|left| self.is_open(left)) {
                continue;
            }
            let next = |place: &Place| self.plan.beside(*place)[1].filter(|right| self.is_open(*right));
            // A row that bites its own tail is no row: layouts are checked, and this ends all the same.
            runs.push(std::iter::successors(Some(place), next).take(self.plan.len()).collect());
        }
        runs
    }
}

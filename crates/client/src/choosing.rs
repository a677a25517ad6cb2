//! Choosing seats before anything is held: by the same code as the server that decides.

use admit_booking::seating::{Hall, Party, Pick, SeatRule};
use admit_booking::{Place, Plan};
use admit_protocol::hold::Best;
use admit_protocol::id::SeatId;
use admit_protocol::layout::{Layout, LayoutError};
use admit_protocol::price::PriceTable;
use admit_protocol::screening::{Screening, SeatRules};
use admit_protocol::seats::Seats;
use jiff::Timestamp;

/// The seats of a screening as they were when they were asked for.
#[derive(Debug)]
pub struct Choosing {
    plan: Plan,
    free: Vec<bool>,
    rules: SeatRules,
    companions_released: bool,
}

/// Seats for a party, and what is to be said of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The seats, from front to back and left to right.
    pub seats: Vec<SeatId>,
    /// In how many groups of neighbours they are: one is side by side.
    pub groups: usize,
    /// How many of the party have nobody of it beside them.
    pub alone: usize,
    /// How many seats beside them would be left alone.
    pub leaves_alone: usize,
    /// From how many of them not all of the screen is seen.
    pub restricted: usize,
}

/// Free seats that would be left over as the cinema does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeftOver {
    /// Single ones, between taken seats.
    #[error("{} would be left alone: take what is left, too, or move by one", names(.0))]
    Alone(Vec<SeatId>),
    /// Parts of sofas that are sold whole.
    #[error("{} belong to the same sofa, which is sold whole: take them, too", names(.0))]
    PartOfGroup(Vec<SeatId>),
}

fn names(seats: &[SeatId]) -> String {
    seats.iter().map(SeatId::as_str).collect::<Vec<_>>().join(", ")
}

impl Choosing {
    /// From what a server says of a screening, at `now` by its clock.
    ///
    /// # Errors
    /// When the layout is not sound.
    pub fn new(screening: &Screening, layout: Layout, seats: &Seats, now: Timestamp) -> Result<Self, LayoutError> {
        let plan = Plan::new(seats.layout, layout)?;
        let mut free = vec![true; plan.len()];
        for place in seats.not_free.values().flatten().filter_map(|seat| plan.place(*seat)) {
            free[place.index()] = false;
        }
        let companions_released = screening.accessible_release_at.is_some_and(|at| now >= at);
        Ok(Self { plan, free, rules: screening.seat_rules, companions_released })
    }

    /// The hall as it is when nobody has a seat: what would be in vain now may come free, what would be in vain here never fits.
    ///
    /// # Errors
    /// When the layout contradicts itself.
    pub fn in_empty_hall(screening: &Screening, layout: Layout, now: Timestamp) -> Result<Self, LayoutError> {
        let plan = Plan::new(screening.layout, layout)?;
        let companions_released = screening.accessible_release_at.is_some_and(|at| now >= at);
        Ok(Self { free: vec![true; plan.len()], plan, rules: screening.seat_rules, companions_released })
    }

    fn in_hall<T>(&self, look: impl FnOnce(&Hall<'_>) -> T) -> T {
        let free = |place: Place| self.free.get(place.index()).copied().unwrap_or(false);
        look(&Hall::new(&self.plan, &free, self.rules, self.companions_released))
    }

    /// The best numbered seats for a party at these prices, and then the next best: at most `count` choices, with no seat in common.
    /// None, if there are not so many together, and the party does not want to be split.
    #[must_use]
    pub fn best(&self, wish: &Best, table: &PriceTable, count: usize) -> Vec<Choice> {
        let party = Party::of(wish, table);
        let choice = |Pick { groups, alone, orphans, restricted, places, .. }: Pick| Choice {
            seats: places.iter().map(|place| self.plan.seat_id(*place)).collect(),
            groups,
            alone,
            leaves_alone: orphans,
            restricted,
        };
        self.in_hall(|hall| hall.best(&party, count)).into_iter().map(choice).collect()
    }

    /// Whether the cinema's rules let these seats be held together. Those that it does not have are passed over.
    ///
    /// # Errors
    /// With the seats that would be left over.
    pub fn check(&self, seats: &[SeatId]) -> Result<(), LeftOver> {
        let places: Vec<Place> = seats.iter().filter_map(|seat| self.plan.place(*seat)).collect();
        let named = |left: Vec<Place>| left.iter().map(|place| self.plan.seat_id(*place)).collect();
        self.in_hall(|hall| hall.check(&places)).map_err(|rule| match rule {
            SeatRule::LeavesAlone(left) => LeftOver::Alone(named(left)),
            SeatRule::PartOfGroup(left) => LeftOver::PartOfGroup(named(left)),
        })
    }
}

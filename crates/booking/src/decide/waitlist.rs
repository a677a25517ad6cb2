//! Waiting for seats: who may, and what is offered to whom when places come free.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use admit_protocol::hold::Best;
use admit_protocol::layout::SeatKind;
use admit_protocol::seats::SalesState;
use admit_protocol::time::after;
use jiff::Timestamp;

use super::hold::best_places;
use crate::HOLD_LIFE_MAX_S;
use crate::changes::{Block, BlockReason, Changes, Claim};
use crate::command::{By, JoinWaitlist};
use crate::hold::{HeldPlace, Hold, HoldKey, HoldState};
use crate::house::House;
use crate::plan::Place;
use crate::queue::check_admission;
use crate::refusal::Refusal;
use crate::seating::{Hall, Party};
use crate::terms::Terms;
use crate::waitlist::{Entry, EntryKey, EntryState};

/// How often a party lets an offer lapse and stands in line again (WAIT-005).
const LAPSES_MAX: u8 = 2;
/// How often a party is passed over before places are kept for it (W3).
const PASSED_OVER_MAX: u8 = 5;
/// How long who is first in line and was passed over waits before places are kept for it, in seconds (W3).
const FIRST_PASSED_S: i64 = 15 * 60;
/// How long before the start places are kept for nobody any more, in seconds (W3).
const KEPT_UNTIL_S: i64 = 20 * 60;
/// Parties of one network that may wait for one screening (W7).
const PER_NETWORK_MAX: usize = 10;

impl House {
    pub(super) fn join_waitlist(&self, wish: &JoinWaitlist, now: Timestamp) -> Result<Changes, Refusal> {
        let terms = &self.terms;
        let policy = terms.waitlist.as_ref().ok_or(Refusal::NoWaitlist)?;
        terms.check_sold(now)?;
        check_admission(terms.queue.as_ref(), wish.admission, now)?;
        self.check_party(&wish.best)?;
        // Who could never book what is offered keeps it from others for nothing.
        if let Some(all) = wish.best.ticket_type {
            let tickets = vec![all; usize::from(wish.best.count)];
            let broken = terms.prices.table.check_types(&tickets);
            broken.map_err(|rule| Refusal::TicketRule { seat: None, rule })?;
        }
        if best_places(terms, &|_| true, &wish.best, now).is_err() {
            return Err(Refusal::NeverFits);
        }
        if self.waitlist.knows(wish.owner) {
            return Err(Refusal::AlreadyWaiting);
        }
        let free = |place: Place| self.claim(place).is_none();
        if best_places(terms, &free, &wish.best, now).is_ok() {
            return Err(Refusal::SeatsAvailable);
        }
        if self.waitlist.waiting() >= usize::try_from(policy.entries_max).unwrap_or(usize::MAX) {
            return Err(Refusal::WaitlistFull { max: policy.entries_max });
        }
        if wish.network.is_some_and(|network| self.waitlist.of_network(network) >= PER_NETWORK_MAX) {
            return Err(Refusal::NetworkWaitsTooMuch { max: PER_NETWORK_MAX });
        }
        let entry = Entry {
            key: wish.entry,
            owner: wish.owner,
            network: wish.network,
            best: wish.best.clone(),
            buyer: wish.buyer.clone(),
            created_at: now,
            turn: self.waitlist.next_turn(),
            lapses: 0,
            passed_over: 0,
            passed_at: None,
            state: EntryState::Waiting,
        };
        Ok(Changes { entries: vec![entry], ..Changes::default() })
    }

    pub(super) fn leave_waitlist(&self, key: EntryKey, by: By, now: Timestamp) -> Result<Changes, Refusal> {
        let entry = self.entry_by(key, by)?;
        match entry.state {
            EntryState::Waiting => {
                let entry = entry.clone().fresh(EntryState::Gone);
                Ok(Changes { entries: vec![entry], ..Changes::default() })
            }
            EntryState::Offered(hold) => self.release(hold, by, now),
            EntryState::Taken(_) => Err(Refusal::HoldConverted),
            // Over already: done again, it is done.
            EntryState::Declined(_) | EntryState::Gone => Ok(Changes::default()),
        }
    }

    pub(super) fn entry_by(&self, key: EntryKey, by: By) -> Result<&Entry, Refusal> {
        let entry = self.waitlist.get(key).filter(|entry| match by {
            By::Owner(owner) => entry.owner == owner,
            By::Staff => true,
        });
        entry.ok_or(Refusal::NotFound)
    }

    /// What follows from changes for those who wait, in the same save (W1, W4): entries go the way of their offers, and what came free
    /// is offered down the line.
    pub(super) fn then_offer(&self, mut changes: Changes, now: Timestamp) -> Changes {
        if self.waitlist.is_quiet() || changes.is_empty() {
            return changes;
        }
        self.follow_offers(&mut changes);
        // Places that are taken bring a seat to nobody, unless a rule about what is left over is relaxed in a hall that fills.
        let brings = !changes.freed.is_empty()
            || !changes.entries.is_empty()
            || changes.terms.is_some()
            || changes.line_looked_at.is_some()
            || (!changes.claimed.is_empty() && !self.terms.seat_rules.is_default());
        if brings { Offering::of(self, changes, now).run() } else { changes }
    }

    /// W4, W5: what became of an offer became of its entry.
    fn follow_offers(&self, changes: &mut Changes) {
        let mut turn = self.waitlist.next_turn();
        for (hold, state) in &changes.moved {
            let offered = self.waitlist.of_offer(*hold).filter(|entry| entry.state == EntryState::Offered(*hold));
            let Some(entry) = offered.cloned() else { continue };
            let entry = match state {
                HoldState::Converted(_) => entry.fresh(EntryState::Taken(*hold)),
                HoldState::Released { .. } => entry.fresh(EntryState::Declined(*hold)),
                HoldState::Expired { .. } | HoldState::RefundDue { .. } if entry.lapses >= LAPSES_MAX => {
                    entry.fresh(EntryState::Gone)
                }
                HoldState::Expired { .. } | HoldState::RefundDue { .. } => {
                    turn += 1;
                    let lapses = entry.lapses + 1;
                    Entry { turn: turn - 1, lapses, ..entry.fresh(EntryState::Waiting) }
                }
                HoldState::Active { .. } | HoldState::Paying { .. } | HoldState::Closing { .. } => continue,
            };
            changes.entries.push(entry);
        }
    }

    /// Why somebody who waits could have seats now (W6): for tests, which look at a house when it is quiet.
    #[must_use]
    pub fn unserved(&self, now: Timestamp) -> Option<EntryKey> {
        let free = |place: Place| self.claim(place).is_none();
        let open = self.terms.sales_state(now).is_open();
        let mut line = self.waitlist.line().filter(|_| open);
        line.find(|entry| best_places(&self.terms, &free, &entry.best, now).is_ok()).map(|entry| entry.key)
    }
}

/// Walks down the line with what is free, as changes leave the house.
struct Offering<'a> {
    house: &'a House,
    terms: &'a Terms,
    now: Timestamp,
    changes: Changes,
    /// Who has each place that the changes touch, once they are made.
    after: BTreeMap<Place, Option<Claim>>,
    /// Who waits, in order.
    line: Vec<Entry>,
    /// Entries that are not as they were.
    changed: BTreeMap<EntryKey, Entry>,
    /// Who was passed over by this: once, however often the line is walked.
    passed: HashSet<EntryKey>,
}

impl<'a> Offering<'a> {
    fn of(house: &'a House, mut changes: Changes, now: Timestamp) -> Self {
        let mut after: BTreeMap<Place, Option<Claim>> = changes.freed.iter().map(|(place, _)| (*place, None)).collect();
        after.extend(changes.claimed.iter().map(|(place, claim)| (*place, Some(*claim))));
        let changed: BTreeMap<EntryKey, Entry> =
            std::mem::take(&mut changes.entries).into_iter().map(|entry| (entry.key, entry)).collect();
        let mut line: Vec<Entry> =
            house.waitlist.line().filter(|entry| !changed.contains_key(&entry.key)).cloned().collect();
        line.extend(changed.values().filter(|entry| entry.waits()).cloned());
        line.sort_by_key(|entry| entry.turn);
        let terms: &'a Terms = &house.terms;
        Self { house, terms, now, changes, after, line, changed, passed: HashSet::new() }
    }

    fn run(mut self) -> Changes {
        let terms = self.changes.terms.clone();
        let terms = terms.as_deref().unwrap_or(self.terms);
        let sales = terms.sales_state(self.now);
        let came_free = self.came_free();
        if sales.is_open() && terms.waitlist.is_some() {
            let mut kept = BTreeSet::new();
            if self.changes.terms.is_some() || self.changes.line_looked_at.is_some() {
                // What was kept by other terms is let go, and kept again if it has to be.
                kept.extend(self.let_go(|_, _| false));
            }
            // Each round but the last lets go of places that were kept, and keeps none again that nobody is short of.
            for _ in 0..=self.line.len() {
                self.walk(terms, &came_free, &kept);
                kept = self.let_go(|this, place| this.is_wanted(place, terms));
                if kept.is_empty() {
                    break;
                }
            }
        } else if terms.waitlist.is_none() || !matches!(sales, SalesState::Paused | SalesState::NotYetOpen) {
            self.let_go(|_, _| false);
        }
        self.into_changes()
    }

    fn claim(&self, place: Place) -> Option<Claim> {
        self.after.get(&place).copied().unwrap_or_else(|| self.house.claim(place))
    }

    /// Places that nobody has and that somebody had.
    fn came_free(&self) -> BTreeSet<Place> {
        let freed = self.after.iter().filter(|(place, claim)| claim.is_none() && self.house.claim(**place).is_some());
        freed.map(|(place, _)| *place).collect()
    }

    /// Places that are kept for somebody in line.
    fn kept(&self) -> Vec<Place> {
        let before = self.house.claims().filter(|(place, _)| !self.after.contains_key(place));
        let after = self.after.iter().filter_map(|(place, claim)| Some((*place, (*claim)?)));
        before.chain(after).filter(|(_, claim)| is_kept(claim)).map(|(place, _)| place).collect()
    }

    /// Whether a place that came free counts as one that this party was passed over with: not if it was free while the party waited,
    /// and somebody only held it for a while.
    fn counts(&self, entry: &Entry, place: Place) -> bool {
        match self.house.claim(place) {
            Some(Claim::Hold(key)) => {
                let hold = self.house.hold(key);
                hold.is_none_or(|hold| hold.booking().is_some() || hold.created_at < entry.created_at)
            }
            _ => true,
        }
    }

    /// One walk down the line: each party is offered what fits it. What came free and is of use to one that was passed over too often is
    /// kept for it, and nobody behind it gets that.
    fn walk(&mut self, terms: &Terms, came_free: &BTreeSet<Place>, kept: &BTreeSet<Place>) {
        let mut starved: Vec<Party> = Vec::new();
        // Parties for which there is nothing among what is free now.
        let mut unfit: Vec<(Best, usize)> = Vec::new();
        for entry in std::mem::take(&mut self.line) {
            let party = Party::of(&entry.best, &terms.prices.table);
            let known = unfit.iter().any(|(best, behind)| *best == entry.best && *behind == starved.len());
            let fit = (!known).then(|| {
                let free = |place: Place| match self.claim(place) {
                    None => true,
                    Some(claim) if is_kept(&claim) => !starved.iter().any(|before| self.may_have(before, place, terms)),
                    Some(_) => false,
                };
                best_places(terms, &free, &entry.best, self.now).ok()
            });
            if let Some(places) = fit.flatten() {
                self.offer(entry, places, terms);
                unfit.clear();
                continue;
            }
            unfit.extend((!known).then(|| (entry.best.clone(), starved.len())));
            let free = came_free.union(kept).copied().filter(|place| self.claim(*place).is_none());
            let of_use: Vec<Place> = free.filter(|place| self.may_have(&party, *place, terms)).collect();
            let first = self.line.is_empty();
            if is_starved(&entry, first, terms, self.now) {
                let until = Some(after(terms.starts_at, -KEPT_UNTIL_S));
                let kept = Claim::Block(Block { reason: BlockReason::Waitlist, until });
                self.after.extend(of_use.into_iter().map(|place| (place, Some(kept))));
                starved.push(party);
                self.line.push(entry);
            } else {
                let passed = of_use.iter().any(|place| came_free.contains(place) && self.counts(&entry, *place));
                let entry = if passed { self.pass_over(entry, first, terms) } else { entry };
                self.line.push(entry);
            }
        }
    }

    /// Whether this party may have that place, if it is free.
    fn may_have(&self, party: &Party, place: Place, terms: &Terms) -> bool {
        let hall = Hall::new(&terms.plan, &|_| true, terms.seat_rules, terms.companions_released(self.now));
        let fits = match (terms.plan.seat(place).map(|seat| seat.kind), party.wheelchairs) {
            (None, wheelchairs) => wheelchairs == 0,
            (Some(_), 0) => hall.is_ordinary(place),
            (Some(SeatKind::WheelchairSpace), _) => true,
            // Chairs are for who comes with them.
            (Some(_), wheelchairs) => party.count > wheelchairs,
        };
        fits && terms.plan.zone(place).is_some_and(|zone| party.zones.contains(&zone))
    }

    /// Notes that places came free that this party may have, and that others get.
    fn pass_over(&mut self, entry: Entry, first: bool, terms: &Terms) -> Entry {
        // So late nothing is kept for anybody.
        if self.now >= after(terms.starts_at, -KEPT_UNTIL_S) || !self.passed.insert(entry.key) {
            return entry;
        }
        let passed_at = entry.passed_at.or(first.then_some(self.now));
        let entry = Entry { passed_over: (entry.passed_over + 1).min(PASSED_OVER_MAX), passed_at, ..entry };
        self.changed.insert(entry.key, entry.clone());
        entry
    }

    fn offer(&mut self, entry: Entry, places: Vec<HeldPlace>, terms: &Terms) {
        let key: HoldKey = entry.key.offer(entry.turn, self.now);
        for held in &places {
            self.after.insert(held.place, Some(Claim::Hold(key)));
        }
        let ttl = terms.waitlist.as_ref().map_or(0, |policy| i64::from(policy.offer_ttl_s)).min(HOLD_LIFE_MAX_S);
        let prices = terms.prices.clone();
        self.changes.placed.push(Hold {
            key,
            owner: entry.owner,
            network: entry.network,
            places,
            prices,
            created_at: self.now,
            seq: self.house.version() + 1,
            state: HoldState::Active { until: after(self.now, ttl) },
        });
        let entry = entry.fresh(EntryState::Offered(key));
        self.changed.insert(entry.key, entry);
    }

    /// Whether somebody in line who was passed over too often may have this place.
    fn is_wanted(&self, place: Place, terms: &Terms) -> bool {
        let mut starved = self.line.iter().enumerate().filter(|(n, entry)| is_starved(entry, *n == 0, terms, self.now));
        starved.any(|(_, entry)| self.may_have(&Party::of(&entry.best, &terms.prices.table), place, terms))
    }

    /// Lets go of what is kept, but for what is to stay so.
    fn let_go(&mut self, stays: impl Fn(&Self, Place) -> bool) -> BTreeSet<Place> {
        let let_go: BTreeSet<Place> = self.kept().into_iter().filter(|place| !stays(self, *place)).collect();
        self.after.extend(let_go.iter().map(|place| (*place, None)));
        let_go
    }

    /// What all of this comes to, against the house as it was.
    fn into_changes(self) -> Changes {
        let Self { house, mut changes, after, changed, .. } = self;
        changes.freed.clear();
        changes.claimed.clear();
        for (place, now) in after {
            let before = house.claim(place);
            if before != now {
                changes.freed.extend(before.map(|claim| (place, claim)));
                changes.claimed.extend(now.map(|claim| (place, claim)));
            }
        }
        changes.entries = changed.into_values().collect();
        changes
    }
}

/// Whether a place is kept for somebody in line.
fn is_kept(claim: &Claim) -> bool {
    matches!(claim, Claim::Block(Block { reason: BlockReason::Waitlist, .. }))
}

/// W3: whether a party was passed over too often.
fn is_starved(entry: &Entry, first: bool, terms: &Terms, now: Timestamp) -> bool {
    let waited = entry.passed_at.is_some_and(|at| now >= after(at, FIRST_PASSED_S));
    now < after(terms.starts_at, -KEPT_UNTIL_S) && (entry.passed_over >= PASSED_OVER_MAX || (first && waited))
}

//! Placing, extending and releasing holds.

use std::collections::BTreeSet;

use admit_protocol::hold::Best;
use admit_protocol::id::{AreaId, SeatId, TicketTypeId, ZoneId};
use admit_protocol::layout::SeatKind;
use admit_protocol::price::TicketRule;
use admit_protocol::problem::{ConflictReason, SeatConflict};
use admit_protocol::screening::SeatRules;
use admit_protocol::time::after;
use jiff::Timestamp;

use super::end;
use crate::changes::{Changes, Claim};
use crate::command::{By, PlaceHold};
use crate::hold::{HeldPlace, Hold, HoldKey, HoldState, Owner, TypeNo};
use crate::house::House;
use crate::plan::{AreaPlaces, Place};
use crate::queue::check_admission;
use crate::refusal::Refusal;
use crate::seating::{Hall, Party, SeatRule};
use crate::terms::Terms;

impl House {
    pub(super) fn place_hold(&self, wish: &PlaceHold, now: Timestamp) -> Result<Changes, Refusal> {
        let terms = &self.terms;
        terms.check_sold(now)?;
        check_admission(terms.queue.as_ref(), wish.admission, now)?;
        let chosen = wish.best.as_ref().map_or(0, |best| u64::from(best.count));
        let count = chosen + wish.seats.len() as u64 + wish.areas.iter().map(|(_, n, _)| u64::from(*n)).sum::<u64>();
        if count == 0 {
            return Err(Refusal::NoSeats);
        }
        let max = terms.hold_policy.seats_max;
        if count > u64::from(max) {
            return Err(Refusal::TooManySeats { max });
        }
        wish.best.iter().try_for_each(|best| self.check_party(best))?;
        let places = match &wish.best {
            Some(best) => {
                let free = |place: Place| self.claim(place).is_none();
                best_places(terms, &free, best, now).map_err(|most| not_together(terms, best, most, now))?
            }
            None => self.wanted_places(wish, now)?,
        };
        self.check_left_over(&places, now)?;
        self.check_limits(wish, places.len())?;
        let until = self.deadline(now, now, wish.ttl_s);
        Ok(Changes {
            claimed: places.iter().map(|p| (p.place, Claim::Hold(wish.hold))).collect(),
            placed: vec![Hold {
                key: wish.hold,
                owner: wish.owner,
                network: wish.network,
                places,
                prices: terms.prices.clone(),
                created_at: now,
                seq: self.version() + 1,
                state: HoldState::Active { until },
            }],
            ..Changes::default()
        })
    }

    /// Whether a party is one that can be asked for here.
    pub(super) fn check_party(&self, best: &Best) -> Result<(), Refusal> {
        let max = self.terms.hold_policy.seats_max;
        let known = &self.terms.plan.layout().zones;
        let unknown: Vec<ZoneId> =
            best.zones.iter().copied().filter(|zone| !known.iter().any(|z| z.id == *zone)).collect();
        match best.count {
            0 => Err(Refusal::NoSeats),
            count if count > max => Err(Refusal::TooManySeats { max }),
            _ if !unknown.is_empty() => Err(Refusal::UnknownZones(unknown)),
            _ => Ok(()),
        }
    }

    /// Looks at the seats as they are taken now.
    pub fn in_hall<T>(&self, now: Timestamp, look: impl FnOnce(&Hall<'_>) -> T) -> T {
        let terms = &self.terms;
        let free = |place: Place| self.claim(place).is_none();
        look(&Hall::new(&terms.plan, &free, terms.seat_rules, terms.companions_released(now)))
    }

    fn check_left_over(&self, places: &[HeldPlace], now: Timestamp) -> Result<(), Refusal> {
        if self.terms.seat_rules.is_default() {
            return Ok(());
        }
        let places: Vec<Place> = places.iter().map(|held| held.place).collect();
        let (left, reason) = match self.in_hall(now, |hall| hall.check(&places)) {
            Ok(()) => return Ok(()),
            Err(SeatRule::LeavesAlone(left)) => (left, ConflictReason::LeftAlone),
            Err(SeatRule::PartOfGroup(left)) => (left, ConflictReason::PartOfGroup),
        };
        let conflict = |place: &Place| SeatConflict { seat: self.terms.plan.seat_id(*place), reason };
        Err(Refusal::LeftOver(left.iter().map(conflict).collect()))
    }

    /// The places for a wish, or every seat that is in the way.
    fn wanted_places(&self, wish: &PlaceHold, now: Timestamp) -> Result<Vec<HeldPlace>, Refusal> {
        let seats: Vec<SeatId> = wish.seats.iter().map(|(seat, _)| *seat).collect();
        let seat_places = self.places_of(&seats)?;
        let mut places = Vec::with_capacity(seat_places.len());
        let mut conflicts = Vec::new();
        let mut taken: Vec<Place> = Vec::with_capacity(seat_places.len());
        let mut twice = BTreeSet::new();
        for (&(seat, _), &place) in wish.seats.iter().zip(&seat_places) {
            if taken.contains(&place) {
                twice.insert(seat);
            }
            taken.push(place);
        }
        if !twice.is_empty() {
            return Err(Refusal::NamedTwice(twice.into_iter().collect()));
        }
        for (&(seat, wanted), &place) in wish.seats.iter().zip(&seat_places) {
            let ticket_type = self.type_number(wanted, place, seat)?;
            let reason = self.conflict(place);
            let reason = reason.or_else(|| self.companion_conflict(place, &seats, wish.owner, now));
            match reason {
                Some(reason) => conflicts.push(SeatConflict { seat, reason }),
                None => places.push(HeldPlace { place, ticket_type }),
            }
        }
        for &(area, count, wanted) in &wish.areas {
            self.area_places(area, count, wanted, &mut taken, &mut places, &mut conflicts)?;
        }
        if conflicts.is_empty() { Ok(places) } else { Err(Refusal::SeatsTaken(conflicts)) }
    }

    fn area_places(
        &self,
        area: AreaId,
        count: u32,
        wanted: Option<TicketTypeId>,
        taken: &mut Vec<Place>,
        places: &mut Vec<HeldPlace>,
        conflicts: &mut Vec<SeatConflict>,
    ) -> Result<(), Refusal> {
        let found = self.terms.plan.area(area).ok_or(Refusal::UnknownArea(area))?;
        let seat = self.terms.plan.seat_id(found.first);
        let ticket_type = self.type_number(wanted, found.first, seat)?;
        let wanted = usize::try_from(count).unwrap_or(usize::MAX);
        let free = found.places().filter(|p| self.claim(*p).is_none() && !taken.contains(p));
        let chosen: Vec<Place> = free.take(wanted).collect();
        if chosen.len() < wanted {
            // Named by the area itself: no single place is in the way.
            let seat = SeatId::parse(area.as_str()).unwrap_or(seat);
            conflicts.push(SeatConflict { seat, reason: ConflictReason::AreaFull });
        }
        taken.extend(&chosen);
        places.extend(chosen.into_iter().map(|place| HeldPlace { place, ticket_type }));
        Ok(())
    }

    fn type_number(&self, wanted: Option<TicketTypeId>, place: Place, seat: SeatId) -> Result<Option<TypeNo>, Refusal> {
        let Some(wanted) = wanted else { return Ok(None) };
        let not_sold = || Refusal::TicketRule { seat: Some(seat), rule: TicketRule::NotSold(wanted) };
        let table = &self.terms.prices.table;
        let sold = self.terms.plan.zone(place).is_some_and(|zone| table.offer(wanted, zone).is_some());
        let number = table.ticket_types.iter().position(|t| t.id == wanted).filter(|_| sold).ok_or_else(not_sold)?;
        Ok(u8::try_from(number).ok().map(TypeNo))
    }

    /// A companion's seat goes with its wheelchair space, held here together or by the same buyer before, until it is
    /// released to all.
    fn companion_conflict(
        &self,
        place: Place,
        wanted: &[SeatId],
        owner: Owner,
        now: Timestamp,
    ) -> Option<ConflictReason> {
        let spaces = self.spaces_of_companion(self.terms.plan.seat(place)?.id, now);
        let has = |space: &SeatId| {
            let claim = self.terms.plan.place(*space).and_then(|p| self.claim(p));
            let own = |key| self.hold(key).is_some_and(|h| h.owner == owner);
            wanted.contains(space) || matches!(claim, Some(Claim::Hold(key)) if own(key))
        };
        (!spaces.is_empty() && !spaces.iter().any(has)).then_some(ConflictReason::CompanionOnly)
    }

    /// The wheelchair spaces that a seat goes with; none, if it is no companion's seat or is released to all by now.
    pub(super) fn spaces_of_companion(&self, seat: SeatId, now: Timestamp) -> BTreeSet<SeatId> {
        let seat = self.terms.plan.place(seat).and_then(|place| self.terms.plan.seat(place));
        let companion = seat.filter(|s| s.kind == SeatKind::Companion && !self.terms.companions_released(now));
        companion.map(|s| s.companion_of.clone()).unwrap_or_default()
    }

    /// Limits within one screening are exact: this house sees every hold.
    fn check_limits(&self, wish: &PlaceHold, count: usize) -> Result<(), Refusal> {
        let max = self.terms.hold_policy.holds_per_buyer;
        if self.unpaid.holds_of(wish.owner) >= usize::from(max) {
            return Err(Refusal::TooManyHolds { max });
        }
        let percent = usize::from(self.terms.unpaid_percent_per_network);
        let Some(network) = wish.network.filter(|_| percent < 100) else { return Ok(()) };
        // Never below one full hold, or small halls could not be sold at all.
        let share = self.terms.plan.len() * percent / 100;
        let max = share.max(usize::from(self.terms.hold_policy.seats_max));
        if self.unpaid.places_of(network) + count > max { Err(Refusal::NetworkHoldsTooMuch { max }) } else { Ok(()) }
    }

    /// When a hold ends that was created at `created` and is asked at `now` to last `ttl_s`: clamped to the announced
    /// limits, and never past the time for choosing (H6).
    fn deadline(&self, created: Timestamp, now: Timestamp, ttl_s: Option<u32>) -> Timestamp {
        let policy = &self.terms.hold_policy;
        let ttl = ttl_s.unwrap_or(policy.ttl_s).clamp(policy.ttl_min_s, policy.ttl_max_s.max(policy.ttl_min_s));
        after(now, ttl.into()).min(self.extendable_until(created))
    }

    /// How far a hold that was created at `created` can be extended.
    #[must_use]
    pub fn extendable_until(&self, created: Timestamp) -> Timestamp {
        let longest = i64::from(self.terms.hold_policy.choosing_max_s).min(crate::HOLD_LIFE_MAX_S);
        after(created, longest)
    }

    pub(super) fn extend(
        &self,
        key: HoldKey,
        owner: Owner,
        ttl_s: Option<u32>,
        now: Timestamp,
    ) -> Result<Changes, Refusal> {
        let hold = self.hold_by(key, By::Owner(owner))?;
        let until = still_choosing(hold, now)?;
        let later = self.deadline(hold.created_at, now, ttl_s);
        let mut changes = Changes::default();
        if later > until {
            changes.moved.push((key, HoldState::Active { until: later }));
        }
        Ok(changes)
    }

    pub(super) fn release(&self, key: HoldKey, by: By, now: Timestamp) -> Result<Changes, Refusal> {
        let hold = self.hold_by(key, by)?;
        let mut changes = Changes::default();
        match &hold.state {
            HoldState::Active { .. } => end(hold, HoldState::Released { at: now }, &mut changes),
            HoldState::Paying { order, until } => {
                let until = after(*until, super::CLOSING_GRACE_S).min(after(hold.created_at, crate::HOLD_LIFE_MAX_S));
                changes.moved.push((key, HoldState::Closing { order: order.clone(), until }));
            }
            HoldState::Converted(_) => return Err(Refusal::HoldConverted),
            // Over already: a repeated release succeeds again.
            HoldState::Closing { .. }
            | HoldState::Released { .. }
            | HoldState::Expired { .. }
            | HoldState::RefundDue { .. } => {}
        }
        Ok(changes)
    }
}

/// CHOOSE-001: the best for a party of the places that are `free`, or how many of it could sit together.
pub(super) fn best_places(
    terms: &Terms,
    free: &dyn Fn(Place) -> bool,
    best: &Best,
    now: Timestamp,
) -> Result<Vec<HeldPlace>, usize> {
    let party = Party::of(best, &terms.prices.table);
    let types = &terms.prices.table.ticket_types;
    let number = best.ticket_type.and_then(|wanted| types.iter().position(|t| t.id == wanted));
    let ticket_type = number.and_then(|number| u8::try_from(number).ok()).map(TypeNo);
    let held = |place: Place| HeldPlace { place, ticket_type };
    let hall = Hall::new(&terms.plan, free, terms.seat_rules, terms.companions_released(now));
    if let Some(pick) = hall.best(&party, 1).pop() {
        return Ok(pick.places.into_iter().map(held).collect());
    }
    let room = |area: &&AreaPlaces| area.places().filter(|place| free(*place)).count();
    let wanted = |area: &&AreaPlaces| party.zones.contains(&area.zone) && party.wheelchairs == 0;
    // The one that is emptiest: who comes together gets room together.
    match terms.plan.areas().iter().filter(wanted).max_by_key(room) {
        Some(area) if room(&area) >= party.count => {
            Ok(area.places().filter(|place| free(*place)).take(party.count).map(held).collect())
        }
        other => Err(hall.most_together(&party).max(other.as_ref().map_or(0, room))),
    }
}

/// The deadline of a hold whose buyer is still choosing.
pub(super) fn still_choosing(hold: &Hold, now: Timestamp) -> Result<Timestamp, Refusal> {
    match &hold.state {
        HoldState::Active { until } if now < *until => Ok(*until),
        HoldState::Paying { .. } | HoldState::Closing { .. } => Err(Refusal::HoldPaying),
        HoldState::Converted(_) => Err(Refusal::HoldConverted),
        HoldState::Active { .. }
        | HoldState::Released { .. }
        | HoldState::Expired { .. }
        | HoldState::RefundDue { .. } => Err(Refusal::HoldEnded),
    }
}

/// Whether such a party could sit here one day: in the empty hall, with companions' seats open to all, and no rule about single seats,
/// which are relaxed as it fills.
pub(super) fn could_fit(terms: &Terms, best: &Best, now: Timestamp) -> bool {
    let one_day = Terms { seat_rules: SeatRules::default(), companion_release_at: Some(now), ..terms.clone() };
    best_places(&one_day, &|_| true, best, now).is_ok()
}

/// Who asks again later is told so only where that can help. Of people in wheelchairs it is not how many they are together that matters.
fn not_together(terms: &Terms, best: &Best, most: usize, now: Timestamp) -> Refusal {
    if !could_fit(terms, best, now) {
        return Refusal::NeverFits;
    }
    Refusal::NotTogether { most: if best.wheelchairs > 0 { 0 } else { most } }
}

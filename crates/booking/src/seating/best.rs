//! The best that is left for a party: side by side, around the best place of the hall, and leaving no seat that nobody wants.

use std::collections::BTreeSet;

use admit_protocol::hold::Best;
use admit_protocol::id::ZoneId;
use admit_protocol::layout::{Seat, SeatAttribute, SeatKind};
use admit_protocol::price::{Offer, PriceTable};

use super::Hall;
use crate::plan::Place;

/// Windows of one size that are tried with others when a party has to be split: the nearest.
const TRIED: usize = 24;
/// Steps in all that are taken to split a party. Somebody else waits meanwhile.
const STEPS_MAX: usize = 4000;
/// The largest party of which every split is looked at; a larger one takes the longest blocks that are left.
const WEIGHED_MAX: usize = 12;
/// Wheelchair spaces that a choice begins with.
const SPACES_MAX: usize = 64;

/// Who comes, and where they want to sit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Party {
    /// How many they are.
    pub count: usize,
    /// How many of them sit in their own wheelchair.
    pub wheelchairs: usize,
    /// Where.
    pub zones: BTreeSet<ZoneId>,
    /// Whether they may be split, if they cannot sit together.
    pub split: bool,
}

impl Party {
    /// A party that wants this, at these prices: in zones that it named, that are sold, and that it can pay.
    #[must_use]
    pub fn of(best: &Best, table: &PriceTable) -> Self {
        let usual = best.ticket_type.or(table.ticket_types.first().map(|t| t.id));
        let affordable = |offer: &&Offer| {
            let price = best.highest_price;
            Some(offer.ticket_type) == usual
                && (best.zones.is_empty() || best.zones.contains(&offer.zone))
                && price.is_none_or(|most| most.currency() == offer.total.currency() && offer.total <= most)
        };
        Self {
            count: best.count.into(),
            wheelchairs: best.wheelchairs.into(),
            zones: table.offers.iter().filter(affordable).map(|offer| offer.zone).collect(),
            split: best.split,
        }
    }
}

/// Seats for a party, and what is to be said of them. The better one is the lesser.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pick {
    /// In how many groups of neighbours they sit: one is together.
    pub groups: usize,
    /// How many of them have nobody of the party beside them, though they did not come alone.
    pub alone: usize,
    /// How many single seats are left over.
    pub orphans: usize,
    /// How many sofas are taken in part.
    pub broken_groups: usize,
    /// How many see less than the others.
    pub restricted: usize,
    /// How far they sit from the best place of the hall and from each other: squared centimetres, added up.
    pub distance: i64,
    /// The seats, from front to back and left to right.
    pub places: Vec<Place>,
}

impl Hall<'_> {
    /// The best seats for a party, and then the best of those that are left, at most `count` picks with no seat in common. Nothing, if
    /// they cannot sit together and do not want to be split, or there is no room at all.
    #[must_use]
    pub fn best(&self, party: &Party, count: usize) -> Vec<Pick> {
        let mut picks: Vec<Pick> = Vec::new();
        while picks.len() < count {
            let suggested = |place: &Place| picks.iter().any(|pick| pick.places.contains(place));
            match self.best_without(party, &suggested) {
                Some(pick) => picks.push(pick),
                None => break,
            }
        }
        picks
    }

    /// How many of such a party could sit side by side, whatever is left over by it.
    #[must_use]
    pub fn most_together(&self, party: &Party) -> usize {
        self.blocks(party, &|_| false).iter().map(Vec::len).max().unwrap_or(0)
    }

    fn best_without(&self, party: &Party, avoided: &dyn Fn(&Place) -> bool) -> Option<Pick> {
        if party.count == 0 || party.wheelchairs > party.count {
            return None;
        }
        if party.wheelchairs > 0 {
            return self.with_wheelchairs(party, avoided);
        }
        let blocks = self.blocks(party, avoided);
        let together = self.together(party.count, &blocks);
        if together.is_some() || !party.split {
            return together;
        }
        if party.count > WEIGHED_MAX {
            return self.longest_blocks(party.count, blocks);
        }
        let mut steps = STEPS_MAX;
        (2..=party.count).find_map(|groups| self.apart(party.count, groups, &blocks, &mut steps))
    }

    /// The best neighbours. The nearest come first, so the first one with nothing against it is the best.
    fn together(&self, count: usize, blocks: &[Vec<Place>]) -> Option<Pick> {
        let mut best: Option<Pick> = None;
        for window in self.nearest(blocks, count) {
            let pick = self.allowed(window.to_vec());
            if let Some(pick) = pick.filter(|pick| best.as_ref().is_none_or(|best| pick < best)) {
                let flawless = (pick.orphans, pick.broken_groups, pick.restricted) == (0, 0, 0);
                best = Some(pick);
                if flawless {
                    break;
                }
            }
        }
        best
    }

    /// Every `size` neighbours within a block, the nearest first.
    fn nearest<'b>(&self, blocks: &'b [Vec<Place>], size: usize) -> Vec<&'b [Place]> {
        let windows = blocks.iter().flat_map(|block| block.windows(size));
        let mut windows: Vec<(i64, &[Place])> = windows.map(|window| (self.distance(window), window)).collect();
        windows.sort_unstable();
        windows.into_iter().map(|(_, window)| window).collect()
    }

    /// As many as fit into the longest block, near the best place, and the others likewise.
    fn longest_blocks(&self, count: usize, mut blocks: Vec<Vec<Place>>) -> Option<Pick> {
        let mut chosen: Vec<Place> = Vec::with_capacity(count);
        while chosen.len() < count {
            let longest = blocks.iter().map(Vec::len).max()?;
            let window = self.nearest(&blocks, longest.min(count - chosen.len())).first()?.to_vec();
            chosen.extend(&window);
            let parts = blocks.iter().flat_map(|block| block.split(|place| window.contains(place)));
            blocks = parts.filter(|part| !part.is_empty()).map(<[Place]>::to_vec).collect();
        }
        self.allowed(chosen)
    }

    /// Seats side by side that this party would take. Blocks of different zones are cut where the zone ends that they want.
    fn blocks(&self, party: &Party, avoided: &dyn Fn(&Place) -> bool) -> Vec<Vec<Place>> {
        let wanted = |place: &Place| self.is_wanted(*place, party) && !avoided(place);
        let runs = self.runs();
        let blocks = runs.iter().flat_map(|run| run.split(|place| !wanted(place)));
        blocks.filter(|block| !block.is_empty()).map(<[Place]>::to_vec).collect()
    }

    fn is_wanted(&self, place: Place, party: &Party) -> bool {
        self.plan.seat(place).is_some_and(|seat| party.zones.contains(&seat.zone))
    }

    /// The best way to sit in so many groups.
    fn apart(&self, count: usize, groups: usize, blocks: &[Vec<Place>], steps: &mut usize) -> Option<Pick> {
        let near = |size: usize| {
            let mut near = if size == 0 { Vec::new() } else { self.nearest(blocks, size) };
            near.truncate(TRIED);
            near
        };
        let by_size: Vec<Vec<&[Place]>> = (0..=count).map(near).collect();
        let mut best: Option<Pick> = None;
        for sizes in partitions(count, groups) {
            self.put_together(&sizes, 0, &by_size, &mut Vec::new(), &mut best, steps);
        }
        best
    }

    /// Tries windows of these sizes, the first of them from the one with number `from` on, together with those that are chosen.
    fn put_together(
        &self,
        sizes: &[usize],
        from: usize,
        by_size: &[Vec<&[Place]>],
        chosen: &mut Vec<Place>,
        best: &mut Option<Pick>,
        steps: &mut usize,
    ) {
        let Some((size, rest)) = sizes.split_first() else {
            let pick = self.allowed(chosen.clone());
            if let Some(pick) = pick.filter(|pick| best.as_ref().is_none_or(|best| pick < best)) {
                *best = Some(pick);
            }
            return;
        };
        for (n, window) in by_size[*size].iter().enumerate().skip(from) {
            let Some(left) = steps.checked_sub(1) else { return };
            *steps = left;
            if window.iter().any(|place| chosen.contains(place)) {
                continue;
            }
            chosen.extend_from_slice(window);
            // Two of one size are the same, whichever comes first.
            let from = if rest.first() == Some(size) { n + 1 } else { 0 };
            self.put_together(rest, from, by_size, chosen, best, steps);
            chosen.truncate(chosen.len() - window.len());
        }
    }

    /// Spaces, and for the others the seats beside them: all in one row, or companions' seats first, then what is beside somebody of
    /// the party, then what is nearest.
    fn with_wheelchairs(&self, party: &Party, avoided: &dyn Fn(&Place) -> bool) -> Option<Pick> {
        let free = |place: Place| (self.free)(place) && !avoided(&place) && self.is_wanted(place, party);
        let spaces = self.seats().filter(|(place, s)| s.kind == SeatKind::WheelchairSpace && free(*place));
        let spaces: Vec<Place> = spaces.map(|(place, _)| place).collect();
        let in_a_row = self.seats().filter_map(|(first, _)| self.row_with_spaces(first, party, &free));
        let around = |first: &Place| {
            let mut nearest = spaces.clone();
            nearest.sort_by_key(|place| self.apart_cm2(*place, *first));
            let mut chosen: Vec<Place> = nearest.into_iter().take(party.wheelchairs).collect();
            let mut others: Vec<Place> = {
                let usable = self.usable_with(&chosen);
                self.seats().map(|(place, _)| place).filter(|place| free(*place) && usable(*place)).collect()
            };
            while chosen.len() < party.count {
                let beside = |place: Place| self.plan.beside(place).into_iter().flatten().any(|b| chosen.contains(&b));
                let strangers = |place: Place| self.plan.seat(place).is_none_or(|seat| seat.companion_of.is_empty());
                let rank = |place: Place| (strangers(place), !beside(place), self.apart_cm2(place, *first), place);
                let (n, next) = others.iter().copied().enumerate().min_by_key(|(_, place)| rank(*place))?;
                others.swap_remove(n);
                chosen.push(next);
            }
            Some(chosen)
        };
        let around = spaces.iter().take(SPACES_MAX).filter_map(around);
        let picks = in_a_row.chain(around).filter_map(|chosen| self.allowed(chosen));
        picks.filter(|pick| party.split || pick.groups == 1).min()
    }

    /// Whether somebody who came with who sits in these spaces may have a seat: a companion's of one of them, or one that is for anybody.
    fn usable_with(&self, spaces: &[Place]) -> impl Fn(Place) -> bool {
        let ids: Vec<_> = spaces.iter().filter_map(|place| Some(self.plan.seat(*place)?.id)).collect();
        move |place| {
            let companion = |seat: &Seat| seat.companion_of.iter().any(|space| ids.contains(space));
            self.is_open(place) || self.plan.seat(place).is_some_and(companion)
        }
    }

    /// The neighbours from this one on, as many as the party has, if their spaces are as many as it needs.
    fn row_with_spaces(&self, first: Place, party: &Party, free: &dyn Fn(Place) -> bool) -> Option<Vec<Place>> {
        let right = |place: &Place| self.plan.beside(*place)[1];
        let row: Vec<Place> = std::iter::successors(Some(first), right).take(party.count).collect();
        let is_space = |place: &Place| self.plan.seat(*place).is_some_and(|s| s.kind == SeatKind::WheelchairSpace);
        let (spaces, others): (Vec<Place>, Vec<Place>) = row.iter().partition(|place| is_space(place));
        let usable = self.usable_with(&spaces);
        let fits = row.len() == party.count && spaces.len() == party.wheelchairs;
        (fits && row.iter().all(|place| free(*place)) && others.into_iter().all(usable)).then_some(row)
    }

    /// What is to be said of these seats, if they may be taken.
    fn allowed(&self, mut places: Vec<Place>) -> Option<Pick> {
        self.check(&places).ok()?;
        places.sort_unstable();
        let (groups, alone) = self.neighbourhoods(&places);
        let restricted = |place: &&Place| {
            self.plan.seat(**place).is_some_and(|s| s.attributes.contains(&SeatAttribute::RestrictedView))
        };
        let rest = self.rest_of_groups(&places);
        let broken: BTreeSet<_> = rest.iter().filter_map(|place| self.plan.seat(*place)?.group).collect();
        Some(Pick {
            groups,
            alone,
            orphans: self.orphans(&places).len(),
            broken_groups: broken.len(),
            restricted: places.iter().filter(restricted).count(),
            distance: self.distance(&places),
            places,
        })
    }

    /// Groups of neighbours, and how many are a group by themselves.
    fn neighbourhoods(&self, places: &[Place]) -> (usize, usize) {
        let begins = |place: &&Place| self.plan.beside(**place)[0].is_none_or(|left| !places.contains(&left));
        let ends = |place: &&Place| self.plan.beside(**place)[1].is_none_or(|right| !places.contains(&right));
        let groups = places.iter().filter(begins).count();
        let single = places.iter().filter(|place| begins(place) && ends(place)).count();
        (groups, if places.len() == 1 { 0 } else { single })
    }

    /// From the best place of the hall, and from the party's own middle.
    fn distance(&self, places: &[Place]) -> i64 {
        let points: Vec<(i64, i64)> = places.iter().filter_map(|place| self.point(*place)).collect();
        let focal = self.plan.layout().focal_point;
        let (fx, fy) = (i64::from(focal.x), i64::from(focal.y));
        let count = i64::try_from(points.len()).unwrap_or(1).max(1);
        let middle = (points.iter().map(|p| p.0).sum::<i64>() / count, points.iter().map(|p| p.1).sum::<i64>() / count);
        let squared = |(x, y): (i64, i64), (ox, oy): (i64, i64)| (x - ox).pow(2) + (y - oy).pow(2);
        points.iter().map(|point| squared(*point, (fx, fy)) + squared(*point, middle)).sum()
    }

    fn point(&self, place: Place) -> Option<(i64, i64)> {
        self.plan.seat(place).map(|seat| (i64::from(seat.x), i64::from(seat.y)))
    }

    fn apart_cm2(&self, one: Place, other: Place) -> i64 {
        match (self.point(one), self.point(other)) {
            (Some((x, y)), Some((ox, oy))) => (x - ox).pow(2) + (y - oy).pow(2),
            _ => i64::MAX,
        }
    }
}

/// The ways to make `groups` groups of `count` people, larger ones first.
fn partitions(count: usize, groups: usize) -> Vec<Vec<usize>> {
    fn fill(left: usize, groups: usize, largest: usize, begun: &mut Vec<usize>, all: &mut Vec<Vec<usize>>) {
        if groups == 0 {
            if left == 0 {
                all.push(begun.clone());
            }
            return;
        }
        for size in (1..=largest.min(left)).rev() {
            if left - size < groups - 1 || size * groups < left {
                continue;
            }
            begun.push(size);
            fill(left - size, groups - 1, size, begun, all);
            begun.pop();
        }
    }
    let mut all = Vec::new();
    fill(count, groups, count, &mut Vec::new(), &mut all);
    all
}

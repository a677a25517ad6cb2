//! What may be left over: no single seat that nobody wants, no half of a sofa.

use std::collections::BTreeSet;

use admit_protocol::screening::{GroupRule, OrphanRule};

use super::Hall;
use crate::plan::Place;

/// A rule about seats that a choice breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SeatRule {
    /// These would be left alone: free, with nobody's free seat beside them (CHOOSE-002).
    LeavesAlone(Vec<Place>),
    /// These are parts of the same sofas, which are sold whole (CHOOSE-005).
    PartOfGroup(Vec<Place>),
}

impl Hall<'_> {
    /// Whether these free seats may be taken together.
    ///
    /// # Errors
    /// With the rule that forbids it, and the seats that it is about.
    pub fn check(&self, taken: &[Place]) -> Result<(), SeatRule> {
        if self.rules.groups == GroupRule::Whole {
            let rest = self.rest_of_groups(taken);
            if !rest.is_empty() {
                return Err(SeatRule::PartOfGroup(rest));
            }
        }
        let alone = self.forbidden_orphans(taken);
        if alone.is_empty() { Ok(()) } else { Err(SeatRule::LeavesAlone(alone)) }
    }

    /// Seats that would be left alone: open, with an open seat beside them before, and none after.
    pub(super) fn orphans(&self, taken: &[Place]) -> Vec<Place> {
        let stays_open = |place: Place| self.is_open(place) && !taken.contains(&place);
        let mut alone: Vec<Place> = Vec::new();
        for place in taken.iter().filter(|place| self.is_open(**place)) {
            for beside in self.plan.beside(*place).into_iter().flatten().filter(|beside| stays_open(*beside)) {
                let company = self.plan.beside(beside).into_iter().flatten().any(stays_open);
                if !company && !alone.contains(&beside) {
                    alone.push(beside);
                }
            }
        }
        alone.sort_unstable();
        alone
    }

    fn forbidden_orphans(&self, taken: &[Place]) -> Vec<Place> {
        let lenient = match self.rules.orphans {
            OrphanRule::Strict => false,
            OrphanRule::Lenient => true,
            _ => return Vec::new(),
        };
        let mut alone = self.orphans(taken);
        if alone.is_empty() || self.is_nearly_sold_out(taken) {
            return Vec::new();
        }
        // CHOOSE-003: where one seat of the block is left over anyhow, no other choice would have helped.
        alone.retain(|seat| !lenient || self.left_of_block(*seat, taken) > 1);
        alone
    }

    /// How many seats of the open block around `seat` are left once these are taken.
    fn left_of_block(&self, seat: Place, taken: &[Place]) -> usize {
        let side = |side: usize| {
            let next = move |place: &Place| self.plan.beside(*place)[side].filter(|next| self.is_open(*next));
            std::iter::successors(Some(seat), next).take(self.plan.len()).skip(1)
        };
        1 + side(0).chain(side(1)).filter(|place| !taken.contains(place)).count()
    }

    fn is_nearly_sold_out(&self, taken: &[Place]) -> bool {
        let (all, free) = *self.ordinary.get_or_init(|| {
            let ordinary = self.seats().filter(|(place, _)| self.is_ordinary(*place));
            ordinary.fold((0, 0), |(all, free), (place, _)| (all + 1, free + usize::from((self.free)(place))))
        });
        let left = free - taken.iter().filter(|place| self.is_open(**place)).count();
        left * 100 < all * usize::from(self.rules.orphans_below_percent)
    }

    /// Free seats of the sofas that are taken in part.
    pub(super) fn rest_of_groups(&self, taken: &[Place]) -> Vec<Place> {
        let groups: BTreeSet<_> = taken.iter().filter_map(|p| self.plan.seat(*p)?.group).collect();
        if groups.is_empty() {
            return Vec::new();
        }
        let same = self.seats().filter(|(_, seat)| seat.group.is_some_and(|group| groups.contains(&group)));
        same.map(|(place, _)| place).filter(|place| (self.free)(*place) && !taken.contains(place)).collect()
    }
}

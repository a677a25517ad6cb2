//! Seats that the cinema takes off sale and puts back.

use std::collections::BTreeSet;

use admit_protocol::id::SeatId;
use admit_protocol::problem::SeatConflict;
use jiff::Timestamp;

use crate::changes::{Block, BlockReason, Changes, Claim};
use crate::house::House;
use crate::plan::Place;
use crate::refusal::Refusal;

impl House {
    pub(super) fn block(
        &self,
        seats: &[SeatId],
        reason: BlockReason,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Changes, Refusal> {
        let block = Block { reason, until: until.filter(|until| *until > now) };
        let places: BTreeSet<Place> = self.places_of(seats)?.into_iter().collect();
        if places.is_empty() {
            return Err(Refusal::NoSeats);
        }
        let mut changes = Changes::default();
        let mut conflicts = Vec::new();
        for place in places {
            match self.claim(place) {
                None => changes.claimed.push((place, Claim::Block(block))),
                Some(Claim::Block(same)) if same == block => {}
                Some(claim @ Claim::Block(_)) => {
                    changes.freed.push((place, claim));
                    changes.claimed.push((place, Claim::Block(block)));
                }
                Some(Claim::Hold(_)) => conflicts.extend(self.conflict_at(place)),
            }
        }
        if conflicts.is_empty() { Ok(changes) } else { Err(Refusal::SeatsTaken(conflicts)) }
    }

    pub(super) fn unblock(&self, seats: &[SeatId]) -> Result<Changes, Refusal> {
        let places: BTreeSet<Place> = self.places_of(seats)?.into_iter().collect();
        let mut changes = Changes::default();
        let mut conflicts = Vec::new();
        for place in places {
            match self.claim(place) {
                None => {}
                Some(claim @ Claim::Block(_)) => changes.freed.push((place, claim)),
                Some(Claim::Hold(_)) => conflicts.extend(self.conflict_at(place)),
            }
        }
        if conflicts.is_empty() { Ok(changes) } else { Err(Refusal::SeatsTaken(conflicts)) }
    }

    fn conflict_at(&self, place: Place) -> Option<SeatConflict> {
        Some(SeatConflict { seat: self.terms.plan.seat_id(place), reason: self.conflict(place)? })
    }
}

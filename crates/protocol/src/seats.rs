//! Which seats of a screening are not free: small, live, and the same for everybody.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use schemars::JsonSchema;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::digest::ContentName;
use crate::id::{AreaId, EpochId, ScreeningId, SeatId};
use crate::open_enum::open_enum;

/// What is not free. A seat that is not listed is free.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Seats {
    /// Of which screening.
    pub screening: ScreeningId,
    /// A new epoch voids everything known before.
    pub epoch: EpochId,
    /// The version of the house: goes up by one with every change. An answer with a lower one is stale.
    pub seq: u64,
    /// Whether seats can be held now.
    pub sales: SalesState,
    /// How the seats are arranged.
    pub layout: ContentName,
    /// What they cost.
    pub price_table: ContentName,
    /// Numbered seats that are not free, by why. Whatever the word, a listed seat is not free.
    #[serde(deserialize_with = "merged")]
    pub not_free: BTreeMap<NotFree, Vec<SeatId>>,
    /// Areas without numbered seats.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub areas: Vec<AreaSeats>,
}

/// Words that this reader does not know are one word to it: their seats are put together, and none is lost (EXT-002).
fn merged<'de, D: Deserializer<'de>>(d: D) -> Result<BTreeMap<NotFree, Vec<SeatId>>, D::Error> {
    struct Merged;
    impl<'de> Visitor<'de> for Merged {
        type Value = BTreeMap<NotFree, Vec<SeatId>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("lists of seats by why they are not free")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
            let mut merged = Self::Value::new();
            while let Some((why, seats)) = members.next_entry::<NotFree, Vec<SeatId>>()? {
                merged.entry(why).or_default().extend(seats);
            }
            Ok(merged)
        }
    }
    d.deserialize_map(Merged)
}

/// What is different from an earlier version: each seat that changed, in the one list that it is in now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SeatsChange {
    /// The version that this is to be applied to. Applied to a later one, nothing is wrong.
    pub from: u64,
    /// The version that it makes.
    pub seq: u64,
    /// Whether seats can be held now, if that is different.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sales: Option<SalesState>,
    /// Seats that are free now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub free: Vec<SeatId>,
    /// Seats that are not free now, by why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "merged")]
    pub not_free: BTreeMap<NotFree, Vec<SeatId>>,
    /// Areas whose free places are not what they were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub areas: Vec<AreaSeats>,
}

/// A change begins after what is known: something in between is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the change begins at version {from}, and {known} is known")]
pub struct Gap {
    /// Where the change begins.
    pub from: u64,
    /// What is known.
    pub known: u64,
}

impl Seats {
    /// Makes a change true. The order within lists is not kept.
    ///
    /// # Errors
    /// When something in between is missing: read the seats anew.
    pub fn apply(&mut self, change: &SeatsChange) -> Result<(), Gap> {
        if change.from > self.seq {
            return Err(Gap { from: change.from, known: self.seq });
        }
        let moved: HashSet<SeatId> = change.free.iter().chain(change.not_free.values().flatten()).copied().collect();
        self.not_free.values_mut().for_each(|seats| seats.retain(|seat| !moved.contains(seat)));
        for (why, seats) in &change.not_free {
            self.not_free.entry(*why).or_default().extend(seats);
        }
        self.not_free.retain(|_, seats| !seats.is_empty());
        for area in &change.areas {
            self.areas.iter_mut().filter(|known| known.area == area.area).for_each(|known| known.clone_from(area));
        }
        self.sales = change.sales.unwrap_or(self.sales);
        self.seq = self.seq.max(change.seq);
        Ok(())
    }

    /// Whether a numbered seat is free: nobody lists it, whatever the reason would be.
    #[must_use]
    pub fn is_free(&self, seat: SeatId) -> bool {
        !self.not_free.values().flatten().any(|listed| *listed == seat)
    }
}

/// How many places of an area are free.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AreaSeats {
    /// The area.
    pub area: AreaId,
    /// How many people it takes.
    pub capacity: u32,
    /// How many places are free.
    pub free: u32,
}

open_enum! {
    /// Why a seat is not free.
    NotFree {
        /// Somebody is choosing or paying.
        Held = "held",
        /// Somebody has it.
        Sold = "sold",
        /// The cinema does not sell it.
        Blocked = "blocked",
    }

    /// Whether seats can be held now. Of an unknown state: they cannot.
    SalesState {
        /// Yes.
        Open = "open",
        /// Not yet.
        NotYetOpen = "not_yet_open",
        /// Yes, but the film has begun.
        UnderWayOpen = "under_way_open",
        /// No: the film has begun.
        UnderWay = "under_way",
        /// Not any more.
        Closed = "closed",
        /// Not just now.
        Paused = "paused",
        /// It does not take place as announced.
        Cancelled = "cancelled",
    }
}

impl SalesState {
    /// Whether seats can be held.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::UnderWayOpen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_under_words_of_the_future_are_not_free_ext_002() {
        let seats: Seats = serde_json::from_value(serde_json::json!({
            "screening": "show", "epoch": "e1", "seq": 1, "sales": "open",
            "layout": "sha256-RBNvo1WzZ4oRRq0W9-hknpT7T8If536DEMBg9hyq_4o",
            "price_table": "sha256-RBNvo1WzZ4oRRq0W9-hknpT7T8If536DEMBg9hyq_4o",
            "not_free": {"cleaning": ["A1"], "broken": ["A2"], "sold": ["A3"]},
        }))
        .expect("seats");
        let free = |id: &str| seats.is_free(id.parse().expect("an id"));
        assert_eq!(["A1", "A2", "A3", "A4"].map(free), [false, false, false, true]);
    }
}

//! Which seats of a screening are not free: small, live, and the same for everybody.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    pub not_free: BTreeMap<NotFree, Vec<SeatId>>,
    /// Areas without numbered seats.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub areas: Vec<AreaSeats>,
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

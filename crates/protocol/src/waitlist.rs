//! Waiting for seats that come free (capability `waitlist`).

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::booking::Buyer;
use crate::hold::Best;
use crate::id::{EpochId, HoldId, ScreeningId, WaitlistEntryId};
use crate::open_enum::open_enum;

/// Asks to be put at the end of the line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JoinWaitlist {
    /// Who comes, and where they want to sit.
    pub best: Best,
    /// Who they are: who leaves an address is written to when there is an offer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buyer: Option<Buyer>,
    /// Where there is a queue: the pass that was given there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub queue_pass: Option<String>,
}

/// A party that waits, or what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WaitlistEntry {
    /// Its name.
    pub id: WaitlistEntryId,
    /// Where it is, in full.
    #[schemars(length(max = 2048))]
    pub url: String,
    /// For which screening.
    pub screening: ScreeningId,
    /// What became of it.
    pub state: WaitlistState,
    /// Who comes, and where they want to sit.
    pub best: Best,
    /// How many stand in line up to here: 1 is the next. Only while it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u32>,
    /// The hold that it is offered, or was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<WaitlistOffer>,
    /// How often it let an offer lapse: each time it went to the end of the line.
    #[serde(default)]
    pub lapses: u8,
    /// Since when it is here.
    pub created_at: Timestamp,
    /// The epoch of `seq`.
    pub epoch: EpochId,
    /// The house version of this answer.
    pub seq: u64,
}

/// What a party is offered: a hold under the entry's own secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WaitlistOffer {
    /// The hold.
    pub hold: HoldId,
    /// Where it is, in full.
    #[schemars(length(max = 2048))]
    pub url: String,
    /// Before when it has to be booked.
    pub expires_at: Timestamp,
}

open_enum! {
    /// What became of a waitlist entry. Of an unknown state: read it again later.
    WaitlistState {
        /// It stands in line.
        Waiting = "waiting",
        /// Seats are held for it.
        Offered = "offered",
        /// It booked what was offered.
        Taken = "taken",
        /// It did not want what was offered.
        Declined = "declined",
        /// It left, let its last offer lapse, or the screening is not sold any more.
        Gone = "gone",
    }
}

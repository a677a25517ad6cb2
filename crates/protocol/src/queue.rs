//! Being let in one after another where many come at once (capability `queue`).

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::ContentName;
use crate::id::ScreeningId;
use crate::open_enum::open_enum;

/// The most that a queue can let in within a minute: one each millisecond.
pub const ADMITS_PER_MIN_MAX: u32 = 60_000;

/// That and how people are let in one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScreeningQueue {
    /// From when one can come. Who comes before sales begin is drawn by lot then.
    pub opens_at: Timestamp,
    /// How many are let in each minute, from the beginning of sales on.
    #[schemars(range(min = 1, max = 60_000))]
    pub admits_per_min: u32,
}

impl ScreeningQueue {
    /// The time between two turns, in microseconds.
    #[must_use]
    pub fn interval_us(&self) -> i64 {
        // Rounded up: turns are never closer together than was announced.
        i64::from(60_000_000_u32.div_ceil(self.admits_per_min.clamp(1, ADMITS_PER_MIN_MAX)))
    }
}

/// What queues are like at a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct QueuePolicy {
    /// How long a pass is good, in seconds.
    pub pass_ttl_s: u32,
    /// How many places one network may have in one queue.
    pub places_per_network: u32,
    /// How many places one queue has.
    pub places_max: u32,
}

impl Default for QueuePolicy {
    /// Ten minutes to choose, fifty places a network, a hundred thousand in all.
    fn default() -> Self {
        Self { pass_ttl_s: 600, places_per_network: 50, places_max: 100_000 }
    }
}

/// A place in a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QueuePlace {
    /// For which screening.
    pub screening: ScreeningId,
    /// How it stands.
    pub state: QueueState,
    /// Since when it is here.
    pub came_at: Timestamp,
    /// How many places there are by now, this one included.
    pub places: u64,
    /// When sales begin: who came before is drawn by lot then.
    pub sales_open_at: Timestamp,
    /// When its turn is. It never becomes later, unless the sale is put off (QUEUE-005).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn_at: Option<Timestamp>,
    /// How many turns there are before it, at most. Only while it waits for its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ahead: Option<u64>,
    /// What a hold says as its `queue_pass`, from `turn_at` on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub pass: Option<String>,
    /// Until before when the pass is good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass_until: Option<Timestamp>,
    /// SHA-256 of the seed of the draw: shown before anybody can know how it ends.
    pub commitment: ContentName,
    /// The seed itself, once it was drawn: 32 bytes in base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 43))]
    pub seed: Option<String>,
}

open_enum! {
    /// How a place in a queue stands. Of an unknown state: read it again later.
    QueueState {
        /// Sales have not begun: it will be drawn by lot.
        Gathering = "gathering",
        /// Its turn is known, and in the future.
        Waiting = "waiting",
        /// Its pass is good.
        Admitted = "admitted",
        /// Its pass has ended.
        Over = "over",
    }
}

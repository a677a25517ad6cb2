//! What holds and waiting are like at a server, as its manifest says.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What holds are like at a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HoldPolicy {
    /// How long a hold lasts if nothing is asked for, in seconds.
    pub ttl_s: u32,
    /// The shortest that can be asked for, in seconds.
    pub ttl_min_s: u32,
    /// The longest that can be asked for, in seconds.
    pub ttl_max_s: u32,
    /// How long after its beginning a hold can last by extending, in seconds.
    pub choosing_max_s: u32,
    /// Seats in one hold.
    pub seats_max: u16,
    /// Active holds of one buyer in one screening.
    pub holds_per_buyer: u16,
}

impl Default for HoldPolicy {
    /// Five minutes, fifteen by extending, ten seats, two holds a buyer.
    fn default() -> Self {
        Self { ttl_s: 300, ttl_min_s: 30, ttl_max_s: 600, choosing_max_s: 900, seats_max: 10, holds_per_buyer: 2 }
    }
}

/// What waiting for seats is like at a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct WaitlistPolicy {
    /// How long an offer is held, in seconds.
    pub offer_ttl_s: u32,
    /// How many parties may wait for one screening.
    pub entries_max: u32,
}

impl Default for WaitlistPolicy {
    /// A quarter of an hour to answer, a thousand in line.
    fn default() -> Self {
        Self { offer_ttl_s: 900, entries_max: 1000 }
    }
}

//! What changed in a server's programme, one after another (capability `feed`).

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{CinemaId, ScreeningId};
use crate::screening::Screening;

/// Items on one page.
pub const FEED_PAGE_MAX: usize = 500;
/// How long a removed item is remembered, in seconds: 7 days.
pub const TOMBSTONE_S: i64 = 7 * 24 * 3600;
/// How long a server may keep a reader waiting for news, in seconds.
pub const FEED_WAIT_MAX_S: u32 = 30;

/// A page of changes. Read on from `next` until a page is empty, then ask again later with the same cursor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Feed {
    /// Changes in order; each screening once, as it is now.
    pub items: Vec<FeedItem>,
    /// Where to read on. Opaque.
    #[schemars(length(max = 256))]
    pub next: String,
}

/// A screening that changed, or is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FeedItem {
    /// Which.
    pub screening: ScreeningId,
    /// Of which cinema.
    pub cinema: CinemaId,
    /// When.
    pub changed_at: Timestamp,
    /// As it is now; nothing when it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<Screening>>,
}

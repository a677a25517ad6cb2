//! What a decision changes: rows for a store, and what a house applies to itself.

use std::sync::Arc;

use admit_protocol::door::{ScanKind, Verdict};
use admit_protocol::id::{DeviceId, ScanId};
use jiff::Timestamp;

use crate::hold::{Hold, HoldKey, HoldState};
use crate::plan::Place;
use crate::terms::Terms;
use crate::waitlist::Entry;

/// Who has a place that is not free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// A hold, or the booking that came of it. Booking does not change the claim.
    Hold(HoldKey),
    /// The cinema itself.
    Block(Block),
}

/// Why the cinema does not sell a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// The reason.
    pub reason: BlockReason,
    /// When it is sold again by itself.
    pub until: Option<Timestamp>,
}

/// Reasons not to sell a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockReason {
    /// Kept for guests of the house.
    House,
    /// Out of order.
    Broken,
    /// For staff.
    Staff,
    /// Kept free between parties.
    Distance,
    /// Kept for a party in line that was passed over too often (W3). Only the house itself says so.
    Waitlist,
}

/// A scan as the house keeps it. Scans are only ever added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanRecord {
    /// The device.
    pub device: DeviceId,
    /// The device's name for the scan.
    pub id: ScanId,
    /// What was done.
    pub kind: ScanKind,
    /// For an undo: which scan it takes back.
    pub undoes: Option<ScanId>,
    /// The ticket that was read, if it was one of this house.
    pub ticket: Option<ScannedTicket>,
    /// When, by the device's clock.
    pub at: Timestamp,
    /// Whether somebody came in: green here, or let in by a device that was offline.
    pub admitted: bool,
    /// Whether the device decided alone.
    pub offline: bool,
    /// What the server said to it.
    pub verdict: Verdict,
}

/// Which ticket was scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScannedTicket {
    /// The booking.
    pub booking: HoldKey,
    /// The line.
    pub line: u16,
    /// The generation of the ticket that was read.
    pub generation: u16,
}

/// What one decision changes, all of it or nothing.
///
/// A store deletes `freed` (naming the owner it expects, and checking that each was there: S3), then inserts `claimed`
/// (its key forbids a second owner: S2), then writes holds and scans.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// Places that become free, and who had them.
    pub freed: Vec<(Place, Claim)>,
    /// Places that were free, and who has them now.
    pub claimed: Vec<(Place, Claim)>,
    /// New holds.
    pub placed: Vec<Hold>,
    /// What became of holds.
    pub moved: Vec<(HoldKey, HoldState)>,
    /// New scans.
    pub scans: Vec<ScanRecord>,
    /// Waitlist entries that are new, or that something became of: each once, as it is then.
    pub entries: Vec<Entry>,
    /// What time brings to those who wait was looked at, until then.
    pub line_looked_at: Option<Timestamp>,
    /// New terms, decided by staff.
    pub terms: Option<Arc<Terms>>,
}

impl Changes {
    /// Whether nothing changes: what was asked for is done already.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.freed.is_empty()
            && self.claimed.is_empty()
            && self.placed.is_empty()
            && self.moved.is_empty()
            && self.scans.is_empty()
            && self.entries.is_empty()
            && self.line_looked_at.is_none()
            && self.terms.is_none()
    }
}

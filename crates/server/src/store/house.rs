//! A house, as a store keeps it: what is loaded, and what is saved.

use admit_booking::{Changes, EntryKey, HoldKey, Saved};
use admit_protocol::id::ScreeningId;
use admit_protocol::money::Money;
use axum::body::Bytes;
use jiff::Timestamp;

use super::outbox::Message;

/// The first 16 bytes of SHA-256 over principal, method, full path and idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyPrint(pub [u8; 16]);

/// The first 16 bytes of SHA-256 over a request's body as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyPrint(pub [u8; 16]);

/// What a store has of a house.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The house.
    pub house: Saved,
    /// Which requests had an effect.
    pub keys: Vec<KnownKey>,
    /// The number of the programme in force then: see [`Listing::programme`](super::Listing::programme).
    pub programme: u64,
}

/// A request that had an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownKey {
    /// Its key.
    pub key: KeyPrint,
    /// What it said.
    pub said: BodyPrint,
    /// What it was about.
    pub about: About,
}

/// What a request had its effect on, and is on record at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum About {
    /// A hold, or the booking that it became.
    Hold(HoldKey),
    /// A waitlist entry.
    Entry(EntryKey),
}

impl About {
    /// The key of the row.
    pub(super) fn bytes(self) -> [u8; 16] {
        match self {
            Self::Hold(HoldKey(key)) | Self::Entry(EntryKey(key)) => key.to_be_bytes(),
        }
    }
}

/// What to save of one house.
#[derive(Debug)]
pub struct Save<'a> {
    /// Which house.
    pub screening: ScreeningId,
    /// The version that the changes were decided on.
    pub seen: u64,
    /// The logical time of the new version, `seen + 1`.
    pub now: Timestamp,
    /// The changes, to be made one after another.
    pub changes: &'a [Changes],
    /// Answers to be given again to the same keys (I1).
    pub answers: &'a [NewAnswer],
    /// What was done, for the audit trail and for followers.
    pub log: &'a [LogEntry],
    /// Money that went over the counter.
    pub till: &'a [TillEntry],
    /// What is to leave: mail, webhooks (D4).
    pub outbox: &'a [Message],
    /// Of what nothing is to leave any more: who was to be told is forgotten.
    pub forgotten: &'a [About],
}

/// An answer to be kept.
#[derive(Debug, Clone)]
pub struct NewAnswer {
    /// For which request.
    pub known: KnownKey,
    /// The answer.
    pub answer: Answer,
}

/// An answer that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; nothing after a day, when the answer is made anew from what is there.
    pub body: Option<Bytes>,
}

/// One line of the audit trail.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LogEntry {
    /// Who: a buyer, a staff member, a device, the clock.
    pub by: String,
    /// What: the command's name.
    pub did: String,
    /// To which hold or booking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<String>,
    /// Places that were taken for this hold; where none is named, by the cinema.
    #[serde(rename = "took", default, skip_serializing_if = "Vec::is_empty")]
    pub claimed: Vec<u16>,
    /// Places that were taken by an entry of a time when trails did not say for whom.
    #[serde(rename = "claimed", default, skip_serializing_if = "Vec::is_empty")]
    pub claimed_unsaid: Vec<u16>,
    /// Places that became free, before any was taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freed: Vec<u16>,
    /// Places that others got by it: who waits, or, where no hold is named, the cinema for who waits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Claimed>,
}

/// Places that somebody got, not by asking for them now.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Claimed {
    /// For which hold; by the cinema, where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<String>,
    /// Which.
    pub places: Vec<u16>,
}

/// What was done in one save.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// The version that it made.
    pub version: u64,
    /// Its logical time.
    pub at: Timestamp,
    /// What, in order.
    pub entries: Vec<LogEntry>,
}

/// Money that went over the counter: the sum of a booking's entries is what was paid for it, less what was given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TillEntry {
    /// Who took or gave it: a login.
    pub by: String,
    /// For which booking.
    pub booking: HoldKey,
    /// How much.
    pub amount: Money,
    /// Which way it went.
    pub way: CashWay,
}

/// Which way money goes over the counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CashWay {
    /// Somebody paid.
    Taken,
    /// Somebody got back what they had paid.
    GivenBack,
}

/// What became of one house in a save.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is on disk.
    Saved,
    /// Somebody else saved it since `seen`: load and decide again.
    Conflict,
    /// Its rows contradict the changes: a bug, or a damaged store. Nothing of this house was saved.
    Broken(String),
}

//! The programme, as a store keeps it.

use admit_protocol::cinema::Cinema;
use admit_protocol::digest::ContentName;
use admit_protocol::film::Film;
use admit_protocol::id::{CinemaId, DeviceId, EpochId, ScreeningId};
use admit_protocol::screening::Screening;
use axum::body::Bytes;
use jiff::Timestamp;

/// What is shown and sold.
#[derive(Debug, Clone)]
pub struct Listing {
    /// The current run of the houses.
    pub epoch: EpochId,
    /// Counts edits, where several processes make them: nothing else says whether this is the programme in force.
    pub programme: u64,
    /// The latest logical time of any house: the clock starts after it (C1).
    pub latest: Timestamp,
    /// Cinemas.
    pub cinemas: Vec<Cinema>,
    /// Films.
    pub films: Vec<Film>,
    /// Screenings, each on its own: there may be tens of thousands.
    pub screenings: Vec<Box<ListedScreening>>,
    /// Screenings that are gone, as long as the feed tells of them.
    pub removed: Vec<RemovedScreening>,
    /// Layouts and price tables.
    pub documents: Vec<Document>,
    /// Scanners that may check in.
    pub devices: Vec<Device>,
}

/// A layout or a price table, as the bytes that its name is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its own name.
    pub name: ContentName,
    /// What it is.
    pub kind: DocumentKind,
    /// What was published.
    pub bytes: Bytes,
    /// What a programme file calls it, if one does: the last of that kind that was called so.
    pub called: Option<String>,
}

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DocumentKind {
    /// The seats of a hall.
    Layout,
    /// What tickets cost.
    PriceTable,
}

impl DocumentKind {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Layout => "layout",
            Self::PriceTable => "price_table",
        }
    }
}

impl Document {
    /// A document of these bytes.
    #[must_use]
    pub fn of(kind: DocumentKind, bytes: Bytes, called: Option<String>) -> Self {
        Self { name: ContentName::of(&bytes), kind, bytes, called }
    }
}

/// A screening, and where its last change is in the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedScreening {
    /// The screening.
    pub screening: Screening,
    /// Counts changes of the programme: every change gets the next number.
    pub changed: u64,
    /// When it changed.
    pub changed_at: Timestamp,
}

/// A screening that was taken out of the programme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemovedScreening {
    /// Which.
    pub screening: ScreeningId,
    /// Of which cinema.
    pub cinema: CinemaId,
    /// The number of that change.
    pub changed: u64,
    /// When.
    pub changed_at: Timestamp,
}

/// A scanner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// Its name.
    pub id: DeviceId,
    /// SHA-256 of its token.
    pub token_hash: [u8; 32],
}

//! What an index says: who is where, and what is shown. All of it is a hint; the cinema itself has the last word.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cinema::Address;
use crate::film::Film;
use crate::geo::Position;
use crate::id::{CinemaId, ListingId};
use crate::open_enum::open_enum;
use crate::origin::Origin;
use crate::screening::Screening;
use crate::text::Texts;

/// Answers on one page.
pub const PAGE_MAX: usize = 100;
/// The longest search text, in bytes.
pub const QUERY_BYTES_MAX: usize = 200;

/// Tells an index of a server. Anybody may; the index looks for itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Announce {
    /// The server's address. Read as people write it.
    #[schemars(length(max = 2048))]
    pub origin: String,
}

/// What an index found when it looked at a server: the answer to "why am I not listed?".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Announcement {
    /// The server.
    pub origin: Origin,
    /// Whether its cinemas are listed.
    pub listed: bool,
    /// Its cinemas in this index.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cinemas: Vec<ListedCinema>,
    /// Where it is now, if it moved and says so there, too: that is where to ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_to: Option<Origin>,
    /// Where it was before it moved, as long as this index lists it there, too: until it has looked there again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub still_at: Vec<Origin>,
    /// Each step of the last look, in order. The first that failed is why.
    pub steps: Vec<Step>,
}

/// A server's cinema in an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListedCinema {
    /// The index's own name for it.
    pub listing: ListingId,
    /// How far to believe it.
    pub kind: ListingKind,
    /// Entries of lists at that place, of which nobody knows yet whether they are this cinema: why it is unconfirmed. Their
    /// `distance_m` is from here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<Listing>,
    /// The listing that is shown in its place: the index's operator merged the two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<ListingId>,
}

/// One step of looking at a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// Which.
    pub step: StepName,
    /// Whether it went well.
    pub ok: bool,
    /// What to do about it, if it did not. Never a text that the server sent.
    #[schemars(length(max = 1024))]
    pub detail: String,
    /// When.
    pub at: Timestamp,
}

/// Cinemas that fit a search.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Listings {
    /// Best first.
    pub listings: Vec<Listing>,
}

/// A cinema, as an index knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Listing {
    /// The index's own name for it.
    pub id: ListingId,
    /// How far to believe it.
    pub kind: ListingKind,
    /// The server to buy from, if it runs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Its name at that server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cinema: Option<CinemaId>,
    /// Its name for people.
    pub name: Texts,
    /// Where it is.
    pub address: Address,
    /// Where it is, on the map.
    pub position: Position,
    /// Its own page for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub website: Option<String>,
    /// How many halls it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halls: Option<u32>,
    /// From where an unclaimed entry was imported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub source: Option<String>,
    /// The index's own: how far from the place asked for, in metres.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distance_m: Option<u32>,
    /// The index's own: when it last saw a good manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_verified_at: Option<Timestamp>,
}

/// Films that are shown somewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FilmsShowing {
    /// Most screenings first.
    pub films: Vec<FilmShowing>,
}

/// A film, and how much of it there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FilmShowing {
    /// The film, as one of its cinemas describes it.
    pub film: Film,
    /// Cinemas that show it.
    pub cinemas: u32,
    /// Screenings of it.
    pub screenings: u32,
    /// The next one.
    pub next_starts_at: Timestamp,
}

/// Screenings that fit a search.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScreeningHints {
    /// By start.
    pub screenings: Vec<ScreeningHint>,
}

/// A screening as an index remembers it. Read it again at its server before holding a seat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScreeningHint {
    /// The server to ask and to buy from.
    pub origin: Origin,
    /// The cinema, in this index.
    pub listing: ListingId,
    /// The cinema's name.
    pub cinema_name: Texts,
    /// The titles of its films, in order: a double bill has two.
    #[schemars(length(min = 1, max = 32))]
    pub titles: Vec<Texts>,
    /// The evening it belongs to.
    pub business_date: Date,
    /// As the index last saw it.
    pub screening: Screening,
    /// The index's own: how far from the place asked for, in metres.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distance_m: Option<u32>,
    /// The index's own: when it saw it.
    pub seen_at: Timestamp,
}

/// An evening that somebody asks for. A show after midnight belongs to the evening before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Day {
    /// This evening, by each cinema's own clock: whoever asks from elsewhere means the evening there.
    Today,
    /// The evening after it.
    Tomorrow,
    /// This business date.
    On(Date),
}

/// A text that is no [`Day`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a day is today, tomorrow, or a date such as 2026-11-21")]
pub struct NotADay;

impl FromStr for Day {
    type Err = NotADay;
    fn from_str(text: &str) -> Result<Self, NotADay> {
        match text {
            "today" => Ok(Self::Today),
            "tomorrow" => Ok(Self::Tomorrow),
            date => date.parse().map(Self::On).map_err(|_| NotADay),
        }
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Today => f.write_str("today"),
            Self::Tomorrow => f.write_str("tomorrow"),
            Self::On(date) => date.fmt(f),
        }
    }
}

open_enum! {
    /// How far to believe a listing.
    ListingKind {
        /// Its own server says so, and was verified.
        Server = "server",
        /// Somebody's list says so; no server speaks for it.
        Unclaimed = "unclaimed",
        /// A server says so, but somebody's list has another cinema at that place.
        Unconfirmed = "unconfirmed",
    }

    /// A step of looking at a server.
    StepName {
        /// Its address is one of a public server.
        Address = "address",
        /// Its well-known document can be fetched.
        Fetch = "fetch",
        /// The document is signed, fresh, and speaks for that address.
        Manifest = "manifest",
        /// It is a cinema's server, with the key it had before.
        Identity = "identity",
        /// It is still there. A server that moved is listed where it is now.
        Moved = "moved",
        /// Its cinemas can be read.
        Cinemas = "cinemas",
        /// Its programme can be read.
        Programme = "programme",
    }
}

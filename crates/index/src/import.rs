//! Lists that others made: cinemas that do not run a server yet. Each row that cannot be used is named with its reason.

mod cnc;
mod osm;

use std::collections::HashSet;

use admit_protocol::cinema::Address;
use admit_protocol::directory::{Listing, ListingKind};
use admit_protocol::geo::Position;
use admit_protocol::text::Texts;

pub use self::cnc::read_cnc;
pub use self::osm::read_geojson;
use crate::store::imported_id;

/// A cinema of somebody's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Its name in that list: `cnc:31`, `osm:node/42`.
    pub source: String,
    /// Its name for people.
    pub name: Texts,
    /// Where it is.
    pub address: Address,
    /// Where it is, on the map.
    pub position: Position,
    /// Its own page.
    pub website: Option<String>,
    /// How many halls it has.
    pub halls: Option<u32>,
}

/// A row that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RefusedRow {
    /// Which row, counted from 1, and what it calls itself.
    pub row: String,
    /// Why.
    pub why: String,
}

/// What a list comes to.
#[derive(Debug, Default)]
pub struct List {
    /// Entries that can be used.
    pub entries: Vec<Imported>,
    /// Rows that cannot.
    pub refused: Vec<RefusedRow>,
    /// Names in that list that were taken.
    seen: HashSet<String>,
}

/// A list that cannot be read at all.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotAList(pub(crate) String);

impl Imported {
    pub(crate) fn listing(&self) -> Listing {
        Listing {
            id: imported_id(&self.source),
            kind: ListingKind::Unclaimed,
            origin: None,
            cinema: None,
            name: self.name.clone(),
            address: self.address.clone(),
            position: self.position,
            website: self.website.clone(),
            halls: self.halls,
            source: Some(self.source.clone()),
            distance_m: None,
            last_verified_at: None,
        }
    }
}

impl List {
    /// Takes a row, or names why not.
    fn take(&mut self, row: String, read: Result<Imported, String>) {
        let seen = &mut self.seen;
        let once = |entry: Imported| {
            if seen.insert(entry.source.clone()) { Ok(entry) } else { Err(format!("{} is listed twice", entry.source)) }
        };
        match read.and_then(|entry| entry.address.check().map(|()| entry)).and_then(once) {
            Ok(entry) => self.entries.push(entry),
            Err(why) => self.refused.push(RefusedRow { row, why }),
        }
    }
}

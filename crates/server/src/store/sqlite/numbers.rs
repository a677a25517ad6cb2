//! The numbers of screenings, and the versions of their houses.
//!
//! This process is the only one that uses the folder (D5), so what it knows of a version is so: nobody else moves it on. Versions are
//! asked for and moved on while the writer's connection is held.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use admit_protocol::id::ScreeningId;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _};

use crate::store::Save;

#[derive(Debug)]
pub(super) struct Numbers {
    known: Mutex<HashMap<ScreeningId, Known>>,
    /// The latest logical time of any house (C1), in milliseconds since 1970.
    latest: AtomicI64,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    number: i64,
    /// Nothing, until somebody asks.
    version: Option<u64>,
}

impl Numbers {
    pub(super) fn open(db: &Connection) -> rusqlite::Result<Self> {
        // The houses of one batch were decided in no particular order: so this looks at more than a batch has.
        let sql = "SELECT coalesce(max(at), 0) FROM (SELECT at FROM log ORDER BY id DESC LIMIT 4096)";
        let latest = db.query_row(sql, [], |row| row.get(0))?;
        Ok(Self { known: Mutex::default(), latest: AtomicI64::new(latest) })
    }

    fn known(&self) -> MutexGuard<'_, HashMap<ScreeningId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The latest logical time of any house: time never goes back, so every house goes on from here.
    pub(super) fn latest(&self) -> Timestamp {
        Timestamp::from_millisecond(self.latest.load(Ordering::Acquire)).unwrap_or_default()
    }

    /// The number of a screening, if there is one.
    pub(super) fn number(&self, db: &Connection, screening: ScreeningId) -> rusqlite::Result<Option<i64>> {
        if let Some(known) = self.known().get(&screening) {
            return Ok(Some(known.number));
        }
        let sql = "SELECT number FROM screening WHERE id = ?1";
        let number = db.prepare_cached(sql)?.query_row([screening.as_str()], |row| row.get(0)).optional()?;
        if let Some(number) = number {
            self.known().insert(screening, Known { number, version: None });
        }
        Ok(number)
    }

    /// The number of a screening and the version of its house.
    pub(super) fn of(&self, db: &Connection, screening: ScreeningId) -> rusqlite::Result<Option<(i64, u64)>> {
        let Some(number) = self.number(db, screening)? else { return Ok(None) };
        let known = self.known().get(&screening).and_then(|known| known.version);
        let version = match known {
            Some(version) => version,
            None => version(db, number)?,
        };
        self.known().insert(screening, Known { number, version: Some(version) });
        Ok(Some((number, version)))
    }

    /// These houses are committed.
    pub(super) fn moved_on<'a>(&self, saves: impl Iterator<Item = &'a Save<'a>>) {
        let mut known = self.known();
        for save in saves {
            self.latest.fetch_max(save.now.as_millisecond(), Ordering::AcqRel);
            if let Some(known) = known.get_mut(&save.screening) {
                known.version = Some(save.seen + 1);
            }
        }
    }

    /// Somebody changed houses by other ways: what is known of versions is asked for again.
    pub(super) fn forget_versions(&self) {
        self.known().values_mut().for_each(|known| known.version = None);
    }
}

/// The version of a house, as its rows say: 0 for one that was never changed.
pub(super) fn version(db: &Connection, number: i64) -> rusqlite::Result<u64> {
    let sql = "SELECT max(version) FROM (
        SELECT 0 AS version
        UNION ALL SELECT version FROM house WHERE screening = ?1
        UNION ALL SELECT version FROM hold
            WHERE hold IN (SELECT hold FROM claim WHERE screening = ?1 AND hold IS NOT NULL)
        UNION ALL SELECT version FROM ended_hold WHERE screening = ?1)";
    let version: i64 = db.prepare_cached(sql)?.query_row([number], |row| row.get(0))?;
    Ok(version.unsigned_abs())
}

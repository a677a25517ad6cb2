//! What was done in a house, read from SQLite.

use admit_protocol::id::ScreeningId;
use rusqlite::params;

use super::SqliteStore;
use crate::store::rows::logged;
use crate::store::{Logged, StoreError, TrailStore};

const READING: &str = "reading a house's trail";

impl TrailStore for SqliteStore {
    fn order_trail(&self, wanted: bool) -> Result<(), StoreError> {
        // Rows are added in the order of time. An index of them costs every sale a little: only who offers receipts has one.
        let sql = match wanted {
            true => "CREATE INDEX IF NOT EXISTS log_of_house ON log (screening, version)",
            false => "DROP INDEX IF EXISTS log_of_house",
        };
        let db = self.writer();
        db.execute_batch(sql).map_err(StoreError::at("ordering the trail by house"))?;
        self.committed(&db);
        Ok(())
    }

    fn read_trail(
        &self,
        screening: ScreeningId,
        after: u64,
        until: u64,
        most: usize,
    ) -> Result<Vec<Logged>, StoreError> {
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let (after, until, most) = (number(after), number(until), i64::try_from(most).unwrap_or(i64::MAX));
        self.reading(READING, |db| {
            let Some(number) = self.number_of(db, screening)? else { return Ok(Vec::new()) };
            let sql = "SELECT version, at, entries FROM log \
                       WHERE screening = ?1 AND version > ?2 AND version <= ?3 ORDER BY version LIMIT ?4";
            let mut query = db.prepare_cached(sql).map_err(StoreError::at(READING))?;
            let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?));
            let rows = query.query_map(params![number, after, until, most], row).map_err(StoreError::at(READING))?;
            rows.map(|row| {
                row.map_err(StoreError::at(READING)).and_then(|(version, at, text)| logged(version, at, &text))
            })
            .collect()
        })
    }
}

//! What leaves, in SQLite.

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Params, params};

use super::SqliteStore;
use crate::store::StoreError;
use crate::store::outbox::{ASKED_AGAIN_MS, Due, OutboxStore, PAUSE_DOUBLED_MAX, PAUSE_MS, TRIED_FOR_MS, due};

const READING: &str = "reading the outbox";
const WRITING: &str = "writing to the outbox";

impl OutboxStore for SqliteStore {
    fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT min(due) FROM outbox WHERE way = 'webhook'";
        let next: Option<i64> = self.reading(READING, |db| {
            db.prepare_cached(sql).and_then(|mut s| s.query_row([], |row| row.get(0))).map_err(StoreError::at(READING))
        })?;
        next.map(|ms| Timestamp::from_millisecond(ms).map_err(StoreError::at(READING))).transpose()
    }

    fn take_due(&self, now: Timestamp, most: u32) -> Result<Vec<Due>, StoreError> {
        let now = now.as_millisecond();
        self.put(
            "DELETE FROM outbox WHERE way = 'webhook' AND due <= ?1 AND at < ?1 - ?2",
            params![now, TRIED_FOR_MS],
        )?;
        let sql = "UPDATE outbox SET tries = tries + 1, due = ?1 + (?3 << min(tries, ?4)) WHERE id IN \
                   (SELECT id FROM outbox WHERE way = 'webhook' AND due <= ?1 ORDER BY due, id LIMIT ?2) \
                   RETURNING id, at, kind, address, body";
        let db = self.writer();
        let mut update = db.prepare_cached(sql).map_err(StoreError::at(WRITING))?;
        let row = |row: &rusqlite::Row<'_>| {
            Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?, row.get(3)?, row.get(4)?))
        };
        let taken = update.query_map(params![now, most, PAUSE_MS, PAUSE_DOUBLED_MAX], row);
        let taken = taken.map_err(StoreError::at(WRITING))?.map(|row| {
            let (row, at, kind, address, body) = row.map_err(StoreError::at(WRITING))?;
            due(row, at, &kind, address, body)
        });
        let mut taken = taken.collect::<Result<Vec<Due>, _>>()?;
        drop(update);
        self.committed(&db);
        taken.sort_by_key(|due| due.row);
        Ok(taken)
    }

    fn brought(&self, row: i64) -> Result<(), StoreError> {
        self.put("DELETE FROM outbox WHERE id = ?1", [row]).map(drop)
    }

    fn wants_to_hear(&self, webhook: &str) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM webhook WHERE url = ?1 AND proven IS NOT NULL";
        self.reading(READING, |db| {
            let known = db.query_row(sql, [webhook], |_| Ok(())).optional().map_err(StoreError::at(READING))?;
            Ok(known.is_some())
        })
    }

    fn may_ask(&self, webhook: &str, origin: &str, now: Timestamp) -> Result<bool, StoreError> {
        let sql = "INSERT INTO webhook (url, origin, asked) SELECT ?1, ?2, ?3 \
                   WHERE EXISTS (SELECT 1 FROM webhook WHERE origin = ?2 AND proven IS NOT NULL) \
                   OR NOT EXISTS (SELECT 1 FROM webhook WHERE origin = ?2 AND asked > ?3 - ?4) \
                   ON CONFLICT (url) DO UPDATE SET asked = ?3";
        Ok(self.put(sql, params![webhook, origin, now.as_millisecond(), ASKED_AGAIN_MS])? > 0)
    }

    fn said_yes(&self, webhook: &str, now: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE webhook SET proven = ?2 WHERE url = ?1";
        self.put(sql, params![webhook, now.as_millisecond()]).map(drop)
    }

    fn said_no(&self, webhook: &str) -> Result<(), StoreError> {
        self.put("DELETE FROM outbox WHERE way = 'webhook' AND address = ?1", [webhook])?;
        self.put("UPDATE webhook SET proven = NULL WHERE url = ?1", [webhook]).map(drop)
    }
}

impl SqliteStore {
    fn put(&self, sql: &str, row: impl Params) -> Result<usize, StoreError> {
        let db = self.writer();
        let changed = db.prepare_cached(sql).and_then(|mut s| s.execute(row)).map_err(StoreError::at(WRITING))?;
        if changed > 0 {
            self.committed(&db);
        }
        Ok(changed)
    }
}

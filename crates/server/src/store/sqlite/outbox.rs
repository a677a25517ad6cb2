//! What leaves, in SQLite.

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Params, params};

use super::SqliteStore;
use crate::store::StoreError;
use crate::store::outbox::{
    ASKED_AGAIN_MS, ASKED_OF_A_HOST_MAX, Due, MAIL_LIFE_MS, OutboxStore, PAUSE_DOUBLED_MAX, PAUSE_MS, TIDIED_MAX,
    TRIED_FOR_MS, WORD_LIFE_MS, due,
};

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

    fn take_due(&self, now: Timestamp, busy: &[String], most: u32) -> Result<Vec<Due>, StoreError> {
        let (now, busy) = (now.as_millisecond(), serde_json::json!(busy).to_string());
        let sql = "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox \
                   WHERE way = 'webhook' AND due <= ?1 AND tries > 0 AND at < ?1 - ?2 ORDER BY due LIMIT ?3)";
        self.put(sql, params![now, TRIED_FOR_MS, TIDIED_MAX])?;
        let sql = "UPDATE outbox SET due = ?1 + ?3 WHERE id IN \
                   (SELECT id FROM outbox WHERE way = 'webhook' AND due <= ?1 \
                   AND origin NOT IN (SELECT value FROM json_each(?4)) ORDER BY due, id LIMIT ?2) \
                   RETURNING id, at, kind, address, body";
        let db = self.writer();
        let mut update = db.prepare_cached(sql).map_err(StoreError::at(WRITING))?;
        let row = |row: &rusqlite::Row<'_>| {
            Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?, row.get(3)?, row.get(4)?))
        };
        let taken = update.query_map(params![now, most, PAUSE_MS, busy], row);
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

    fn brought(&self, rows: &[i64]) -> Result<(), StoreError> {
        let rows = serde_json::json!(rows).to_string();
        self.put("DELETE FROM outbox WHERE id IN (SELECT value FROM json_each(?1))", [rows]).map(drop)
    }

    fn not_taken(&self, row: i64, now: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE outbox SET due = ?2 + (?3 << min(tries, ?4)), tries = tries + 1 WHERE id = ?1";
        self.put(sql, params![row, now.as_millisecond(), PAUSE_MS, PAUSE_DOUBLED_MAX]).map(drop)
    }

    fn wants_to_hear(&self, webhook: &str, now: Timestamp) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM webhook WHERE url = ?1 AND proven > ?2";
        let since = now.as_millisecond() - WORD_LIFE_MS;
        self.reading(READING, |db| {
            let known = db.query_row(sql, params![webhook, since], |_| Ok(())).optional();
            Ok(known.map_err(StoreError::at(READING))?.is_some())
        })
    }

    fn may_ask(&self, webhook: &str, origin: &str, now: Timestamp) -> Result<bool, StoreError> {
        let sql = "INSERT INTO webhook (url, origin, asked) SELECT ?1, ?2, ?3 \
                   WHERE NOT EXISTS (SELECT 1 FROM webhook WHERE url = ?1 AND asked > ?3 - ?4) \
                   AND (SELECT count(*) FROM webhook WHERE origin = ?2 AND proven IS NULL AND asked > ?3 - ?5) < ?6 \
                   AND (EXISTS (SELECT 1 FROM webhook WHERE origin = ?2 AND proven > ?3 - ?7) \
                   OR NOT EXISTS (SELECT 1 FROM webhook WHERE origin = ?2 AND asked > ?3 - ?4)) \
                   ON CONFLICT (url) DO UPDATE SET asked = ?3, proven = NULL";
        let now = now.as_millisecond();
        let row = params![webhook, origin, now, ASKED_AGAIN_MS, TRIED_FOR_MS, ASKED_OF_A_HOST_MAX, WORD_LIFE_MS];
        Ok(self.put(sql, row)? > 0)
    }

    fn said_yes(&self, webhook: &str, now: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE webhook SET proven = ?2 WHERE url = ?1";
        self.put(sql, params![webhook, now.as_millisecond()]).map(drop)
    }

    fn said_no(&self, webhook: &str) -> Result<(), StoreError> {
        self.put("DELETE FROM outbox WHERE way = 'webhook' AND address = ?1", [webhook])?;
        self.put("UPDATE webhook SET proven = NULL WHERE url = ?1", [webhook]).map(drop)
    }

    fn tidy_outbox(&self, now: Timestamp) -> Result<(), StoreError> {
        let now = now.as_millisecond();
        let sql = "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox ORDER BY id LIMIT ?2) AND at < ?1";
        self.put(sql, params![now - MAIL_LIFE_MS, TIDIED_MAX])?;
        self.put("DELETE FROM webhook WHERE asked < ?1", [now - WORD_LIFE_MS]).map(drop)
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

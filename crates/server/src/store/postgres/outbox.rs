//! What leaves, in PostgreSQL: several processes take different rows.

use jiff::Timestamp;

use super::PostgresStore;
use super::session::{Params, at, get};
use crate::store::StoreError;
use crate::store::outbox::{
    ASKED_AGAIN_MS, ASKED_OF_A_HOST_MAX, Due, MAIL_LIFE_MS, OutboxStore, PAUSE_DOUBLED_MAX, PAUSE_MS, TIDIED_MAX,
    TRIED_FOR_MS, WORD_LIFE_MS, due,
};

const READING: &str = "reading the outbox";
const WRITING: &str = "writing to the outbox";

impl OutboxStore for PostgresStore {
    fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT min(due) FROM outbox WHERE way = 'webhook'";
        let rows = self.reading(|session| session.query(sql, &[]).map_err(at(READING)))?;
        let next: Option<i64> = rows.first().map(|row| get(row, 0)).transpose()?.flatten();
        next.map(|ms| Timestamp::from_millisecond(ms).map_err(StoreError::at(READING))).transpose()
    }

    fn take_due(&self, now: Timestamp, busy: &[String], most: u32) -> Result<Vec<Due>, StoreError> {
        let (now, most) = (now.as_millisecond(), i64::from(most));
        let over = "DELETE FROM outbox WHERE id = ANY (ARRAY(SELECT id FROM outbox \
                    WHERE way = 'webhook' AND due <= $1 AND tries > 0 AND at < $1 - $2 ORDER BY due LIMIT $3 FOR UPDATE SKIP LOCKED))";
        let sql = "UPDATE outbox SET due = $1 + $3::bigint WHERE id = ANY (ARRAY( \
                   SELECT id FROM outbox WHERE way = 'webhook' AND due <= $1 AND origin <> ALL ($4::text[]) \
                   ORDER BY due, id LIMIT $2 FOR UPDATE SKIP LOCKED)) \
                   RETURNING id, at, kind, address, body";
        self.writing(WRITING, |session| {
            session.execute(over, &[&now, &TRIED_FOR_MS, &TIDIED_MAX]).map_err(at(WRITING))?;
            let rows = session.query(sql, &[&now, &most, &PAUSE_MS, &busy]).map_err(at(WRITING))?;
            let read = |row| due(get(row, 0)?, get(row, 1)?, &get::<String>(row, 2)?, get(row, 3)?, get(row, 4)?);
            let mut taken = rows.iter().map(read).collect::<Result<Vec<Due>, _>>()?;
            taken.sort_by_key(|due| due.row);
            Ok(taken)
        })
    }

    fn brought(&self, rows: &[i64]) -> Result<(), StoreError> {
        self.put_out("DELETE FROM outbox WHERE id = ANY ($1::bigint[])", &[&rows]).map(drop)
    }

    fn not_taken(&self, row: i64, now: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE outbox SET due = $2 + ($3::bigint << least(tries, $4::bigint)::int), tries = tries + 1 WHERE id = $1";
        self.put_out(sql, &[&row, &now.as_millisecond(), &PAUSE_MS, &PAUSE_DOUBLED_MAX]).map(drop)
    }

    fn wants_to_hear(&self, webhook: &str, now: Timestamp) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM webhook WHERE url = $1 AND proven > $2";
        let since = now.as_millisecond() - WORD_LIFE_MS;
        Ok(!self.reading(|session| session.query(sql, &[&webhook, &since]).map_err(at(READING)))?.is_empty())
    }

    fn may_ask(&self, webhook: &str, origin: &str, now: Timestamp) -> Result<bool, StoreError> {
        // Of two processes one waits for the other: a host is asked once.
        let alone = "SELECT pg_advisory_xact_lock(hashtextextended('admit webhook ' || $1, 0))";
        let sql = "INSERT INTO webhook (url, origin, asked) SELECT $1::text, $2::text, $3::bigint \
                   WHERE NOT EXISTS (SELECT 1 FROM webhook WHERE url = $1 AND asked > $3 - $4::bigint) \
                   AND (SELECT count(*) FROM webhook WHERE origin = $2 AND proven IS NULL AND asked > $3 - $5::bigint) < $6::bigint \
                   AND (EXISTS (SELECT 1 FROM webhook WHERE origin = $2 AND proven > $3 - $7::bigint) \
                   OR NOT EXISTS (SELECT 1 FROM webhook WHERE origin = $2 AND asked > $3 - $4::bigint)) \
                   ON CONFLICT (url) DO UPDATE SET asked = $3, proven = NULL";
        let now = now.as_millisecond();
        let row: Params<'_> =
            &[&webhook, &origin, &now, &ASKED_AGAIN_MS, &TRIED_FOR_MS, &ASKED_OF_A_HOST_MAX, &WORD_LIFE_MS];
        let asked = self.writing(WRITING, |session| {
            session.query(alone, &[&origin]).map_err(at(WRITING))?;
            session.execute(sql, row).map_err(at(WRITING))
        })?;
        Ok(asked > 0)
    }

    fn said_yes(&self, webhook: &str, now: Timestamp) -> Result<(), StoreError> {
        self.put_out("UPDATE webhook SET proven = $2 WHERE url = $1", &[&webhook, &now.as_millisecond()]).map(drop)
    }

    fn said_no(&self, webhook: &str) -> Result<(), StoreError> {
        self.put_out("DELETE FROM outbox WHERE way = 'webhook' AND address = $1", &[&webhook])?;
        self.put_out("UPDATE webhook SET proven = NULL WHERE url = $1", &[&webhook]).map(drop)
    }

    fn tidy_outbox(&self, now: Timestamp) -> Result<(), StoreError> {
        let now = now.as_millisecond();
        let sql = "DELETE FROM outbox WHERE id = ANY (ARRAY( \
                   SELECT id FROM outbox ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED)) AND at < $1";
        self.put_out(sql, &[&(now - MAIL_LIFE_MS), &TIDIED_MAX])?;
        self.put_out("DELETE FROM webhook WHERE asked < $1", &[&(now - WORD_LIFE_MS)]).map(drop)
    }
}

impl PostgresStore {
    fn put_out(&self, sql: &'static str, row: Params<'_>) -> Result<u64, StoreError> {
        self.writing(WRITING, |session| session.execute(sql, row).map_err(at(WRITING)))
    }
}

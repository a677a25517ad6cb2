//! Queues in SQLite.

use admit_booking::queue::{Line, QueuePlace};
use admit_booking::{Network, Owner};
use admit_protocol::id::ScreeningId;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Params, Row, params};

use super::SqliteStore;
use super::save::begin;
use crate::store::rows::{line_of, place_of};
use crate::store::{CommitError, LineRows, QueueStore, StoreError};

const READING: &str = "reading a queue";
const WORKING: &str = "working on a queue";

impl QueueStore for SqliteStore {
    fn line(&self, screening: ScreeningId, fresh: &Line) -> Result<Line, StoreError> {
        let known = self.reading(READING, |db| match self.number_of(db, screening)? {
            Some(number) => Rows { db, number }.find(),
            None => Err(StoreError::NoScreening(screening)),
        })?;
        if let Some(line) = known {
            return Ok(line);
        }
        let db = self.writer();
        let number = self.number_of(&db, screening)?.ok_or(StoreError::NoScreening(screening))?;
        let sql = "INSERT INTO queue (screening, seed, key, places) VALUES (?1, ?2, ?3, 0) ON CONFLICT DO NOTHING";
        db.execute(sql, params![number, fresh.seed, fresh.key]).map_err(StoreError::at("beginning a queue"))?;
        self.committed(&db);
        Rows { db: &db, number }.line()
    }

    fn place(&self, screening: ScreeningId, owner: Owner) -> Result<Option<(Line, QueuePlace)>, StoreError> {
        self.reading(READING, |db| {
            let Some(number) = self.number_of(db, screening)? else { return Ok(None) };
            let mut rows = Rows { db, number };
            let Some(place) = rows.place(owner)? else { return Ok(None) };
            Ok(Some((rows.line()?, place)))
        })
    }

    fn work(
        &self,
        screening: ScreeningId,
        work: &mut dyn FnMut(&mut dyn LineRows) -> Result<(), StoreError>,
    ) -> Result<(), CommitError> {
        let mut db = self.writer();
        let transaction = begin(&mut db).map_err(|e| CommitError::NotDone(StoreError::at(WORKING)(e)))?;
        let number = self.number_of(&transaction, screening).map_err(CommitError::NotDone)?;
        let number = number.ok_or(CommitError::NotDone(StoreError::NoScreening(screening)))?;
        // Dropped, a transaction rolls back.
        work(&mut Rows { db: &transaction, number }).map_err(CommitError::NotDone)?;
        transaction.commit().map_err(|e| CommitError::Unknown(StoreError::at("committing")(e)))?;
        self.committed(&db);
        Ok(())
    }
}

impl SqliteStore {
    pub(super) fn number_of(&self, db: &Connection, screening: ScreeningId) -> Result<Option<i64>, StoreError> {
        self.numbers.number(db, screening).map_err(StoreError::at("finding a screening"))
    }
}

/// The rows of one queue.
struct Rows<'a> {
    db: &'a Connection,
    number: i64,
}

impl Rows<'_> {
    fn one<T>(
        &self,
        sql: &str,
        of: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        let mut rows = self.db.prepare_cached(sql).map_err(StoreError::at(READING))?;
        rows.query_row(of, read).optional().map_err(StoreError::at(READING))
    }

    fn run(&self, sql: &str, row: impl Params) -> Result<usize, StoreError> {
        self.db.prepare_cached(sql).and_then(|mut s| s.execute(row)).map_err(StoreError::at(WORKING))
    }

    fn find(&self) -> Result<Option<Line>, StoreError> {
        let sql = "SELECT seed, key, places, drawn_from, next_turn FROM queue WHERE screening = ?1";
        let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, (row.get(3)?, row.get(4)?)));
        let row = self.one(sql, [self.number], read)?;
        row.map(|(seed, key, places, drawn)| line_of(seed, key, places, drawn)).transpose()
    }
}

impl LineRows for Rows<'_> {
    fn line(&mut self) -> Result<Line, StoreError> {
        self.find()?.ok_or_else(|| StoreError::BadRow {
            table: "queue",
            row: self.number.to_string(),
            why: "it is not there".into(),
        })
    }

    fn set_line(&mut self, line: &Line) -> Result<(), StoreError> {
        let sql = "UPDATE queue SET places = ?2, drawn_from = ?3, next_turn = ?4 WHERE screening = ?1";
        let drawn = line.drawn.map(|drawn| (drawn.from.as_microsecond(), drawn.next.as_microsecond())).unzip();
        self.run(sql, params![self.number, line.places.cast_signed(), drawn.0, drawn.1]).map(drop)
    }

    fn place(&mut self, owner: Owner) -> Result<Option<QueuePlace>, StoreError> {
        let sql = "SELECT network, came_at, turn, \"left\" FROM queue_place WHERE screening = ?1 AND owner = ?2";
        let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
        let row = self.one(sql, params![self.number, owner.0], read)?;
        row.map(|(network, came_at, turn, left)| place_of(owner, network, came_at, turn, left)).transpose()
    }

    fn of_network(&mut self, network: Network, since: Timestamp) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM queue_place \
                   WHERE screening = ?1 AND network = ?2 AND (turn IS NULL OR turn > ?3)";
        let row = params![self.number, network.0.cast_signed(), since.as_microsecond()];
        let count: Option<i64> = self.one(sql, row, |row| row.get(0))?;
        Ok(count.unwrap_or(0).unsigned_abs())
    }

    fn put(&mut self, place: &QueuePlace) -> Result<(), StoreError> {
        let sql = "INSERT INTO queue_place (screening, owner, network, came_at, turn, \"left\") \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (screening, owner) \
                   DO UPDATE SET network = ?3, came_at = ?4, turn = ?5, \"left\" = ?6";
        let QueuePlace { owner, network, came_at, turn, left } = *place;
        let (network, turn) = (network.map(|n| n.0.cast_signed()), turn.map(Timestamp::as_microsecond));
        self.run(sql, params![self.number, owner.0, network, came_at.as_millisecond(), turn, left]).map(drop)
    }

    fn remove(&mut self, owner: Owner) -> Result<bool, StoreError> {
        let sql = "DELETE FROM queue_place WHERE screening = ?1 AND owner = ?2";
        Ok(self.run(sql, params![self.number, owner.0])? == 1)
    }

    fn without_turn(&mut self) -> Result<Vec<Owner>, StoreError> {
        let sql = "SELECT owner FROM queue_place WHERE screening = ?1 AND turn IS NULL";
        let mut rows = self.db.prepare_cached(sql).map_err(StoreError::at(READING))?;
        let owners = rows.query_map([self.number], |row| row.get(0).map(Owner)).map_err(StoreError::at(READING))?;
        owners.collect::<Result<_, _>>().map_err(StoreError::at(READING))
    }

    fn set_turns(&mut self, turns: &[(Owner, Timestamp)]) -> Result<(), StoreError> {
        let sql = "UPDATE queue_place SET turn = ?3 WHERE screening = ?1 AND owner = ?2";
        turns
            .iter()
            .try_for_each(|(owner, turn)| self.run(sql, params![self.number, owner.0, turn.as_microsecond()]).map(drop))
    }
}

//! Queues in PostgreSQL: whoever works on a line has locked its row.

use admit_booking::queue::{Line, QueuePlace};
use admit_booking::{Network, Owner};
use admit_protocol::id::ScreeningId;
use jiff::Timestamp;
use tokio_postgres::Row;

use super::PostgresStore;
use super::session::{Params, Session, at, get, told};
use crate::store::rows::{line_of, place_of};
use crate::store::{CommitError, LineRows, QueueStore, StoreError};

const READING: &str = "reading a queue";
const WORKING: &str = "working on a queue";

impl QueueStore for PostgresStore {
    fn line(&self, screening: ScreeningId, fresh: &Line) -> Result<Line, StoreError> {
        let known = self.reading(|session| {
            let number = self.number_of(session, screening)?.ok_or(StoreError::NoScreening(screening))?;
            Rows { session, number }.find(FIND)
        })?;
        if let Some(line) = known {
            return Ok(line);
        }
        self.writing("beginning a queue", |session| {
            let number = self.number_of(session, screening)?.ok_or(StoreError::NoScreening(screening))?;
            let sql = "INSERT INTO queue (screening, seed, key, places) VALUES ($1, $2, $3, 0) ON CONFLICT DO NOTHING";
            let row: Params<'_> = &[&number, &&fresh.seed[..], &&fresh.key[..]];
            session.execute(sql, row).map_err(at("beginning a queue"))?;
            Rows { session, number }.line()
        })
    }

    fn place(&self, screening: ScreeningId, owner: Owner) -> Result<Option<(Line, QueuePlace)>, StoreError> {
        let sql = "SELECT q.seed, q.key, q.places, q.drawn_from, q.next_turn, p.network, p.came_at, p.turn, p.\"left\" FROM queue q \
                   JOIN queue_place p ON p.screening = q.screening WHERE q.screening = $1 AND p.owner = $2";
        self.reading(|session| {
            let Some(number) = self.number_of(session, screening)? else { return Ok(None) };
            let rows = session.query(sql, &[&number, &&owner.0[..]]).map_err(at(READING))?;
            let place = |row| place_of(owner, get(row, 5)?, get(row, 6)?, get(row, 7)?, get(row, 8)?);
            let both = |row| Ok((read_line(row)?, place(row)?));
            rows.first().map(both).transpose()
        })
    }

    fn work(
        &self,
        screening: ScreeningId,
        work: &mut dyn FnMut(&mut dyn LineRows) -> Result<(), StoreError>,
    ) -> Result<(), CommitError> {
        let begin = || {
            let mut session = self.writer()?;
            let number = self.number_of(&mut session, screening)?.ok_or(StoreError::NoScreening(screening))?;
            session.batch("BEGIN").map_err(at(WORKING))?;
            Ok((session, number))
        };
        let (mut session, number) = begin().map_err(CommitError::NotDone)?;
        // Dropped with an open transaction, a connection rolls back.
        work(&mut Rows { session: &mut session, number }).map_err(CommitError::NotDone)?;
        match session.batch("COMMIT") {
            Ok(()) => {
                self.give_back(session);
                Ok(())
            }
            // Whoever asks again finds their place, or gets one.
            Err(error) => Err(CommitError::Unknown(StoreError::at("committing")(told(&error)))),
        }
    }
}

impl PostgresStore {
    pub(super) fn number_of(&self, session: &mut Session, screening: ScreeningId) -> Result<Option<i64>, StoreError> {
        Ok(self.numbers(session, [screening].into_iter())?.get(&screening).copied())
    }
}

const FIND: &str = "SELECT seed, key, places, drawn_from, next_turn FROM queue WHERE screening = $1";
const LOCK: &str = "SELECT seed, key, places, drawn_from, next_turn FROM queue WHERE screening = $1 FOR UPDATE";

fn read_line(row: &Row) -> Result<Line, StoreError> {
    line_of(get(row, 0)?, get(row, 1)?, get(row, 2)?, (get(row, 3)?, get(row, 4)?))
}

/// The rows of one queue.
struct Rows<'a> {
    session: &'a mut Session,
    number: i64,
}

impl Rows<'_> {
    fn all(&mut self, sql: &'static str, of: Params<'_>) -> Result<Vec<Row>, StoreError> {
        self.session.query(sql, of).map_err(at(READING))
    }

    fn run(&mut self, sql: &'static str, row: Params<'_>) -> Result<u64, StoreError> {
        self.session.execute(sql, row).map_err(at(WORKING))
    }

    fn find(&mut self, sql: &'static str) -> Result<Option<Line>, StoreError> {
        let number = self.number;
        self.all(sql, &[&number])?.first().map(read_line).transpose()
    }
}

impl LineRows for Rows<'_> {
    fn line(&mut self) -> Result<Line, StoreError> {
        self.find(LOCK)?.ok_or_else(|| StoreError::BadRow {
            table: "queue",
            row: self.number.to_string(),
            why: "it is not there".into(),
        })
    }

    fn set_line(&mut self, line: &Line) -> Result<(), StoreError> {
        let sql = "UPDATE queue SET places = $2, drawn_from = $3, next_turn = $4 WHERE screening = $1";
        let drawn = line.drawn.map(|drawn| (drawn.from.as_microsecond(), drawn.next.as_microsecond())).unzip();
        let number = self.number;
        self.run(sql, &[&number, &line.places.cast_signed(), &drawn.0, &drawn.1]).map(drop)
    }

    fn place(&mut self, owner: Owner) -> Result<Option<QueuePlace>, StoreError> {
        let sql = "SELECT network, came_at, turn, \"left\" FROM queue_place WHERE screening = $1 AND owner = $2";
        let number = self.number;
        let rows = self.all(sql, &[&number, &&owner.0[..]])?;
        rows.first().map(|row| place_of(owner, get(row, 0)?, get(row, 1)?, get(row, 2)?, get(row, 3)?)).transpose()
    }

    fn of_network(&mut self, network: Network, since: Timestamp) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM queue_place \
                   WHERE screening = $1 AND network = $2 AND (turn IS NULL OR turn > $3)";
        let number = self.number;
        let rows = self.all(sql, &[&number, &network.0.cast_signed(), &since.as_microsecond()])?;
        Ok(rows.first().map_or(Ok(0_i64), |row| get(row, 0))?.unsigned_abs())
    }

    fn put(&mut self, place: &QueuePlace) -> Result<(), StoreError> {
        let sql = "INSERT INTO queue_place (screening, owner, network, came_at, turn, \"left\") \
                   VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (screening, owner) \
                   DO UPDATE SET network = $3, came_at = $4, turn = $5, \"left\" = $6";
        let (number, QueuePlace { owner, network, came_at, turn, left }) = (self.number, *place);
        let (network, turn) = (network.map(|n| n.0.cast_signed()), turn.map(Timestamp::as_microsecond));
        self.run(sql, &[&number, &&owner.0[..], &network, &came_at.as_millisecond(), &turn, &i64::from(left)]).map(drop)
    }

    fn remove(&mut self, owner: Owner) -> Result<bool, StoreError> {
        let number = self.number;
        let gone = "DELETE FROM queue_place WHERE screening = $1 AND owner = $2";
        Ok(self.run(gone, &[&number, &&owner.0[..]])? == 1)
    }

    fn without_turn(&mut self) -> Result<Vec<Owner>, StoreError> {
        let number = self.number;
        let rows = self.all("SELECT owner FROM queue_place WHERE screening = $1 AND turn IS NULL", &[&number])?;
        let owner = |row| get::<&[u8]>(row, 0)?.try_into().map(Owner).map_err(StoreError::at(READING));
        rows.iter().map(owner).collect()
    }

    fn set_turns(&mut self, turns: &[(Owner, Timestamp)]) -> Result<(), StoreError> {
        let sql = "UPDATE queue_place p SET turn = t.turn FROM unnest($2::bytea[], $3::bigint[]) AS t (owner, turn) \
                   WHERE p.screening = $1 AND p.owner = t.owner";
        let owners: Vec<&[u8]> = turns.iter().map(|(owner, _)| &owner.0[..]).collect();
        let instants: Vec<i64> = turns.iter().map(|(_, turn)| turn.as_microsecond()).collect();
        let number = self.number;
        self.run(sql, &[&number, &owners, &instants]).map(drop)
    }
}

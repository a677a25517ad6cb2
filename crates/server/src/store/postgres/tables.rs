//! The rows that edits change, in PostgreSQL.

use admit_booking::HoldKey;
use admit_protocol::id::ScreeningId;
use admit_protocol::screening::Screening;
use jiff::Timestamp;
use tokio_postgres::Row;

use super::load;
use super::session::{Params, Session, at, get};
use crate::store::editing::{KnownScreening, Tables, WRITING};
use crate::store::{Device, Document, Message, StoreError};

/// A connection within a transaction.
pub(super) struct Within<'a>(pub(super) &'a mut Session);

impl Within<'_> {
    /// Locks the houses of screenings, in the order in which batches lock theirs: nobody sells of them until the edit is done.
    pub(super) fn lock(&mut self, screenings: &[&str]) -> Result<(), StoreError> {
        let sql = "SELECT 1 FROM house JOIN screening ON number = house.screening WHERE id = ANY($1) \
                   ORDER BY house.screening FOR UPDATE OF house";
        self.all(sql, &[&screenings]).map(drop)
    }

    fn run(&mut self, sql: &'static str, row: Params<'_>) -> Result<u64, StoreError> {
        self.0.execute(sql, row).map_err(at(WRITING))
    }

    fn all(&mut self, sql: &'static str, row: Params<'_>) -> Result<Vec<Row>, StoreError> {
        self.0.query(sql, row).map_err(at(WRITING))
    }

    fn is(&mut self, sql: &'static str, row: Params<'_>) -> Result<bool, StoreError> {
        self.all(sql, row)?.first().map_or(Ok(false), |row| get(row, 0))
    }
}

impl Tables for Within<'_> {
    fn next_change(&mut self) -> Result<i64, StoreError> {
        let sql = "SELECT coalesce(max(changed), 0) + 1 FROM screening";
        self.all(sql, &[])?.first().map_or(Ok(1), |row| get(row, 0))
    }

    fn screening(&mut self, id: ScreeningId) -> Result<Option<KnownScreening>, StoreError> {
        let sql = "SELECT number, data, removed FROM screening WHERE id = $1";
        let rows = self.all(sql, &[&id.as_str()])?;
        let read = |row| Ok(KnownScreening { number: get(row, 0)?, data: get(row, 1)?, removed: get(row, 2)? });
        rows.first().map(read).transpose()
    }

    fn put_screening(
        &mut self,
        screening: &Screening,
        data: &str,
        changed: i64,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = "WITH put AS (
                       INSERT INTO screening (id, cinema, starts_at, changed, changed_at, data) VALUES ($1, $2, $3, $4, $5, $6)
                       ON CONFLICT (id) DO UPDATE
                       SET cinema = $2, starts_at = $3, changed = $4, changed_at = $5, data = $6, removed = false
                       RETURNING number)
                   INSERT INTO house (screening) SELECT number FROM put ON CONFLICT DO NOTHING";
        let starts_at = screening.starts_at.at().as_millisecond();
        let (id, cinema) = (screening.id.as_str(), screening.cinema.as_str());
        self.run(sql, &[&id, &cinema, &starts_at, &changed, &now.as_millisecond(), &data]).map(drop)
    }

    fn remove_screening(&mut self, id: ScreeningId, changed: i64, now: Timestamp) -> Result<bool, StoreError> {
        let sql = "UPDATE screening SET removed = true, changed = $2, changed_at = $3 WHERE id = $1 AND NOT removed";
        Ok(self.run(sql, &[&id.as_str(), &changed, &now.as_millisecond()])? == 1)
    }

    fn had_a_seat(&mut self, number: i64) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM claim WHERE screening = $1) \
                   OR EXISTS (SELECT 1 FROM hold WHERE screening = $1) \
                   OR EXISTS (SELECT 1 FROM log WHERE screening = $1 AND (entries LIKE '%\"took\":%' OR entries LIKE '%\"claimed\":%'))";
        self.is(sql, &[&number])
    }

    fn had_a_ticket(&mut self, number: i64) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM claim WHERE screening = $1 AND hold IS NOT NULL) \
                   OR EXISTS (SELECT 1 FROM hold WHERE screening = $1 AND state = 'cancelled')";
        self.is(sql, &[&number])
    }

    fn standing_bookings(&mut self, number: i64) -> Result<Vec<(HoldKey, String)>, StoreError> {
        let sql = "SELECT hold, details FROM hold WHERE screening = $1 AND state = 'converted' ORDER BY hold";
        load::standing_bookings(&self.all(sql, &[&number])?, number)
    }

    fn set_details(&mut self, number: i64, hold: HoldKey, details: &str) -> Result<(), StoreError> {
        let sql = "UPDATE hold SET details = $3 WHERE hold = $2 AND screening = $1";
        self.run(sql, &[&number, &hold.0.to_be_bytes().to_vec(), &details]).map(drop)
    }

    fn new_version(&mut self, number: i64, now: Timestamp, entries: &str) -> Result<(), StoreError> {
        let sql = "WITH moved AS (
                       UPDATE house SET version = version + 1, now = greatest(now, $2) WHERE screening = $1
                       RETURNING screening, version, now)
                   INSERT INTO log (screening, version, at, entries, holds, whole, batch)
                   SELECT screening, version, now, $3, '', true, '' FROM moved";
        self.run(sql, &[&number, &now.as_millisecond(), &entries]).map(drop)
    }

    fn amended(&mut self, number: i64, now: Timestamp) -> Result<(), StoreError> {
        // Every process that has its house in memory finds a newer version, and loads it with its new terms.
        self.new_version(number, now, r#"[{"by":"staff","did":"amend"}]"#)
    }

    fn put_message(&mut self, now: Timestamp, message: &Message) -> Result<(), StoreError> {
        let sql =
            "INSERT INTO outbox (at, kind, way, address, origin, about, body) VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let Message { kind, way, address, about, body } = message;
        let about = about.bytes().to_vec();
        self.run(sql, &[&now.as_millisecond(), &kind.as_str(), &way.as_str(), address, &message.origin(), &about, body])
            .map(drop)
    }

    fn put_document(&mut self, document: &Document) -> Result<(), StoreError> {
        let Document { name, kind, bytes, called } = document;
        let sql = "UPDATE document SET called = NULL WHERE kind = $1 AND called = $2";
        self.run(sql, &[&kind.as_str(), called])?;
        let sql = "INSERT INTO document (name, kind, bytes, called) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (name) DO UPDATE SET called = coalesce($4, document.called)";
        self.run(sql, &[&&name.digest()[..], &kind.as_str(), &&bytes[..], called]).map(drop)
    }

    fn put_film(&mut self, id: &str, data: &str) -> Result<(), StoreError> {
        let sql = "INSERT INTO film (id, data) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET data = $2";
        self.run(sql, &[&id, &data]).map(drop)
    }

    fn put_cinema(&mut self, id: &str, data: &str) -> Result<(), StoreError> {
        let sql = "INSERT INTO cinema (id, data) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET data = $2";
        self.run(sql, &[&id, &data]).map(drop)
    }

    fn homeless(&mut self, cinema: &str, halls: &[&str]) -> Result<Option<(String, String)>, StoreError> {
        let sql = "SELECT id, data::json ->> 'hall' FROM screening WHERE cinema = $1 AND NOT removed \
                   AND NOT (data::json ->> 'hall') = ANY($2) LIMIT 1";
        let rows = self.all(sql, &[&cinema, &halls])?;
        rows.first().map(|row| Ok((get(row, 0)?, get(row, 1)?))).transpose()
    }

    fn sold_in_another(&mut self, cinema: &str, currency: &str) -> Result<Option<String>, StoreError> {
        let sql = "SELECT data::json ->> 'currency' FROM cinema WHERE id = $1 AND data::json ->> 'currency' <> $2 \
                   AND EXISTS (SELECT 1 FROM hold JOIN screening ON number = hold.screening WHERE cinema = $1)";
        let rows = self.all(sql, &[&cinema, &currency])?;
        rows.first().map(|row| get(row, 0)).transpose()
    }

    fn put_device(&mut self, device: &Device, name: &str) -> Result<(), StoreError> {
        let sql = "INSERT INTO device (id, name, token_hash) VALUES ($1, $2, $3) \
                   ON CONFLICT (id) DO UPDATE SET name = $2, token_hash = $3, revoked_at = NULL";
        self.run(sql, &[&device.id.as_str(), &name, &&device.token_hash[..]]).map(drop)
    }
}

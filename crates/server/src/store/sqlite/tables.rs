//! The rows that edits change, in SQLite.

use admit_booking::HoldKey;
use admit_protocol::id::ScreeningId;
use admit_protocol::screening::Screening;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Params, params};

use super::{numbers, rows};
use crate::store::editing::{KnownScreening, Tables, WRITING};
use crate::store::{Device, Document, Message, StoreError};

/// A connection within a transaction.
pub(super) struct Within<'a>(pub(super) &'a Connection);

impl Within<'_> {
    fn run(&self, sql: &str, row: impl Params) -> Result<usize, StoreError> {
        self.0.prepare_cached(sql).and_then(|mut s| s.execute(row)).map_err(StoreError::at(WRITING))
    }

    fn is(&self, sql: &str, row: impl Params) -> Result<bool, StoreError> {
        self.0.prepare_cached(sql).and_then(|mut s| s.query_row(row, |row| row.get(0))).map_err(StoreError::at(WRITING))
    }
}

impl Tables for Within<'_> {
    fn next_change(&mut self) -> Result<i64, StoreError> {
        let sql = "SELECT coalesce(max(changed), 0) + 1 FROM screening";
        self.0.query_row(sql, [], |row| row.get(0)).map_err(StoreError::at(WRITING))
    }

    fn screening(&mut self, id: ScreeningId) -> Result<Option<KnownScreening>, StoreError> {
        let sql = "SELECT number, data, removed FROM screening WHERE id = ?1";
        let mut known = self.0.prepare_cached(sql).map_err(StoreError::at(WRITING))?;
        known
            .query_row([id.as_str()], |row| {
                Ok(KnownScreening { number: row.get(0)?, data: row.get(1)?, removed: row.get(2)? })
            })
            .optional()
            .map_err(StoreError::at(WRITING))
    }

    fn put_screening(
        &mut self,
        screening: &Screening,
        data: &str,
        changed: i64,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO screening (id, cinema, starts_at, changed, changed_at, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
                   ON CONFLICT (id) DO UPDATE \
                   SET cinema = ?2, starts_at = ?3, changed = ?4, changed_at = ?5, data = ?6, removed = 0";
        let starts_at = screening.starts_at.at().as_millisecond();
        let (id, cinema) = (screening.id.as_str(), screening.cinema.as_str());
        self.run(sql, params![id, cinema, starts_at, changed, now.as_millisecond(), data]).map(drop)
    }

    fn remove_screening(&mut self, id: ScreeningId, changed: i64, now: Timestamp) -> Result<bool, StoreError> {
        let sql = "UPDATE screening SET removed = 1, changed = ?2, changed_at = ?3 WHERE id = ?1 AND removed = 0";
        Ok(self.run(sql, params![id.as_str(), changed, now.as_millisecond()])? == 1)
    }

    fn had_a_seat(&mut self, number: i64) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM claim WHERE screening = ?1) \
                   OR EXISTS (SELECT 1 FROM ended_hold WHERE screening = ?1) \
                   OR EXISTS (SELECT 1 FROM log WHERE screening = ?1 AND (entries LIKE '%\"took\":%' OR entries LIKE '%\"claimed\":%'))";
        self.is(sql, [number])
    }

    fn had_a_ticket(&mut self, number: i64) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM claim WHERE screening = ?1 AND hold IS NOT NULL) \
                   OR EXISTS (SELECT 1 FROM ended_hold WHERE screening = ?1 AND state = 'cancelled')";
        self.is(sql, [number])
    }

    fn standing_bookings(&mut self, number: i64) -> Result<Vec<(HoldKey, String)>, StoreError> {
        rows::standing_bookings(self.0, number)
    }

    fn set_details(&mut self, number: i64, hold: HoldKey, details: &str) -> Result<(), StoreError> {
        let sql = "UPDATE hold SET details = ?3 WHERE hold = ?2 AND screening = ?1";
        self.run(sql, params![number, hold.0.to_be_bytes(), details]).map(drop)
    }

    fn new_version(&mut self, number: i64, now: Timestamp, entries: &str) -> Result<(), StoreError> {
        let version = numbers::version(self.0, number).map_err(StoreError::at(WRITING))?.cast_signed() + 1;
        let house = "INSERT INTO house (screening, version) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET version = ?2";
        self.run(house, params![number, version])?;
        let trail = "INSERT INTO log (screening, version, at, entries) VALUES (?1, ?2, ?3, ?4)";
        self.run(trail, params![number, version, now.as_millisecond(), entries]).map(drop)
    }

    fn amended(&mut self, _: i64, _: Timestamp) -> Result<(), StoreError> {
        // The one process that sells from this store tells its houses itself.
        Ok(())
    }

    fn put_message(&mut self, now: Timestamp, message: &Message) -> Result<(), StoreError> {
        let sql =
            "INSERT INTO outbox (at, kind, way, address, origin, about, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let Message { kind, way, address, about, body } = message;
        let (now, origin) = (now.as_millisecond(), message.origin());
        let row = params![now, kind.as_str(), way.as_str(), address, origin, about.bytes(), body];
        self.run(sql, row).map(drop)
    }

    fn put_document(&mut self, document: &Document) -> Result<(), StoreError> {
        let Document { name, kind, bytes, called } = document;
        let sql = "UPDATE document SET called = NULL WHERE kind = ?1 AND called = ?2";
        self.run(sql, params![kind.as_str(), called])?;
        let sql = "INSERT INTO document (name, kind, bytes, called) VALUES (?1, ?2, ?3, ?4) \
                   ON CONFLICT (name) DO UPDATE SET called = coalesce(?4, called)";
        self.run(sql, params![name.digest(), kind.as_str(), &bytes[..], called]).map(drop)
    }

    fn put_film(&mut self, id: &str, data: &str) -> Result<(), StoreError> {
        let sql = "INSERT INTO film (id, data) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET data = ?2";
        self.run(sql, [id, data]).map(drop)
    }

    fn put_cinema(&mut self, id: &str, data: &str) -> Result<(), StoreError> {
        let sql = "INSERT INTO cinema (id, data) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET data = ?2";
        self.run(sql, [id, data]).map(drop)
    }

    fn homeless(&mut self, cinema: &str, halls: &[&str]) -> Result<Option<(String, String)>, StoreError> {
        let sql = "SELECT id, data ->> '$.hall' FROM screening WHERE cinema = ?1 AND removed = 0
                   AND data ->> '$.hall' NOT IN (SELECT value FROM json_each(?2)) LIMIT 1";
        let halls = serde_json::to_string(halls).map_err(StoreError::at(WRITING))?;
        let read = self.0.query_row(sql, [cinema, &halls], |row| Ok((row.get(0)?, row.get(1)?)));
        read.optional().map_err(StoreError::at(WRITING))
    }

    fn sold_in_another(&mut self, cinema: &str, currency: &str) -> Result<Option<String>, StoreError> {
        let sql = "SELECT data ->> '$.currency' FROM cinema WHERE id = ?1 AND data ->> '$.currency' <> ?2 AND EXISTS (
                   SELECT 1 FROM claim JOIN screening ON number = screening WHERE cinema = ?1 AND hold IS NOT NULL
                   UNION ALL
                   SELECT 1 FROM ended_hold JOIN screening ON number = screening WHERE cinema = ?1)";
        let read = self.0.query_row(sql, [cinema, currency], |row| row.get(0));
        read.optional().map_err(StoreError::at(WRITING))
    }

    fn put_device(&mut self, device: &Device, name: &str) -> Result<(), StoreError> {
        let sql = "INSERT INTO device (id, name, token_hash) VALUES (?1, ?2, ?3) \
                   ON CONFLICT (id) DO UPDATE SET name = ?2, token_hash = ?3, revoked_at = NULL";
        self.run(sql, params![device.id.as_str(), name, device.token_hash]).map(drop)
    }
}

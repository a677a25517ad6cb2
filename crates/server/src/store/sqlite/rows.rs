//! Houses, read back from SQLite.

use std::sync::Arc;

use admit_booking::{HoldKey, Prices, Saved};
use admit_protocol::digest::ContentName;
use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use super::numbers;
use crate::store::rows::{ClaimRow, EntryRow, HoldRow, ScanRow, bad, hold_key, read_known};
use crate::store::{About, Loaded, StoreError};

const LOADING: &str = "loading a house";

/// Bookings of a screening that have a ticket left, and their `details`.
pub(super) fn standing_bookings(db: &Connection, number: i64) -> Result<Vec<(HoldKey, String)>, StoreError> {
    let sql = "SELECT hold, details FROM hold WHERE state = 'converted' \
               AND hold IN (SELECT hold FROM claim WHERE screening = ?1 AND hold IS NOT NULL)";
    all(db, sql, number, |row, number| {
        let key = hold_key(&get::<Vec<u8>>(row, 0)?).ok_or_else(|| bad("hold", number, "key is not 16 bytes"))?;
        Ok((key, get(row, 1)?))
    })
}

/// A house of one version: all of it is read in one snapshot.
pub(super) fn load(
    db: &Connection,
    number: i64,
    now: Timestamp,
    prices: &dyn Fn(ContentName) -> Option<Arc<Prices>>,
) -> Result<Loaded, StoreError> {
    let version = numbers::version(db, number).map_err(StoreError::at(LOADING))?;
    if version == 0 {
        return Ok(Loaded::default());
    }
    let mut house = Saved { version, now, ..Saved::default() };

    let claims = "SELECT place, hold, block, until FROM claim WHERE screening = ?1";
    house.claims = all(db, claims, number, read_claim)?;
    let columns = "hold, owner, network, places, price_table, created_at, seq, state, at, details, answers";
    let claimed = "hold WHERE hold IN (SELECT hold FROM claim WHERE screening = ?1 AND hold IS NOT NULL)";
    let ended = "ended_hold WHERE screening = ?1";
    let mut keys = Vec::new();
    for which in [claimed, ended] {
        let holds = format!("SELECT {columns} FROM {which}");
        for (hold, answers) in
            all(db, &holds, number, |row, number| Ok((read_hold(row, number, prices)?, get::<Vec<u8>>(row, 10)?)))?
        {
            keys.extend(read_known(About::Hold(hold.key), &answers).map(|(known, _)| known));
            house.holds.push(hold);
        }
    }
    let scans = "SELECT device, id, kind, undoes, hold, line, generation, at, admitted, offline, verdict \
                 FROM scan WHERE screening = ?1";
    house.scans = all(db, scans, number, read_scan)?;
    let entries = "SELECT entry, owner, network, best, buyer, created_at, turn, lapses, passed_over, passed_at, state, hold, answers \
                   FROM waitlist_entry WHERE screening = ?1";
    for (entry, answers) in
        all(db, entries, number, |row, number| Ok((read_entry(row, number)?, get::<Vec<u8>>(row, 12)?)))?
    {
        keys.extend(read_known(About::Entry(entry.key), &answers).map(|(known, _)| known));
        house.entries.push(entry);
    }
    Ok(Loaded { house, keys, programme: 0 })
}

fn all<T>(
    db: &Connection,
    sql: &str,
    number: i64,
    read: impl Fn(&Row<'_>, i64) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = db.prepare_cached(sql).map_err(StoreError::at(LOADING))?;
    let mut rows = statement.query(params![number]).map_err(StoreError::at(LOADING))?;
    let mut read_all = Vec::new();
    while let Some(row) = rows.next().map_err(StoreError::at(LOADING))? {
        read_all.push(read(row, number)?);
    }
    Ok(read_all)
}

fn get<T: rusqlite::types::FromSql>(row: &Row<'_>, column: usize) -> Result<T, StoreError> {
    row.get(column).map_err(StoreError::at("reading a row of a house"))
}

fn read_claim(row: &Row<'_>, number: i64) -> Result<(admit_booking::Place, admit_booking::Claim), StoreError> {
    let row = ClaimRow { place: get(row, 0)?, hold: get(row, 1)?, block: get(row, 2)?, until: get(row, 3)? };
    row.read(number)
}

fn read_hold(
    row: &Row<'_>,
    number: i64,
    prices: &dyn Fn(ContentName) -> Option<Arc<Prices>>,
) -> Result<admit_booking::Hold, StoreError> {
    let row = HoldRow {
        hold: get(row, 0)?,
        owner: get(row, 1)?,
        network: get(row, 2)?,
        places: get(row, 3)?,
        price_table: get(row, 4)?,
        created_at: get(row, 5)?,
        seq: get(row, 6)?,
        state: get(row, 7)?,
        at: get(row, 8)?,
        details: get(row, 9)?,
    };
    row.read(number, prices)
}

fn read_entry(row: &Row<'_>, number: i64) -> Result<admit_booking::Entry, StoreError> {
    let row = EntryRow {
        entry: get(row, 0)?,
        owner: get(row, 1)?,
        network: get(row, 2)?,
        best: get(row, 3)?,
        buyer: get(row, 4)?,
        created_at: get(row, 5)?,
        turn: get(row, 6)?,
        lapses: get(row, 7)?,
        passed_over: get(row, 8)?,
        passed_at: get(row, 9)?,
        state: get(row, 10)?,
        hold: get(row, 11)?,
    };
    row.read(number)
}

fn read_scan(row: &Row<'_>, number: i64) -> Result<admit_booking::ScanRecord, StoreError> {
    let row = ScanRow {
        device: get(row, 0)?,
        id: get(row, 1)?,
        kind: get(row, 2)?,
        undoes: get(row, 3)?,
        hold: get(row, 4)?,
        line: get(row, 5)?,
        generation: get(row, 6)?,
        at: get(row, 7)?,
        admitted: get(row, 8)?,
        offline: get(row, 9)?,
        verdict: get(row, 10)?,
    };
    row.read(number)
}

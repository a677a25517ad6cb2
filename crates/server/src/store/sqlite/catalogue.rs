//! What is shown and sold, read from SQLite.

use admit_protocol::digest::ContentName;
use admit_protocol::id::{CinemaId, ScreeningId};
use admit_protocol::time::after;
use axum::body::Bytes;
use jiff::Timestamp;
use rusqlite::{Connection, Row, Transaction};
use serde::de::DeserializeOwned;

use crate::store::{Device, Document, DocumentKind, ListedScreening, Listing, RemovedScreening, StoreError};

const READING: &str = "reading the programme";

pub(super) fn listing(db: &Transaction<'_>, latest: Timestamp) -> Result<Listing, StoreError> {
    let epoch: String = db
        .query_row("SELECT value FROM setting WHERE name = 'epoch'", [], |row| row.get(0))
        .map_err(StoreError::at(READING))?;
    let mut listing = Listing {
        epoch: epoch.parse().map_err(StoreError::at(READING))?,
        programme: 0,
        latest,
        cinemas: documents(db, "cinema")?,
        films: documents(db, "film")?,
        screenings: Vec::new(),
        removed: Vec::new(),
        documents: Vec::new(),
        devices: Vec::new(),
    };
    each(db, "SELECT id, cinema, changed, changed_at, removed, data FROM screening", |row| {
        let (id, changed): (String, i64) = (get(row, 0)?, get(row, 2)?);
        let changed = changed.unsigned_abs();
        let changed_at = Timestamp::from_millisecond(get(row, 3)?).map_err(StoreError::at(READING))?;
        if get(row, 4)? {
            let (screening, cinema): (ScreeningId, CinemaId) = (
                id.parse().map_err(StoreError::at(READING))?,
                get::<String>(row, 1)?.parse().map_err(StoreError::at(READING))?,
            );
            listing.removed.push(RemovedScreening { screening, cinema, changed, changed_at });
        } else {
            let screening = read("screening", &id, &get::<String>(row, 5)?)?;
            listing.screenings.push(Box::new(ListedScreening { screening, changed, changed_at }));
        }
        Ok(())
    })?;
    let forget = after(Timestamp::now(), -admit_protocol::feed::TOMBSTONE_S);
    listing.removed.retain(|gone| gone.changed_at >= forget);
    each(db, "SELECT name, kind, bytes, called FROM document", |row| {
        let (name, bytes) = (ContentName::from_digest(get(row, 0)?), Bytes::from(get::<Vec<u8>>(row, 2)?));
        let kind = match get::<String>(row, 1)?.as_str() {
            "layout" => DocumentKind::Layout,
            _ => DocumentKind::PriceTable,
        };
        listing.documents.push(Document { name, kind, bytes, called: get(row, 3)? });
        Ok(())
    })?;
    each(db, "SELECT id, token_hash FROM device WHERE revoked_at IS NULL", |row| {
        let id = get::<String>(row, 0)?.parse().map_err(StoreError::at(READING))?;
        listing.devices.push(Device { id, token_hash: get(row, 1)? });
        Ok(())
    })?;
    Ok(listing)
}

fn documents<T: DeserializeOwned>(db: &Connection, table: &'static str) -> Result<Vec<T>, StoreError> {
    let mut found = Vec::new();
    each(db, &format!("SELECT id, data FROM {table}"), |row| {
        found.push(read(table, &get::<String>(row, 0)?, &get::<String>(row, 1)?)?);
        Ok(())
    })?;
    Ok(found)
}

fn read<T: DeserializeOwned>(table: &'static str, row: &str, data: &str) -> Result<T, StoreError> {
    let bad = |e: serde_json::Error| StoreError::BadRow { table, row: row.to_owned(), why: e.to_string() };
    serde_json::from_str(data).map_err(bad)
}

fn each(
    db: &Connection,
    sql: &str,
    mut read: impl FnMut(&Row<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut statement = db.prepare(sql).map_err(StoreError::at(READING))?;
    let mut rows = statement.query([]).map_err(StoreError::at(READING))?;
    while let Some(row) = rows.next().map_err(StoreError::at(READING))? {
        read(row)?;
    }
    Ok(())
}

fn get<T: rusqlite::types::FromSql>(row: &Row<'_>, column: usize) -> Result<T, StoreError> {
    row.get(column).map_err(StoreError::at(READING))
}

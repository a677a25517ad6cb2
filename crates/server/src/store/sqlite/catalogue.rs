//! What is shown and sold, in SQLite.

use admit_protocol::cinema::Cinema;
use admit_protocol::digest::ContentName;
use admit_protocol::film::Film;
use admit_protocol::id::{CinemaId, ScreeningId};
use admit_protocol::screening::Screening;
use admit_protocol::time::after;
use axum::body::Bytes;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, TransactionBehavior, params};
use serde::de::DeserializeOwned;

use super::SqliteStore;
use super::screening::{Disturbed, Layouts, put_screening, remove_screening, why_layout_stays};
use crate::store::{Device, Document, DocumentKind, ListedScreening, Listing, RemovedScreening, StoreError};

const READING: &str = "reading the programme";
pub(super) const WRITING: &str = "writing a screening";

/// A change of the programme, or of who may scan.
#[derive(Debug, Clone)]
pub enum Edit {
    /// A layout or a price table.
    Document(Document),
    /// A new cinema, or another description of one.
    Cinema(Box<Cinema>),
    /// A new film, or another description of one.
    Film(Box<Film>),
    /// A new screening, or a change of one.
    Screening(Box<Screening>),
    /// A screening that nobody has booked or holds is taken out.
    RemoveScreening(ScreeningId),
    /// A scanner, by the hash of its token.
    Device {
        /// The scanner.
        device: Device,
        /// What people call it.
        name: String,
    },
}

impl SqliteStore {
    /// Makes all of these edits, or none. Says whom they disturb.
    ///
    /// # Errors
    /// When one contradicts what is there: a screening that changes its layout, one that is removed while somebody has a
    /// seat. [`crate::Cinema::reload`] puts them into force.
    pub fn edit(&self, edits: &[Edit], now: Timestamp) -> Result<Vec<Disturbed>, StoreError> {
        self.edit_all(edits, now, Layouts::Stay)
    }

    /// As [`SqliteStore::edit`], while nobody sells from this store: then a screening whose seats nobody ever held, booked or
    /// blocked may get another layout (PROG-004). A server that runs has houses in memory, whose places are of the old one.
    ///
    /// # Errors
    /// When an edit contradicts what is there.
    pub fn edit_at_rest(&self, edits: &[Edit], now: Timestamp) -> Result<Vec<Disturbed>, StoreError> {
        self.edit_all(edits, now, Layouts::MayChange)
    }

    fn edit_all(&self, edits: &[Edit], now: Timestamp, layouts: Layouts) -> Result<Vec<Disturbed>, StoreError> {
        let mut db = self.writer();
        let transaction = db
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(StoreError::at("beginning an edit"))?;
        let mut next: i64 = transaction
            .query_row("SELECT coalesce(max(changed), 0) + 1 FROM screening", [], |row| row.get(0))
            .map_err(StoreError::at("beginning an edit"))?;
        let mut disturbed = Vec::new();
        for one in edits {
            disturbed.extend(edit(&transaction, one, &mut next, now, layouts)?);
        }
        transaction.commit().map_err(StoreError::at("committing an edit"))?;
        self.numbers.forget_versions();
        self.committed(&db);
        Ok(disturbed)
    }

    /// Screenings that these edits give another layout, and that must keep theirs: with the reason.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn kept_layouts(&self, edits: &[Edit], layouts: Layouts) -> Result<Vec<(ScreeningId, String)>, StoreError> {
        self.reading("looking for layouts that stay", |db| {
            let mut kept = Vec::new();
            for edit in edits {
                let Edit::Screening(screening) = edit else { continue };
                let sql = "SELECT number, data ->> '$.layout' FROM screening WHERE id = ?1";
                let known = db.query_row(sql, [screening.id.as_str()], |row| {
                    Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
                });
                let known = known.optional().map_err(StoreError::at("looking for layouts that stay"))?;
                if let Some((number, layout)) = known
                    && layout != screening.layout.to_string()
                {
                    kept.extend(why_layout_stays(db, number, layouts)?.map(|why| (screening.id, why)));
                }
            }
            Ok(kept)
        })
    }

    /// A setting.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.reading("reading a setting", |db| {
            let sql = "SELECT value FROM setting WHERE name = ?1";
            db.query_row(sql, [name], |row| row.get(0)).optional().map_err(StoreError::at("reading a setting"))
        })
    }

    /// Changes a setting.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn set(&self, name: &str, value: &str) -> Result<(), StoreError> {
        let sql = "INSERT INTO setting (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2";
        self.writer().execute(sql, [name, value]).map_err(StoreError::at("writing a setting"))?;
        Ok(())
    }
}

fn edit(
    db: &Transaction<'_>,
    edit: &Edit,
    next: &mut i64,
    now: Timestamp,
    layouts: Layouts,
) -> Result<Option<Disturbed>, StoreError> {
    let at = StoreError::at("writing an edit");
    match edit {
        Edit::Screening(screening) => return put_screening(db, screening, next, now, layouts),
        Edit::Document(document) => put_document(db, document).map_err(at),
        Edit::Cinema(cinema) => put_cinema(db, cinema),
        Edit::Film(film) => put(db, "film", film.id.as_str(), &text_of(film)?).map_err(at),
        Edit::RemoveScreening(id) => remove_screening(db, *id, next, now),
        Edit::Device { device, name } => {
            let sql = "INSERT INTO device (id, name, token_hash) VALUES (?1, ?2, ?3) \
                       ON CONFLICT (id) DO UPDATE SET name = ?2, token_hash = ?3, revoked_at = NULL";
            db.execute(sql, params![device.id.as_str(), name, device.token_hash]).map(drop).map_err(at)
        }
    }
    .map(|()| None)
}

pub(super) fn text_of<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(StoreError::at("writing JSON"))
}

fn put_document(db: &Connection, document: &Document) -> rusqlite::Result<()> {
    let Document { name, kind, bytes, called } = document;
    let sql = "UPDATE document SET called = NULL WHERE kind = ?1 AND called = ?2";
    db.prepare_cached(sql)?.execute(params![kind.as_str(), called])?;
    let sql = "INSERT INTO document (name, kind, bytes, called) VALUES (?1, ?2, ?3, ?4) \
               ON CONFLICT (name) DO UPDATE SET called = coalesce(?4, called)";
    db.prepare_cached(sql)?.execute(params![name.digest(), kind.as_str(), &bytes[..], called]).map(drop)
}

fn put(db: &Connection, table: &str, id: &str, data: &str) -> rusqlite::Result<()> {
    let sql = format!("INSERT INTO {table} (id, data) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET data = ?2");
    db.prepare_cached(&sql)?.execute([id, data]).map(drop)
}

fn put_cinema(db: &Connection, cinema: &Cinema) -> Result<(), StoreError> {
    // A screening's hall is printed on its tickets.
    let sql = "SELECT id, data ->> '$.hall' FROM screening WHERE cinema = ?1 AND removed = 0
               AND data ->> '$.hall' NOT IN (SELECT value FROM json_each(?2)) LIMIT 1";
    let halls: Vec<&str> = cinema.halls.iter().map(|h| h.id.as_str()).collect();
    let homeless = db
        .query_row(sql, params![cinema.id.as_str(), text_of(&halls)?], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        })
        .optional()
        .map_err(StoreError::at(WRITING))?;
    if let Some((screening, hall)) = homeless {
        let why = format!("cinema {} is given without hall {hall}, where screening {screening} takes place", cinema.id);
        return Err(StoreError::Refused(format!("{why}: list every hall that is used")));
    }
    // What was promised and paid is in it.
    let sql = "SELECT data ->> '$.currency' FROM cinema WHERE id = ?1 AND data ->> '$.currency' <> ?2 AND EXISTS (
               SELECT 1 FROM claim JOIN screening ON number = screening WHERE cinema = ?1 AND hold IS NOT NULL
               UNION ALL
               SELECT 1 FROM ended_hold JOIN screening ON number = screening WHERE cinema = ?1)";
    let row = params![cinema.id.as_str(), cinema.currency.to_string()];
    let sold = db.query_row(sql, row, |row| row.get::<_, String>(0)).optional().map_err(StoreError::at(WRITING))?;
    if let Some(sold) = sold {
        let why = format!("cinema {} has sold in {sold}, and keeps that currency", cinema.id);
        return Err(StoreError::Refused(why));
    }
    put(db, "cinema", cinema.id.as_str(), &text_of(cinema)?).map_err(StoreError::at(WRITING))
}

pub(super) fn listing(db: &Transaction<'_>, latest: Timestamp) -> Result<Listing, StoreError> {
    let epoch: String = db
        .query_row("SELECT value FROM setting WHERE name = 'epoch'", [], |row| row.get(0))
        .map_err(StoreError::at(READING))?;
    let mut listing = Listing {
        epoch: epoch.parse().map_err(StoreError::at(READING))?,
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
            listing.screenings.push(ListedScreening { screening, changed, changed_at });
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

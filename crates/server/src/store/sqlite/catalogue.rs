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
use serde_json::json;

use super::{SqliteStore, rows};
use crate::store::{Device, ListedScreening, Listing, LogEntry, RemovedScreening, StoreError};

const READING: &str = "reading the programme";
const WRITING: &str = "writing a screening";

/// A change of the programme, or of who may scan.
#[derive(Debug, Clone)]
pub enum Edit {
    /// A layout, as the bytes that name it.
    Layout(Bytes),
    /// A price table, as the bytes that name it.
    PriceTable(Bytes),
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

/// A screening that was changed while people had tickets for it: they are to be told. Who left an address has a message in the
/// outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disturbed {
    /// As it was.
    pub before: Screening,
    /// As it is.
    pub after: Screening,
    /// How many bookings.
    pub bookings: usize,
    /// How many of them left no address.
    pub without_address: usize,
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

/// Whether a screening may get another layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layouts {
    /// Never: a server sells from this store.
    Stay,
    /// As long as nobody had a seat in it: nobody sells from this store now.
    MayChange,
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
        Edit::Layout(bytes) => put_document(db, "layout", bytes).map_err(at),
        Edit::PriceTable(bytes) => put_document(db, "price_table", bytes).map_err(at),
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

fn text_of<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(StoreError::at("writing JSON"))
}

fn put_document(db: &Connection, kind: &str, bytes: &[u8]) -> rusqlite::Result<()> {
    let sql = "INSERT INTO document (name, kind, bytes) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
    db.prepare_cached(sql)?.execute(params![ContentName::of(bytes).digest(), kind, bytes]).map(drop)
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
    put(db, "cinema", cinema.id.as_str(), &text_of(cinema)?).map_err(StoreError::at(WRITING))
}

fn put_screening(
    db: &Connection,
    screening: &Screening,
    next: &mut i64,
    now: Timestamp,
    layouts: Layouts,
) -> Result<Option<Disturbed>, StoreError> {
    let data = text_of(screening)?;
    let sql = "SELECT number, data, removed FROM screening WHERE id = ?1";
    let mut known = db.prepare_cached(sql).map_err(StoreError::at(WRITING))?;
    let known: Option<(i64, String, bool)> = known
        .query_row([screening.id.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()
        .map_err(StoreError::at(WRITING))?;
    let mut disturbed = None;
    if let Some((number, before, removed)) = known {
        let before: Screening = serde_json::from_str(&before).map_err(StoreError::at(WRITING))?;
        if before == *screening && !removed {
            return Ok(None);
        }
        if before.layout != screening.layout {
            change_layout(db, number, screening, now, layouts)?;
        }
        disturbed = tell_buyers(db, number, before, screening, now)?;
    }
    let sql = "INSERT INTO screening (id, cinema, starts_at, changed, changed_at, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
               ON CONFLICT (id) DO UPDATE \
               SET cinema = ?2, starts_at = ?3, changed = ?4, changed_at = ?5, data = ?6, removed = 0";
    let row = params![
        screening.id.as_str(),
        screening.cinema.as_str(),
        screening.starts_at.at().as_millisecond(),
        *next,
        now.as_millisecond(),
        data
    ];
    db.prepare_cached(sql).and_then(|mut s| s.execute(row)).map_err(StoreError::at(WRITING))?;
    *next += 1;
    Ok(disturbed)
}

/// D4: who booked another time, another hall or a screening that takes place is told, by a message that is saved with the change.
fn tell_buyers(
    db: &Connection,
    number: i64,
    before: Screening,
    after: &Screening,
    now: Timestamp,
) -> Result<Option<Disturbed>, StoreError> {
    let what = |s: &Screening| (s.starts_at.clone(), s.hall, s.status);
    if what(&before) == what(after) {
        return Ok(None);
    }
    let bookings = rows::standing_bookings(db, number)?;
    let mut insert = db
        .prepare_cached("INSERT INTO outbox (at, kind, body) VALUES (?1, ?2, ?3)")
        .map_err(StoreError::at(WRITING))?;
    let side = |s: &Screening| json!({"starts_at": s.starts_at, "hall": s.hall, "status": s.status});
    for (key, email) in &bookings {
        let Some(email) = email else { continue };
        let body = json!({
            "to": email, "screening": after.id, "booking": key.booking_id(), "before": side(&before), "after": side(after),
        });
        let row = params![now.as_millisecond(), "screening_changed", body.to_string()];
        insert.execute(row).map_err(StoreError::at(WRITING))?;
    }
    let moved_by = after.starts_at.at().as_millisecond() - before.starts_at.at().as_millisecond();
    if moved_by != 0 && !bookings.is_empty() {
        move_time_to_pay(db, number, moved_by, after, now)?;
    }
    let without_address = bookings.iter().filter(|(_, email)| email.is_none()).count();
    let disturbed = Disturbed { before, after: after.clone(), bookings: bookings.len(), without_address };
    Ok((!bookings.is_empty()).then_some(disturbed))
}

fn why_layout_stays(db: &Connection, number: i64, layouts: Layouts) -> Result<Option<String>, StoreError> {
    let sql =
        "SELECT EXISTS (SELECT 1 FROM hold WHERE screening = ?1) OR EXISTS (SELECT 1 FROM claim WHERE screening = ?1)";
    let sold = db.query_row(sql, [number], |row| row.get(0)).map_err(StoreError::at(WRITING))?;
    let why = match (sold, layouts) {
        (true, _) => {
            "somebody had a seat in it, so it keeps its layout: give the new layout another name in the file, keep the old one \
             under its name, and say that name as the screening's `layout`"
        }
        (false, Layouts::Stay) => {
            "it keeps its layout while the server runs: stop the server and use `admit cinema import`"
        }
        (false, Layouts::MayChange) => return Ok(None),
    };
    Ok(Some(why.to_owned()))
}

/// Who pays at the cinema has as long before the new start as before the old one; where that is over, until the start.
fn move_time_to_pay(
    db: &Connection,
    number: i64,
    moved_by: i64,
    screening: &Screening,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "UPDATE hold SET details = json_set(details, '$.booked.collect_by', \
               CASE WHEN details ->> '$.booked.collect_by' + ?2 > ?3 THEN details ->> '$.booked.collect_by' + ?2 ELSE ?4 END) \
               WHERE screening = ?1 AND state = 'converted' AND details ->> '$.booked.collect_by' IS NOT NULL";
    let row = params![number, moved_by, now.as_millisecond(), screening.starts_at.at().as_millisecond()];
    db.execute(sql, row).map_err(StoreError::at(WRITING))?;
    new_version(db, number, "move_screening", now)
}

/// Whoever saw the house as it was has an older version, and looks again before it changes anything.
fn new_version(db: &Connection, number: i64, did: &str, now: Timestamp) -> Result<(), StoreError> {
    let version = "INSERT INTO house (screening, version, now) VALUES (?1, 1, ?2) \
                   ON CONFLICT (screening) DO UPDATE SET version = version + 1";
    let trail = "INSERT INTO log (screening, version, at, entries) \
                 SELECT screening, version, ?2, ?3 FROM house WHERE screening = ?1";
    let did = LogEntry { by: "staff".into(), did: did.into(), hold: None, claimed: vec![], freed: vec![] };
    let ms = now.as_millisecond();
    db.execute(version, params![number, ms]).map_err(StoreError::at(WRITING))?;
    db.execute(trail, params![number, ms, text_of(&[did])?]).map(drop).map_err(StoreError::at(WRITING))
}

/// S7, S1: claims are by place of the layout. Where there was never one, a house may begin again with other places.
fn change_layout(
    db: &Connection,
    number: i64,
    screening: &Screening,
    now: Timestamp,
    layouts: Layouts,
) -> Result<(), StoreError> {
    if let Some(why) = why_layout_stays(db, number, layouts)? {
        return Err(StoreError::Refused(format!("screening {}: {why}", screening.id)));
    }
    new_version(db, number, "change_layout", now)
}

fn remove_screening(db: &Connection, id: ScreeningId, next: &mut i64, now: Timestamp) -> Result<(), StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM claim JOIN screening ON number = screening WHERE id = ?1 AND hold IS NOT NULL) \
               OR EXISTS (SELECT 1 FROM hold JOIN screening ON number = screening WHERE id = ?1 AND state = 'converted')";
    if db.query_row(sql, [id.as_str()], |row| row.get(0)).map_err(StoreError::at("removing a screening"))? {
        let why = format!(
            "somebody has or had a ticket for screening {id}: set its status to cancelled instead, so that they are \
                           told, and what they get back is known"
        );
        return Err(StoreError::Refused(why));
    }
    let sql = "UPDATE screening SET removed = 1, changed = ?2, changed_at = ?3 WHERE id = ?1 AND removed = 0";
    let removed = db
        .execute(sql, params![id.as_str(), *next, now.as_millisecond()])
        .map_err(StoreError::at("removing a screening"))?;
    *next += 1;
    if removed == 1 { Ok(()) } else { Err(StoreError::Refused(format!("there is no screening {id}"))) }
}

pub(super) fn listing(db: &Transaction<'_>) -> Result<Listing, StoreError> {
    let epoch: String = db
        .query_row("SELECT value FROM setting WHERE name = 'epoch'", [], |row| row.get(0))
        .map_err(StoreError::at(READING))?;
    let latest: Option<i64> =
        db.query_row("SELECT max(now) FROM house", [], |row| row.get(0)).map_err(StoreError::at(READING))?;
    let mut listing = Listing {
        epoch: epoch.parse().map_err(StoreError::at(READING))?,
        latest: latest.and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(Timestamp::UNIX_EPOCH),
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
    each(db, "SELECT name, bytes FROM document", |row| {
        let bytes: Vec<u8> = get(row, 1)?;
        listing.documents.push((ContentName::from_digest(get(row, 0)?), bytes.into()));
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

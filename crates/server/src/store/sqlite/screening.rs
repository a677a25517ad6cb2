//! A screening that is put in, changed or taken out, and what that means for those who have tickets.

use admit_protocol::id::ScreeningId;
use admit_protocol::screening::Screening;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::json;

use super::catalogue::{WRITING, text_of};
use super::{numbers, rows};
use crate::store::{LogEntry, StoreError};

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

/// Whether a screening may get another layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layouts {
    /// Never: a server sells from this store.
    Stay,
    /// As long as nobody had a seat in it: nobody sells from this store now.
    MayChange,
}

pub(super) fn put_screening(
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

pub(super) fn why_layout_stays(db: &Connection, number: i64, layouts: Layouts) -> Result<Option<String>, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM claim WHERE screening = ?1) OR EXISTS (SELECT 1 FROM ended_hold \
               WHERE screening = ?1)";
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
               WHERE hold IN (SELECT hold FROM claim WHERE screening = ?1 AND hold IS NOT NULL) \
               AND state = 'converted' AND details ->> '$.booked.collect_by' IS NOT NULL";
    let row = params![number, moved_by, now.as_millisecond(), screening.starts_at.at().as_millisecond()];
    db.execute(sql, row).map_err(StoreError::at(WRITING))?;
    new_version(db, number, "move_screening", now)
}

/// Whoever saw the house as it was has an older version, and looks again before it changes anything.
fn new_version(db: &Connection, number: i64, did: &str, now: Timestamp) -> Result<(), StoreError> {
    let version = numbers::version(db, number).map_err(StoreError::at(WRITING))?.cast_signed() + 1;
    let house = "INSERT INTO house (screening, version) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET version = ?2";
    let trail = "INSERT INTO log (screening, version, at, entries) VALUES (?1, ?2, ?3, ?4)";
    let did = LogEntry { by: "staff".into(), did: did.into(), hold: None, claimed: vec![], freed: vec![] };
    let ms = now.as_millisecond();
    db.execute(house, params![number, version]).map_err(StoreError::at(WRITING))?;
    db.execute(trail, params![number, version, ms, text_of(&[did])?]).map(drop).map_err(StoreError::at(WRITING))
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

pub(super) fn remove_screening(
    db: &Connection,
    id: ScreeningId,
    next: &mut i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM claim JOIN screening ON number = screening WHERE id = ?1 AND hold IS NOT NULL) \
               OR EXISTS (SELECT 1 FROM ended_hold JOIN screening ON number = screening WHERE id = ?1 AND state = 'cancelled')";
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

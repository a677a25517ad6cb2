//! Saving houses: one transaction, one sync, a savepoint for each house.

use admit_booking::{Changes, Claim, Place};
use admit_protocol::id::ScreeningId;
use rusqlite::{Connection, ErrorCode, Savepoint, TransactionBehavior, params};

use super::rows::{claim_columns, places_text, state_columns};
use crate::store::{CommitError, Outcome, Save, StoreError};

/// Why one house was not saved while the others go on.
enum Refused {
    Conflict,
    Broken(String),
    /// Not this house's fault.
    Database(rusqlite::Error),
}

impl From<rusqlite::Error> for Refused {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            // S2: the key forbids it. That means a bug here, or a file that somebody else wrote.
            Some(ErrorCode::ConstraintViolation) => Self::Broken(error.to_string()),
            _ => Self::Database(error),
        }
    }
}

pub(super) fn save(
    db: &mut Connection,
    batch: &[Save<'_>],
    number: impl Fn(&Connection, ScreeningId) -> rusqlite::Result<Option<i64>>,
) -> Result<Vec<Outcome>, CommitError> {
    let not_done = |error: rusqlite::Error| CommitError::NotDone(StoreError::at("saving houses")(error));
    // A deferred transaction that reads first would be refused when it begins to write.
    let mut transaction = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(not_done)?;
    let mut outcomes = Vec::with_capacity(batch.len());
    for save in batch {
        let savepoint = transaction.savepoint().map_err(not_done)?;
        let saved = match number(&savepoint, save.screening) {
            Ok(Some(number)) => save_house(&savepoint, number, save),
            Ok(None) => Err(Refused::Broken(format!("there is no screening {}", save.screening))),
            Err(error) => Err(Refused::Database(error)),
        };
        outcomes.push(match saved {
            Ok(()) => {
                savepoint.commit().map_err(not_done)?;
                Outcome::Saved
            }
            // Dropping a savepoint rolls it back.
            Err(Refused::Conflict) => Outcome::Conflict,
            Err(Refused::Broken(why)) => Outcome::Broken(why),
            Err(Refused::Database(error)) => return Err(not_done(error)),
        });
    }
    // From here on nobody knows: an error may come after the bytes reached the disk.
    transaction.commit().map_err(|error| CommitError::Unknown(StoreError::at("committing")(error)))?;
    Ok(outcomes)
}

fn save_house(db: &Savepoint<'_>, number: i64, save: &Save<'_>) -> Result<(), Refused> {
    let (seen, now) = (save.seen.cast_signed(), save.now.as_millisecond());
    let moved_on = if save.seen == 0 {
        let sql = "INSERT INTO house (screening, version, now) VALUES (?1, 1, ?2) ON CONFLICT DO NOTHING";
        db.prepare_cached(sql)?.execute(params![number, now])?
    } else {
        let sql = "UPDATE house SET version = version + 1, now = ?3 WHERE screening = ?1 AND version = ?2";
        db.prepare_cached(sql)?.execute(params![number, seen, now])?
    };
    if moved_on != 1 {
        return Err(Refused::Conflict);
    }
    for changes in save.changes {
        save_changes(db, number, changes)?;
    }
    for new in save.answers {
        let hold = new.answer.hold.map(|key| key.0.to_be_bytes());
        let sql =
            "INSERT INTO answer (screening, key, said, at, status, hold, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let body = new.answer.body.as_deref();
        db.prepare_cached(sql)?.execute(params![number, new.key.0, new.body.0, now, new.answer.status, hold, body])?;
    }
    for message in save.outbox {
        let sql = "INSERT INTO outbox (at, kind, body) VALUES (?1, ?2, ?3)";
        db.prepare_cached(sql)?.execute(params![now, message.kind, message.body])?;
    }
    let entries = serde_json::to_string(save.log).map_err(|e| Refused::Broken(e.to_string()))?;
    let sql = "INSERT INTO log (screening, version, at, entries) VALUES (?1, ?2, ?3, ?4)";
    db.prepare_cached(sql)?.execute(params![number, seen + 1, now, entries])?;
    Ok(())
}

fn save_changes(db: &Savepoint<'_>, number: i64, changes: &Changes) -> Result<(), Refused> {
    for &(place, expected) in &changes.freed {
        free(db, number, place, expected)?;
    }
    for &(place, claim) in &changes.claimed {
        let (hold, block, until) = claim_columns(claim);
        let sql = "INSERT INTO claim (screening, place, hold, block, until) VALUES (?1, ?2, ?3, ?4, ?5)";
        db.prepare_cached(sql)?.execute(params![number, place.0, hold, block, until])?;
    }
    for hold in &changes.placed {
        let (state, at, details) = state_columns(&hold.state);
        let sql = "INSERT INTO hold (screening, hold, owner, network, places, price_table, created_at, seq, state, at, \
                   details) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
        db.prepare_cached(sql)?.execute(params![
            number,
            hold.key.0.to_be_bytes(),
            hold.owner.0,
            hold.network.map(|n| n.0.cast_signed()),
            places_text(&hold.places),
            hold.prices.name.digest(),
            hold.created_at.as_millisecond(),
            hold.seq.cast_signed(),
            state,
            at,
            details,
        ])?;
    }
    for (key, state) in &changes.moved {
        let (state, at, details) = state_columns(state);
        let sql = "UPDATE hold SET state = ?3, at = ?4, details = ?5 WHERE screening = ?1 AND hold = ?2";
        let row = params![number, key.0.to_be_bytes(), state, at, details];
        one(db.prepare_cached(sql)?.execute(row)?, || format!("hold {:032x} is not there", key.0))?;
    }
    for scan in &changes.scans {
        let sql = "INSERT INTO scan (screening, device, id, kind, undoes, hold, line, generation, at, admitted, offline, \
                   verdict) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
        db.prepare_cached(sql)?.execute(params![
            number,
            scan.device.as_str(),
            scan.id.as_str(),
            scan.kind.as_str(),
            scan.undoes.as_ref().map(admit_protocol::id::ScanId::as_str),
            scan.ticket.map(|t| t.booking.0.to_be_bytes()),
            scan.ticket.map(|t| t.line),
            scan.ticket.map(|t| t.generation),
            scan.at.as_millisecond(),
            scan.admitted,
            scan.offline,
            scan.verdict.as_str(),
        ])?;
    }
    Ok(())
}

/// S3: names the owner it expects, and counts.
fn free(db: &Savepoint<'_>, number: i64, place: Place, expected: Claim) -> Result<(), Refused> {
    let (hold, block, _) = claim_columns(expected);
    let sql = "DELETE FROM claim WHERE screening = ?1 AND place = ?2 AND hold IS ?3 AND block IS ?4";
    let freed = db.prepare_cached(sql)?.execute(params![number, place.0, hold, block])?;
    one(freed, || format!("S3: place {} is not {expected:?}'s", place.0))
}

fn one(rows: usize, otherwise: impl FnOnce() -> String) -> Result<(), Refused> {
    if rows == 1 { Ok(()) } else { Err(Refused::Broken(otherwise())) }
}

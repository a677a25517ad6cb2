//! Saving houses: one transaction, one sync. Of each house all is saved, or nothing.

use std::collections::HashSet;

use admit_booking::{Changes, Claim, Place};
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior, params};

use super::numbers::Numbers;
use crate::store::rows::{claim_columns, entry_state_columns, entry_texts, known_bytes, places_text, state_columns};
use crate::store::{About, Answer, CashWay, CommitError, Message, Outcome, Save, StoreError, TillEntry};

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

/// Begins to write. A deferred transaction that reads first would be refused when it does.
pub(super) fn begin(db: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    db.transaction_with_behavior(TransactionBehavior::Immediate)
}

pub(super) fn save(db: &mut Connection, batch: &[Save<'_>], numbers: &Numbers) -> Result<Vec<Outcome>, CommitError> {
    match save_all(db, batch, numbers, Fences::None)? {
        Some(outcomes) => Ok(outcomes),
        // Something is wrong with one of them. It is found, and the others are saved.
        None => Ok(save_all(db, batch, numbers, Fences::EachHouse)?.unwrap_or_default()),
    }
}

/// Saves all houses of a batch, or none.
pub(super) fn save_together(
    db: &mut Connection,
    batch: &[Save<'_>],
    numbers: &Numbers,
) -> Result<Outcome, CommitError> {
    let not_done = |error: rusqlite::Error| CommitError::NotDone(StoreError::at("saving houses")(error));
    let transaction = begin(db).map_err(not_done)?;
    for save in batch {
        match save_one(&transaction, save, numbers) {
            Ok(()) => {}
            // Dropped, a transaction rolls back.
            Err(Refused::Conflict) => return Ok(Outcome::Conflict),
            Err(Refused::Broken(why)) => return Ok(Outcome::Broken(why)),
            Err(Refused::Database(error)) => return Err(not_done(error)),
        }
    }
    transaction.commit().map_err(|error| CommitError::Unknown(StoreError::at("committing")(error)))?;
    numbers.moved_on(batch.iter());
    Ok(Outcome::Saved)
}

/// Whether a house that is broken can be taken back alone. A savepoint costs a copy of every page that is written after it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fences {
    None,
    EachHouse,
}

/// Saves a batch; nothing, and nothing is saved, if a house is broken and there is no fence around it.
fn save_all(
    db: &mut Connection,
    batch: &[Save<'_>],
    numbers: &Numbers,
    fences: Fences,
) -> Result<Option<Vec<Outcome>>, CommitError> {
    let not_done = |error: rusqlite::Error| CommitError::NotDone(StoreError::at("saving houses")(error));
    let mut transaction = begin(db).map_err(not_done)?;
    let mut outcomes = Vec::with_capacity(batch.len());
    let mut saved_now = HashSet::with_capacity(batch.len());
    for save in batch {
        let saved = match fences {
            // What is remembered of its version is from before this batch.
            _ if saved_now.contains(&save.screening) => Err(Refused::Conflict),
            Fences::None => save_one(&transaction, save, numbers),
            Fences::EachHouse => {
                let fence = transaction.savepoint().map_err(not_done)?;
                let saved = save_one(&fence, save, numbers);
                // Dropping a savepoint rolls it back.
                if saved.is_ok() {
                    fence.commit().map_err(not_done)?;
                }
                saved
            }
        };
        outcomes.push(match saved {
            Ok(()) => {
                saved_now.insert(save.screening);
                Outcome::Saved
            }
            // Nothing was written for it yet.
            Err(Refused::Conflict) => Outcome::Conflict,
            Err(Refused::Broken(why)) if fences == Fences::EachHouse => Outcome::Broken(why),
            Err(Refused::Broken(_)) => return Ok(None),
            Err(Refused::Database(error)) => return Err(not_done(error)),
        });
    }
    // From here on nobody knows: an error may come after the bytes reached the disk.
    transaction.commit().map_err(|error| CommitError::Unknown(StoreError::at("committing")(error)))?;
    let saved = batch.iter().zip(&outcomes).filter(|(_, outcome)| **outcome == Outcome::Saved);
    numbers.moved_on(saved.map(|(save, _)| save));
    Ok(Some(outcomes))
}

fn save_one(db: &Connection, save: &Save<'_>, numbers: &Numbers) -> Result<(), Refused> {
    let Some((number, version)) = numbers.of(db, save.screening)? else {
        return Err(Refused::Broken(format!("there is no screening {}", save.screening)));
    };
    // A conflict is rare: before it is said, the rows are asked, and not what is remembered of them.
    if version == save.seen || super::numbers::version(db, number)? == save.seen {
        save_house(db, number, save)
    } else {
        Err(Refused::Conflict)
    }
}

fn save_house(db: &Connection, number: i64, save: &Save<'_>) -> Result<(), Refused> {
    let (version, now) = ((save.seen + 1).cast_signed(), save.now.as_millisecond());
    if save.changes.iter().all(|c| c.placed.is_empty() && c.moved.is_empty()) {
        let sql = "INSERT INTO house (screening, version) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET version = ?2";
        db.prepare_cached(sql)?.execute(params![number, version])?;
    }
    let mut answers: Vec<(About, Vec<u8>)> = Vec::with_capacity(save.answers.len());
    for new in save.answers {
        let Answer { status, body } = &new.answer;
        let sql = "INSERT INTO answer (at, status, body) VALUES (?1, ?2, ?3)";
        db.prepare_cached(sql)?.execute(params![now, status, body.as_deref().unwrap_or_default()])?;
        answers.push((new.known.about, known_bytes(&new.known, db.last_insert_rowid())));
    }
    for changes in save.changes {
        save_changes(db, number, version, changes, &mut answers)?;
    }
    // A request has its effect on what it is about, and is on record there.
    if let Some((about, _)) = answers.first() {
        return Err(Refused::Broken(format!("an answer is about {about:?}, which did not change")));
    }
    for TillEntry { by, booking, amount, way } in save.till {
        let signed = if *way == CashWay::Taken { amount.amount() } else { -amount.amount() };
        let sql = "INSERT INTO till (at, by, screening, hold, amount, currency) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let (booking, currency) = (booking.0.to_be_bytes(), amount.currency());
        db.prepare_cached(sql)?.execute(params![now, by, number, booking, signed, currency.code()])?;
    }
    for message in save.outbox {
        let sql =
            "INSERT INTO outbox (at, kind, way, address, origin, about, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let Message { kind, way, address, about, body } = message;
        let row = params![now, kind.as_str(), way.as_str(), address, message.origin(), about.bytes(), body];
        db.prepare_cached(sql)?.execute(row)?;
    }
    for about in save.forgotten {
        db.prepare_cached("DELETE FROM outbox WHERE about = ?1")?.execute([about.bytes()])?;
    }
    let entries = serde_json::to_string(save.log).map_err(|e| Refused::Broken(e.to_string()))?;
    let sql = "INSERT INTO log (screening, version, at, entries) VALUES (?1, ?2, ?3, ?4)";
    db.prepare_cached(sql)?.execute(params![number, version, now, entries])?;
    Ok(())
}

fn save_changes(
    db: &Connection,
    number: i64,
    version: i64,
    changes: &Changes,
    answers: &mut Vec<(About, Vec<u8>)>,
) -> Result<(), Refused> {
    // Those that are new for a hold or an entry, taken once.
    let mut answers_of = |about: About| -> Vec<u8> {
        let about_it = answers.extract_if(.., |(of, _)| *of == about);
        about_it.flat_map(|(_, bytes)| bytes).collect()
    };
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
        let sql = "INSERT INTO hold (screening, hold, owner, network, places, price_table, created_at, seq, version, \
                   state, at, answers, details) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
        db.prepare_cached(sql)?.execute(params![
            number,
            hold.key.0.to_be_bytes(),
            hold.owner.0,
            hold.network.map(|n| n.0.cast_signed()),
            places_text(&hold.places),
            hold.prices.name.digest(),
            hold.created_at.as_millisecond(),
            hold.seq.cast_signed(),
            version,
            state,
            at,
            answers_of(About::Hold(hold.key)),
            details,
        ])?;
    }
    for (key, state) in &changes.moved {
        let (state, at, details) = state_columns(state);
        let sql = "UPDATE hold SET version = ?3, state = ?4, at = ?5, answers = CAST(answers || ?6 AS BLOB), details = ?7 \
                   WHERE hold = ?2 AND screening = ?1";
        let row = params![number, key.0.to_be_bytes(), version, state, at, answers_of(About::Hold(*key)), details];
        one(db.prepare_cached(sql)?.execute(row)?, || format!("hold {} is not there", key.hex()))?;
    }
    for entry in &changes.entries {
        let ((state, hold), (best, buyer)) = (entry_state_columns(entry.state), entry_texts(entry));
        let sql = "INSERT INTO waitlist_entry (screening, entry, owner, network, best, buyer, created_at, turn, lapses, \
                   passed_over, passed_at, state, hold, answers) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) \
                   ON CONFLICT (entry) DO UPDATE SET turn = ?8, lapses = ?9, passed_over = ?10, passed_at = ?11, \
                   state = ?12, hold = ?13, buyer = ?6, answers = CAST(answers || ?14 AS BLOB)";
        db.prepare_cached(sql)?.execute(params![
            number,
            entry.key.0.to_be_bytes(),
            entry.owner.0,
            entry.network.map(|n| n.0.cast_signed()),
            best,
            buyer,
            entry.created_at.as_millisecond(),
            entry.turn.cast_signed(),
            entry.lapses,
            entry.passed_over,
            entry.passed_at.map(jiff::Timestamp::as_millisecond),
            state,
            hold,
            answers_of(About::Entry(entry.key)),
        ])?;
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
fn free(db: &Connection, number: i64, place: Place, expected: Claim) -> Result<(), Refused> {
    let (hold, block, _) = claim_columns(expected);
    let sql = "DELETE FROM claim WHERE screening = ?1 AND place = ?2 AND hold IS ?3 AND block IS ?4";
    let freed = db.prepare_cached(sql)?.execute(params![number, place.0, hold, block])?;
    one(freed, || format!("S3: place {} is not {expected:?}'s", place.0))
}

fn one(rows: usize, otherwise: impl FnOnce() -> String) -> Result<(), Refused> {
    if rows == 1 { Ok(()) } else { Err(Refused::Broken(otherwise())) }
}

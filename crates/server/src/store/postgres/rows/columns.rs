//! Rows of a batch, column by column, as PostgreSQL takes many of them in one parameter each.

use admit_booking::{Claim, Entry, Hold, HoldKey, Place, ScanRecord};
use admit_protocol::id::ScanId;
use tokio_postgres::types::ToSql;

use super::HoldMoved;
use crate::store::rows::{claim_columns, entry_state_columns, entry_texts, places_text, state_columns};

/// Columns of `claim`.
#[derive(Default)]
pub(super) struct Claims {
    pub(super) screening: Vec<i64>,
    pub(super) place: Vec<i32>,
    pub(super) hold: Vec<Option<Vec<u8>>>,
    pub(super) block: Vec<Option<String>>,
    until: Vec<Option<i64>>,
}

impl Claims {
    pub(super) fn of(claims: impl Iterator<Item = ((i64, Place), Claim)>) -> Self {
        let mut columns = Self::default();
        for ((number, place), claim) in claims {
            let (hold, block, until) = claim_columns(claim);
            columns.screening.push(number);
            columns.place.push(place.0.into());
            columns.hold.push(hold.map(|h| h.to_vec()));
            columns.block.push(block);
            columns.until.push(until);
        }
        columns
    }

    pub(super) fn row(&self) -> [&(dyn ToSql + Sync); 5] {
        [&self.screening, &self.place, &self.hold, &self.block, &self.until]
    }
}

/// Columns of `hold` that every change writes.
#[derive(Default)]
pub(super) struct Holds<'a> {
    screening: Vec<i64>,
    hold: Vec<Vec<u8>>,
    version: Vec<i64>,
    state: Vec<&'static str>,
    at: Vec<i64>,
    answers: Vec<&'a [u8]>,
    details: Vec<Option<String>>,
}

impl<'a> Holds<'a> {
    pub(super) fn of(holds: impl Iterator<Item = (HoldKey, &'a HoldMoved<'a>)>) -> Self {
        let mut columns = Self::default();
        for (key, moved) in holds {
            let (state, at, details) = state_columns(moved.state);
            columns.screening.push(moved.number);
            columns.hold.push(key.0.to_be_bytes().to_vec());
            columns.version.push(moved.version);
            columns.state.push(state);
            columns.at.push(at);
            columns.answers.push(&moved.answers);
            columns.details.push(details);
        }
        columns
    }

    pub(super) fn row(&self) -> [&(dyn ToSql + Sync); 7] {
        [&self.screening, &self.hold, &self.version, &self.state, &self.at, &self.answers, &self.details]
    }
}

/// Columns of `hold` that are written once.
#[derive(Default)]
pub(super) struct NewHolds<'a> {
    owner: Vec<&'a [u8]>,
    network: Vec<Option<i64>>,
    places: Vec<String>,
    price_table: Vec<&'a [u8]>,
    created_at: Vec<i64>,
    seq: Vec<i64>,
}

impl<'a> NewHolds<'a> {
    pub(super) fn of(holds: impl Iterator<Item = &'a Hold>) -> Self {
        let mut columns = Self::default();
        for hold in holds {
            columns.owner.push(&hold.owner.0);
            columns.network.push(hold.network.map(|n| n.0.cast_signed()));
            columns.places.push(places_text(&hold.places));
            columns.price_table.push(hold.prices.name.digest());
            columns.created_at.push(hold.created_at.as_millisecond());
            columns.seq.push(hold.seq.cast_signed());
        }
        columns
    }

    pub(super) fn row(&self) -> [&(dyn ToSql + Sync); 6] {
        [&self.owner, &self.network, &self.places, &self.price_table, &self.created_at, &self.seq]
    }
}

/// Columns of `waitlist_entry`.
#[derive(Default)]
pub(super) struct Entries<'a> {
    pub(super) screening: Vec<i64>,
    entry: Vec<Vec<u8>>,
    owner: Vec<&'a [u8]>,
    network: Vec<Option<i64>>,
    best: Vec<String>,
    buyer: Vec<Option<String>>,
    created_at: Vec<i64>,
    turn: Vec<i64>,
    lapses: Vec<i64>,
    passed_over: Vec<i64>,
    passed_at: Vec<Option<i64>>,
    state: Vec<&'a str>,
    hold: Vec<Option<Vec<u8>>>,
    answers: Vec<&'a [u8]>,
}

impl<'a> Entries<'a> {
    pub(super) fn of(entries: impl Iterator<Item = (i64, &'a (&'a Entry, Vec<u8>))>) -> Self {
        let mut columns = Self::default();
        for (number, (entry, answers)) in entries {
            let ((state, hold), (best, buyer)) = (entry_state_columns(entry.state), entry_texts(entry));
            columns.screening.push(number);
            columns.entry.push(entry.key.0.to_be_bytes().to_vec());
            columns.owner.push(&entry.owner.0);
            columns.network.push(entry.network.map(|n| n.0.cast_signed()));
            columns.best.push(best);
            columns.buyer.push(buyer);
            columns.created_at.push(entry.created_at.as_millisecond());
            columns.turn.push(entry.turn.cast_signed());
            columns.lapses.push(entry.lapses.into());
            columns.passed_over.push(entry.passed_over.into());
            columns.passed_at.push(entry.passed_at.map(jiff::Timestamp::as_millisecond));
            columns.state.push(state);
            columns.hold.push(hold.map(|hold| hold.to_vec()));
            columns.answers.push(answers);
        }
        columns
    }

    pub(super) fn row(&self) -> Vec<&(dyn ToSql + Sync)> {
        vec![
            &self.screening,
            &self.entry,
            &self.owner,
            &self.network,
            &self.best,
            &self.buyer,
            &self.created_at,
            &self.turn,
            &self.lapses,
            &self.passed_over,
            &self.passed_at,
            &self.state,
            &self.hold,
            &self.answers,
        ]
    }
}

/// Columns of `scan`.
#[derive(Default)]
pub(super) struct Scans<'a> {
    pub(super) screening: Vec<i64>,
    device: Vec<&'a str>,
    id: Vec<&'a str>,
    kind: Vec<&'a str>,
    undoes: Vec<Option<&'a str>>,
    hold: Vec<Option<Vec<u8>>>,
    line: Vec<Option<i64>>,
    generation: Vec<Option<i64>>,
    at: Vec<i64>,
    admitted: Vec<bool>,
    offline: Vec<bool>,
    verdict: Vec<&'a str>,
}

impl<'a> Scans<'a> {
    pub(super) fn of(scans: &'a [(i64, &'a ScanRecord)]) -> Self {
        let mut columns = Self::default();
        for (number, scan) in scans {
            columns.screening.push(*number);
            columns.device.push(scan.device.as_str());
            columns.id.push(scan.id.as_str());
            columns.kind.push(scan.kind.as_str());
            columns.undoes.push(scan.undoes.as_ref().map(ScanId::as_str));
            columns.hold.push(scan.ticket.map(|t| t.booking.0.to_be_bytes().to_vec()));
            columns.line.push(scan.ticket.map(|t| t.line.into()));
            columns.generation.push(scan.ticket.map(|t| t.generation.into()));
            columns.at.push(scan.at.as_millisecond());
            columns.admitted.push(scan.admitted);
            columns.offline.push(scan.offline);
            columns.verdict.push(scan.verdict.as_str());
        }
        columns
    }

    pub(super) fn row(&self) -> Vec<&(dyn ToSql + Sync)> {
        vec![
            &self.screening,
            &self.device,
            &self.id,
            &self.kind,
            &self.undoes,
            &self.hold,
            &self.line,
            &self.generation,
            &self.at,
            &self.admitted,
            &self.offline,
            &self.verdict,
        ]
    }
}

//! What a cinema has promised, in a form that others believe: signed receipts, and the log of who had which seat when (capability
//! `receipts`).
//!
//! The log of a screening is a chain: every entry names the one before by its content, and a receipt names the last one there was. Who
//! has a receipt and reads the log knows whether the seats were theirs alone, and whether the log was written anew since.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::ContentName;
use crate::hold::HoldState;
use crate::id::{HoldId, ScreeningId, SeatId};
use crate::json::{self, JsonError, Numbers};
use crate::origin::Origin;

/// The `typ` of a signed receipt.
pub const RECEIPT_TYP: &str = "admit-receipt+jws";
/// What a receipt takes at most, in bytes.
pub const RECEIPT_BYTES_MAX: usize = 16 * 1024;
/// How many entries a page of a seat log has, about: what happened at one `seq` is on one page.
pub const SEAT_LOG_PAGE_ENTRIES: usize = 1000;
/// What one entry takes at most, in bytes: as many seats as a hall has can be freed at once.
const ENTRY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The cinema's word for a hold or a booking, signed by its identity key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Receipt {
    /// The server that says so.
    pub origin: Origin,
    /// The screening.
    pub screening: ScreeningId,
    /// The layout that the seats are of.
    pub layout: ContentName,
    /// Whose seats: the name that the log has for the hold, which is its booking's, too.
    pub of: ContentName,
    /// What it is: `active` or `converted`.
    pub state: HoldState,
    /// The seats, in the order of the hold; of a booking those whose tickets stand.
    pub seats: Vec<SeatId>,
    /// Until before when, of a hold that was not booked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The house's version that this was read from.
    pub seq: u64,
    /// The content name of the log's last entry up to `seq`; of the screening's id, if there was none.
    pub head: ContentName,
    /// When it was signed.
    pub issued: Timestamp,
}

/// Entries of a seat log, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SeatLogPage {
    /// Each entry as the text that it is named by: a [`SeatLogEntry`] in JSON.
    pub entries: Vec<String>,
    /// Whether more come after these.
    pub more: bool,
}

/// One change of who has which seat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SeatLogEntry {
    /// The content name of the entry before; of the screening's id, for the first.
    pub prior: ContentName,
    /// The house's version that it came with.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Seats that became free: first these, then those that are taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freed: Vec<SeatId>,
    /// Seats that were free, and who has them now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taken: Vec<Taken>,
}

/// Seats that somebody has from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Taken {
    /// Whose hold it is: see [`hold_name`]. Nobody's, if the cinema does not sell them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<ContentName>,
    /// The seats.
    pub seats: Vec<SeatId>,
}

/// The name that a seat log has for a hold and its booking. Who knows the hold's id knows it; nobody else learns whose it is.
#[must_use]
pub fn hold_name(hold: &HoldId) -> ContentName {
    ContentName::of(hold.as_str().as_bytes())
}

/// The head of a log without entries.
#[must_use]
pub fn seat_log_root(screening: &ScreeningId) -> ContentName {
    ContentName::of(screening.as_str().as_bytes())
}

/// Why a seat log or a receipt is not believed. Each is something that an honest server never does.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// An entry cannot be read.
    #[error("an entry after change {after} cannot be read: {source}")]
    Entry {
        /// The `seq` of the entry before.
        after: u64,
        /// Why not.
        #[source]
        source: JsonError,
    },
    /// An entry does not follow the one before.
    #[error("change {0} does not follow the one before: the log was written anew, or is not whole")]
    Chain(u64),
    /// An entry lies before the one before.
    #[error("change {0} is older than the one before")]
    Order(u64),
    /// S1: a seat was given to somebody while somebody else had it.
    #[error("seat {seat} was given away at change {seq} while somebody had it")]
    TakenTwice {
        /// The seat.
        seat: SeatId,
        /// When.
        seq: u64,
    },
    /// A seat became free that nobody had.
    #[error("seat {seat} became free at change {seq}, and nobody had it")]
    NotTaken {
        /// The seat.
        seat: SeatId,
        /// When.
        seq: u64,
    },
    /// A receipt is of another screening.
    #[error("the receipt is of {0}")]
    OtherScreening(ScreeningId),
    /// What the log says now is not what it said when the receipt was signed.
    #[error("the log that the receipt of change {0} was signed with is not this one: it was written anew")]
    OtherLog(u64),
    /// The log has other seats for the hold than the receipt.
    #[error("at change {seq} the log has other seats for this hold than the receipt: {seats}")]
    OtherSeats {
        /// When.
        seq: u64,
        /// Which, with commas.
        seats: String,
    },
}

/// Somebody's time with a seat: at `from` and after it, before `until`.
#[derive(Debug)]
struct Had {
    of: Option<ContentName>,
    from: u64,
    until: Option<u64>,
}

/// A seat log that was read from its beginning, and in which no seat was ever two people's (S1).
///
/// ```
/// use admit_protocol::receipt::{SeatLog, SeatLogEntry, Taken, hold_name, seat_log_root};
///
/// let screening = "scr_1".parse()?;
/// let taken = |prior, seq, hold: &str| SeatLogEntry {
///     prior,
///     seq,
///     at: "2026-11-20T19:00:00Z".parse().expect("a time"),
///     freed: vec![],
///     taken: vec![Taken { of: Some(hold_name(&hold.parse().expect("an id"))), seats: vec!["F9".parse().expect("an id")] }],
/// };
/// let mut log = SeatLog::new(screening);
/// log.read(&serde_json::to_string(&taken(seat_log_root(&screening), 1, "hold_a"))?)?;
/// // The same seat once more, for somebody else.
/// let twice = serde_json::to_string(&taken(log.head(), 2, "hold_b"))?;
/// assert!(log.read(&twice).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SeatLog {
    screening: ScreeningId,
    head: ContentName,
    seq: u64,
    at: Option<Timestamp>,
    entries: usize,
    heads: BTreeMap<u64, ContentName>,
    had: HashMap<SeatId, Vec<Had>>,
}

impl SeatLog {
    /// A log of which nothing was read yet.
    #[must_use]
    pub fn new(screening: ScreeningId) -> Self {
        let head = seat_log_root(&screening);
        Self { screening, head, seq: 0, at: None, entries: 0, heads: BTreeMap::new(), had: HashMap::new() }
    }

    /// Reads the next entry.
    ///
    /// # Errors
    /// When it does not follow the one before, or says what cannot be. The log is of no use then.
    pub fn read(&mut self, text: &str) -> Result<(), ReceiptError> {
        let broken = |source| ReceiptError::Entry { after: self.seq, source };
        let entry: SeatLogEntry = json::read(text.as_bytes(), ENTRY_BYTES_MAX, Numbers::Integers).map_err(broken)?;
        let seq = entry.seq;
        if entry.prior != self.head {
            return Err(ReceiptError::Chain(seq));
        }
        if seq < self.seq || self.at.is_some_and(|at| entry.at < at) {
            return Err(ReceiptError::Order(seq));
        }
        for seat in entry.freed {
            match self.had.get_mut(&seat).and_then(|had| had.last_mut()) {
                Some(last) if last.until.is_none() => last.until = Some(seq),
                _ => return Err(ReceiptError::NotTaken { seat, seq }),
            }
        }
        for Taken { of, seats } in entry.taken {
            for seat in seats {
                let had = self.had.entry(seat).or_default();
                if had.last().is_some_and(|last| last.until.is_none()) {
                    return Err(ReceiptError::TakenTwice { seat, seq });
                }
                had.push(Had { of, from: seq, until: None });
            }
        }
        (self.seq, self.at) = (seq, Some(entry.at));
        self.head = ContentName::of(text.as_bytes());
        self.heads.insert(seq, self.head);
        self.entries += 1;
        Ok(())
    }

    /// The content name of the last entry.
    #[must_use]
    pub fn head(&self) -> ContentName {
        self.head
    }

    /// The `seq` of the last entry; 0 before the first.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// How many entries were read.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// Whether the log still says what it said when the receipt was signed, and then had exactly the receipt's seats for its hold.
    ///
    /// # Errors
    /// When not: with the receipt, which the cinema has signed, that can be shown to anybody.
    pub fn bears_out(&self, receipt: &Receipt) -> Result<(), ReceiptError> {
        if receipt.screening != self.screening {
            return Err(ReceiptError::OtherScreening(receipt.screening));
        }
        let seq = receipt.seq;
        let head =
            self.heads.range(..=seq).next_back().map_or_else(|| seat_log_root(&self.screening), |(_, head)| *head);
        if head != receipt.head {
            return Err(ReceiptError::OtherLog(seq));
        }
        let logged = self.seats_of(receipt.of, seq);
        let said: BTreeSet<SeatId> = receipt.seats.iter().copied().collect();
        if logged != said {
            let other: Vec<String> = logged.symmetric_difference(&said).map(SeatId::to_string).collect();
            return Err(ReceiptError::OtherSeats { seq, seats: other.join(", ") });
        }
        Ok(())
    }

    /// Which seats a hold had after change `seq`.
    #[must_use]
    pub fn seats_of(&self, of: ContentName, seq: u64) -> BTreeSet<SeatId> {
        let has = |had: &Had| had.of == Some(of) && had.from <= seq && had.until.is_none_or(|until| seq < until);
        self.had.iter().filter(|(_, had)| had.iter().any(has)).map(|(seat, _)| *seat).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: &str = "2026-11-20T12:00:00Z";

    fn screening() -> ScreeningId {
        "scr_1".parse().expect("an id")
    }

    fn hold(id: &str) -> ContentName {
        hold_name(&id.parse().expect("an id"))
    }

    fn seats(names: &[&str]) -> Vec<SeatId> {
        names.iter().map(|name| name.parse().expect("an id")).collect()
    }

    fn entry(prior: ContentName, seq: u64, freed: &[&str], taken: &[(Option<&str>, &[&str])]) -> SeatLogEntry {
        let taken = taken.iter().map(|(of, names)| Taken { of: of.map(hold), seats: seats(names) }).collect();
        SeatLogEntry { prior, seq, at: NOON.parse().expect("noon"), freed: seats(freed), taken }
    }

    fn read(log: &mut SeatLog, entry: &SeatLogEntry) -> Result<(), ReceiptError> {
        log.read(&serde_json::to_string(entry).expect("serialises"))
    }

    /// Anna takes A1 and A2, the cinema blocks A3, Anna gives A1 back and Ben takes it.
    fn honest() -> (SeatLog, Vec<Receipt>) {
        let mut log = SeatLog::new(screening());
        let mut receipts = Vec::new();
        let mut next = |seq, freed: &[&str], taken: &[(Option<&str>, &[&str])], of: &str, has: &[&str]| {
            let said = entry(log.head(), seq, freed, taken);
            read(&mut log, &said).expect("honest");
            receipts.push(Receipt {
                origin: Origin::parse("https://kino.example", crate::origin::OriginPolicy::Public).expect("origin"),
                screening: screening(),
                layout: ContentName::of(b"layout"),
                of: hold(of),
                state: HoldState::Active,
                seats: seats(has),
                expires_at: None,
                // Something else happened since.
                seq: seq + 1,
                head: log.head(),
                issued: NOON.parse().expect("noon"),
            });
        };
        next(1, &[], &[(Some("anna"), &["A1", "A2"])], "anna", &["A1", "A2"]);
        next(5, &[], &[(None, &["A3"])], "anna", &["A2", "A1"]);
        next(7, &["A1"], &[(Some("ben"), &["A1"])], "ben", &["A1"]);
        (log, receipts)
    }

    /// RCPT-004: what one version of this crate publishes, another one publishes, too.
    #[test]
    fn an_entry_is_written_as_it_always_was() {
        let first = entry(seat_log_root(&screening()), 7, &["A1"], &[(Some("hold_1"), &["A1", "A2"]), (None, &["A3"])]);
        let text = serde_json::to_string(&first).expect("serialises");
        assert_eq!(
            text,
            r#"{"prior":"sha256-vfpPF402UFM4U25Iasqb0MnJluT-wzCzliqh_wV-Txs","seq":7,"at":"2026-11-20T12:00:00Z","freed":["A1"],"taken":[{"of":"sha256-hAvUq3eTNR2kPMoiHswpMhqfB6aZgRzq3CoYkpz4v9I","seats":["A1","A2"]},{"seats":["A3"]}]}"#
        );
    }

    #[test]
    fn an_honest_log_bears_out_every_receipt() {
        let (log, receipts) = honest();
        receipts.iter().for_each(|receipt| log.bears_out(receipt).expect("honest"));
        let set = |names: &[&str]| seats(names).into_iter().collect::<BTreeSet<_>>();
        assert_eq!(log.seats_of(hold("anna"), 6), set(&["A1", "A2"]));
        assert_eq!(log.seats_of(hold("anna"), 7), set(&["A2"]), "one change: freed, and Ben's");
        assert_eq!((log.seq(), log.entries()), (7, 3));
    }

    #[test]
    fn what_an_honest_cinema_never_says_is_found_rcpt_006() {
        let next = |seq, freed: &[&str], taken: &[(Option<&str>, &[&str])]| {
            let (mut log, _) = honest();
            let said = entry(log.head(), seq, freed, taken);
            read(&mut log, &said)
        };
        assert!(matches!(next(8, &[], &[(Some("carl"), &["A2"])]), Err(ReceiptError::TakenTwice { seq: 8, .. })));
        assert!(matches!(next(8, &[], &[(Some("carl"), &["B1", "B1"])]), Err(ReceiptError::TakenTwice { .. })));
        assert!(matches!(next(8, &["B1"], &[]), Err(ReceiptError::NotTaken { seq: 8, .. })));
        assert!(matches!(next(8, &["A1", "A1"], &[]), Err(ReceiptError::NotTaken { .. })));
        assert!(matches!(next(6, &["A1"], &[]), Err(ReceiptError::Order(6))));
        next(7, &["A1"], &[]).expect("of one version there may be several");
        let (mut log, receipts) = honest();
        let other = entry(ContentName::of(b"other"), 8, &["A1"], &[]);
        assert!(matches!(read(&mut log, &other), Err(ReceiptError::Chain(8))));
        let early =
            SeatLogEntry { at: "2026-11-20T11:59:59Z".parse().expect("a time"), ..entry(log.head(), 8, &[], &[]) };
        assert!(matches!(read(&mut log, &early), Err(ReceiptError::Order(8))));
        assert!(matches!(log.read("[]"), Err(ReceiptError::Entry { after: 7, .. })));

        let says = |change: fn(&mut Receipt)| {
            let mut receipt = receipts[1].clone();
            change(&mut receipt);
            log.bears_out(&receipt)
        };
        assert!(matches!(
            says(|r| r.screening = "scr_2".parse().expect("an id")),
            Err(ReceiptError::OtherScreening(_))
        ));
        assert!(matches!(says(|r| r.head = ContentName::of(b"another log")), Err(ReceiptError::OtherLog(6))));
        assert!(matches!(says(|r| r.seq = 4), Err(ReceiptError::OtherLog(4))));
        assert!(matches!(says(|r| r.seats.truncate(1)), Err(ReceiptError::OtherSeats { .. })));
        assert!(matches!(says(|r| r.of = hold("ben")), Err(ReceiptError::OtherSeats { .. })));
        // A log that ends before the receipt's.
        let short = SeatLog::new(screening());
        assert!(matches!(short.bears_out(&receipts[0]), Err(ReceiptError::OtherLog(2))));
    }
}

//! The log of a screening's seats as a chain, made of the audit trail when somebody asks (capability `receipts`).
//!
//! Nothing of it is written when a seat is sold: what is in the trail is all that an entry says, so the same entries come of it each time.
//! How far the chain was followed is kept with the house, so that nobody's page or receipt is made from the first entry on.

use std::sync::Arc;

use admit_booking::{Hold, HoldState, House, Place, Plan};
use admit_protocol::digest::ContentName;
use admit_protocol::hold::HoldState as State;
use admit_protocol::id::{ScreeningId, SeatId};
use admit_protocol::origin::Origin;
use admit_protocol::receipt::{
    Receipt, SEAT_LOG_PAGE_ENTRIES, SeatLogEntry, SeatLogPage, Taken, hold_name, seat_log_root,
};
use jiff::Timestamp;

use crate::engine::Resident;
use crate::store::{LogEntry, Logged, StoreError, TrailStore};

/// Rows of the trail that are read at once, and entries that a mark is made after.
const ROWS: usize = 1000;
/// A page ends after so many bytes of entries: staff may take a whole hall off sale with one word.
const PAGE_BYTES: usize = 1 << 20;

/// How far the chain of a screening was followed: whoever reads on begins there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    seq: u64,
    head: ContentName,
    /// How much was read up to here: rows, and entries that came of them.
    read: usize,
}

/// Where a house's log was followed to, in order: about one mark for each thousand rows and entries, and one at its end.
#[derive(Debug, Default)]
pub(crate) struct Marks(Vec<Mark>);

impl Marks {
    fn last_until(&self, seq: u64) -> Option<Mark> {
        self.0.iter().rev().find(|mark| mark.seq <= seq).copied()
    }

    fn add(&mut self, mark: Mark) {
        if self.0.last().is_some_and(|last| mark.seq <= last.seq) {
            return;
        }
        // The end moves on; what is not far from the mark before it need not stay.
        if let [.., before, end] = self.0[..]
            && end.read < before.read + ROWS
        {
            self.0.pop();
        }
        self.0.push(mark);
    }
}

/// A screening's log up to a version of its house.
pub(crate) struct SeatLog<'a> {
    trail: &'a dyn TrailStore,
    resident: Arc<Resident>,
    screening: ScreeningId,
    plan: Arc<Plan>,
    until: u64,
}

impl<'a> SeatLog<'a> {
    /// The log as it stands with what `house` is now.
    pub(crate) fn new(trail: &'a dyn TrailStore, resident: Arc<Resident>, house: &House) -> Self {
        let (screening, plan) = (house.terms().screening, house.terms().plan.clone());
        Self { trail, resident, screening, plan, until: house.version() }
    }

    /// The name of its last entry.
    pub(crate) fn head(&self) -> Result<ContentName, StoreError> {
        let mut mark = self.mark(self.until);
        self.follow(&mut mark, |_, _| true)?;
        Ok(mark.head)
    }

    /// Entries after `seq`: a page of them.
    pub(crate) fn page(&self, after: u64) -> Result<SeatLogPage, StoreError> {
        let mut page = SeatLogPage::default();
        let (mut last, mut bytes) = (0, 0);
        let mut mark = self.mark(after);
        self.follow(&mut mark, |seq, text| {
            let full = page.entries.len() >= SEAT_LOG_PAGE_ENTRIES || bytes >= PAGE_BYTES;
            if full && seq != last {
                page.more = true;
                return false;
            }
            if seq > after {
                bytes += text.len();
                page.entries.push(text.to_owned());
            }
            last = seq;
            true
        })?;
        Ok(page)
    }

    /// Goes through what comes after the mark, and moves it, until `look` has seen enough.
    fn follow(&self, mark: &mut Mark, mut look: impl FnMut(u64, &str) -> bool) -> Result<(), StoreError> {
        let mut marked = mark.read;
        while mark.seq < self.until {
            let rows = self.trail.read_trail(self.screening, mark.seq, self.until, ROWS)?;
            for Logged { version, at, entries } in &rows {
                for entry in entries {
                    let Some(text) = self.entry(mark.head, *version, *at, entry)? else { continue };
                    if !look(*version, &text) {
                        return Ok(());
                    }
                    mark.head = ContentName::of(text.as_bytes());
                    mark.read += 1;
                }
                (mark.seq, mark.read) = (*version, mark.read + 1);
                if mark.read >= marked + ROWS {
                    marked = mark.read;
                    self.resident.seat_log().add(*mark);
                }
            }
            if rows.len() < ROWS {
                // All there is: whoever asks next begins here.
                self.resident.seat_log().add(Mark { seq: self.until, ..*mark });
                return Ok(());
            }
        }
        Ok(())
    }

    /// The last mark at `seq` or before it.
    fn mark(&self, seq: u64) -> Mark {
        let last = self.resident.seat_log().last_until(seq);
        last.unwrap_or_else(|| self.root())
    }

    fn root(&self) -> Mark {
        Mark { seq: 0, head: seat_log_root(&self.screening), read: 0 }
    }

    /// What an entry of the trail says of seats, if anything.
    fn entry(
        &self,
        prior: ContentName,
        seq: u64,
        at: Timestamp,
        entry: &LogEntry,
    ) -> Result<Option<String>, StoreError> {
        if !entry.claimed_unsaid.is_empty() {
            let why = "this screening was sold from before its trail said whose seats are taken: it has no log";
            return Err(StoreError::Refused(why.into()));
        }
        let named = |hold: &Option<String>| {
            let id = hold.as_ref().map(|hex| format!("hold_{hex}"));
            id.and_then(|id| id.parse().ok()).map(|id| hold_name(&id))
        };
        let mine = (&entry.hold, &entry.claimed);
        let others = entry.others.iter().map(|other| (&other.hold, &other.places));
        let taken = [mine].into_iter().chain(others).filter(|(_, places)| !places.is_empty());
        let taken = taken.map(|(hold, places)| Ok(Taken { of: named(hold), seats: self.seats(seq, places)? }));
        let taken = taken.collect::<Result<Vec<Taken>, StoreError>>()?;
        if entry.freed.is_empty() && taken.is_empty() {
            return Ok(None);
        }
        let said = SeatLogEntry { prior, seq, at, freed: self.seats(seq, &entry.freed)?, taken };
        Ok(Some(serde_json::to_string(&said).expect("an entry always serialises")))
    }

    fn seats(&self, seq: u64, places: &[u16]) -> Result<Vec<SeatId>, StoreError> {
        let none = |place: u16| StoreError::BadRow {
            table: "log",
            row: format!("{} {seq}", self.screening),
            why: format!("its layout has no place {place}"),
        };
        let known = |place: &u16| usize::from(*place) < self.plan.len();
        let seat = |place: &u16| known(place).then(|| self.plan.seat_id(Place(*place))).ok_or_else(|| none(*place));
        places.iter().map(seat).collect()
    }
}

/// What is to be signed of a hold, but for the log's head; nothing, if nothing is held by it any more.
pub(crate) fn receipt(origin: &Origin, house: &House, hold: &Hold, issued: Timestamp) -> Option<Receipt> {
    let (state, expires_at) = match &hold.state {
        HoldState::Active { until } => (State::Active, Some(*until)),
        HoldState::Converted(_) => (State::Converted, None),
        _ => return None,
    };
    let terms = house.terms();
    let seats: Vec<SeatId> = hold.claimed_places().map(|place| terms.plan.seat_id(place)).collect();
    (!seats.is_empty()).then(|| Receipt {
        origin: origin.clone(),
        screening: terms.screening,
        layout: terms.plan.name(),
        of: hold_name(&hold.key.hold_id()),
        state,
        seats,
        expires_at,
        seq: house.version(),
        head: seat_log_root(&terms.screening),
        issued,
    })
}

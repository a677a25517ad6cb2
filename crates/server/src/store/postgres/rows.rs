//! The rows of a batch in PostgreSQL: what houses, holds, claims and the trail become, written column by column in one go.

mod columns;

use std::collections::BTreeMap;

use admit_booking::{Changes, Claim, Entry, EntryKey, Hold, HoldKey, HoldState, Place, ScanRecord};
use futures_util::future::join_all;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;

use self::columns::{Claims, Entries, Holds, NewHolds, Scans};
use super::session::{Session, told, wait};
use crate::store::rows::known_bytes;
use crate::store::{About, CashWay, Save, StoreError};

/// Why a batch was not saved, as far as is known.
pub(super) enum NotSaved {
    /// Its rows contradict it.
    Broken(String),
    /// PostgreSQL said no: nothing was.
    Database(Error),
    /// Nobody heard the end.
    Unknown(Error),
}

impl From<Error> for NotSaved {
    fn from(error: Error) -> Self {
        match error.code() {
            // S2: the key forbids it. That means a bug here, or a database that somebody else wrote.
            Some(code) if code.code().starts_with("23") && *code != SqlState::FOREIGN_KEY_VIOLATION => {
                Self::Broken(told(&error))
            }
            // Who says so is on the way to the database, or the database as it goes down: what it did before is not said.
            Some(code) if ["08", "57"].iter().any(|class| code.code().starts_with(class)) => Self::Unknown(error),
            Some(_) => Self::Database(error),
            None => Self::Unknown(error),
        }
    }
}

/// What is known of the houses of a batch when it is written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Houses {
    /// They are locked in the transaction that is open.
    Taken,
    /// They were seen, at their versions, under this programme.
    AsSeen {
        /// Its number.
        programme: u64,
    },
}

/// What became of a place in a batch.
#[derive(Clone, Copy)]
struct PlaceMoved {
    before: Option<Claim>,
    after: Option<Claim>,
}

/// What became of a hold in a batch.
struct HoldMoved<'a> {
    number: i64,
    version: i64,
    /// The whole hold, if it is new.
    placed: Option<&'a Hold>,
    state: &'a HoldState,
    answers: Vec<u8>,
}

/// All rows of a batch, column by column, what comes and goes within it left out.
pub(super) struct Rows<'a> {
    /// What the log calls this batch.
    pub(super) batch: Vec<u8>,
    /// Its houses.
    pub(super) numbers: Vec<i64>,
    /// The version of each that was decided on.
    pub(super) seen: Vec<i64>,
    now: Vec<i64>,
    places: BTreeMap<(i64, Place), PlaceMoved>,
    holds: BTreeMap<(i64, HoldKey), HoldMoved<'a>>,
    scans: Vec<(i64, &'a ScanRecord)>,
    entries: BTreeMap<(i64, EntryKey), (&'a Entry, Vec<u8>)>,
    answers: Answers<'a>,
    log: Log,
    till: Till<'a>,
    outbox: Outbox<'a>,
    /// Of what nothing is to leave any more.
    forgotten: Vec<Vec<u8>>,
}

#[derive(Default)]
struct Answers<'a> {
    screening: Vec<i64>,
    about: Vec<Vec<u8>>,
    key: Vec<Vec<u8>>,
    at: Vec<i64>,
    status: Vec<i32>,
    body: Vec<&'a [u8]>,
}

#[derive(Default)]
struct Log {
    entries: Vec<String>,
    /// The keys of those that changed, one after another.
    holds: Vec<Vec<u8>>,
    whole: Vec<bool>,
}

#[derive(Default)]
struct Till<'a> {
    at: Vec<i64>,
    by: Vec<&'a str>,
    screening: Vec<i64>,
    hold: Vec<Vec<u8>>,
    amount: Vec<i64>,
    currency: Vec<String>,
}

#[derive(Default)]
struct Outbox<'a> {
    at: Vec<i64>,
    kind: Vec<&'a str>,
    way: Vec<&'a str>,
    address: Vec<&'a str>,
    origin: Vec<Option<&'a str>>,
    about: Vec<Vec<u8>>,
    body: Vec<&'a str>,
}

impl<'a> Rows<'a> {
    pub(super) fn new() -> Result<Self, StoreError> {
        let mut batch = vec![0; 16];
        getrandom::fill(&mut batch).map_err(StoreError::at("asking for randomness"))?;
        Ok(Self {
            batch,
            numbers: Vec::new(),
            seen: Vec::new(),
            now: Vec::new(),
            places: BTreeMap::new(),
            holds: BTreeMap::new(),
            scans: Vec::new(),
            entries: BTreeMap::new(),
            answers: Answers::default(),
            log: Log::default(),
            till: Till::default(),
            outbox: Outbox::default(),
            forgotten: Vec::new(),
        })
    }

    /// Adds what is to be saved of one house; says what contradicts itself.
    pub(super) fn add(&mut self, number: i64, save: &'a Save<'_>) -> Result<(), String> {
        let (version, now) = ((save.seen + 1).cast_signed(), save.now.as_millisecond());
        self.numbers.push(number);
        self.seen.push(save.seen.cast_signed());
        self.now.push(now);
        let mut whole = save.changes.iter().all(|c| c.placed.is_empty() && c.moved.is_empty());
        for changes in save.changes {
            whole |= more_than_holds(changes);
            self.add_changes(number, version, changes)?;
        }
        let touched = self.holds.range((number, HoldKey(0))..=(number, HoldKey(u128::MAX)));
        self.log.holds.push(touched.flat_map(|((_, key), _)| key.0.to_be_bytes()).collect());
        self.log.whole.push(whole);
        self.log.entries.push(serde_json::to_string(save.log).map_err(|e| e.to_string())?);
        for new in save.answers {
            let about = new.known.about;
            // A request has its effect on what it is about, and is on record there.
            let answers = match about {
                About::Hold(hold) => self.holds.get_mut(&(number, hold)).map(|moved| &mut moved.answers),
                About::Entry(entry) => self.entries.get_mut(&(number, entry)).map(|(_, answers)| answers),
            };
            let answers = answers.ok_or_else(|| format!("an answer is about {about:?}, which did not change"))?;
            answers.extend(known_bytes(&new.known, 0));
            self.answers.screening.push(number);
            self.answers.about.push(about.bytes().to_vec());
            self.answers.key.push(new.known.key.0.to_vec());
            self.answers.at.push(now);
            self.answers.status.push(new.answer.status.into());
            self.answers.body.push(new.answer.body.as_deref().unwrap_or_default());
        }
        for entry in save.till {
            let amount = entry.amount.amount();
            self.till.at.push(now);
            self.till.by.push(&entry.by);
            self.till.screening.push(number);
            self.till.hold.push(entry.booking.0.to_be_bytes().to_vec());
            self.till.amount.push(if entry.way == CashWay::Taken { amount } else { -amount });
            self.till.currency.push(entry.amount.currency().to_string());
        }
        self.forgotten.extend(save.forgotten.iter().map(|about| about.bytes().to_vec()));
        for message in save.outbox {
            self.outbox.at.push(now);
            self.outbox.kind.push(message.kind.as_str());
            self.outbox.way.push(message.way.as_str());
            self.outbox.address.push(&message.address);
            self.outbox.origin.push(message.origin());
            self.outbox.about.push(message.about.bytes().to_vec());
            self.outbox.body.push(&message.body);
        }
        Ok(())
    }

    fn add_changes(&mut self, number: i64, version: i64, changes: &'a Changes) -> Result<(), String> {
        for &(place, expected) in &changes.freed {
            let known = self.places.entry((number, place));
            let moved = known.or_insert(PlaceMoved { before: Some(expected), after: Some(expected) });
            if moved.after != Some(expected) {
                return Err(format!("S3: place {} is not {expected:?}'s", place.0));
            }
            moved.after = None;
        }
        for &(place, claim) in &changes.claimed {
            let moved = self.places.entry((number, place)).or_insert(PlaceMoved { before: None, after: None });
            if moved.after.is_some() {
                return Err(format!("S2: place {} is taken twice", place.0));
            }
            moved.after = Some(claim);
        }
        for hold in &changes.placed {
            let placed = HoldMoved { number, version, placed: Some(hold), state: &hold.state, answers: Vec::new() };
            if self.holds.insert((number, hold.key), placed).is_some() {
                return Err(format!("hold {} is placed twice", hold.key.hex()));
            }
        }
        for (key, state) in &changes.moved {
            let new = HoldMoved { number, version, placed: None, state, answers: Vec::new() };
            self.holds.entry((number, *key)).or_insert(new).state = state;
        }
        self.scans.extend(changes.scans.iter().map(|scan| (number, scan)));
        for entry in &changes.entries {
            // As the last change leaves it.
            self.entries.entry((number, entry.key)).or_insert((entry, Vec::new())).0 = entry;
        }
        Ok(())
    }

    /// Writes and commits all of it in one go, which begins the transaction where no house was taken.
    pub(super) fn write(&self, session: &mut Session, known: Houses) -> Result<(), NotSaved> {
        let changed = || self.places.iter().filter(|(_, moved)| moved.before != moved.after);
        let freed = Claims::of(changed().filter_map(|(at, moved)| Some((*at, moved.before?))));
        let claimed = Claims::of(changed().filter_map(|(at, moved)| Some((*at, moved.after?))));
        let holds = || self.holds.iter().map(|((_, key), moved)| (*key, moved));
        let placed = Holds::of(holds().filter(|(_, moved)| moved.placed.is_some()));
        let new = NewHolds::of(holds().filter_map(|(_, moved)| moved.placed));
        let moved = Holds::of(holds().filter(|(_, moved)| moved.placed.is_none()));
        let scans = Scans::of(&self.scans);
        let waitlist = Entries::of(self.entries.iter().map(|((number, _), entry)| (*number, entry)));
        let Log { entries, holds: touched, whole } = &self.log;
        let Answers { screening, about, key, at, status, body } = &self.answers;
        let (till, outbox) = (&self.till, &self.outbox);

        let mut steps: Vec<Step<'_>> = Vec::new();
        let (begin, programme) = match known {
            Houses::Taken => (None, None),
            Houses::AsSeen { programme } => (Some("BEGIN"), Some(programme.to_string())),
        };
        if begin.is_some() && !freed.screening.is_empty() {
            // Before anything of a house is touched: whoever takes it locks it first, too.
            let row: Vec<&(dyn ToSql + Sync)> = vec![&self.numbers, &self.seen];
            steps.push(Step { sql: LOCK_SEEN, row, counted: Some("a house is not as it was seen") });
        }
        // A place that is freed may be claimed again: that comes after.
        if !freed.screening.is_empty() {
            steps.push(Step {
                sql: FREE,
                row: vec![&freed.screening, &freed.place, &freed.hold, &freed.block],
                counted: Some("S3: a place is not whose it should be"),
            });
        }
        let mut row: Vec<&(dyn ToSql + Sync)> =
            vec![&self.numbers, &self.seen, &self.now, entries, touched, whole, &self.batch];
        row.extend(claimed.row());
        row.extend(placed.row());
        row.extend(new.row());
        row.extend(moved.row());
        let columns: [&(dyn ToSql + Sync); 6] = [screening, about, key, at, status, body];
        row.extend(columns);
        row.push(&programme);
        steps.push(Step { sql: SAVE, row, counted: Some("a house or a hold is not as it was when it was locked") });
        if !scans.screening.is_empty() {
            steps.push(Step::of(SCAN, scans.row()));
        }
        if !waitlist.screening.is_empty() {
            steps.push(Step::of(ENTRIES, waitlist.row()));
        }
        if !till.at.is_empty() {
            let Till { at, by, screening, hold, amount, currency } = till;
            steps.push(Step::of(TILL, vec![at, by, screening, hold, amount, currency]));
        }
        if !outbox.at.is_empty() {
            let Outbox { at, kind, way, address, origin, about, body } = outbox;
            steps.push(Step::of(OUTBOX, vec![at, kind, way, address, origin, about, body]));
        }
        if !self.forgotten.is_empty() {
            steps.push(Step::of(FORGET, vec![&self.forgotten]));
        }
        run(session, begin, &steps)
    }
}

// Where rows are counted, a wrong number is a division by zero: the transaction is over, and the commit that was sent with it commits
// nothing.
const LOCK_SEEN: &str = "WITH locked AS (SELECT 1 FROM unnest($1::bigint[], $2::bigint[]) AS u(screening, seen) \
     JOIN house h ON h.screening = u.screening WHERE h.version = u.seen ORDER BY h.screening FOR UPDATE OF h) \
     SELECT 1 / (count(*) = cardinality($1::bigint[]))::int FROM locked";
const FREE: &str = "WITH done AS (DELETE FROM claim c \
     USING unnest($1::bigint[], $2::int[], $3::bytea[], $4::text[]) AS u(screening, place, hold, block) \
     WHERE c.screening = u.screening AND c.place = u.place \
     AND c.hold IS NOT DISTINCT FROM u.hold AND c.block IS NOT DISTINCT FROM u.block RETURNING 1) \
     SELECT 1 / (count(*) = cardinality($1::bigint[]))::int FROM done";
/// What nearly every batch writes, in one statement: what a statement costs by itself is half of what a batch costs here.
const SAVE: &str = "WITH \
     houses AS (UPDATE house h SET version = h.version + 1, now = u.now \
         FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS u(screening, seen, now) \
         WHERE h.screening = u.screening AND h.version = u.seen RETURNING 1), \
     logged AS (INSERT INTO log (screening, version, at, entries, holds, whole, batch) \
         SELECT screening, seen + 1, at, entries, holds, whole, $7 \
         FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::bytea[], $6::bool[]) \
         AS u(screening, seen, at, entries, holds, whole)), \
     claimed AS (INSERT INTO claim (screening, place, hold, block, until) \
         SELECT * FROM unnest($8::bigint[], $9::int[], $10::bytea[], $11::text[], $12::bigint[])), \
     placed AS (INSERT INTO hold (screening, hold, version, state, at, answers, details, \
             owner, network, places, price_table, created_at, seq) \
         SELECT * FROM unnest($13::bigint[], $14::bytea[], $15::bigint[], $16::text[], $17::bigint[], $18::bytea[], $19::text[], \
             $20::bytea[], $21::bigint[], $22::text[], $23::bytea[], $24::bigint[], $25::bigint[])), \
     moved AS (UPDATE hold h SET version = u.version, state = u.state, at = u.at, answers = h.answers || u.answers, \
             details = u.details \
         FROM unnest($26::bigint[], $27::bytea[], $28::bigint[], $29::text[], $30::bigint[], $31::bytea[], $32::text[]) \
             AS u(screening, hold, version, state, at, answers, details) \
         WHERE h.screening = u.screening AND h.hold = u.hold RETURNING 1), \
     answered AS (INSERT INTO answer (screening, about, key, at, status, body) \
         SELECT * FROM unnest($33::bigint[], $34::bytea[], $35::bytea[], $36::bigint[], $37::int[], $38::bytea[])) \
     SELECT 1 / ((SELECT count(*) FROM houses) = cardinality($1::bigint[]) \
         AND (SELECT count(*) FROM moved) = cardinality($26::bigint[]) \
         AND ($39::text IS NULL OR (SELECT value FROM setting WHERE name = 'programme') = $39))::int";
const SCAN: &str = "INSERT INTO scan (screening, device, id, kind, undoes, hold, line, generation, at, admitted, offline, \
     verdict) \
     SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::bigint[], \
     $8::bigint[], $9::bigint[], $10::bool[], $11::bool[], $12::text[])";
const ENTRIES: &str = "INSERT INTO waitlist_entry AS e (screening, entry, owner, network, best, buyer, created_at, turn, lapses, \
     passed_over, passed_at, state, hold, answers) \
     SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::bigint[], $5::text[], $6::text[], $7::bigint[], $8::bigint[], \
     $9::bigint[], $10::bigint[], $11::bigint[], $12::text[], $13::bytea[], $14::bytea[]) \
     ON CONFLICT (screening, entry) DO UPDATE SET turn = excluded.turn, lapses = excluded.lapses, \
     passed_over = excluded.passed_over, passed_at = excluded.passed_at, state = excluded.state, hold = excluded.hold, buyer = excluded.buyer, \
     answers = e.answers || excluded.answers";
const TILL: &str = "INSERT INTO till (at, by, screening, hold, amount, currency) \
     SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bytea[], $5::bigint[], $6::text[])";
const OUTBOX: &str = "INSERT INTO outbox (at, kind, way, address, origin, about, body) \
     SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::text[])";
const FORGET: &str = "DELETE FROM outbox WHERE about = ANY($1::bytea[])";

/// A statement of a save, and what it means that it does not find all rows that it names.
struct Step<'a> {
    sql: &'static str,
    row: Vec<&'a (dyn ToSql + Sync)>,
    counted: Option<&'static str>,
}

impl<'a> Step<'a> {
    fn of(sql: &'static str, row: Vec<&'a (dyn ToSql + Sync)>) -> Self {
        Self { sql, row, counted: None }
    }
}

/// Sends all steps and the commit in one go. After one that fails nothing is done, and nothing is committed.
fn run(session: &mut Session, begin: Option<&str>, steps: &[Step<'_>]) -> Result<(), NotSaved> {
    let mut statements = Vec::with_capacity(steps.len());
    for step in steps {
        statements.extend(session.prepare([step.sql]).map_err(NotSaved::Database)?);
    }
    let client = session.client();
    let running = steps.iter().zip(&statements).map(|(step, statement)| client.execute(statement, &step.row));
    let begun = async {
        match begin {
            Some(begin) => client.batch_execute(begin).await,
            None => Ok(()),
        }
    };
    let (begun, done, committed) =
        wait(async { tokio::join!(begun, join_all(running), client.batch_execute("COMMIT")) });
    begun.map_err(NotSaved::Unknown)?;
    for (step, done) in steps.iter().zip(done) {
        match (done, step.counted) {
            (Ok(_), _) => {}
            (Err(error), Some(otherwise)) if error.code() == Some(&SqlState::DIVISION_BY_ZERO) => {
                return Err(NotSaved::Broken(otherwise.into()));
            }
            (Err(error), _) => return Err(error.into()),
        }
    }
    committed.map_err(NotSaved::Unknown)
}

/// Whether other processes must read more than the holds that changed: blocks, scans, and what was decided by staff.
fn more_than_holds(changes: &Changes) -> bool {
    let block = |(_, claim): &(Place, Claim)| matches!(claim, Claim::Block(_));
    changes.freed.iter().chain(&changes.claimed).any(block)
        || !changes.scans.is_empty()
        || !changes.entries.is_empty()
        || changes.line_looked_at.is_some()
        || changes.terms.is_some()
}

//! Saving houses in PostgreSQL: their rows are locked, what others saved is read, then all of a batch is written, or nothing.

use std::collections::{BTreeMap, HashMap, HashSet};

use admit_booking::{Changes, Claim, Hold, HoldKey, HoldState, Place, ScanRecord};
use admit_protocol::id::ScreeningId;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use super::load::{self, HOLDS_SINCE, PriceTables, SAVES_SINCE, Seen};
use super::session::{Params, Session, at, get, told, wait};
use super::{PostgresStore, Writer};
use crate::store::rows::{claim_columns, known_bytes, places_text, state_columns};
use crate::store::{CashWay, CommitError, News, Outcome, Save, StoreError, Taken};

const SAVING: &str = "saving houses";

/// Houses that nobody else can save until this is saved or dropped.
pub(super) struct TakenHouses<'a> {
    store: &'a PostgresStore,
    writer: Writer<'a>,
    /// Number and version of each house, by its screening.
    houses: HashMap<ScreeningId, Seen>,
    news: Vec<Option<News>>,
    programme: u64,
    /// Whether the transaction is still to be ended.
    open: bool,
}

impl Drop for TakenHouses<'_> {
    fn drop(&mut self) {
        if self.open {
            self.writer.roll_back();
        }
    }
}

impl<'a> TakenHouses<'a> {
    /// Begins a transaction, locks these houses in the order of their numbers (two batches never wait for each other), and reads what
    /// others saved since they were seen.
    pub(super) fn take(
        store: &'a PostgresStore,
        seen: &[(ScreeningId, u64)],
        prices: Option<PriceTables<'_>>,
    ) -> Result<Self, StoreError> {
        const LOCK: &str =
            "SELECT screening, version, now FROM house WHERE screening = ANY($1) ORDER BY screening FOR UPDATE";
        const TAKING: &str = "taking houses";
        let mut writer = store.writer()?;
        let numbers = store.numbers(writer.session()?, seen.iter().map(|(screening, _)| *screening))?;
        let known = |(screening, version): &(ScreeningId, u64)| {
            Some(Seen { number: *numbers.get(screening)?, version: version.cast_signed() })
        };
        let before: Vec<Option<Seen>> = seen.iter().map(known).collect();
        let (ids, versions): (Vec<i64>, Vec<i64>) = before.iter().flatten().map(|s| (s.number, s.version)).unzip();
        let session = writer.session()?;
        let [lock, saves, holds, programme] =
            session.prepare([LOCK, SAVES_SINCE, HOLDS_SINCE, super::PROGRAMME]).map_err(at(TAKING))?;
        let client = session.client();
        let (of, since): (Params<'_>, Params<'_>) = (&[&ids], &[&ids, &versions]);
        // Sent in one go, answered one after another: what comes after the lock sees what was committed before it.
        let (began, locked, saves, holds, programme) = wait(async {
            tokio::join!(
                client.batch_execute("BEGIN"),
                client.query(&lock, of),
                client.query(&saves, since),
                client.query(&holds, since),
                client.query_one(&programme, &[]),
            )
        });
        // From here on there is a transaction to be ended.
        let mut this =
            Self { store, writer, houses: HashMap::new(), news: Vec::new(), programme: 0, open: began.is_ok() };
        began.map_err(at(TAKING))?;
        let locked = load::houses(&locked.map_err(at(TAKING))?)?;
        let (saves, holds) = load::both(saves, holds).map_err(at(TAKING))?;
        this.programme = super::programme(&programme.map_err(at(TAKING))?)?;
        if let Some(prices) = prices {
            this.news = load::news(&before, &locked, &saves, &holds, prices)?;
        }
        for ((screening, _), seen) in seen.iter().zip(&before) {
            if let Some(Seen { number, .. }) = *seen
                && let Some((version, _)) = locked.get(&number)
            {
                this.houses.insert(*screening, Seen { number, version: *version });
            }
        }
        Ok(this)
    }

    /// Writes what fits the versions that are there; the outcome of each, in order.
    fn save_all(mut self, batch: &[Save<'_>]) -> Result<Vec<Outcome>, CommitError> {
        let mut saved_now = HashSet::with_capacity(batch.len());
        let mut outcomes = Vec::with_capacity(batch.len());
        let mut rows = Rows::new().map_err(CommitError::NotDone)?;
        for save in batch {
            let outcome = match self.houses.get(&save.screening) {
                None => Outcome::Broken(format!("there is no screening {}", save.screening)),
                Some(house) if house.version != save.seen.cast_signed() => Outcome::Conflict,
                Some(_) if !saved_now.insert(save.screening) => Outcome::Conflict,
                Some(house) => match rows.add(house.number, save) {
                    Ok(()) => Outcome::Saved,
                    Err(why) => Outcome::Broken(why),
                },
            };
            let broken = matches!(outcome, Outcome::Broken(_));
            outcomes.push(outcome);
            if broken && batch.len() > 1 {
                return self.each_alone(batch);
            }
            if broken {
                return Ok(outcomes);
            }
        }
        if saved_now.is_empty() {
            return Ok(outcomes);
        }
        match rows.write(self.writer.session().map_err(CommitError::NotDone)?) {
            Ok(()) => {}
            Err(NotWritten::Broken(_)) if batch.len() > 1 => return self.each_alone(batch),
            Err(NotWritten::Broken(why)) => return Ok(vec![Outcome::Broken(why)]),
            Err(NotWritten::Database(error)) => return Err(CommitError::NotDone(at(SAVING)(error))),
        }
        self.open = false;
        let committed = self.writer.session().map_err(CommitError::NotDone)?.batch("COMMIT");
        match committed {
            Ok(()) => Ok(outcomes),
            // PostgreSQL said no itself: then it is so.
            Err(error) if error.as_db_error().is_some() => Err(CommitError::NotDone(at("committing")(error))),
            Err(error) => self.settle(&error, &rows, outcomes),
        }
    }

    /// One of them is broken: it is found, and the others are saved. Others may have been there in between.
    fn each_alone(mut self, batch: &[Save<'_>]) -> Result<Vec<Outcome>, CommitError> {
        self.writer.roll_back();
        self.open = false;
        let store = self.store;
        drop(self);
        let mut outcomes = Vec::with_capacity(batch.len());
        let mut saved_now = HashSet::new();
        for save in batch {
            if saved_now.contains(&save.screening) {
                outcomes.push(Outcome::Conflict);
                continue;
            }
            let alone = [(save.screening, save.seen)];
            let taken = Self::take(store, &alone, None).map_err(CommitError::NotDone)?;
            let outcome = taken.save_all(std::slice::from_ref(save))?;
            saved_now.extend((outcome == [Outcome::Saved]).then_some(save.screening));
            outcomes.extend(outcome);
        }
        Ok(outcomes)
    }

    /// The connection was lost while the commit was under way. Its houses are locked once more: who gets the lock knows that the
    /// commit has ended, and finds it in the log or not at all.
    fn settle(mut self, lost: &Error, rows: &Rows<'_>, outcomes: Vec<Outcome>) -> Result<Vec<Outcome>, CommitError> {
        tracing::warn!(
            error = told(lost),
            "the connection was lost while a commit was under way: finding out how it ended"
        );
        self.writer.close();
        let found = (|| {
            let session = self.writer.session()?;
            session.batch("BEGIN").map_err(at("settling a commit"))?;
            let lock = "SELECT 1 FROM house WHERE screening = ANY($1) ORDER BY screening FOR UPDATE";
            session.query(lock, &[&rows.numbers]).map_err(at("settling a commit"))?;
            let sql = "SELECT count(*) FROM log WHERE screening = ANY($1) AND batch = $2";
            let found = session.query(sql, &[&rows.numbers, &rows.batch]).map_err(at("settling a commit"))?;
            let found: i64 = found.first().map_or(Ok(0), |row| get(row, 0))?;
            session.batch("ROLLBACK").map_err(at("settling a commit"))?;
            Ok(found)
        })();
        match found {
            Ok(0) => Err(CommitError::NotDone(StoreError::at("committing")(told(lost)))),
            Ok(_) => Ok(outcomes),
            Err(error) => {
                self.writer.close();
                Err(CommitError::Unknown(error))
            }
        }
    }
}

impl Taken for TakenHouses<'_> {
    fn programme(&self) -> u64 {
        self.programme
    }

    fn news(&mut self) -> Vec<Option<News>> {
        std::mem::take(&mut self.news)
    }

    fn save(self: Box<Self>, batch: &[Save<'_>]) -> Result<Vec<Outcome>, CommitError> {
        self.save_all(batch)
    }
}

/// Why a batch was not written.
enum NotWritten {
    /// Its rows contradict it.
    Broken(String),
    /// Not its fault.
    Database(Error),
}

impl From<Error> for NotWritten {
    fn from(error: Error) -> Self {
        match error.code() {
            // S2: the key forbids it. That means a bug here, or a database that somebody else wrote.
            Some(code) if code.code().starts_with("23") && *code != SqlState::FOREIGN_KEY_VIOLATION => {
                Self::Broken(told(&error))
            }
            _ => Self::Database(error),
        }
    }
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
struct Rows<'a> {
    batch: Vec<u8>,
    numbers: Vec<i64>,
    seen: Vec<i64>,
    now: Vec<i64>,
    places: BTreeMap<(i64, Place), PlaceMoved>,
    holds: BTreeMap<(i64, HoldKey), HoldMoved<'a>>,
    scans: Vec<(i64, &'a ScanRecord)>,
    answers: Answers<'a>,
    log: Log,
    till: Till<'a>,
    outbox: Outbox<'a>,
}

#[derive(Default)]
struct Answers<'a> {
    screening: Vec<i64>,
    hold: Vec<Vec<u8>>,
    key: Vec<Vec<u8>>,
    at: Vec<i64>,
    status: Vec<i32>,
    body: Vec<&'a [u8]>,
}

#[derive(Default)]
struct Log {
    entries: Vec<String>,
    /// Hex digits, 32 for each hold: an array of arrays of any length is no type of PostgreSQL's.
    holds: Vec<String>,
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
    body: Vec<&'a str>,
}

impl<'a> Rows<'a> {
    fn new() -> Result<Self, StoreError> {
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
            answers: Answers::default(),
            log: Log::default(),
            till: Till::default(),
            outbox: Outbox::default(),
        })
    }

    /// Adds what is to be saved of one house; says what contradicts itself.
    fn add(&mut self, number: i64, save: &'a Save<'_>) -> Result<(), String> {
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
        self.log.holds.push(touched.map(|((_, key), _)| format!("{:032x}", key.0)).collect());
        self.log.whole.push(whole);
        self.log.entries.push(serde_json::to_string(save.log).map_err(|e| e.to_string())?);
        for new in save.answers {
            let hold = new.known.hold;
            // A request has its effect on the hold that it is about, and is on record there.
            let Some(moved) = self.holds.get_mut(&(number, hold)) else {
                return Err(format!("an answer is about hold {:032x}, which did not change", hold.0));
            };
            moved.answers.extend(known_bytes(&new.known, 0));
            self.answers.screening.push(number);
            self.answers.hold.push(hold.0.to_be_bytes().to_vec());
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
        for message in save.outbox {
            self.outbox.at.push(now);
            self.outbox.kind.push(message.kind);
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
                return Err(format!("hold {:032x} is placed twice", hold.key.0));
            }
        }
        for (key, state) in &changes.moved {
            let new = HoldMoved { number, version, placed: None, state, answers: Vec::new() };
            self.holds.entry((number, *key)).or_insert(new).state = state;
        }
        self.scans.extend(changes.scans.iter().map(|scan| (number, scan)));
        Ok(())
    }

    /// Writes all of it, and counts (S3).
    fn write(&self, session: &mut Session) -> Result<(), NotWritten> {
        self.write_houses(session)?;
        self.write_places(session)?;
        self.write_holds(session)?;
        self.write_scans(session)?;
        self.write_rest(session)
    }

    fn write_houses(&self, session: &mut Session) -> Result<(), NotWritten> {
        const HOUSES: &str = "UPDATE house h SET version = h.version + 1, now = u.now \
             FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS u(screening, seen, now) \
             WHERE h.screening = u.screening AND h.version = u.seen";
        const LOG: &str = "INSERT INTO log (screening, version, at, entries, holds, whole, batch) \
             SELECT screening, seen + 1, at, entries, \
             ARRAY(SELECT decode(substr(holds, n, 32), 'hex') FROM generate_series(1, length(holds), 32) AS n), whole, $7 \
             FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::bool[]) \
             AS u(screening, seen, at, entries, holds, whole)";
        let moved = session.execute(HOUSES, &[&self.numbers, &self.seen, &self.now])?;
        all(moved, self.numbers.len(), "a house is not of the version that was locked")?;
        let Log { entries, holds, whole } = &self.log;
        session.execute(LOG, &[&self.numbers, &self.seen, &self.now, entries, holds, whole, &self.batch])?;
        Ok(())
    }

    fn write_places(&self, session: &mut Session) -> Result<(), NotWritten> {
        const FREE: &str = "DELETE FROM claim c \
             USING unnest($1::bigint[], $2::int[], $3::bytea[], $4::text[]) AS u(screening, place, hold, block) \
             WHERE c.screening = u.screening AND c.place = u.place \
             AND c.hold IS NOT DISTINCT FROM u.hold AND c.block IS NOT DISTINCT FROM u.block";
        const CLAIM: &str = "INSERT INTO claim (screening, place, hold, block, until) \
             SELECT * FROM unnest($1::bigint[], $2::int[], $3::bytea[], $4::text[], $5::bigint[])";
        let changed = || self.places.iter().filter(|(_, moved)| moved.before != moved.after);
        let freed = Claims::of(changed().filter_map(|(at, moved)| Some((*at, moved.before?))));
        if !freed.screening.is_empty() {
            let Claims { screening, place, hold, block, .. } = &freed;
            let gone = session.execute(FREE, &[screening, place, hold, block])?;
            all(gone, screening.len(), "S3: a place is not whose it should be")?;
        }
        let claimed = Claims::of(changed().filter_map(|(at, moved)| Some((*at, moved.after?))));
        if !claimed.screening.is_empty() {
            let Claims { screening, place, hold, block, until } = &claimed;
            session.execute(CLAIM, &[screening, place, hold, block, until])?;
        }
        Ok(())
    }

    fn write_holds(&self, session: &mut Session) -> Result<(), NotWritten> {
        const PLACE: &str = "INSERT INTO hold (screening, hold, owner, network, places, price_table, created_at, seq, version, \
             state, at, answers, details) \
             SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::bigint[], $5::text[], $6::bytea[], $7::bigint[], \
             $8::bigint[], $9::bigint[], $10::text[], $11::bigint[], $12::bytea[], $13::text[])";
        const MOVE: &str = "UPDATE hold h SET version = u.version, state = u.state, at = u.at, \
             answers = h.answers || u.answers, details = u.details \
             FROM unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::text[], $5::bigint[], $6::bytea[], $7::text[]) \
             AS u(screening, hold, version, state, at, answers, details) \
             WHERE h.screening = u.screening AND h.hold = u.hold";
        let (mut placed, mut moved) = (Holds::default(), Holds::default());
        let (mut owner, mut network, mut places, mut table) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (mut created_at, mut seq) = (Vec::new(), Vec::new());
        for ((_, key), hold) in &self.holds {
            match hold.placed {
                Some(new) => {
                    owner.push(&new.owner.0[..]);
                    network.push(new.network.map(|n| n.0.cast_signed()));
                    places.push(places_text(&new.places));
                    table.push(new.prices.name.digest().to_vec());
                    created_at.push(new.created_at.as_millisecond());
                    seq.push(new.seq.cast_signed());
                    placed.push(*key, hold);
                }
                None => moved.push(*key, hold),
            }
        }
        if !placed.screening.is_empty() {
            let Holds { screening, hold, version, state, at, answers, details } = &placed;
            session.execute(
                PLACE,
                &[
                    screening,
                    hold,
                    &owner,
                    &network,
                    &places,
                    &table,
                    &created_at,
                    &seq,
                    version,
                    state,
                    at,
                    answers,
                    details,
                ],
            )?;
        }
        if !moved.screening.is_empty() {
            let Holds { screening, hold, version, state, at, answers, details } = &moved;
            let found = session.execute(MOVE, &[screening, hold, version, state, at, answers, details])?;
            all(found, screening.len(), "a hold is not there")?;
        }
        Ok(())
    }

    fn write_scans(&self, session: &mut Session) -> Result<(), NotWritten> {
        const SCAN: &str = "INSERT INTO scan (screening, device, id, kind, undoes, hold, line, generation, at, admitted, offline, \
             verdict) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
        for (number, scan) in &self.scans {
            let hold = scan.ticket.map(|t| t.booking.0.to_be_bytes().to_vec());
            let undoes = scan.undoes.as_ref().map(admit_protocol::id::ScanId::as_str);
            let (line, generation) =
                (scan.ticket.map(|t| i64::from(t.line)), scan.ticket.map(|t| i64::from(t.generation)));
            session.execute(
                SCAN,
                &[
                    number,
                    &scan.device.as_str(),
                    &scan.id.as_str(),
                    &scan.kind.as_str(),
                    &undoes,
                    &hold,
                    &line,
                    &generation,
                    &scan.at.as_millisecond(),
                    &scan.admitted,
                    &scan.offline,
                    &scan.verdict.as_str(),
                ],
            )?;
        }
        Ok(())
    }

    fn write_rest(&self, session: &mut Session) -> Result<(), NotWritten> {
        const ANSWERS: &str = "INSERT INTO answer (screening, hold, key, at, status, body) \
             SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::bigint[], $5::int[], $6::bytea[])";
        const TILL: &str = "INSERT INTO till (at, by, screening, hold, amount, currency) \
             SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bytea[], $5::bigint[], $6::text[])";
        const OUTBOX: &str = "INSERT INTO outbox (at, kind, body) \
             SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[])";
        let Answers { screening, hold, key, at, status, body } = &self.answers;
        if !key.is_empty() {
            session.execute(ANSWERS, &[screening, hold, key, at, status, body])?;
        }
        let Till { at, by, screening, hold, amount, currency } = &self.till;
        if !at.is_empty() {
            session.execute(TILL, &[at, by, screening, hold, amount, currency])?;
        }
        let Outbox { at, kind, body } = &self.outbox;
        if !at.is_empty() {
            session.execute(OUTBOX, &[at, kind, body])?;
        }
        Ok(())
    }
}

/// Whether other processes must read more than the holds that changed: blocks, scans, and what was decided by staff.
fn more_than_holds(changes: &Changes) -> bool {
    let block = |(_, claim): &(Place, Claim)| matches!(claim, Claim::Block(_));
    changes.freed.iter().chain(&changes.claimed).any(block) || !changes.scans.is_empty() || changes.terms.is_some()
}

/// Columns of `claim`.
#[derive(Default)]
struct Claims {
    screening: Vec<i64>,
    place: Vec<i32>,
    hold: Vec<Option<Vec<u8>>>,
    block: Vec<Option<String>>,
    until: Vec<Option<i64>>,
}

impl Claims {
    fn of(claims: impl Iterator<Item = ((i64, Place), Claim)>) -> Self {
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
}

/// Columns of `hold` that every change writes.
#[derive(Default)]
struct Holds<'a> {
    screening: Vec<i64>,
    hold: Vec<Vec<u8>>,
    version: Vec<i64>,
    state: Vec<&'static str>,
    at: Vec<i64>,
    answers: Vec<&'a [u8]>,
    details: Vec<Option<String>>,
}

impl<'a> Holds<'a> {
    fn push(&mut self, key: HoldKey, moved: &'a HoldMoved<'_>) {
        let (state, at, details) = state_columns(moved.state);
        self.screening.push(moved.number);
        self.hold.push(key.0.to_be_bytes().to_vec());
        self.version.push(moved.version);
        self.state.push(state);
        self.at.push(at);
        self.answers.push(&moved.answers);
        self.details.push(details);
    }
}

fn all(rows: u64, wanted: usize, otherwise: &str) -> Result<(), NotWritten> {
    if usize::try_from(rows) == Ok(wanted) { Ok(()) } else { Err(NotWritten::Broken(otherwise.into())) }
}

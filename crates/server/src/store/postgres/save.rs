//! Saving houses in PostgreSQL: their rows are locked, what others saved is read, then all of a batch is written, or nothing.

use std::collections::{BTreeMap, HashMap, HashSet};

use admit_protocol::id::ScreeningId;
use tokio_postgres::Error;

use super::PostgresStore;
use super::load::{self, PriceTables, Seen};
use super::rows::{Houses, NotSaved, Rows};
use super::session::{Params, Session, at, get, told, wait};
use crate::store::{CommitError, News, Outcome, Save, StoreError, Taken};

const SAVING: &str = "saving houses";

/// Houses that nobody else can save until this is saved or dropped.
pub(super) struct TakenHouses<'a> {
    store: &'a PostgresStore,
    /// The connection with the open transaction; none, once it is lost or given back. It is never another one: what is left of a
    /// transaction must not be sent where there is none.
    session: Option<Session>,
    /// Number and version of each house, by its screening.
    houses: HashMap<ScreeningId, Seen>,
    news: Vec<Option<News>>,
    programme: u64,
}

impl Drop for TakenHouses<'_> {
    fn drop(&mut self) {
        // Of what is not committed nothing is to stay.
        self.end("ROLLBACK");
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
        let mut session = store.writer()?;
        let numbers = store.numbers(&mut session, seen.iter().map(|(screening, _)| *screening))?;
        let known = |(screening, version): &(ScreeningId, u64)| {
            Some(Seen { number: *numbers.get(screening)?, version: version.cast_signed() })
        };
        let before: Vec<Option<Seen>> = seen.iter().map(known).collect();
        let ids: Vec<i64> = before.iter().flatten().map(|seen| seen.number).collect();
        let [lock, programme] = session.prepare([LOCK, super::PROGRAMME]).map_err(at(TAKING))?;
        let client = session.client();
        let of: Params<'_> = &[&ids];
        // Sent in one go, answered one after another: what comes after the lock sees what was committed before it.
        let (began, locked, programme) = wait(async {
            tokio::join!(client.batch_execute("BEGIN"), client.query(&lock, of), client.query_one(&programme, &[]))
        });
        // From here on there is a transaction to be ended.
        let mut this = Self { store, session: Some(session), houses: HashMap::new(), news: Vec::new(), programme: 0 };
        began.map_err(at(TAKING))?;
        let locked = load::houses(&locked.map_err(at(TAKING))?)?;
        this.programme = super::programme(get(&programme.map_err(at(TAKING))?, 0)?)?;
        if let Some(prices) = prices {
            this.news = load::news(this.session()?, &before, &locked, prices)?;
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
        let mut session = self.session.take().ok_or_else(|| CommitError::NotDone(gone()))?;
        match rows.write(&mut session, Houses::Taken) {
            Ok(()) => {
                self.store.give_back(session);
                Ok(outcomes)
            }
            Err(NotSaved::Unknown(error)) => settle(self.store, &error, &rows, outcomes),
            Err(NotSaved::Database(error)) => Err(CommitError::NotDone(at(SAVING)(error))),
            Err(NotSaved::Broken(_)) if batch.len() > 1 => self.each_alone(batch),
            Err(NotSaved::Broken(why)) => Ok(vec![Outcome::Broken(why)]),
        }
    }

    /// Writes all of a batch, or nothing of it.
    fn save_all_or_none(mut self, batch: &[Save<'_>]) -> Result<Outcome, CommitError> {
        let mut rows = Rows::new().map_err(CommitError::NotDone)?;
        for save in batch {
            match self.houses.get(&save.screening) {
                None => return Ok(Outcome::Broken(format!("there is no screening {}", save.screening))),
                Some(house) if house.version != save.seen.cast_signed() => return Ok(Outcome::Conflict),
                Some(house) => {
                    if let Err(why) = rows.add(house.number, save) {
                        return Ok(Outcome::Broken(why));
                    }
                }
            }
        }
        let mut session = self.session.take().ok_or_else(|| CommitError::NotDone(gone()))?;
        match rows.write(&mut session, Houses::Taken) {
            Ok(()) => {
                self.store.give_back(session);
                Ok(Outcome::Saved)
            }
            Err(NotSaved::Unknown(error)) => {
                let outcomes = settle(self.store, &error, &rows, vec![Outcome::Saved])?;
                Ok(outcomes.into_iter().next().unwrap_or(Outcome::Conflict))
            }
            Err(NotSaved::Database(error)) => Err(CommitError::NotDone(at(SAVING)(error))),
            Err(NotSaved::Broken(why)) => Ok(Outcome::Broken(why)),
        }
    }

    /// One of them is broken: it is found, and the others are saved. Others may have been there in between.
    fn each_alone(self, batch: &[Save<'_>]) -> Result<Vec<Outcome>, CommitError> {
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
            let saved = Self::take(store, &alone, None).map_err(CommitError::NotDone);
            let outcome = saved.and_then(|taken| taken.save_all(std::slice::from_ref(save)));
            // What became of the others stays so: of this one, whoever decides it again finds out.
            let outcome = outcome.ok().and_then(|mut outcomes| outcomes.pop()).unwrap_or(Outcome::Conflict);
            saved_now.extend((outcome == Outcome::Saved).then_some(save.screening));
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    fn session(&mut self) -> Result<&mut Session, StoreError> {
        self.session.as_mut().ok_or_else(gone)
    }

    /// Ends the transaction, if it is still open.
    fn end(&mut self, how: &str) {
        if let Some(session) = self.session.take()
            && session.batch(how).is_ok()
        {
            self.store.give_back(session);
        }
    }
}

/// Saves a batch whose houses nobody has taken, if they and the programme are as they were seen. In one trip; nobody else waits for it.
pub(super) fn if_unchanged(
    store: &PostgresStore,
    batch: &[Save<'_>],
    programme: u64,
) -> Result<Option<Vec<Outcome>>, CommitError> {
    let mut session = store.writer().map_err(CommitError::NotDone)?;
    let numbers = store.numbers(&mut session, batch.iter().map(|save| save.screening)).map_err(CommitError::NotDone)?;
    // Houses are locked in the order of their numbers, here as everywhere.
    let numbered: Option<BTreeMap<i64, &Save<'_>>> =
        batch.iter().map(|save| Some((*numbers.get(&save.screening)?, save))).collect();
    let Some(numbered) = numbered.filter(|numbered| numbered.len() == batch.len()) else {
        store.give_back(session);
        return Ok(None);
    };
    let mut rows = Rows::new().map_err(CommitError::NotDone)?;
    for (number, save) in numbered {
        if rows.add(number, save).is_err() {
            // Which of them it is, and whether it is so, is found out where nobody else can save.
            store.give_back(session);
            return Ok(None);
        }
    }
    let outcomes = vec![Outcome::Saved; batch.len()];
    match rows.write(&mut session, Houses::AsSeen { programme }) {
        Ok(()) => {
            store.give_back(session);
            Ok(Some(outcomes))
        }
        Err(NotSaved::Broken(_)) => {
            // What was to be a commit ended it.
            store.give_back(session);
            Ok(None)
        }
        Err(NotSaved::Unknown(error)) => settle(store, &error, &rows, outcomes).map(Some),
        Err(NotSaved::Database(error)) => Err(CommitError::NotDone(at(SAVING)(error))),
    }
}

fn gone() -> StoreError {
    StoreError::Refused("the connection is gone".into())
}

/// The connection was lost while a commit was under way. Its houses are locked once more, and if the commit is not in the log then, they
/// are moved on to a next version, with nothing in it: whatever of the lost one is still on its way finds another version than the
/// one that it saw, and can never commit.
fn settle(
    store: &PostgresStore,
    lost: &Error,
    rows: &Rows<'_>,
    outcomes: Vec<Outcome>,
) -> Result<Vec<Outcome>, CommitError> {
    const STEP: &str = "finding out how a commit ended";
    tracing::warn!(
        error = told(lost),
        "the connection was lost while a commit was under way: finding out how it ended"
    );
    let found = (|| {
        let mut session = store.writer()?;
        session.batch("BEGIN").map_err(at(STEP))?;
        let lock = "SELECT 1 FROM house WHERE screening = ANY($1) ORDER BY screening FOR UPDATE";
        session.query(lock, &[&rows.numbers]).map_err(at(STEP))?;
        let sql = "SELECT count(*) FROM log WHERE screening = ANY($1) AND batch = $2";
        let found = session.query(sql, &[&rows.numbers, &rows.batch]).map_err(at(STEP))?;
        let found: i64 = found.first().map_or(Ok(0), |row| get(row, 0))?;
        if found == 0 {
            const MOVE_ON: &str = "WITH moved AS (UPDATE house h SET version = h.version + 1 \
                 FROM unnest($1::bigint[], $2::bigint[]) AS u(screening, seen) \
                 WHERE h.screening = u.screening AND h.version = u.seen RETURNING h.screening, h.version, h.now) \
                 INSERT INTO log (screening, version, at, entries, holds, whole, batch) \
                 SELECT screening, version, now, '[]', '', false, '' FROM moved";
            session.execute(MOVE_ON, &[&rows.numbers, &rows.seen]).map_err(at(STEP))?;
        }
        session.batch("COMMIT").map_err(at(STEP))?;
        store.give_back(session);
        Ok(found)
    })();
    match found {
        Ok(0) => Err(CommitError::NotDone(StoreError::at("committing")(told(lost)))),
        Ok(_) => Ok(outcomes),
        Err(error) => Err(CommitError::Unknown(error)),
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

    fn save_together(self: Box<Self>, batch: &[Save<'_>]) -> Result<Outcome, CommitError> {
        self.save_all_or_none(batch)
    }
}

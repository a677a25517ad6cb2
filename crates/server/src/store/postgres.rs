//! PostgreSQL: for several processes that sell from one database.
//!
//! Whoever saves houses locks their rows first, reads what others saved since, decides, writes and commits: so no process decides on
//! what is not so any more, and nobody decides twice. `spec/rationale.md` says why.

mod load;
mod outbox;
mod queue;
mod rows;
mod save;
mod session;
mod staff;
mod tables;
mod trail;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use admit_booking::Prices;
use admit_protocol::digest::ContentName;
use admit_protocol::id::{CinemaId, ScreeningId};
use admit_protocol::time::after;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use tokio::runtime::Runtime;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, Row};

use self::load::{PriceTables, SNAPSHOT, Seen};
use self::save::TakenHouses;
use self::session::{Params, Session, at, get};
pub(super) use self::session::{told, wait};
use super::{
    About, Answer, CommitError, Device, Document, DocumentKind, KeptManifest, KeyPrint, ListedScreening, Listing,
    Loaded, News, OutboxStore, Outcome, QueueStore, RemovedScreening, Save, SharedStore, Store, StoreError, Taken,
    TrailStore,
};

mod migrations {
    refinery::embed_migrations!("migrations/postgres");
}

/// Connections that are kept for reading.
const READERS: usize = 8;
/// Whoever uses a cinema's data shares this lock, and who must be alone with it has it alone: by the schema that it is in.
const IN_USE: i32 = 0x61646d;
/// Only one process at a time brings tables up to date: the number of this lock means nothing.
const MIGRATING: i64 = 0x61646d6974;

const PROGRAMME: &str = "SELECT value FROM setting WHERE name = 'programme'";

/// A cinema's data in a PostgreSQL database.
pub struct PostgresStore {
    config: Config,
    /// Connections that save houses: as many as there are batches at a time.
    writers: Mutex<Vec<Session>>,
    readers: Mutex<Vec<Session>>,
    /// The numbers of screenings, as far as they were asked for. They never change.
    numbers: Mutex<HashMap<ScreeningId, i64>>,
    /// Where the connections run. Taken when this is dropped.
    runtime: Option<Runtime>,
    /// The connection that keeps everybody else out, if that is wanted.
    alone: Option<Session>,
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        // Also where nothing may block.
        self.runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

impl PostgresStore {
    /// Connects to a database, such as `postgres://cinema@db.local/cinema`, and brings its tables up to date. The connection is not
    /// encrypted: the database is on this machine, or in a network of one's own.
    ///
    /// # Errors
    /// When the address cannot be used, nobody answers there, or the tables cannot be made.
    pub fn open(address: &str) -> Result<Self, StoreError> {
        Self::new(address)?.ready()
    }

    /// As [`Self::open`], with nobody else at this cinema's data as long as this is open.
    ///
    /// # Errors
    /// Also when a process uses it, such as a server that sells from it.
    pub fn open_alone(address: &str) -> Result<Self, StoreError> {
        let mut this = Self::new(address)?;
        let mut session = this.connect_unlocked()?;
        // A server that was just stopped is gone from the database a moment later.
        let mut patience = 20;
        while !locked(&mut session, "SELECT pg_try_advisory_lock($1, hashtext(current_schema()))")? {
            if patience == 0 {
                return Err(StoreError::InUse("the cinema's database".into()));
            }
            patience -= 1;
            std::thread::sleep(Duration::from_millis(100));
        }
        this.alone = Some(session);
        this.ready()
    }

    fn new(address: &str) -> Result<Self, StoreError> {
        let mut config: Config =
            address.parse().map_err(|e| StoreError::at("reading the database's address")(told(&e)))?;
        if config.get_ssl_mode() == SslMode::Require {
            let why = "sslmode=require: connections to PostgreSQL are not encrypted yet; use a tunnel, or a network of your own";
            return Err(StoreError::Refused(why.into()));
        }
        config.application_name("admit");
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_secs(5));
        }
        // A database that vanished without a word is noticed within half a minute.
        config.tcp_user_timeout(Duration::from_secs(20));
        config
            .keepalives_idle(Duration::from_secs(10))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(3);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("admit-postgres")
            .enable_all()
            .build()
            .map_err(StoreError::at("starting the connections' thread"))?;
        let this = Self {
            config,
            writers: Mutex::default(),
            readers: Mutex::default(),
            numbers: Mutex::default(),
            runtime: Some(runtime),
            alone: None,
        };
        Ok(this)
    }

    fn ready(self) -> Result<Self, StoreError> {
        self.migrate()?;
        self.is_here()?;
        self.begin_epoch()?;
        Ok(self)
    }

    fn connect(&self) -> Result<Session, StoreError> {
        let mut session = self.connect_unlocked()?;
        // The lock ends with the connection.
        let share = "SELECT pg_try_advisory_lock_shared($1, hashtext(current_schema()))";
        if self.alone.is_none() && !locked(&mut session, share)? {
            let why = "somebody works alone on the cinema's database, perhaps moves it: wait until that is over";
            return Err(StoreError::Refused(why.into()));
        }
        Ok(session)
    }

    fn connect_unlocked(&self) -> Result<Session, StoreError> {
        let gone = || StoreError::Refused("this store is being closed".into());
        Session::open(self.runtime.as_ref().ok_or_else(gone)?, &self.config)
    }

    fn migrate(&self) -> Result<(), StoreError> {
        const STEP: &str = "bringing tables up to date";
        let mut session = self.connect()?;
        session.execute("SELECT pg_advisory_lock($1)", &[&MIGRATING]).map_err(at(STEP))?;
        // The lock ends with the connection.
        wait(migrations::migrations::runner().run_async(session.client_mut())).map_err(StoreError::at(STEP))?;
        Ok(())
    }

    /// What was moved elsewhere is sold there.
    fn is_here(&self) -> Result<(), StoreError> {
        const STEP: &str = "looking whether the cinema is still here";
        let moved = self.reading(|session| {
            let rows = session.query("SELECT value FROM setting WHERE name = 'moved'", &[]).map_err(at(STEP))?;
            rows.first().map(|row| get::<String>(row, 0)).transpose()
        })?;
        match moved {
            Some(when) => Err(StoreError::Refused(format!(
                "this cinema was moved out of this database, on {when}: it is sold where it is now"
            ))),
            None => Ok(()),
        }
    }

    /// A store that was never used gets its first epoch.
    fn begin_epoch(&self) -> Result<(), StoreError> {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).map_err(StoreError::at("asking for randomness"))?;
        let epoch = format!("e{:016x}", u64::from_be_bytes(bytes));
        let sql = "INSERT INTO setting (name, value) VALUES ('epoch', $1) ON CONFLICT DO NOTHING";
        self.writing("beginning an epoch", |session| {
            session.execute(sql, &[&epoch]).map(drop).map_err(at("beginning an epoch"))
        })
    }

    /// A connection to save houses with.
    fn writer(&self) -> Result<Session, StoreError> {
        let idle = self.writers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(session) = idle.filter(|session| !session.is_closed()) {
            return Ok(session);
        }
        self.connect()
    }

    /// Keeps a connection that saved houses for the next batch.
    fn give_back(&self, session: Session) {
        self.writers.lock().unwrap_or_else(PoisonError::into_inner).push(session);
    }

    /// Reads on a connection of its own: never behind a writer.
    fn reading<T>(&self, read: impl Fn(&mut Session) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let (mut session, fresh) = match idle {
            Some(session) => (session, false),
            None => (self.connect()?, true),
        };
        let mut result = read(&mut session);
        if result.is_err() && session.is_closed() && !fresh {
            // It was lost while nobody used it.
            session = self.connect()?;
            result = read(&mut session);
        }
        // After an error nobody knows whether a transaction is open.
        if result.is_ok() {
            let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
            if readers.len() < READERS {
                readers.push(session);
            }
        }
        result
    }

    /// Writes something that is not a house, in a transaction of its own.
    fn writing<T>(
        &self,
        step: &'static str,
        write: impl FnOnce(&mut Session) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut session = self.connect_or_take()?;
        session.batch("BEGIN").map_err(at(step))?;
        // Dropped with an open transaction, a connection rolls back.
        let written = write(&mut session)?;
        session.batch("COMMIT").map_err(at(step))?;
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < READERS {
            readers.push(session);
        }
        Ok(written)
    }

    /// A connection that works: an idle one may have been lost.
    fn connect_or_take(&self) -> Result<Session, StoreError> {
        let idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle.filter(|session| session.batch("").is_ok()) {
            Some(session) => Ok(session),
            None => self.connect(),
        }
    }

    /// The numbers of those screenings that there are.
    fn numbers(
        &self,
        session: &mut Session,
        screenings: impl Iterator<Item = ScreeningId>,
    ) -> Result<HashMap<ScreeningId, i64>, StoreError> {
        const STEP: &str = "finding screenings";
        let (mut found, mut asked) = (HashMap::new(), Vec::new());
        {
            let known = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
            for screening in screenings {
                match known.get(&screening) {
                    Some(number) => drop(found.insert(screening, *number)),
                    None => asked.push(screening),
                }
            }
        }
        if !asked.is_empty() {
            let ids: Vec<&str> = asked.iter().map(ScreeningId::as_str).collect();
            let rows =
                session.query("SELECT id, number FROM screening WHERE id = ANY($1)", &[&ids]).map_err(at(STEP))?;
            for row in &rows {
                let id: ScreeningId = get::<&str>(row, 0)?.parse().map_err(StoreError::at(STEP))?;
                let number = get(row, 1)?;
                self.numbers.lock().unwrap_or_else(PoisonError::into_inner).insert(id, number);
                found.insert(id, number);
            }
        }
        Ok(found)
    }
}

/// Whether a lock could be had.
fn locked(session: &mut Session, sql: &'static str) -> Result<bool, StoreError> {
    const STEP: &str = "looking who uses the database";
    let rows = session.query(sql, &[&IN_USE]).map_err(at(STEP))?;
    rows.first().map_or(Ok(false), |row| get(row, 0))
}

impl Store for PostgresStore {
    fn catalogue(&self) -> Result<Listing, StoreError> {
        self.reading(listing)
    }

    fn load(&self, screening: ScreeningId, prices: PriceTables<'_>) -> Result<Loaded, StoreError> {
        self.reading(|session| {
            let number = self.numbers(session, [screening].into_iter())?.get(&screening).copied();
            number.map_or_else(|| Ok(Loaded::default()), |number| load::house(session, number, prices))
        })
    }

    fn queues(&self) -> Option<&dyn QueueStore> {
        Some(self)
    }

    fn trail(&self) -> Option<&dyn TrailStore> {
        Some(self)
    }

    fn outbox(&self) -> Option<&dyn OutboxStore> {
        Some(self)
    }

    fn tidy(&self, now: Timestamp) -> Result<(), StoreError> {
        const STEP: &str = "dropping old answers";
        // Several processes may do so at once: none waits for another.
        let sql = "DELETE FROM answer WHERE ctid = ANY (ARRAY( \
                   SELECT ctid FROM answer WHERE at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED))";
        let (oldest, many) = (now.as_millisecond() - super::rows::ANSWER_LIFE_MS, super::rows::TIDIED_MAX);
        self.writing(STEP, |session| session.execute(sql, &[&oldest, &many]).map(drop).map_err(at(STEP)))
    }

    fn publish(&self, next: &dyn Fn(Option<KeptManifest>) -> KeptManifest) -> Result<KeptManifest, StoreError> {
        const STEP: &str = "keeping the manifest";
        self.writing(STEP, |session| {
            // There is a row to be locked, whoever comes first.
            let sql = "INSERT INTO setting (name, value) VALUES ('manifest', 'null') ON CONFLICT DO NOTHING";
            session.execute(sql, &[]).map_err(at(STEP))?;
            let sql = "SELECT value FROM setting WHERE name = 'manifest' FOR UPDATE";
            let rows = session.query(sql, &[]).map_err(at(STEP))?;
            let text = rows.first().map(|row| get::<String>(row, 0)).transpose()?.unwrap_or_default();
            let before: Option<KeptManifest> = serde_json::from_str(&text).map_err(StoreError::at(STEP))?;
            let now = next(before.clone());
            if before.as_ref() != Some(&now) {
                let text = serde_json::to_string(&now).map_err(StoreError::at(STEP))?;
                let sql = "UPDATE setting SET value = $1 WHERE name = 'manifest'";
                session.execute(sql, &[&text]).map_err(at(STEP))?;
            }
            Ok(now)
        })
    }

    fn forgotten_until(&self) -> Result<Option<Timestamp>, StoreError> {
        const STEP: &str = "reading who is forgotten";
        let sql = "SELECT value FROM setting WHERE name = 'forgotten_until'";
        let rows = self.reading(|session| session.query(sql, &[]).map_err(at(STEP)))?;
        let known = rows.first().map(|row| get::<String>(row, 0)).transpose()?;
        known.map(|at| at.parse().map_err(StoreError::at(STEP))).transpose()
    }

    fn forgot_until(&self, until: Timestamp) -> Result<(), StoreError> {
        const STEP: &str = "noting who is forgotten";
        let sql = "INSERT INTO setting (name, value) VALUES ('forgotten_until', $1) ON CONFLICT (name) DO UPDATE SET value = $1";
        self.writing(STEP, |session| session.execute(sql, &[&until.to_string()]).map(drop).map_err(at(STEP)))
    }

    fn lines(&self) -> Result<Vec<ScreeningId>, StoreError> {
        const STEP: &str = "reading who waits";
        self.reading(|session| {
            let rows = session.query(super::rows::LINES, &[]).map_err(at(STEP))?;
            rows.iter().map(|row| get::<&str>(row, 0)?.parse().map_err(StoreError::at(STEP))).collect()
        })
    }

    fn save(&self, batch: &[Save<'_>]) -> Result<Vec<Outcome>, CommitError> {
        let seen: Vec<(ScreeningId, u64)> = batch.iter().map(|save| (save.screening, save.seen)).collect();
        // Nobody asks what is new: who meets a conflict loads.
        let taken = TakenHouses::take(self, &seen, None).map_err(CommitError::NotDone)?;
        Box::new(taken).save(batch)
    }

    fn saves_together(&self) -> bool {
        true
    }

    fn save_together(&self, batch: &[Save<'_>]) -> Result<Outcome, CommitError> {
        let seen: Vec<(ScreeningId, u64)> = batch.iter().map(|save| (save.screening, save.seen)).collect();
        let taken = TakenHouses::take(self, &seen, None).map_err(CommitError::NotDone)?;
        Box::new(taken).save_together(batch)
    }

    fn answer(&self, screening: ScreeningId, about: About, key: KeyPrint) -> Result<Option<Answer>, StoreError> {
        const STEP: &str = "reading an answer";
        let sql = match about {
            About::Hold(_) => {
                "SELECT h.answers, a.status, a.body FROM screening s JOIN hold h ON h.screening = s.number \
                 LEFT JOIN answer a ON a.screening = h.screening AND a.about = h.hold AND a.key = $3 \
                 WHERE s.id = $1 AND h.hold = $2"
            }
            About::Entry(_) => {
                "SELECT e.answers, a.status, a.body FROM screening s JOIN waitlist_entry e ON e.screening = s.number \
                 LEFT JOIN answer a ON a.screening = e.screening AND a.about = e.entry AND a.key = $3 \
                 WHERE s.id = $1 AND e.entry = $2"
            }
        };
        self.reading(|session| {
            let row = (&screening.as_str(), &about.bytes().to_vec(), &key.0.to_vec());
            let rows = session.query(sql, &[row.0, row.1, row.2]).map_err(at(STEP))?;
            let Some(row) = rows.first() else { return Ok(None) };
            if !super::rows::read_known(about, get(row, 0)?).any(|(known, _)| known.key == key) {
                return Ok(None);
            }
            let answer = match get::<Option<i32>>(row, 1)? {
                Some(status) => Answer {
                    status: u16::try_from(status).map_err(StoreError::at(STEP))?,
                    body: Some(get::<Vec<u8>>(row, 2)?.into()),
                },
                // A day later it may be gone: what is there now is the answer.
                None => Answer { status: 200, body: None },
            };
            Ok(Some(answer))
        })
    }

    fn shared(&self) -> Option<&dyn SharedStore> {
        Some(self)
    }
}

impl SharedStore for PostgresStore {
    fn take<'a>(
        &'a self,
        seen: &[(ScreeningId, u64)],
        prices: &dyn Fn(ContentName) -> Option<Arc<Prices>>,
    ) -> Result<Box<dyn Taken + 'a>, StoreError> {
        Ok(Box::new(TakenHouses::take(self, seen, Some(prices))?))
    }

    fn save_if_unchanged(&self, batch: &[Save<'_>], programme: u64) -> Result<Option<Vec<Outcome>>, CommitError> {
        save::if_unchanged(self, batch, programme)
    }

    fn news(
        &self,
        seen: &[(ScreeningId, u64)],
        prices: &dyn Fn(ContentName) -> Option<Arc<Prices>>,
    ) -> Result<(u64, Vec<Option<News>>), StoreError> {
        const HOUSES: &str = "SELECT screening, version, now FROM house WHERE screening = ANY($1)";
        const STEP: &str = "looking for news of houses";
        self.reading(|session| {
            let numbers = self.numbers(session, seen.iter().map(|(screening, _)| *screening))?;
            let known = |(screening, version): &(ScreeningId, u64)| {
                Some(Seen { number: *numbers.get(screening)?, version: version.cast_signed() })
            };
            let before: Vec<Option<Seen>> = seen.iter().map(known).collect();
            let ids: Vec<i64> = before.iter().flatten().map(|seen| seen.number).collect();
            let [houses, number] = session.prepare([HOUSES, PROGRAMME]).map_err(at(STEP))?;
            let client = session.client();
            let of: Params<'_> = &[&ids];
            let (began, houses, number) = wait(async {
                tokio::join!(client.batch_execute(SNAPSHOT), client.query(&houses, of), client.query_one(&number, &[]))
            });
            began.map_err(at(STEP))?;
            let houses = load::houses(&houses.map_err(at(STEP))?)?;
            let number = programme(get(&number.map_err(at(STEP))?, 0)?)?;
            let news = load::news(session, &before, &houses, prices)?;
            session.batch("COMMIT").map_err(at(STEP))?;
            Ok((number, news))
        })
    }

    fn now(&self) -> Result<Timestamp, StoreError> {
        const STEP: &str = "asking for the time";
        let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
        self.reading(|session| {
            let rows = session.query(sql, &[]).map_err(at(STEP))?;
            load::instant(rows.first().map_or(Ok(0), |row| get(row, 0))?)
        })
    }
}

/// The number of the programme that is in force.
fn programme(value: &str) -> Result<u64, StoreError> {
    value.parse().map_err(StoreError::at("reading the programme's number"))
}

fn listing(session: &mut Session) -> Result<Listing, StoreError> {
    const STEP: &str = "reading the programme";
    session.batch(SNAPSHOT).map_err(at(STEP))?;
    let mut all = |sql: &'static str| session.query(sql, &[]).map_err(at(STEP));
    let settings: BTreeMap<String, String> = all("SELECT name, value FROM setting")?
        .iter()
        .map(|row| Ok((get(row, 0)?, get(row, 1)?)))
        .collect::<Result<_, StoreError>>()?;
    let latest = all("SELECT coalesce(max(now), 0) FROM house")?;
    let setting = |name: &str| settings.get(name).map(String::as_str).unwrap_or_default();
    let mut listing = Listing {
        epoch: setting("epoch").parse().map_err(StoreError::at(STEP))?,
        programme: setting("programme").parse().map_err(StoreError::at(STEP))?,
        latest: load::instant(latest.first().map_or(Ok(0), |row| get(row, 0))?)?,
        cinemas: documents("cinema", &all("SELECT id, data FROM cinema ORDER BY id")?)?,
        films: documents("film", &all("SELECT id, data FROM film ORDER BY id")?)?,
        screenings: Vec::new(),
        removed: Vec::new(),
        documents: Vec::new(),
        devices: Vec::new(),
    };
    let forget = after(Timestamp::now(), -admit_protocol::feed::TOMBSTONE_S);
    for row in &all("SELECT id, cinema, changed, changed_at, removed, data FROM screening ORDER BY number")? {
        let changed = get::<i64>(row, 2)?.unsigned_abs();
        let changed_at = load::instant(get(row, 3)?)?;
        if get(row, 4)? {
            let screening: ScreeningId = get::<&str>(row, 0)?.parse().map_err(StoreError::at(STEP))?;
            let cinema: CinemaId = get::<&str>(row, 1)?.parse().map_err(StoreError::at(STEP))?;
            if changed_at >= forget {
                listing.removed.push(RemovedScreening { screening, cinema, changed, changed_at });
            }
        } else {
            let screening = read("screening", get(row, 0)?, get(row, 5)?)?;
            listing.screenings.push(Box::new(ListedScreening { screening, changed, changed_at }));
        }
    }
    for row in &all("SELECT name, kind, bytes, called FROM document ORDER BY name")? {
        let kind = match get::<&str>(row, 1)? {
            "layout" => DocumentKind::Layout,
            _ => DocumentKind::PriceTable,
        };
        let document = Document::of(kind, get::<Vec<u8>>(row, 2)?.into(), get(row, 3)?);
        if document.name.digest()[..] != *get::<&[u8]>(row, 0)? {
            let row = document.name.to_string();
            return Err(StoreError::BadRow { table: "document", row, why: "its bytes have another name".into() });
        }
        listing.documents.push(document);
    }
    for row in &all("SELECT id, token_hash FROM device WHERE revoked_at IS NULL ORDER BY id")? {
        let id = get::<&str>(row, 0)?.parse().map_err(StoreError::at(STEP))?;
        let token_hash = get::<&[u8]>(row, 1)?.try_into().map_err(StoreError::at(STEP))?;
        listing.devices.push(Device { id, token_hash });
    }
    session.batch("COMMIT").map_err(at(STEP))?;
    Ok(listing)
}

fn documents<T: DeserializeOwned>(table: &'static str, rows: &[Row]) -> Result<Vec<T>, StoreError> {
    rows.iter().map(|row| read(table, get(row, 0)?, get(row, 1)?)).collect()
}

fn read<T: DeserializeOwned>(table: &'static str, row: &str, data: &str) -> Result<T, StoreError> {
    let bad = |e: serde_json::Error| StoreError::BadRow { table, row: row.to_owned(), why: e.to_string() };
    serde_json::from_str(data).map_err(bad)
}

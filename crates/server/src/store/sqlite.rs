//! SQLite: the default. One file in the data folder, one process (D5), every commit on disk before anyone is told.

mod catalogue;
mod checkpoint;
mod numbers;
mod outbox;
mod queue;
mod rows;
mod save;
mod staff;
mod tables;
mod trail;

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use admit_booking::Prices;
use admit_protocol::digest::ContentName;
use admit_protocol::id::ScreeningId;
use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row, Transaction, TransactionBehavior};

use self::checkpoint::Checkpoints;
use self::numbers::Numbers;
use super::{
    About, Answer, CommitError, KeptManifest, KeyPrint, Listing, Loaded, OutboxStore, Outcome, QueueStore, Save, Store,
    StoreError, TrailStore,
};

mod migrations {
    refinery::embed_migrations!("migrations/sqlite");
}

/// Connections that read while the writer writes.
const READERS: usize = 4;

/// A cinema's data in one SQLite file.
pub struct SqliteStore {
    // Closed in this order: the last one closed takes the log into the database, which a reader cannot.
    readers: Mutex<Vec<Connection>>,
    checkpoints: Mutex<Checkpoints>,
    writer: Mutex<Connection>,
    path: std::path::PathBuf,
    /// The numbers of screenings and the versions of houses, as far as they were asked for.
    numbers: Numbers,
    /// Held as long as this process uses the folder.
    _lock: File,
}

impl SqliteStore {
    /// Opens `cinema.sqlite` in `folder`, makes it if it is not there, and brings its tables up to date.
    ///
    /// # Errors
    /// When another process uses the folder, or the file cannot be used.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        std::fs::create_dir_all(folder).map_err(StoreError::at("making the data folder"))?;
        let lock = File::create(folder.join("lock")).map_err(StoreError::at("opening the lock file"))?;
        lock.try_lock().map_err(|_| StoreError::InUse(folder.display().to_string()))?;
        let path = folder.join("cinema.sqlite");
        // Buyers' addresses are in it. What SQLite lays beside it gets the same rights.
        let mut private = std::fs::OpenOptions::new();
        private.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut private, 0o600);
        private.open(&path).map_err(StoreError::at("making the database"))?;
        let mut writer = Connection::open(&path).map_err(StoreError::at("opening the database"))?;
        configure(&writer).map_err(StoreError::at("setting up the database"))?;
        migrations::migrations::runner().run(&mut writer).map_err(StoreError::at("bringing tables up to date"))?;
        writer.set_prepared_statement_cache_capacity(64);
        let checkpoints = Checkpoints::start(&path).map_err(StoreError::at("starting checkpoints"))?;
        let numbers = Numbers::open(&writer).map_err(StoreError::at("reading the time of the last save"))?;
        let store = Self {
            writer: Mutex::new(writer),
            checkpoints: Mutex::new(checkpoints),
            readers: Mutex::default(),
            path,
            numbers,
            _lock: lock,
        };
        store.begin_epoch()?;
        Ok(store)
    }

    /// Copies the data of a folder into another one, as they are at one moment, also while somebody sells from it. The copy begins an
    /// epoch of its own: what was sold after it, it does not know (SEAT-003).
    ///
    /// # Errors
    /// When there is no database, or the copy cannot be written.
    pub fn back_up(folder: &Path, to: &Path) -> Result<(), StoreError> {
        const STEP: &str = "copying the database";
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let from = Connection::open_with_flags(folder.join("cinema.sqlite"), flags).map_err(StoreError::at(STEP))?;
        let copy = to.join("cinema.sqlite");
        let path = copy.to_str().ok_or_else(|| StoreError::Refused(format!("{} is no text", copy.display())))?;
        // Of one snapshot; the copy is synced before this ends.
        from.execute("VACUUM INTO ?1", [path]).map_err(StoreError::at(STEP))?;
        #[cfg(unix)]
        std::fs::set_permissions(&copy, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .map_err(StoreError::at(STEP))?;
        let copy = Connection::open(&copy).map_err(StoreError::at(STEP))?;
        let sql = "UPDATE setting SET value = ?1 WHERE name = 'epoch'";
        copy.execute(sql, [new_epoch()?]).map_err(StoreError::at(STEP))?;
        // What was published since is newer: the copy begins by its clock.
        copy.execute("DELETE FROM setting WHERE name = 'manifest'", []).map(drop).map_err(StoreError::at(STEP))
    }

    /// A store that was never used gets its first epoch.
    fn begin_epoch(&self) -> Result<(), StoreError> {
        let sql = "INSERT INTO setting (name, value) VALUES ('epoch', ?1) ON CONFLICT DO NOTHING";
        self.writer().execute(sql, [new_epoch()?]).map_err(StoreError::at("beginning an epoch"))?;
        Ok(())
    }

    fn writer(&self) -> MutexGuard<'_, Connection> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// After a commit: the log is looked after.
    fn committed(&self, writer: &Connection) {
        self.checkpoints.lock().unwrap_or_else(PoisonError::into_inner).committed(writer);
    }

    /// Reads beside the writer, in one snapshot.
    fn reading<T>(
        &self,
        step: &'static str,
        read: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                Connection::open_with_flags(&self.path, flags).map_err(StoreError::at(step))?
            }
        };
        let result = {
            let snapshot =
                connection.transaction_with_behavior(TransactionBehavior::Deferred).map_err(StoreError::at(step))?;
            read(&snapshot)
        };
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < READERS {
            readers.push(connection);
        }
        result
    }
}

fn new_epoch() -> Result<String, StoreError> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(StoreError::at("asking for randomness"))?;
    Ok(format!("e{:016x}", u64::from_be_bytes(bytes)))
}

/// A sync for every commit: NORMAL loses acknowledged commits when the power goes.
fn configure(db: &Connection) -> rusqlite::Result<()> {
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "foreign_keys", true)?;
    // Done beside: see `checkpoint`.
    db.pragma_update(None, "wal_autocheckpoint", 0)?;
    // 8 MiB: KiB, as a negative number. A larger one is slower: a commit in which a page was split looks through all of it.
    db.pragma_update(None, "cache_size", -8 * 1024)?;
    db.busy_timeout(std::time::Duration::from_secs(5))
}

impl Store for SqliteStore {
    fn catalogue(&self) -> Result<Listing, StoreError> {
        self.reading("reading the programme", |db| catalogue::listing(db, self.numbers.latest()))
    }

    fn load(
        &self,
        screening: ScreeningId,
        prices: &dyn Fn(ContentName) -> Option<Arc<Prices>>,
    ) -> Result<Loaded, StoreError> {
        self.reading("loading a house", |db| {
            let number = self.numbers.number(db, screening).map_err(StoreError::at("finding a screening"))?;
            let load = |number| rows::load(db, number, self.numbers.latest(), prices);
            number.map_or_else(|| Ok(Loaded::default()), load)
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
        let (oldest, many) = (now.as_millisecond() - super::rows::ANSWER_LIFE_MS, super::rows::TIDIED_MAX);
        // They lie in the order of their making: only the first are looked at.
        let sql = "DELETE FROM answer WHERE at < ?1 AND id < (SELECT min(id) FROM answer) + ?2";
        let db = self.writer();
        let dropped = db.prepare_cached(sql).and_then(|mut delete| delete.execute([oldest, many]));
        let dropped = dropped.map_err(StoreError::at(STEP))?;
        if dropped > 0 {
            self.committed(&db);
        }
        Ok(())
    }

    fn publish(&self, next: &dyn Fn(Option<KeptManifest>) -> KeptManifest) -> Result<KeptManifest, StoreError> {
        const STEP: &str = "keeping the manifest";
        let mut db = self.writer();
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(StoreError::at(STEP))?;
        let sql = "SELECT value FROM setting WHERE name = 'manifest'";
        let before: Option<String> =
            transaction.query_row(sql, [], |row| row.get(0)).optional().map_err(StoreError::at(STEP))?;
        let before: Option<KeptManifest> =
            before.map(|text| serde_json::from_str(&text)).transpose().map_err(StoreError::at(STEP))?;
        let now = next(before.clone());
        if before.as_ref() != Some(&now) {
            let text = serde_json::to_string(&now).map_err(StoreError::at(STEP))?;
            let sql =
                "INSERT INTO setting (name, value) VALUES ('manifest', ?1) ON CONFLICT (name) DO UPDATE SET value = ?1";
            transaction.execute(sql, [text]).map_err(StoreError::at(STEP))?;
            transaction.commit().map_err(StoreError::at(STEP))?;
            self.committed(&db);
        }
        Ok(now)
    }

    fn forgotten_until(&self) -> Result<Option<Timestamp>, StoreError> {
        const STEP: &str = "reading who is forgotten";
        let sql = "SELECT value FROM setting WHERE name = 'forgotten_until'";
        let known: Option<String> =
            self.reading(STEP, |db| db.query_row(sql, [], |row| row.get(0)).optional().map_err(StoreError::at(STEP)))?;
        known.map(|at| at.parse().map_err(StoreError::at(STEP))).transpose()
    }

    fn forgot_until(&self, until: Timestamp) -> Result<(), StoreError> {
        let sql = "INSERT INTO setting (name, value) VALUES ('forgotten_until', ?1) ON CONFLICT (name) DO UPDATE SET value = ?1";
        let db = self.writer();
        db.execute(sql, [until.to_string()]).map_err(StoreError::at("noting who is forgotten"))?;
        self.committed(&db);
        Ok(())
    }

    fn lines(&self) -> Result<Vec<ScreeningId>, StoreError> {
        const STEP: &str = "reading who waits";
        self.reading(STEP, |db| {
            let mut rows = db.prepare(crate::store::rows::LINES).map_err(StoreError::at(STEP))?;
            let ids = rows.query_map([], |row| row.get::<_, String>(0)).map_err(StoreError::at(STEP))?;
            ids.map(|id| id.map_err(StoreError::at(STEP))?.parse().map_err(StoreError::at(STEP))).collect()
        })
    }

    fn save(&self, batch: &[Save<'_>]) -> Result<Vec<Outcome>, CommitError> {
        let mut db = self.writer();
        let saved = save::save(&mut db, batch, &self.numbers)?;
        self.committed(&db);
        Ok(saved)
    }

    fn saves_together(&self) -> bool {
        true
    }

    fn save_together(&self, batch: &[Save<'_>]) -> Result<Outcome, CommitError> {
        let mut db = self.writer();
        let saved = save::save_together(&mut db, batch, &self.numbers)?;
        self.committed(&db);
        Ok(saved)
    }

    fn answer(&self, _: ScreeningId, about: About, key: KeyPrint) -> Result<Option<Answer>, StoreError> {
        const STEP: &str = "reading an answer";
        self.reading(STEP, |db| {
            let sql = match about {
                About::Hold(_) => "SELECT answers FROM hold WHERE hold = ?1",
                About::Entry(_) => "SELECT answers FROM waitlist_entry WHERE entry = ?1",
            };
            let mut rows = db.prepare_cached(sql).map_err(StoreError::at(STEP))?;
            let answers: Option<Vec<u8>> =
                rows.query_row([about.bytes()], |row| row.get(0)).optional().map_err(StoreError::at(STEP))?;
            let answers = answers.unwrap_or_default();
            let Some((_, id)) = super::rows::read_known(about, &answers).find(|(known, _)| known.key == key) else {
                return Ok(None);
            };
            let sql = "SELECT status, body FROM answer WHERE id = ?1";
            let read = |row: &Row<'_>| Ok(Answer { status: row.get(0)?, body: Some(row.get::<_, Vec<u8>>(1)?.into()) });
            let mut bodies = db.prepare_cached(sql).map_err(StoreError::at(STEP))?;
            let answer = bodies.query_row([id], read).optional().map_err(StoreError::at(STEP))?;
            // A day later it may be gone: what is there now is the answer.
            Ok(Some(answer.unwrap_or(Answer { status: 200, body: None })))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_on_the_disk_when_it_is_said_to_be() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SqliteStore::open(folder.path()).expect("opens");
        let db = store.writer();
        let set = |name: &str| db.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0));
        assert_eq!(set("journal_mode").expect("reads"), "wal".to_owned().into());
        // 2 is FULL: a sync for every commit. With 1, NORMAL, what was acknowledged is gone when the power goes.
        assert_eq!(set("synchronous").expect("reads"), 2_i64.into());
    }
}

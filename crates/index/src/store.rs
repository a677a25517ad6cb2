//! What an index remembers, in SQLite.

use std::error::Error;
use std::fs::File;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use admit_protocol::directory::{Announcement, Listing};
use admit_protocol::film::Film;
use admit_protocol::id::{CinemaId, ListingId};
use admit_protocol::jws::Jws;
use admit_protocol::key::PublicKey;
use admit_protocol::manifest::Known;
use admit_protocol::origin::Origin;
use admit_protocol::screening::Screening;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, TransactionBehavior, params};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

mod migrations {
    refinery::embed_migrations!("migrations/sqlite");
}

/// Why something could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database said no.
    #[error("{step}: {source}")]
    Database {
        /// Which step.
        step: &'static str,
        /// What it said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// Another process has this store.
    #[error("{0}: another process is using this folder; stop the server before")]
    InUse(String),
    /// An edit that contradicts what is there.
    #[error("{0}")]
    Refused(String),
}

fn at<E: Into<Box<dyn Error + Send + Sync>>>(step: &'static str) -> impl FnOnce(E) -> StoreError {
    move |source| StoreError::Database { step, source: source.into() }
}

/// A server as it was last verified.
#[derive(Debug, Clone)]
pub(crate) struct SeenServer {
    pub(crate) origin: Origin,
    pub(crate) manifest: Jws,
    pub(crate) known: Known,
    pub(crate) verified_at: Timestamp,
    pub(crate) programme: SeenProgramme,
}

/// Keys that a server came with in the place of those that are known, without a word of its recovery key (F2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quarantine {
    pub(crate) identity: PublicKey,
    pub(crate) recovery: PublicKey,
    /// Since when it comes with these.
    pub(crate) since: Timestamp,
}

/// Films and screenings of all cinemas of a server.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct SeenProgramme {
    pub(crate) films: Vec<Film>,
    pub(crate) screenings: Vec<Screening>,
}

/// A listing, and which other one speaks for it.
#[derive(Debug, Clone)]
pub(crate) struct StoredListing {
    pub(crate) listing: Listing,
    pub(crate) merged_into: Option<ListingId>,
}

/// An index's data in one SQLite file.
pub struct SqliteStore {
    db: Mutex<Connection>,
    /// Held as long as this process uses the folder.
    _lock: File,
}

impl SqliteStore {
    /// Opens `index.sqlite` in `folder`, makes it if it is not there, and brings its tables up to date.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        std::fs::create_dir_all(folder).map_err(at("making the data folder"))?;
        let lock = File::create(folder.join("index.lock")).map_err(at("opening the lock file"))?;
        lock.try_lock().map_err(|_| StoreError::InUse(folder.display().to_string()))?;
        let mut db = Connection::open(folder.join("index.sqlite")).map_err(at("opening the database"))?;
        db.pragma_update(None, "journal_mode", "WAL").map_err(at("setting up the database"))?;
        db.pragma_update(None, "synchronous", "FULL").map_err(at("setting up the database"))?;
        db.pragma_update(None, "foreign_keys", true).map_err(at("setting up the database"))?;
        db.busy_timeout(std::time::Duration::from_secs(5)).map_err(at("setting up the database"))?;
        migrations::migrations::runner().run(&mut db).map_err(at("bringing tables up to date"))?;
        Ok(Self { db: Mutex::new(db), _lock: lock })
    }

    fn db(&self) -> MutexGuard<'_, Connection> {
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn servers(&self) -> Result<Vec<SeenServer>, StoreError> {
        const STEP: &str = "reading servers";
        let db = self.db();
        let sql = "SELECT origin, manifest, identity, serial, verified_at, programme, recovery, succession FROM server";
        let mut statement = db.prepare(sql).map_err(at(STEP))?;
        let mut rows = statement.query([]).map_err(at(STEP))?;
        let mut servers = Vec::new();
        while let Some(row) = rows.next().map_err(at(STEP))? {
            let text = |column| row.get::<_, String>(column).map_err(at(STEP));
            servers.push(SeenServer {
                origin: json(&serde_json::Value::from(text(0)?).to_string())?,
                manifest: json(&text(1)?)?,
                known: read_known(row, [2, 3, 6, 7])?,
                verified_at: Timestamp::from_millisecond(row.get(4).map_err(at(STEP))?).map_err(at(STEP))?,
                programme: json(&text(5)?)?,
            });
        }
        Ok(servers)
    }

    pub(crate) fn known(&self, origin: &Origin) -> Result<Option<Known>, StoreError> {
        const STEP: &str = "reading a server";
        let db = self.db();
        let sql = "SELECT identity, serial, recovery, succession FROM server WHERE origin = ?1";
        let mut statement = db.prepare(sql).map_err(at(STEP))?;
        let mut rows = statement.query([origin.as_str()]).map_err(at(STEP))?;
        rows.next().map_err(at(STEP))?.map(|row| read_known(row, [0, 1, 2, 3])).transpose()
    }

    /// The keys that a server came with, and that it should not have.
    pub(crate) fn quarantine(&self, origin: &Origin) -> Result<Option<Quarantine>, StoreError> {
        const STEP: &str = "reading a quarantine";
        let db = self.db();
        let sql = "SELECT identity, recovery, since FROM quarantine WHERE origin = ?1";
        let mut statement = db.prepare(sql).map_err(at(STEP))?;
        let mut rows = statement.query([origin.as_str()]).map_err(at(STEP))?;
        let Some(row) = rows.next().map_err(at(STEP))? else { return Ok(None) };
        let key = |column| row.get::<_, String>(column).map_err(at(STEP))?.parse::<PublicKey>().map_err(at(STEP));
        let since = Timestamp::from_millisecond(row.get(2).map_err(at(STEP))?).map_err(at(STEP))?;
        Ok(Some(Quarantine { identity: key(0)?, recovery: key(1)?, since }))
    }

    /// Begins a quarantine, or ends it.
    pub(crate) fn put_quarantine(&self, origin: &Origin, quarantine: Option<Quarantine>) -> Result<(), StoreError> {
        const STEP: &str = "saving a quarantine";
        let db = self.db();
        let Some(Quarantine { identity, recovery, since }) = quarantine else {
            let sql = "DELETE FROM quarantine WHERE origin = ?1";
            return db.execute(sql, [origin.as_str()]).map(drop).map_err(at(STEP));
        };
        let sql = "INSERT OR REPLACE INTO quarantine (origin, identity, recovery, since) VALUES (?1, ?2, ?3, ?4)";
        let row = params![origin.as_str(), identity.to_string(), recovery.to_string(), since.as_millisecond()];
        db.execute(sql, row).map(drop).map_err(at(STEP))
    }

    /// Takes over everything that was seen of a server, in one: its manifest, programme and listings.
    pub(crate) fn put_server(&self, seen: &SeenServer, listings: &[StoredListing]) -> Result<(), StoreError> {
        const STEP: &str = "saving a server";
        let mut db = self.db();
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(at(STEP))?;
        let sql = "INSERT INTO server (origin, manifest, identity, serial, verified_at, programme, recovery, succession) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (origin) DO UPDATE SET manifest = ?2, identity = ?3, \
                   serial = ?4, verified_at = ?5, programme = ?6, recovery = ?7, succession = ?8";
        let row = params![
            seen.origin.as_str(),
            text(&seen.manifest)?,
            seen.known.identity.to_string(),
            seen.known.serial.cast_signed(),
            seen.verified_at.as_millisecond(),
            text(&seen.programme)?,
            seen.known.recovery.map(|key| key.to_string()),
            seen.known.succession,
        ];
        transaction.execute(sql, row).map_err(at(STEP))?;
        transaction.execute("DELETE FROM listing WHERE origin = ?1", [seen.origin.as_str()]).map_err(at(STEP))?;
        for listing in listings {
            put_listing(&transaction, listing).map_err(at(STEP))?;
        }
        transaction.commit().map_err(at(STEP))
    }

    /// A server is at another origin now, and listed there: what it showed is forgotten, and entries that its cinemas spoke for are spoken for
    /// by the same cinemas there.
    pub(crate) fn move_server(&self, from: &Origin, to: &Origin) -> Result<(), StoreError> {
        const STEP: &str = "moving a server";
        let mut db = self.db();
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(at(STEP))?;
        let left: Vec<String> = {
            let mut statement = transaction.prepare("SELECT data FROM listing WHERE origin = ?1").map_err(at(STEP))?;
            let rows = statement.query_map([from.as_str()], |row| row.get(0)).map_err(at(STEP))?;
            rows.collect::<Result<_, _>>().map_err(at(STEP))?
        };
        for listing in &left {
            let listing: Listing = json(listing)?;
            let Some(cinema) = listing.cinema else { continue };
            let there = listing_id(to, cinema);
            let sql = "UPDATE listing SET merged_into = ?2 WHERE merged_into = ?1 \
                       AND EXISTS (SELECT 1 FROM listing WHERE id = ?2)";
            transaction.execute(sql, [listing.id.as_str(), there.as_str()]).map_err(at(STEP))?;
            // Of a cinema that did not come along, entries are shown again.
            let sql = "UPDATE listing SET merged_into = NULL WHERE merged_into = ?1";
            transaction.execute(sql, [listing.id.as_str()]).map_err(at(STEP))?;
        }
        transaction.execute("DELETE FROM listing WHERE origin = ?1", [from.as_str()]).map_err(at(STEP))?;
        // Its keys stay known: who comes to that address later is somebody else (F2).
        let sql = "UPDATE server SET programme = ?2 WHERE origin = ?1";
        transaction.execute(sql, [from.as_str(), &text(&SeenProgramme::default())?]).map_err(at(STEP))?;
        transaction.commit().map_err(at(STEP))
    }

    pub(crate) fn put_listings(&self, listings: &[StoredListing]) -> Result<(), StoreError> {
        const STEP: &str = "saving listings";
        let mut db = self.db();
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(at(STEP))?;
        for listing in listings {
            put_listing(&transaction, listing).map_err(at(STEP))?;
        }
        transaction.commit().map_err(at(STEP))
    }

    pub(crate) fn listings(&self) -> Result<Vec<StoredListing>, StoreError> {
        const STEP: &str = "reading listings";
        let db = self.db();
        let mut statement = db.prepare("SELECT data, merged_into FROM listing").map_err(at(STEP))?;
        let mut rows = statement.query([]).map_err(at(STEP))?;
        let mut listings = Vec::new();
        while let Some(row) = rows.next().map_err(at(STEP))? {
            let merged: Option<String> = row.get(1).map_err(at(STEP))?;
            listings.push(StoredListing {
                listing: json(&row.get::<_, String>(0).map_err(at(STEP))?)?,
                merged_into: merged.map(|id| id.parse()).transpose().map_err(at(STEP))?,
            });
        }
        Ok(listings)
    }

    /// Lets one listing speak for another, or, with nothing, for itself again.
    pub(crate) fn merge(&self, listing: ListingId, into: Option<ListingId>) -> Result<(), StoreError> {
        if let Some(into) = into {
            let db = self.db();
            let mut other = Some(into);
            // Whoever speaks for somebody must be shown: not the same one, not one that is hidden, and there.
            while let Some(id) = other {
                if id == listing {
                    return Err(StoreError::Refused(format!(
                        "{listing} cannot be hidden behind {into}: that is the same one, or is hidden behind it already"
                    )));
                }
                let sql = "SELECT merged_into FROM listing WHERE id = ?1";
                let row = db.query_row(sql, [id.as_str()], |row| row.get::<_, Option<String>>(0)).optional();
                let row = row.map_err(at("reading listings"))?;
                let missing = || StoreError::Refused(format!("there is no listing {id}"));
                other = row.ok_or_else(missing)?.map(|id| id.parse().map_err(at("reading listings"))).transpose()?;
            }
        }
        let sql = "UPDATE listing SET merged_into = ?2 WHERE id = ?1";
        let row = params![listing.as_str(), into.as_ref().map(ListingId::as_str)];
        let merged = self.db().execute(sql, row).map_err(at("merging listings"))?;
        if merged == 1 { Ok(()) } else { Err(StoreError::Refused(format!("there is no listing {listing}"))) }
    }

    pub(crate) fn put_look(&self, look: &Announcement, now: Timestamp) -> Result<(), StoreError> {
        let sql = "INSERT INTO look (origin, at, data) VALUES (?1, ?2, ?3) ON CONFLICT (origin) DO UPDATE SET at = ?2, data = ?3";
        let row = params![look.origin.as_str(), now.as_millisecond(), text(look)?];
        self.db().execute(sql, row).map(drop).map_err(at("saving what was found"))
    }

    pub(crate) fn look(&self, origin: &Origin) -> Result<Option<(Timestamp, Announcement)>, StoreError> {
        const STEP: &str = "reading what was found";
        let sql = "SELECT at, data FROM look WHERE origin = ?1";
        let row = self
            .db()
            .query_row(sql, [origin.as_str()], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))
            .optional()
            .map_err(at(STEP))?;
        row.map(|(ms, data)| Ok((Timestamp::from_millisecond(ms).map_err(at(STEP))?, json(&data)?))).transpose()
    }
}

/// What is known of a server, from the columns of identity, serial, recovery and succession.
fn read_known(row: &Row<'_>, columns: [usize; 4]) -> Result<Known, StoreError> {
    const STEP: &str = "reading a server's keys";
    let [identity, serial, recovery, succession] = columns;
    let key = |text: String| text.parse::<PublicKey>().map_err(at(STEP));
    Ok(Known {
        identity: row.get(identity).map_err(at(STEP)).and_then(key)?,
        recovery: row.get::<_, Option<String>>(recovery).map_err(at(STEP))?.map(key).transpose()?,
        succession: row.get(succession).map_err(at(STEP))?,
        serial: row.get::<_, i64>(serial).map_err(at(STEP))?.unsigned_abs(),
    })
}

fn put_listing(db: &Connection, stored: &StoredListing) -> rusqlite::Result<()> {
    let listing = &stored.listing;
    let sql = "INSERT INTO listing (id, origin, data, merged_into) VALUES (?1, ?2, ?3, ?4) \
               ON CONFLICT (id) DO UPDATE SET origin = ?2, data = ?3, merged_into = coalesce(?4, merged_into)";
    let data = serde_json::to_string(listing).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?;
    let merged = stored.merged_into.as_ref().map(ListingId::as_str);
    let row = params![listing.id.as_str(), listing.origin.as_ref().map(Origin::as_str), data, merged];
    db.prepare_cached(sql)?.execute(row).map(drop)
}

fn text<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(at("writing JSON"))
}

fn json<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(at("reading JSON"))
}

/// The name of a server's cinema in an index: the same as long as origin and id are.
pub(crate) fn listing_id(origin: &Origin, cinema: CinemaId) -> ListingId {
    named(&[b"server", origin.as_str().as_bytes(), b"\0", cinema.as_str().as_bytes()])
}

/// The name of an imported entry: the same as long as its source names it so.
pub(crate) fn imported_id(source: &str) -> ListingId {
    named(&[b"import", source.as_bytes()])
}

fn named(parts: &[&[u8]]) -> ListingId {
    let digest = admit_protocol::digest::sha256(parts);
    let hex: String = digest[..12].iter().map(|b| format!("{b:02x}")).collect();
    ListingId::parse(&format!("lst_{hex}")).expect("28 characters of an id")
}

//! What a store promises: all changes of a house since the version that we read are saved, or none, and we hear which.
//!
//! A store holds no rules: rows in, rows out. A cinema with a box office of its own implements [`Store`] and gets ours.

mod editing;
mod house;
mod listing;
pub mod memory;
pub mod moving;
mod outbox;
pub mod postgres;
mod queue;
mod rows;
pub mod sqlite;
mod staff;

use std::error::Error;
use std::sync::Arc;

use admit_booking::{Hold, Prices};
use admit_protocol::digest::ContentName;
use admit_protocol::id::ScreeningId;
use admit_protocol::jws::Jws;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::editing::{Disturbed, Edit, Layouts};
pub use self::house::{
    About, Answer, BodyPrint, CashWay, Claimed, KeyPrint, KnownKey, Loaded, LogEntry, Logged, NewAnswer, Outcome, Save,
    TillEntry,
};
pub use self::listing::{Device, Document, DocumentKind, ListedScreening, Listing, RemovedScreening};
pub use self::outbox::{Due, Message, OutboxStore, Way};
pub use self::queue::{LineRows, QueueStore};
pub use self::staff::{AuditEntry, Permission, Role, Session, StaffMember, Till};

/// The manifest that a server published last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptManifest {
    /// Of which programme: see [`Listing::programme`].
    pub programme: u64,
    /// The hash of what it says, but for when it was signed.
    pub content: ContentName,
    /// The hash of the keys in it.
    pub keys: ContentName,
    /// Higher than every one before (MAN-010).
    pub serial: u64,
    /// When it ends.
    pub expires: Timestamp,
    /// Itself.
    pub jws: Jws,
}

/// Something that a cinema's state is kept in. Calls block; the server makes them where that is no harm.
pub trait Store: Send + Sync + 'static {
    /// What is shown and sold: read at start, and again when it has changed.
    ///
    /// # Errors
    /// When it cannot be read.
    fn catalogue(&self) -> Result<Listing, StoreError>;

    /// A house as it was saved last, and the keys of requests that had an effect on it. A house that was never saved is
    /// at version 0. All of it must be of one version.
    ///
    /// # Errors
    /// When it cannot be read, or what is there contradicts itself.
    fn load(
        &self,
        screening: ScreeningId,
        prices: &dyn Fn(ContentName) -> Option<Arc<Prices>>,
    ) -> Result<Loaded, StoreError>;

    /// Saves houses in one durable commit; for each, all changes or none. On return with `Ok`, what is [`Outcome::Saved`]
    /// is on disk (D1).
    ///
    /// # Errors
    /// When nothing was saved, or when that is not known (D2).
    fn save(&self, batch: &[Save<'_>]) -> Result<Vec<Outcome>, CommitError>;

    /// Whether [`Store::save_together`] saves several: without, nothing is exchanged between screenings.
    fn saves_together(&self) -> bool {
        false
    }

    /// Saves several houses in one durable commit: all of them, or none, whichever of them it is that does not fit. What is
    /// [`Outcome::Saved`] is on disk (D1). A store that cannot do so for several offers no exchange between screenings.
    ///
    /// # Errors
    /// As [`Store::save`].
    fn save_together(&self, batch: &[Save<'_>]) -> Result<Outcome, CommitError> {
        match batch {
            [_] => Ok(self.save(batch)?.pop().unwrap_or(Outcome::Conflict)),
            _ => Err(CommitError::NotDone(StoreError::Refused("this store saves one house at a time".into()))),
        }
    }

    /// The answer that a request got, by what it was about and its key.
    ///
    /// # Errors
    /// When it cannot be read.
    fn answer(&self, screening: ScreeningId, about: About, key: KeyPrint) -> Result<Option<Answer>, StoreError>;

    /// Screenings for which somebody waits or has an offer: a server loads their houses when it starts, so that time passes there, too.
    /// A store that cannot say loses nothing but punctuality.
    ///
    /// # Errors
    /// When they cannot be read.
    fn lines(&self) -> Result<Vec<ScreeningId>, StoreError> {
        Ok(Vec::new())
    }

    /// Drops some of what need not be kept at `now`: answers that are older than a day (I1). Called now and then, beside the writing: a
    /// part at a time, in milliseconds.
    ///
    /// # Errors
    /// When it cannot be written.
    fn tidy(&self, now: Timestamp) -> Result<(), StoreError> {
        let _ = now;
        Ok(())
    }

    /// Keeps the manifest that is published next. `next` makes it of the one before, or gives that one back where it still serves;
    /// nobody else keeps one meanwhile. A store that keeps none serves one process, whose serials go up by its clock.
    ///
    /// # Errors
    /// When it cannot be read or written.
    fn publish(&self, next: &dyn Fn(Option<KeptManifest>) -> KeptManifest) -> Result<KeptManifest, StoreError> {
        Ok(next(None))
    }

    /// Up to which instant buyers were forgotten whose screening was over then. A store that does not know has it looked at again.
    ///
    /// # Errors
    /// When it cannot be read.
    fn forgotten_until(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(None)
    }

    /// Buyers were forgotten whose screening was over at `until`.
    ///
    /// # Errors
    /// When it cannot be written.
    fn forgot_until(&self, until: Timestamp) -> Result<(), StoreError> {
        let _ = until;
        Ok(())
    }

    /// Itself, if it keeps queues, too (capability `queue`).
    fn queues(&self) -> Option<&dyn QueueStore> {
        None
    }

    /// Itself, if notifications leave from it (capability `notifications`).
    fn outbox(&self) -> Option<&dyn OutboxStore> {
        None
    }

    /// Itself, if what was done in a house can be read (capability `receipts`).
    fn trail(&self) -> Option<&dyn TrailStore> {
        None
    }

    /// Itself, if other processes may save its houses, too.
    fn shared(&self) -> Option<&dyn SharedStore> {
        None
    }
}

/// A store whose audit trail can be read house by house.
pub trait TrailStore: Store {
    /// Makes ready for it, or stops: a trail that nobody reads need not be ordered by house. Called once, when a server starts.
    ///
    /// # Errors
    /// When it cannot be written.
    fn order_trail(&self, wanted: bool) -> Result<(), StoreError>;

    /// What was done in a house after version `after` and up to version `until`, in order; of more than `most` versions the first.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read_trail(
        &self,
        screening: ScreeningId,
        after: u64,
        until: u64,
        most: usize,
    ) -> Result<Vec<Logged>, StoreError>;
}

/// A store that several processes sell from.
pub trait SharedStore: Store {
    /// Takes houses for one batch, each with the version that was seen: from now on nobody else can save them, until the batch is
    /// saved or dropped.
    ///
    /// # Errors
    /// When they cannot be had; then none is taken.
    fn take<'a>(
        &'a self,
        seen: &[(ScreeningId, u64)],
        prices: &dyn Fn(ContentName) -> Option<Arc<Prices>>,
    ) -> Result<Box<dyn Taken + 'a>, StoreError>;

    /// Saves a batch that was decided on what this process knew, without having taken its houses: if nobody saved one of them
    /// meanwhile, and this programme is still the one in force. Otherwise nothing is saved, and the answer is `None`.
    ///
    /// # Errors
    /// As [`Store::save`].
    fn save_if_unchanged(&self, batch: &[Save<'_>], programme: u64) -> Result<Option<Vec<Outcome>>, CommitError>;

    /// What others saved of houses since the version that was seen, and the number of the programme in force. What is said was so
    /// after this was asked.
    ///
    /// # Errors
    /// When it cannot be read.
    fn news(
        &self,
        seen: &[(ScreeningId, u64)],
        prices: &dyn Fn(ContentName) -> Option<Arc<Prices>>,
    ) -> Result<(u64, Vec<Option<News>>), StoreError>;

    /// The time, by the store's clock.
    ///
    /// # Errors
    /// When it cannot be read.
    fn now(&self) -> Result<Timestamp, StoreError>;
}

/// Houses that nobody else can save.
pub trait Taken {
    /// The number of the programme in force.
    fn programme(&self) -> u64;

    /// What others saved of each since the version that was seen; once.
    fn news(&mut self) -> Vec<Option<News>>;

    /// As [`Store::save`].
    ///
    /// # Errors
    /// When nothing was saved, or when that is not known (D2).
    fn save(self: Box<Self>, batch: &[Save<'_>]) -> Result<Vec<Outcome>, CommitError>;

    /// As [`Store::save_together`].
    ///
    /// # Errors
    /// As [`Store::save`].
    fn save_together(self: Box<Self>, batch: &[Save<'_>]) -> Result<Outcome, CommitError>;
}

/// What somebody else made of a house.
#[derive(Debug)]
pub struct News {
    /// Its version now.
    pub version: u64,
    /// The logical time of that version.
    pub now: Timestamp,
    /// What changed.
    pub what: NewsOf,
}

/// What changed in a house.
#[derive(Debug)]
pub enum NewsOf {
    /// These holds, as they are now, with the keys of the requests that had an effect on each.
    Holds(Vec<(Hold, Vec<KnownKey>)>),
    /// Load it.
    Everything,
}

/// What staff keep and change besides the houses: the programme, who works here, what they did, what went through their hands.
pub trait StaffStore: Store {
    /// Makes all of these edits, or none. Says whom they disturb. A screening whose seats nobody ever held, booked or blocked may get
    /// another layout while nobody sells from this store (PROG-004): a server that runs has houses in memory, whose places are of
    /// the old one.
    ///
    /// # Errors
    /// When one contradicts what is there: a screening that changes its layout, one that is removed while somebody has a
    /// seat. [`crate::Cinema::reload`] puts them into force.
    fn edit(&self, edits: &[Edit], now: Timestamp, layouts: Layouts) -> Result<Vec<Disturbed>, StoreError>;

    /// What [`Self::edit`] would say. Changes nothing.
    ///
    /// # Errors
    /// As [`Self::edit`].
    fn rehearse(&self, edits: &[Edit], now: Timestamp, layouts: Layouts) -> Result<Vec<Disturbed>, StoreError>;

    /// Screenings that these edits give another layout, and that must keep theirs: with the reason.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn kept_layouts(&self, edits: &[Edit], layouts: Layouts) -> Result<Vec<(ScreeningId, String)>, StoreError>;

    /// Adds a staff member or changes one; their sessions end. A password is kept as it was where none is given.
    ///
    /// # Errors
    /// When a new member has no password, or the last admin would be gone.
    fn put_staff(&self, member: &StaffMember, password: Option<&str>) -> Result<(), StoreError>;

    /// Everybody who works or worked here, by login.
    ///
    /// # Errors
    /// When they cannot be read.
    fn staff(&self) -> Result<Vec<StaffMember>, StoreError>;

    /// A member who may sign in, and their password's hash.
    ///
    /// # Errors
    /// When they cannot be read.
    fn staff_to_sign_in(&self, login: &str) -> Result<Option<(StaffMember, String)>, StoreError>;

    /// Begins a session at `now`; those that are over by then are forgotten.
    ///
    /// # Errors
    /// When it cannot be written.
    fn put_session(&self, session: &Session, now: Timestamp) -> Result<(), StoreError>;

    /// Ends a session.
    ///
    /// # Errors
    /// When it cannot be written.
    fn end_session(&self, token_hash: &[u8; 32]) -> Result<(), StoreError>;

    /// Whose session this is at `now`, and its CSRF token.
    ///
    /// # Errors
    /// When it cannot be read.
    fn session(&self, token_hash: &[u8; 32], now: Timestamp) -> Result<Option<(StaffMember, String)>, StoreError>;

    /// Notes what staff did.
    ///
    /// # Errors
    /// When it cannot be written.
    fn note(&self, entry: &AuditEntry) -> Result<(), StoreError>;

    /// What staff did, latest first.
    ///
    /// # Errors
    /// When it cannot be read.
    fn audit(&self, limit: u32) -> Result<Vec<AuditEntry>, StoreError>;

    /// What each member took and gave back over the counter, from an instant until before another one; a line for each currency.
    ///
    /// # Errors
    /// When it cannot be read.
    fn till(&self, from: Timestamp, until: Timestamp) -> Result<Vec<Till>, StoreError>;
}

/// Why something could not be read or edited.
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
    /// A row is not what it must be.
    #[error("{table}, row {row}: {why}")]
    BadRow {
        /// Which table.
        table: &'static str,
        /// Which row.
        row: String,
        /// What is wrong.
        why: String,
    },
    /// Another process has this store.
    #[error(
        "{0}: another process is using it: its server runs, perhaps. Then `admit cinema import`, `export`, `staff` and `device` take the server's address in place of the folder (--login), and the rest goes through /manage/v1; or stop the server before"
    )]
    InUse(String),
    /// There is no such screening.
    #[error("there is no screening {0}")]
    NoScreening(ScreeningId),
    /// An edit that contradicts what is there.
    #[error("{0}")]
    Refused(String),
}

impl StoreError {
    /// A database error at this step.
    pub fn at<E: Into<Box<dyn Error + Send + Sync>>>(step: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Database { step, source: source.into() }
    }
}

/// Why a save did not end well.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Nothing was saved.
    #[error("nothing was saved: {0}")]
    NotDone(#[source] StoreError),
    /// It may have been saved or not: only a restart tells (D2).
    #[error("it is not known whether this was saved: {0}")]
    Unknown(#[source] StoreError),
}

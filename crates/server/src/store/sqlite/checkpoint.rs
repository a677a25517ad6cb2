//! Copying what is committed from the write-ahead log into the database, on threads of their own: nobody who buys waits for it.
//!
//! The log begins again from its start only when all of it is copied and nobody reads: which, while somebody sells, only the writer
//! itself can bring about. It does so when the log is long and nearly all of it is copied.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;

/// Commits between two looks at the log.
const EVERY: u32 = 16;
/// So many pages of 4 KiB are copied, by a thread that lets everybody else go first.
const COPIED: i64 = 4000;
/// If so many are left, that thread does not keep up: one that goes as others do copies them.
const URGENT: i64 = 3 * COPIED;
/// A log of so many pages is begun again, 64 MiB; to copy the last of it is urgent.
const LONG: i64 = 16_000;
/// A log of so many pages is copied before anything else is written: 128 MiB.
const FULL: i64 = 2 * LONG;

/// The threads that copy.
pub(super) struct Checkpoints {
    commits: u32,
    gentle: Copier,
    urgent: Copier,
    /// Set when something was copied since the writer tried to begin the log again.
    copied: Arc<AtomicBool>,
    /// Held by who copies.
    turn: Arc<Mutex<()>>,
}

impl Checkpoints {
    pub(super) fn start(database: &Path) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let (copied, turn) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(())));
        let start = |gentle| Copier::start(database, gentle, turn.clone(), copied.clone());
        Ok(Self { commits: 0, gentle: start(true)?, urgent: start(false)?, copied, turn })
    }

    /// After a commit of the writer's.
    pub(super) fn committed(&mut self, writer: &Connection) {
        self.commits += 1;
        if !self.commits.is_multiple_of(EVERY) {
            return;
        }
        let (pages, left) = match pages(writer) {
            Ok((pages, copied)) => (pages, pages - copied),
            Err(error) => return tracing::warn!(%error, "the write-ahead log could not be looked at"),
        };
        let nearly_copied = pages > LONG && left < COPIED && self.copied.swap(false, Ordering::AcqRel);
        if nearly_copied || (pages > FULL && left >= COPIED) {
            // What comes next is written at the log's start. If a reader stands in the way, another time.
            let _alone = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = checkpoint(writer) {
                tracing::warn!(%error, "the write-ahead log could not be begun again");
            }
        } else if left >= URGENT || (pages > LONG && left >= COPIED) {
            self.urgent.wake();
        } else if left >= COPIED {
            self.gentle.wake();
        }
    }
}

/// A thread that copies when it is woken.
struct Copier {
    /// Closed when this is dropped: then the thread ends.
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Copier {
    fn drop(&mut self) {
        self.wake = None;
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Copier {
    fn start(
        database: &Path,
        gentle: bool,
        turn: Arc<Mutex<()>>,
        copied: Arc<AtomicBool>,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let db = Connection::open(database)?;
        super::configure(&db)?;
        let (wake, woken) = sync_channel(1);
        let run = move || {
            if gentle {
                go_last();
            }
            copy(&db, &woken, &turn, &copied);
        };
        let thread = std::thread::Builder::new().name("admit-checkpoint".into()).spawn(run)?;
        Ok(Self { wake: Some(wake), thread: Some(thread) })
    }

    fn wake(&self) {
        // It is awake already: all the better.
        let _ = self.wake.as_ref().map(|wake| wake.try_send(()));
    }
}

fn copy(db: &Connection, woken: &Receiver<()>, turn: &Mutex<()>, copied: &AtomicBool) {
    while woken.recv().is_ok() {
        let _alone = turn.lock().unwrap_or_else(PoisonError::into_inner);
        match checkpoint(db) {
            Ok(()) => copied.store(true, Ordering::Release),
            Err(error) => tracing::warn!(%error, "the write-ahead log could not be copied"),
        }
    }
}

/// Lets every other thread go first. Where nobody else has something to do, it is as fast as any.
#[cfg(target_os = "linux")]
fn go_last() {
    // Of this thread alone, on Linux.
    if let Err(error) = rustix::process::nice(10) {
        tracing::debug!(%error, "checkpoints go as fast as sales");
    }
}

#[cfg(not(target_os = "linux"))]
fn go_last() {}

/// How many pages the log has, and how many of them are copied. Copies nothing.
fn pages(db: &Connection) -> rusqlite::Result<(i64, i64)> {
    db.prepare_cached("PRAGMA wal_checkpoint(NOOP)")?.query_row([], |row| Ok((row.get(1)?, row.get(2)?)))
}

/// Copies what can be copied without anybody's waiting.
fn checkpoint(db: &Connection) -> rusqlite::Result<()> {
    db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}

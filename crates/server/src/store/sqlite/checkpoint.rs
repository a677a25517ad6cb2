//! Copying what is committed from the write-ahead log into the database, on a thread of its own: nobody who buys waits for it.
//!
//! The log begins again from its start only when all of it is copied and nobody reads: which, while somebody sells, only the writer
//! itself can bring about. It does so when the log is long and nearly all of it is copied.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

/// Commits between two looks at the log.
const EVERY: u32 = 16;
/// A log of so many pages of 4 KiB is copied.
const COPIED: i64 = 4000;
/// A log of so many pages is begun again: 64 MiB.
const LONG: i64 = 16_000;

/// The thread that copies.
pub(super) struct Checkpoints {
    commits: u32,
    long: Arc<AtomicBool>,
    /// Closed when this is dropped: then the thread ends.
    look: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.look = None;
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Checkpoints {
    pub(super) fn start(database: &Path) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let db = Connection::open(database)?;
        super::configure(&db)?;
        let long = Arc::new(AtomicBool::new(false));
        let (look, looks) = sync_channel(1);
        let seen = long.clone();
        let run = move || copy(&db, &looks, &seen);
        let thread = std::thread::Builder::new().name("admit-checkpoint".into()).spawn(run)?;
        Ok(Self { commits: 0, long, look: Some(look), thread: Some(thread) })
    }

    /// After a commit of the writer's.
    pub(super) fn committed(&mut self, writer: &Connection) {
        self.commits += 1;
        if !self.commits.is_multiple_of(EVERY) {
            return;
        }
        if self.long.swap(false, Ordering::AcqRel) {
            // Little is left to copy; what comes next is written at the log's start.
            if let Err(error) = checkpoint(writer) {
                tracing::warn!(%error, "the write-ahead log could not be begun again");
            }
        } else if let Some(look) = &self.look {
            // It is looking already: all the better.
            let _ = look.try_send(());
        }
    }
}

fn copy(db: &Connection, looks: &Receiver<()>, long: &AtomicBool) {
    let mut copied = 0;
    while looks.recv().is_ok() {
        match pages(db) {
            Ok(pages) if (copied..copied + COPIED).contains(&pages) => continue,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "the write-ahead log could not be looked at");
                continue;
            }
        }
        match checkpoint(db) {
            Ok((pages, so_far)) => {
                copied = so_far;
                // If a reader stood in the way, another time.
                long.store(pages > LONG && pages - so_far < COPIED, Ordering::Release);
            }
            Err(error) => tracing::warn!(%error, "the write-ahead log could not be copied"),
        }
    }
}

/// How many pages the log has. Copies nothing.
fn pages(db: &Connection) -> rusqlite::Result<i64> {
    db.query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| row.get(1))
}

/// Copies what can be copied without anybody's waiting, and says how many pages the log has, and how many are copied.
fn checkpoint(db: &Connection) -> rusqlite::Result<(i64, i64)> {
    db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| Ok((row.get(1)?, row.get(2)?)))
}

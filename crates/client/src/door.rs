//! A door that goes on when the network does not: by the signed list of a screening's tickets, and a file of what it did meanwhile.
//!
//! While there is a network, [`Scanner::upload`] asks the server, which knows of every other door. Without one, [`Door::check`] judges by
//! the list, with the very function that the server judges with, and by whom this door let in itself; two doors that cannot hear of
//! each other may both let in a copy of one ticket, and [`Door::send`] brings that to light.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use admit_booking::door::verdict;
use admit_protocol::door::{AllowList, AllowState, SCANS_MAX, Scan, ScanKind, ScanResult, UploadScans, Verdict};
use admit_protocol::id::{ScanId, ScreeningId};
use admit_protocol::manifest::TicketKey;
use admit_protocol::ticket::{Ticket, TicketId};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::ClientError;
use crate::server::Scanner;

/// A door of one screening that can do without a network.
#[derive(Debug)]
pub struct Door {
    path: PathBuf,
    kept: Kept,
    list: AllowList,
}

/// Its file.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    screening: ScreeningId,
    keys: Vec<TicketKey>,
    /// The list as it came, in base64url: what is in the file is believed by its signature, like what comes from the server.
    list: String,
    /// Whom it let in itself, and the list does not know of.
    let_in: BTreeMap<TicketId, LetIn>,
    /// Whom it let in and took back without a network: the list may still have them as used.
    taken_back: BTreeSet<TicketId>,
    /// Scans that the server has not heard of, oldest first.
    unsent: Vec<Scan>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct LetIn {
    scan: ScanId,
    at: Timestamp,
}

/// What a door says without a network.
#[derive(Debug)]
pub struct Checked {
    /// Whether to let in.
    pub verdict: Verdict,
    /// The ticket, if it is one of this cinema.
    pub ticket: Option<Ticket>,
    /// Of a duplicate that this door let in: when.
    pub first: Option<Timestamp>,
}

/// Why a door cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DoorError {
    /// Its file cannot be read or written: nobody is let in whom it would forget.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Its file has something else in it.
    #[error("{} is damaged: {why}", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The server refused, or cannot be reached.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl Door {
    /// Gets the list of now, and keeps it in this file, with what the door did before.
    ///
    /// # Errors
    /// When the list cannot be had, or the file not be written.
    pub async fn fetch(path: &Path, scanner: &Scanner, screening: ScreeningId) -> Result<Self, DoorError> {
        let (bytes, list) = scanner.signed_allow_list(screening).await?;
        let before = read(path)?.filter(|kept| kept.screening == screening);
        let before = before.map(|kept| (kept.let_in, kept.taken_back, kept.unsent));
        let (mut let_in, mut taken_back, unsent) = before.unwrap_or_default();
        if unsent.is_empty() {
            taken_back.clear();
        }
        let_in.retain(|ticket, _| list.find(*ticket).is_some_and(|entry| entry.state != AllowState::Used));
        let keys = scanner.server().manifest().keys.ticket.clone();
        let kept = Kept { screening, keys, list: URL_SAFE_NO_PAD.encode(bytes), let_in, taken_back, unsent };
        let door = Self { path: path.to_owned(), kept, list };
        door.keep()?;
        Ok(door)
    }

    /// The door of this screening as its file has it; nothing, if there is none.
    ///
    /// # Errors
    /// When the file cannot be read, or its list is not signed by the cinema.
    pub fn open(path: &Path, screening: ScreeningId, now: Timestamp) -> Result<Option<Self>, DoorError> {
        let Some(kept) = read(path)?.filter(|kept| kept.screening == screening) else { return Ok(None) };
        let damaged = |why: String| DoorError::Damaged { path: path.to_owned(), why };
        let bytes = URL_SAFE_NO_PAD.decode(&kept.list).map_err(|e| damaged(e.to_string()))?;
        let keys = |short| kept.keys.iter().filter(move |k| k.verifies(short, now)).map(|k| k.key);
        let list = AllowList::verify(&bytes, keys).map_err(|e| damaged(e.to_string()))?;
        if list.screening != screening {
            return Err(damaged(format!("its list is of {}", list.screening)));
        }
        Ok(Some(Self { path: path.to_owned(), kept, list }))
    }

    /// When its list was made: what was sold or cancelled since, it does not know.
    #[must_use]
    pub fn list_of(&self) -> Timestamp {
        self.list.issued
    }

    /// How many scans the server has not heard of.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.kept.unsent.len()
    }

    /// Judges a code without a network. Whoever is let in is in the file before this returns. `scan` is a [new name](new_scan_id), or the
    /// one that the server was asked with, whose answer did not come: then it counts once.
    ///
    /// # Errors
    /// When the file cannot be written: then nobody was let in.
    pub fn check(&mut self, scan: ScanId, code: &str, now: Timestamp) -> Result<Checked, DoorError> {
        let keys = &self.kept.keys;
        let ticket =
            Ticket::verify(code, |short| keys.iter().filter(move |k| k.verifies(short, now)).map(|k| k.key)).ok();
        let own = ticket.as_ref().and_then(|ticket| self.kept.let_in.get(&ticket.id)).copied();
        let state = |id| match own {
            Some(_) => Some(AllowState::Used),
            None => self.list.find(id).map(|entry| match entry.state {
                AllowState::Used if self.kept.taken_back.contains(&id) => AllowState::Valid,
                state => state,
            }),
        };
        let verdict = verdict(ticket.as_ref(), self.kept.screening, now, state);
        if let (Verdict::Green, Some(ticket)) = (verdict, &ticket) {
            self.note(scan, ScanKind::Entry, code, None, now);
            self.kept.let_in.insert(ticket.id, LetIn { scan, at: now });
            self.kept.taken_back.remove(&ticket.id);
            if let Err(error) = self.keep() {
                self.forget(scan);
                return Err(error);
            }
        }
        Ok(Checked { verdict, ticket, first: own.map(|own| own.at) })
    }

    /// The server let somebody in at this door: without a network it will be remembered, also where the list does not say so yet.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn heard(&mut self, result: &ScanResult, at: Timestamp) -> Result<(), DoorError> {
        if let (Verdict::Green, Some(ticket)) = (result.verdict, result.ticket) {
            self.kept.let_in.insert(ticket, LetIn { scan: result.id, at });
            self.keep()?;
        }
        Ok(())
    }

    /// The server took back that somebody was let in by this scan.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn heard_back(&mut self, scan: ScanId) -> Result<(), DoorError> {
        self.forget(scan);
        self.keep()
    }

    /// Takes back that somebody was let in at this door by this scan, with this ticket, without a network.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn take_back(
        &mut self,
        undo: ScanId,
        (scan, ticket): (ScanId, Option<TicketId>),
        now: Timestamp,
    ) -> Result<(), DoorError> {
        self.kept.let_in.retain(|_, let_in| let_in.scan != scan);
        self.kept.taken_back.extend(ticket);
        self.note(undo, ScanKind::Undo, "", Some(scan), now);
        self.keep()
    }

    /// Tells the server what was done without it. What it says of each scan is returned: of one that is not green, somebody is in who
    /// should not be, by a copy, or with a ticket that was cancelled meanwhile.
    ///
    /// # Errors
    /// When the server cannot be reached: they are sent the next time. Sent twice, they count once (DOOR-002).
    pub async fn send(&mut self, scanner: &Scanner) -> Result<Vec<ScanResult>, DoorError> {
        let mut results = Vec::new();
        while !self.kept.unsent.is_empty() {
            let some = self.kept.unsent.iter().take(SCANS_MAX).cloned().collect::<Vec<_>>();
            let sent = some.len();
            results.extend(scanner.upload(self.kept.screening, &UploadScans { scans: some }).await?.results);
            self.kept.unsent.drain(..sent);
            self.keep()?;
        }
        Ok(results)
    }

    fn note(&mut self, id: ScanId, kind: ScanKind, code: &str, undoes: Option<ScanId>, at: Timestamp) {
        self.kept.unsent.push(Scan { id, kind, code: code.to_owned(), undoes, at, offline: true });
    }

    fn forget(&mut self, scan: ScanId) {
        self.kept.let_in.retain(|_, let_in| let_in.scan != scan);
        self.kept.unsent.retain(|known| known.id != scan);
    }

    /// Written beside, synced and renamed: after a loss of power it is whole, as it was or as it is.
    fn keep(&self) -> Result<(), DoorError> {
        let file = |source| DoorError::File { path: self.path.clone(), source };
        let new = self.path.with_extension("new");
        let text = serde_json::to_vec(&self.kept).map_err(|e| file(e.into()))?;
        let write = || {
            fs::create_dir_all(self.path.parent().unwrap_or(Path::new(".")))?;
            let mut written = fs::File::create(&new)?;
            written.write_all(&text)?;
            written.sync_all()?;
            fs::rename(&new, &self.path)
        };
        write().map_err(file)
    }
}

/// A name for a scan that was never used, also before a restart.
///
/// # Errors
/// When the system has no randomness to give.
pub fn new_scan_id() -> Result<ScanId, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(ScanId::parse(&URL_SAFE_NO_PAD.encode(bytes))
        .unwrap_or_else(|_| unreachable!("base64url has the letters of an id")))
}

fn read(path: &Path) -> Result<Option<Kept>, DoorError> {
    match fs::read(path) {
        Ok(bytes) => {
            let damaged = |e: serde_json::Error| DoorError::Damaged { path: path.to_owned(), why: e.to_string() };
            serde_json::from_slice(&bytes).map(Some).map_err(damaged)
        }
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(DoorError::File { path: path.to_owned(), source }),
    }
}

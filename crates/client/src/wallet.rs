//! A file for secrets and bookings. What is asked for is written down before it is sent, so that an app that dies in
//! between asks again with the same key, and nothing is bought twice or lost.

mod asking;
mod exchanging;
mod purchase;
mod queueing;
mod receipts;
mod waiting;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use admit_protocol::booking::Booking;
use admit_protocol::capability::AuthMethod;
use admit_protocol::key::PublicKey;
use admit_protocol::manifest::{Known, TicketKey};
use admit_protocol::origin::Origin;
use admit_protocol::problem::{Problem, ProblemCode};
use admit_protocol::ticket::{Ticket, TicketError};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::exchanging::Exchanging;
pub use self::purchase::{Keepsake, Purchase};
pub use self::queueing::Queueing;
pub use self::receipts::{CheckedReceipts, KeptReceipt};
pub use self::waiting::Waiting;
use crate::error::ClientError;
use crate::secret::Secret;
use crate::server::Server;
use crate::transport::Client;

/// What a person has bought, and what they are buying. Several programs may use one wallet at the same time: every change
/// is made to what the file says at that moment, behind a lock that is never held while a server is asked.
#[derive(Debug, Clone)]
pub struct Wallet {
    path: PathBuf,
}

/// The number of a purchase in its wallet, from 1. It stays good; only the last one, of a purchase that came to nothing, is given
/// again.
pub type PurchaseNumber = u64;

/// What stands in the file.
#[derive(Debug, Serialize, Deserialize)]
struct Pages {
    next: PurchaseNumber,
    purchases: Vec<Purchase>,
    /// Places in line.
    #[serde(default)]
    waiting: Vec<Waiting>,
    /// Places in queues.
    #[serde(default)]
    queueing: Vec<Queueing>,
    /// The buyer's own key, if they have made one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<Secret>,
    /// Servers that were met before.
    #[serde(default)]
    servers: BTreeMap<Origin, Met>,
    /// Where servers moved that were met before.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    moved: BTreeMap<Origin, Origin>,
}

impl Pages {
    /// A server moved: what is of it is at its new address. Its keys at the old one stay known.
    fn move_to(&mut self, from: &Origin, to: &Origin) {
        if from == to {
            return;
        }
        self.moved.insert(from.clone(), to.clone());
        let purchases = self.purchases.iter_mut().map(|p| &mut p.origin);
        let lines =
            self.waiting.iter_mut().map(|w| &mut w.origin).chain(self.queueing.iter_mut().map(|q| &mut q.origin));
        purchases.chain(lines).filter(|origin| *origin == from).for_each(|origin| *origin = to.clone());
    }

    /// Of what came to nothing last, nobody remembers the number.
    fn forget_number(&mut self, number: PurchaseNumber) {
        let waits = self.waiting.iter().map(|w| w.number).chain(self.queueing.iter().map(|q| q.number));
        let known = self.purchases.iter().map(|p| p.number).chain(waits).any(|n| n == number);
        if self.next == number + 1 && !known {
            self.next = number;
        }
    }
}

/// What is remembered of a server: so that nobody takes its place (MAN-005), and so that its tickets can be checked without it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Met {
    #[serde(flatten)]
    known: Known,
    #[serde(default)]
    ticket_keys: Vec<TicketKey>,
}

impl Met {
    fn of(server: &Server) -> Self {
        Self { known: server.known(), ticket_keys: server.manifest().keys.ticket.clone() }
    }
}

impl Default for Pages {
    fn default() -> Self {
        Self {
            next: 1,
            purchases: Vec::new(),
            waiting: Vec::new(),
            queueing: Vec::new(),
            key: None,
            servers: BTreeMap::new(),
            moved: BTreeMap::new(),
        }
    }
}

/// Why a wallet cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WalletError {
    /// The file cannot be read or written.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not a wallet.
    #[error("{path} is not a wallet: {source}", path = path.display())]
    NotAWallet {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The purchase itself went wrong.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Another choice that was asked for before, and whose answer was lost, turns out to have been booked. It is in the wallet now.
    #[error("this was booked before, for {}: nothing else was booked", .0.total)]
    BookedBefore(Box<Booking>),
    /// A wish that was never answered is so old that nothing can be held for it any more. It is forgotten.
    #[error("this was never answered, and is too long ago: choose again")]
    TooOld,
    /// A kept ticket cannot be believed.
    #[error(transparent)]
    Ticket(#[from] TicketError),
    /// The cinema has signed receipts that are in this wallet, and does not let them be held against its log.
    #[error("the cinema has signed {receipts} for this, kept here, and shows nothing now that they could be held against: {}", .problem.detail)]
    Withheld {
        /// How many receipts there are.
        receipts: usize,
        /// What it said instead.
        problem: Box<Problem>,
    },
    /// There is no such purchase, or it has not come that far.
    #[error("{0}")]
    NoSuchPurchase(&'static str),
    /// This wallet has followed a server to another address, and at the old one is a server again that does not say so: perhaps a copy of
    /// what it was.
    #[error(
        "{from} has moved to {to}, and what answers at the old address now says nothing of that: go to {to}, and tell the cinema"
    )]
    Left {
        /// The address that was left.
        from: Origin,
        /// Where it went.
        to: Origin,
    },
}

impl WalletError {
    /// The code of a server's refusal.
    #[must_use]
    pub fn code(&self) -> Option<ProblemCode> {
        self.problem().map(|problem| problem.code)
    }

    /// The problem of a server's refusal.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        if let Self::Client(error) = self { error.problem() } else { None }
    }
}

impl From<getrandom::Error> for WalletError {
    fn from(error: getrandom::Error) -> Self {
        Self::Client(error.into())
    }
}

const NOBODYS: WalletError = WalletError::NoSuchPurchase("there is no such purchase in this wallet");

impl Wallet {
    /// Opens a wallet; one that is not there yet is empty.
    ///
    /// # Errors
    /// When the file is there and cannot be read, or is no wallet.
    pub fn open(path: &Path) -> Result<Self, WalletError> {
        let wallet = Self { path: path.to_owned() };
        wallet.read()?;
        Ok(wallet)
    }

    /// Meets a server, and remembers it: at this address, nobody else is believed from then on (MAN-005). If it moved, what was bought
    /// of it is at its new address from then on (MAN-015).
    ///
    /// # Errors
    /// When it does not answer, is not the one that was met before, or has moved from there and says nothing of that any more.
    pub async fn meet(&self, client: &Client, origin: &str) -> Result<Server, WalletError> {
        let name = Origin::parse(origin, client.options.origins);
        let name = name.map_err(|source| ClientError::Origin { text: origin.to_owned(), source })?;
        let Pages { servers: before, moved, .. } = self.read()?;
        let known = |origin: &Origin| before.get(origin).map(|met| met.known);
        let first = client.server_at(origin, known(&name)).await?;
        let mut met: Vec<(Origin, Met)> = Vec::new();
        let server = client.follow(first, known, |server| met.push((server.origin().clone(), Met::of(server)))).await?;
        // It may have come back from there.
        let left = moved.get(server.origin()).filter(|to| !server.manifest().moved_from.contains(*to));
        if let Some(to) = left {
            return Err(WalletError::Left { from: server.origin().clone(), to: to.clone() });
        }
        let came_back = moved.contains_key(server.origin());
        if server.origin() != &name || came_back || met.iter().any(|(origin, now)| before.get(origin) != Some(now)) {
            self.change(|pages| {
                // Another program may have met a newer one meanwhile.
                let age = |met: &Met| (met.known.succession, met.known.serial);
                for (origin, now) in met {
                    if pages.servers.get(&origin).is_none_or(|met| age(met) <= age(&now)) {
                        pages.servers.insert(origin.clone(), now);
                    }
                    pages.move_to(&origin, server.origin());
                }
                if came_back {
                    pages.moved.remove(server.origin());
                }
                Ok(())
            })?;
        }
        Ok(server)
    }

    /// Makes the buyer's own key (capability `buyer_keys`), unless there is one. What is bought from now on is bought with it, where a
    /// server takes it; elsewhere, and for places in line, each purchase has a secret of its own.
    ///
    /// # Errors
    /// When the wallet cannot be written, or the system has no randomness to give.
    pub fn make_key(&self) -> Result<PublicKey, WalletError> {
        let new = Secret::new_key()?;
        let key = self.change(|pages| Ok(pages.key.get_or_insert(new).clone()))?;
        key.public().ok_or(WalletError::NoSuchPurchase("what the wallet has as a key is none"))
    }

    /// The public half of the buyer's own key, if they have made one.
    ///
    /// # Errors
    /// When the wallet cannot be read.
    pub fn key(&self) -> Result<Option<PublicKey>, WalletError> {
        Ok(self.read()?.key.and_then(|key| key.public()))
    }

    /// What a new purchase at a server is to be proved with.
    ///
    /// # Errors
    /// When the wallet cannot be read, or the system has no randomness to give.
    pub fn new_secret(&self, server: &Server) -> Result<Secret, WalletError> {
        let key = self.read()?.key.filter(|_| server.manifest().auth_methods.contains(&AuthMethod::BuyerKey));
        key.map_or_else(|| Ok(Secret::new()?), Ok)
    }

    /// What is known of a server that was met before.
    ///
    /// # Errors
    /// When the address is none of a server, or the wallet cannot be read.
    pub fn known(&self, client: &Client, origin: &str) -> Result<Option<Known>, WalletError> {
        let name = Origin::parse(origin, client.options.origins);
        let name = name.map_err(|source| ClientError::Origin { text: origin.to_owned(), source })?;
        Ok(self.read()?.servers.get(&name).map(|met| met.known))
    }

    /// Somebody has learned by another way that a server's keys are its own, whatever they were before: it is believed by them from
    /// now on (F2).
    ///
    /// # Errors
    /// When the wallet cannot be written.
    pub fn trust(&self, server: &Server) -> Result<(), WalletError> {
        self.change(|pages| {
            pages.servers.insert(server.origin().clone(), Met::of(server));
            pages.moved.remove(server.origin());
            Ok(())
        })
    }

    /// Reads a ticket with the keys of a server that was met before: without a network. It says nothing of whether the ticket is
    /// for `now`, was cancelled or used.
    ///
    /// # Errors
    /// When the server was never met, or none of its keys signed this.
    pub fn read_ticket(&self, origin: &Origin, code: &str, now: Timestamp) -> Result<Ticket, WalletError> {
        let never = WalletError::NoSuchPurchase("this cinema was never met");
        let keys = self.read()?.servers.remove(origin).ok_or(never)?.ticket_keys;
        let believed = |short: [u8; 8]| {
            let good = |k: &TicketKey| k.verifies(short, now);
            keys.iter().filter(|k| good(k)).map(|k| k.key).collect::<Vec<_>>()
        };
        Ok(Ticket::verify(code, believed)?)
    }

    /// Everything in it, oldest first, as the file says now.
    ///
    /// # Errors
    /// When the file cannot be read, or is no wallet.
    pub fn purchases(&self) -> Result<Vec<Purchase>, WalletError> {
        Ok(self.read()?.purchases)
    }

    /// One purchase, as the file says now.
    ///
    /// # Errors
    /// When there is none of this number, or the file cannot be read.
    pub fn purchase(&self, number: PurchaseNumber) -> Result<Purchase, WalletError> {
        self.read()?.purchases.into_iter().find(|p| p.number == number).ok_or(NOBODYS)
    }

    fn read(&self) -> Result<Pages, WalletError> {
        match fs::read(&self.path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|source| WalletError::NotAWallet { path: self.path.clone(), source }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Pages::default()),
            Err(source) => Err(WalletError::File { path: self.path.clone(), source }),
        }
    }

    /// Changes what stands in the file, alone: whole or not at all, for its owner's eyes.
    fn change<T>(&self, change: impl FnOnce(&mut Pages) -> Result<T, WalletError>) -> Result<T, WalletError> {
        let file = |source| WalletError::File { path: self.path.clone(), source };
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder).map_err(file)?;
        }
        let beside = |ending: &str| {
            let mut name = self.path.file_name().unwrap_or_default().to_owned();
            name.push(ending);
            self.path.with_file_name(name)
        };
        // The lock's file stays: removing it would let two take it at once. Closing it lets go.
        let lock = fs::OpenOptions::new().create(true).truncate(false).write(true).open(beside(".lock"));
        let lock = lock.map_err(file)?;
        lock.lock().map_err(file)?;
        let mut pages = self.read()?;
        let changed = change(&mut pages)?;
        let not_json = |source| WalletError::NotAWallet { path: self.path.clone(), source };
        let bytes = serde_json::to_vec_pretty(&pages).map_err(not_json)?;
        let new = beside(".new");
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut written = options.open(&new).map_err(file)?;
        written.write_all(&bytes).map_err(file)?;
        written.sync_all().map_err(file)?;
        fs::rename(&new, &self.path).map_err(file)?;
        // The new name is on the disk when the folder is.
        #[cfg(unix)]
        if let Some(folder) = self.path.parent() {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(file)?;
        }
        Ok(changed)
    }

    /// Changes one purchase, and gives it back as it is then.
    fn edit(&self, number: PurchaseNumber, edit: impl FnOnce(&mut Purchase)) -> Result<Purchase, WalletError> {
        self.change(|pages| {
            let purchase = pages.purchases.iter_mut().find(|p| p.number == number).ok_or(NOBODYS)?;
            edit(purchase);
            Ok(purchase.clone())
        })
    }

    /// Keeps what became of a purchase's screening, in words, for when its server cannot be asked.
    ///
    /// # Errors
    /// When there is none of this number, or the file cannot be read or written.
    pub fn keep_what_became(&self, number: PurchaseNumber, became: Option<String>) -> Result<(), WalletError> {
        if self.purchase(number)?.became == became {
            Ok(())
        } else {
            self.edit(number, |p| p.became = became).map(drop)
        }
    }

    fn forget(&self, number: PurchaseNumber) -> Result<(), WalletError> {
        self.change(|pages| {
            pages.purchases.retain(|p| p.number != number);
            pages.forget_number(number);
            Ok(())
        })
    }

    /// Forgets holds at this server that are over by its clock and were never booked, and wishes that nobody answered in time.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn forget_lapsed(&self, server: &Server) -> Result<(), WalletError> {
        let (origin, there, here) = (server.origin(), server.now(), Timestamp::now());
        let lapsed = |p: &Purchase| match &p.hold {
            _ if p.origin != *origin || p.booking.is_some() => false,
            Some(hold) => p.book_request.is_none() && p.exchange_request.is_none() && hold.expires_at <= there,
            None => p.is_too_old(here),
        };
        if self.read()?.purchases.iter().any(lapsed) {
            self.change(|pages| {
                pages.purchases.retain(|p| !lapsed(p));
                Ok(())
            })?;
        }
        Ok(())
    }
}

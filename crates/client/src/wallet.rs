//! A file for secrets and bookings. What is asked for is written down before it is sent, so that an app that dies in
//! between asks again with the same key, and nothing is bought twice or lost.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use admit_protocol::booking::{Book, Booking, Tickets};
use admit_protocol::hold::{Hold, PlaceHold};
use admit_protocol::id::{QuoteId, ScreeningId, SeatId};
use admit_protocol::manifest::Known;
use admit_protocol::origin::Origin;
use admit_protocol::problem::{Problem, ProblemCode};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::ClientError;
use crate::secret::{RequestKey, Secret};
use crate::server::Server;
use crate::transport::Client;

/// What a person has bought, and what they are buying. Several programs may use one wallet at the same time: every change
/// is made to what the file says at that moment, behind a lock that is never held while a server is asked.
#[derive(Debug, Clone)]
pub struct Wallet {
    path: PathBuf,
}

/// The number of a purchase in its wallet, from 1. It stays good, and is never given to another purchase.
pub type PurchaseNumber = u64;

/// What stands in the file.
#[derive(Debug, Serialize, Deserialize)]
struct Pages {
    next: PurchaseNumber,
    purchases: Vec<Purchase>,
    /// Servers that were met before, so that nobody takes their place (MAN-005).
    #[serde(default)]
    servers: BTreeMap<Origin, Known>,
}

impl Default for Pages {
    fn default() -> Self {
        Self { next: 1, purchases: Vec::new(), servers: BTreeMap::new() }
    }
}

/// One purchase, from the wish to the tickets.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Purchase {
    /// Its number.
    pub number: PurchaseNumber,
    /// At which server.
    pub origin: Origin,
    /// Of which screening.
    pub screening: ScreeningId,
    /// A line for people: film, cinema, time.
    pub title: String,
    /// Seats as they are printed on the chairs, where that is known.
    #[serde(default)]
    pub printed: BTreeMap<SeatId, String>,
    /// Proves that it is yours.
    pub secret: Secret,
    /// The key and the wish that the hold was asked for with.
    pub hold_request: (RequestKey, PlaceHold),
    /// The hold, once it is known.
    #[serde(default)]
    pub hold: Option<Hold>,
    /// The key and the choice that the booking was asked for with.
    #[serde(default)]
    pub book_request: Option<(RequestKey, Book)>,
    /// The booking, once it is known.
    #[serde(default)]
    pub booking: Option<Booking>,
    /// The key and the quote that a cancellation was asked for with, until its answer is known.
    #[serde(default)]
    pub cancel_request: Option<(RequestKey, QuoteId)>,
    /// Its tickets, as they were read last: good at the door also when the server cannot be reached.
    #[serde(default)]
    pub tickets: Option<Tickets>,
}

impl Purchase {
    /// Whether something was asked whose answer is not known. [`Wallet::resume`] finds out.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.hold.is_none() || (self.book_request.is_some() && self.booking.is_none()) || self.cancel_request.is_some()
    }

    /// A seat as it is printed on the chair, or its name for machines where that is not known.
    #[must_use]
    pub fn printed<'a>(&'a self, seat: &'a SeatId) -> &'a str {
        self.printed.get(seat).map_or(seat.as_str(), String::as_str)
    }
}

/// What a person will want to read of a purchase later, also when the cinema cannot be reached.
#[derive(Debug, Clone, Default)]
pub struct Keepsake {
    /// A line: film, cinema, time.
    pub title: String,
    /// Seats as they are printed on the chairs.
    pub printed: BTreeMap<SeatId, String>,
}

impl From<&str> for Keepsake {
    fn from(title: &str) -> Self {
        Self { title: title.to_owned(), ..Self::default() }
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
    /// There is no such purchase, or it has not come that far.
    #[error("{0}")]
    NoSuchPurchase(&'static str),
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

    /// Meets a server, and remembers it: at this address, nobody else is believed from then on (MAN-005).
    ///
    /// # Errors
    /// When it does not answer, or is not the one that was met before.
    pub async fn meet(&self, client: &Client, origin: &str) -> Result<Server, WalletError> {
        let name = Origin::parse(origin, client.options.origins);
        let name = name.map_err(|source| ClientError::Origin { text: origin.to_owned(), source })?;
        let known = self.read()?.servers.get(&name).copied();
        let server = client.server(origin, known).await?;
        if known != Some(server.known()) {
            self.change(|pages| {
                // Another program may have met a newer one meanwhile.
                let now = pages.servers.entry(name).or_insert_with(|| server.known());
                if now.serial < server.known().serial {
                    *now = server.known();
                }
                Ok(())
            })?;
        }
        Ok(server)
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

    fn forget(&self, number: PurchaseNumber) -> Result<(), WalletError> {
        self.change(|pages| {
            pages.purchases.retain(|p| p.number != number);
            Ok(())
        })
    }

    /// Forgets holds that were over at `now` and never booked.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn forget_lapsed(&self, now: Timestamp) -> Result<(), WalletError> {
        let lapsed = |p: &Purchase| {
            !p.is_open() && p.booking.is_none() && p.hold.as_ref().is_some_and(|hold| hold.expires_at <= now)
        };
        if self.read()?.purchases.iter().any(lapsed) {
            self.change(|pages| {
                pages.purchases.retain(|p| !lapsed(p));
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Begins a purchase: writes the wish down, then holds the seats.
    ///
    /// # Errors
    /// When the seats cannot be had; the purchase is forgotten then, unless its outcome is unknown.
    pub async fn hold(
        &self,
        server: &Server,
        screening: ScreeningId,
        keepsake: impl Into<Keepsake>,
        wish: PlaceHold,
    ) -> Result<Purchase, WalletError> {
        let (secret, hold_request) = (Secret::new()?, (RequestKey::new()?, wish));
        let origin = server.origin().clone();
        let Keepsake { title, printed } = keepsake.into();
        let purchase = self.change(|pages| {
            let number = pages.next;
            pages.next += 1;
            let purchase = Purchase {
                number,
                origin,
                screening,
                title,
                printed,
                secret,
                hold_request,
                hold: None,
                book_request: None,
                booking: None,
                cancel_request: None,
                tickets: None,
            };
            pages.purchases.push(purchase.clone());
            Ok(purchase)
        })?;
        match self.ask_hold(server, &purchase).await {
            // Nobody was there to hear it.
            Err(WalletError::Client(nobody @ ClientError::Unreachable { .. })) => {
                self.forget(purchase.number)?;
                Err(nobody.into())
            }
            other => other,
        }
    }

    async fn ask_hold(&self, server: &Server, purchase: &Purchase) -> Result<Purchase, WalletError> {
        let (key, wish) = &purchase.hold_request;
        match server.place_hold(purchase.screening, &purchase.secret, key, wish).await {
            Ok(hold) => self.edit(purchase.number, |p| p.hold = Some(hold)),
            Err(refused @ ClientError::Refused(_)) => {
                self.forget(purchase.number)?;
                Err(refused.into())
            }
            Err(unknown) => Err(unknown.into()),
        }
    }

    /// Gives a hold back, and forgets the purchase.
    ///
    /// # Errors
    /// When the hold is a booking by now, or the server cannot be reached; the purchase is kept then.
    pub async fn release(&self, server: &Server, number: PurchaseNumber) -> Result<(), WalletError> {
        let purchase = self.purchase(number)?;
        if let Some(hold) = &purchase.hold {
            server.release_hold(purchase.screening, &purchase.secret, hold.id).await?;
        }
        self.forget(number)
    }

    /// Books what is held: writes the choice down, then books. Called again after a lost reply with the same choice, it
    /// asks the same again.
    ///
    /// # Errors
    /// When it is refused; a choice that was refused is forgotten, the hold stays.
    pub async fn book(&self, server: &Server, number: PurchaseNumber, book: Book) -> Result<Booking, WalletError> {
        let key = RequestKey::new()?;
        let purchase = self.edit(number, |p| {
            if p.book_request.as_ref().is_none_or(|(_, before)| *before != book) {
                p.book_request = Some((key, book));
            }
        })?;
        self.ask_book(server, &purchase).await
    }

    async fn ask_book(&self, server: &Server, purchase: &Purchase) -> Result<Booking, WalletError> {
        let nothing = WalletError::NoSuchPurchase("nothing was chosen for this purchase");
        let (key, book) = purchase.book_request.as_ref().ok_or(nothing)?;
        let booked = server.book(purchase.screening, &purchase.secret, key, book).await;
        match &booked {
            Ok(booking) => drop(self.edit(purchase.number, |p| p.booking = Some(booking.clone()))?),
            Err(ClientError::Refused(_)) => drop(self.edit(purchase.number, |p| p.book_request = None)?),
            Err(_) => {}
        }
        Ok(booked?)
    }

    /// Cancels what a quote is for: writes it down, then cancels.
    ///
    /// # Errors
    /// `quote_changed` when it does not hold any more.
    pub async fn cancel(
        &self,
        server: &Server,
        number: PurchaseNumber,
        quote: QuoteId,
    ) -> Result<Booking, WalletError> {
        let key = RequestKey::new()?;
        let purchase = self.edit(number, |p| {
            if p.cancel_request.as_ref().is_none_or(|(_, before)| *before != quote) {
                p.cancel_request = Some((key, quote));
            }
        })?;
        self.ask_cancel(server, &purchase).await
    }

    async fn ask_cancel(&self, server: &Server, purchase: &Purchase) -> Result<Booking, WalletError> {
        let nothing = WalletError::NoSuchPurchase("nothing of this purchase was to be cancelled");
        let (key, quote) = purchase.cancel_request.as_ref().ok_or(nothing)?;
        let booking = purchase.booking.as_ref().ok_or(WalletError::NoSuchPurchase("this was never booked"))?;
        let cancelled = server.cancel(purchase.screening, &purchase.secret, key, booking.id, *quote).await;
        match &cancelled {
            // Old tickets of what was cancelled open no door.
            Ok(now) => drop(self.edit(purchase.number, |p| {
                (p.booking, p.cancel_request, p.tickets) = (Some(now.clone()), None, None);
            })?),
            Err(ClientError::Refused(_)) => drop(self.edit(purchase.number, |p| p.cancel_request = None)?),
            Err(_) => {}
        }
        Ok(cancelled?)
    }

    /// Finds out what became of everything that was asked and not answered, by asking the same again with the same keys.
    /// Done twice, it is done once.
    ///
    /// # Errors
    /// When the server still cannot be reached, or refuses: what was refused is forgotten.
    pub async fn resume(&self, server: &Server, number: PurchaseNumber) -> Result<Purchase, WalletError> {
        let mut purchase = self.purchase(number)?;
        if purchase.hold.is_none() {
            purchase = self.ask_hold(server, &purchase).await?;
        }
        if purchase.book_request.is_some() && purchase.booking.is_none() {
            self.ask_book(server, &purchase).await?;
        }
        if purchase.cancel_request.is_some() {
            self.ask_cancel(server, &purchase).await?;
        }
        self.purchase(number)
    }

    /// Reads a booking and its tickets as they are now, and keeps both.
    ///
    /// # Errors
    /// When it was never booked, or the server cannot be reached: what was kept before is still there.
    pub async fn refresh(&self, server: &Server, number: PurchaseNumber) -> Result<Purchase, WalletError> {
        let purchase = self.purchase(number)?;
        let booking = purchase.booking.as_ref().ok_or(WalletError::NoSuchPurchase("this was never booked"))?;
        let now = server.booking(purchase.screening, &purchase.secret, booking.id).await?;
        let tickets = server.tickets(purchase.screening, &purchase.secret, booking.id).await?;
        self.edit(number, |p| (p.booking, p.tickets) = (Some(now), Some(tickets)))
    }
}

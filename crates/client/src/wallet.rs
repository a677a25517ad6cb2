//! A file for secrets and bookings. What is asked for is written down before it is sent, so that an app that dies in
//! between asks again with the same key, and nothing is bought twice or lost.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use admit_protocol::booking::{Book, Booking, TicketState, Tickets};
use admit_protocol::hold::{ExtendHold, Hold, PlaceHold};
use admit_protocol::id::{QuoteId, ScreeningId, SeatId};
use admit_protocol::manifest::{Known, TicketKey};
use admit_protocol::origin::Origin;
use admit_protocol::problem::{Problem, ProblemCode};
use admit_protocol::ticket::{Ticket, TicketError};
use admit_protocol::time::ZoneName;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::error::ClientError;
use crate::secret::{RequestKey, Secret};
use crate::server::Server;
use crate::transport::{Client, is_decided};

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
    /// Servers that were met before.
    #[serde(default)]
    servers: BTreeMap<Origin, Met>,
}

/// What is remembered of a server: so that nobody takes its place (MAN-005), and so that its tickets can be checked without it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Met {
    #[serde(flatten)]
    known: Known,
    #[serde(default)]
    ticket_keys: Vec<TicketKey>,
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
    /// When the wish was written down, by the clock here.
    #[serde(default)]
    pub begun_at: Timestamp,
    /// Where its times are told: the zone of the cinema.
    #[serde(default)]
    pub zone: Option<ZoneName>,
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

    /// Whether the wish was written down so long ago that a hold that came of it is over (H1), unheard.
    fn is_too_old(&self, now: Timestamp) -> bool {
        self.hold.is_none() && now.duration_since(self.begun_at) > WISH_LIFE
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
    /// Where its times are told: the zone of the cinema.
    pub zone: Option<ZoneName>,
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
    /// Another choice that was asked for before, and whose answer was lost, turns out to have been booked. It is in the wallet now.
    #[error("this was booked before, for {}: nothing else was booked", .0.total)]
    BookedBefore(Box<Booking>),
    /// A wish that was never answered is so old that nothing can be held for it any more. It is forgotten.
    #[error("this was never answered, and is too long ago: choose again")]
    TooOld,
    /// A kept ticket cannot be believed.
    #[error(transparent)]
    Ticket(#[from] TicketError),
    /// There is no such purchase, or it has not come that far.
    #[error("{0}")]
    NoSuchPurchase(&'static str),
}

/// Whether a request may have been sent before this program, or this call, sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    First,
    Before,
}

impl Asked {
    /// Whether this says what became of the request. Of one that was sent before, only a refusal by the rules of the house does: a
    /// limit or a proxy answers without looking.
    fn is_answer(self, error: &ClientError) -> bool {
        match error {
            ClientError::Refused(problem) => self == Self::First || is_decided(problem),
            _ => false,
        }
    }
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

/// A hold that nobody heard of cannot be extended or paid: no server holds seats for longer.
const WISH_LIFE: SignedDuration = SignedDuration::from_mins(15);

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
        let before = self.read()?.servers.get(&name).cloned();
        let server = client.server(origin, before.as_ref().map(|met| met.known)).await?;
        let now = Met { known: server.known(), ticket_keys: server.manifest().keys.ticket.clone() };
        if before.as_ref() != Some(&now) {
            self.change(|pages| {
                // Another program may have met a newer one meanwhile.
                if pages.servers.get(&name).is_none_or(|met| met.known.serial <= now.known.serial) {
                    pages.servers.insert(name, now);
                }
                Ok(())
            })?;
        }
        Ok(server)
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

    fn forget(&self, number: PurchaseNumber) -> Result<(), WalletError> {
        self.change(|pages| {
            pages.purchases.retain(|p| p.number != number);
            // Of what came to nothing last, nobody remembers the number.
            if pages.next == number + 1 {
                pages.next = number;
            }
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
            Some(hold) => p.book_request.is_none() && hold.expires_at <= there,
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
        self.hold_as(server, screening, keepsake, wish, Secret::new()?).await
    }

    /// As [`Wallet::hold`], as somebody who has bought there before: whoever has a wheelchair space gets the companion's seat beside
    /// it later, too (HOLD-006).
    ///
    /// # Errors
    /// As [`Wallet::hold`].
    pub async fn hold_as(
        &self,
        server: &Server,
        screening: ScreeningId,
        keepsake: impl Into<Keepsake>,
        wish: PlaceHold,
        secret: Secret,
    ) -> Result<Purchase, WalletError> {
        let hold_request = (RequestKey::new()?, wish);
        let origin = server.origin().clone();
        let Keepsake { title, printed, zone } = keepsake.into();
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
                begun_at: Timestamp::now(),
                zone,
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
        match self.ask_hold(server, &purchase, Asked::First).await {
            // Nobody was there to hear it.
            Err(WalletError::Client(nobody @ ClientError::Unreachable { .. })) => {
                self.forget(purchase.number)?;
                Err(nobody.into())
            }
            other => other,
        }
    }

    async fn ask_hold(&self, server: &Server, purchase: &Purchase, asked: Asked) -> Result<Purchase, WalletError> {
        let (key, wish) = &purchase.hold_request;
        match server.place_hold(purchase.screening, &purchase.secret, key, wish).await {
            Ok(hold) => self.edit(purchase.number, |p| p.hold = Some(hold)),
            Err(error) => {
                if asked.is_answer(&error) {
                    self.forget(purchase.number)?;
                }
                Err(error.into())
            }
        }
    }

    /// More time for a hold (capability `extend`).
    ///
    /// # Errors
    /// `hold_expired` when it is too late.
    pub async fn extend(
        &self,
        server: &Server,
        number: PurchaseNumber,
        wish: &ExtendHold,
    ) -> Result<Hold, WalletError> {
        let purchase = self.purchase(number)?;
        let hold = purchase.hold.as_ref().ok_or(WalletError::NoSuchPurchase("nothing is held yet"))?;
        let key = RequestKey::new()?;
        let held = server.extend_hold(purchase.screening, &purchase.secret, &key, hold.id, wish).await?;
        self.edit(number, |p| p.hold = Some(held.clone()))?;
        Ok(held)
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
    /// asks the same again; with another one, it finds out first what became of the earlier.
    ///
    /// # Errors
    /// When it is refused; a choice that was refused is forgotten, the hold stays. [`WalletError::BookedBefore`] when an earlier
    /// choice was booked after all.
    pub async fn book(&self, server: &Server, number: PurchaseNumber, book: Book) -> Result<Booking, WalletError> {
        let purchase = self.purchase(number)?;
        let mut asked = Asked::First;
        if let (Some((_, before)), None) = (&purchase.book_request, &purchase.booking) {
            asked = Asked::Before;
            if *before != book {
                match self.ask_book(server, &purchase, asked).await {
                    Ok(booking) => return Err(WalletError::BookedBefore(Box::new(booking))),
                    // Now it is known that it was not.
                    Err(WalletError::Client(refused)) if asked.is_answer(&refused) => asked = Asked::First,
                    Err(unknown) => return Err(unknown),
                }
            }
        }
        let key = RequestKey::new()?;
        let purchase = self.edit(number, |p| {
            if p.book_request.as_ref().is_none_or(|(_, before)| *before != book) {
                p.book_request = Some((key, book));
            }
        })?;
        self.ask_book(server, &purchase, asked).await
    }

    async fn ask_book(&self, server: &Server, purchase: &Purchase, asked: Asked) -> Result<Booking, WalletError> {
        let nothing = WalletError::NoSuchPurchase("nothing was chosen for this purchase");
        let (key, book) = purchase.book_request.as_ref().ok_or(nothing)?;
        match server.book(purchase.screening, &purchase.secret, key, book).await {
            Ok(booking) => {
                self.edit(purchase.number, |p| p.booking = Some(booking.clone()))?;
                Ok(booking)
            }
            // Under a key that is lost: the hold knows its booking (HOLD-010).
            Err(error) if error.code() == Some(ProblemCode::HoldConverted) => {
                let hold = server.hold(purchase.screening, &purchase.secret, book.hold).await?;
                let booking = hold.booking.ok_or(error)?;
                let booking = server.booking(purchase.screening, &purchase.secret, booking).await?;
                self.edit(purchase.number, |p| p.booking = Some(booking.clone()))?;
                Err(WalletError::BookedBefore(Box::new(booking)))
            }
            Err(error) => {
                if asked.is_answer(&error) {
                    self.edit(purchase.number, |p| p.book_request = None)?;
                }
                Err(error.into())
            }
        }
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
        let mut asked = Asked::First;
        if self.purchase(number)?.cancel_request.is_some() {
            asked = Asked::Before;
        }
        let key = RequestKey::new()?;
        let purchase = self.edit(number, |p| {
            if p.cancel_request.as_ref().is_none_or(|(_, before)| *before != quote) {
                p.cancel_request = Some((key, quote));
            }
        })?;
        self.ask_cancel(server, &purchase, asked).await
    }

    async fn ask_cancel(&self, server: &Server, purchase: &Purchase, asked: Asked) -> Result<Booking, WalletError> {
        let nothing = WalletError::NoSuchPurchase("nothing of this purchase was to be cancelled");
        let (key, quote) = purchase.cancel_request.as_ref().ok_or(nothing)?;
        let booking = purchase.booking.as_ref().ok_or(WalletError::NoSuchPurchase("this was never booked"))?;
        match server.cancel(purchase.screening, &purchase.secret, key, booking.id, *quote).await {
            Ok(now) => {
                self.edit(purchase.number, |p| {
                    // Tickets of what was cancelled open no door; the others do, also without a network.
                    let stands =
                        |seat: &SeatId| now.lines.iter().any(|l| l.seat == *seat && l.state != TicketState::Revoked);
                    if let Some(tickets) = &mut p.tickets {
                        tickets.tickets.retain(|t| stands(&t.seat));
                    }
                    (p.booking, p.cancel_request) = (Some(now.clone()), None);
                })?;
                Ok(now)
            }
            Err(error) => {
                if asked.is_answer(&error) {
                    self.edit(purchase.number, |p| p.cancel_request = None)?;
                }
                Err(error.into())
            }
        }
    }

    /// Finds out what became of everything that was asked and not answered, by asking the same again with the same keys.
    /// Done twice, it is done once. A wish that never arrived is held now, if it is younger than 15 minutes; an older one is
    /// forgotten ([`WalletError::TooOld`]). Whoever wants no seats any more calls [`Wallet::release`] after it.
    ///
    /// # Errors
    /// When the server still cannot be reached, or refuses. What was refused by the rules of the house is forgotten; who says "come
    /// again later" says nothing of what became of the request, and it stays open.
    pub async fn resume(&self, server: &Server, number: PurchaseNumber) -> Result<Purchase, WalletError> {
        let mut purchase = self.purchase(number)?;
        if purchase.is_too_old(Timestamp::now()) {
            self.forget(number)?;
            return Err(WalletError::TooOld);
        }
        if purchase.hold.is_none() {
            purchase = self.ask_hold(server, &purchase, Asked::Before).await?;
        }
        if purchase.book_request.is_some() && purchase.booking.is_none() {
            match self.ask_book(server, &purchase, Asked::Before).await {
                Ok(_) | Err(WalletError::BookedBefore(_)) => {}
                Err(error) => return Err(error),
            }
        }
        if purchase.cancel_request.is_some() {
            self.ask_cancel(server, &purchase, Asked::Before).await?;
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

//! A file for secrets and bookings. What is asked for is written down before it is sent, so that an app that dies in
//! between asks again with the same key, and nothing is bought twice or lost.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use admit_protocol::booking::{Book, Booking};
use admit_protocol::hold::{Hold, PlaceHold};
use admit_protocol::id::ScreeningId;
use admit_protocol::origin::Origin;
use serde::{Deserialize, Serialize};

use crate::error::ClientError;
use crate::secret::{RequestKey, Secret};
use crate::server::Server;

/// What a person has bought, and what they are buying.
#[derive(Debug)]
pub struct Wallet {
    path: PathBuf,
    purchases: Vec<Purchase>,
}

/// One purchase, from the wish to the tickets.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Purchase {
    /// At which server.
    pub origin: Origin,
    /// Of which screening.
    pub screening: ScreeningId,
    /// A line for people: film, cinema, time.
    pub title: String,
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

impl Wallet {
    /// Opens a wallet; one that is not there yet is empty.
    ///
    /// # Errors
    /// When the file is there and cannot be read, or is no wallet.
    pub fn open(path: &Path) -> Result<Self, WalletError> {
        let file = |source| WalletError::File { path: path.to_owned(), source };
        let purchases = match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|source| WalletError::NotAWallet { path: path.to_owned(), source })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(file(error)),
        };
        Ok(Self { path: path.to_owned(), purchases })
    }

    /// Everything in it, oldest first.
    #[must_use]
    pub fn purchases(&self) -> &[Purchase] {
        &self.purchases
    }

    /// Writes everything down: whole or not at all, for its owner's eyes.
    fn save(&self) -> Result<(), WalletError> {
        let file = |source| WalletError::File { path: self.path.clone(), source };
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder).map_err(file)?;
        }
        let new = self.path.with_extension("new");
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut written = options.open(&new).map_err(file)?;
        let not_json = |source| WalletError::NotAWallet { path: self.path.clone(), source };
        written.write_all(&serde_json::to_vec_pretty(&self.purchases).map_err(not_json)?).map_err(file)?;
        written.sync_all().map_err(file)?;
        fs::rename(&new, &self.path).map_err(file)
    }

    /// Begins a purchase: writes the wish down, then holds the seats. The number of the purchase stays good.
    ///
    /// # Errors
    /// When the seats cannot be had; the purchase is forgotten then, unless its outcome is unknown.
    pub async fn hold(
        &mut self,
        server: &Server,
        screening: ScreeningId,
        title: String,
        wish: PlaceHold,
    ) -> Result<usize, WalletError> {
        let random = ClientError::from;
        self.purchases.push(Purchase {
            origin: server.origin().clone(),
            screening,
            title,
            secret: Secret::new().map_err(random)?,
            hold_request: (RequestKey::new().map_err(random)?, wish),
            hold: None,
            book_request: None,
            booking: None,
        });
        self.save()?;
        let number = self.purchases.len() - 1;
        let purchase = &mut self.purchases[number];
        let (key, wish) = &purchase.hold_request;
        match server.place_hold(screening, &purchase.secret, key, wish).await {
            Ok(hold) => purchase.hold = Some(hold),
            Err(unknown @ ClientError::OutcomeUnknown { .. }) => return Err(unknown.into()),
            Err(refused) => {
                self.purchases.pop();
                self.save()?;
                return Err(refused.into());
            }
        }
        self.save()?;
        Ok(number)
    }

    /// Books what is held: writes the choice down, then books. Called again after a lost reply, it asks the same again.
    ///
    /// # Errors
    /// When it is refused; a choice that was refused is forgotten, the hold stays.
    pub async fn book(&mut self, server: &Server, number: usize, book: Book) -> Result<Booking, WalletError> {
        let purchase =
            self.purchases.get_mut(number).ok_or(WalletError::NoSuchPurchase("there is no such purchase"))?;
        let repeated = purchase.book_request.as_ref().is_some_and(|(_, before)| *before == book);
        if !repeated {
            purchase.book_request = Some((RequestKey::new().map_err(ClientError::from)?, book));
            self.save()?;
        }
        let purchase = &mut self.purchases[number];
        let nothing = WalletError::NoSuchPurchase("nothing was chosen for this purchase");
        let (key, book) = purchase.book_request.as_ref().ok_or(nothing)?;
        let booked = server.book(purchase.screening, &purchase.secret, key, book).await;
        if let Err(ClientError::Refused(_)) = &booked {
            purchase.book_request = None;
        }
        purchase.booking = booked.as_ref().ok().cloned().or(purchase.booking.take());
        self.save()?;
        Ok(booked?)
    }

    /// Notes what became of a booking.
    ///
    /// # Errors
    /// When there is no such purchase, or the file cannot be written.
    pub fn note(&mut self, number: usize, booking: Booking) -> Result<(), WalletError> {
        let purchase =
            self.purchases.get_mut(number).ok_or(WalletError::NoSuchPurchase("there is no such purchase"))?;
        purchase.booking = Some(booking);
        self.save()
    }
}

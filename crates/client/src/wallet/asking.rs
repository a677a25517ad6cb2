//! What is asked of a cinema, written down before it is sent, and what each answer means for a purchase.

use admit_protocol::booking::{Book, Booking, TicketState};
use admit_protocol::hold::{ExtendHold, Hold, PlaceHold};
use admit_protocol::id::{QuoteId, ScreeningId, SeatId};
use admit_protocol::problem::ProblemCode;
use jiff::Timestamp;

use super::{Keepsake, Purchase, PurchaseNumber, Wallet, WalletError};
use crate::error::ClientError;
use crate::secret::{RequestKey, Secret};
use crate::server::Server;
use crate::transport::is_decided;

/// Whether a request may have been sent before this program, or this call, sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    First,
    Before,
}

impl Asked {
    /// Whether this says what became of the request. Of one that was sent before, only a refusal by the rules of the house does: a
    /// limit or a proxy answers without looking.
    pub(super) fn is_answer(self, error: &ClientError) -> bool {
        match error {
            ClientError::Refused(problem) => self == Self::First || is_decided(problem),
            _ => false,
        }
    }
}

impl Wallet {
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
        self.begin(server, screening, keepsake, wish, (self.new_secret(server)?, None)).await
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
        self.begin(server, screening, keepsake, wish, (secret, None)).await
    }

    pub(super) async fn begin(
        &self,
        server: &Server,
        screening: ScreeningId,
        keepsake: impl Into<Keepsake>,
        wish: PlaceHold,
        (secret, for_exchange): (Secret, Option<PurchaseNumber>),
    ) -> Result<Purchase, WalletError> {
        let hold_request = (RequestKey::new()?, wish);
        let origin = server.origin().clone();
        let Keepsake { title, printed, areas, called, zone } = keepsake.into();
        let purchase = self.change(|pages| {
            let number = pages.next;
            pages.next += 1;
            let purchase = Purchase {
                number,
                origin,
                screening,
                title,
                printed,
                areas,
                called,
                secret,
                begun_at: Timestamp::now(),
                zone,
                hold_request,
                hold: None,
                book_request: None,
                booking: None,
                cancel_request: None,
                for_exchange,
                exchange_request: None,
                tickets: None,
                receipts: vec![],
                became: None,
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
        if purchase.exchange_request.is_some() && purchase.booking.is_none() {
            self.ask_exchange(server, &purchase, Asked::Before).await?;
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

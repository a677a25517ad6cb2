//! Exchanging what was bought: the new seats are a purchase of their own, held under the secret of the old one.

use admit_protocol::booking::Booking;
use admit_protocol::exchange::{Exchange, ExchangeQuote, QuoteExchange};
use admit_protocol::hold::PlaceHold;
use admit_protocol::id::{BookingId, ScreeningId};
use serde::{Deserialize, Serialize};

use super::asking::Asked;
use super::{Keepsake, Purchase, PurchaseNumber, Wallet, WalletError};
use crate::secret::RequestKey;
use crate::server::Server;

const NOT_BOOKED: WalletError = WalletError::NoSuchPurchase("this was never booked");

/// What an exchange was asked for with: stands at the purchase of the new seats.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Exchanging {
    /// Of which purchase tickets are given.
    pub from: PurchaseNumber,
    /// Its screening.
    pub screening: ScreeningId,
    /// Its booking.
    pub booking: BookingId,
    /// The key of the request.
    pub key: RequestKey,
    /// What was asked.
    pub exchange: Exchange,
}

impl Wallet {
    /// Holds the seats that are to be taken, under the secret of what is to be given.
    ///
    /// # Errors
    /// When they cannot be had; as [`Wallet::hold`].
    pub async fn hold_for_exchange(
        &self,
        server: &Server,
        from: PurchaseNumber,
        screening: ScreeningId,
        keepsake: impl Into<Keepsake>,
        wish: PlaceHold,
    ) -> Result<Purchase, WalletError> {
        let secret = self.purchase(from)?.secret;
        self.begin(server, screening, keepsake, wish, (secret, Some(from))).await
    }

    /// What giving tickets of one purchase for what another one holds would come to. Changes nothing.
    ///
    /// # Errors
    /// When it is refused, or the server cannot be reached.
    pub async fn quote_exchange(
        &self,
        server: &Server,
        from: PurchaseNumber,
        of: &QuoteExchange,
    ) -> Result<ExchangeQuote, WalletError> {
        let Purchase { screening, secret, booking, .. } = self.purchase(from)?;
        let booking = booking.ok_or(NOT_BOOKED)?.id;
        Ok(server.quote_exchange(screening, &secret, booking, of).await?)
    }

    /// Exchanges what a quote is for: writes it down, then exchanges. `number` is the purchase that holds the new seats, and becomes the new
    /// booking's.
    ///
    /// # Errors
    /// `quote_changed` when it does not hold any more; the old tickets stand then. [`WalletError::BookedBefore`] when an earlier exchange for
    /// the same seats, whose answer was never heard, turns out to be done.
    pub async fn exchange(
        &self,
        server: &Server,
        number: PurchaseNumber,
        from: PurchaseNumber,
        exchange: Exchange,
    ) -> Result<Booking, WalletError> {
        let Purchase { screening, booking, .. } = self.purchase(from)?;
        let booking = booking.ok_or(NOT_BOOKED)?.id;
        let mut asked = Asked::First;
        let before = self.purchase(number)?;
        if let (Some(earlier), None) = (&before.exchange_request, &before.booking) {
            asked = Asked::Before;
            if earlier.exchange != exchange {
                match self.ask_exchange(server, &before, asked).await {
                    Ok(booking) => return Err(WalletError::BookedBefore(Box::new(booking))),
                    // Now it is known that it was not.
                    Err(WalletError::Client(refused)) if asked.is_answer(&refused) => asked = Asked::First,
                    Err(unknown) => return Err(unknown),
                }
            }
        }
        let key = RequestKey::new()?;
        let purchase = self.edit(number, |p| {
            if p.exchange_request.as_ref().is_none_or(|before| before.exchange != exchange) {
                p.exchange_request = Some(Box::new(Exchanging { from, screening, booking, key, exchange }));
            }
        })?;
        self.ask_exchange(server, &purchase, asked).await
    }

    pub(super) async fn ask_exchange(
        &self,
        server: &Server,
        purchase: &Purchase,
        asked: Asked,
    ) -> Result<Booking, WalletError> {
        let nothing = WalletError::NoSuchPurchase("nothing was to be exchanged for this");
        let Exchanging { from, screening, booking, key, exchange } =
            purchase.exchange_request.as_deref().ok_or(nothing)?;
        match server.exchange(*screening, &purchase.secret, key, *booking, exchange).await {
            Ok(new) => {
                self.edit(purchase.number, |p| p.booking = Some(new.clone()))?;
                // How the old one stands is asked again whenever it is shown.
                let _ = self.refresh(server, *from).await;
                Ok(new)
            }
            Err(error) => {
                if asked.is_answer(&error) {
                    self.edit(purchase.number, |p| p.exchange_request = None)?;
                }
                Err(error.into())
            }
        }
    }
}

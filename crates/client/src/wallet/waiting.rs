//! Waiting for seats: a place in line is written down before it is asked for, and what is offered becomes a purchase.

use admit_protocol::hold::{HoldState, PlaceHold};
use admit_protocol::id::{ScreeningId, TicketTypeId};
use admit_protocol::origin::Origin;
use admit_protocol::problem::ProblemCode;
use admit_protocol::time::ZoneName;
use admit_protocol::waitlist::{JoinWaitlist, WaitlistEntry, WaitlistState};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Keepsake, Purchase, PurchaseNumber, Wallet, WalletError};
use crate::error::ClientError;
use crate::secret::{RequestKey, Secret};
use crate::server::Server;

const NOT_WAITING: WalletError = WalletError::NoSuchPurchase("nothing of this number waits in this wallet");

/// A place in line, as it stands in a wallet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Waiting {
    /// Its number, of the same row as those of purchases.
    pub number: PurchaseNumber,
    /// At which server.
    pub origin: Origin,
    /// For which screening.
    pub screening: ScreeningId,
    /// A line for people: film, cinema, time.
    pub title: String,
    /// Where its times are told: the zone of the cinema.
    #[serde(default)]
    pub zone: Option<ZoneName>,
    /// Proves that it is yours, and what is offered, too.
    pub secret: Secret,
    /// The key and the wish that it was asked for with.
    pub join_request: (RequestKey, JoinWaitlist),
    /// Whose tickets they are to be, one for each, if that was said.
    #[serde(default)]
    pub tickets: Vec<TicketTypeId>,
    /// How it stood when it was last heard of.
    #[serde(default)]
    pub entry: Option<WaitlistEntry>,
}

impl Wallet {
    /// Gets in line: writes the wish down, and whose tickets they are to be, then joins.
    ///
    /// # Errors
    /// When it is refused: then it is forgotten, unless its outcome is unknown.
    pub async fn join_waitlist(
        &self,
        server: &Server,
        screening: ScreeningId,
        keepsake: impl Into<Keepsake>,
        (wish, tickets): (JoinWaitlist, Vec<TicketTypeId>),
    ) -> Result<Waiting, WalletError> {
        self.join_waitlist_as(server, screening, keepsake, (wish, tickets), Secret::new()?).await
    }

    /// As [`Wallet::join_waitlist`], as somebody whose turn it is in the screening's queue: the pass in the wish is this secret's.
    ///
    /// # Errors
    /// As [`Wallet::join_waitlist`].
    pub async fn join_waitlist_as(
        &self,
        server: &Server,
        screening: ScreeningId,
        keepsake: impl Into<Keepsake>,
        (wish, tickets): (JoinWaitlist, Vec<TicketTypeId>),
        secret: Secret,
    ) -> Result<Waiting, WalletError> {
        let (key, origin) = (RequestKey::new()?, server.origin().clone());
        let Keepsake { title, zone, .. } = keepsake.into();
        let waiting = self.change(|pages| {
            let number = pages.next;
            pages.next += 1;
            let join_request = (key, wish);
            let waiting =
                Waiting { number, origin, screening, title, zone, secret, join_request, tickets, entry: None };
            pages.waiting.push(waiting.clone());
            Ok(waiting)
        })?;
        match self.refresh_waiting(server, waiting.number).await {
            // Nobody was there to hear it, or it was heard and refused, for whatever reason: it is not asked again by itself.
            Err(WalletError::Client(no @ (ClientError::Unreachable { .. } | ClientError::Refused(_))))
                if no.code() != Some(ProblemCode::OutcomeUnknown) =>
            {
                self.forget_waiting(waiting.number)?;
                Err(no.into())
            }
            other => other,
        }
    }

    /// Every place in line, oldest first, as the file says now.
    ///
    /// # Errors
    /// When the file cannot be read, or is no wallet.
    pub fn waiting(&self) -> Result<Vec<Waiting>, WalletError> {
        Ok(self.read()?.waiting)
    }

    /// How a place in line stands now. Whoever never heard whether they are in it asks again with the same key.
    ///
    /// # Errors
    /// When the server does not answer; or refuses, and then the place is forgotten.
    pub async fn refresh_waiting(&self, server: &Server, number: PurchaseNumber) -> Result<Waiting, WalletError> {
        let waiting = self.one_waiting(number)?;
        let heard = match &waiting.entry {
            Some(entry) => server.waitlist_entry(waiting.screening, &waiting.secret, entry.id).await,
            None => {
                let (key, wish) = &waiting.join_request;
                server.join_waitlist(waiting.screening, &waiting.secret, key, wish).await
            }
        };
        match heard {
            Ok(entry) => self.change(|pages| {
                let waiting = pages.waiting.iter_mut().find(|w| w.number == number).ok_or(NOT_WAITING)?;
                waiting.entry = Some(entry);
                Ok(waiting.clone())
            }),
            Err(error) => {
                let decided = error.problem().is_some_and(crate::transport::is_decided);
                let unknown_there =
                    matches!(error.code(), Some(ProblemCode::NotFound | ProblemCode::CapabilityNotOffered));
                if (decided && waiting.entry.is_none()) || unknown_there {
                    self.forget_waiting(number)?;
                }
                Err(error.into())
            }
        }
    }

    /// Makes what is offered a purchase of the same number, which is booked as any other. The place in line stays in the wallet until it
    /// is known to be over: an offer that lapses leaves it in line.
    ///
    /// # Errors
    /// When nothing is offered now, or the server cannot be reached.
    pub async fn take_offer(
        &self,
        server: &Server,
        number: PurchaseNumber,
        keepsake: impl Into<Keepsake>,
    ) -> Result<Purchase, WalletError> {
        let waiting = self.refresh_waiting(server, number).await?;
        let nothing = || WalletError::NoSuchPurchase("nothing is offered to it now");
        let entry = waiting.entry.filter(|entry| entry.state == WaitlistState::Offered);
        let offer = entry.and_then(|entry| entry.offer).ok_or_else(nothing)?;
        let hold = server.hold(waiting.screening, &waiting.secret, offer.hold).await?;
        if hold.state != HoldState::Active {
            return Err(nothing());
        }
        let (key, wish) = waiting.join_request;
        let Keepsake { title, printed, areas, called, zone } = keepsake.into();
        let purchase = Purchase {
            number,
            origin: waiting.origin,
            screening: waiting.screening,
            title,
            printed,
            areas,
            called,
            secret: waiting.secret,
            begun_at: Timestamp::now(),
            zone,
            // Never asked for in this way: it is held.
            hold_request: (key, PlaceHold { best: Some(wish.best), ..PlaceHold::default() }),
            hold: Some(hold),
            book_request: None,
            booking: None,
            cancel_request: None,
            for_exchange: None,
            exchange_request: None,
            tickets: None,
            receipts: vec![],
            became: None,
        };
        self.change(|pages| {
            // Another program may have been faster.
            if let Some(known) = pages.purchases.iter().find(|p| p.number == number) {
                if known.booking.is_some() || known.book_request.is_some() || known.hold == purchase.hold {
                    return Ok(known.clone());
                }
                pages.purchases.retain(|p| p.number != number);
            }
            pages.purchases.push(purchase.clone());
            pages.purchases.sort_by_key(|p| p.number);
            Ok(purchase)
        })
    }

    /// Leaves the line, or declines what is offered, and forgets it. Gives back how it stood.
    ///
    /// # Errors
    /// When it was booked, or the server cannot be reached; it is kept then.
    pub async fn leave_waitlist(&self, server: &Server, number: PurchaseNumber) -> Result<WaitlistEntry, WalletError> {
        let waiting = self.refresh_waiting(server, number).await?;
        let entry = waiting.entry.ok_or(NOT_WAITING)?;
        server.leave_waitlist(waiting.screening, &waiting.secret, entry.id).await?;
        self.change(|pages| {
            pages.purchases.retain(|p| p.number != number || p.booking.is_some());
            Ok(())
        })?;
        self.forget_waiting(number)?;
        Ok(entry)
    }

    /// Forgets places in line that came to an end: whoever shows them has told.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn forget_ended_waiting(&self) -> Result<(), WalletError> {
        let ended = |w: &Waiting| {
            use WaitlistState::{Declined, Gone, Taken};
            w.entry.as_ref().is_some_and(|entry| matches!(entry.state, Taken | Declined | Gone))
        };
        if self.waiting()?.iter().any(ended) {
            self.change(|pages| {
                pages.waiting.retain(|w| !ended(w));
                Ok(())
            })?;
        }
        Ok(())
    }

    fn one_waiting(&self, number: PurchaseNumber) -> Result<Waiting, WalletError> {
        self.waiting()?.into_iter().find(|w| w.number == number).ok_or(NOT_WAITING)
    }

    /// Forgets a place in line that is known to be over: what was offered is booked.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn forget_waiting(&self, number: PurchaseNumber) -> Result<(), WalletError> {
        self.change(|pages| {
            pages.waiting.retain(|w| w.number != number);
            pages.forget_number(number);
            Ok(())
        })
    }
}

//! Places in queues: written down before they are asked for, so that a page that is closed loses nothing.

use admit_protocol::digest::ContentName;
use admit_protocol::id::ScreeningId;
use admit_protocol::origin::Origin;
use admit_protocol::problem::ProblemCode;
use admit_protocol::queue::{QueuePlace, QueueState};
use admit_protocol::time::ZoneName;
use serde::{Deserialize, Serialize};

use super::{Keepsake, PurchaseNumber, Wallet, WalletError};
use crate::error::ClientError;
use crate::secret::Secret;
use crate::server::Server;
use crate::transport::bad_answer;

const NO_PLACE: WalletError = WalletError::NoSuchPurchase("there is no place in a queue of this number in this wallet");

/// A place in a queue, as it stands in a wallet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Queueing {
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
    /// Proves that it is yours, and is the secret of what is bought with it.
    pub secret: Secret,
    /// How it stood when it was last heard of.
    #[serde(default)]
    pub place: Option<QueuePlace>,
}

impl Wallet {
    /// Takes a place in a screening's queue, or finds the one that this wallet has there.
    ///
    /// # Errors
    /// When it is refused, or nobody is there: then it is forgotten. Where it is not known whether there is one, it is kept.
    pub async fn join_queue(
        &self,
        server: &Server,
        screening: ScreeningId,
        keepsake: impl Into<Keepsake>,
    ) -> Result<Queueing, WalletError> {
        let (secret, origin) = (Secret::new()?, server.origin().clone());
        let Keepsake { title, zone, .. } = keepsake.into();
        let mut is_first = false;
        let mine = self.change(|pages| {
            if let Some(known) = pages.queueing.iter().find(|q| q.origin == origin && q.screening == screening) {
                return Ok(known.clone());
            }
            is_first = true;
            let number = pages.next;
            pages.next += 1;
            let mine = Queueing { number, origin, screening, title, zone, secret, place: None };
            pages.queueing.push(mine.clone());
            Ok(mine)
        })?;
        let asked = server.join_queue(screening, &mine.secret).await;
        // Nobody was there to hear it: not now, and not before.
        if is_first && matches!(asked, Err(ClientError::Unreachable { .. })) {
            self.forget_queueing(mine.number)?;
        }
        self.heard_of_place(server, &mine, asked)
    }

    /// Every place in a queue, oldest first, as the file says now.
    ///
    /// # Errors
    /// When the file cannot be read, or is no wallet.
    pub fn queueing(&self) -> Result<Vec<Queueing>, WalletError> {
        Ok(self.read()?.queueing)
    }

    /// How a place stands now.
    ///
    /// # Errors
    /// When the server does not answer; or knows of none, and then it is forgotten.
    pub async fn refresh_queueing(&self, server: &Server, number: PurchaseNumber) -> Result<Queueing, WalletError> {
        let mine = self.one_queueing(number)?;
        let asked = server.queue_place(mine.screening, &mine.secret).await;
        self.heard_of_place(server, &mine, asked)
    }

    /// Gives a place up, and forgets it.
    ///
    /// # Errors
    /// When the server cannot be reached; it is kept then.
    pub async fn leave_queue(&self, server: &Server, number: PurchaseNumber) -> Result<(), WalletError> {
        let mine = self.one_queueing(number)?;
        server.leave_queue(mine.screening, &mine.secret).await?;
        self.forget_queueing(number)
    }

    /// Forgets places whose pass has ended: whoever shows them has told.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn forget_ended_queueing(&self) -> Result<(), WalletError> {
        let over = |q: &Queueing| q.place.as_ref().is_some_and(|place| place.state == QueueState::Over);
        for ended in self.queueing()?.iter().filter(|q| over(q)) {
            self.forget_queueing(ended.number)?;
        }
        Ok(())
    }

    fn heard_of_place(
        &self,
        server: &Server,
        mine: &Queueing,
        asked: Result<QueuePlace, ClientError>,
    ) -> Result<Queueing, WalletError> {
        let before = mine.place.as_ref().map(|place| place.commitment);
        match asked {
            // It was shown before anybody could know how the draw ends: another one was made to bend it.
            Ok(place) if before.is_some_and(|before: ContentName| before != place.commitment) => {
                Err(bad_answer(server.origin(), "the queue has another commitment than before".into()).into())
            }
            Ok(place) => self.change(|pages| {
                let known = pages.queueing.iter_mut().find(|q| q.number == mine.number).ok_or(NO_PLACE)?;
                known.place = Some(place);
                Ok(known.clone())
            }),
            Err(error) => {
                let none = matches!(error.code(), Some(ProblemCode::NotFound | ProblemCode::CapabilityNotOffered));
                let refused = mine.place.is_none() && error.problem().is_some_and(crate::transport::is_decided);
                if none || refused {
                    self.forget_queueing(mine.number)?;
                }
                Err(error.into())
            }
        }
    }

    fn one_queueing(&self, number: PurchaseNumber) -> Result<Queueing, WalletError> {
        self.queueing()?.into_iter().find(|q| q.number == number).ok_or(NO_PLACE)
    }

    fn forget_queueing(&self, number: PurchaseNumber) -> Result<(), WalletError> {
        self.change(|pages| {
            pages.queueing.retain(|q| q.number != number);
            pages.forget_number(number);
            Ok(())
        })
    }
}

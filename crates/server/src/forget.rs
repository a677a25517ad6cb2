//! What a server does beside answering: among it, forgetting buyers of screenings that are long over (PRIV-005).

use std::time::Duration;

use admit_booking::{Command, Forget};
use admit_protocol::id::ScreeningId;
use admit_protocol::time::after;
use jiff::Timestamp;

use crate::answers::Subject;
use crate::catalogue::unpaid_until;
use crate::cinema::Cinema;
use crate::engine::Request;
use crate::store::StoreError;

/// How long after the end of a screening its buyers are known, in seconds: 30 days, for who asks about a refund or a lost glove.
pub(crate) const KNOWN_FOR_S: i64 = 30 * 24 * 3600;
/// How often somebody looks for buyers to forget, and for bookings that nobody paid in time.
const FORGET_EVERY: Duration = Duration::from_secs(600);
const LAPSE_EVERY: Duration = Duration::from_secs(30);
/// When a server starts it looks for what lapsed while it was off, for so long, in seconds: a week.
const OFF_FOR_S: i64 = 7 * 24 * 3600;

impl Cinema {
    /// What a server does beside answering, for as long as this is awaited: it tells webhooks what happened, lets bookings lapse that
    /// nobody paid in time, also where nobody looks, and forgets buyers of screenings that are long over. Any number of processes may do so.
    pub async fn keep_house(&self) {
        let lapse = async {
            let mut since = after(self.now(), -OFF_FOR_S);
            loop {
                let now = self.now();
                self.lapse_unpaid(since, now).await;
                since = now;
                tokio::time::sleep(LAPSE_EVERY).await;
            }
        };
        let forget = async {
            loop {
                if let Err(error) = self.forget_buyers().await {
                    tracing::warn!(%error, "buyers of old screenings could not be forgotten");
                }
                tokio::time::sleep(FORGET_EVERY).await;
            }
        };
        tokio::join!(self.bring_notifications(), lapse, forget);
    }

    /// Lets time pass in the houses in which unpaid bookings may have ended between these instants: a house that nobody looks at has no
    /// timer (BOOK-005).
    async fn lapse_unpaid(&self, since: Timestamp, now: Timestamp) {
        let catalogue = self.catalogue();
        let screenings = catalogue.screenings.values().map(|listed| &listed.screening);
        let due = screenings.filter(|s| unpaid_until(s).iter().any(|at| since <= *at && *at <= now));
        for screening in due.map(|screening| screening.id).collect::<Vec<_>>() {
            if let Err(error) = self.engine().settle(screening).await {
                tracing::warn!(%screening, ?error, "nobody could look whether something lapsed");
            }
        }
    }

    /// Forgets what buyers of screenings gave that have been over for 30 days. [`Self::keep_house`] does so, too. Of how many screenings it
    /// was done.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn forget_buyers(&self) -> Result<usize, StoreError> {
        let until = after(self.now(), -KNOWN_FOR_S);
        let store = self.store().clone();
        let since = spawned(move || store.forgotten_until()).await?;
        let catalogue = self.catalogue();
        let over = catalogue.screenings.values().map(|listed| (listed.screening.over_at(), listed.screening.id));
        let mut over: Vec<(Timestamp, ScreeningId)> =
            over.filter(|(at, _)| *at < until && since.is_none_or(|since| *at >= since)).collect();
        over.sort_unstable();
        for (_, screening) in &over {
            let command = Command::Forget(Forget::Everybody);
            let request = Request { command, by: "clock".into(), key: None, subject: Subject::Nothing };
            if let Err(error) = self.engine().execute(*screening, request).await {
                // All of them are looked at again.
                let why = format!("screening {screening}: {error:?}");
                return Err(StoreError::at("forgetting buyers")(why));
            }
        }
        let (store, now) = (self.store().clone(), self.now());
        spawned(move || {
            store.forgot_until(until)?;
            store.outbox().map_or(Ok(()), |outbox| outbox.tidy_outbox(now))
        })
        .await?;
        Ok(over.len())
    }
}

async fn spawned<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(StoreError::at("working on the store"))?
}

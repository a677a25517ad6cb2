//! Forgetting buyers of screenings that are long over (PRIV-005).

use std::time::Duration;

use admit_booking::{Command, Forget};
use admit_protocol::id::ScreeningId;
use admit_protocol::time::after;
use jiff::Timestamp;

use crate::answers::Subject;
use crate::cinema::Cinema;
use crate::engine::Request;
use crate::store::StoreError;

/// How long after the end of a screening its buyers are known, in seconds: 30 days, for who asks about a refund or a lost glove.
pub(crate) const KNOWN_FOR_S: i64 = 30 * 24 * 3600;
/// How often somebody looks.
const LOOK_EVERY: Duration = Duration::from_secs(600);

impl Cinema {
    /// What a server does beside answering, for as long as this is awaited: it tells webhooks what happened, and forgets buyers of
    /// screenings that are long over. Any number of processes may do so.
    pub async fn keep_house(&self) {
        tokio::join!(self.bring_notifications(), async {
            loop {
                if let Err(error) = self.forget_buyers().await {
                    tracing::warn!(%error, "buyers of old screenings could not be forgotten");
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
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
        let store = self.store().clone();
        spawned(move || store.forgot_until(until)).await?;
        Ok(over.len())
    }
}

async fn spawned<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(StoreError::at("working on the store"))?
}

//! Telling webhooks what was saved for them (capability `notifications`).

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use admit_outbound::{Courier, Said};
use admit_protocol::id::NotificationId;
use admit_protocol::notification::{Delivery, Notification, NotificationKind, Webhook};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::cinema::Cinema;
use crate::store::{Due, OutboxStore, StoreError};

/// How often the outbox is looked into.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Notifications that are taken at once.
const TAKEN_AT_ONCE: u32 = 64;
/// Hosts that are talked to at once. Notifications to one host go one after another.
const HOSTS_AT_ONCE: usize = 32;
/// For so long a host is brought what was taken for it: what is left is due again soon after, and somebody else may take it.
const BRING_FOR: Duration = Duration::from_secs(20);
/// How many may work on the outbox at once: who sells needs the store, too.
const AT_THE_STORE: usize = 4;

impl Cinema {
    /// Brings notifications to webhooks, for as long as this is awaited; nothing, if no courier was given.
    pub(crate) async fn bring_notifications(&self) {
        let Some(courier) = self.courier().cloned() else { return };
        let post = Arc::new(Post {
            cinema: self.clone(),
            courier,
            busy: Mutex::default(),
            at_the_store: Semaphore::new(AT_THE_STORE),
        });
        let mut hosts = JoinSet::new();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            while hosts.try_join_next().is_some() {}
            if hosts.len() >= HOSTS_AT_ONCE {
                continue;
            }
            match post.take_due().await {
                Ok(taken) => {
                    for (host, dues) in taken {
                        let post = post.clone();
                        hosts.spawn(async move {
                            if let Err(error) = post.bring_all(dues).await {
                                tracing::warn!(%error, %host, "notifications could not be brought");
                            }
                            post.busy().remove(&host);
                        });
                    }
                }
                Err(error) => tracing::warn!(%error, "notifications could not be taken from the outbox"),
            }
        }
    }
}

/// Who brings notifications.
struct Post {
    cinema: Cinema,
    courier: Courier,
    /// Hosts that somebody is on the way to.
    busy: Mutex<BTreeSet<String>>,
    at_the_store: Semaphore,
}

impl Post {
    fn busy(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is due, host by host; these are busy from now on. What this courier does not go to is left, until it is too old.
    async fn take_due(&self) -> Result<BTreeMap<String, Vec<(Webhook, Due)>>, StoreError> {
        let now = self.cinema.now();
        let busy: Vec<String> = self.busy().iter().cloned().collect();
        let taken = self.with_outbox(move |outbox| match outbox.next_due()? {
            Some(due) if due <= now => outbox.take_due(now, &busy, TAKEN_AT_ONCE),
            _ => Ok(Vec::new()),
        });
        let mut hosts: BTreeMap<String, Vec<(Webhook, Due)>> = BTreeMap::new();
        for due in taken.await? {
            if let Ok(webhook) = self.courier.webhook(&due.webhook) {
                hosts.entry(webhook.origin().to_string()).or_default().push((webhook, due));
            }
        }
        self.busy().extend(hosts.keys().cloned());
        Ok(hosts)
    }

    /// Does something with the outbox, where blocking is no harm.
    async fn with_outbox<T: Default + Send + 'static>(
        &self,
        work: impl FnOnce(&dyn OutboxStore) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let _permit = self.at_the_store.acquire().await.map_err(StoreError::at("waiting for the outbox"))?;
        let cinema = self.cinema.clone();
        let work = move || cinema.outbox().map_or_else(|| Ok(T::default()), work);
        tokio::task::spawn_blocking(work).await.map_err(StoreError::at("working on the outbox"))?
    }

    /// Brings what one host is to hear, one after another, until it does not answer at all.
    async fn bring_all(&self, dues: Vec<(Webhook, Due)>) -> Result<(), StoreError> {
        let (began, mut refused, mut brought) = (Instant::now(), HashSet::new(), Vec::new());
        for (webhook, due) in dues {
            if began.elapsed() > BRING_FOR {
                break;
            }
            let row = due.row;
            // What was refused a moment ago would be again.
            let said = if refused.contains(&webhook) { Said::Refused } else { self.bring(&webhook, due).await? };
            match said {
                Said::Taken => brought.push(row),
                Said::Gone => {
                    let url = webhook.as_str().to_owned();
                    self.with_outbox(move |outbox| outbox.said_no(&url)).await?;
                }
                Said::Refused | Said::Nothing => {
                    let now = self.cinema.now();
                    self.with_outbox(move |outbox| outbox.not_taken(row, now)).await?;
                    tracing::debug!(host = %webhook.origin(), "a webhook did not take a notification: it is tried again");
                    if said == Said::Nothing {
                        break;
                    }
                    refused.insert(webhook);
                }
            }
        }
        if brought.is_empty() { Ok(()) } else { self.with_outbox(move |outbox| outbox.brought(&brought)).await }
    }

    async fn bring(&self, webhook: &Webhook, due: Due) -> Result<Said, StoreError> {
        if !self.wants_to_hear(webhook).await? {
            match self.ask(webhook).await? {
                Said::Taken => {}
                said => return Ok(said),
            }
        }
        match self.notification(due) {
            Some(notification) => Ok(self.courier.bring(webhook, &self.signed(webhook, &notification)?).await),
            // Written by a version that knew something else: nobody could read it.
            None => Ok(Said::Taken),
        }
    }

    async fn wants_to_hear(&self, webhook: &Webhook) -> Result<bool, StoreError> {
        let (url, now) = (webhook.as_str().to_owned(), self.cinema.now());
        self.with_outbox(move |outbox| outbox.wants_to_hear(&url, now)).await
    }

    /// Asks whether anybody there wants to hear of anything, if they may be asked now (NOTE-004).
    async fn ask(&self, webhook: &Webhook) -> Result<Said, StoreError> {
        let (url, host, now) = (webhook.as_str().to_owned(), webhook.origin().to_string(), self.cinema.now());
        let asked = url.clone();
        if !self.with_outbox(move |outbox| outbox.may_ask(&asked, &host, now)).await? {
            return Ok(Said::Refused);
        }
        let said = self.challenge(webhook).await?;
        if said == Said::Taken {
            self.with_outbox(move |outbox| outbox.said_yes(&url, now)).await?;
        }
        Ok(said)
    }

    async fn challenge(&self, webhook: &Webhook) -> Result<Said, StoreError> {
        let (nonce, name) = (random()?, format!("note_{}", uuid::Uuid::now_v7().simple()));
        let challenge = Notification {
            id: NotificationId::parse(&name).map_err(StoreError::at("naming a notification"))?,
            kind: NotificationKind::Challenge,
            origin: self.cinema.origin().clone(),
            at: self.cinema.now(),
            screening: None,
            booking: None,
            waitlist_entry: None,
            hold: None,
            expires_at: None,
            nonce: Some(nonce.clone()),
        };
        Ok(self.courier.challenge(webhook, &self.signed(webhook, &challenge)?, &nonce).await)
    }

    /// What a row says, as far as a notification says it.
    fn notification(&self, due: Due) -> Option<Notification> {
        let mut said: Map<String, Value> = serde_json::from_str(&due.body).ok()?;
        said.insert("kind".into(), due.kind.as_str().into());
        said.insert("origin".into(), self.cinema.origin().as_str().into());
        said.insert("at".into(), due.at.to_string().into());
        serde_json::from_value(Value::Object(said)).ok()
    }

    /// By the world's clock: a receiver has no other, and this server's may have been set when it started (C1).
    fn signed(&self, webhook: &Webhook, notification: &Notification) -> Result<Delivery, StoreError> {
        let now = if self.cinema.has_real_clock() { Timestamp::now() } else { self.cinema.now() };
        Ok(Delivery::new(webhook, notification, &self.cinema.keys().identity, now, &random()?))
    }
}

fn random() -> Result<String, StoreError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(StoreError::at("asking for randomness"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

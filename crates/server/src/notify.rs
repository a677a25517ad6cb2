//! Telling webhooks what was saved for them (capability `notifications`).

use std::collections::BTreeMap;
use std::time::Duration;

use admit_outbound::{Courier, Said};
use admit_protocol::id::NotificationId;
use admit_protocol::notification::{Delivery, Notification, NotificationKind, Webhook};
use admit_protocol::origin::Origin;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::cinema::Cinema;
use crate::store::{Due, OutboxStore, StoreError};

/// How often the outbox is looked into.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Notifications that are taken at once.
const TAKEN_AT_ONCE: u32 = 64;
/// Hosts that are talked to at once. Notifications to one host go one after another.
const HOSTS_AT_ONCE: usize = 16;
/// For so long notifications that were taken are brought: what is left is due again soon after, and somebody else may take it.
const BRING_FOR: Duration = Duration::from_secs(40);

impl Cinema {
    /// Brings notifications to webhooks, for as long as this is awaited; nothing, if no courier was given.
    pub(crate) async fn bring_notifications(&self) {
        let Some(courier) = self.courier().cloned() else { return };
        let mut hosts = JoinSet::new();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            while hosts.try_join_next().is_some() {}
            if hosts.len() >= HOSTS_AT_ONCE {
                continue;
            }
            match self.take_due().await {
                Ok(taken) => {
                    for (_, dues) in by_host(&courier, taken) {
                        hosts.spawn(Bringing { cinema: self.clone(), courier: courier.clone() }.all(dues));
                    }
                }
                Err(error) => tracing::warn!(%error, "notifications could not be taken from the outbox"),
            }
        }
    }

    async fn take_due(&self) -> Result<Vec<Due>, StoreError> {
        let now = self.now();
        self.with_outbox(move |outbox| match outbox.next_due()? {
            Some(due) if due <= now => outbox.take_due(now, TAKEN_AT_ONCE),
            _ => Ok(Vec::new()),
        })
        .await
    }

    /// Does something with the outbox, where blocking is no harm.
    async fn with_outbox<T: Default + Send + 'static>(
        &self,
        work: impl FnOnce(&dyn OutboxStore) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let cinema = self.clone();
        let work = move || cinema.outbox().map_or_else(|| Ok(T::default()), work);
        tokio::task::spawn_blocking(work).await.map_err(StoreError::at("working on the outbox"))?
    }
}

/// What was taken, host by host. What this courier does not go to is left, until it is too old.
fn by_host(courier: &Courier, taken: Vec<Due>) -> BTreeMap<Origin, Vec<(Webhook, Due)>> {
    let mut hosts: BTreeMap<Origin, Vec<(Webhook, Due)>> = BTreeMap::new();
    for due in taken {
        if let Ok(webhook) = courier.webhook(&due.webhook) {
            hosts.entry(webhook.origin().clone()).or_default().push((webhook, due));
        }
    }
    hosts
}

/// Bringing what one host is to hear.
struct Bringing {
    cinema: Cinema,
    courier: Courier,
}

impl Bringing {
    /// One after another, until one is not taken: a host that does not answer now is left alone.
    async fn all(self, dues: Vec<(Webhook, Due)>) {
        let began = Instant::now();
        for (webhook, due) in dues {
            if began.elapsed() > BRING_FOR {
                return;
            }
            match self.one(&webhook, due).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(%error, host = %webhook.origin(), "a notification could not be brought");
                    return;
                }
            }
        }
    }

    /// Whether the host may hear the next one.
    async fn one(&self, webhook: &Webhook, due: Due) -> Result<bool, StoreError> {
        let (url, host) = (webhook.as_str().to_owned(), webhook.origin().to_string());
        let (heard, now) = (url.clone(), self.cinema.now());
        if !self.cinema.with_outbox(move |outbox| outbox.wants_to_hear(&heard)).await? {
            let asked = url.clone();
            if !self.cinema.with_outbox(move |outbox| outbox.may_ask(&asked, &host, now)).await? {
                // Others of this host may be ones that want to hear.
                return Ok(true);
            }
            match self.challenge(webhook).await? {
                Said::Taken => {
                    let yes = url.clone();
                    self.cinema.with_outbox(move |outbox| outbox.said_yes(&yes, now)).await?;
                }
                Said::Gone => return self.gone(url).await,
                Said::Nothing => return Ok(false),
            }
        }
        let row = due.row;
        let Some(notification) = self.notification(due) else {
            // Written by a version that knew something else: nobody could read it.
            self.cinema.with_outbox(move |outbox| outbox.brought(row)).await?;
            return Ok(true);
        };
        match self.courier.bring(webhook, &self.signed(webhook, &notification)?).await {
            Said::Taken => self.cinema.with_outbox(move |outbox| outbox.brought(row)).await.map(|()| true),
            Said::Gone => self.gone(url).await,
            Said::Nothing => {
                tracing::info!(host = %webhook.origin(), "a webhook did not take a notification: it is tried again");
                Ok(false)
            }
        }
    }

    async fn gone(&self, url: String) -> Result<bool, StoreError> {
        self.cinema.with_outbox(move |outbox| outbox.said_no(&url)).await.map(|()| true)
    }

    /// Asks whether anybody there wants to hear of anything (NOTE-004).
    async fn challenge(&self, webhook: &Webhook) -> Result<Said, StoreError> {
        let nonce = random()?;
        let challenge = Notification {
            id: read_id(&format!("note_{}", uuid::Uuid::now_v7().simple()))?,
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

    fn signed(&self, webhook: &Webhook, notification: &Notification) -> Result<Delivery, StoreError> {
        let (keys, now) = (self.cinema.keys(), self.cinema.now());
        Ok(Delivery::new(webhook, notification, &keys.identity, now, &random()?))
    }
}

fn read_id(text: &str) -> Result<NotificationId, StoreError> {
    NotificationId::parse(text).map_err(StoreError::at("naming a notification"))
}

fn random() -> Result<String, StoreError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(StoreError::at("asking for randomness"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

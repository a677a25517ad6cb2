//! What leaves after a commit: mail and notifications, in rows of the transaction that causes them (D4).

use admit_protocol::booking::Buyer;
use admit_protocol::notification::NotificationKind;
use jiff::Timestamp;
use serde_json::Value;

use super::{About, Store, StoreError};

/// For how long a notification is tried, in milliseconds: a day (NOTE-006).
pub(super) const TRIED_FOR_MS: i64 = 24 * 3600 * 1000;
/// A host of which no webhook ever answered is asked once in so many milliseconds (NOTE-004).
pub(super) const ASKED_AGAIN_MS: i64 = 5 * 60 * 1000;
/// Webhooks of a host that said nothing yet and are asked within a day, at most.
pub(super) const ASKED_OF_A_HOST_MAX: i64 = 20;
/// How long a webhook's word is good, in milliseconds: 90 days. A domain may be somebody else's by then.
pub(super) const WORD_LIFE_MS: i64 = 90 * 24 * 3600 * 1000;
/// How long whoever took a notification has for it, and the first pause, in milliseconds. Each pause is twice as long as the one before,
/// for as many times as follows: up to two hours.
pub(super) const PAUSE_MS: i64 = 60 * 1000;
pub(super) const PAUSE_DOUBLED_MAX: i64 = 7;
/// How long mail waits for somebody who sends it, in milliseconds: 30 days. Rows that are looked at for that at once.
pub(super) const MAIL_LIFE_MS: i64 = 30 * 24 * 3600 * 1000;
pub(super) const TIDIED_MAX: i64 = 1000;

/// Something that leaves after the commit: at least once, under a stable id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What happened.
    pub kind: NotificationKind,
    /// How it goes.
    pub way: Way,
    /// Where to.
    pub address: String,
    /// What it is about.
    pub about: About,
    /// Its `id` and what it is about, as JSON. A mail may say more than a notification does.
    pub body: String,
}

/// How a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To a person.
    Mail,
    /// To an app's server.
    Webhook,
}

impl Way {
    /// The word in a row.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Webhook => "webhook",
        }
    }
}

impl Message {
    /// The host that it goes to: scheme and host of a webhook's address.
    pub(super) fn origin(&self) -> Option<&str> {
        let (scheme, rest) = self.address.split_once("://").filter(|_| self.way == Way::Webhook)?;
        let host = rest.split('/').next().unwrap_or_default();
        self.address.get(..scheme.len() + "://".len() + host.len())
    }

    /// A message to every address that somebody left.
    pub(crate) fn to_each(buyer: Option<&Buyer>, kind: NotificationKind, about: About, says: &Value) -> Vec<Self> {
        let Some(buyer) = buyer else { return Vec::new() };
        let addresses = [(Way::Mail, &buyer.email), (Way::Webhook, &buyer.webhook)];
        let message = |(way, address): (Way, &Option<String>)| {
            let mut body = says.clone();
            body["id"] = Value::from(format!("note_{}", uuid::Uuid::now_v7().simple()));
            Some(Self { kind, way, address: address.clone()?, about, body: body.to_string() })
        };
        addresses.into_iter().filter_map(message).collect()
    }
}

/// A notification that is to be brought to a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The row.
    pub row: i64,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub kind: NotificationKind,
    /// Where to.
    pub webhook: String,
    /// As in [`Message`].
    pub body: String,
}

/// A store from which notifications leave, by any number of processes.
pub trait OutboxStore: Store {
    /// When the next notification is due.
    ///
    /// # Errors
    /// When it cannot be read.
    fn next_due(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Takes notifications that are due at `now`, those that have been longest first, for none of these hosts. Nobody else gets them for a
    /// minute. Those that were tried for a day go now.
    ///
    /// # Errors
    /// When it cannot be written.
    fn take_due(&self, now: Timestamp, busy: &[String], most: u32) -> Result<Vec<Due>, StoreError>;

    /// These were brought.
    ///
    /// # Errors
    /// When it cannot be written: they are brought once more, then.
    fn brought(&self, rows: &[i64]) -> Result<(), StoreError>;

    /// This one was not taken at `now`: it is due again after a minute, then later and later.
    ///
    /// # Errors
    /// When it cannot be written.
    fn not_taken(&self, row: i64, now: Timestamp) -> Result<(), StoreError>;

    /// Whether a webhook said that it wants to hear, and not so long before `now` that it may be another's.
    ///
    /// # Errors
    /// When it cannot be read.
    fn wants_to_hear(&self, webhook: &str, now: Timestamp) -> Result<bool, StoreError>;

    /// Whether a webhook may be asked at `now` whether it wants to hear; then it counts as asked.
    ///
    /// # Errors
    /// When it cannot be written.
    fn may_ask(&self, webhook: &str, origin: &str, now: Timestamp) -> Result<bool, StoreError>;

    /// It said at `now` that it does.
    ///
    /// # Errors
    /// When it cannot be written.
    fn said_yes(&self, webhook: &str, now: Timestamp) -> Result<(), StoreError>;

    /// It wants no more: what waits for it goes, and so does its word.
    ///
    /// # Errors
    /// When it cannot be written.
    fn said_no(&self, webhook: &str) -> Result<(), StoreError>;

    /// Drops some of what is too old to leave at `now`, and what is known of webhooks that nobody asked for long.
    ///
    /// # Errors
    /// When it cannot be written.
    fn tidy_outbox(&self, now: Timestamp) -> Result<(), StoreError>;
}

/// A row of the outbox as it was read.
pub(super) fn due(row: i64, at: i64, kind: &str, webhook: String, body: String) -> Result<Due, StoreError> {
    let at = Timestamp::from_millisecond(at).map_err(StoreError::at("reading the outbox"))?;
    Ok(Due { row, at, kind: NotificationKind::from_word(kind), webhook, body })
}

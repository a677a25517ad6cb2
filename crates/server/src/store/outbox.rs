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
/// The first pause, in milliseconds. Each is twice as long as the one before, for as many times as follows: up to two hours.
pub(super) const PAUSE_MS: i64 = 60 * 1000;
pub(super) const PAUSE_DOUBLED_MAX: i64 = 7;

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

    /// Takes notifications that are due at `now`, those that have been longest first. Nobody else gets them for a minute at least; they are due
    /// again then, and after longer and longer pauses, until they are gone. Those that were tried for a day go now.
    ///
    /// # Errors
    /// When it cannot be written.
    fn take_due(&self, now: Timestamp, most: u32) -> Result<Vec<Due>, StoreError>;

    /// It was brought.
    ///
    /// # Errors
    /// When it cannot be written: it is brought once more, then.
    fn brought(&self, row: i64) -> Result<(), StoreError>;

    /// Whether a webhook said that it wants to hear.
    ///
    /// # Errors
    /// When it cannot be read.
    fn wants_to_hear(&self, webhook: &str) -> Result<bool, StoreError>;

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
}

/// A row of the outbox as it was read.
pub(super) fn due(row: i64, at: i64, kind: &str, webhook: String, body: String) -> Result<Due, StoreError> {
    let at = Timestamp::from_millisecond(at).map_err(StoreError::at("reading the outbox"))?;
    Ok(Due { row, at, kind: NotificationKind::from_word(kind), webhook, body })
}

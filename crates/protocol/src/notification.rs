//! What a server tells an app's own server, unasked: that something happened, and where to read more (capability `notifications`).
//!
//! ```
//! use admit_protocol::key::SecretKey;
//! use admit_protocol::notification::{Delivery, Notification, NotificationKind, Webhook};
//! use admit_protocol::origin::OriginPolicy::Public;
//!
//! # let (identity, now) = (SecretKey::from_seed(&[7; 32]), jiff::Timestamp::now());
//! # let webhook = Webhook::parse("https://app.example/admit?user=7", Public)?;
//! # let booked: Notification = serde_json::from_value(serde_json::json!({"id": "n1", "kind": "booking_paid",
//! #     "origin": "https://kino.example", "at": now, "screening": "s1", "booking": "b1"}))?;
//! # let sent = Delivery::new(&webhook, &booked, &identity, now, "a-nonce-of-16-or-more");
//! // In the app's server, of a request that came to it: its fields, its body, and the key that the cinema's manifest has.
//! let heard = sent.verify(&webhook, &identity.public(), now)?;
//! assert_eq!(heard.kind, NotificationKind::BookingPaid);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::id::{BookingId, HoldId, NotificationId, ScreeningId, WaitlistEntryId};
use crate::json::{self, Numbers};
use crate::key::{PublicKey, SecretKey};
use crate::open_enum::open_enum;
use crate::origin::{Origin, OriginError, OriginPolicy};
use crate::signature::{Content, SignatureError, SignatureFields, Signing, WEBHOOK_TAG};

/// The longest webhook, in bytes: room for a path that only its owner can guess.
pub const WEBHOOK_BYTES_MAX: usize = 512;
/// The largest notification, and the largest answer to a challenge that is read, in bytes.
pub const NOTIFICATION_BYTES_MAX: usize = 4 * 1024;

const JSON: &str = "application/json";

open_enum! {
    /// What happened. Of an unknown one: read the booking or entry again.
    NotificationKind {
        /// Nothing: whether somebody there wants to hear of anything (NOTE-004).
        Challenge = "challenge",
        /// Seats are booked.
        BookingConfirmed = "booking_confirmed",
        /// What was due is paid.
        BookingPaid = "booking_paid",
        /// Some of its tickets, or all, are cancelled.
        BookingCancelled = "booking_cancelled",
        /// Money went back.
        BookingRefunded = "booking_refunded",
        /// Nobody paid in time: it is over.
        BookingLapsed = "booking_lapsed",
        /// It was made in exchange for tickets of another one.
        BookingExchanged = "booking_exchanged",
        /// Its screening is at another time, in another hall, of another film, or does not take place.
        ScreeningChanged = "screening_changed",
        /// Seats are offered to a party in line, until `expires_at`.
        WaitlistOffer = "waitlist_offer",
    }
}

/// A notification. What it is about is read at `origin`, with the secret that it was bought with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Notification {
    /// Its name: the same, however often it is sent.
    pub id: NotificationId,
    /// What happened.
    pub kind: NotificationKind,
    /// Who says so.
    pub origin: Origin,
    /// When it happened.
    pub at: Timestamp,
    /// At which screening.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub screening: Option<ScreeningId>,
    /// To which booking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub booking: Option<BookingId>,
    /// To which party in line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waitlist_entry: Option<WaitlistEntryId>,
    /// The hold that is offered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<HoldId>,
    /// Until when it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Of a challenge: what to answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub nonce: Option<String>,
}

/// The answer to a challenge. Its member has another name than the challenge's: who sends back whatever comes has not said yes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChallengeAnswer {
    /// The nonce that was sent.
    #[schemars(length(max = 64))]
    pub answer: String,
}

impl ChallengeAnswer {
    /// Reads an answer, if it is one.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        json::read(bytes, NOTIFICATION_BYTES_MAX, Numbers::Any).ok()
    }
}

/// Why a text is no webhook.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookError {
    /// It is long, or has other characters.
    #[error("a webhook is a URL in visible ASCII of at most {WEBHOOK_BYTES_MAX} bytes")]
    NotPlain,
    /// It is written in a way in which it is not sent.
    #[error("a webhook is written as it is sent: {0}")]
    NotAsSent(String),
    /// A fragment is never sent.
    #[error("a webhook has no fragment: what follows # is never sent")]
    Fragment,
    /// Its host is none that is sent to.
    #[error(transparent)]
    Origin(#[from] OriginError),
}

/// An address for machines.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Webhook {
    url: Url,
    origin: Origin,
}

impl Webhook {
    /// Reads a webhook (NOTE-001).
    ///
    /// # Errors
    /// When it is no URL of a host as `policy` lets in, or is written as no client would send it.
    pub fn parse(text: &str, policy: OriginPolicy) -> Result<Self, WebhookError> {
        if text.len() > WEBHOOK_BYTES_MAX || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(WebhookError::NotPlain);
        }
        let url = Url::parse(text).map_err(|_| OriginError::NotAUrl)?;
        if url.fragment().is_some() {
            return Err(WebhookError::Fragment);
        }
        let origin = Origin::of(&url, policy)?;
        // One spelling: what is known of an address is found by it.
        if text != url.as_str() && text != origin.as_str() {
            return Err(WebhookError::NotAsSent(url.to_string()));
        }
        Ok(Self { url, origin })
    }

    /// As it is asked.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    /// Whose it is.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }
}

impl fmt::Display for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A notification as it is sent: a `POST` of `body`, as JSON, with these fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// `Idempotency-Key`: the notification's id.
    pub idempotency_key: String,
    /// `Content-Type` and `Content-Digest`
    pub content: Content,
    /// `Signature-Input` and `Signature`
    pub fields: SignatureFields,
    /// The notification.
    pub body: Vec<u8>,
}

/// Why a request is no notification of a cinema's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeliveryError {
    /// It is not signed as it must be.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// Another key signed it, which says nothing.
    #[error("signed by another key than the cinema's identity key")]
    AnotherKey,
    /// The body is not what was signed.
    #[error("the body is not the one whose digest was signed")]
    AnotherBody,
    /// The body cannot be read.
    #[error("no notification: {0}")]
    Unreadable(String),
    /// It is signed under another id.
    #[error("its Idempotency-Key is not its id")]
    AnotherId,
}

impl Delivery {
    /// Signs a notification for a webhook, from now on for five minutes. The nonce is as [`Signing::sign`] wants it.
    ///
    /// # Panics
    /// When the nonce has other characters.
    #[must_use]
    pub fn new(
        webhook: &Webhook,
        notification: &Notification,
        identity: &SecretKey,
        now: Timestamp,
        nonce: &str,
    ) -> Self {
        let body = serde_json::to_vec(notification).expect("wire types serialise");
        let content = Content::of(JSON, &body);
        let idempotency_key = notification.id.to_string();
        let fields = asked(webhook, &content, &idempotency_key).sign(identity, WEBHOOK_TAG, now, nonce);
        Self { idempotency_key, content, fields, body }
    }

    /// What a request that came to `webhook` says, if the cinema with this identity key signed it for there (NOTE-003). Whether the
    /// key is that of its `origin`, its manifest says.
    ///
    /// # Errors
    /// When it is not signed so, or is no notification.
    pub fn verify(
        &self,
        webhook: &Webhook,
        identity: &PublicKey,
        now: Timestamp,
    ) -> Result<Notification, DeliveryError> {
        let asked = asked(webhook, &self.content, &self.idempotency_key);
        if asked.verify(&self.fields, WEBHOOK_TAG, now)? != *identity {
            return Err(DeliveryError::AnotherKey);
        }
        if !self.content.fits(&self.body) {
            return Err(DeliveryError::AnotherBody);
        }
        let said: Notification = json::read(&self.body, NOTIFICATION_BYTES_MAX, Numbers::Any)
            .map_err(|e| DeliveryError::Unreadable(e.to_string()))?;
        if said.id.as_str() != self.idempotency_key {
            return Err(DeliveryError::AnotherId);
        }
        Ok(said)
    }
}

/// What is signed of it.
fn asked<'a>(webhook: &'a Webhook, content: &'a Content, id: &'a str) -> Signing<'a> {
    Signing {
        method: "POST",
        authority: webhook.origin.authority(),
        path: webhook.url.path(),
        query: webhook.url.query(),
        content: Some(content),
        idempotency_key: Some(id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use OriginPolicy::{Loopback, Public};

    const NONCE: &str = "6vWEuyCzgQN3kyGH";

    fn now() -> Timestamp {
        "2026-11-21T12:00:00Z".parse().expect("instant")
    }
    fn identity() -> SecretKey {
        SecretKey::from_seed(&[7; 32])
    }
    fn webhook() -> Webhook {
        Webhook::parse("https://app.example/admit?user=7", Public).expect("a webhook")
    }
    fn notification() -> Notification {
        Notification {
            id: "n1".parse().expect("id"),
            kind: NotificationKind::BookingPaid,
            origin: Origin::parse("https://kino.example", Public).expect("origin"),
            at: now(),
            screening: Some("s1".parse().expect("id")),
            booking: Some("b1".parse().expect("id")),
            waitlist_entry: None,
            hold: None,
            expires_at: None,
            nonce: None,
        }
    }
    fn delivery() -> Delivery {
        Delivery::new(&webhook(), &notification(), &identity(), now(), NONCE)
    }
    fn heard(delivery: &Delivery) -> Result<Notification, DeliveryError> {
        delivery.verify(&webhook(), &identity().public(), now())
    }

    #[test]
    fn what_was_signed_is_heard_note_003() {
        assert_eq!(heard(&delivery()), Ok(notification()));
    }

    #[test]
    fn what_another_signed_or_changed_is_not_heard_note_003() {
        let another = Delivery::new(&webhook(), &notification(), &SecretKey::from_seed(&[8; 32]), now(), NONCE);
        assert_eq!(heard(&another), Err(DeliveryError::AnotherKey));
        let changed = Delivery { body: b"{}".to_vec(), ..delivery() };
        assert_eq!(heard(&changed), Err(DeliveryError::AnotherBody));
        let again = Delivery { idempotency_key: "n2".into(), ..delivery() };
        assert!(matches!(heard(&again), Err(DeliveryError::Signature(_))));
        let elsewhere = Webhook::parse("https://other.example/admit?user=7", Public).expect("a webhook");
        assert!(delivery().verify(&elsewhere, &identity().public(), now()).is_err());
        let late = now() + jiff::SignedDuration::from_secs(300);
        assert!(delivery().verify(&webhook(), &identity().public(), late).is_err());
    }

    #[test]
    fn a_buyers_signature_is_no_webhooks_note_003() {
        let Delivery { idempotency_key, content, body, .. } = delivery();
        let fields =
            asked(&webhook(), &content, &idempotency_key).sign(&identity(), crate::signature::BUYER_TAG, now(), NONCE);
        assert!(matches!(
            heard(&Delivery { idempotency_key, content, fields, body }),
            Err(DeliveryError::Signature(_))
        ));
    }

    #[test]
    fn an_address_for_machines_is_on_the_public_network_note_001() {
        let long = format!("https://app.example/{}", "a".repeat(493));
        for bad in [
            "",
            "app.example",
            "http://app.example/",
            "https://app.example:8443/",
            "https://anna@app.example/",
            "https://192.0.2.7/",
            "https://localhost/",
            "https://app.example/#top",
            "https://app.example/a b",
            "https://app.example/é",
            "https://App.example/",
            "https://app.example:443/",
            "https://app.example/a/../b",
            "https:/app.example/",
            "https://%61pp.example/",
            "http://127.0.0.1:80x/",
            &long,
        ] {
            assert!(Webhook::parse(bad, Public).is_err() && Webhook::parse(bad, Loopback).is_err(), "{bad}");
        }
        assert!(Webhook::parse("http://127.0.0.1:4711/hook", Public).is_err());
        assert!(Webhook::parse("http://127.0.0.1:4711/hook", Loopback).is_ok());
        assert!(Webhook::parse(&long[..512], Public).is_ok());
        let bare = Webhook::parse("https://app.example", Public).expect("a webhook");
        assert_eq!(bare.as_str(), "https://app.example/");
    }
}

//! Bringing notifications to webhooks.

use std::fmt;
use std::sync::Arc;

use admit_protocol::notification::{ChallengeAnswer, Delivery, NOTIFICATION_BYTES_MAX, Webhook, WebhookError};
use admit_protocol::origin::OriginPolicy;
use reqwest::dns::Resolve;

use crate::global::global_only;
use crate::{CONNECT_TIMEOUT, TIMEOUT};

/// Brings notifications to webhooks, and says nothing of what they answer but whether they did.
#[derive(Clone)]
pub struct Courier {
    http: reqwest::Client,
    origins: OriginPolicy,
}

impl fmt::Debug for Courier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Courier").field("origins", &self.origins).finish_non_exhaustive()
    }
}

/// TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("TLS cannot be set up: {0}")]
pub struct SetupError(String);

/// What a webhook said to a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// It has it (2xx).
    Taken,
    /// It wants no more (410).
    Gone,
    /// Something else, or nothing in time: it is to be tried again.
    Nothing,
}

impl Courier {
    /// A courier to the hosts that `origins` lets in; names are looked up by `resolver`, or by the system's.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(origins: OriginPolicy, resolver: Option<Arc<dyn Resolve>>) -> Result<Self, SetupError> {
        // Whoever came first has chosen; all our crates choose ring.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .no_proxy()
            .dns_resolver(global_only(resolver))
            .user_agent(concat!("admit/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| SetupError(e.to_string()))?;
        Ok(Self { http, origins })
    }

    /// Reads a webhook that this courier would go to.
    ///
    /// # Errors
    /// As [`Webhook::parse`].
    pub fn webhook(&self, text: &str) -> Result<Webhook, WebhookError> {
        Webhook::parse(text, self.origins)
    }

    /// Where it goes.
    #[must_use]
    pub fn origins(&self) -> OriginPolicy {
        self.origins
    }

    /// Brings it there.
    pub async fn bring(&self, webhook: &Webhook, delivery: &Delivery) -> Said {
        match self.send(webhook, delivery).await {
            Some(response) if response.status().is_success() => Said::Taken,
            Some(response) if response.status() == reqwest::StatusCode::GONE => Said::Gone,
            _ => Said::Nothing,
        }
    }

    /// Brings a challenge there: taken is what is answered with `nonce` (NOTE-004).
    pub async fn challenge(&self, webhook: &Webhook, delivery: &Delivery, nonce: &str) -> Said {
        let Some(mut response) = self.send(webhook, delivery).await else { return Said::Nothing };
        match response.status() {
            reqwest::StatusCode::GONE => return Said::Gone,
            reqwest::StatusCode::OK => {}
            _ => return Said::Nothing,
        }
        let mut bytes = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            if bytes.len() + chunk.len() > NOTIFICATION_BYTES_MAX {
                return Said::Nothing;
            }
            bytes.extend_from_slice(&chunk);
        }
        let answer = ChallengeAnswer::read(&bytes);
        if answer.is_some_and(|answer| answer.nonce == nonce) { Said::Taken } else { Said::Nothing }
    }

    async fn send(&self, webhook: &Webhook, delivery: &Delivery) -> Option<reqwest::Response> {
        let Delivery { idempotency_key, content, fields, body } = delivery;
        let request = self
            .http
            .post(webhook.as_str())
            .header("content-type", &content.media_type)
            .header("content-digest", &content.digest)
            .header("idempotency-key", idempotency_key)
            .header("signature-input", &fields.input)
            .header("signature", &fields.signature)
            .body(body.clone());
        request.send().await.ok()
    }
}

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
    /// Something else: it is to be tried again.
    Refused,
    /// Nothing, within the time there is: whoever else is there would not hear, either.
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
            Ok(response) if response.status().is_success() => Said::Taken,
            Ok(response) if response.status() == reqwest::StatusCode::GONE => Said::Gone,
            Ok(_) => Said::Refused,
            Err(_) => Said::Nothing,
        }
    }

    /// Brings a challenge there: taken is what is answered with `nonce` (NOTE-004).
    pub async fn challenge(&self, webhook: &Webhook, delivery: &Delivery, nonce: &str) -> Said {
        let Ok(mut response) = self.send(webhook, delivery).await else { return Said::Nothing };
        match response.status() {
            reqwest::StatusCode::GONE => return Said::Gone,
            reqwest::StatusCode::OK => {}
            _ => return Said::Refused,
        }
        let mut bytes = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            if bytes.len() + chunk.len() > NOTIFICATION_BYTES_MAX {
                return Said::Refused;
            }
            bytes.extend_from_slice(&chunk);
        }
        let answer = ChallengeAnswer::read(&bytes);
        if answer.is_some_and(|said| said.answer == nonce) { Said::Taken } else { Said::Refused }
    }

    async fn send(&self, webhook: &Webhook, delivery: &Delivery) -> Result<reqwest::Response, reqwest::Error> {
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
        request.send().await
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::net::SocketAddr;

    use admit_protocol::key::SecretKey;
    use admit_protocol::notification::{Notification, NotificationKind};
    use admit_protocol::origin::Origin;
    use reqwest::dns::{Addrs, Name, Resolving};

    use super::*;
    use crate::NotGlobal;

    /// Says that every name is at this address.
    struct Everything(SocketAddr);

    impl Resolve for Everything {
        fn resolve(&self, _: Name) -> Resolving {
            let addresses: Addrs = Box::new([self.0].into_iter());
            Box::pin(async move { Ok(addresses) })
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_into_a_network_is_not_gone_to_note_005() {
        for inside in ["127.0.0.1:0", "169.254.169.254:0", "[::1]:0", "[64:ff9b::a00:1]:0"] {
            let resolver = Arc::new(Everything(inside.parse().expect("an address")));
            let courier = Courier::new(OriginPolicy::Public, Some(resolver)).expect("a courier");
            let webhook = courier.webhook("https://app.example/hook").expect("a webhook");
            let now = "2026-11-21T12:00:00Z".parse().expect("instant");
            let challenge = Notification {
                id: "n1".parse().expect("id"),
                kind: NotificationKind::Challenge,
                origin: Origin::parse("https://kino.example", OriginPolicy::Public).expect("origin"),
                at: now,
                screening: None,
                booking: None,
                waitlist_entry: None,
                hold: None,
                expires_at: None,
                nonce: None,
            };
            let delivery =
                Delivery::new(&webhook, &challenge, &SecretKey::from_seed(&[7; 32]), now, "0123456789abcdef");
            let error = courier.send(&webhook, &delivery).await.expect_err(inside);
            let (mut cause, mut found) = (error.source(), false);
            while let Some(inner) = cause {
                found |= inner.downcast_ref::<NotGlobal>().is_some();
                cause = inner.source();
            }
            assert!(found, "{inside}: {error:?}");
        }
    }
}

//! How who buys or waits is told what becomes of it.

use admit_client::Server;
use admit_protocol::booking::Buyer;
use admit_protocol::capability::Capability;
use admit_protocol::notification::Webhook;
use admit_protocol::origin::OriginPolicy;
use anyhow::{Context as _, ensure};
use clap::Args;

use crate::folder::read_email;

#[derive(Args, Debug, Clone, Default)]
pub(crate) struct Reached {
    /// Where the cinema writes to, once it sends mail.
    #[arg(long)]
    email: Option<String>,
    /// A URL of an app's server, which the cinema tells what becomes of it.
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
}

impl Reached {
    /// As somebody said it before.
    pub(crate) fn of(buyer: Option<&Buyer>) -> Self {
        buyer.map(|buyer| Self { email: buyer.email.clone(), webhook: buyer.webhook.clone() }).unwrap_or_default()
    }

    /// Itself, if this server can reach it.
    pub(crate) fn check(&self, server: &Server) -> anyhow::Result<Self> {
        let email = self.email.as_deref().map(read_email).transpose()?;
        if let Some(webhook) = &self.webhook {
            let (origin, tells) = (server.origin(), server.manifest().offers(Capability::Notifications));
            ensure!(tells, "{origin} tells no webhooks: leave --webhook out");
            let origins = if origin.is_loopback() { OriginPolicy::Loopback } else { OriginPolicy::Public };
            Webhook::parse(webhook, origins).with_context(|| format!("--webhook {webhook}"))?;
        }
        Ok(Self { email, webhook: self.webhook.clone() })
    }

    /// What is said of who buys, if anything is.
    pub(crate) fn buyer(&self, name: Option<&str>) -> Option<Buyer> {
        let Self { email, webhook } = self.clone();
        let said = email.is_some() || webhook.is_some() || name.is_some();
        said.then(|| Buyer { name: name.map(str::to_owned), email, webhook, ..Buyer::default() })
    }
}

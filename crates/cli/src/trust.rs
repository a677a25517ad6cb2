//! Somebody says that a cinema's new keys are its own.

use admit_client::Wallet;
use clap::Args;
use serde_json::json;

use crate::{Context, find, show};

/// Believe a cinema's new keys.
///
/// A server whose keys are not the ones you met is not believed: somebody may be in its place. Where the cinema has told you by another
/// way, at its counter or by telephone, that it has new ones, say so here.
#[derive(Args)]
pub(crate) struct Trust {
    /// The cinema's server.
    server: String,
    /// Do it without asking.
    #[arg(long)]
    yes: bool,
}

impl Trust {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = find::client(context)?;
        let wallet = Wallet::open(&context.wallet())?;
        let (known, server) = (wallet.known(&client, &self.server)?, client.server_at(&self.server, None).await?);
        let (before, now) = (known.map(|known| known.identity.id()), server.known().identity.id());
        if !context.json {
            if let Some(before) = before {
                show::line(&format!("you met it as  {before}"));
            }
            show::line(&format!("now it is      {now}"));
        }
        if !self.yes {
            show::agree("are these its own keys?", &mut show::Stop::listen()?, "--yes").await?;
        }
        wallet.trust(&server)?;
        if context.json {
            return show::json(&json!({"server": server.origin(), "before": before, "now": now}));
        }
        show::line(&format!("{} is believed by these keys from now on", server.origin()));
        if let Some(to) = &server.manifest().moved_to {
            show::line(&format!("it says that it is at {to} now: if that is not believed, ask about it, too"));
        }
        Ok(())
    }
}

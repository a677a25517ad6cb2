//! The file with secrets and bookings, itself.

use admit_client::Wallet;
use clap::Subcommand;
use serde_json::json;

use crate::{Context, show};

#[derive(Subcommand)]
pub(crate) enum WalletCommand {
    /// A key of your own, the same at every cinema, in place of a secret for each purchase.
    ///
    /// With secrets, no two purchases can be told to be yours. With a key, each request is signed and the key itself is never sent; a cinema
    /// sees that the same person comes again.
    Key {
        /// Make one, if there is none yet: what you buy from now on is bought with it, where a cinema takes it.
        #[arg(long)]
        new: bool,
    },
}

impl WalletCommand {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let Self::Key { new } = self;
        let wallet = Wallet::open(&context.wallet())?;
        let key = if new { Some(wallet.make_key()?) } else { wallet.key()? };
        if context.json {
            return show::json(&json!({"key": key}));
        }
        show::line(&match key {
            Some(key) => format!("this wallet has the key {}: keep the file, and give it to nobody", key.id()),
            None => "this wallet has no key: each purchase has a secret of its own (--new makes a key)".to_owned(),
        });
        Ok(())
    }
}

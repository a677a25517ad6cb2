//! The keys of a server: which there are, and what is done where one is lost, or in wrong hands.

use std::path::PathBuf;
use std::sync::Arc;

use admit_protocol::key::KeyId;
use admit_protocol::manifest::TicketKey;
use admit_server::keys::KeyRing;
use admit_server::store::StaffStore;
use anyhow::ensure;
use clap::Subcommand;
use jiff::Timestamp;
use serde_json::json;

use crate::cinema::note;
use crate::folder::Folder;
use crate::{Context, show};

#[derive(Subcommand)]
pub(crate) enum KeysCommand {
    /// Which keys there are, and what each of them does.
    List {
        /// The folder of a cinema or an index.
        folder: PathBuf,
    },
    /// A new ticket key before its time. It is listed from the next start on, and signs a week later.
    Renew {
        /// The folder. Its server must not be running.
        folder: PathBuf,
    },
    /// A ticket key is in wrong hands: what it signed opens no door from now on. Buyers' tickets are signed by another one when they
    /// are read again.
    Revoke {
        /// The folder. Its server must not be running.
        folder: PathBuf,
        /// The key, as `admit keys list` names it.
        // One name in 64 begins with `-`.
        #[arg(allow_hyphen_values = true)]
        key: KeyId,
    },
    /// The identity key is lost, or in wrong hands: a new one in its place, by the word of the recovery key. Apps and indexes go on
    /// without asking, and believe the old one no more.
    ReplaceIdentity {
        /// The folder of a cinema or an index. Its server must not be running.
        folder: PathBuf,
        /// The recovery key: the file `recovery.json` that was put away when the folder was made.
        #[arg(long)]
        recovery: PathBuf,
    },
}

/// A folder that nobody sells from meanwhile: held, as long as this is.
enum Alone {
    Cinema(Arc<dyn StaffStore>),
    Index(#[expect(dead_code, reason = "held")] Box<admit_index::SqliteStore>),
}

impl Alone {
    fn with(folder: &Folder) -> anyhow::Result<Self> {
        // An index has no rules of the house, also where it was never served yet.
        Ok(match folder.server()?.rules.is_none() {
            true => Self::Index(Box::new(admit_index::SqliteStore::open(&folder.0)?)),
            false => Self::Cinema(folder.cinema_store_alone()?),
        })
    }

    /// Notes what was done, where there is a book for that.
    fn note(&self, did: &str, key: KeyId) -> anyhow::Result<()> {
        match self {
            Self::Cinema(store) => note(&**store, did, key.to_string()),
            Self::Index(_) => Ok(()),
        }
    }
}

impl KeysCommand {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let now = Timestamp::now();
        match self {
            Self::List { folder } => list(&KeyRing::open(&Folder(folder).file("keys"))?, now, context),
            Self::Renew { folder } => {
                let folder = Folder(folder);
                let alone = Alone::with(&folder)?;
                let mut keys = folder.keys()?;
                keys.add_and_keep(now)?;
                if let Some((key, _)) = keys.ticket.last() {
                    alone.note("renew_ticket_key", key.public().id())?;
                }
                list(&keys, now, context)
            }
            Self::Revoke { folder, key } => {
                let folder = Folder(folder);
                let alone = Alone::with(&folder)?;
                let mut keys = folder.keys()?;
                let revoked = keys.revoke_and_keep(key, now)?;
                ensure!(revoked, "{key} is no ticket key that is believed: see `admit keys list`");
                alone.note("revoke_ticket_key", key)?;
                if !context.json {
                    show::line(&format!("{key} is revoked: what it signed opens no door once the server runs again"));
                    show::line("buyers read their tickets again, and get them by the key that signs now");
                }
                list(&keys, now, context)
            }
            Self::ReplaceIdentity { folder, recovery } => {
                let folder = Folder(folder);
                let alone = Alone::with(&folder)?;
                let origin = folder.server()?.origin;
                let recovery = KeyRing::read_recovery_key(&recovery)?;
                let keys = KeyRing::replace_identity(&folder.file("keys"), &origin, &recovery)?;
                alone.note("replace_identity", keys.identity.public().id())?;
                if !context.json {
                    show::line(&format!("{origin} is {} from its next start on", keys.identity.public().id()));
                    show::line("apps and indexes that know it go on without asking; the old key is believed no more");
                    show::line("put the recovery key away again: off this machine");
                }
                list(&keys, now, context)
            }
        }
    }
}

fn list(keys: &KeyRing, now: Timestamp, context: &Context) -> anyhow::Result<()> {
    let public = keys.public();
    if context.json {
        let id = |key: &TicketKey| json!({"id": key.key.id(), "listed": key});
        return show::json(&json!({
            "identity": public.identity.id(),
            "recovery": public.recovery.id(),
            "replaced": public.succession.is_some(),
            "ticket": public.ticket.iter().map(id).collect::<Vec<_>>(),
        }));
    }
    let day = |at: Timestamp| at.strftime("%Y-%m-%d").to_string();
    let of_tickets = |key: &TicketKey| match key {
        TicketKey { revoked_at: Some(since), .. } => format!("revoked on {}: opens no door", day(*since)),
        TicketKey { signs_from, .. } if *signs_from > now => format!("signs tickets from {} on", day(*signs_from)),
        TicketKey { signs_until, verify_until, .. } if *signs_until <= now => {
            format!("signs no more; its tickets are good until {}", day(*verify_until))
        }
        TicketKey { signs_until, verify_until, .. } => {
            format!("signs tickets until {}, good until {}", day(*signs_until), day(*verify_until))
        }
    };
    let identity = match public.succession {
        Some(_) => "signs the manifest; put there by the recovery key",
        None => "signs the manifest",
    };
    let row = |kind: &str, key: KeyId, does: String| vec![kind.to_owned(), key.to_string(), does];
    let mut rows = vec![
        row("identity", public.identity.id(), identity.into()),
        row("recovery", public.recovery.id(), "replaces the identity key; kept elsewhere".into()),
    ];
    rows.extend(public.ticket.iter().map(|key| row("ticket", key.key.id(), of_tickets(key))));
    show::table(&["key", "name", "what it does"], &rows);
    Ok(())
}

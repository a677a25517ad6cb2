//! The data folder of a server: its settings, its keys, its store.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use admit_index::Settings;
use admit_protocol::booking::Buyer;
use admit_protocol::digest::sha256;
use admit_protocol::manifest::Contact;
use admit_protocol::origin::{Origin, OriginPolicy};
use admit_protocol::text::Texts;
use admit_server::HouseRules;
use admit_server::keys::KeyRing;
use admit_server::store::StaffStore;
use admit_server::store::postgres::PostgresStore;
use admit_server::store::sqlite::SqliteStore;
use anyhow::{Context as _, bail, ensure};
use clap::Args;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{Context, show};

/// `server.toml` of a cinema or an index. A key that is not known is an error: a typo must not be silently ignored.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerFile {
    /// Where the world reaches it.
    pub(crate) origin: Origin,
    /// Where it listens. Behind a proxy that speaks TLS this is an address of this machine.
    pub(crate) listen: String,
    /// Where it was before it moved to its origin.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) moved_from: Vec<Origin>,
    /// Who runs it.
    pub(crate) name: String,
    /// How to reach them.
    pub(crate) email: String,
    /// The PostgreSQL that a cinema's data is in; without it, it is in the folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) database: Option<String>,
    /// Proxies whose word about a client's address is believed.
    #[serde(default)]
    pub(crate) trusted_proxies: Vec<std::net::IpAddr>,
    /// Connections from one address; listed proxies may have any number.
    #[serde(default = "sixty_four")]
    pub(crate) connections_per_address: usize,
    /// Memory for the screenings that somebody looks at or buys for, in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) houses_mb: Option<usize>,
    /// Whether a cinema tells webhooks. An index does not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) notifications: bool,
    /// Whether a cinema signs receipts. An index has none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) receipts: bool,
    /// How a cinema sells: how long seats are held, how they are paid. An index has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rules: Option<HouseRules>,
}

fn sixty_four() -> usize {
    64
}

/// Make a folder for a server, with new keys.
#[derive(Args)]
pub(crate) struct Init {
    /// The folder.
    folder: PathBuf,
    /// Where the world reaches the server, such as `https://kino.example`.
    #[arg(long)]
    origin: String,
    /// Where it listens: behind a proxy that speaks TLS, 127.0.0.1:8080 if nothing is said; without one, where its origin is.
    #[arg(long)]
    listen: Option<String>,
    /// Who runs it.
    #[arg(long)]
    name: String,
    /// How to reach them.
    #[arg(long)]
    email: String,
}

impl Init {
    /// Makes the folder; a cinema's has rules.
    pub(crate) fn run(self, context: &Context, rules: Option<HouseRules>) -> anyhow::Result<Folder> {
        let origin = read_origin(&self.origin, context.development)?;
        let here = origin.is_loopback().then(|| origin.authority().to_owned());
        let listen = self.listen.or(here).unwrap_or_else(|| "127.0.0.1:8080".into());
        let (notifications, receipts) = (rules.is_some(), rules.is_some());
        let server = ServerFile {
            notifications,
            receipts,
            rules,
            ..ServerFile::new(origin, listen, self.name, read_email(&self.email)?)
        };
        server.operator()?;
        server.check_listen()?;
        let folder = Folder::init(&self.folder, &server)?;
        if context.json {
            show::json(
                &json!({"folder": folder.0, "origin": server.origin, "recovery_key": folder.file("keys/recovery.json")}),
            )?;
        } else {
            let path = folder.0.display();
            show::line(&format!(
                "{path} is ready. Now move {path}/keys/recovery.json to a safe place off this machine:"
            ));
            show::line("it is only needed if the identity key is lost, and must not be lost with it. Then:");
        }
        Ok(folder)
    }
}

/// A folder that a server lives in.
#[derive(Debug, Clone)]
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    /// Makes a folder with new keys.
    pub(crate) fn init(path: &Path, server: &ServerFile) -> anyhow::Result<Self> {
        let folder = Self(path.to_owned());
        ensure!(!folder.file("server.toml").exists(), "{} is a server's folder already", path.display());
        KeyRing::open_or_create(&folder.file("keys"), Timestamp::now()).context("making keys")?;
        fs::write(folder.file("server.toml"), server.to_commented_toml()?)?;
        Ok(folder)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Copies what is not in the database: keys, for their owner's eyes, and settings.
    pub(crate) fn copy_keys_and_settings(&self, to: &Path) -> anyhow::Result<()> {
        let copy = |from: &Path, to: &Path| {
            // With its rights.
            fs::copy(from, to).map(drop).with_context(|| format!("copying {}", from.display()))
        };
        copy(&self.file("server.toml"), &to.join("server.toml"))?;
        let (from, to) = (self.file("keys"), to.join("keys"));
        fs::create_dir(&to).with_context(|| to.display().to_string())?;
        fs::set_permissions(&to, fs::metadata(&from)?.permissions())?;
        for file in fs::read_dir(&from).with_context(|| from.display().to_string())? {
            let file = file?;
            copy(&file.path(), &to.join(file.file_name()))?;
        }
        Ok(())
    }

    /// The store of the cinema in this folder.
    pub(crate) fn cinema_store(&self) -> anyhow::Result<Arc<dyn StaffStore>> {
        let server = self.server()?;
        ensure!(!self.file("index.sqlite").exists(), "{} is the folder of an index, not of a cinema", self.0.display());
        Ok(match &server.database {
            Some(address) => Arc::new(PostgresStore::open(address)?),
            None => Arc::new(SqliteStore::open(&self.0)?),
        })
    }

    /// As [`Self::cinema_store`], where nobody sells from it meanwhile.
    pub(crate) fn cinema_store_alone(&self) -> anyhow::Result<Arc<dyn StaffStore>> {
        match &self.server()?.database {
            Some(address) => Ok(Arc::new(PostgresStore::open_alone(address)?)),
            None => self.cinema_store(),
        }
    }

    /// Names the database that the data is in, or none: the folder. The rest of `server.toml` stays as it is.
    pub(crate) fn set_database(&self, address: Option<&str>) -> anyhow::Result<()> {
        const MEANING: &str = "# The PostgreSQL that its data is in. Several processes may sell from one.";
        let path = self.file("server.toml");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let kept = |line: &&str| !line.starts_with("database =") && *line != MEANING;
        let mut lines: Vec<String> = text.lines().filter(kept).map(str::to_owned).collect();
        // What was between two empty lines leaves one.
        lines.dedup_by(|line, before| line.is_empty() && before.is_empty());
        if let Some(address) = address {
            // Before the first table: what comes after one belongs to it.
            let at = lines.iter().position(|line| line.starts_with('[')).unwrap_or(lines.len());
            let new = [MEANING.to_owned(), format!("database = {}", toml::Value::from(address)), String::new()];
            lines.splice(at..at, new);
        }
        // What is written is what was meant, or nothing is.
        let text = lines.join("\n") + "\n";
        toml::from_str::<ServerFile>(&text).context("server.toml would not be readable any more")?;
        // It may have a password in it.
        let new = self.file("server.toml.new");
        let mut private = fs::OpenOptions::new();
        private.create(true).write(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut private, 0o600);
        let mut file = private.open(&new).with_context(|| new.display().to_string())?;
        std::io::Write::write_all(&mut file, text.as_bytes()).with_context(|| new.display().to_string())?;
        fs::rename(&new, &path).with_context(|| path.display().to_string())
    }

    /// Who the index in this folder is, and which servers it looks at.
    pub(crate) fn index_settings(&self) -> anyhow::Result<Settings> {
        let server = self.server()?;
        ensure!(
            !self.file("cinema.sqlite").exists(),
            "{} is the folder of a cinema, not of an index",
            self.0.display()
        );
        let keys = self.keys()?;
        let loopback = server.origin.is_loopback();
        Ok(Settings {
            operator: server.operator()?,
            contact: server.contact(),
            origin: server.origin,
            identity: keys.identity,
            recovery: keys.recovery,
            succession: keys.succession,
            origins: if loopback { OriginPolicy::Loopback } else { OriginPolicy::Public },
        })
    }

    pub(crate) fn server(&self) -> anyhow::Result<ServerFile> {
        let path = self.file("server.toml");
        let text = fs::read_to_string(&path).with_context(|| {
            format!(
                "{} is no server's folder (no server.toml): make one with `admit cinema init` or `admit index init`",
                self.0.display()
            )
        })?;
        let unusable = || format!("{} cannot be used", path.display());
        let (read, mut unknown) = (toml::Deserializer::parse(&text).with_context(unusable)?, Vec::new());
        let server: ServerFile =
            serde_ignored::deserialize(read, |member| unknown.push(format!("`{member}`"))).with_context(unusable)?;
        ensure!(unknown.is_empty(), "{}: {} is not known: a typo?", unusable(), unknown.join(", "));
        Ok(server)
    }

    /// The keys, with a new ticket key when the last one nears its end. Every start of the server looks.
    pub(crate) fn keys(&self) -> anyhow::Result<KeyRing> {
        let path = self.file("keys");
        ensure!(path.exists(), "{} is not there: without its keys nobody believes this server", path.display());
        Ok(KeyRing::open_or_create(&path, Timestamp::now())?)
    }
}

/// What the members of `server.toml` mean, for who opens it.
const MEANINGS: &[(&str, &str)] = &[
    (
        "origin",
        "Where the world reaches it. It is the server's name: once announced, it stays, or is moved (docs/moving.md).",
    ),
    ("listen", "Where it listens: behind a proxy that speaks TLS, an address of this machine."),
    ("name", "Who runs it, and how to reach them: shown to buyers."),
    ("database", "The PostgreSQL that its data is in. Several processes may sell from one."),
    ("trusted_proxies", "Addresses of proxies in front of it. Without them all buyers look like one."),
    ("connections_per_address", "Connections from one address; proxies may have any number."),
    (
        "houses_mb",
        "Memory for the screenings that somebody looks at or buys for, in MiB; 192 if nothing is said. A booking takes about 2 KiB.",
    ),
    ("notifications", "Whether apps are told by webhooks what becomes of bookings and waitlist entries."),
    (
        "receipts",
        "Whether buyers get signed receipts, and everybody may read who had which seat when, under names that only owners know.",
    ),
    ("payment_methods", "none: nothing to pay. at_cinema: paid at the counter, in time, or the seats go back on sale."),
    ("waitlist", "Whether parties can wait for seats where there are none."),
    ("offer_ttl_s", "How long what comes free is held for the party that it is offered to, in seconds: 60 to 2700."),
    ("entries_max", "How many parties may wait for one screening."),
    (
        "unpaid_percent_per_network",
        "How many percent of a screening one network may have unpaid, and never less than one whole hold (seats_max); 100 is no limit.",
    ),
    ("ttl_s", "How long seats are held when nothing is asked for, in seconds."),
    ("ttl_min_s", "The shortest and the longest hold that may be asked for, in seconds."),
    ("choosing_max_s", "How long a hold can be extended to in all, in seconds: at most 900."),
    ("seats_max", "Seats in one hold."),
    ("holds_per_buyer", "Holds that one buyer may have at a time."),
];

impl ServerFile {
    /// Itself, with a word above each member.
    fn to_commented_toml(&self) -> anyhow::Result<String> {
        let mut text = "# Read when the server starts.\n".to_owned();
        for line in toml::to_string_pretty(self)?.lines() {
            let member = line.split(" = ").next().unwrap_or_default();
            if let Some((_, meaning)) = MEANINGS.iter().find(|(name, _)| *name == member) {
                text.push_str(&format!("\n# {meaning}\n"));
            }
            text.push_str(line);
            text.push('\n');
        }
        Ok(text)
    }

    pub(crate) fn new(origin: Origin, listen: String, name: String, email: String) -> Self {
        Self {
            origin,
            listen,
            moved_from: vec![],
            name,
            email,
            database: None,
            trusted_proxies: vec![],
            connections_per_address: sixty_four(),
            houses_mb: None,
            notifications: false,
            receipts: false,
            rules: None,
        }
    }

    pub(crate) fn operator(&self) -> anyhow::Result<Texts> {
        Texts::one("und", &self.name).context("the name cannot be used")
    }

    pub(crate) fn contact(&self) -> Contact {
        Contact { email: self.email.clone(), website: None }
    }

    /// Development origins are served to this machine only; public ones need TLS in front.
    pub(crate) fn check_listen(&self) -> anyhow::Result<std::net::SocketAddr> {
        let address: std::net::SocketAddr = self
            .listen
            .parse()
            .with_context(|| format!("listen = {:?} is not an address such as 127.0.0.1:8080", self.listen))?;
        ensure!(self.connections_per_address > 0, "connections_per_address = 0 lets nobody in");
        if self.origin.is_loopback() && !address.ip().is_loopback() {
            bail!("{} is a development address, and {address} is open to others: listen on 127.0.0.1", self.origin);
        }
        Ok(address)
    }
}

/// The address of a new server, as people write it.
pub(crate) fn read_origin(text: &str, development: bool) -> anyhow::Result<Origin> {
    let policy = if development { OriginPolicy::Loopback } else { OriginPolicy::Public };
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let hint = if development { "" } else { " (for http://127.0.0.1:PORT add --development)" };
    Origin::parse(&with_scheme, policy).with_context(|| format!("{text}{hint}"))
}

/// An address that mail can be sent to, as far as one can see.
pub(crate) fn read_email(text: &str) -> anyhow::Result<String> {
    let text = text.trim();
    let buyer = Buyer { email: Some(text.to_owned()), ..Buyer::default() };
    ensure!(buyer.check(OriginPolicy::Public).is_ok(), "{text:?} is no e-mail address, such as box@kino.example");
    Ok(text.to_owned())
}

/// A token for a scanner: 32 random bytes, and the hash that is kept.
pub(crate) fn new_token() -> anyhow::Result<(String, [u8; 32])> {
    let secret = admit_client::Secret::new()?;
    let token = String::from(secret);
    let hash = sha256(&[token.as_bytes()]);
    Ok((token, hash))
}

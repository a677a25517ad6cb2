//! The data folder of a server: its settings, its keys, its store.

use std::fs;
use std::path::{Path, PathBuf};

use admit_index::Settings;
use admit_protocol::digest::sha256;
use admit_protocol::key::SecretKey;
use admit_protocol::manifest::{Contact, TicketKey};
use admit_protocol::origin::{Origin, OriginPolicy};
use admit_protocol::text::Texts;
use admit_server::HouseRules;
use admit_server::keys::{KeyRing, random_key, ticket_key};
use anyhow::{Context as _, bail, ensure};
use clap::Args;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::show;

/// `server.toml` of a cinema or an index. A key that is not known is an error: a typo must not be silently ignored.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerFile {
    /// Where the world reaches it.
    pub(crate) origin: Origin,
    /// Where it listens. Behind a proxy that speaks TLS this is an address of this machine.
    pub(crate) listen: String,
    /// Who runs it.
    pub(crate) name: String,
    /// How to reach them.
    pub(crate) email: String,
    /// Proxies whose word about a client's address is believed.
    #[serde(default)]
    pub(crate) trusted_proxies: Vec<std::net::IpAddr>,
    /// Connections from one address; listed proxies may have any number.
    #[serde(default = "sixty_four")]
    pub(crate) connections_per_address: usize,
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
    /// Where it listens, behind a proxy that speaks TLS.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: String,
    /// Who runs it.
    #[arg(long)]
    name: String,
    /// How to reach them.
    #[arg(long)]
    email: String,
}

impl Init {
    /// Makes the folder; a cinema's has rules.
    pub(crate) fn run(self, development: bool, rules: Option<HouseRules>) -> anyhow::Result<Folder> {
        let origin = read_origin(&self.origin, development)?;
        let server = ServerFile { rules, ..ServerFile::new(origin, self.listen, self.name, self.email) };
        server.operator()?;
        server.check_listen()?;
        let folder = Folder::init(&self.folder, &server)?;
        let path = folder.0.display();
        show::line(&format!("{path} is ready. Now move {path}/keys/recovery.json to a safe place off this machine:"));
        show::line("it is only needed if the identity key is lost, and must not be lost with it. Then:");
        Ok(folder)
    }
}

/// A folder that a server lives in.
#[derive(Debug, Clone)]
pub(crate) struct Folder(pub(crate) PathBuf);

/// A ticket key in its file.
#[derive(Serialize, Deserialize)]
struct TicketKeyFile {
    seed: [u8; 32],
    listed: TicketKey,
}

impl Folder {
    /// Makes a folder with new keys.
    pub(crate) fn init(path: &Path, server: &ServerFile) -> anyhow::Result<Self> {
        let folder = Self(path.to_owned());
        ensure!(!folder.file("server.toml").exists(), "{} is a server's folder already", path.display());
        fs::create_dir_all(folder.file("keys")).with_context(|| format!("making {}", path.display()))?;
        let now = Timestamp::now();
        let (identity, recovery, ticket) = (random_key()?, random_key()?, random_key()?);
        folder.write_secret("keys/identity.json", &identity.seed())?;
        folder.write_secret("keys/recovery.json", &recovery.seed())?;
        fs::write(folder.file("keys/recovery.pub"), recovery.public().to_string())?;
        let tickets = [TicketKeyFile { seed: ticket.seed(), listed: ticket_key(&ticket, now) }];
        folder.write_secret("keys/tickets.json", &tickets)?;
        fs::write(folder.file("server.toml"), toml::to_string_pretty(server)?)?;
        Ok(folder)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Who the index in this folder is, and which servers it looks at.
    pub(crate) fn index_settings(&self) -> anyhow::Result<Settings> {
        let server = self.server()?;
        let keys = self.keys()?;
        let loopback = server.origin.is_loopback();
        Ok(Settings {
            operator: server.operator()?,
            contact: server.contact(),
            origin: server.origin,
            identity: keys.identity,
            recovery: keys.recovery,
            origins: if loopback { OriginPolicy::Loopback } else { OriginPolicy::Public },
        })
    }

    /// For its owner's eyes only.
    fn write_secret<T: Serialize>(&self, name: &str, secret: &T) -> anyhow::Result<()> {
        let path = self.file(name);
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).with_context(|| format!("writing {}", path.display()))?;
        serde_json::to_writer(&file, secret)?;
        file.sync_all()?;
        Ok(())
    }

    fn read<T: serde::de::DeserializeOwned>(&self, name: &str) -> anyhow::Result<T> {
        let path = self.file(name);
        let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        serde_json::from_slice(&bytes).with_context(|| format!("{} is damaged", path.display()))
    }

    pub(crate) fn server(&self) -> anyhow::Result<ServerFile> {
        let path = self.file("server.toml");
        let text = fs::read_to_string(&path).with_context(|| {
            format!(
                "{} is no server's folder (no server.toml): make one with `admit cinema init` or `admit index init`",
                self.0.display()
            )
        })?;
        toml::from_str(&text).with_context(|| format!("{} cannot be used", path.display()))
    }

    fn key(&self, name: &str) -> anyhow::Result<SecretKey> {
        Ok(SecretKey::from_seed(&self.read::<[u8; 32]>(name)?))
    }

    /// The keys, with a new ticket key when the last one nears its end. Every start of the server looks.
    pub(crate) fn renewed_keys(&self) -> anyhow::Result<KeyRing> {
        let mut keys = self.keys()?;
        if keys.renew(Timestamp::now())? {
            let tickets = keys.ticket.iter();
            let tickets: Vec<TicketKeyFile> =
                tickets.map(|(key, listed)| TicketKeyFile { seed: key.seed(), listed: listed.clone() }).collect();
            // Written beside and renamed: a key that signed must never be lost.
            let _ = fs::remove_file(self.file("keys/tickets.new"));
            self.write_secret("keys/tickets.new", &tickets)?;
            fs::rename(self.file("keys/tickets.new"), self.file("keys/tickets.json"))?;
        }
        Ok(keys)
    }

    pub(crate) fn keys(&self) -> anyhow::Result<KeyRing> {
        let path = self.file("keys/recovery.pub");
        let recovery = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let tickets: Vec<TicketKeyFile> = self.read("keys/tickets.json")?;
        Ok(KeyRing {
            identity: self.key("keys/identity.json")?,
            recovery: recovery.trim().parse().context("keys/recovery.pub is damaged")?,
            ticket: tickets.into_iter().map(|t| (SecretKey::from_seed(&t.seed), t.listed)).collect(),
        })
    }
}

impl ServerFile {
    pub(crate) fn new(origin: Origin, listen: String, name: String, email: String) -> Self {
        Self {
            origin,
            listen,
            name,
            email,
            trusted_proxies: vec![],
            connections_per_address: sixty_four(),
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
fn read_origin(text: &str, development: bool) -> anyhow::Result<Origin> {
    let policy = if development { OriginPolicy::Loopback } else { OriginPolicy::Public };
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let hint = if development { "" } else { " (for http://127.0.0.1:PORT add --development)" };
    Origin::parse(&with_scheme, policy).with_context(|| format!("{text}{hint}"))
}

/// A token for a scanner: 32 random bytes, and the hash that is kept.
pub(crate) fn new_token() -> anyhow::Result<(String, [u8; 32])> {
    let secret = admit_client::Secret::new()?;
    let token = String::from(secret);
    let hash = sha256(&[token.as_bytes()]);
    Ok((token, hash))
}

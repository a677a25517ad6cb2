//! What proves that a purchase is yours.

use std::fmt;
use std::str::FromStr;

use admit_protocol::holder::HolderProof;
use admit_protocol::key::{PublicKey, SecretKey};
use admit_protocol::signature::{BUYER_TAG, SignatureFields, Signing};
use admit_protocol::ticket::TicketId;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What proves that a purchase is yours: 256 random bits, fresh for every purchase and never sent to a second server; or your own key,
/// the same at every cinema (capability `buyer_keys`), which signs each request and is never sent at all.
///
/// As text it is 43 characters of base64url, after `key:` if it is a key.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Secret(Proof);

#[derive(Clone)]
enum Proof {
    Bearer(String),
    Key(Box<SecretKey>),
}

/// How a key is told from a secret, as text.
const KEY: &str = "key:";

/// A text that is no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a secret is 32 bytes in base64url, after `key:` if it is a key")]
pub struct NotASecret;

impl Secret {
    /// A new one, from the system's random source.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn new() -> Result<Self, getrandom::Error> {
        Ok(Self(Proof::Bearer(URL_SAFE_NO_PAD.encode(random::<32>()?))))
    }

    /// A new key of a buyer's own, from the system's random source.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn new_key() -> Result<Self, getrandom::Error> {
        Ok(Self(Proof::Key(Box::new(SecretKey::from_seed(&random()?)))))
    }

    /// The public half, if it is a key.
    #[must_use]
    pub fn public(&self) -> Option<PublicKey> {
        match &self.0 {
            Proof::Bearer(_) => None,
            Proof::Key(key) => Some(key.public()),
        }
    }

    /// A proof, for a door, of who holds this ticket (TICK-010); nothing, if it is no key.
    #[must_use]
    pub fn holder_proof(&self, ticket: TicketId, now: Timestamp) -> Option<String> {
        match &self.0 {
            Proof::Bearer(_) => None,
            Proof::Key(key) => HolderProof::sign(ticket, key, now).ok(),
        }
    }

    /// The header fields that prove, for this request, whose it is.
    pub(crate) fn prove(&self, asked: &Signing<'_>, now: Timestamp) -> Result<Vec<Field>, getrandom::Error> {
        let key = match &self.0 {
            Proof::Bearer(secret) => return Ok(vec![("authorization", format!("Bearer {secret}"))]),
            Proof::Key(key) => key,
        };
        let SignatureFields { input, signature } =
            asked.sign(key, BUYER_TAG, now, &URL_SAFE_NO_PAD.encode(random::<16>()?));
        let digest = asked.content.map(|content| ("content-digest", content.digest.clone()));
        Ok(digest.into_iter().chain([("signature-input", input), ("signature", signature)]).collect())
    }
}

/// A header field.
pub(crate) type Field = (&'static str, String);

fn random<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        String::from(self.clone()) == String::from(other.clone())
    }
}
impl Eq for Secret {}
impl FromStr for Secret {
    type Err = NotASecret;
    fn from_str(text: &str) -> Result<Self, NotASecret> {
        let (key, encoded) = text.strip_prefix(KEY).map_or((false, text), |rest| (true, rest));
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| NotASecret)?;
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| NotASecret)?;
        Ok(Self(if key {
            Proof::Key(Box::new(SecretKey::from_seed(&bytes)))
        } else {
            Proof::Bearer(encoded.to_owned())
        }))
    }
}
impl TryFrom<String> for Secret {
    type Error = NotASecret;
    fn try_from(text: String) -> Result<Self, NotASecret> {
        text.parse()
    }
}
impl From<Secret> for String {
    fn from(secret: Secret) -> Self {
        match secret.0 {
            Proof::Bearer(secret) => secret,
            Proof::Key(key) => format!("{KEY}{}", URL_SAFE_NO_PAD.encode(key.seed())),
        }
    }
}
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The `Idempotency-Key` of one effect: made with the wish, kept, and sent again with every try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestKey(String);

impl RequestKey {
    /// A new one, from the system's random source.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn new() -> Result<Self, getrandom::Error> {
        Ok(Self(URL_SAFE_NO_PAD.encode(random::<16>()?)))
    }

    /// The key as text: to be kept wherever an app keeps things.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key is 1 to 128 visible ASCII characters")]
pub struct NotAKey;

impl FromStr for RequestKey {
    type Err = NotAKey;
    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let fits = (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if fits { Ok(Self(text.to_owned())) } else { Err(NotAKey) }
    }
}

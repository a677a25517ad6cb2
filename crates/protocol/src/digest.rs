//! Documents named by what is in them: `sha256-` and the unpadded base64url of SHA-256 over their bytes.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};

/// Why a text names no document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a document is named sha256- and 43 characters of base64url")]
pub struct NameError;

/// The name of an immutable document: a layout, a price table, a page of cinemas.
///
/// Whoever fetches one checks the bytes against the name, so it can be cached for ever and come from anywhere.
///
/// ```
/// use admit_protocol::digest::ContentName;
/// let name = ContentName::of(b"{}");
/// assert_eq!(name.to_string(), "sha256-RBNvo1WzZ4oRRq0W9-hknpT7T8If536DEMBg9hyq_4o");
/// assert!(name.fits(b"{}") && !name.fits(b"{ }"));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentName([u8; 32]);

impl ContentName {
    /// Names `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Whether `bytes` are the document of this name.
    #[must_use]
    pub fn fits(&self, bytes: &[u8]) -> bool {
        Self::of(bytes) == *self
    }

    /// The digest itself.
    #[must_use]
    pub fn digest(&self) -> &[u8; 32] {
        &self.0
    }

    /// The document with this digest.
    #[must_use]
    pub fn from_digest(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

impl FromStr for ContentName {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let digest = text.strip_prefix("sha256-").ok_or(NameError)?;
        let bytes = URL_SAFE_NO_PAD.decode(digest).map_err(|_| NameError)?;
        bytes.try_into().map(Self).map_err(|_| NameError)
    }
}
impl fmt::Display for ContentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256-{}", URL_SAFE_NO_PAD.encode(self.0))
    }
}
impl fmt::Debug for ContentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl Serialize for ContentName {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for ContentName {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(de::Error::custom)
    }
}
impl JsonSchema for ContentName {
    fn schema_name() -> Cow<'static, str> {
        "ContentName".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^sha256-[A-Za-z0-9_-]{43}$",
            "description": "sha256- and the unpadded base64url of SHA-256 over the document's bytes.",
        })
    }
}

/// SHA-256 of several parts, one after another.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// HMAC-SHA-256 (RFC 2104) of several parts, one after another: who does not have the key cannot make it.
///
/// # Panics
/// Never: a key may be of any length.
#[must_use]
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    for part in parts {
        hmac.update(part);
    }
    hmac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_written_one_way() {
        let name = ContentName::of(b"x").to_string();
        assert_eq!(name.parse(), Ok(ContentName::of(b"x")));
        for bad in [name.replace("sha256-", "sha512-"), format!("{name}="), name[..49].to_owned(), String::new()] {
            assert_eq!(bad.parse::<ContentName>(), Err(NameError), "{bad}");
        }
        // The last character of 43 carries 4 bits; any other value of the spare 2 would be a second name.
        let tail = if name.ends_with('9') { '8' } else { '9' };
        let other = format!("{}{tail}", &name[..name.len() - 1]);
        assert_ne!(other.parse(), Ok(ContentName::of(b"x")));
    }
}

//! Ed25519 keys (RFC 8032). Every check is `verify_strict`: small-order keys and non-canonical points are refused.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::digest::sha256;

/// Why bytes are not a key, or a signature does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A key is 32 bytes in unpadded base64url.
    #[error("a key is 43 characters of base64url")]
    Malformed,
    /// The bytes are no point of the curve, or a weak one.
    #[error("not a usable Ed25519 public key")]
    Weak,
    /// The signature was made by another key or over other bytes.
    #[error("the signature does not fit")]
    Mismatch,
}

/// A public key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Reads the 32 bytes of a key.
    ///
    /// # Errors
    /// When they are no point of the curve, or one of small order, with which one signature fits many messages.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::Weak)?;
        if key.is_weak() { Err(KeyError::Weak) } else { Ok(Self(key)) }
    }

    /// The 32 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// Checks a signature over the very bytes that were signed.
    ///
    /// # Errors
    /// When it does not fit, or is one of the forms that `verify_strict` refuses.
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> Result<(), KeyError> {
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        self.0.verify_strict(message, &signature).map_err(|_| KeyError::Mismatch)
    }

    /// The RFC 7638 thumbprint: SHA-256 of the key as a JWK in its one form. A buyer who comes with a key is known by it.
    #[must_use]
    pub fn thumbprint(&self) -> [u8; 32] {
        sha256(&[format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{self}"}}"#).as_bytes()])
    }

    /// The name of this key: the first 16 bytes of SHA-256 of the 32 bytes.
    #[must_use]
    pub fn id(&self) -> KeyId {
        let digest = sha256(&[&self.to_bytes()]);
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        KeyId(id)
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| KeyError::Malformed)?;
        Self::from_bytes(&bytes.try_into().map_err(|_| KeyError::Malformed)?)
    }
}
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.to_bytes()))
    }
}
impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}
impl JsonSchema for PublicKey {
    fn schema_name() -> Cow<'static, str> {
        "PublicKey".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[A-Za-z0-9_-]{43}$",
            "description": "An Ed25519 public key: 32 bytes in unpadded base64url.",
        })
    }
}

/// The name of a key: a hint which one to try, never fetched and never believed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 16]);

impl KeyId {
    /// The first 8 bytes, as tickets carry them.
    #[must_use]
    pub fn short(&self) -> [u8; 8] {
        let mut short = [0; 8];
        short.copy_from_slice(&self.0[..8]);
        short
    }
}

impl FromStr for KeyId {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| KeyError::Malformed)?;
        bytes.try_into().map(Self).map_err(|_| KeyError::Malformed)
    }
}
impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}
impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl Serialize for KeyId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for KeyId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}
impl JsonSchema for KeyId {
    fn schema_name() -> Cow<'static, str> {
        "KeyId".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[A-Za-z0-9_-]{22}$" })
    }
}

/// A private key. Wiped from memory when dropped, and never shown by `Debug`.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// The key of this 32-byte seed, which the caller took from the system's random source.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The seed, to be kept in a file that only the operator reads.
    #[must_use]
    pub fn seed(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The other half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs these bytes. The caller has bound the kind of object into them.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.public().id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_fits_its_bytes_and_its_key_only() {
        let key = SecretKey::from_seed(&[7; 32]);
        let signature = key.sign(b"seat A-1");
        assert_eq!(key.public().verify(b"seat A-1", &signature), Ok(()));
        assert_eq!(key.public().verify(b"seat A-2", &signature), Err(KeyError::Mismatch));
        let other = SecretKey::from_seed(&[8; 32]).public();
        assert_eq!(other.verify(b"seat A-1", &signature), Err(KeyError::Mismatch));
    }

    #[test]
    fn what_only_fits_the_equation_is_no_signature() {
        let vectors = include_str!("../../../spec/v1/vectors/signatures.json");
        let vectors: serde_json::Value = serde_json::from_str(vectors).expect("json");
        let bytes = |text: &serde_json::Value| -> Vec<u8> {
            let text = text.as_str().expect("a text");
            (0..text.len() / 2).map(|n| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).expect("hex")).collect()
        };
        for case in vectors["signatures"].as_array().expect("cases") {
            let input = &case["input"];
            let key = PublicKey::from_bytes(&bytes(&input["public"]).try_into().expect("32 bytes"));
            let signature: Result<[u8; 64], _> = bytes(&input["signature"]).try_into();
            let message = input["message"].as_str().expect("a text").as_bytes();
            let fits = key.is_ok_and(|key| signature.is_ok_and(|s| key.verify(message, &s).is_ok()));
            assert_eq!(serde_json::Value::from(fits), case["valid"], "{case}");
        }
    }

    #[test]
    fn weak_keys_are_refused() {
        // The neutral element and a point of order 8, as listed by ed25519-speccheck.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        assert_eq!(PublicKey::from_bytes(&neutral), Err(KeyError::Weak));
        assert_eq!("x".parse::<PublicKey>(), Err(KeyError::Malformed));
    }

    #[test]
    fn a_secret_key_does_not_show_itself() {
        let key = SecretKey::from_seed(&[7; 32]);
        assert_eq!(format!("{key:?}"), format!("SecretKey({})", key.public().id()));
    }
}

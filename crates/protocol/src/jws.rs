//! Signed documents: JWS in flattened JSON (RFC 7515 section 7.2.2) with EdDSA (RFC 8037).
//!
//! The signed bytes travel as they are. Nothing is re-serialised before checking, and nothing of the payload is read
//! before its signature fits. The kind of document is bound in as `typ`: a manifest is never a webhook.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::json::{self, JsonError, Numbers};
use crate::key::{KeyError, KeyId, PublicKey, SecretKey};

/// A signed document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Jws {
    /// The document, in base64url.
    pub payload: String,
    /// The header that is signed with it, in base64url.
    pub protected: String,
    /// The signature over `protected.payload`, in base64url.
    pub signature: String,
}

/// The signed header. It has exactly these members: whatever else it had would be signed without being understood.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: String,
    kid: KeyId,
}

/// Why a signed document was not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JwsError {
    /// A part is not unpadded base64url.
    #[error("{0} is not base64url")]
    NotBase64(&'static str),
    /// The header is not `{"alg":"EdDSA","typ":...,"kid":...}`.
    #[error("the signed header is not one of this protocol")]
    BadHeader,
    /// It was signed as something else.
    #[error("signed as {found:?}, not as {wanted:?}")]
    WrongType {
        /// What was expected here.
        wanted: &'static str,
        /// What the signer said it was.
        found: String,
    },
    /// No key was offered under that name.
    #[error("signed by key {0}, which is not known here")]
    UnknownKey(KeyId),
    /// The signature does not fit.
    #[error("signature by {key}: {source}")]
    Signature {
        /// The key it claims.
        key: KeyId,
        /// Why not.
        #[source]
        source: KeyError,
    },
    /// The signature fits, but the document cannot be read.
    #[error(transparent)]
    Document(#[from] JsonError),
}

impl Jws {
    /// Signs `document` as a `typ`.
    ///
    /// # Panics
    /// Never: documents of this crate always serialise.
    #[must_use]
    pub fn sign<T: Serialize>(typ: &'static str, document: &T, key: &SecretKey) -> Self {
        let header = Header { alg: "EdDSA".into(), typ: typ.into(), kid: key.public().id() };
        let encode = |bytes: serde_json::Result<Vec<u8>>| URL_SAFE_NO_PAD.encode(bytes.expect("serialises"));
        let protected = encode(serde_json::to_vec(&header));
        let payload = encode(serde_json::to_vec(document));
        let signature = key.sign(format!("{protected}.{payload}").as_bytes());
        Self { payload, protected, signature: URL_SAFE_NO_PAD.encode(signature) }
    }

    /// Reads the document after its signature was found to fit. `key` finds the public key for the name in the header;
    /// it must look only among keys that may sign this kind of document.
    ///
    /// # Errors
    /// When anything about header, signature or document is not as it must be.
    pub fn open<T: DeserializeOwned>(
        &self,
        typ: &'static str,
        limit: usize,
        key: impl FnOnce(&KeyId) -> Option<PublicKey>,
    ) -> Result<T, JwsError> {
        let payload = self.verified_payload(typ, limit, key)?;
        Ok(json::read(&payload, limit, Numbers::Integers)?)
    }

    fn verified_payload(
        &self,
        typ: &'static str,
        limit: usize,
        key: impl FnOnce(&KeyId) -> Option<PublicKey>,
    ) -> Result<Vec<u8>, JwsError> {
        if self.payload.len() > limit.saturating_mul(2) {
            return Err(JsonError::TooLarge { bytes: self.payload.len(), limit }.into());
        }
        let header = decode("protected", &self.protected)?;
        let header: Header = json::read(&header, 1024, Numbers::Integers).map_err(|_| JwsError::BadHeader)?;
        if header.alg != "EdDSA" {
            return Err(JwsError::BadHeader);
        }
        if header.typ != typ {
            return Err(JwsError::WrongType { wanted: typ, found: header.typ.chars().take(64).collect() });
        }
        let public = key(&header.kid).ok_or(JwsError::UnknownKey(header.kid))?;
        let fits = |source| JwsError::Signature { key: header.kid, source };
        let signature = decode("signature", &self.signature)?;
        let signature = signature.as_slice().try_into().map_err(|_| fits(KeyError::Malformed))?;
        public.verify(format!("{}.{}", self.protected, self.payload).as_bytes(), signature).map_err(fits)?;
        decode("payload", &self.payload)
    }

    /// What the document says, unchecked: only to learn which key it wants to be checked with.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn unverified<T: DeserializeOwned>(&self, limit: usize) -> Result<T, JwsError> {
        Ok(json::read(&decode("payload", &self.payload)?, limit, Numbers::Integers)?)
    }
}

fn decode(part: &'static str, text: &str) -> Result<Vec<u8>, JwsError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| JwsError::NotBase64(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    const TYP: &str = "admit-test+jws";

    fn key() -> SecretKey {
        SecretKey::from_seed(&[1; 32])
    }

    fn open(jws: &Jws) -> Result<Value, JwsError> {
        let public = key().public();
        jws.open(TYP, 1000, |id| (*id == public.id()).then_some(public))
    }

    #[test]
    fn a_signed_document_is_read_back() {
        let jws = Jws::sign(TYP, &json!({"serial": 1}), &key());
        assert_eq!(open(&jws).expect("fits"), json!({"serial": 1}));
    }

    #[test]
    fn a_document_signed_as_something_else_is_refused() {
        let jws = Jws::sign("admit-other+jws", &json!({}), &key());
        assert!(matches!(open(&jws), Err(JwsError::WrongType { .. })));
    }

    #[test]
    fn an_unknown_key_is_named() {
        let jws = Jws::sign(TYP, &json!({}), &SecretKey::from_seed(&[2; 32]));
        assert!(matches!(open(&jws), Err(JwsError::UnknownKey(_))));
    }

    #[test]
    fn another_algorithm_or_an_extra_header_member_is_refused() {
        for header in [
            json!({"alg": "none", "typ": TYP, "kid": key().public().id()}),
            json!({"alg": "EdDSA", "typ": TYP, "kid": key().public().id(), "crit": ["b64"], "b64": false}),
            json!({"alg": "EdDSA", "typ": TYP, "kid": key().public().id(), "jwk": {}}),
        ] {
            let mut jws = Jws::sign(TYP, &json!({}), &key());
            jws.protected = URL_SAFE_NO_PAD.encode(header.to_string());
            jws.signature = URL_SAFE_NO_PAD.encode(key().sign(format!("{}.{}", jws.protected, jws.payload).as_bytes()));
            assert!(matches!(open(&jws), Err(JwsError::BadHeader)), "{header}");
        }
    }

    #[test]
    fn signed_fractions_and_doubled_members_are_refused() {
        for payload in ["{\"a\":0.5}", "{\"a\":1,\"a\":1}", "\u{feff}{}"] {
            let mut jws = Jws::sign(TYP, &json!({}), &key());
            jws.payload = URL_SAFE_NO_PAD.encode(payload);
            jws.signature = URL_SAFE_NO_PAD.encode(key().sign(format!("{}.{}", jws.protected, jws.payload).as_bytes()));
            assert!(matches!(open(&jws), Err(JwsError::Document(_))), "{payload}");
        }
    }

    proptest! {
        #[test]
        fn no_changed_character_is_accepted(part in 0..3usize, at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_=.-]") {
            let signed = Jws::sign(TYP, &json!({"serial": 1}), &key());
            let mut jws = signed.clone();
            let text = [&mut jws.payload, &mut jws.protected, &mut jws.signature].into_iter().nth(part).expect("3 parts");
            let at = at.index(text.len());
            text.replace_range(at..=at, &to);
            prop_assert!(jws == signed || open(&jws).is_err());
        }
    }
}

//! Requests that are signed by who sends them: HTTP Message Signatures (RFC 9421) with Ed25519, over digests of bodies (RFC 9530).
//!
//! One profile of it, so that nobody can choose to cover less: everything that says what is asked is covered, and nothing else may be.
//!
//! ```
//! use admit_protocol::key::SecretKey;
//! use admit_protocol::signature::{BUYER_TAG, Content, Signing};
//!
//! let (key, body, now) = (SecretKey::from_seed(&[7; 32]), br#"{"seats":[]}"#, jiff::Timestamp::now());
//! let content = Content::of("application/json", body);
//! let asked = Signing { method: "POST", authority: "kino.example", path: "/v1/screenings/show-1/holds", query: None,
//!     content: Some(&content), idempotency_key: Some("h-1") };
//! let fields = asked.sign(&key, BUYER_TAG, now, "a-nonce-of-16-or-more");
//! let signer = asked.verify(&fields, BUYER_TAG, now)?;
//! assert!(signer == key.public() && content.fits(body));
//! # Ok::<(), admit_protocol::signature::SignatureError>(())
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use sfv::{BareItem, Dictionary, InnerList, ListEntry, ListSerializer, Parser};

use crate::digest::sha256;
use crate::key::{KeyError, PublicKey, SecretKey};

/// The `tag` of what a buyer signs.
pub const BUYER_TAG: &str = "admit-buyer";
/// The `tag` of what a server tells a webhook.
pub const WEBHOOK_TAG: &str = "admit-webhook";
/// The longest life of a signature, in seconds.
pub const SIGNATURE_LIFE_MAX_S: i64 = 300;
/// How far a signature's making may lie ahead of the reader's clock, in seconds.
pub const CREATED_AHEAD_MAX_S: i64 = 60;
/// How long the fields of a signature may be, each, in bytes.
const FIELD_BYTES_MAX: usize = 1024;
/// How long a nonce is, in characters.
const NONCE_CHARS: std::ops::RangeInclusive<usize> = 16..=64;
/// What our own signatures are called among those of a request.
const LABEL: &str = "admit";

/// Why a signature was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The fields are no structured fields, or not these.
    #[error("{0}")]
    Malformed(&'static str),
    /// It covers other parts of the request than it must.
    #[error("a signature covers exactly {0}")]
    Covers(&'static str),
    /// It is over, not made yet, or good for longer than five minutes.
    #[error("the signature is not good now: made for at most 300 seconds, by a clock that is right")]
    NotNow,
    /// The key is none, or signed something else.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// What a request carries, as its header fields say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// `Content-Type`
    pub media_type: String,
    /// `Content-Digest` (RFC 9530)
    pub digest: String,
}

impl Content {
    /// Of these bytes.
    #[must_use]
    pub fn of(media_type: &str, body: &[u8]) -> Self {
        Self { media_type: media_type.to_owned(), digest: format!("sha-256=:{}:", STANDARD.encode(sha256(&[body]))) }
    }

    /// Whether these are the bytes that the digest is of: a signature covers the digest, and nothing but this covers the bytes.
    #[must_use]
    pub fn fits(&self, body: &[u8]) -> bool {
        let digests = Parser::new(&self.digest).parse::<Dictionary>().unwrap_or_default();
        let named = digests.get("sha-256").and_then(|entry| match entry {
            ListEntry::Item(item) => item.bare_item.as_byte_sequence(),
            ListEntry::InnerList(_) => None,
        });
        named.is_some_and(|digest| digest == sha256(&[body]))
    }
}

/// What of a request is signed: all that says what is asked, where, and once.
#[derive(Debug, Clone, Copy)]
pub struct Signing<'a> {
    /// Such as `POST`.
    pub method: &'a str,
    /// Host and, in development, port of the origin: what a reader takes from its own name, and not from the request.
    pub authority: &'a str,
    /// As it was sent.
    pub path: &'a str,
    /// What comes after `?`, as it was sent.
    pub query: Option<&'a str>,
    /// Of a body.
    pub content: Option<&'a Content>,
    /// `Idempotency-Key`
    pub idempotency_key: Option<&'a str>,
}

/// The header fields of a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureFields {
    /// `Signature-Input`
    pub input: String,
    /// `Signature`
    pub signature: String,
}

impl Signing<'_> {
    /// Signs it from now on, for five minutes. The nonce has 16 to 64 visible characters, and makes it the only one of its kind.
    ///
    /// # Panics
    /// When the nonce has other characters.
    #[must_use]
    pub fn sign(&self, key: &SecretKey, tag: &str, now: Timestamp, nonce: &str) -> SignatureFields {
        let text = |text: &str| BareItem::from(sfv::String::from_string(text.to_owned()).expect("visible ASCII"));
        let name = |name: &'static str| sfv::Key::from_string(name.to_owned()).expect("a name of ours");
        let parts = self.parts().into_iter().map(|(part, _)| sfv::Item::new(text(part))).collect();
        let mut covered = InnerList::new(parts);
        let seconds = now.as_second();
        for (parameter, value) in [
            ("created", whole(seconds)),
            ("expires", whole(seconds + SIGNATURE_LIFE_MAX_S)),
            ("nonce", text(nonce)),
            ("keyid", text(&key.public().to_string())),
            ("alg", text("ed25519")),
            ("tag", text(tag)),
        ] {
            covered.params.insert(name(parameter), value);
        }
        let covered = written(covered);
        let signature = key.sign(self.base(&covered).as_bytes());
        SignatureFields {
            input: format!("{LABEL}={covered}"),
            signature: format!("{LABEL}=:{}:", STANDARD.encode(signature)),
        }
    }

    /// The key that signed this request with this tag, at a time at which `now` lies. Of several signatures the one with the tag is meant.
    /// Whether the body is the one whose digest is signed, [`Content::fits`] says.
    ///
    /// # Errors
    /// One for each thing that can be wrong.
    pub fn verify(&self, fields: &SignatureFields, tag: &str, now: Timestamp) -> Result<PublicKey, SignatureError> {
        let malformed = SignatureError::Malformed;
        if fields.input.len() > FIELD_BYTES_MAX || fields.signature.len() > FIELD_BYTES_MAX {
            return Err(malformed("the fields of a signature have at most 1024 bytes"));
        }
        let read = |field: &str| Parser::new(field).parse::<Dictionary>().map_err(|_| ());
        let inputs = read(&fields.input).map_err(|()| malformed("Signature-Input is no dictionary (RFC 9651)"))?;
        let signatures = read(&fields.signature).map_err(|()| malformed("Signature is no dictionary (RFC 9651)"))?;
        let mut tagged = inputs.into_iter().filter_map(|(label, entry)| match entry {
            ListEntry::InnerList(list) if parameter(&list, "tag") == Some(tag) => Some((label, list)),
            _ => None,
        });
        let (Some((label, covered)), None) = (tagged.next(), tagged.next()) else {
            return Err(malformed("Signature-Input has one signature with the right tag, and not more"));
        };
        self.check_cover(&covered)?;
        if parameter(&covered, "alg") != Some("ed25519") {
            return Err(malformed("`alg` is \"ed25519\""));
        }
        let nonce = parameter(&covered, "nonce").unwrap_or_default();
        if !NONCE_CHARS.contains(&nonce.len()) {
            return Err(malformed("`nonce` has 16 to 64 characters"));
        }
        check_time(&covered, now)?;
        let key: PublicKey = parameter(&covered, "keyid").unwrap_or_default().parse()?;
        let signature = match signatures.get(label.as_str()) {
            Some(ListEntry::Item(item)) => item.bare_item.as_byte_sequence().and_then(|bytes| bytes.try_into().ok()),
            _ => None,
        };
        let signature: [u8; 64] = signature.ok_or(malformed("Signature has 64 bytes under the same label"))?;
        key.verify(self.base(&written(covered)).as_bytes(), &signature)?;
        Ok(key)
    }

    fn check_cover(&self, covered: &InnerList) -> Result<(), SignatureError> {
        let mut must: Vec<&str> = self.parts().into_iter().map(|(part, _)| part).collect();
        let plain = |item: &sfv::Item| item.params.is_empty();
        let mut covers: Vec<&str> = covered
            .items
            .iter()
            .filter(|item| plain(item))
            .filter_map(|i| Some(i.bare_item.as_string()?.as_str()))
            .collect();
        must.sort_unstable();
        covers.sort_unstable();
        if covers.len() == covered.items.len() && covers == must {
            return Ok(());
        }
        Err(SignatureError::Covers(match (self.content, self.idempotency_key) {
            (None, None) => "@method @authority @path @query",
            (None, Some(_)) => "@method @authority @path @query idempotency-key",
            (Some(_), None) => "@method @authority @path @query content-digest content-type",
            (Some(_), Some(_)) => "@method @authority @path @query content-digest content-type idempotency-key",
        }))
    }

    /// What is covered, in the order in which we sign it.
    fn parts(&self) -> Vec<(&'static str, String)> {
        let mut parts = vec![
            ("@method", self.method.to_owned()),
            ("@authority", self.authority.to_owned()),
            ("@path", self.path.to_owned()),
            ("@query", format!("?{}", self.query.unwrap_or_default())),
        ];
        if let Some(content) = self.content {
            parts.push(("content-digest", content.digest.trim().to_owned()));
            parts.push(("content-type", content.media_type.trim().to_owned()));
        }
        parts.extend(self.idempotency_key.map(|key| ("idempotency-key", key.to_owned())));
        parts
    }

    /// The signature base (RFC 9421, 2.5): parts in the order that the signature names them.
    fn base(&self, covered: &str) -> String {
        let parts = self.parts();
        let named = Parser::new(covered).parse::<sfv::List>().unwrap_or_default();
        let Some(ListEntry::InnerList(list)) = named.first() else { return String::new() };
        let mut base = String::new();
        for item in &list.items {
            let part = item.bare_item.as_string().map(sfv::StringRef::as_str).unwrap_or_default();
            let value = parts.iter().find(|(known, _)| *known == part).map_or("", |(_, value)| value);
            base.push_str(&format!("\"{part}\": {value}\n"));
        }
        base.push_str("\"@signature-params\": ");
        base + covered
    }
}

/// A text among the parameters.
fn parameter<'a>(covered: &'a InnerList, name: &str) -> Option<&'a str> {
    covered.params.get(name)?.as_string().map(sfv::StringRef::as_str)
}

fn check_time(covered: &InnerList, now: Timestamp) -> Result<(), SignatureError> {
    let instant = |name: &str| {
        let seconds = i64::from(covered.params.get(name)?.as_integer()?);
        Timestamp::from_second(seconds).ok()
    };
    let (Some(created), Some(expires)) = (instant("created"), instant("expires")) else {
        return Err(SignatureError::Malformed("`created` and `expires` are seconds since 1970"));
    };
    let life = expires.duration_since(created);
    let good = life > SignedDuration::ZERO
        && life <= SignedDuration::from_secs(SIGNATURE_LIFE_MAX_S)
        && created.duration_since(now) <= SignedDuration::from_secs(CREATED_AHEAD_MAX_S)
        && now < expires;
    if good { Ok(()) } else { Err(SignatureError::NotNow) }
}

fn whole(number: i64) -> BareItem {
    // Seconds of the years to come have fewer than 15 digits.
    BareItem::try_from(number).unwrap_or_else(|_| BareItem::from(0_u8))
}

/// An inner list as RFC 9651 writes it.
fn written(list: InnerList) -> String {
    let mut serializer = ListSerializer::new();
    serializer.members([&ListEntry::InnerList(list)]);
    serializer.finish().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> SecretKey {
        SecretKey::from_seed(&[n; 32])
    }
    fn now() -> Timestamp {
        "2026-11-21T12:00:00Z".parse().expect("an instant")
    }
    const NONCE: &str = "0123456789abcdef";

    fn asked(content: &Content) -> Signing<'_> {
        let path = "/v1/screenings/show-1/holds";
        let (content, idempotency_key) = (Some(content), Some("h-1"));
        Signing { method: "POST", authority: "kino.example", path, query: None, content, idempotency_key }
    }

    #[test]
    fn what_is_signed_is_that_request_alone() {
        let content = Content::of("application/json", b"{}");
        let asked = asked(&content);
        let fields = asked.sign(&key(1), BUYER_TAG, now(), NONCE);
        let verify = |asked: Signing<'_>| asked.verify(&fields, BUYER_TAG, now());
        assert_eq!(verify(asked).expect("as it was signed"), key(1).public());
        let other = Content::of("application/json", b"{} ");
        let plain = Content::of("text/plain", b"{}");
        let key_of = |idempotency_key| Signing { idempotency_key, ..asked };
        for changed in [
            Signing { method: "PUT", ..asked },
            Signing { authority: "other.example", ..asked },
            Signing { path: "/v1/screenings/show-2/holds", ..asked },
            Signing { query: Some("all"), ..asked },
            Signing { content: Some(&other), ..asked },
            Signing { content: Some(&plain), ..asked },
            key_of(Some("h-2")),
        ] {
            assert_eq!(verify(changed), Err(SignatureError::Key(KeyError::Mismatch)), "{changed:?}");
        }
        for uncovered in [key_of(None), Signing { content: None, ..asked }] {
            assert!(matches!(verify(uncovered), Err(SignatureError::Covers(_))), "{uncovered:?}");
        }
        assert!(content.fits(b"{}") && !content.fits(b"{} ") && !content.fits(b""));
    }

    #[test]
    fn a_signature_is_good_for_five_minutes() {
        let content = Content::of("application/json", b"{}");
        let fields = asked(&content).sign(&key(1), BUYER_TAG, now(), NONCE);
        let at = |seconds: i64| asked(&content).verify(&fields, BUYER_TAG, now() + SignedDuration::from_secs(seconds));
        for good in [-60, 0, 299] {
            at(good).unwrap_or_else(|error| panic!("{good}: {error}"));
        }
        for bad in [-61, 300, 301] {
            assert_eq!(at(bad), Err(SignatureError::NotNow), "{bad}");
        }
        let longer = fields.input.replace(&format!("expires={}", now().as_second() + 300), "expires=1999999999");
        let longer = SignatureFields { input: longer, ..fields };
        assert_eq!(asked(&content).verify(&longer, BUYER_TAG, now()), Err(SignatureError::NotNow));
    }

    #[test]
    fn other_forms_are_refused() {
        let content = Content::of("application/json", b"{}");
        let fields = asked(&content).sign(&key(1), BUYER_TAG, now(), NONCE);
        let changed = |from: &str, to: &str| {
            assert!(fields.input.contains(from), "{}", fields.input);
            let fields = SignatureFields { input: fields.input.replace(from, to), ..fields.clone() };
            asked(&content).verify(&fields, BUYER_TAG, now())
        };
        for (from, to) in [
            ("admit=", "admit"),
            ("\"ed25519\"", "\"none\""),
            (";alg=\"ed25519\"", ""),
            (NONCE, "short"),
            ("\"admit-buyer\"", "\"admit-webhook\""),
            ("created=", "made="),
            ("created=", "created=\"then\";x="),
        ] {
            assert!(matches!(changed(from, to), Err(SignatureError::Malformed(_))), "{from} -> {to}");
        }
        for (from, to) in [
            ("\"@path\" ", ""),
            ("\"@path\"", "\"@path\";req"),
            ("\"@path\"", "\"@path\" \"@path\""),
            ("\"@path\"", "\"@path\" \"user-agent\""),
            ("\"@query\"", "query"),
        ] {
            assert!(matches!(changed(from, to), Err(SignatureError::Covers(_))), "{from} -> {to}");
        }
        let weak = format!("\"{}\"", "A".repeat(43));
        let own = format!("\"{}\"", key(1).public());
        assert_eq!(changed(&own, &weak), Err(SignatureError::Key(KeyError::Weak)));
        let others = format!("\"{}\"", key(2).public());
        assert_eq!(changed(&own, &others), Err(SignatureError::Key(KeyError::Mismatch)));
        let twice = SignatureFields {
            input: format!("{}, again{}", fields.input, fields.input.trim_start_matches("admit")),
            ..fields.clone()
        };
        assert!(matches!(asked(&content).verify(&twice, BUYER_TAG, now()), Err(SignatureError::Malformed(_))));
        let unsigned = SignatureFields { signature: "other=:AAAA:".into(), ..fields.clone() };
        assert!(matches!(asked(&content).verify(&unsigned, BUYER_TAG, now()), Err(SignatureError::Malformed(_))));
        // A proxy's own signature beside it is none of ours.
        let beside = SignatureFields {
            input: format!("proxy=(\"@path\");tag=\"their-own\", {}", fields.input),
            signature: format!("proxy=:AAAA:, {}", fields.signature),
        };
        assert!(asked(&content).verify(&beside, BUYER_TAG, now()).is_ok());
        let order = changed("\"@method\" \"@authority\"", "\"@authority\" \"@method\"");
        assert_eq!(order, Err(SignatureError::Key(KeyError::Mismatch)), "another order is another text");
    }
}

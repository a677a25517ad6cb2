//! Who asks, and which request this is.

use std::net::{IpAddr, Ipv4Addr};

use admit_booking::{Network, Owner};
use admit_http::body::{json_bytes, unreadable};
use admit_http::headers::IDEMPOTENCY_KEY;
use admit_http::{ClientAddress, Reply, StrictJson};
use admit_protocol::digest::sha256;
use admit_protocol::holder::holder_of;
use admit_protocol::id::DeviceId;
use admit_protocol::json::{self, BUYER_REQUEST_BYTES_MAX, Numbers};
use admit_protocol::key::PublicKey;
use admit_protocol::problem::ProblemCode;
use admit_protocol::signature::{BUYER_TAG, Content, SignatureFields, Signing};
use axum::extract::{FromRequest, FromRequestParts, OriginalUri, RawPathParams, Request};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::request::Parts;
use http::{Method, header};
use serde::de::DeserializeOwned;

use crate::cinema::Cinema;
use crate::engine::Key;
use crate::store::{BodyPrint, KeyPrint};

const SIGNATURE_INPUT: &str = "signature-input";
/// The longest idempotency key, in characters.
const KEY_CHARS_MAX: usize = 128;

/// Put among a request's extensions where somebody sells who has a session of staff: limits that keep strangers from taking a whole
/// house are not for the counter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AtCounter;

/// A buyer, known by the SHA-256 of a secret that only they have, or by the thumbprint of a key of theirs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Buyer {
    pub(crate) owner: Owner,
    pub(crate) network: Option<Network>,
    /// How a ticket names them, if they came with a key of their own.
    pub(crate) holder: Option<[u8; 16]>,
    /// Whether somebody with a session of staff asks for them.
    pub(crate) at_counter: bool,
}

impl FromRequestParts<Cinema> for Buyer {
    type Rejection = Reply;

    async fn from_request_parts(parts: &mut Parts, cinema: &Cinema) -> Result<Self, Reply> {
        Self::of(parts, cinema).map(|(buyer, _)| buyer)
    }
}

impl Buyer {
    /// Who asks, and which bodies are theirs.
    fn of(parts: &Parts, cinema: &Cinema) -> Result<(Self, Vouched), Reply> {
        let (owner, holder, vouched) = owner(parts, cinema)?;
        // Clients whose address nobody passed on are one network together: a limit that is forgotten must not be none.
        let nobody_knows = || ClientAddress(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let address = parts.extensions.get::<ClientAddress>().copied().unwrap_or_else(nobody_knows);
        let at_counter = parts.extensions.get::<AtCounter>().is_some();
        let limited = cinema.limits_by_network() && !at_counter;
        let network = limited.then(|| Network(address.network()));
        Ok((Self { owner, network, holder, at_counter }, vouched))
    }
}

/// Who a request says that it comes from, and, where they signed it, the body that they vouch for.
fn owner(parts: &Parts, cinema: &Cinema) -> Result<(Owner, Option<[u8; 16]>, Vouched), Reply> {
    if parts.headers.contains_key(SIGNATURE_INPUT) && !parts.headers.contains_key(header::AUTHORIZATION) {
        let (key, content) = signer(parts, cinema)?;
        return Ok((Owner(key.thumbprint()), Some(holder_of(&key)), Vouched::For(content)));
    }
    let secret = bearer(parts)?;
    // 32 bytes: nobody guesses one. Anything shorter is refused, so that no client gets used to weak ones.
    let secret = URL_SAFE_NO_PAD.decode(secret).ok().filter(|s| s.len() == 32);
    let secret = secret.ok_or_else(|| unauthenticated("the bearer token must be 32 random bytes in base64url"))?;
    Ok((Owner(sha256(&[&secret])), None, Vouched::ForAll))
}

/// Whose body it is: a bearer's, whatever it says, or one whose digest was signed (KEY-003).
enum Vouched {
    ForAll,
    For(Option<Content>),
}

impl Vouched {
    fn check(&self, body: &[u8]) -> Result<(), Reply> {
        match self {
            Self::ForAll => Ok(()),
            Self::For(Some(content)) if content.fits(body) => Ok(()),
            Self::For(None) if body.is_empty() => Ok(()),
            Self::For(_) => Err(unauthenticated("the body is not the one whose Content-Digest was signed")),
        }
    }
}

/// The key that signed a request (KEY-001).
fn signer(parts: &Parts, cinema: &Cinema) -> Result<(PublicKey, Option<Content>), Reply> {
    let field = |name: &str| match parts.headers.get_all(name).iter().collect::<Vec<_>>()[..] {
        [] => Ok(None),
        [one] => one.to_str().map(|text| Some(text.to_owned())).map_err(|_| unauthenticated("a field is no text")),
        _ => Err(unauthenticated("send each field of a signature once")),
    };
    let present = |name: &str| field(name).map(Option::unwrap_or_default);
    let fields = SignatureFields { input: present(SIGNATURE_INPUT)?, signature: present("signature")? };
    let content = match field("content-digest")? {
        Some(digest) => Some(Content { media_type: present("content-type")?, digest }),
        None => None,
    };
    let key = field(IDEMPOTENCY_KEY.as_str())?;
    let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |OriginalUri(uri)| uri);
    let asked = Signing {
        method: parts.method.as_str(),
        authority: cinema.origin().authority(),
        path: uri.path(),
        query: uri.query(),
        content: content.as_ref(),
        idempotency_key: key.as_deref(),
    };
    let key = asked.verify(&fields, BUYER_TAG, cinema.now());
    Ok((key.map_err(|error| unauthenticated(&error.to_string()))?, content))
}

/// A buyer who asks something that has no effect, in a body.
#[derive(Debug)]
pub(crate) struct Asking<T> {
    pub(crate) buyer: Buyer,
    pub(crate) value: T,
}

impl<T: DeserializeOwned> FromRequest<Cinema> for Asking<T> {
    type Rejection = Reply;

    async fn from_request(request: Request, cinema: &Cinema) -> Result<Self, Reply> {
        let (parts, body) = request.into_parts();
        let (buyer, vouched) = Buyer::of(&parts, cinema)?;
        let body: StrictJson<T> = StrictJson::from_request(Request::from_parts(parts, body), cinema).await?;
        vouched.check(&body.bytes)?;
        Ok(Self { buyer, value: body.value })
    }
}

/// A scanner that staff registered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scanner(pub(crate) DeviceId);

impl FromRequestParts<Cinema> for Scanner {
    type Rejection = Reply;

    async fn from_request_parts(parts: &mut Parts, cinema: &Cinema) -> Result<Self, Reply> {
        let hash = sha256(&[bearer(parts)?.as_bytes()]);
        let device = cinema.catalogue().device(&hash);
        device.map(Self).ok_or_else(|| unauthenticated("this token belongs to no scanner of this cinema"))
    }
}

fn bearer(parts: &Parts) -> Result<&str, Reply> {
    let value = parts.headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    let token = value.and_then(|v| {
        let (scheme, token) = v.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    token.ok_or_else(|| unauthenticated("send Authorization: Bearer and your secret"))
}

fn unauthenticated(why: &str) -> Reply {
    Reply::new(ProblemCode::Unauthenticated, why)
}

/// A request that may have one effect, however often it is sent.
#[derive(Debug, Clone)]
pub(crate) struct OneEffect {
    key: String,
    method: Method,
    path: String,
}

impl<S: Send + Sync> FromRequestParts<S> for OneEffect {
    type Rejection = Reply;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Reply> {
        let key = parts.headers.get(IDEMPOTENCY_KEY).and_then(|v| v.to_str().ok()).unwrap_or_default();
        if key.is_empty() || key.len() > KEY_CHARS_MAX || !key.bytes().all(|b| b.is_ascii_graphic()) {
            let why =
                "send an Idempotency-Key of 1 to 128 visible ASCII characters, and the same one when you try again";
            return Err(Reply::new(ProblemCode::IdempotencyKeyMissing, why));
        }
        let key = key.to_owned();
        let method = parts.method.clone();
        let uri = OriginalUri::from_request_parts(parts, state).await;
        let path = uri.map_or_else(|e| match e {}, |OriginalUri(uri)| uri.path().to_owned());
        Ok(Self { key, method, path })
    }
}

/// What a buyer asks for, once however often it is sent.
#[derive(Debug)]
pub(crate) struct Asked<T> {
    pub(crate) buyer: Buyer,
    pub(crate) key: Key,
    pub(crate) value: T,
}

impl<T: DeserializeOwned> FromRequest<Cinema> for Asked<T> {
    type Rejection = Reply;

    async fn from_request(request: Request, cinema: &Cinema) -> Result<Self, Reply> {
        let (mut parts, body) = request.into_parts();
        let (buyer, vouched) = Buyer::of(&parts, cinema)?;
        let effect = OneEffect::from_request_parts(&mut parts, cinema).await?;
        let bytes = json_bytes(&parts.headers, body, BUYER_REQUEST_BYTES_MAX).await?;
        vouched.check(&bytes)?;
        let key = effect.of(&buyer.owner.0, &bytes);
        let refused = match json::read(&bytes, BUYER_REQUEST_BYTES_MAX, Numbers::Any) {
            Ok(value) => return Ok(Self { buyer, key, value }),
            Err(error) => unreadable(&error),
        };
        // IDEM-004: before it is refused for what it says.
        let path = RawPathParams::from_request_parts(&mut parts, cinema).await;
        let screening = path.ok().and_then(|path| path.iter().find(|(name, _)| *name == "screening")?.1.parse().ok());
        if let Some(screening) = screening {
            cinema.engine().refuse_known_key(screening, &key).await.map_err(crate::refusals::reply)?;
        }
        Err(refused)
    }
}

impl OneEffect {
    /// The key in its scope (principal, method, full path), and what the body said.
    pub(crate) fn of(&self, principal: &[u8; 32], body: &[u8]) -> Key {
        // Lengths keep the parts apart: "ab" and "c" is not "a" and "bc".
        let length = |text: &str| u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes();
        let digest = sha256(&[
            principal,
            &length(self.method.as_str()),
            self.method.as_str().as_bytes(),
            &length(&self.path),
            self.path.as_bytes(),
            self.key.as_bytes(),
        ]);
        Key { print: KeyPrint(first_half(&digest)), body: BodyPrint(first_half(&sha256(&[body]))) }
    }
}

fn first_half(digest: &[u8; 32]) -> [u8; 16] {
    std::array::from_fn(|n| digest[n])
}

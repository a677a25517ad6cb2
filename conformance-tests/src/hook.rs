//! An app's server: what comes to its webhooks, and whether who sent it may.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{any, post};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, VerifyingKey};
use http::{HeaderMap, StatusCode, Uri};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::checks::must;

/// How long something that is due is waited for.
const PATIENCE: Duration = Duration::from_secs(15);
/// So long nothing has to come.
const QUIET: Duration = Duration::from_secs(2);

/// A request that came.
#[derive(Debug, Clone)]
pub(crate) struct Came {
    uri: Uri,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// An app's server on this machine, until it is dropped. Whatever is posted below `/hook/` is written down.
pub(crate) struct Hook {
    pub(crate) origin: String,
    told: Arc<Mutex<Told>>,
    serving: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Told {
    came: Vec<Came>,
    says: VecDeque<StatusCode>,
    lies: bool,
}

impl Drop for Hook {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Hook {
    pub(crate) async fn start() -> Result<Self, String> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.map_err(|e| e.to_string())?;
        let origin = format!("http://{}", listener.local_addr().map_err(|e| e.to_string())?);
        let told = Arc::new(Mutex::new(Told::default()));
        let router =
            Router::new().route("/hook/{who}", post(come)).route("/elsewhere", any(elsewhere)).with_state(told.clone());
        let serving = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Ok(Self { origin, told, serving })
    }

    pub(crate) fn url(&self, who: &str) -> String {
        format!("{}/hook/{who}", self.origin)
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it says to the next request, instead of 200.
    pub(crate) fn says(&self, status: StatusCode) {
        self.told().says.push_back(status);
    }

    /// Whether challenges are answered with another nonce.
    pub(crate) fn lies(&self, lies: bool) {
        self.told().lies = lies;
    }

    fn all(&self) -> Vec<Came> {
        self.told().came.clone()
    }

    /// Waits until so many requests have come; all of them.
    pub(crate) async fn wait_for(&self, many: usize, what: &str) -> Result<Vec<Came>, String> {
        let until = tokio::time::Instant::now() + PATIENCE;
        while tokio::time::Instant::now() < until {
            let all = self.all();
            if all.len() >= many {
                return Ok(all);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let said: Vec<String> =
            self.all().iter().map(|came| String::from_utf8_lossy(&came.body).into_owned()).collect();
        Err(format!("{what} did not come within {} s; what came: [{}]", PATIENCE.as_secs(), said.join(", ")))
    }

    /// Waits a while, and finds that no more have come than these.
    pub(crate) async fn quiet_at(&self, many: usize, why: &str) -> Result<(), String> {
        tokio::time::sleep(QUIET).await;
        let all = self.all();
        let extra = all.get(many).map(|came| String::from_utf8_lossy(&came.body).into_owned());
        must(extra.is_none(), || format!("{why}, and this came: {}", extra.unwrap_or_default()))
    }
}

/// Sends whoever comes to another address; that they came is written down.
async fn elsewhere(told: State<Arc<Mutex<Told>>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let _ = come(told, uri, headers, body).await;
    Redirect::temporary("/hook/elsewhere").into_response()
}

async fn come(State(told): State<Arc<Mutex<Told>>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
    told.came.push(Came { uri, headers, body: body.to_vec() });
    if let Some(status) = told.says.pop_front() {
        return status.into_response();
    }
    let said: Value = serde_json::from_slice(&body).unwrap_or_default();
    // What an echo says is no answer.
    let said = if told.lies { said } else { json!({"answer": said["nonce"]}) };
    axum::Json(said).into_response()
}

impl Came {
    pub(crate) fn path(&self) -> &str {
        self.uri.path()
    }

    pub(crate) fn said(&self) -> Result<Value, String> {
        serde_json::from_slice(&self.body).map_err(|e| format!("a notification that is no JSON: {e}"))
    }

    fn field(&self, name: &str) -> Result<&str, String> {
        let mut all = self.headers.get_all(name).iter();
        match (all.next(), all.next()) {
            (Some(one), None) => one.to_str().map_err(|_| format!("{name} is no text")),
            (None, _) => Err(format!("a notification without {name}")),
            _ => Err(format!("a notification with {name} twice")),
        }
    }

    /// Whether the identity key signed it, for this app and now, as the page of buyer keys says, and whether it is what was signed.
    pub(crate) fn check(&self, authority: &str, identity: &str, now: Timestamp) -> Result<(), String> {
        let (label, covered, parameters) = self.signature_input()?;
        let wanted = |name: &str| parameters.get(name).map(String::as_str).unwrap_or_default();
        must(wanted("keyid") == identity, || {
            format!("signed by {:?}, and the identity key is {identity}", wanted("keyid"))
        })?;
        must(wanted("alg") == "ed25519", || format!("its alg is {:?}", wanted("alg")))?;
        must((16..=64).contains(&wanted("nonce").len()), || format!("its nonce is {:?}", wanted("nonce")))?;
        let seconds = |name: &str| wanted(name).parse::<i64>().map_err(|_| format!("its {name} is {:?}", wanted(name)));
        let (created, expires, now) = (seconds("created")?, seconds("expires")?, now.as_second());
        must(created <= now + 60 && now < expires && (1..=300).contains(&(expires - created)), || {
            format!("signed from {created} to {expires}, and it is {now}")
        })?;
        let digest = format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(&self.body)));
        let said = self.field("content-digest")?;
        must(said.split(',').any(|one| one.trim() == digest), || format!("its digest is {said}, not {digest}"))?;
        let query = format!("?{}", self.uri.query().unwrap_or_default());
        let parts: BTreeMap<&str, &str> = [
            ("@method", "POST"),
            ("@authority", authority),
            ("@path", self.uri.path()),
            ("@query", &query),
            ("content-digest", said),
            ("content-type", self.field("content-type")?),
            ("idempotency-key", self.field("idempotency-key")?),
        ]
        .into();
        let inside = covered.split(')').next().unwrap_or_default().trim_start_matches('(');
        let names: Vec<&str> = inside.split(' ').map(|name| name.trim_matches('"')).collect();
        let all = names.len() == parts.len() && parts.keys().all(|part| names.contains(part));
        must(all, || format!("its signature covers {inside}"))?;
        let lines: String = names.iter().map(|name| format!("\"{name}\": {}\n", parts[name])).collect();
        let base = format!("{lines}\"@signature-params\": {covered}");
        let begins = format!("{label}=:");
        let signature = self.field("signature")?.split(", ").find_map(|one| one.trim().strip_prefix(&begins));
        let signature = signature.and_then(|one| STANDARD.decode(one.trim_end_matches(':')).ok());
        let signature =
            signature.and_then(|bytes| Signature::from_slice(&bytes).ok()).ok_or("its signature is none")?;
        let key = URL_SAFE_NO_PAD.decode(identity).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let key = key.and_then(|key| VerifyingKey::from_bytes(&key).ok()).ok_or("the identity key is none")?;
        key.verify_strict(base.as_bytes(), &signature).map_err(|_| "its signature does not fit".to_owned())?;
        let id = &self.said()?["id"];
        must(*id == self.field("idempotency-key")?, || format!("its Idempotency-Key is not its id, {id}"))
    }

    /// The one that is for webhooks: its label, what it covers as it is written, and its parameters.
    fn signature_input(&self) -> Result<(String, String, BTreeMap<String, String>), String> {
        let field = self.field("signature-input")?;
        // Ours are made of names and simple texts: nothing in them has a comma and a space.
        let all: Vec<_> = field.split(", ").filter_map(|one| one.trim().split_once('=')).collect();
        let read = |covered: &str| {
            let after = covered.split_once(')').map(|(_, after)| after).unwrap_or_default();
            let one = |text: &str| text.split_once('=').map(|(n, v)| (n.to_owned(), v.trim_matches('"').to_owned()));
            after.split(';').filter_map(one).collect::<BTreeMap<_, _>>()
        };
        let mut ours = all.iter().map(|(label, covered)| (*label, *covered, read(covered)));
        let ours = ours.find(|(_, _, parameters)| parameters.get("tag").is_some_and(|tag| tag == "admit-webhook"));
        let (label, covered, parameters) =
            ours.ok_or_else(|| format!("no signature has the tag admit-webhook: {field}"))?;
        Ok((label.to_owned(), covered.to_owned(), parameters))
    }
}

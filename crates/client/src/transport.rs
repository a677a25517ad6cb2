//! Asking: bounded in time and size, without redirects or cookies, and again with the same key when a reply is lost.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use admit_protocol::json::{self, Numbers};
use admit_protocol::origin::{Origin, OriginPolicy};
use admit_protocol::problem::{Problem, ProblemCode};
use admit_protocol::signature::{Content, Signing};
use jiff::Timestamp;
use reqwest::{Method, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clock::Clocks;
use crate::error::ClientError;
use crate::secret::{Field, RequestKey, Secret};

const JSON: &str = "application/json";

/// How an app behaves towards servers.
#[derive(Clone)]
pub struct Options {
    /// Which origins are talked to.
    pub origins: OriginPolicy,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// How long one answer may take.
    pub timeout: Duration,
    /// How names become addresses; the system's way, if nothing is said. An index lets only global addresses through.
    pub resolver: Option<Arc<dyn reqwest::dns::Resolve>>,
    /// How often a request is sent: reads, too, and what has an effect with the same key each time.
    pub tries: u32,
    /// How long all tries of one call may take together.
    pub deadline: Duration,
    /// Sent with every request: for a client of one server, such as a counter's with its session.
    pub headers: reqwest::header::HeaderMap,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            origins: OriginPolicy::Public,
            connect_timeout: Duration::from_secs(3),
            timeout: Duration::from_secs(10),
            resolver: None,
            tries: 6,
            deadline: Duration::from_secs(25),
            headers: reqwest::header::HeaderMap::new(),
        }
    }
}

/// Asks servers.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    pub(crate) options: Options,
    pub(crate) clocks: Clocks,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("origins", &self.options.origins).finish_non_exhaustive()
    }
}

/// One request.
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) secret: Option<&'a Secret>,
    pub(crate) key: Option<&'a RequestKey>,
    /// Whether it is one effect without a key, however often it is sent.
    pub(crate) one_effect: bool,
    pub(crate) body: Option<Vec<u8>>,
    /// How large an answer is read.
    pub(crate) limit: usize,
}

impl<'a> Ask<'a> {
    pub(crate) fn get(url: String, limit: usize) -> Self {
        Self { method: Method::GET, url, secret: None, key: None, one_effect: false, body: None, limit }
    }

    pub(crate) fn post<T: Serialize>(url: String, body: &T) -> Self {
        // Wire types always serialise.
        let body = Some(serde_json::to_vec(body).expect("wire types serialise"));
        Self { method: Method::POST, url, secret: None, key: None, one_effect: false, body, limit: ANSWER_BYTES_MAX }
    }

    pub(crate) fn by(mut self, secret: &'a Secret) -> Self {
        self.secret = Some(secret);
        self
    }

    pub(crate) fn once(mut self, key: &'a RequestKey) -> Self {
        self.key = Some(key);
        self
    }

    /// Whether something may have come of it that is not heard of, and is when it is asked again.
    fn is_done_once(&self) -> bool {
        self.key.is_some() || self.one_effect
    }
}

/// The largest answer to a buyer's request: a hundred tickets of 1.6 KiB.
pub(crate) const ANSWER_BYTES_MAX: usize = 256 * 1024;

impl Client {
    /// A client with these manners.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(options: Options) -> Result<Self, ClientError> {
        // Whoever came first has chosen; all our crates choose ring.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(options.connect_timeout)
            .timeout(options.timeout)
            .no_proxy()
            .default_headers(options.headers.clone())
            .user_agent(concat!("admit-client/", env!("CARGO_PKG_VERSION")));
        if let Some(resolver) = &options.resolver {
            http = http.dns_resolver(resolver.clone());
        }
        let http = http.build().map_err(|e| ClientError::Setup(e.to_string()))?;
        Ok(Self { http, options, clocks: Clocks::default() })
    }

    /// Asks once, and waits at most so long.
    async fn send(&self, origin: &Origin, ask: &Ask<'_>, wait: Duration) -> Result<(StatusCode, Vec<u8>), Sent> {
        let mut request = self.http.request(ask.method.clone(), &ask.url).timeout(wait);
        for (name, value) in self.proof(origin, ask).map_err(Sent::Final)? {
            request = request.header(name, value);
        }
        if let Some(key) = ask.key {
            request = request.header("idempotency-key", key.as_str());
        }
        if let Some(body) = &ask.body {
            request = request.header("content-type", JSON).body(body.clone());
        }
        let lost = |source| Sent::Lost(ClientError::Unreachable { origin: origin.to_string(), source });
        let asked = Instant::now();
        let mut response = request.send().await.map_err(lost)?;
        if let Some(said) = server_time(&response) {
            self.clocks.hear(origin, said, asked, Instant::now());
        }
        let status = response.status();
        let bytes = read(&mut response, ask.limit).await.map_err(lost)?;
        let too_large = || bad_answer(origin, format!("more than {} bytes", ask.limit));
        Ok((status, bytes.ok_or_else(too_large).map_err(Sent::Final)?))
    }

    /// What proves who asks.
    fn proof(&self, origin: &Origin, ask: &Ask<'_>) -> Result<Vec<Field>, ClientError> {
        let Some(secret) = ask.secret else { return Ok(Vec::new()) };
        let content = ask.body.as_ref().map(|body| Content::of(JSON, body));
        // All addresses are made below the origin: what follows it is what is sent.
        let target = ask.url.strip_prefix(origin.as_str()).unwrap_or_default();
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let asked = Signing {
            method: ask.method.as_str(),
            authority: origin.authority(),
            path,
            query,
            content: content.as_ref(),
            idempotency_key: ask.key.map(RequestKey::as_str),
        };
        // The reader's clock is what counts (HTTP-020).
        let now = self.clocks.now(origin).unwrap_or_else(Timestamp::now);
        Ok(secret.prove(&asked, now)?)
    }

    /// Opens an answer without an end, to go on after an event.
    pub(crate) async fn stream(
        &self,
        origin: &Origin,
        url: &str,
        last: Option<String>,
    ) -> Result<Response, ClientError> {
        // The headers are waited for like any answer; what follows takes as long as it takes.
        let mut request =
            self.http.get(url).timeout(Duration::from_secs(7 * 24 * 3600)).header("accept", "text/event-stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let lost = |source| ClientError::Unreachable { origin: origin.to_string(), source };
        let late = |_| bad_answer(origin, "no answer in time".into());
        let mut response =
            tokio::time::timeout(self.options.timeout, request.send()).await.map_err(late)?.map_err(lost)?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let bytes = read(&mut response, ANSWER_BYTES_MAX).await.map_err(lost)?.unwrap_or_default();
        Err(ClientError::Refused(Box::new(problem(origin, status, &bytes)?)))
    }

    /// Asks, and asks again with the same key as long as the outcome is not known. What is only read is asked again, too.
    pub(crate) async fn ask(&self, origin: &Origin, ask: &Ask<'_>) -> Result<Vec<u8>, ClientError> {
        // Only requests that may be repeated: reads, deletes, and what is done once.
        let tries = if ask.is_done_once() || ask.method != Method::POST { self.options.tries.max(1) } else { 1 };
        let began = Instant::now();
        let mut last = None;
        // Whether one of the tries may have been done without our hearing of it.
        let mut lost = false;
        for attempt in 0..tries {
            let left = self.options.deadline.saturating_sub(began.elapsed());
            let wait = match self.send(origin, ask, left.min(self.options.timeout)).await {
                Ok((status, bytes)) if status.is_success() => return Ok(bytes),
                Ok((status, bytes)) => {
                    let problem = match problem(origin, status, &bytes) {
                        Ok(problem) => problem,
                        // Somebody in between says something: nothing about a try that was lost.
                        Err(error) if lost && ask.is_done_once() => {
                            last = Some(error);
                            break;
                        }
                        Err(error) => return Err(error),
                    };
                    // Whoever says this does not know, or said it before looking whether it was done (IDEM-007).
                    lost |= matches!(problem.code, ProblemCode::OutcomeUnknown | ProblemCode::Internal)
                        || (problem.code == ProblemCode::Unknown && problem.status >= 500);
                    let again = may_succeed_later(&problem);
                    let wait = problem.retry_after_ms.map_or(backoff(attempt), Duration::from_millis);
                    last = Some(ClientError::Refused(Box::new(problem)));
                    if !again {
                        break;
                    }
                    wait.min(Duration::from_secs(5))
                }
                Err(Sent::Lost(error)) => {
                    // Where nobody listens, nothing was done.
                    lost |= !matches!(&error, ClientError::Unreachable { source, .. } if source.is_connect());
                    last = Some(error);
                    backoff(attempt)
                }
                Err(Sent::Final(error)) => return Err(error),
            };
            if attempt + 1 == tries || began.elapsed() + wait >= self.options.deadline {
                break;
            }
            tokio::time::sleep(wait).await;
        }
        let last = last.unwrap_or_else(|| bad_answer(origin, "no answer".into()));
        // A refusal that was decided after looking for the key is the last word (IDEM-004); others say nothing of an
        // earlier try whose answer was lost.
        let decided = matches!(&last, ClientError::Refused(problem) if is_decided(problem));
        let unknown = ask.is_done_once() && lost && !decided;
        Err(if unknown { ClientError::OutcomeUnknown { last: last.to_string() } } else { last })
    }

    /// Asks for JSON.
    pub(crate) async fn json<T: DeserializeOwned>(&self, origin: &Origin, ask: &Ask<'_>) -> Result<T, ClientError> {
        let bytes = self.ask(origin, ask).await?;
        json::read(&bytes, ask.limit, Numbers::Any).map_err(|e| {
            let garbled = bad_answer(origin, e.to_string());
            // It was done, and what came of it cannot be read: asked again, it can.
            if ask.is_done_once() { ClientError::OutcomeUnknown { last: garbled.to_string() } } else { garbled }
        })
    }
}

/// Whether the same request may succeed later. An unknown code is judged by its status (EXT-002).
fn may_succeed_later(problem: &Problem) -> bool {
    match problem.code {
        ProblemCode::OutcomeUnknown | ProblemCode::Busy | ProblemCode::RequestInFlight | ProblemCode::Internal => true,
        ProblemCode::RateLimited => problem.retry_after_ms.is_some(),
        ProblemCode::Unknown => problem.status >= 500 || problem.status == 429,
        _ => false,
    }
}

/// Whether a refusal was decided by the rules of the house, after the server looked whether this very request was done
/// before. What a proxy or a limit says comes earlier.
pub(crate) fn is_decided(problem: &Problem) -> bool {
    let early = matches!(
        problem.code,
        ProblemCode::OutcomeUnknown
            | ProblemCode::Busy
            | ProblemCode::RequestInFlight
            | ProblemCode::RateLimited
            | ProblemCode::Internal
            | ProblemCode::Unauthenticated
            | ProblemCode::Forbidden
            | ProblemCode::NotFound
            // Who says so has no bookings, and did not look.
            | ProblemCode::Moved
            | ProblemCode::CapabilityNotOffered
            | ProblemCode::MethodNotAllowed
            | ProblemCode::TooLarge
            | ProblemCode::UnsupportedMediaType
            | ProblemCode::Unreadable
            | ProblemCode::Unknown
    );
    !early
}

/// What came of sending.
enum Sent {
    /// Perhaps it arrived, perhaps not.
    Lost(ClientError),
    /// It arrived, and the answer is useless.
    Final(ClientError),
}

pub(crate) fn bad_answer(origin: &Origin, why: String) -> ClientError {
    ClientError::BadAnswer { origin: origin.to_string(), why }
}

/// `Admit-Now`, if it is there and can be read.
fn server_time(response: &Response) -> Option<Timestamp> {
    response.headers().get("admit-now")?.to_str().ok()?.parse().ok()
}

async fn read(response: &mut Response, limit: usize) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if bytes.len() + chunk.len() > limit {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(bytes))
}

/// A problem document, or the best that can be said of an answer that has none.
fn problem(origin: &Origin, status: StatusCode, bytes: &[u8]) -> Result<Problem, ClientError> {
    if let Ok(problem) = json::read::<Problem>(bytes, ANSWER_BYTES_MAX, Numbers::Any) {
        return Ok(problem);
    }
    match status.as_u16() {
        // A proxy in between answers like this, and knows nothing of what happened behind it.
        502..=504 => {
            Ok(Problem::new(ProblemCode::OutcomeUnknown, format!("status {status} without a problem document")))
        }
        _ => Err(bad_answer(origin, format!("status {status} without a problem document"))),
    }
}

/// 100 ms, 200 ms, 400 ms ... and up to half as much again, so that clients that failed together do not come together.
pub(crate) fn backoff(attempt: u32) -> Duration {
    let base = 100_u64 << attempt.min(5);
    let mut random = [0; 2];
    let _ = getrandom::fill(&mut random);
    Duration::from_millis(base + base / 2 * u64::from(u16::from_be_bytes(random)) / u64::from(u16::MAX))
}

//! Requests as anybody could send them, and what was answered.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value;
use tokio::task::JoinSet;

/// Longer than any answer the protocol has.
const BYTES_MAX: usize = 8 << 20;
/// How much of a body is shown with a failure.
const SHOWN: usize = 600;

/// An answer, whole.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub(crate) fn json(&self) -> Result<Value, String> {
        serde_json::from_slice(&self.bytes).map_err(|e| format!("the body is no JSON: {e}"))
    }
}

/// A request that can be sent, and sent again.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Ask {
    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), headers: Vec::new(), body: Vec::new() }
    }

    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub(crate) fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// A JSON document to this path.
    pub(crate) fn post(path: impl Into<String>, body: &Value) -> Self {
        Self::new(Method::POST, path).with("content-type", "application/json").body(body.to_string())
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(there, _)| *there != name);
        self.headers.push((name, value.into()));
        self
    }

    /// The same to another path.
    pub(crate) fn to(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(there, _)| *there != name);
        self
    }

    pub(crate) fn by(self, secret: &str) -> Self {
        self.with("authorization", format!("Bearer {secret}"))
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.with("idempotency-key", key)
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The hold or booking that it made.
    fn made(&self, answer: &Answer) -> Option<Made> {
        let makes = self.method == Method::POST && (self.path.ends_with("/holds") || self.path.ends_with("/bookings"));
        let made = (makes && answer.status == 201).then(|| answer.json().ok()).flatten()?;
        let authorization = self.headers.iter().find(|(name, _)| *name == "authorization")?.1.clone();
        Some(Made { authorization, path: format!("{}/{}", self.path, made["id"].as_str()?) })
    }

    /// The same as a line for a shell.
    fn curl(&self, origin: &str) -> String {
        let mut line = format!("curl -i -X {}", self.method);
        for (name, value) in &self.headers {
            let _ = write!(line, " -H '{name}: {value}'");
        }
        if !self.body.is_empty() {
            let body = String::from_utf8_lossy(&self.body[..self.body.len().min(SHOWN)]).replace('\'', r"'\''");
            let cut = if self.body.len() > SHOWN { "..." } else { "" };
            let _ = write!(line, " -d '{body}{cut}'");
        }
        format!("{line} '{origin}{}'", self.path)
    }
}

/// A way to one origin, and what went over it.
#[derive(Clone)]
pub(crate) struct Wire {
    http: reqwest::Client,
    origin: String,
    said: Arc<Mutex<Vec<String>>>,
    /// Holds and bookings that were made over it.
    made: Arc<Mutex<Vec<Made>>>,
}

/// Something that is to be given back where other people sit.
pub(crate) struct Made {
    pub(crate) authorization: String,
    /// Where it is.
    pub(crate) path: String,
}

impl Wire {
    pub(crate) fn to(origin: &str) -> anyhow::Result<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(20))
            .no_proxy()
            .user_agent(concat!("admit-conformance/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("no TLS")?;
        Ok(Self { http, origin: origin.trim_end_matches('/').to_owned(), said: Arc::default(), made: Arc::default() })
    }

    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// What went over it since it was last asked for, as a script for a shell; answers are its comments.
    pub(crate) fn take_said(&self) -> Vec<String> {
        std::mem::take(&mut self.said.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What was made over it since it was last asked for.
    pub(crate) fn take_made(&self) -> Vec<Made> {
        std::mem::take(&mut self.made.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) async fn send(&self, ask: &Ask) -> Result<Answer, String> {
        let answered = self.send_unseen(ask).await;
        let came = match &answered {
            Ok(answer) => {
                let body = String::from_utf8_lossy(&answer.bytes[..answer.bytes.len().min(SHOWN)]).replace('\n', " ");
                format!("{} {body}", answer.status)
            }
            Err(why) => why.clone(),
        };
        self.made.lock().unwrap_or_else(PoisonError::into_inner).extend(answered.iter().filter_map(|a| ask.made(a)));
        let line = format!("{}\n# {came}", ask.curl(&self.origin));
        self.said.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        answered
    }

    async fn send_unseen(&self, ask: &Ask) -> Result<Answer, String> {
        let mut request = self.http.request(ask.method.clone(), format!("{}{}", self.origin, ask.path));
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        if !ask.body.is_empty() {
            request = request.body(ask.body.clone());
        }
        let mut response = request.send().await.map_err(|e| format!("no answer: {}", causes(&e)))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| format!("no whole answer: {}", causes(&e)))? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > BYTES_MAX {
                return Err(format!("more than {BYTES_MAX} bytes"));
            }
        }
        Ok(Answer { status, headers, bytes })
    }

    /// What comes within a while of what does not end; its media type with it.
    pub(crate) async fn listen(&self, ask: &Ask, at_most: Duration) -> Result<(String, Vec<u8>), String> {
        let url = format!("{}{}", self.origin, ask.path);
        let request = ask.headers.iter().fold(self.http.request(ask.method.clone(), url), |r, (n, v)| r.header(*n, v));
        let mut response = request.send().await.map_err(|e| format!("no answer: {}", causes(&e)))?;
        let media = response.headers().get("content-type").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        let (mut bytes, until) = (Vec::new(), tokio::time::Instant::now() + at_most);
        while let Ok(Ok(Some(chunk))) = tokio::time::timeout_at(until, response.chunk()).await {
            bytes.extend_from_slice(&chunk);
        }
        Ok((media, bytes))
    }

    /// All of them at once; the answers in the order of the requests.
    pub(crate) async fn send_all(&self, asks: Vec<Ask>) -> Result<Vec<Answer>, String> {
        let mut under_way = JoinSet::new();
        for (n, ask) in asks.into_iter().enumerate() {
            let wire = self.clone();
            under_way.spawn(async move { (n, wire.send(&ask).await) });
        }
        let mut answers = Vec::new();
        while let Some(done) = under_way.join_next().await {
            let (n, answer) = done.map_err(|e| e.to_string())?;
            answers.push((n, answer?));
        }
        answers.sort_by_key(|(n, _)| *n);
        Ok(answers.into_iter().map(|(_, answer)| answer).collect())
    }
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(because) = cause {
        let _ = write!(words, ": {because}");
        cause = because.source();
    }
    words
}

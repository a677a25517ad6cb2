//! A server, asked as anybody could ask it, and what it answered.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value;

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

/// A server to be looked at.
pub(crate) struct Target {
    http: reqwest::Client,
    origin: String,
    /// What the manifest says; nothing before it was read.
    pub(crate) manifest: Option<Value>,
    /// The last exchange, to be shown with a failure.
    pub(crate) last: String,
    read: BTreeMap<String, Answer>,
}

/// Longer than any answer the protocol has.
const BYTES_MAX: usize = 8 << 20;

impl Target {
    pub(crate) fn new(origin: &str) -> anyhow::Result<Self> {
        let origin = origin.trim_end_matches('/').to_owned();
        let local = origin.starts_with("http://127.0.0.1:");
        ensure!(local || origin.starts_with("https://"), "{origin} is neither https:// nor http://127.0.0.1:PORT");
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(10))
            .no_proxy()
            .user_agent(concat!("admit-conformance/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("no TLS")?;
        Ok(Self { http, origin, manifest: None, last: String::new(), read: BTreeMap::new() })
    }

    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// A path of the API, as the manifest places it.
    pub(crate) fn api(&self, path: &str) -> Result<String, String> {
        let base = self.member("api_base")?.as_str().ok_or("`api_base` is no text")?;
        Ok(format!("{base}{path}"))
    }

    /// A member of the manifest.
    pub(crate) fn member(&self, name: &str) -> Result<&Value, String> {
        let manifest = self.manifest.as_ref().ok_or("the manifest could not be read")?;
        manifest.get(name).ok_or_else(|| format!("the manifest has no `{name}`"))
    }

    pub(crate) fn has(&self, capability: &str) -> bool {
        let listed = self.member("capabilities").ok().and_then(|c| c.as_array().cloned()).unwrap_or_default();
        listed.iter().any(|c| c == capability)
    }

    /// Reads a path; asked again, the first answer.
    pub(crate) async fn get(&mut self, path: &str) -> Result<Answer, String> {
        if let Some(answer) = self.read.get(path) {
            return Ok(answer.clone());
        }
        let answer = self.ask(Method::GET, path, &[]).await?;
        self.read.insert(path.to_owned(), answer.clone());
        Ok(answer)
    }

    pub(crate) async fn ask(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Answer, String> {
        let url = format!("{}{path}", self.origin);
        let said: String = headers.iter().map(|(name, value)| format!(" -H '{name}: {value}'")).collect();
        self.last = format!("curl -i -X {method}{said} '{url}'");
        let mut request = self.http.request(method, &url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = request.send().await.map_err(|e| format!("no answer: {e}"))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| format!("no whole answer: {e}"))? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > BYTES_MAX {
                return Err(format!("more than {BYTES_MAX} bytes"));
            }
        }
        Ok(Answer { status, headers, bytes })
    }
}

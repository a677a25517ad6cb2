//! Bodies from strangers.

use std::time::Duration;

use admit_protocol::json::{self, JsonError, Numbers};
use admit_protocol::problem::{Problem, ProblemCode};
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use http::{HeaderMap, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use crate::Reply;

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(15);

/// A JSON body of at most `LIMIT` bytes, read as `spec/v1/http.md` says, and its bytes as they came.
#[derive(Debug)]
pub struct StrictJson<T, const LIMIT: usize = { json::BUYER_REQUEST_BYTES_MAX }> {
    /// What it says.
    pub value: T,
    /// As it came: its digest is part of what an idempotency key stands for.
    pub bytes: Bytes,
}

impl<S: Sync, T: DeserializeOwned, const LIMIT: usize> FromRequest<S> for StrictJson<T, LIMIT> {
    type Rejection = Reply;

    async fn from_request(request: Request, _: &S) -> Result<Self, Reply> {
        let (parts, body) = request.into_parts();
        let bytes = json_bytes(&parts.headers, body, LIMIT).await?;
        let value = json::read(&bytes, LIMIT, Numbers::Any).map_err(|e| unreadable(&e))?;
        Ok(Self { value, bytes })
    }
}

/// The bytes of a body that says it is JSON, of at most `limit`.
///
/// # Errors
/// When it says it is something else, or cannot be read whole.
pub async fn json_bytes(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, Reply> {
    check_form(headers)?;
    read_body(body, limit).await
}

/// A readable JSON document, or what is wrong with it.
#[must_use]
pub fn unreadable(error: &JsonError) -> Reply {
    let code = match error {
        JsonError::TooLarge { .. } => ProblemCode::TooLarge,
        _ => ProblemCode::Unreadable,
    };
    let mut problem = Problem::new(code, error.to_string());
    problem.pointers.extend(error.pointer().map(str::to_owned));
    problem.into()
}

fn check_form(headers: &HeaderMap) -> Result<(), Reply> {
    let refuse = |why: &str| Err(Reply::new(ProblemCode::UnsupportedMediaType, why));
    if headers.get(header::CONTENT_ENCODING).is_some_and(|v| v != "identity") {
        return refuse("request bodies are not read compressed: send the JSON as it is");
    }
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let mut parts = content_type.split(';').map(str::trim);
    if !parts.next().unwrap_or_default().eq_ignore_ascii_case("application/json") {
        return refuse("send JSON with Content-Type: application/json");
    }
    let charset = |part: &str| {
        part.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset")).map(|c| c.1.to_owned())
    };
    match parts.find_map(charset) {
        Some(charset) if !charset.trim().trim_matches('"').eq_ignore_ascii_case("utf-8") => {
            refuse("JSON is in UTF-8: send it as that")
        }
        _ => Ok(()),
    }
}

/// Reads a whole body of at most `limit` bytes.
///
/// # Errors
/// When it is larger, breaks off, or takes too long.
pub async fn read_body(body: Body, limit: usize) -> Result<Bytes, Reply> {
    let collected = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, limit).collect()).await;
    match collected {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(Reply::new(ProblemCode::TooLarge, format!("a request here has at most {limit} bytes")))
        }
        Ok(Err(_)) => Err(Reply::new(ProblemCode::Unreadable, "the body broke off")),
        Err(_) => Err(Reply::new(ProblemCode::Unreadable, "the body took longer than 15 seconds")),
    }
}

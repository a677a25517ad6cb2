//! Answers that need not be sent again: `ETag` and `If-None-Match` (RFC 9110 section 13).

use axum::body::Bytes;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};

/// How long an answer may be kept.
#[derive(Debug, Clone, Copy)]
pub enum Keep {
    /// For ever: it is named by its hash.
    Forever,
    /// Ask again each time, with the `ETag`.
    AskAgain,
}

/// JSON bytes with an `ETag`, or 304 when the asker has them.
#[must_use]
pub fn json(request: &HeaderMap, etag: &str, keep: Keep, bytes: Bytes) -> Response {
    let quoted = format!("\"{etag}\"");
    let known = request.get_all(header::IF_NONE_MATCH).iter().filter_map(|v| v.to_str().ok());
    let matches = known.flat_map(|v| v.split(',')).any(|tag| {
        let tag = tag.trim();
        tag == "*" || tag.trim_start_matches("W/") == quoted
    });
    let mut response = if matches { StatusCode::NOT_MODIFIED.into_response() } else { bytes.into_response() };
    let headers = response.headers_mut();
    if !matches {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    headers.extend(HeaderValue::from_str(&quoted).ok().map(|tag| (header::ETAG, tag)));
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static(match keep {
            Keep::Forever => "public, max-age=31536000, immutable",
            Keep::AskAgain => "no-cache",
        }),
    );
    response
}

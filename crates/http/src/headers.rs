//! Headers that every answer has, and CORS for what any page may call.

use std::time::Duration;

use admit_protocol::problem::ProblemCode;
use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::Response;
use http::{HeaderName, HeaderValue, Method, header};
use jiff::Timestamp;
use tower_http::cors::{Any, CorsLayer};

use crate::Reply;

/// The name of an answer in our log and in the asker's.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
/// The server's time, so that clients can count their difference (C3).
pub const ADMIT_NOW: HeaderName = HeaderName::from_static("admit-now");
/// Set when an answer was given before.
pub const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// Names one effect.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Lets pages of any origin call these routes, without cookies.
pub fn cors() -> CorsLayer {
    let name = HeaderName::from_static;
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            IDEMPOTENCY_KEY,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            name("last-event-id"),
            name("content-digest"),
            name("signature"),
            name("signature-input"),
        ])
        .expose_headers([
            header::ETAG,
            header::LOCATION,
            header::RETRY_AFTER,
            name("ratelimit"),
            IDEMPOTENT_REPLAYED,
            ADMIT_NOW,
            name("deprecation"),
            name("sunset"),
            REQUEST_ID,
        ])
        .max_age(Duration::from_secs(86_400))
}

/// Gives every answer a request id, the server's time (C3), and the headers that keep browsers from guessing.
pub fn layer(router: Router, clock: impl Fn() -> Timestamp + Clone + Send + Sync + 'static) -> Router {
    router.layer(middleware::from_fn(move |request, next| common(request, next, clock.clone())))
}

/// Answers with a problem where nothing is, too: for a router that is a whole server.
pub fn everywhere(router: Router, clock: impl Fn() -> Timestamp + Clone + Send + Sync + 'static) -> Router {
    let nothing = Router::new().fallback(async || Reply::not_found()).layer(cors());
    router.fallback_service(layer(nothing, clock))
}

/// What is answered where an address is used with another method. The `Allow` header is added to it.
pub async fn wrong_method() -> Reply {
    Reply::new(ProblemCode::MethodNotAllowed, "the Allow header of this answer says which methods there are")
}

async fn common(request: Request, next: Next, clock: impl Fn() -> Timestamp) -> Response {
    let id = request_id();
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.extend(HeaderValue::from_str(&format!("{:.3}", clock())).ok().map(|now| (ADMIT_NOW, now)));
    headers.insert(REQUEST_ID, id);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn request_id() -> HeaderValue {
    let mut bytes = [0; 8];
    // Without randomness the id is a poor one; that is no reason to refuse a request.
    let _ = getrandom::fill(&mut bytes);
    HeaderValue::from_str(&format!("{:016x}", u64::from_be_bytes(bytes))).unwrap_or(HeaderValue::from_static("-"))
}

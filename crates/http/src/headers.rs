//! Headers that every answer has, and CORS for what any page may call.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use admit_protocol::problem::ProblemCode;
use axum::Router;
use axum::response::Response;
use http::{HeaderName, HeaderValue, Method, header};
use jiff::Timestamp;
use tower::util::MapResponseLayer;
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
fn cors() -> CorsLayer {
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
        // What any page may read is the same for every page.
        .vary([])
        .max_age(Duration::from_secs(86_400))
}

/// Gives every answer a request id, the server's time (C3), and the headers that keep browsers from guessing.
pub fn layer(router: Router, clock: impl Fn() -> Timestamp + Clone + Send + Sync + 'static) -> Router {
    router.layer(common(clock))
}

/// As [`layer`], for routes that pages of any origin may call, without cookies.
pub fn public(router: Router, clock: impl Fn() -> Timestamp + Clone + Send + Sync + 'static) -> Router {
    // In one: each layer of a router is a box around each of its routes.
    router.layer((common(clock), cors()))
}

/// Answers with a problem where nothing is, too: for a router that is a whole server.
pub fn everywhere(router: Router, clock: impl Fn() -> Timestamp + Clone + Send + Sync + 'static) -> Router {
    router.fallback_service(public(Router::new().fallback(async || Reply::not_found()), clock))
}

/// What is answered where an address is used with another method. The `Allow` header is added to it.
pub async fn wrong_method() -> Reply {
    Reply::new(ProblemCode::MethodNotAllowed, "the Allow header of this answer says which methods there are")
}

fn common(
    clock: impl Fn() -> Timestamp + Clone + Send + Sync + 'static,
) -> MapResponseLayer<impl Fn(Response) -> Response + Clone + Send + Sync + 'static> {
    MapResponseLayer::new(move |mut response: Response| {
        let headers = response.headers_mut();
        // Room for those below, and for those of CORS.
        headers.reserve(8);
        headers.extend(HeaderValue::from_str(&format!("{:.3}", clock())).ok().map(|now| (ADMIT_NOW, now)));
        headers.insert(REQUEST_ID, request_id());
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        response
    })
}

/// A name that no other answer of this process has, and those of other processes hardly: nobody needs to be kept from guessing it.
fn request_id() -> HeaderValue {
    static NEXT: LazyLock<AtomicU64> = LazyLock::new(|| {
        let mut bytes = [0; 8];
        // Without randomness the ids are poor ones; that is no reason to refuse a request.
        let _ = getrandom::fill(&mut bytes);
        AtomicU64::new(u64::from_be_bytes(bytes))
    });
    // An odd step goes through all numbers, and looks like none (Weyl).
    let id = NEXT.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
    HeaderValue::from_str(&format!("{id:016x}")).unwrap_or(HeaderValue::from_static("-"))
}

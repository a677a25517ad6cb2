//! The buyers' API, address by address.

mod book;
mod cancel;
mod documents;
mod door;
mod exchange;
mod extend_hold;
mod get_booking;
mod get_feed;
mod get_hold;
mod get_live;
mod get_programme;
mod get_seats;
mod get_tickets;
mod place_hold;
mod queue;
mod release_hold;
mod waitlist;

use admit_http::headers::{IDEMPOTENT_REPLAYED, cors};
use admit_http::{Reply, headers};
use admit_protocol::endpoint as at;
use admit_protocol::manifest::MANIFEST_PATH;
use admit_protocol::problem::ProblemCode;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::cinema::Cinema;
use crate::engine::{Done, Failed};

/// All routes of the buyers' API, and the manifest.
pub(crate) fn router(cinema: &Cinema) -> Router {
    let api = Router::new()
        .route(at::GET_CINEMA_PAGE.path, get(documents::cinema_page))
        .route(at::GET_LAYOUT.path, get(documents::document))
        .route(at::GET_PRICE_TABLE.path, get(documents::document))
        .route(at::GET_PROGRAMME.path, get(get_programme::get_programme))
        .route(at::GET_FEED.path, get(get_feed::get_feed))
        .route(at::GET_SCREENING.path, get(get_programme::get_screening))
        .route(at::GET_SEATS.path, get(get_seats::get_seats))
        .route(at::GET_LIVE.path, get(get_live::get_live))
        .route(at::PLACE_HOLD.path, post(place_hold::place_hold))
        .route(at::GET_HOLD.path, get(get_hold::get_hold).delete(release_hold::release_hold))
        .route(at::EXTEND_HOLD.path, post(extend_hold::extend_hold))
        .route(at::BOOK.path, post(book::book))
        .route(at::GET_BOOKING.path, get(get_booking::get_booking))
        .route(at::GET_TICKETS.path, get(get_tickets::get_tickets))
        .route(at::QUOTE_CANCELLATION.path, post(cancel::quote_cancellation))
        .route(at::CANCEL.path, post(cancel::cancel))
        .route(at::GET_ALLOW_LIST.path, get(door::get_allow_list))
        .route(at::UPLOAD_SCANS.path, post(door::upload_scans))
        .merge(waitlist(cinema))
        .merge(queue(cinema))
        .route(at::QUOTE_EXCHANGE.path, post(exchange::quote_exchange))
        .route(at::EXCHANGE.path, post(exchange::exchange))
        .method_not_allowed_fallback(headers::wrong_method)
        .fallback(nothing_here);
    let router = Router::new()
        .route(MANIFEST_PATH, get(manifest))
        .method_not_allowed_fallback(headers::wrong_method)
        .nest(cinema.api_base(), api)
        .layer(cors())
        .with_state(cinema.clone());
    let clock = cinema.clone();
    headers::layer(router, move || clock.now())
}

fn waitlist(cinema: &Cinema) -> Router<Cinema> {
    // Who waits already is told, and may leave, also when nobody can begin to wait any more.
    let entry = get(waitlist::get_waitlist_entry).delete(waitlist::leave_waitlist);
    let join = if cinema.has_waitlist() { post(waitlist::join_waitlist) } else { any(not_offered) };
    Router::new().route(at::JOIN_WAITLIST.path, join).route(at::GET_WAITLIST_ENTRY.path, entry)
}

fn queue(cinema: &Cinema) -> Router<Cinema> {
    let place = get(queue::get_queue_place).post(queue::join_queue).delete(queue::leave_queue);
    Router::new().route(at::JOIN_QUEUE.path, if cinema.has_queues() { place } else { any(not_offered) })
}

async fn manifest(State(cinema): State<Cinema>, request: HeaderMap) -> Result<Response, Reply> {
    // It may ask the store.
    let bytes = tokio::task::spawn_blocking(move || cinema.manifest()).await.map_err(|e| Reply::internal(&e))?;
    let etag = admit_protocol::digest::ContentName::of(&bytes).to_string();
    Ok(admit_http::conditional::json(&request, &etag, admit_http::conditional::Keep::AskAgain, bytes))
}

async fn nothing_here() -> Reply {
    Reply::not_found()
}

async fn not_offered() -> Reply {
    Reply::new(ProblemCode::CapabilityNotOffered, "the manifest of this server does not list that capability")
}

/// The answer of the writer.
fn answer(result: Result<Done, Failed>) -> Result<Response, Reply> {
    let Done { status, body, replayed } = result.map_err(crate::refusals::reply)?;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    if status != StatusCode::NO_CONTENT {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if replayed {
        headers.insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// JSON that is made for this asker.
fn private<T: serde::Serialize>(value: &T) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], crate::answers::json(value)).into_response()
}

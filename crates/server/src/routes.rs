//! The buyers' API, address by address.

mod book;
mod cancel;
mod documents;
mod door;
mod exchange;
mod extend_hold;
mod forget;
mod get_booking;
mod get_feed;
mod get_hold;
mod get_live;
mod get_programme;
mod get_seats;
pub(crate) mod get_tickets;
mod place_hold;
mod queue;
mod receipts;
mod release_hold;
mod waitlist;

use admit_http::headers::IDEMPOTENT_REPLAYED;
use admit_http::{Reply, headers};
use admit_protocol::endpoint as at;
use admit_protocol::manifest::MANIFEST_PATH;
use admit_protocol::problem::ProblemCode;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, delete, get, post};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::cinema::Cinema;
use crate::engine::{Done, Failed};

/// All routes of the buyers' API, and the manifest.
pub(crate) fn router(cinema: &Cinema) -> Router {
    let base = cinema.api_base();
    // Written out for each: what is nested is routed twice.
    let at = |endpoint: at::Endpoint| format!("{base}{}", endpoint.path);
    let router = Router::new()
        .route(MANIFEST_PATH, get(manifest))
        .route(&at(at::GET_CINEMA_PAGE), get(documents::cinema_page))
        .route(&at(at::GET_LAYOUT), get(documents::document))
        .route(&at(at::GET_PRICE_TABLE), get(documents::document))
        .route(&at(at::GET_PROGRAMME), get(get_programme::get_programme))
        .route(&at(at::GET_FEED), get(get_feed::get_feed))
        .route(&at(at::GET_SCREENING), get(get_programme::get_screening))
        .route(&at(at::GET_SEATS), get(get_seats::get_seats))
        .route(&at(at::GET_LIVE), get(get_live::get_live))
        .route(&at(at::PLACE_HOLD), post(place_hold::place_hold))
        .route(&at(at::GET_HOLD), get(get_hold::get_hold).delete(release_hold::release_hold))
        .route(&at(at::EXTEND_HOLD), post(extend_hold::extend_hold))
        .route(&at(at::BOOK), post(book::book))
        .route(&at(at::GET_BOOKING), get(get_booking::get_booking))
        .route(&at(at::FORGET_BUYER), delete(forget::forget_buyer))
        .route(&at(at::FORGET_WAITING), delete(forget::forget_waiting))
        .route(&at(at::GET_TICKETS), get(get_tickets::get_tickets))
        .route(&at(at::QUOTE_CANCELLATION), post(cancel::quote_cancellation))
        .route(&at(at::CANCEL), post(cancel::cancel))
        .route(&at(at::GET_ALLOW_LIST), get(door::get_allow_list))
        .route(&at(at::UPLOAD_SCANS), post(door::upload_scans))
        .route(&at(at::JOIN_WAITLIST), join_waitlist(cinema))
        .route(
            &at(at::GET_WAITLIST_ENTRY),
            // Who waits already is told, and may leave, also when nobody can begin to wait any more.
            get(waitlist::get_waitlist_entry).delete(waitlist::leave_waitlist),
        )
        .route(&at(at::JOIN_QUEUE), queue(cinema))
        .route(&at(at::GET_RECEIPT), receipts(cinema, get(receipts::get_receipt)))
        .route(&at(at::GET_SEAT_LOG), receipts(cinema, get(receipts::get_seat_log)))
        .route(&at(at::QUOTE_EXCHANGE), post(exchange::quote_exchange))
        .route(&at(at::EXCHANGE), post(exchange::exchange))
        .method_not_allowed_fallback(headers::wrong_method)
        // All below the API is ours, and nothing else is.
        .route(base, any(nothing_here))
        .route(&format!("{base}/"), any(nothing_here))
        .route(&format!("{base}/{{*nothing}}"), any(nothing_here))
        .with_state(cinema.clone());
    let clock = cinema.clone();
    headers::public(router, move || clock.now())
}

fn join_waitlist(cinema: &Cinema) -> MethodRouter<Cinema> {
    if cinema.has_waitlist() { post(waitlist::join_waitlist) } else { any(not_offered) }
}

fn queue(cinema: &Cinema) -> MethodRouter<Cinema> {
    let place = get(queue::get_queue_place).post(queue::join_queue).delete(queue::leave_queue);
    if cinema.has_queues() { place } else { any(not_offered) }
}

fn receipts(cinema: &Cinema, route: MethodRouter<Cinema>) -> MethodRouter<Cinema> {
    if cinema.trail().is_some() { route } else { any(not_offered) }
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

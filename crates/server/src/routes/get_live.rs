use std::convert::Infallible;

use admit_http::listen::Stopping;
use admit_http::{Path, Reply};
use admit_protocol::id::{EpochId, ScreeningId};
use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderName, header};

use crate::cinema::Cinema;
use crate::refusals::reply;

/// Seats as they change: the same events for everybody.
pub(super) async fn get_live(
    State(cinema): State<Cinema>,
    Path(screening): Path<ScreeningId>,
    stopping: Option<Extension<Stopping>>,
    request: HeaderMap,
) -> Result<Response, Reply> {
    let resident = cinema.engine().settle(screening).await.map_err(reply)?;
    let live = cinema.engine().watch(&resident, &cinema, stopping.map(|Extension(stopping)| stopping));
    let last = request.get("last-event-id").and_then(|v| v.to_str().ok()).and_then(read_id);
    let (first, events) = live.enter(&resident, &cinema, last);
    let retry = Bytes::from_static(b"retry: 2000\n\n");
    let first = futures_util::stream::iter(std::iter::once(retry).chain(first));
    // Whoever is too slow is let go, and comes back with the last event that they have (LIVE-004).
    let then = futures_util::stream::unfold(events, async |mut events| Some((events.recv().await.ok()?, events)));
    let stream = first.chain(then).map(Ok::<Bytes, Infallible>);
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        // Some proxies gather answers before they pass them on.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Body::from_stream(stream)).into_response())
}

/// `epoch:seq`.
fn read_id(id: &str) -> Option<(EpochId, u64)> {
    let (epoch, seq) = id.rsplit_once(':')?;
    Some((epoch.parse().ok()?, seq.parse().ok()?))
}

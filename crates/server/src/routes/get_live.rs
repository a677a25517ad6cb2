use std::collections::VecDeque;
use std::convert::Infallible;

use admit_http::listen::Stopping;
use admit_http::{Path, Reply};
use admit_protocol::id::{EpochId, ScreeningId};
use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderName, header};
use tokio::sync::broadcast;

use crate::cinema::Cinema;
use crate::live::HEARTBEAT;
use crate::refusals::reply;

/// Seats as they change: the same events for everybody.
pub(super) async fn get_live(
    State(cinema): State<Cinema>,
    Path(screening): Path<ScreeningId>,
    stopping: Option<Extension<Stopping>>,
    request: HeaderMap,
) -> Result<Response, Reply> {
    let resident = cinema.engine().settle(screening).await.map_err(reply)?;
    let live = resident.live(&cinema);
    let last = request.get("last-event-id").and_then(|v| v.to_str().ok()).and_then(read_id);
    let (first, events) = live.enter(&resident, &cinema, last);
    let retry = Bytes::from_static(b"retry: 2000\n\n");
    let ready = std::iter::once(retry).chain(first).collect();
    let watcher = Watcher { ready, events, stopping: stopping.map(|Extension(stopping)| stopping) };
    let stream = futures_util::stream::unfold(watcher, async |mut watcher| {
        let event = watcher.next().await?;
        Some((Ok::<Bytes, Infallible>(event), watcher))
    });
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

struct Watcher {
    /// What is to be sent first.
    ready: VecDeque<Bytes>,
    events: broadcast::Receiver<Bytes>,
    stopping: Option<Stopping>,
}

impl Watcher {
    /// What is sent next; nothing when the stream ends. Whoever is too slow is let go, and comes back with the last event that they
    /// have (LIVE-004).
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(ready) = self.ready.pop_front() {
            return Some(ready);
        }
        let stopping = async {
            match &mut self.stopping {
                Some(stopping) => stopping.stopped().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            event = self.events.recv() => event.ok(),
            () = tokio::time::sleep(HEARTBEAT) => Some(Bytes::from_static(b": still here\n\n")),
            () = stopping => None,
        }
    }
}

//! Being let in one after another (capability `queue`).

use std::sync::Arc;

use admit_booking::Terms;
use admit_booking::queue::{Pass, QueueTerms};
use admit_http::{Path, Reply};
use admit_protocol::id::ScreeningId;
use admit_protocol::problem::ProblemCode;
use admit_protocol::queue as wire;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use jiff::Timestamp;

use super::private;
use crate::asker::Buyer;
use crate::cinema::Cinema;
use crate::engine::Standing;
use crate::refusals::reply;

/// Takes a place, or shows the one that this secret has.
pub(super) async fn join_queue(
    State(cinema): State<Cinema>,
    Path(screening): Path<ScreeningId>,
    buyer: Buyer,
) -> Result<Response, Reply> {
    let (terms, queue) = queued(&cinema, screening).await?;
    let standing = cinema.engine().come(terms.clone(), buyer.owner, buyer.network).await.map_err(reply)?;
    let shown = private(&shown(&terms, &queue, &standing, cinema.now()));
    Ok(if standing.is_new { (StatusCode::CREATED, shown).into_response() } else { shown })
}

/// How a place stands, to who has its secret.
pub(super) async fn get_queue_place(
    State(cinema): State<Cinema>,
    Path(screening): Path<ScreeningId>,
    buyer: Buyer,
) -> Result<Response, Reply> {
    let (terms, queue) = queued(&cinema, screening).await?;
    let standing = cinema.engine().standing(&terms, buyer.owner).await.map_err(reply)?;
    let standing = standing.ok_or_else(Reply::not_found)?;
    Ok(private(&shown(&terms, &queue, &standing, cinema.now())))
}

/// Gives a place up. Done again, it is done.
pub(super) async fn leave_queue(
    State(cinema): State<Cinema>,
    Path(screening): Path<ScreeningId>,
    buyer: Buyer,
) -> Result<StatusCode, Reply> {
    queued(&cinema, screening).await?;
    cinema.engine().leave(screening, buyer.owner).await.map_err(reply)?;
    Ok(StatusCode::NO_CONTENT)
}

/// The terms of a screening that has a queue.
async fn queued(cinema: &Cinema, screening: ScreeningId) -> Result<(Arc<Terms>, QueueTerms), Reply> {
    let terms = cinema.engine().terms(screening).await.map_err(reply)?;
    let terms = terms.ok_or_else(|| reply(crate::engine::Failed::NoScreening))?;
    let none = || Reply::new(ProblemCode::NotFound, "this screening has no queue: hold its seats");
    let queue = terms.queue.clone().ok_or_else(none)?;
    Ok((terms, queue))
}

fn shown(terms: &Terms, queue: &QueueTerms, standing: &Standing, now: Timestamp) -> wire::QueuePlace {
    let Standing { line, place, .. } = standing;
    let pass = line.pass(terms, queue, place);
    let state = match &pass {
        None => wire::QueueState::Gathering,
        Some((Pass { from, .. }, _)) if now < *from => wire::QueueState::Waiting,
        Some((Pass { until, .. }, _)) if now < *until => wire::QueueState::Admitted,
        Some(_) => wire::QueueState::Over,
    };
    let turn_at = line.turn(terms, place);
    let waits = turn_at.filter(|_| state == wire::QueueState::Waiting);
    // Whose turn is now is before this one, too.
    let ahead = waits.map(|turn| turn.duration_since(now).as_micros().unsigned_abs());
    let ahead = ahead.map(|us| us.div_ceil(queue.announced.interval_us().unsigned_abs().into()));
    wire::QueuePlace {
        screening: terms.screening,
        state,
        came_at: place.came_at,
        places: line.places,
        sales_open_at: terms.sales.opens_at,
        turn_at,
        ahead: ahead.and_then(|ahead| u64::try_from(ahead).ok()),
        pass_until: pass.as_ref().map(|(pass, _)| pass.until),
        pass: pass.map(|(_, text)| text),
        commitment: line.commitment(),
        seed: line.drawn.map(|_| URL_SAFE_NO_PAD.encode(line.seed)),
    }
}

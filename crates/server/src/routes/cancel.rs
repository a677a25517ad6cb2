//! Cancelling tickets: first what it brings back, then by that quote's name.

use admit_booking::{Cancellation, Command, HoldKey};
use admit_http::{Path, Reply};
use admit_protocol::booking::{Cancel, QuoteCancellation};
use admit_protocol::id::{BookingId, ScreeningId};
use axum::extract::State;
use axum::response::Response;

use super::{answer, private};
use crate::answers::Subject;
use crate::asker::{Asked, Asking};
use crate::cinema::Cinema;
use crate::engine::{Failed, Request};
use crate::refusals::reply;

/// What a cancellation would bring back. Changes nothing.
pub(super) async fn quote_cancellation(
    State(cinema): State<Cinema>,
    Path((screening, booking)): Path<(ScreeningId, BookingId)>,
    Asking { buyer, value: QuoteCancellation { seats } }: Asking<QuoteCancellation>,
) -> Result<Response, Reply> {
    let key = HoldKey::of_booking(booking).ok_or_else(Reply::not_found)?;
    let resident = cinema.engine().settle(screening).await.map_err(reply)?;
    let quoted = resident.read(|house| {
        let now = cinema.now().max(house.now());
        let offer = house.quote_cancellation(key, buyer.owner, &seats, now);
        let offer = offer.map_err(|refusal| Failed::Refused(refusal, house.version()))?;
        let hold = house.hold(key);
        let shown = hold.and_then(|hold| Some(cinema.answers().cancellation(house, hold, hold.booking()?, &offer)));
        shown.ok_or(Failed::Refused(admit_booking::Refusal::NotFound, house.version()))
    });
    Ok(private(&quoted.map_err(reply)?))
}

/// Cancels what a quote is for.
pub(super) async fn cancel(
    State(cinema): State<Cinema>,
    Path((screening, booking)): Path<(ScreeningId, BookingId)>,
    Asked { buyer, key, value: Cancel { quote } }: Asked<Cancel>,
) -> Result<Response, Reply> {
    let booking = HoldKey::of_booking(booking).ok_or_else(Reply::not_found)?;
    let cancellation = Cancellation::Quoted { owner: buyer.owner, quote };
    let command = Command::Cancel { booking, cancellation };
    let request = Request { command, by: "buyer".into(), key: Some(key), subject: Subject::Booking(booking) };
    answer(cinema.engine().execute(screening, request).await)
}

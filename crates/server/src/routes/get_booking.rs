use admit_booking::HoldKey;
use admit_http::{Path, Reply};
use admit_protocol::id::{BookingId, ScreeningId};
use axum::extract::State;
use axum::response::Response;

use super::private;
use crate::asker::Buyer;
use crate::cinema::Cinema;
use crate::refusals::reply;

/// A booking, to its owner.
pub(super) async fn get_booking(
    State(cinema): State<Cinema>,
    Path((screening, booking)): Path<(ScreeningId, BookingId)>,
    buyer: Buyer,
) -> Result<Response, Reply> {
    let key = HoldKey::of_booking(booking).ok_or_else(Reply::not_found)?;
    let resident = cinema.engine().settle(screening).await.map_err(reply)?;
    let found = resident.read(|house| {
        let hold = house.hold_of(key, buyer.owner)?;
        Some(cinema.answers().booking(house, hold, hold.booking()?, house.version()))
    });
    found.map(|booking| private(&booking)).ok_or_else(Reply::not_found)
}

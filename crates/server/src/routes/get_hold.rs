use admit_booking::HoldKey;
use admit_http::{Path, Reply};
use admit_protocol::id::{HoldId, ScreeningId};
use axum::extract::State;
use axum::response::Response;

use super::private;
use crate::asker::Buyer;
use crate::cinema::Cinema;
use crate::refusals::reply;

/// A hold, to its owner.
pub(super) async fn get_hold(
    State(cinema): State<Cinema>,
    Path((screening, hold)): Path<(ScreeningId, HoldId)>,
    buyer: Buyer,
) -> Result<Response, Reply> {
    let key = HoldKey::of_hold(hold).ok_or_else(Reply::not_found)?;
    let resident = cinema.engine().settle(screening).await.map_err(reply)?;
    let found = resident.read(|house| {
        let hold = house.hold_of(key, buyer.owner)?;
        Some(cinema.answers().hold(house, hold, house.version()))
    });
    found.map(|hold| private(&hold)).ok_or_else(Reply::not_found)
}

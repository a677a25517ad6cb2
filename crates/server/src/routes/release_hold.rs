use admit_booking::{By, Command, HoldKey};
use admit_http::{Path, Reply};
use admit_protocol::id::{HoldId, ScreeningId};
use axum::extract::State;
use axum::response::Response;

use super::answer;
use crate::answers::Subject;
use crate::asker::Buyer;
use crate::cinema::Cinema;
use crate::engine::Request;

/// Gives a hold back. Done again, it is done: no key is needed.
pub(super) async fn release_hold(
    State(cinema): State<Cinema>,
    Path((screening, hold)): Path<(ScreeningId, HoldId)>,
    buyer: Buyer,
) -> Result<Response, Reply> {
    let key = HoldKey::of_hold(hold).ok_or_else(Reply::not_found)?;
    let command = Command::Release { hold: key, by: By::Owner(buyer.owner) };
    let request = Request { command, by: "buyer".into(), key: None, subject: Subject::Released(key) };
    answer(cinema.engine().execute(screening, request).await)
}

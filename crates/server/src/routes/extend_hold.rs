use admit_booking::{Command, HoldKey};
use admit_http::{Path, Reply};
use admit_protocol::hold::ExtendHold;
use admit_protocol::id::{HoldId, ScreeningId};
use axum::extract::State;
use axum::response::Response;

use super::answer;
use crate::answers::Subject;
use crate::asker::Asked;
use crate::cinema::Cinema;
use crate::engine::Request;

/// More time for a hold (capability `extend`).
pub(super) async fn extend_hold(
    State(cinema): State<Cinema>,
    Path((screening, hold)): Path<(ScreeningId, HoldId)>,
    Asked { buyer, key, value: wish }: Asked<ExtendHold>,
) -> Result<Response, Reply> {
    let hold = HoldKey::of_hold(hold).ok_or_else(Reply::not_found)?;
    let command = Command::Extend { hold, owner: buyer.owner, ttl_s: wish.ttl_s };
    let request = Request { command, by: "buyer".into(), key: Some(key), subject: Subject::Hold(hold) };
    answer(cinema.engine().execute(screening, request).await)
}

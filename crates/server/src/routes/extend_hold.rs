use admit_booking::{Command, HoldKey};
use admit_http::{Path, Reply, StrictJson};
use admit_protocol::hold::ExtendHold;
use admit_protocol::id::{HoldId, ScreeningId};
use axum::extract::State;
use axum::response::Response;

use super::answer;
use crate::answers::Subject;
use crate::asker::{Buyer, OneEffect};
use crate::cinema::Cinema;
use crate::engine::Request;

/// More time for a hold (capability `extend`).
pub(super) async fn extend_hold(
    State(cinema): State<Cinema>,
    Path((screening, hold)): Path<(ScreeningId, HoldId)>,
    buyer: Buyer,
    effect: OneEffect,
    body: StrictJson<ExtendHold>,
) -> Result<Response, Reply> {
    let hold = HoldKey::of_hold(hold).ok_or_else(Reply::not_found)?;
    let command = Command::Extend { hold, owner: buyer.owner, ttl_s: body.value.ttl_s };
    let key = Some(effect.of(&buyer.owner.0, &body.bytes));
    let request = Request { command, by: "buyer".into(), key, subject: Subject::Hold(hold) };
    answer(cinema.engine().execute(screening, request).await)
}

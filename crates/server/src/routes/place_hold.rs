use admit_booking::queue::Admission;
use admit_booking::{Command, HoldKey, PlaceHold};
use admit_http::{Path, Reply};
use admit_protocol::hold as wire;
use admit_protocol::id::ScreeningId;
use admit_protocol::problem::{Problem, ProblemCode};
use axum::extract::State;
use axum::response::Response;

use super::answer;
use crate::answers::Subject;
use crate::asker::{Asked, Buyer};
use crate::cinema::Cinema;
use crate::engine::Request;

/// Holds seats: all of them or none.
pub(super) async fn place_hold(
    State(cinema): State<Cinema>,
    Path(screening): Path<ScreeningId>,
    Asked { buyer, key, value: wish }: Asked<wire::PlaceHold>,
) -> Result<Response, Reply> {
    let hold = HoldKey(new_key());
    // A layout with a hold in it never changes: a wish that was granted before is granted again.
    let seen = wish.layout.zip(cinema.catalogue().screening(screening).map(|s| s.layout));
    if seen.is_some_and(|(seen, now)| seen != now) {
        let next = "read the screening and its layout again, and choose once more";
        return Err(Reply::new(ProblemCode::LayoutChanged, next));
    }
    if wish.best.is_some() && !(wish.seats.is_empty() && wish.areas.is_empty()) {
        let why = "name seats and areas, or say `best` and let the server choose: not both";
        return Err(Problem::new(ProblemCode::Invalid, why).at("/best").into());
    }
    let admission = admission(&cinema, screening, &buyer, wish.queue_pass.as_deref()).await?;
    let command = Command::PlaceHold(PlaceHold {
        hold,
        owner: buyer.owner,
        network: buyer.network,
        seats: wish.seats.into_iter().map(|s| (s.seat, s.ticket_type)).collect(),
        areas: wish.areas.into_iter().map(|a| (a.area, a.count, a.ticket_type)).collect(),
        best: wish.best,
        ttl_s: wish.ttl_s,
        admission,
    });
    let request = Request { command, by: "buyer".into(), key: Some(key), subject: Subject::Placed(hold) };
    answer(cinema.engine().execute(screening, request).await)
}

/// By what somebody may come where there is a queue.
pub(super) async fn admission(
    cinema: &Cinema,
    screening: ScreeningId,
    buyer: &Buyer,
    pass: Option<&str>,
) -> Result<Admission, Reply> {
    let has_queue = cinema.catalogue().screening(screening).is_some_and(|screening| screening.queue.is_some());
    match (has_queue, buyer.at_counter) {
        (false, _) => Ok(Admission::None),
        (true, true) => Ok(Admission::Counter),
        (true, false) => cinema.engine().admission(screening, buyer.owner, pass).await.map_err(crate::refusals::reply),
    }
}

/// A UUIDv7: sorts by time, so rows of one screening are written side by side; 74 random bits keep it unguessable.
pub(super) fn new_key() -> u128 {
    uuid::Uuid::now_v7().as_u128()
}

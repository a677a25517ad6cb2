use admit_http::conditional::{self, Keep};
use admit_http::{Path, Reply};
use admit_protocol::id::ScreeningId;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;

use crate::answers::json;
use crate::cinema::Cinema;
use crate::refusals::reply;

/// Which seats are not free: the same answer for everybody.
pub(super) async fn get_seats(
    State(cinema): State<Cinema>,
    Path(screening): Path<ScreeningId>,
    request: HeaderMap,
) -> Result<Response, Reply> {
    let resident = cinema.engine().settle(screening).await.map_err(reply)?;
    let answers = cinema.answers();
    let shown = resident.seats(cinema.now(), |house, sales| json(&answers.seats(house, sales)));
    let etag = format!("{}.{}.{}", answers.epoch, shown.seq, shown.sales);
    Ok(conditional::json(&request, &etag, Keep::AskAgain, shown.bytes))
}

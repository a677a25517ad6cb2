use admit_booking::HoldKey;
use admit_http::conditional::{self, Keep};
use admit_http::{Path, Query, Reply};
use admit_protocol::digest::ContentName;
use admit_protocol::id::{HoldId, ScreeningId};
use admit_protocol::jws::Jws;
use admit_protocol::problem::ProblemCode;
use admit_protocol::receipt::{RECEIPT_TYP, Receipt};
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use serde::Deserialize;

use super::private;
use crate::asker::Buyer;
use crate::cinema::Cinema;
use crate::receipts::{SeatLog, receipt};
use crate::refusals::reply;
use crate::store::{StoreError, TrailStore};

/// The cinema's word for a hold, signed now.
pub(super) async fn get_receipt(
    State(cinema): State<Cinema>,
    Path((screening, hold)): Path<(ScreeningId, HoldId)>,
    buyer: Buyer,
) -> Result<Response, Reply> {
    let key = HoldKey::of_hold(hold).ok_or_else(Reply::not_found)?;
    let resident = cinema.engine().settle(screening).await.map_err(reply)?;
    let jws = beside(&cinema, move |cinema, trail| {
        let (said, log) = resident.read(|house| {
            let hold = house.hold_of(key, buyer.owner).ok_or_else(Reply::not_found)?;
            let over =
                || Reply::new(ProblemCode::HoldExpired, "nothing is held by it any more, so there is nothing to sign");
            let said = receipt(cinema.origin(), house, hold, cinema.now()).ok_or_else(over)?;
            Ok::<_, Reply>((said, SeatLog::new(trail, resident.clone(), house)))
        })?;
        let said = Receipt { head: log.head().map_err(unread)?, ..said };
        Ok(Jws::sign(RECEIPT_TYP, &said, &cinema.keys().identity))
    })
    .await?;
    Ok(private(&jws))
}

#[derive(Deserialize)]
pub(super) struct After {
    #[serde(default)]
    after: u64,
}

/// A page of who had which seat when.
pub(super) async fn get_seat_log(
    State(cinema): State<Cinema>,
    Path(screening): Path<ScreeningId>,
    Query(After { after }): Query<After>,
    request: HeaderMap,
) -> Result<Response, Reply> {
    let resident = cinema.engine().settle(screening).await.map_err(reply)?;
    let page = beside(&cinema, move |_, trail| {
        let log = resident.read(|house| SeatLog::new(trail, resident.clone(), house));
        log.page(after).map_err(unread)
    })
    .await?;
    let bytes = crate::answers::json(&page);
    Ok(conditional::json(&request, &ContentName::of(&bytes).to_string(), Keep::AskAgain, bytes))
}

/// Reads the trail where waiting for the store holds nobody up.
async fn beside<T: Send + 'static>(
    cinema: &Cinema,
    read: impl FnOnce(&Cinema, &dyn TrailStore) -> Result<T, Reply> + Send + 'static,
) -> Result<T, Reply> {
    let reading = cinema.clone();
    let read = move || Ok(reading.trail().ok_or_else(Reply::not_found).and_then(|trail| read(&reading, trail)));
    cinema.engine().blocking(read).await.map_err(reply)?
}

fn unread(error: StoreError) -> Reply {
    match error {
        StoreError::Refused(why) => Reply::new(ProblemCode::CapabilityNotOffered, why),
        error => Reply::internal(&error),
    }
}

//! Forgetting who bought or waits.

use admit_booking::{By, Command, EntryKey, Forget, HoldKey};
use admit_http::{Path, Reply};
use admit_protocol::id::{BookingId, ScreeningId, WaitlistEntryId};
use axum::extract::State;
use axum::response::Response;

use super::answer;
use crate::answers::Subject;
use crate::asker::Buyer;
use crate::cinema::Cinema;
use crate::engine::Request;

/// What a buyer gave goes, and the booking stays. Done again, it is done: no key is needed.
pub(super) async fn forget_buyer(
    State(cinema): State<Cinema>,
    Path((screening, booking)): Path<(ScreeningId, BookingId)>,
    buyer: Buyer,
) -> Result<Response, Reply> {
    let booking = HoldKey::of_booking(booking).ok_or_else(Reply::not_found)?;
    forget(&cinema, screening, Forget::Booking { booking, by: By::Owner(buyer.owner) }).await
}

/// What who waits gave goes, and their place in line stays.
pub(super) async fn forget_waiting(
    State(cinema): State<Cinema>,
    Path((screening, entry)): Path<(ScreeningId, WaitlistEntryId)>,
    buyer: Buyer,
) -> Result<Response, Reply> {
    let entry = EntryKey::of(entry).ok_or_else(Reply::not_found)?;
    forget(&cinema, screening, Forget::Entry { entry, by: By::Owner(buyer.owner) }).await
}

async fn forget(cinema: &Cinema, screening: ScreeningId, whom: Forget) -> Result<Response, Reply> {
    let request = Request { command: Command::Forget(whom), by: "buyer".into(), key: None, subject: Subject::Nothing };
    answer(cinema.engine().execute(screening, request).await)
}

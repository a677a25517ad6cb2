//! Waiting for seats (capability `waitlist`).

use admit_booking::{By, Command, EntryKey, JoinWaitlist};
use admit_http::{Path, Reply};
use admit_protocol::id::{ScreeningId, WaitlistEntryId};
use admit_protocol::waitlist as wire;
use axum::extract::State;
use axum::response::Response;

use super::{answer, private};
use crate::answers::Subject;
use crate::asker::{Asked, Buyer};
use crate::cinema::Cinema;
use crate::engine::Request;
use crate::refusals::reply;

/// Puts a party at the end of the line.
pub(super) async fn join_waitlist(
    State(cinema): State<Cinema>,
    Path(screening): Path<ScreeningId>,
    Asked { buyer, key, value: wish }: Asked<wire::JoinWaitlist>,
) -> Result<Response, Reply> {
    let contact = wish.buyer.map(|contact| super::book::checked(&cinema, contact)).transpose()?;
    let entry = EntryKey(super::place_hold::new_key());
    let admission = super::place_hold::admission(&cinema, screening, &buyer, wish.queue_pass.as_deref()).await?;
    let Buyer { owner, network, .. } = buyer;
    let (best, buyer) = (wish.best, contact);
    let command = Command::JoinWaitlist(JoinWaitlist { entry, owner, network, best, buyer, admission });
    let request = Request { command, by: "buyer".into(), key: Some(key), subject: Subject::Joined(entry) };
    answer(cinema.engine().execute(screening, request).await)
}

/// How a party stands, to who has its secret.
pub(super) async fn get_waitlist_entry(
    State(cinema): State<Cinema>,
    Path((screening, entry)): Path<(ScreeningId, WaitlistEntryId)>,
    buyer: Buyer,
) -> Result<Response, Reply> {
    let key = EntryKey::of(entry).ok_or_else(Reply::not_found)?;
    let resident = cinema.engine().settle(screening).await.map_err(reply)?;
    let found = resident.read(|house| {
        let entry = house.entry(key).filter(|entry| entry.owner == buyer.owner)?;
        Some(cinema.answers().entry(house, entry, cinema.now().max(house.now()), house.version()))
    });
    found.map(|entry| private(&entry)).ok_or_else(Reply::not_found)
}

/// Leaves the line, or declines what is offered. Done again, it is done: no key is needed.
pub(super) async fn leave_waitlist(
    State(cinema): State<Cinema>,
    Path((screening, entry)): Path<(ScreeningId, WaitlistEntryId)>,
    buyer: Buyer,
) -> Result<Response, Reply> {
    let entry = EntryKey::of(entry).ok_or_else(Reply::not_found)?;
    let command = Command::LeaveWaitlist { entry, by: By::Owner(buyer.owner) };
    let request = Request { command, by: "buyer".into(), key: None, subject: Subject::Left(entry) };
    answer(cinema.engine().execute(screening, request).await)
}

use admit_booking::{Choice, Command, HoldKey};
use admit_http::{Path, Reply};
use admit_protocol::booking::{Book, Buyer as Contact};
use admit_protocol::id::ScreeningId;
use admit_protocol::problem::{Problem, ProblemCode};
use axum::extract::State;
use axum::response::Response;

use super::answer;
use crate::answers::Subject;
use crate::asker::Asked;
use crate::cinema::Cinema;
use crate::engine::Request;

/// Turns a hold into a booking, for the total that the buyer saw.
pub(super) async fn book(
    State(cinema): State<Cinema>,
    Path(screening): Path<ScreeningId>,
    Asked { buyer, key, value: book }: Asked<Book>,
) -> Result<Response, Reply> {
    let nobodys = || crate::refusals::reply(crate::engine::Failed::Ruled(admit_booking::Refusal::NotFound));
    let hold = HoldKey::of_hold(book.hold).ok_or_else(nobodys)?;
    if let Some(Err((member, why))) = book.buyer.as_ref().map(Contact::check) {
        return Err(Problem::new(ProblemCode::Invalid, why).at(format!("/buyer{member}")).into());
    }
    let mut seed = [0; 16];
    getrandom::fill(&mut seed).map_err(|e| Reply::internal(&e))?;
    let choice = Choice {
        tickets: book.tickets.into_iter().map(|t| (t.seat, t.ticket_type)).collect(),
        total: book.total,
        method: book.payment_method,
        buyer: book.buyer,
        seed,
    };
    let command = Command::Book { hold, owner: buyer.owner, choice };
    let request = Request { command, by: "buyer".into(), key: Some(key), subject: Subject::Booked(hold) };
    answer(cinema.engine().execute(screening, request).await)
}

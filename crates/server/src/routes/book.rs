use admit_booking::{Choice, Command, HoldKey};
use admit_http::{Path, Reply};
use admit_outbound::Courier;
use admit_protocol::booking::{Book, Buyer as Contact};
use admit_protocol::id::ScreeningId;
use admit_protocol::origin::OriginPolicy;
use admit_protocol::problem::{Problem, ProblemCode};
use axum::extract::State;
use axum::response::Response;

use super::answer;
use crate::answers::Subject;
use crate::asker::Asked;
use crate::cinema::Cinema;
use crate::engine::Request;

/// Who somebody says that they are, if they can be reached by all of it. A webhook that nobody goes to is passed over (NOTE-001).
pub(super) fn checked(cinema: &Cinema, mut contact: Contact) -> Result<Contact, Reply> {
    let courier = cinema.courier();
    if courier.is_none() {
        contact.webhook = None;
    }
    let origins = courier.map_or(OriginPolicy::Public, Courier::origins);
    let wrong = |(member, why)| Reply::from(Problem::new(ProblemCode::Invalid, why).at(format!("/buyer{member}")));
    contact.check(origins).map_err(wrong)?;
    // Kept as it is sent: what is known of it is found by that.
    let as_sent = contact.webhook.as_deref().and_then(|url| courier?.webhook(url).ok());
    contact.webhook = as_sent.map(|webhook| webhook.as_str().to_owned());
    Ok(contact)
}

/// Turns a hold into a booking, for the total that the buyer saw.
pub(super) async fn book(
    State(cinema): State<Cinema>,
    Path(screening): Path<ScreeningId>,
    Asked { buyer, key, value: book }: Asked<Book>,
) -> Result<Response, Reply> {
    let nobodys = || crate::refusals::reply(crate::engine::Failed::Ruled(admit_booking::Refusal::NotFound));
    let hold = HoldKey::of_hold(book.hold).ok_or_else(nobodys)?;
    let contact = book.buyer.map(|contact| checked(&cinema, contact)).transpose()?;
    let mut seed = [0; 16];
    getrandom::fill(&mut seed).map_err(|e| Reply::internal(&e))?;
    let choice = Choice {
        tickets: book.tickets.into_iter().map(|t| (t.seat, t.ticket_type)).collect(),
        total: book.total,
        method: book.payment_method,
        buyer: contact,
        seed,
    };
    let command = Command::Book { hold, owner: buyer.owner, choice };
    let request = Request { command, by: "buyer".into(), key: Some(key), subject: Subject::Booked(hold) };
    answer(cinema.engine().execute(screening, request).await)
}

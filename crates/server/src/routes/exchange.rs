//! Exchanging tickets: first what it comes to, then by that quote's name (capability `exchange`).

use admit_booking::{Command, ExchangeWish, HoldKey, Refusal};
use admit_http::{Path, Reply};
use admit_protocol::exchange::{Exchange, QuoteExchange};
use admit_protocol::id::{BookingId, ScreeningId};
use axum::extract::State;
use axum::response::Response;

use super::{answer, private};
use crate::answers::{Answers, Subject};
use crate::asker::{Asked, Asking, Buyer};
use crate::cinema::Cinema;
use crate::engine::{Exchanging, Failed, Request};
use crate::refusals::reply;

/// What an exchange would come to. Changes nothing.
pub(super) async fn quote_exchange(
    State(cinema): State<Cinema>,
    Path((screening, booking)): Path<(ScreeningId, BookingId)>,
    Asking { buyer, value: of }: Asking<QuoteExchange>,
) -> Result<Response, Reply> {
    let wish = wish(&buyer, booking, of)?;
    let from = cinema.engine().settle(screening).await.map_err(reply)?;
    let to = cinema.engine().settle(wish.screening).await.map_err(reply)?;
    let quoted = from.read_both(&to, |house, other| {
        let now = cinema.now().max(house.now()).max(other.now());
        let offer = house.quote_exchange(other, &wish, now);
        let offer = offer.map_err(|refusal| Failed::Refused(refusal, house.version()))?;
        let hold = house.hold(wish.booking);
        let shown = hold.and_then(|hold| Some(Answers::exchange(house, hold, hold.booking()?, &offer)));
        shown.ok_or(Failed::Refused(Refusal::NotFound, house.version()))
    });
    Ok(private(&quoted.map_err(reply)?))
}

/// Exchanges what a quote is for. Answers with the new booking.
pub(super) async fn exchange(
    State(cinema): State<Cinema>,
    Path((screening, booking)): Path<(ScreeningId, BookingId)>,
    Asked { buyer, key, value: Exchange { quote, of } }: Asked<Exchange>,
) -> Result<Response, Reply> {
    let wish = wish(&buyer, booking, of)?;
    let mut seed = [0; 16];
    getrandom::fill(&mut seed).map_err(|e| Reply::internal(&e))?;
    let by = "buyer".to_owned();
    if wish.screening == screening {
        let subject = Subject::Booked(wish.hold);
        let request = Request { command: Command::Exchange { wish, quote, seed }, by, key: Some(key), subject };
        return answer(cinema.engine().execute(screening, request).await);
    }
    let from = cinema.engine().resident(screening).await.map_err(reply)?;
    answer(cinema.engine().exchange(from, Exchanging { wish, quote, seed, key, by }).await)
}

fn wish(buyer: &Buyer, booking: BookingId, of: QuoteExchange) -> Result<ExchangeWish, Reply> {
    let nobodys = || reply(Failed::Ruled(Refusal::NotFound));
    Ok(ExchangeWish {
        booking: HoldKey::of_booking(booking).ok_or_else(nobodys)?,
        owner: buyer.owner,
        seats: of.seats,
        screening: of.screening,
        hold: HoldKey::of_hold(of.hold).ok_or_else(nobodys)?,
        tickets: of.tickets.into_iter().map(|t| (t.seat, t.ticket_type)).collect(),
    })
}

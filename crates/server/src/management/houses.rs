//! Holds and bookings, as staff see and handle them.

use admit_booking::{BlockReason, By, Cancellation, Command, Hold, HoldKey, HoldState};
use admit_http::{Path, Reply, StrictJson};
use admit_protocol::digest::sha256;
use admit_protocol::id::{BookingId, HoldId, ScreeningId, SeatId};
use admit_protocol::money::Money;
use admit_protocol::problem::{Problem, ProblemCode};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::session::SignedInAs;
use super::{Management, json};
use crate::answers::Subject;
use crate::asker::OneEffect;
use crate::engine::{Done, Request};
use crate::refusals::reply;
use crate::routes::get_tickets::sign_tickets;
use crate::store::Permission;

/// A hold or booking as staff see it: nothing disappears, whatever became of it.
#[derive(Serialize)]
struct Row {
    hold: admit_protocol::hold::Hold,
    #[serde(rename = "ref")]
    reference: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    booking: Option<admit_protocol::booking::Booking>,
    #[serde(skip_serializing_if = "Option::is_none")]
    buyer: Option<admit_protocol::booking::Buyer>,
    needs_refund: bool,
}

pub(super) async fn list(
    State(management): State<Management>,
    somebody: SignedInAs,
    Path(screening): Path<ScreeningId>,
) -> Result<Response, Reply> {
    somebody.may(Permission::Look)?;
    let sells = somebody.may(Permission::Sell).is_ok();
    let cinema = &management.0.cinema;
    let resident = cinema.engine().settle(screening).await.map_err(reply)?;
    let answers = cinema.answers();
    let rows: Vec<Row> = resident.read(|house| {
        let row = |hold: &Hold| Row {
            hold: answers.hold(house, hold, house.version()),
            reference: hold.key.reference(),
            booking: hold.booking().map(|b| answers.booking(house, hold, b, house.version())),
            // Who only lets people in need not know where they can be written to.
            buyer: hold.booking().filter(|_| sells).and_then(|b| b.buyer.as_deref().cloned()),
            needs_refund: matches!(hold.state, HoldState::RefundDue { .. }),
        };
        house.holds().map(row).collect()
    });
    Ok(json(&rows))
}

/// Runs a command for a staff member, and says what became of it.
async fn run(
    management: &Management,
    somebody: &SignedInAs,
    screening: ScreeningId,
    command: Command,
    subject: Subject,
    effect: Option<(OneEffect, &[u8])>,
) -> Result<Done, Reply> {
    let by = format!("staff:{}", somebody.staff.login);
    let key = effect.map(|(effect, body)| effect.of(&sha256(&[by.as_bytes()]), body));
    let request = Request { command, by, key, subject };
    management.0.cinema.engine().execute(screening, request).await.map_err(reply)
}

fn said(done: Done) -> Response {
    let status = StatusCode::from_u16(done.status).unwrap_or(StatusCode::OK);
    (status, [(header::CONTENT_TYPE, "application/json")], done.body).into_response()
}

/// As [`run`], with a line on record that says what money went where: once, however often it is asked.
async fn run_on_record(
    management: &Management,
    somebody: &SignedInAs,
    screening: ScreeningId,
    (command, key, effect): (Command, HoldKey, (OneEffect, &[u8])),
    did: &str,
    what: &str,
) -> Result<Response, Reply> {
    let done = run(management, somebody, screening, command, Subject::Booking(key), Some(effect)).await?;
    if !done.replayed {
        management.note(&somebody.staff, did, format!("{screening} {}{what}", key.reference())).await?;
    }
    Ok(said(done))
}

pub(super) async fn release(
    State(management): State<Management>,
    somebody: SignedInAs,
    Path((screening, hold)): Path<(ScreeningId, HoldId)>,
) -> Result<Response, Reply> {
    somebody.may(Permission::Sell)?;
    let hold = HoldKey::of_hold(hold).ok_or_else(Reply::not_found)?;
    let command = Command::Release { hold, by: By::Staff };
    run(&management, &somebody, screening, command, Subject::Released(hold), None).await.map(said)
}

/// The tickets of a booking, for who comes to the counter without theirs. It is on record who printed them.
pub(super) async fn tickets(
    State(management): State<Management>,
    somebody: SignedInAs,
    Path((screening, booking)): Path<(ScreeningId, BookingId)>,
) -> Result<Response, Reply> {
    somebody.may(Permission::Sell)?;
    let tickets = sign_tickets(&management.0.cinema, screening, booking, None, |_| true).await?;
    let reference = HoldKey::of_booking(booking).map(HoldKey::reference).unwrap_or_default();
    management.note(&somebody.staff, "read_tickets", format!("{screening} {reference}")).await?;
    Ok(json(&tickets))
}

#[derive(Deserialize)]
pub(super) struct Block {
    seats: Vec<SeatId>,
    reason: BlockReason,
    until: Option<Timestamp>,
}

pub(super) async fn block(
    State(management): State<Management>,
    somebody: SignedInAs,
    Path(screening): Path<ScreeningId>,
    body: StrictJson<Block>,
) -> Result<Response, Reply> {
    somebody.may(Permission::Sell)?;
    let Block { seats, reason, until } = body.value;
    if reason == BlockReason::Waitlist {
        let why = "`waitlist` is what the server itself says of seats that it keeps for somebody in line";
        return Err(Problem::new(ProblemCode::Invalid, why).at("/reason").into());
    }
    let command = Command::Block { seats, reason, until };
    run(&management, &somebody, screening, command, Subject::Nothing, None).await.map(said)
}

#[derive(Deserialize)]
pub(super) struct Unblock {
    seats: Vec<SeatId>,
}

pub(super) async fn unblock(
    State(management): State<Management>,
    somebody: SignedInAs,
    Path(screening): Path<ScreeningId>,
    body: StrictJson<Unblock>,
) -> Result<Response, Reply> {
    somebody.may(Permission::Sell)?;
    let command = Command::Unblock { seats: body.value.seats };
    run(&management, &somebody, screening, command, Subject::Nothing, None).await.map(said)
}

/// Money that changes hands at the counter.
#[derive(Deserialize)]
pub(super) struct Cash {
    amount: Money,
}

/// Somebody paid at the counter: exactly what is due.
pub(super) async fn settle(
    State(management): State<Management>,
    somebody: SignedInAs,
    Path((screening, booking)): Path<(ScreeningId, BookingId)>,
    effect: OneEffect,
    body: StrictJson<Cash>,
) -> Result<Response, Reply> {
    somebody.may(Permission::Sell)?;
    let booking = HoldKey::of_booking(booking).ok_or_else(Reply::not_found)?;
    let amount = body.value.amount;
    let command = Command::Settle { booking, amount };
    let command = (command, booking, (effect, &*body.bytes));
    run_on_record(&management, &somebody, screening, command, "settle", &format!(": {amount}")).await
}

/// Somebody got back at the counter what was paid for cancelled tickets: exactly what is left of it.
pub(super) async fn refund(
    State(management): State<Management>,
    somebody: SignedInAs,
    Path((screening, booking)): Path<(ScreeningId, BookingId)>,
    effect: OneEffect,
    body: StrictJson<Cash>,
) -> Result<Response, Reply> {
    somebody.may(Permission::Sell)?;
    let booking = HoldKey::of_booking(booking).ok_or_else(Reply::not_found)?;
    let amount = body.value.amount;
    let command = Command::Refund { booking, amount };
    let command = (command, booking, (effect, &*body.bytes));
    run_on_record(&management, &somebody, screening, command, "refund", &format!(": {amount}")).await
}

#[derive(Deserialize)]
pub(super) struct Cancel {
    #[serde(default)]
    seats: Vec<SeatId>,
    refund: bool,
    reason: String,
}

/// Staff cancels, whatever the policy says, with a reason.
pub(super) async fn cancel(
    State(management): State<Management>,
    somebody: SignedInAs,
    Path((screening, booking)): Path<(ScreeningId, BookingId)>,
    effect: OneEffect,
    body: StrictJson<Cancel>,
) -> Result<Response, Reply> {
    let resident = management.0.cinema.engine().resident(screening).await.map_err(reply)?;
    // Of what does not take place, everything comes back: the counter needs nobody's leave for that.
    let owed = resident.read(admit_booking::House::is_off);
    somebody.may(if owed { Permission::Sell } else { Permission::Refund })?;
    let key = HoldKey::of_booking(booking).ok_or_else(Reply::not_found)?;
    let Cancel { seats, refund, reason } = body.value;
    let reason: String = reason.trim().chars().take(500).collect();
    if reason.is_empty() {
        return Err(Problem::new(ProblemCode::Invalid, "say why: it goes into the records").at("/reason").into());
    }
    let which =
        if seats.is_empty() { "all".into() } else { seats.iter().map(SeatId::as_str).collect::<Vec<_>>().join(" ") };
    let money = if refund { "money back" } else { "no money back" };
    let command = Command::Cancel { booking: key, cancellation: Cancellation::Staff { seats, refund } };
    let command = (command, key, (effect, &*body.bytes));
    run_on_record(&management, &somebody, screening, command, "cancel", &format!(", {which}, {money}: {reason}")).await
}

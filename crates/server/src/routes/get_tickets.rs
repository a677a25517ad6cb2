use admit_booking::{Hold, HoldKey};
use admit_http::{Path, Reply};
use admit_protocol::booking::{BookedTicket, Tickets};
use admit_protocol::id::{BookingId, ScreeningId};
use admit_protocol::problem::ProblemCode;
use admit_protocol::screening::ScreeningAttribute;
use admit_protocol::ticket::{TICKET_EARLY_S, TICKET_LATE_S, Ticket, TicketError, screening_digest};
use admit_protocol::time::after;
use axum::extract::State;
use axum::response::Response;

use super::private;
use crate::asker::Buyer;
use crate::catalogue::Catalogue;
use crate::cinema::Cinema;
use crate::refusals::reply;

/// The tickets of a booking, signed now by the key that signs now.
pub(super) async fn get_tickets(
    State(cinema): State<Cinema>,
    Path((screening, booking)): Path<(ScreeningId, BookingId)>,
    buyer: Buyer,
) -> Result<Response, Reply> {
    Ok(private(&sign_tickets(&cinema, screening, booking, buyer.holder, |hold| hold.owner == buyer.owner).await?))
}

/// The tickets of a booking that `may` be had, signed now; bound to this holder, where the screening wants it (TICK-009).
pub(crate) async fn sign_tickets(
    cinema: &Cinema,
    screening: ScreeningId,
    booking: BookingId,
    holder: Option<[u8; 16]>,
    may: impl Fn(&Hold) -> bool,
) -> Result<Tickets, Reply> {
    let key = HoldKey::of_booking(booking).ok_or_else(Reply::not_found)?;
    let resident = cinema.engine().settle(screening).await.map_err(reply)?;
    let catalogue = cinema.catalogue();
    let wanted = resident.read(|house| {
        let hold = house.hold(key).filter(|hold| may(hold))?;
        unsigned(&catalogue, house, hold, holder)
    });
    // Signing takes its time: not under the lock.
    let wanted = wanted.ok_or_else(Reply::not_found)?;
    let now = cinema.now();
    let keys = cinema.keys();
    let signer = keys
        .signing(now)
        .ok_or_else(|| Reply::new(ProblemCode::Internal, "no ticket key is in its time: tell the cinema"))?;
    let sign = |(mut booked, ticket): (BookedTicket, Ticket)| {
        booked.code = ticket.with_short_labels().sign(signer)?;
        Ok(booked)
    };
    let tickets: Result<Vec<BookedTicket>, TicketError> = wanted.into_iter().map(sign).collect();
    let tickets = tickets.map_err(|e| Reply::internal(&e))?;
    Ok(Tickets { booking, tickets })
}

fn unsigned(
    catalogue: &Catalogue,
    house: &admit_booking::House,
    hold: &Hold,
    holder: Option<[u8; 16]>,
) -> Option<Vec<(BookedTicket, Ticket)>> {
    let booking = hold.booking()?;
    let terms = house.terms();
    let screening = catalogue.screening(terms.screening)?;
    let holder = holder.filter(|_| screening.attributes.contains(&ScreeningAttribute::HolderProof));
    let cinema = catalogue.cinemas.get(&screening.cinema)?;
    let hall = cinema.halls.iter().find(|h| h.id == screening.hall);
    let english = || "en".parse().ok();
    let language = cinema.languages.first().cloned().or_else(english)?;
    let hall = hall.map_or_else(|| screening.hall.to_string(), |h| h.name.best(&language).to_owned());
    let doors = screening.doors_at.as_ref().unwrap_or(&screening.starts_at).at();
    let (not_before, not_after) = (after(doors, -TICKET_EARLY_S), after(terms.ends_at, TICKET_LATE_S));
    let ticket = |(n, line): (usize, &admit_booking::Line)| {
        let id = booking.ticket_id(n)?;
        let ticket_type = hold.ticket_type(line.ticket_type);
        let seat = terms.plan.seat(line.place);
        let area = terms.plan.area_of(line.place);
        let label = seat.map(|s| (row_label(&terms.plan, s, &language), s.number.clone()));
        let (row, number) =
            label.unwrap_or_else(|| (area.map_or_else(String::new, |a| a.area.to_string()), "-".into()));
        let booked = BookedTicket {
            id,
            seat: terms.plan.seat_id(line.place),
            ticket_type: ticket_type.id,
            admits: ticket_type.admits,
            code: String::new(),
            wants_proof: holder.is_some(),
            not_before,
            not_after,
        };
        let unsigned = Ticket {
            id,
            not_before,
            not_after,
            holder,
            screening: screening_digest(&terms.screening),
            hall: hall.clone(),
            row,
            seat: number,
            ticket_type: ticket_type.id.to_string(),
            admits: ticket_type.admits,
            generation: line.generation,
        };
        Some((booked, unsigned))
    };
    booking.lines.iter().enumerate().filter(|(_, line)| !line.revoked).map(ticket).collect()
}

/// Section and row as printed.
fn row_label(
    plan: &admit_booking::Plan,
    seat: &admit_protocol::layout::Seat,
    language: &admit_protocol::text::LanguageTag,
) -> String {
    let section = seat.section.and_then(|id| plan.layout().sections.iter().find(|s| s.id == id));
    section.map_or_else(|| seat.row.clone(), |s| format!("{} {}", s.name.best(language), seat.row))
}

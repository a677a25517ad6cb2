//! The one price function: server and client sum with the same code.

use admit_protocol::hold::{Quote, QuoteLine};
use admit_protocol::id::{SeatId, TicketTypeId, ZoneId};
use admit_protocol::money::Money;
use admit_protocol::price::{PriceTable, TicketRule};

use crate::refusal::Refusal;

/// What tickets for these seats cost: the sum of all-inclusive offers and, once, the booking fees.
///
/// # Errors
/// When a type is not sold in a seat's zone, or a rule of a ticket type is broken.
pub fn quote(table: &PriceTable, tickets: &[(SeatId, ZoneId, TicketTypeId)]) -> Result<Quote, Refusal> {
    let mut lines = Vec::with_capacity(tickets.len());
    for &(seat, zone, ticket_type) in tickets {
        let not_sold = || Refusal::TicketRule { seat: Some(seat), rule: TicketRule::NotSold(ticket_type) };
        let offer = table.offer(ticket_type, zone).ok_or_else(not_sold)?;
        lines.push(QuoteLine { seat, ticket_type, total: offer.total });
    }
    let types: Vec<TicketTypeId> = tickets.iter().map(|(_, _, t)| *t).collect();
    table.check_types(&types).map_err(|rule| Refusal::TicketRule { seat: None, rule })?;
    let booking_fees = sum(table, table.booking_fees.iter().map(|f| f.amount));
    let total = sum(table, lines.iter().map(|l| l.total).chain([booking_fees]));
    Ok(Quote { lines, booking_fees, total })
}

/// The sum of amounts of a checked table.
///
/// # Panics
/// When the table was never checked: [`PriceTable::check`] finds one currency, and amounts whose sums stay in range.
pub(crate) fn sum(table: &PriceTable, amounts: impl IntoIterator<Item = Money>) -> Money {
    Money::sum(table.currency, amounts).expect("a checked table has one currency and amounts in range")
}

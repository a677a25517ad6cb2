//! Who is let in: one function for the server's door and for a scanner without a network (T5).

use admit_protocol::door::{AllowState, Verdict};
use admit_protocol::id::ScreeningId;
use admit_protocol::ticket::{Ticket, TicketId, screening_digest};
use admit_protocol::time::after;
use jiff::Timestamp;

/// How far a door's clock may be off, in seconds.
pub const CLOCK_SKEW_S: i64 = 300;

/// What the person at the door sees. `ticket` is there only if its signature fitted one of the cinema's keys; `state`
/// gives what is known of a ticket. The first that applies, in the order of the spec (DOOR-004): a ticket that nobody
/// knows here was replaced or never sold, so it is revoked, never green (T6); who has one is not sent home to come
/// back in time. `proven` is whether the holder that the ticket names showed a proof of now.
#[must_use]
pub fn verdict(
    ticket: Option<&Ticket>,
    proven: bool,
    screening: ScreeningId,
    now: Timestamp,
    state: impl FnOnce(TicketId) -> Option<AllowState>,
) -> Verdict {
    let Some(ticket) = ticket else { return Verdict::Invalid };
    if ticket.screening != screening_digest(&screening) {
        return Verdict::WrongShow;
    }
    let in_time = match state(ticket.id) {
        Some(AllowState::Valid) => Verdict::Green,
        Some(AllowState::Used) => Verdict::Duplicate,
        Some(AllowState::Unpaid) => Verdict::Unpaid,
        Some(AllowState::Revoked | _) | None => return Verdict::Revoked,
    };
    if now < after(ticket.not_before, -CLOCK_SKEW_S) || now >= after(ticket.not_after, CLOCK_SKEW_S) {
        return Verdict::Expired;
    }
    match in_time {
        // A copy is not told whether somebody came with the original.
        Verdict::Green | Verdict::Duplicate if ticket.holder.is_some() && !proven => Verdict::Unproven,
        in_time => in_time,
    }
}

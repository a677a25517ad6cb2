//! Which seats somebody wants, and for whom.

use std::collections::{BTreeSet, HashMap};

use admit_protocol::hold::{PlaceHold, SeatWish};
use admit_protocol::id::{SeatId, TicketTypeId};
use admit_protocol::layout::{Layout, Seat, SeatKind};

use crate::dice::Dice;

/// Adults, and with two or more perhaps a child.
pub(super) fn wish(seats: &[SeatId], dice: &mut Dice) -> anyhow::Result<PlaceHold> {
    let (adult, child): (TicketTypeId, TicketTypeId) = ("adult".parse()?, "child".parse()?);
    let child_comes = seats.len() > 1 && dice.below(4) == 0;
    let kind = |n: usize| if n == 1 && child_comes { child } else { adult };
    let seats = seats.iter().enumerate().map(|(n, seat)| SeatWish { seat: *seat, ticket_type: Some(kind(n)) });
    Ok(PlaceHold { seats: seats.collect(), ..PlaceHold::default() })
}

/// So many free seats side by side, near the best place of the hall: one of the ten nearest such runs.
pub(super) fn together(
    layout: &Layout,
    taken: &BTreeSet<SeatId>,
    party: usize,
    dice: &mut Dice,
) -> Option<Vec<SeatId>> {
    let seats: HashMap<SeatId, &Seat> = layout.seats.iter().map(|s| (s.id, s)).collect();
    let free = |seat: &Seat| seat.kind != SeatKind::WheelchairSpace && !taken.contains(&seat.id);
    let mut runs: Vec<(i64, Vec<SeatId>)> = Vec::new();
    for first in layout.seats.iter().filter(|s| free(s)) {
        let mut run = vec![first.id];
        let mut last = first;
        while run.len() < party {
            let Some(next) = last.right.and_then(|id| seats.get(&id)).filter(|s| free(s)) else { break };
            run.push(next.id);
            last = next;
        }
        if run.len() == party {
            let middle = (i64::from(first.x + last.x) / 2, i64::from(first.y + last.y) / 2);
            let (x, y) = (middle.0 - i64::from(layout.focal_point.x), middle.1 - i64::from(layout.focal_point.y));
            runs.push((x * x + y * y, run));
        }
    }
    runs.sort();
    runs.truncate(10);
    dice.one(&runs).map(|(_, run)| run.clone())
}

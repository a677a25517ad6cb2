//! Whether a screening is sold, and what is left of it, in words.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use admit_client::Server;
use admit_protocol::digest::ContentName;
use admit_protocol::id::{ScreeningId, SeatId};
use admit_protocol::layout::SeatKind;
use admit_protocol::screening::Screening;
use admit_protocol::seats::{AreaSeats, NotFree, SalesState, Seats};
use admit_protocol::time::Moment;
use anyhow::bail;
use jiff::Timestamp;
use tokio::task::JoinSet;

use crate::show;

/// Of how many screenings the seats are asked for at once.
const ASKED_AT_ONCE: usize = 8;
/// Of how many screenings they are asked for at all: an evening to choose from, not a year to page through.
const ASKED_MAX: usize = 60;

/// Why nobody can buy, and since or until when; nothing, if one can.
pub(crate) fn not_sold(screening: &Screening, state: SalesState) -> Option<String> {
    match state {
        state if state.is_open() => None,
        SalesState::NotYetOpen => {
            let mut begins = format!("sales begin on {}", there(screening, screening.sales.opens_at));
            if let Some(queue) = &screening.queue {
                begins = format!("{begins}; its queue opens on {}", there(screening, queue.opens_at));
            }
            Some(begins)
        }
        SalesState::UnderWay => Some("the film has begun, and it is not sold any more".into()),
        SalesState::Paused => Some("sales are paused: try again later".into()),
        SalesState::Cancelled => Some(format!("IT IS {}", screening.status.as_str().to_uppercase())),
        _ => Some("sales are over".into()),
    }
}

/// Refuses what nobody can buy, before anything else is looked at.
pub(crate) fn check(screening: &Screening, now: Timestamp) -> anyhow::Result<()> {
    match not_sold(screening, screening.sales_state(now)) {
        // Who comes early may have a place in its queue.
        Some(why) if screening.queue.is_none() || now >= screening.sales.opens_at => bail!(why),
        _ => Ok(()),
    }
}

/// What is left of each of these screenings that is sold now. Of what nobody says anything is not known: a programme is worth having
/// without.
pub(crate) async fn left<'a>(
    server: &Server,
    screenings: impl Iterator<Item = &'a Screening>,
) -> HashMap<ScreeningId, String> {
    let on_sale = |s: &&Screening| s.sales_state(server.now()).is_open();
    let on_sale: Vec<(ScreeningId, ContentName)> = screenings.filter(on_sale).map(|s| (s.id, s.layout)).collect();
    let (mut capacities, mut left, mut asked) = (HashMap::new(), HashMap::new(), JoinSet::new());
    if on_sale.len() > ASKED_MAX {
        return left;
    }
    for (id, layout) in on_sale {
        if let std::collections::hash_map::Entry::Vacant(unknown) = capacities.entry(layout) {
            let Ok(layout) = server.layout(layout).await else { continue };
            // What anybody may have: neither spaces for wheelchairs nor what is kept for companions.
            let ordinary = layout.seats.iter().filter(|s| s.kind == SeatKind::Standard).map(|s| s.id);
            unknown.insert(Arc::new(ordinary.collect::<HashSet<_>>()));
        }
        let numbered = Arc::clone(&capacities[&layout]);
        let server = server.clone();
        asked.spawn(async move { Some((id, words(&numbered, &server.seats(id).await.ok()?)?)) });
        if asked.len() == ASKED_AT_ONCE {
            left.extend(asked.join_next().await.and_then(Result::ok).flatten());
        }
    }
    while let Some(answer) = asked.join_next().await {
        left.extend(answer.ok().flatten());
    }
    left
}

/// `sold out`, or how few are left; nothing, where there is a choice.
fn words(numbered: &HashSet<SeatId>, seats: &Seats) -> Option<String> {
    let in_areas = |of: fn(&AreaSeats) -> u32| seats.areas.iter().map(|area| of(area) as usize).sum::<usize>();
    let taken = seats.not_free.values().flatten().filter(|seat| numbered.contains(seat)).count();
    let free = numbered.len() - taken.min(numbered.len()) + in_areas(|area| area.free);
    // Of places without numbers nobody sees whether they are only held.
    let held = seats.not_free.contains_key(&NotFree::Held) || !seats.areas.is_empty();
    match free {
        0 if held => Some("nothing left just now".into()),
        0 => Some("sold out".into()),
        free if free * 10 <= numbered.len() + in_areas(|area| area.capacity) => Some(format!("{free} left")),
        _ => None,
    }
}

fn there(screening: &Screening, at: Timestamp) -> String {
    Moment::new(at, screening.starts_at.zone()).map(|at| show::moment(&at)).unwrap_or_default()
}

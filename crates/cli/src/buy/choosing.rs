//! Seats as people name them.

use admit_protocol::digest::ContentName;
use admit_protocol::hold::{AreaWish, Best, PlaceHold, SEATS_PER_HOLD_MAX, SeatWish};
use admit_protocol::id::{SeatId, TicketTypeId, ZoneId};
use admit_protocol::layout::{Layout, Seat, SeatKind, Zone};
use admit_protocol::price::PriceTable;
use anyhow::{Context as _, bail, ensure};

use super::Ticket;
use crate::show;

/// What is to be held, and each place of it as a ticket.
pub(super) fn wish(
    names: &[String],
    seen: ContentName,
    layout: &Layout,
    table: &PriceTable,
) -> anyhow::Result<(PlaceHold, Vec<Ticket>)> {
    let mut wish = PlaceHold { layout: Some(seen), ..PlaceHold::default() };
    let mut tickets: Vec<Ticket> = Vec::new();
    let first = table.ticket_types.first().context("this screening has no tickets")?.id;
    for text in names {
        if let Some(best) = best_named(text, layout, table)? {
            let zones =
                layout.zones.len() > 1 && names.iter().all(|other| other == text || zone_named(other, layout).is_ok());
            let how = if zones { "; zones are named like this: best:4:ZONE:ZONE" } else { "" };
            ensure!(names.len() == 1, "{text}: the server chooses all seats of a hold, or none{how}");
            wish.best = Some(best);
            continue;
        }
        let (place, kind) = text.split_once('=').map_or((text.as_str(), None), |(place, t)| (place, Some(t)));
        let ticket_type = kind.map(|kind| ticket_type(kind, table)).transpose()?;
        let of = ticket_type.unwrap_or(first);
        let (name, count) = place.split_once(':').map_or((place, "1"), |(area, count)| (area, count));
        if let Some(area) = layout.areas.iter().find(|a| a.id.as_str().eq_ignore_ascii_case(name)) {
            let count: u32 = count.parse().with_context(|| format!("{count:?} is not a number of places"))?;
            for n in 1..=count.min(100) {
                tickets.push((format!("{}.{n}", area.id).parse()?, area.zone, of));
            }
            wish.areas.push(AreaWish { area: area.id, count, ticket_type });
            continue;
        }
        for seat in seats_named(place, layout)? {
            let printed = show::seat(seat.id, layout);
            ensure!(tickets.iter().all(|(known, ..)| *known != seat.id), "seat {printed} is named twice");
            tickets.push((seat.id, seat.zone, of));
            wish.seats.push(SeatWish { seat: seat.id, ticket_type });
        }
    }
    Ok((wish, tickets))
}

/// `best:4`, `best:4:premium`, `best:4=child`: the server chooses.
pub(super) fn best_named(text: &str, layout: &Layout, table: &PriceTable) -> anyhow::Result<Option<Best>> {
    let (place, kind) = text.split_once('=').map_or((text, None), |(place, t)| (place, Some(t)));
    let mut parts = place.split(':');
    if parts.next() != Some("best") || layout.areas.iter().any(|a| a.id.as_str() == "best") {
        return Ok(None);
    }
    let count = parts.next().with_context(|| format!("{text}: how many? best:4"))?;
    let count = count.parse().with_context(|| format!("{count:?} is not a number of seats"))?;
    let zones = parts.map(|name| zone_named(name, layout)).collect::<anyhow::Result<_>>()?;
    let ticket_type = kind.map(|kind| ticket_type(kind, table)).transpose()?;
    Ok(Some(Best { count, zones, ticket_type, ..Best::default() }))
}

fn zone_named(name: &str, layout: &Layout) -> anyhow::Result<ZoneId> {
    let same = |z: &&Zone| z.id.as_str().eq_ignore_ascii_case(name) || z.name.iter().any(|(_, n)| show::same(n, name));
    let known = || layout.zones.iter().map(|z| z.id.as_str()).collect::<Vec<_>>().join(", ");
    let zone = layout.zones.iter().find(same).map(|z| z.id);
    zone.with_context(|| {
        let chairs = if name.contains("wheel") { "; --wheelchairs 1 asks for a wheelchair space" } else { "" };
        format!("there is no zone {name:?}, but {}{chairs}", known())
    })
}

/// What else is said of a party that the server chooses for.
pub(super) fn refine(best: Option<&mut Best>, split: bool, wheelchairs: u16) -> anyhow::Result<()> {
    let Some(best) = best else {
        ensure!(!split, "--split is for best:4, where the server chooses");
        ensure!(wheelchairs == 0, "--wheelchairs is for best:2, where the server chooses");
        return Ok(());
    };
    ensure!(wheelchairs <= best.count, "of {} people at most {0} sit in a wheelchair", best.count);
    (best.split, best.wheelchairs) = (split, wheelchairs);
    Ok(())
}

/// The seat of this name, or those from one to another that sit side by side: `F9`, `F9-F12`, `F9-12`.
fn seats_named<'a>(text: &str, layout: &'a Layout) -> anyhow::Result<Vec<&'a Seat>> {
    let named = |name: &str| {
        let named = |s: &&Seat| s.id.as_str() == name || show::same(&show::seat(s.id, layout), name);
        layout.seats.iter().find(named)
    };
    if let Some(seat) = named(text) {
        return Ok(vec![seat]);
    }
    let nobodys = || {
        // Of a range, the end that is not there.
        let known = |end: &str| named(end).is_some();
        let missing = text.split_once('-').and_then(|(from, to)| match (known(from), known(to)) {
            (true, false) => Some(to),
            (false, true) => Some(from),
            _ => None,
        });
        let areas: Vec<String> = layout.areas.iter().map(|a| format!("{}:2", a.id)).collect();
        let or_area =
            if areas.is_empty() { String::new() } else { format!("; without a number: {}", areas.join(", ")) };
        let missing = missing.unwrap_or(text);
        format!("this hall has no seat {missing:?}: {}{or_area}", like_it(missing, layout))
    };
    // A row's own name may have a dash in it.
    let ends = text.match_indices('-').find_map(|(at, _)| {
        let (from, to) = (named(&text[..at])?, &text[at + 1..]);
        let in_row = || layout.seats.iter().find(|s| s.section == from.section && s.row == from.row && s.number == to);
        Some((from, named(to).or_else(in_row)?))
    });
    let (from, to) = ends.with_context(nobodys)?;
    let walk = |from: &'a Seat, to: &Seat| {
        let right = |s: &&'a Seat| layout.seats.iter().find(|next| Some(next.id) == s.right);
        // A row never bites its own tail: the layout was checked.
        let mut way: Vec<&Seat> = std::iter::successors(Some(from), right).take(SEATS_PER_HOLD_MAX + 1).collect();
        let end = way.iter().position(|s| s.id == to.id)?;
        way.truncate(end + 1);
        Some(way)
    };
    let apart = || {
        if (&from.section, &from.row) != (&to.section, &to.row) {
            return format!("{text:?}: these are in two rows, so name them row by row");
        }
        // Where the way to the right stops.
        let right = |s: &&'a Seat| layout.seats.iter().find(|next| Some(next.id) == s.right);
        let last = std::iter::successors(Some(from), right).take(SEATS_PER_HOLD_MAX).last().unwrap_or(from);
        format!("{text:?}: there is a gap after {}, so name the seats on each side of it", show::seat(last.id, layout))
    };
    walk(from, to).or_else(|| walk(to, from)).with_context(apart)
}

/// What somebody may have meant by a seat that is not there.
fn like_it(text: &str, layout: &Layout) -> String {
    let plain = |text: &str| text.to_lowercase().replace([' ', '-', '.', '_'], "");
    if let Some(seat) = layout.seats.iter().find(|s| plain(&show::seat(s.id, layout)) == plain(text)) {
        return format!("say {}", show::seat(seat.id, layout));
    }
    let in_row = |s: &&Seat| plain(text).strip_prefix(&plain(&s.row)).is_some_and(|n| n.parse::<u32>().is_ok());
    let row: Vec<&Seat> = layout.seats.iter().filter(in_row).collect();
    let numbers = || row.iter().filter_map(|s| s.number.parse::<u32>().ok());
    match (row.first(), numbers().min(), numbers().max()) {
        (Some(seat), Some(first), Some(last)) => format!("row {} has {first} to {last}", seat.row),
        _ => {
            let like = layout.seats.first().map_or_else(|| "F9".into(), |s| show::seat(s.id, layout));
            format!("say row and number together, {like}, or best:2; `admit seats` shows them")
        }
    }
}

/// The types of a party's tickets, if it says them: those that are not sold together are refused before anybody holds anything.
pub(super) fn check_types(best: &Best, types: &[String], table: &PriceTable) -> anyhow::Result<Vec<TicketTypeId>> {
    let count = usize::from(best.count);
    let types = match (types.is_empty(), best.ticket_type) {
        (true, Some(all)) => vec![all; count],
        (true, None) => return Ok(Vec::new()),
        (false, Some(_)) => bail!("say the tickets once: best:4=child, or best:4 --tickets adult,child,child,child"),
        (false, None) => types.iter().map(|text| ticket_type(text, table)).collect::<anyhow::Result<_>>()?,
    };
    ensure!(
        types.len() == count,
        "{} for {}: name one for each",
        show::count(types.len(), "ticket"),
        show::count(count, "seat")
    );
    table.check_types(&types).map_err(|rule| super::broken(&rule, table))?;
    Ok(types)
}

/// Tickets with these types in their place, if there are any.
pub(super) fn named_types(
    mut tickets: Vec<Ticket>,
    types: &[String],
    table: &PriceTable,
) -> anyhow::Result<Vec<Ticket>> {
    if types.is_empty() {
        return Ok(tickets);
    }
    let (named, seats) = (show::count(types.len(), "ticket"), show::count(tickets.len(), "seat"));
    ensure!(types.len() == tickets.len(), "{named} for {seats}: name one for each");
    for ((.., known), text) in tickets.iter_mut().zip(types) {
        *known = ticket_type(text, table)?;
    }
    Ok(tickets)
}

fn ticket_type(text: &str, table: &PriceTable) -> anyhow::Result<TicketTypeId> {
    let types = &table.ticket_types;
    let fits = |t: &&admit_protocol::price::TicketType| {
        t.id.as_str().eq_ignore_ascii_case(text) || t.name.iter().any(|(_, name)| name.eq_ignore_ascii_case(text))
    };
    let known = || types.iter().map(|t| t.id.as_str()).collect::<Vec<_>>().join(", ");
    Ok(types.iter().find(fits).with_context(|| format!("there is no ticket {text:?}, but {}", known()))?.id)
}

/// The wheelchair spaces that wanted companions' seats go with, and that are not wanted themselves.
pub(super) fn spaces_beside(wish: &PlaceHold, layout: &Layout) -> Vec<SeatId> {
    let wanted = |seat: &SeatId| wish.seats.iter().any(|w| w.seat == *seat);
    let companions = layout.seats.iter().filter(|s| s.kind == SeatKind::Companion && wanted(&s.id));
    companions.flat_map(|s| s.companion_of.iter().copied()).filter(|space| !wanted(space)).collect()
}

//! What is shown today, and who sits where.

use std::collections::{BTreeSet, HashMap};

use admit_client::Server;
use admit_protocol::booking::{Booking, BookingState, TicketState};
use admit_protocol::exchange::BookingLink;
use admit_protocol::hold::HoldState;
use admit_protocol::id::{BookingId, ScreeningId, SeatId, TicketTypeId};
use admit_protocol::layout::Layout;
use admit_protocol::screening::Screening;
use admit_protocol::time::{Moment, after};
use jiff::Timestamp;
use serde_json::json;

use super::{Office, Row};
use crate::bookings::left_of;
use crate::showing::Showing;
use crate::{Context, find, programme, sales, show};

pub(super) async fn screenings(server: &Server, context: &Context) -> anyhow::Result<()> {
    let now = Timestamp::now();
    let today = |s: &Screening| s.over_at() > now && s.starts_at.at() < after(now, 24 * 3600);
    let mut rows = Vec::new();
    for cinema in server.cinemas().await? {
        let (films, screenings) = server.programme(cinema.id).await?;
        for screening in screenings.into_iter().filter(today) {
            let film = programme::titles(&screening, &films);
            let hall = cinema.hall(screening.hall).map_or("", |h| show::text(&h.name));
            let status = screening.status.to_string().replace('_', " ");
            let words = [show::start(&screening), film, hall.into(), status, screening.id.to_string()];
            rows.push((screening, words));
        }
    }
    rows.sort_by_key(|(s, _)| s.starts_at.at());
    if context.json {
        return show::json(&rows.into_iter().map(|(s, _)| s).collect::<Vec<_>>());
    }
    if rows.is_empty() {
        show::line("nothing is shown in the next 24 hours");
    } else {
        let left = sales::left(server, rows.iter().map(|(s, _)| s)).await;
        let said = |(screening, mut words): (Screening, [String; 5])| {
            if let Some(left) = left.get(&screening.id) {
                words[3] = format!("{}, {left}", words[3]);
            }
            words.to_vec()
        };
        let rows: Vec<Vec<String>> = rows.into_iter().map(said).collect();
        show::table(&["when", "film", "hall", "status", "screening"], &rows);
    }
    Ok(())
}

/// Who has which seats of a screening.
pub(super) async fn bookings(office: &Office, screening: ScreeningId, context: &Context) -> anyhow::Result<()> {
    let screening = find::screening(&office.server, screening).await?;
    let layout = office.server.layout(screening.layout).await?;
    let rows = office.bookings(screening.id).await?;
    if context.json {
        return show::json(&rows);
    }
    let first = office.server.price_table(screening.price_table).await?.ticket_types.first().map(|t| t.id);
    let mut references = References::default();
    references.learn(&screening, &rows);
    for other in links(&rows).map(|link| link.screening).filter(|id| *id != screening.id).collect::<BTreeSet<_>>() {
        // One that is gone from the programme is told of without its reference.
        if let (Ok(screening), Ok(rows)) = (office.server.screening(other).await, office.bookings(other).await) {
            references.learn(&screening, &rows);
        }
    }
    let showing = Showing::of(&office.server, &screening).await?;
    show::line(&format!("{}: {}", showing.title(), screening.status.to_string().replace('_', " ")));
    print_bookings(&rows, &screening, &layout, first, &references);
    Ok(())
}

/// What bookings are called, and of which screening they are.
#[derive(Default)]
struct References(HashMap<BookingId, (String, ScreeningId)>);

impl References {
    fn learn(&mut self, screening: &Screening, rows: &[Row]) {
        let booked = rows.iter().filter_map(|row| Some((row.booking.as_ref()?.id, row.reference.clone())));
        self.0.extend(booked.map(|(id, reference)| (id, (reference, screening.id))));
    }

    /// The bookings that were got for tickets of this one: `KH7TQ2MX`, or `KH7TQ2MX (SCREENING)` where it is another one.
    fn successors(&self, booking: &Booking) -> String {
        let links = booking.lines.iter().filter_map(|line| line.replaced_by.as_ref());
        let called = |link: &BookingLink| match self.0.get(&link.booking) {
            Some((reference, screening)) if *screening == booking.screening => reference.clone(),
            Some((reference, screening)) => format!("{reference} ({screening})"),
            None => format!("a booking of {}", link.screening),
        };
        links.map(called).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" and ")
    }
}

/// The bookings that tickets of these were given for.
fn links(rows: &[Row]) -> impl Iterator<Item = &BookingLink> {
    rows.iter().flat_map(|row| &row.booking).flat_map(|b| &b.lines).filter_map(|line| line.replaced_by.as_ref())
}

/// Bookings of all screenings to come that somebody may mean.
pub(super) async fn find(office: &Office, text: &str, context: &Context) -> anyhow::Result<()> {
    let text = text.trim().to_lowercase();
    let means = |row: &Row| {
        let of_buyer = row.buyer.iter().flat_map(|b| [&b.name, &b.email]).flatten();
        row.booking.is_some()
            && (row.reference.to_lowercase() == text || of_buyer.into_iter().any(|t| t.to_lowercase().contains(&text)))
    };
    let (now, mut found, mut references) = (Timestamp::now(), Vec::new(), References::default());
    for cinema in office.server.cinemas().await? {
        let (_, screenings) = office.server.programme(cinema.id).await?;
        for screening in screenings.into_iter().filter(|s| s.over_at() > now) {
            let rows = office.bookings(screening.id).await?;
            references.learn(&screening, &rows);
            let rows: Vec<Row> = rows.into_iter().filter(means).collect();
            if !rows.is_empty() {
                found.push((screening, rows));
            }
        }
    }
    if context.json {
        let found = found.iter().map(|(screening, rows)| json!({"screening": screening.id, "bookings": rows}));
        return show::json(&found.collect::<Vec<_>>());
    }
    if found.is_empty() {
        show::line("nobody of that name or reference has booked a screening to come");
    }
    for (screening, rows) in found {
        let layout = office.server.layout(screening.layout).await?;
        let first = office.server.price_table(screening.price_table).await?.ticket_types.first().map(|t| t.id);
        let title = Showing::of(&office.server, &screening).await?.title();
        show::line(&format!("{}  {title}", show::colour("1", screening.id.as_str())));
        print_bookings(&rows, &screening, &layout, first, &references);
    }
    Ok(())
}

/// What became of a booking, and what money is between the cinema and its buyer.
fn state(b: &Booking, screening: &Screening, references: &References, clock: impl Fn(Timestamp) -> String) -> String {
    let mut words: Vec<String> = Vec::new();
    let left = left_of(b);
    let exchanged = b.lines.iter().any(|l| l.replaced_by.is_some());
    match b.state {
        BookingState::Cancelled if exchanged => words.push(format!("exchanged for {}", references.successors(b))),
        BookingState::PartCancelled if exchanged => {
            words.push(format!("partly exchanged for {}", references.successors(b)));
        }
        BookingState::Cancelled => words.push("cancelled".into()),
        BookingState::PartCancelled => words.push("partly cancelled".into()),
        _ => {}
    }
    match b.balance_due {
        _ if b.state == BookingState::Cancelled && !left.is_zero() => words.push(format!("{left} kept")),
        _ if b.state == BookingState::Cancelled => {}
        due if !due.is_zero() && !screening.status.takes_place() => words.push("not paid".into()),
        due if !due.is_zero() => {
            let by = b.collect_by.map(|by| format!(" by {}", clock(by))).unwrap_or_default();
            words.extend((!left.is_zero()).then(|| format!("{left} paid")));
            words.push(format!("{due} due{by}"));
        }
        _ if !screening.status.takes_place() && !left.is_zero() => {
            words.push(format!("paid, {left} owed: cancel --refund"));
        }
        _ if b.paid.is_zero() => words.push("free".into()),
        _ => words.push(format!("paid {}", b.paid)),
    }
    words.extend(b.moved_out.map(|moved| format!("{moved} moved there")));
    if !b.refund_due.is_zero() {
        words.push(format!("{} still to give back", b.refund_due));
    }
    let handed_over = b.refunded.minus(b.refund_due).unwrap_or(b.refunded);
    if !handed_over.is_zero() {
        words.push(format!("{handed_over} given back already"));
    }
    match b.lines.iter().filter(|l| l.state == TicketState::Used).count() {
        0 => {}
        inside => words.push(format!("{inside} inside")),
    }
    words.join(", ")
}

fn print_bookings(
    rows: &[Row],
    screening: &Screening,
    layout: &Layout,
    usual: Option<TicketTypeId>,
    references: &References,
) {
    let zone = screening.starts_at.zone();
    let clock = |at| Moment::new(at, zone).map(|at| at.local().strftime("%a %H:%M").to_string()).unwrap_or_default();
    let row = |row: &Row| {
        let (seats, state): (Vec<_>, _) = match &row.booking {
            Some(b) => {
                let stands = b.lines.iter().filter(|l| l.state != TicketState::Revoked);
                (stands.map(|l| (l.seat, Some(l.ticket_type))).collect(), state(b, screening, references, clock))
            }
            None if row.hold.state != HoldState::Active => return None,
            None => {
                let until = format!("held until {}", clock(row.hold.expires_at));
                (row.hold.seats.iter().map(|s| (s.seat, s.ticket_type)).collect(), until)
            }
        };
        // As `admit box-office sell` reads them.
        let seat = |(seat, kind): (SeatId, Option<TicketTypeId>)| {
            let kind = kind.filter(|kind| Some(*kind) != usual).map(|kind| format!("={kind}")).unwrap_or_default();
            format!("{}{kind}", show::seat(seat, layout))
        };
        let seats: Vec<String> = seats.into_iter().map(seat).collect();
        let buyer =
            row.buyer.iter().flat_map(|b| [&b.name, &b.email]).flatten().cloned().collect::<Vec<_>>().join(", ");
        Some(vec![row.reference.clone(), seats.join(" "), state, buyer])
    };
    let rows: Vec<Vec<String>> = rows.iter().filter_map(row).collect();
    if rows.is_empty() {
        show::line("nobody holds or has booked a seat");
    } else {
        show::table(&["ref", "seats", "state", "buyer"], &rows);
    }
}

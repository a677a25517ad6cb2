//! A seat map in the terminal: readable in colour and without.

use std::collections::{BTreeMap, HashMap};

use admit_protocol::id::{ScreeningId, SeatId, ZoneId};
use admit_protocol::layout::{Layout, Seat, SeatKind};
use admit_protocol::price::PriceTable;
use admit_protocol::seats::{NotFree, Seats as Taken};
use anyhow::Context as _;
use clap::Args;
use serde_json::json;

use crate::{Context, find, show};

/// Look at the seats of a screening.
#[derive(Args)]
pub(crate) struct Seats {
    /// The cinema's server.
    server: String,
    /// The screening.
    screening: String,
}

impl Seats {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let server = find::client(context)?.server(&self.server, None).await?;
        let screening: ScreeningId = self.screening.parse().with_context(|| self.screening.clone())?;
        let taken = server.seats(screening).await?;
        let layout = server.layout(taken.layout).await?;
        let prices = server.price_table(taken.price_table).await?;
        if context.json {
            return show::json(&json!({"seats": taken, "layout": layout, "prices": prices}));
        }
        for line in map(&layout, &taken) {
            show::line(&line);
        }
        show::line("");
        for line in legend(&layout, &prices, &taken) {
            show::line(&line);
        }
        Ok(())
    }
}

/// How a seat looks: a sign that is different without colour, and a colour.
fn sign(seat: &Seat, zone: usize, why: Option<NotFree>) -> (char, &'static str) {
    match (why, seat.kind) {
        (Some(NotFree::Held), _) => ('~', "33"),
        (Some(NotFree::Blocked), _) => ('-', "90"),
        (Some(_), _) => ('x', "90"),
        (None, SeatKind::WheelchairSpace) => ('W', "1;36"),
        (None, SeatKind::Companion) => ('C', "36"),
        // Zones beyond the ninth share a sign; the legend says so.
        (None, _) => (char::from_digit(u32::try_from(zone + 1).unwrap_or(9).min(9), 10).unwrap_or('9'), "32"),
    }
}

/// Rows from the screen to the back, seats by where they are.
pub(crate) fn map(layout: &Layout, taken: &Taken) -> Vec<String> {
    let why: HashMap<SeatId, NotFree> =
        taken.not_free.iter().flat_map(|(why, seats)| seats.iter().map(|s| (*s, *why))).collect();
    let zones: HashMap<ZoneId, usize> = layout.zones.iter().enumerate().map(|(n, z)| (z.id, n)).collect();
    let mut rows: BTreeMap<(i32, &str), Vec<&Seat>> = BTreeMap::new();
    let mut row_y: HashMap<(Option<_>, &str), i32> = HashMap::new();
    for seat in &layout.seats {
        // A row may bend: it is where its first seat is.
        let y = *row_y.entry((seat.section, seat.row.as_str())).or_insert(seat.y);
        rows.entry((y, seat.row.as_str())).or_default().push(seat);
    }
    let left = layout.seats.iter().map(|s| s.x).min().unwrap_or(0);
    let right = layout.seats.iter().map(|s| s.x).max().unwrap_or(0);
    // The narrowest distance of neighbours in a row is one column.
    let gaps = rows.values().flat_map(|row| {
        let mut xs: Vec<i32> = row.iter().map(|s| s.x).collect();
        xs.sort_unstable();
        xs.windows(2).map(|w| w[1] - w[0]).filter(|gap| *gap > 0).collect::<Vec<_>>()
    });
    let step = gaps.min().unwrap_or(60).max(1);
    let columns = usize::try_from((right - left) / step).unwrap_or(0).min(200) + 1;
    let label = rows.keys().map(|(_, row)| row.chars().count()).max().unwrap_or(1);
    let mut lines = Vec::new();
    if !rows.is_empty() {
        let screen = format!("{:^width$}", " SCREEN ", width = columns * 2).replace(' ', "▔");
        lines.push(format!("{:label$} {}", "", screen.replace("▔SCREEN▔", " SCREEN ")));
    }
    for ((_, row), seats) in &rows {
        let mut line = vec![" ".to_owned(); columns];
        for seat in seats {
            let column = usize::try_from((seat.x - left + step / 2) / step).unwrap_or(0).min(columns - 1);
            let zone = zones.get(&seat.zone).copied().unwrap_or(0);
            let (sign, code) = sign(seat, zone, why.get(&seat.id).copied());
            line[column] = show::colour(code, &sign.to_string());
        }
        lines.push(format!("{row:>label$} {} {row}", line.join(" ")));
    }
    for area in &taken.areas {
        let name = layout.areas.iter().find(|a| a.id == area.area).map_or("", |a| show::text(&a.name));
        lines.push(format!("{name} ({}): {} of {} places free, no numbers", area.area, area.free, area.capacity));
    }
    lines
}

fn legend(layout: &Layout, prices: &PriceTable, taken: &Taken) -> Vec<String> {
    let mut lines = Vec::new();
    for (n, zone) in layout.zones.iter().enumerate() {
        let types = prices.ticket_types.iter().filter_map(|t| {
            let offer = prices.offer(t.id, zone.id)?;
            Some(format!("{} {} ({})", show::text(&t.name), offer.total, t.id))
        });
        let types: Vec<String> = types.collect();
        lines.push(format!("{}  free, {}: {}", (n + 1).min(9), show::text(&zone.name), types.join(", ")));
    }
    lines.push("W  wheelchair space   C  companion's seat   ~  held   x  sold   -  not for sale".into());
    for fee in &prices.booking_fees {
        lines.push(format!("and {} once for each booking: {}", fee.amount, show::text(&fee.name)));
    }
    if !taken.sales.is_open() {
        lines.push(show::colour("1;33", &format!("not on sale now: {}", taken.sales)));
    }
    lines
}

//! A seat map in the terminal: readable in colour and without.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use admit_client::{Choice, Choosing, Server};
use admit_protocol::hold::Best;
use admit_protocol::id::{ScreeningId, SeatId, ZoneId};
use admit_protocol::layout::{Layout, Seat, SeatKind};
use admit_protocol::price::{PriceTable, TicketRule};
use admit_protocol::screening::{GroupRule, OrphanRule, Screening};
use admit_protocol::seats::{AreaSeats, NotFree, Seats as Taken};
use anyhow::{Context as _, ensure};
use clap::Args;
use serde_json::{Value, json};

use crate::serve::asked_to_stop;
use crate::showing::Showing;
use crate::{Context, find, sales, show};

/// Look at the seats of a screening.
#[derive(Args)]
pub(crate) struct Seats {
    /// The cinema's server.
    server: String,
    /// The screening.
    screening: String,
    /// Words instead of a map: which seats of each row are free.
    #[arg(long)]
    list: bool,
    /// Which seats are the best that are left for so many, and what is next best.
    #[arg(long, value_name = "PEOPLE")]
    best: Option<u16>,
    /// With --best: how many of them sit in their own wheelchair.
    #[arg(long, value_name = "PEOPLE", default_value_t = 0, requires = "best")]
    wheelchairs: u16,
    /// Stay, and say what changes, until Ctrl-C.
    #[arg(long)]
    watch: bool,
}

impl Seats {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let server = find::server(&self.server, context).await?;
        let id: ScreeningId = self.screening.parse().with_context(|| self.screening.clone())?;
        let screening = find::screening(&server, id).await?;
        let taken = server.seats(id).await?;
        let layout = server.layout(taken.layout).await?;
        let prices = server.price_table(taken.price_table).await?;
        let choices = match self.best {
            Some(count) => {
                let most = server.manifest().hold_policy.as_ref().map_or(u16::MAX, |policy| policy.seats_max);
                ensure!((1..=most).contains(&count), "one hold here has 1 to {most} seats");
                ensure!(
                    !layout.seats.is_empty(),
                    "its places have no numbers, and none is better: `admit book ... best:{count}` takes any"
                );
                ensure!(self.wheelchairs <= count, "of {count} people at most {count} sit in a wheelchair");
                let wish = Best { count, wheelchairs: self.wheelchairs, split: true, ..Best::default() };
                Some(Choosing::new(&screening, layout.clone(), &taken, server.now())?.best(&wish, &prices, 3))
            }
            None => None,
        };
        if context.json {
            let best = choices.as_ref().map(|choices| choices.iter().map(as_json).collect::<Vec<_>>());
            let mut all = json!({"screening": screening, "seats": taken, "layout": layout, "prices": prices});
            best.into_iter().for_each(|best| all["best"] = json!(best));
            if !self.watch {
                return show::json(&all);
            }
            // A document a line, from the first one on.
            show::json_line(&all)?;
            return watch(&server, &taken, &layout, true).await;
        }
        Showing::of(&server, &screening).await?.print();
        if let Some(why) = sales::not_sold(&screening, taken.sales) {
            show::line(&show::colour("1;31", &why));
        }
        if !screening.status.takes_place() {
            // Nobody chooses a seat in what does not take place.
            return Ok(());
        }
        show::line("");
        let seats = if self.list { list(&layout, &taken) } else { map(&layout, &taken) };
        for line in seats {
            show::line(&line);
        }
        show::line("");
        for line in costs(&layout, &prices, self.list) {
            show::line(&line);
        }
        if !self.list && !layout.seats.is_empty() {
            show::line("~  held   x  sold   -  not for sale");
        }
        for line in conditions(&screening, &layout, &prices) {
            show::line(&line);
        }
        if let Some(choices) = choices {
            show::line("");
            if choices.is_empty() {
                show::line("there are not so many seats left for them");
            }
            for (n, choice) in choices.iter().enumerate() {
                show::line(&words(choice, n, &layout));
            }
        }
        if self.watch {
            show::line("");
            return watch(&server, &taken, &layout, false).await;
        }
        Ok(())
    }
}

/// Says what changes, a line for each time: in words, or all seats as they are then.
async fn watch(server: &Server, taken: &Taken, layout: &Layout, json: bool) -> anyhow::Result<()> {
    let mut live = server.live(taken.screening);
    let mut known = taken.clone();
    loop {
        let now = tokio::select! {
            now = live.next() => now?.clone(),
            stopped = asked_to_stop() => return stopped,
        };
        let changes = differences(&known, &now, layout);
        if !changes.is_empty() && json {
            show::json_line(&now)?;
        } else if !changes.is_empty() {
            let at = show::here(server.now());
            show::line(&format!("{at}  {}", changes.join("; ")));
        }
        known = now;
    }
}

/// `F7 F8 held; F9 free`.
fn differences(before: &Taken, after: &Taken, layout: &Layout) -> Vec<String> {
    let by_seat = |seats: &Taken| -> HashMap<SeatId, NotFree> {
        seats.not_free.iter().flat_map(|(why, seats)| seats.iter().map(|s| (*s, *why))).collect()
    };
    let (before_by, after_by) = (by_seat(before), by_seat(after));
    let mut changed: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for seat in &layout.seats {
        let now = after_by.get(&seat.id);
        if now != before_by.get(&seat.id) {
            let word = now.map_or("free", |why| why.as_str());
            changed.entry(word).or_default().push(show::seat(seat.id, layout));
        }
    }
    let mut said: Vec<String> =
        changed.into_iter().map(|(word, seats)| format!("{} {word}", seats.join(" "))).collect();
    let areas = after.areas.iter().filter(|area| !before.areas.contains(area));
    said.extend(areas.map(|area| format!("{}: {} of {} free", area.area, area.free, area.capacity)));
    said.extend((before.sales != after.sales).then(|| format!("sales: {}", after.sales.as_str().replace('_', " "))));
    said
}

fn as_json(choice: &Choice) -> Value {
    let Choice { seats, groups, alone, leaves_alone, restricted, .. } = choice;
    json!({"seats": seats, "groups": groups, "alone": alone, "leaves_alone": leaves_alone, "restricted": restricted})
}

/// `the best for you: F7 F8, side by side`.
fn words(choice: &Choice, n: usize, layout: &Layout) -> String {
    let seats: Vec<String> = choice.seats.iter().map(|seat| show::seat(*seat, layout)).collect();
    let mut says = vec![match (choice.groups, choice.seats.len()) {
        (1, 1) => String::new(),
        (1, _) => "side by side".into(),
        (groups, _) => format!("in {groups} groups (book them with --split, or by name)"),
    }];
    says.extend((choice.alone > 0).then(|| format!("{} of you alone", choice.alone)));
    says.extend(
        (choice.leaves_alone > 0).then(|| format!("{} left over beside you", show::count(choice.leaves_alone, "seat"))),
    );
    says.extend((choice.restricted > 0).then(|| "with a restricted view".into()));
    says.retain(|says| !says.is_empty());
    let says = if says.is_empty() { String::new() } else { format!(": {}", says.join(", ")) };
    format!("{} {}{says}", if n == 0 { "the best for you " } else { "the next best    " }, seats.join(" "))
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
    let column = |seat: &Seat| usize::try_from((seat.x - left + step / 2) / step).unwrap_or(0).min(columns - 1);
    let mut lines = Vec::new();
    if !rows.is_empty() {
        let screen = format!("{:^width$}", " SCREEN ", width = columns * 2).replace(' ', "▔");
        lines.push(format!("{:label$} {}", "", screen.replace("▔SCREEN▔", " SCREEN ")));
    }
    for ((_, row), seats) in &rows {
        let mut line = vec![" ".to_owned(); columns];
        for seat in seats {
            let zone = zones.get(&seat.zone).copied().unwrap_or(0);
            let (sign, code) = sign(seat, zone, why.get(&seat.id).copied());
            line[column(seat)] = show::colour(code, &sign.to_string());
        }
        lines.push(format!("{row:>label$} {} {row}", line.join(" ")));
    }
    lines.extend(
        numbers(&layout.seats, columns, column)
            .iter()
            .map(|line| format!("{:label$} {line}", "").trim_end().to_owned()),
    );
    lines.extend(areas(layout, taken));
    lines
}

/// The numbers of seats, below their columns and digit by digit; nothing where rows count differently.
fn numbers(seats: &[Seat], columns: usize, column: impl Fn(&Seat) -> usize) -> Vec<String> {
    let mut names: Vec<Option<&str>> = vec![None; columns];
    for seat in seats {
        match &mut names[column(seat)] {
            Some(other) if *other != seat.number => return Vec::new(),
            name => *name = Some(&seat.number),
        }
    }
    let tallest = names.iter().flatten().map(|name| name.chars().count()).max().unwrap_or(0);
    let digit = |name: &Option<&str>, n: usize| name.and_then(|name| name.chars().nth(n)).unwrap_or(' ').to_string();
    (0..tallest).map(|n| names.iter().map(|name| digit(name, n)).collect::<Vec<_>>().join(" ")).collect()
}

/// Each row in words, for who listens to it: `row C, Premium: 1 to 8, gap, 11, 12; taken: 9, 10`.
fn list(layout: &Layout, taken: &Taken) -> Vec<String> {
    let gone: HashMap<SeatId, NotFree> =
        taken.not_free.iter().flat_map(|(why, seats)| seats.iter().map(|s| (*s, *why))).collect();
    let zone = |seat: &Seat| layout.zones.iter().find(|z| z.id == seat.zone).map_or("", |z| show::text(&z.name));
    let mut rows: Vec<(&str, &str, Vec<&Seat>)> = Vec::new();
    for seat in &layout.seats {
        match rows.iter_mut().find(|(row, of, _)| *row == seat.row && *of == zone(seat)) {
            Some((_, _, seats)) => seats.push(seat),
            None => rows.push((&seat.row, zone(seat), vec![seat])),
        }
    }
    let mut lines = Vec::new();
    for (row, zone, seats) in rows {
        let of = |why: Option<NotFree>| -> Vec<&Seat> {
            seats.iter().copied().filter(|s| gone.get(&s.id).copied() == why).collect()
        };
        let free = of(None);
        let free = if free.is_empty() { "nothing free".to_owned() } else { runs(&free, layout) };
        let whys: BTreeSet<NotFree> = seats.iter().filter_map(|s| gone.get(&s.id).copied()).collect();
        let gone: String = whys
            .into_iter()
            .map(|why| {
                let word = if why == NotFree::Blocked { "not for sale" } else { why.as_str() };
                format!("; {word}: {}", runs(&of(Some(why)), layout))
            })
            .collect();
        lines.push(format!("row {row}, {zone}: {free}{gone}"));
    }
    lines.extend(areas(layout, taken));
    lines
}

/// Seats in words, those side by side as one: a gap between the chairs, or a seat that is not among them, ends a run.
fn runs(seats: &[&Seat], layout: &Layout) -> String {
    // Whether one can go from chair to chair, whoever has those between.
    let unbroken = |from: &Seat, to: &Seat| {
        let right = |id: &SeatId| layout.seats.iter().find(|s| s.id == *id).and_then(|s| s.right);
        std::iter::successors(Some(from.id), right).take(layout.seats.len()).any(|id| id == to.id)
    };
    let mut before: Option<&Seat> = None;
    let mut words: Vec<String> = Vec::new();
    let mut run: Option<(&Seat, &Seat)> = None;
    let told = |run: (&Seat, &Seat)| match run.0.id == run.1.id {
        true => run.0.number.clone(),
        false => format!("{} to {}", run.0.number, run.1.number),
    };
    for seat in seats {
        let plain = |s: &Seat| !matches!(s.kind, SeatKind::WheelchairSpace | SeatKind::Companion);
        match &mut run {
            Some((_, last)) if last.right == Some(seat.id) && plain(last) && plain(seat) => *last = seat,
            _ => {
                words.extend(run.take().map(told));
                if before.is_some_and(|before| !unbroken(before, seat) && !unbroken(seat, before)) {
                    words.push("gap".into());
                }
                match seat.kind {
                    SeatKind::WheelchairSpace => words.push(format!("{} (wheelchair space)", seat.number)),
                    SeatKind::Companion => words.push(format!("{} (companion's seat)", seat.number)),
                    _ => run = Some((seat, seat)),
                }
            }
        }
        before = Some(seat);
    }
    words.extend(run.map(told));
    words.join(", ")
}

fn areas<'a>(layout: &'a Layout, taken: &'a Taken) -> impl Iterator<Item = String> + 'a {
    taken.areas.iter().map(|area| {
        let known = layout.areas.iter().find(|a| a.id == area.area);
        let name = known.map_or("", |a| show::text(&a.name));
        let zone = layout.zones.iter().find(|z| known.is_some_and(|a| a.zone == z.id));
        let zone = zone.map(|z| format!(", {}", show::text(&z.name))).unwrap_or_default();
        let AreaSeats { area, free, capacity } = area;
        format!("{name}{zone}: {free} of {capacity} places free, no numbers; book them as {area}:2")
    })
}

/// What a seat of each zone costs, by the sign that it has on the map.
fn costs(layout: &Layout, prices: &PriceTable, in_words: bool) -> Vec<String> {
    let types = |zone: ZoneId| {
        let types = prices.ticket_types.iter().filter_map(|t| {
            let offer = prices.offer(t.id, zone)?;
            Some(format!("{} {} ({})", show::text(&t.name), offer.total, t.id))
        });
        types.collect::<Vec<_>>().join(", ")
    };
    let has = |zone: ZoneId, kind: SeatKind| layout.seats.iter().any(|s| s.zone == zone && s.kind == kind);
    let mut lines = Vec::new();
    for (n, zone) in layout.zones.iter().enumerate() {
        let name = show::text(&zone.name);
        let mut signs = vec![(n + 1).min(9).to_string()];
        signs.extend(has(zone.id, SeatKind::WheelchairSpace).then(|| "W (wheelchair space)".to_owned()));
        signs.extend(has(zone.id, SeatKind::Companion).then(|| "C (companion's seat)".to_owned()));
        let signs = if in_words { String::new() } else { format!("{}  ", signs.join(", ")) };
        lines.push(format!("{signs}{name}: {}", types(zone.id)));
    }
    lines
}

/// What else there is to know before choosing.
fn conditions(screening: &Screening, layout: &Layout, prices: &PriceTable) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(queue) = &screening.queue {
        let rate = queue.admits_per_min;
        lines.push(format!(
            "it is sold in turns, {} each minute: `admit queue join`, or book and wait for yours",
            if rate == 1 { "1 person".into() } else { format!("{rate} people") }
        ));
    }
    match screening.seat_rules.orphans {
        OrphanRule::Off => {}
        OrphanRule::Lenient => lines.push("no single seat is left alone where another choice leaves none".into()),
        _ => lines.push("no single seat is left alone between taken ones".into()),
    }
    if screening.seat_rules.groups == GroupRule::Whole {
        lines.push("sofas and boxes are sold whole".into());
    }
    for t in prices.ticket_types.iter().filter(|t| !t.needs_one_of.is_empty()) {
        let called = |id| prices.ticket_type(id).map_or_else(|| id.to_string(), |t| show::text(&t.name).to_owned());
        lines.push(TicketRule::company(t.id, &t.needs_one_of, t.each_goes_with, called));
    }
    if layout.seats.iter().any(|s| s.kind == SeatKind::Companion) {
        lines.push("a companion's seat is sold to who has the wheelchair space beside it".into());
    }
    for fee in &prices.booking_fees {
        let kept = if fee.refundable { "" } else { ", not given back" };
        lines.push(format!("and {} once for each booking: {}{kept}", fee.amount, show::text(&fee.name)));
    }
    lines
}

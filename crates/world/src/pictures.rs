//! Pictures of what is chosen for people in real halls: for parties of one to eight, in a hall that is empty, sold to two fifths, and to
//! four fifths.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use admit_booking::seating::{Hall, Party, Pick};
use admit_booking::{Place, Plan};
use admit_protocol::digest::ContentName;
use admit_protocol::layout::{Layout, SeatKind};
use admit_protocol::screening::{OrphanRule, SeatRules};
use anyhow::Context as _;

use crate::auditoriums::Auditorium;
use crate::dice::Dice;

/// Halls that are drawn.
const HALLS: usize = 10;
/// How much of them is sold, in percent.
const SOLD: [usize; 3] = [0, 40, 80];
/// The largest party.
const PARTY_MAX: usize = 8;
/// A panel, in the units of the picture.
const PANEL: f64 = 150.0;
const MARGIN: f64 = 14.0;
const CAPTION: f64 = 16.0;

/// Draws ten halls into a folder, from the smallest to the largest.
pub(crate) fn draw(halls: &[Auditorium], folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let mut sound: Vec<(&Auditorium, &Layout)> =
        halls.iter().filter_map(|h| Some((h, h.layout.as_ref().ok()?))).collect();
    sound.sort_by_key(|(hall, layout)| (layout.seats.len(), hall.chain, &hall.site, &hall.number));
    // Of each tenth the middle.
    for n in 0..HALLS {
        let Some((_, layout)) = sound.get((2 * n + 1) * sound.len() / (2 * HALLS)) else { continue };
        let file = folder.join(format!("hall-{:02}.svg", n + 1));
        let plan = Plan::new(ContentName::of(b"a hall"), (*layout).clone())?;
        fs::write(&file, picture(&plan, n)).with_context(|| file.display().to_string())?;
        println!("{}: {} seats", file.display(), layout.seats.len());
    }
    Ok(())
}

/// What a hall of this rule is like for a crowd.
fn rules() -> SeatRules {
    SeatRules { orphans: OrphanRule::Lenient, ..SeatRules::default() }
}

fn party(plan: &Plan, count: usize) -> Party {
    let zones = plan.layout().zones.iter().map(|zone| zone.id).collect();
    Party { count, zones, split: true, ..Party::default() }
}

/// Sells so many percent of a hall: most parties are pairs, two of three take what is best, and the others sit where they like.
fn sell(plan: &Plan, percent: usize, seed: u64) -> Vec<bool> {
    let mut free = vec![true; plan.len()];
    let mut dice = Dice::new(seed, 7);
    let to_sell = plan.layout().seats.len() * percent / 100;
    let sizes = [1, 2, 2, 2, 2, 3, 3, 4, 4, 5];
    let (mut sold, mut tries) = (0, 0);
    while sold < to_sell && tries < 10_000 {
        tries += 1;
        let size = sizes[dice.below(sizes.len())].min(to_sell - sold);
        let is_free = |place: Place| free[place.index()];
        let hall = Hall::new(plan, &is_free, rules(), false);
        let taken = if dice.below(3) < 2 {
            hall.best(&party(plan, size), 1).pop().map(|pick| pick.places)
        } else {
            let start = Place(u16::try_from(dice.below(plan.layout().seats.len())).unwrap_or(0));
            let row: Vec<Place> = std::iter::successors(Some(start), |p| plan.beside(*p)[1]).take(size).collect();
            let ordinary = |p: &Place| {
                plan.seat(*p).is_some_and(|s| !matches!(s.kind, SeatKind::WheelchairSpace | SeatKind::Companion))
            };
            let fits = row.len() == size && row.iter().all(|p| is_free(*p) && ordinary(p)) && hall.check(&row).is_ok();
            fits.then_some(row)
        };
        for place in taken.into_iter().flatten() {
            free[place.index()] = false;
            sold += 1;
        }
    }
    free
}

fn picture(plan: &Plan, n: usize) -> String {
    let seats = &plan.layout().seats;
    let x = seats.iter().map(|s| s.x);
    let (left, right) = (x.clone().min().unwrap_or(0), x.max().unwrap_or(1));
    let y = seats.iter().map(|s| s.y);
    let (front, back) = (y.clone().min().unwrap_or(0), y.max().unwrap_or(1));
    let scale = PANEL / f64::from((right - left + 60).max(1));
    let height = f64::from(back - front + 60) * scale + 8.0;
    let (across, down) = (PANEL + MARGIN, height + CAPTION + MARGIN);
    let size = |count: usize, each: f64| f64::from(u32::try_from(count).unwrap_or(0)) * each;
    let (width, all) = (size(PARTY_MAX, across) + MARGIN, size(SOLD.len(), down) + MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {all:.0}\" font-family=\"sans-serif\" font-size=\"9\" \
         role=\"img\" aria-label=\"A hall of {} seats: what is chosen for parties of 1 to 8, with 0, 40 and 80 percent sold\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
        seats.len()
    );
    for (row, percent) in SOLD.into_iter().enumerate() {
        let free = sell(plan, percent, u64::try_from(n).unwrap_or(0) + 1);
        let is_free = |place: Place| free[place.index()];
        let hall = Hall::new(plan, &is_free, rules(), false);
        for count in 1..=PARTY_MAX {
            let pick = hall.best(&party(plan, count), 1).pop();
            let (at_x, at_y) = (MARGIN + size(count - 1, across), MARGIN + size(row, down));
            let _ = writeln!(svg, "<g transform=\"translate({at_x:.1} {at_y:.1})\">");
            let _ = writeln!(svg, "<text y=\"8\" fill=\"#222\">{}</text>", caption(count, percent, pick.as_ref()));
            let _ = writeln!(svg, "<path d=\"M0 {0:.1}h{PANEL}\" stroke=\"#222\" stroke-width=\"2\"/>", CAPTION - 3.0);
            let chosen: Vec<Place> = pick.map(|pick| pick.places).unwrap_or_default();
            let mut paths = [String::new(), String::new(), String::new(), String::new()];
            for (number, seat) in (0..).zip(seats) {
                let place = Place(number);
                let class = match (chosen.contains(&place), is_free(place), seat.kind) {
                    (true, ..) => 3,
                    (_, false, _) => 2,
                    (_, _, SeatKind::WheelchairSpace | SeatKind::Companion) => 1,
                    _ => 0,
                };
                let side = (f64::from(seat.w) * scale * 0.86).min(7.0);
                let to_x = f64::from(seat.x - left + 30) * scale - side / 2.0;
                let to_y = f64::from(seat.y - front + 30) * scale - side / 2.0 + CAPTION;
                let _ = write!(paths[class], "M{to_x:.1} {to_y:.1}h{side:.1}v{side:.1}h-{side:.1}z");
            }
            let looks = [
                "fill=\"#dde3ea\"",
                "fill=\"none\" stroke=\"#7a8\" stroke-width=\".6\"",
                "fill=\"#8b8f96\"",
                "fill=\"#c2410c\"",
            ];
            for (path, look) in paths.iter().zip(looks).filter(|(path, _)| !path.is_empty()) {
                let _ = writeln!(svg, "<path {look} d=\"{path}\"/>");
            }
            let focal = plan.layout().focal_point;
            let (fx, fy) = (f64::from(focal.x - left + 30) * scale, f64::from(focal.y - front + 30) * scale + CAPTION);
            let _ = writeln!(
                svg,
                "<circle cx=\"{fx:.1}\" cy=\"{fy:.1}\" r=\"1.6\" fill=\"none\" stroke=\"#1d4ed8\"/>\n</g>"
            );
        }
    }
    svg + "</svg>\n"
}

fn caption(count: usize, percent: usize, pick: Option<&Pick>) -> String {
    let how = match pick {
        None => "no room".into(),
        Some(pick) if pick.groups == 1 && pick.orphans == 0 => String::new(),
        Some(pick) if pick.groups == 1 => "leaves one alone".into(),
        Some(pick) if pick.alone == 0 => format!("in {} groups", pick.groups),
        Some(pick) => format!("in {} groups, {} alone", pick.groups, pick.alone),
    };
    let how = if how.is_empty() { how } else { format!(": {how}") };
    format!("{count} at {percent} % sold{how}")
}

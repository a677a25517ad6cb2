//! What can be used, and is probably not what was meant.

use std::collections::{BTreeMap, BTreeSet};

use admit_protocol::cinema::{Cinema, Hall};
use admit_protocol::id::{CinemaId, FilmId};
use admit_protocol::money::Money;
use admit_protocol::policy::CancellationPolicy;
use admit_protocol::price::{Audience, Offer, PriceTable};
use admit_protocol::screening::{PriceRange, Screening};
use admit_protocol::text::LanguageTag;
use admit_protocol::time::{Moment, after};
use jiff::civil::Date;

use serde_json::Value;

use super::check::Work;
use super::contact::{strange_languages, strange_telephone};
use super::{BundleScreening, RowReport, ScreeningChanges};
use crate::store::DocumentKind;

/// A screening that nobody will visit so late was meant for another year.
const FAR_AHEAD_DAYS: i64 = 300;
/// Doors that open earlier, and trailers that take longer, were meant to be hours or seconds, in minutes.
const DOORS_MIN_MAX: u32 = 240;
const TRAILERS_MIN_MAX: u32 = 60;
/// A cinema that moved farther, in metres, is another one, or its position is a slip.
const MOVED_M: f64 = 2_000.0;

impl Work<'_> {
    /// What can be used, and is probably not what was meant.
    pub(super) fn look_for_strange(&mut self) {
        let mut strange = Vec::new();
        let mut note = |kind: &'static str, row: &dyn ToString, why| {
            strange.push(RowReport { kind: kind.into(), row: row.to_string(), why, because_of: None });
        };
        let no_layout_refused = !self.refused.iter().any(|(kind, _)| matches!(*kind, "layout" | "hall"));
        let there = self.known.cinemas.iter().flat_map(|c| &c.halls).filter_map(|h| self.known.layout(h.layout));
        let layouts: Vec<_> = there.chain(self.layouts.values().cloned()).collect();
        for (name, (_, table)) in self.tables.iter().filter(|_| no_layout_refused) {
            let has = |zone| layouts.iter().any(|(_, layout)| layout.zones.iter().any(|z| z.id == zone));
            let nowhere: BTreeSet<_> = table.offers.iter().map(|o| o.zone).filter(|zone| !has(*zone)).collect();
            for zone in nowhere {
                note("price_table", name, format!("it has prices for zone {zone}, which no hall has"));
            }
            for t in table.ticket_types.iter().filter(|t| !table.offers.iter().any(|o| o.ticket_type == t.id)) {
                note("price_table", name, format!("nobody can buy a ticket {}: it has no offer", t.id));
            }
            for (what, amount) in amounts(table).filter(|(_, amount)| too_little(*amount)) {
                note(
                    "price_table",
                    name,
                    format!("{what} costs {amount}: amounts are in the smallest unit, 7.00 is 700"),
                );
            }
            for (what, amount) in amounts(table).filter(|(_, amount)| too_much(*amount)) {
                note(
                    "price_table",
                    name,
                    format!("{what} costs {amount}: amounts are in the smallest unit, 9.00 is 900"),
                );
            }
            for fee in &table.booking_fees {
                if amounts(table).all(|(_, ticket)| fee.amount > ticket) {
                    note(
                        "price_table",
                        name,
                        format!("its fee {}, {}, is more than any ticket costs", fee.id, fee.amount),
                    );
                }
            }
            for why in self.surprises(name, table) {
                note("price_table", name, why);
            }
            for (cheap, dear) in upside_down(table) {
                note(
                    "price_table",
                    name,
                    format!("{cheap} costs less than {dear}: amounts are in the smallest unit, 180.00 is 18000"),
                );
            }
        }
        for cinema in self.cinemas.values() {
            let before = self.known.cinemas.iter().find(|before| before.id == cinema.id);
            if let Some(why) = strange_position(cinema, before) {
                note("cinema", &cinema.id, why);
            }
            if let Some(why) = cinema.telephone.as_deref().and_then(strange_telephone) {
                note("cinema", &cinema.id, why);
            }
        }
        for film in self.films.values() {
            if let Some(why) = strange_languages(film) {
                note("film", &film.id, why);
            }
        }
        let far = after(self.now, FAR_AHEAD_DAYS * 86_400);
        for (name, (_, layout)) in &self.layouts {
            let alone = layout.seats.iter().all(|s| s.left.is_none() && s.right.is_none());
            if layout.seats.len() > 1 && alone {
                note(
                    "layout",
                    name,
                    "no seat has a neighbour, `left` or `right`: nobody can look for two together".into(),
                );
            }
        }
        for s in &self.screenings {
            let known = self.known.screening(s.id);
            if let Some(before) = known.filter(|before| !before.status.takes_place() && s.status.takes_place()) {
                note("screening", &s.id, format!("it was {}, and takes place again", before.status));
            }
            // Prices under a new name are compared where they are used.
            let ranges = known.and_then(|before| before.price_range).zip(s.price_range);
            if let Some((was, is)) = ranges.filter(|(was, is)| far_apart(was.highest.amount(), is.highest.amount())) {
                let why = format!("its tickets cost {}, and were {} before", range(&is), range(&was));
                note("screening", &s.id, why);
            }
            if let Some(before) = known {
                let left_out = self.left_out(before, s);
                if !left_out.is_empty() {
                    let why = format!(
                        "the file leaves out {}, which it had before, and so it has that no more",
                        left_out.join(", ")
                    );
                    note("screening", &s.id, why);
                }
            }
            // A programme of today may begin with the matinée.
            let past = s.starts_at.at() <= self.now && self.today_at(s).is_some_and(|today| s.business_date < today);
            if past {
                note("screening", &s.id, format!("it began at {} already", poster(s)));
            } else if s.starts_at.at() > far {
                note("screening", &s.id, format!("it begins at {}: is it that year?", poster(s)));
            }
            if let Some(minutes) = s.doors_at.as_ref().map(|doors| minutes_between(doors, &s.starts_at))
                && minutes > DOORS_MIN_MAX.into()
            {
                note("screening", &s.id, format!("its doors open {minutes} minutes before the start (`doors_min`)"));
            }
            if let Some(minutes) = s.items.first().map(|first| minutes_between(&s.starts_at, &first.starts_at))
                && minutes > TRAILERS_MIN_MAX.into()
            {
                note(
                    "screening",
                    &s.id,
                    format!("its film begins after {minutes} minutes of trailers (`trailers_min`)"),
                );
            }
            if s.cancellation.tiers.windows(2).any(|pair| pair[0].refund_percent < pair[1].refund_percent) {
                note("screening", &s.id, "who cancels early gets less back than who cancels late".into());
            }
        }
        let forgot = self.without_policy();
        if forgot > 0 {
            let why = format!(
                "for {forgot} of its screenings nothing is said of cancellations, so nothing comes back: is that meant? \
                 `cancellation` says it for all of a file"
            );
            note("programme", &"", why);
        }
        let mut halls: BTreeMap<_, Vec<&Screening>> = BTreeMap::new();
        let in_file = &self.rows;
        let left_out =
            self.known.screenings.iter().map(|l| &l.screening).filter(|s| !in_file.contains_key(s.id.as_str()));
        for s in self.screenings.iter().chain(left_out.clone()).filter(|s| s.status.takes_place()) {
            halls.entry((s.cinema, s.hall)).or_default().push(s);
        }
        for in_hall in halls.values_mut() {
            in_hall.sort_by_key(|s| s.starts_at.at());
            for (first, second) in in_hall.iter().zip(in_hall.iter().skip(1)) {
                // Where the end is not known, nobody can say.
                let overlap = first.ends_at.as_ref().is_some_and(|end| second.starts_at.at() < end.at());
                if overlap && [first, second].iter().any(|s| in_file.contains_key(s.id.as_str())) {
                    let why = format!("in hall {} it begins before screening {} is over", second.hall, first.id);
                    note("screening", &second.id, why);
                }
            }
        }
        for (cinema, hall) in self.halls_with_another_layout() {
            let stays = |s: &&Screening| (s.cinema, s.hall) == (cinema, hall.id) && s.layout != hall.layout;
            let stay = left_out.clone().filter(stays).filter(|s| s.starts_at.at() > self.now).count();
            if stay > 0 {
                let why = format!(
                    "{stay} of its screenings to come are not in this file and keep the layout they have: `admit cinema export` \
                     names them"
                );
                note("hall", &format!("{} of {cinema}", hall.id), why);
            }
        }
        for (table, stay) in self.new_prices() {
            let why = format!(
                "it is not what it was before; {stay} of the screenings to come that are not in this file keep the old prices and fees"
            );
            note("price_table", &table, why);
        }
        self.checked.strange = strange;
    }

    /// What becomes of screenings that were there.
    pub(super) fn look_for_changes(&mut self) {
        let known = self.known.screenings.iter().map(|l| &l.screening);
        let left_out = known.filter(|s| s.starts_at.at() > self.now && !self.rows.contains_key(s.id.as_str()));
        let left_out = left_out.map(|s| s.id).collect();
        let mut changes = ScreeningChanges { left_out, ..ScreeningChanges::default() };
        for now in &self.screenings {
            match self.known.screening(now.id) {
                None => changes.new.push((now.id, self.poster_line(now))),
                Some(before) if before == now => changes.same += 1,
                Some(before) => changes.changed.push((now.id, differing(before, now))),
            }
        }
        let starts: BTreeMap<_, _> = self.screenings.iter().map(|s| (s.id, s.starts_at.at())).collect();
        changes.new.sort_by_key(|(id, _)| starts.get(id).copied());
        self.checked.changes = changes;
    }

    /// `Sat 21 Nov 2026, 20:15: The General, hall one of kino`.
    fn poster_line(&self, s: &Screening) -> String {
        let english = LanguageTag::parse("en").expect("en is a tag");
        let title = |film: &FilmId| {
            self.films.get(film).map_or_else(|| film.to_string(), |f| f.title.best(&english).to_owned())
        };
        let films: Vec<String> = s.items.iter().map(|item| title(&item.film)).collect();
        format!("{}: {}, hall {} of {}", poster(s), films.join(" + "), s.hall, s.cinema)
    }

    /// For how many screenings to come neither the file nor their own row says what a cancellation brings back.
    fn without_policy(&self) -> usize {
        if self.bundle.cancellation.is_some() {
            return 0;
        }
        let says = |id: &str| self.rows.get(id).is_some_and(|row| row.get("cancellation").is_some());
        let to_come = self.screenings.iter().filter(|s| s.starts_at.at() > self.now);
        to_come.filter(|s| !says(s.id.as_str())).count()
    }

    /// What tickets of a table cost that has the name of one before, where it is not what they cost then. In the smallest unit a slip
    /// of the point is not seen, and nor is one digit among others.
    fn surprises(&self, name: &str, table: &PriceTable) -> Vec<String> {
        let before = self.known.named(DocumentKind::PriceTable, name).and_then(|before| self.known.table(before));
        let Some((_, before)) = before else { return Vec::new() };
        let mut found = Vec::new();
        for gone in before.ticket_types.iter().filter(|was| table.ticket_type(was.id).is_none()) {
            let at = before
                .offers
                .iter()
                .find(|o| o.ticket_type == gone.id)
                .map(|o| format!(", which was {} before", o.total));
            found.push(format!("there is no ticket {} any more{}", gone.id, at.unwrap_or_default()));
        }
        for was in before.offers.iter().filter(|was| table.ticket_type(was.ticket_type).is_some()) {
            let (what, at) = (format!("{} in {}", was.ticket_type, was.zone), was.total);
            let zone_is_sold = table.offers.iter().any(|o| o.zone == was.zone);
            match table.offers.iter().find(|o| (o.ticket_type, o.zone) == (was.ticket_type, was.zone)) {
                Some(now) if now.total.is_zero() && !at.is_zero() => {
                    found.push(format!("{what} costs nothing, and was {at} before"));
                }
                Some(now) if now.total != at => {
                    found.push(format!("{what} costs {}, and was {at} before", now.total));
                }
                None if zone_is_sold => found.push(format!("{what} has no price any more, and was {at} before")),
                _ => {}
            }
        }
        found
    }

    /// What a screening said before this file, and the file does not: it is as if it had never been said.
    fn left_out(&self, before: &Screening, after: &Screening) -> Vec<String> {
        let row = self.rows.get(after.id.as_str());
        let poster =
            |s: &Screening| serde_json::to_value(BundleScreening::of(s, Some(s.layout), &|name| name.to_string()));
        let (Some(row), Ok(Value::Object(before_said)), Ok(said)) = (row, poster(before), poster(after)) else {
            return Vec::new();
        };
        let gone = |member: &str, was: &Value| match member {
            // From when it is sold is only news as long as it is not.
            "sales_open" => before.sales.opens_at > self.now && after.sales.opens_at <= self.now,
            // That it takes place again is said for itself.
            "status" => before.status.takes_place() && said.get(member) != Some(was),
            // A policy of its own. That of a whole file is looked at once for all.
            "cancellation" => {
                let left_out = self.bundle.cancellation.is_none() && said.get(member) != Some(was);
                left_out && self.usual_policy() != Some(&before.cancellation)
            }
            _ => said.get(member) != Some(was),
        };
        let members = before_said.iter().filter(|(member, was)| row.get(member).is_none() && gone(member, was));
        members.map(|(member, _)| format!("`{member}`")).collect()
    }

    /// The evening that it is now at the cinema of a screening.
    fn today_at(&self, screening: &Screening) -> Option<Date> {
        let cinema = self.cinemas.get(&screening.cinema)?;
        Some(Moment::new(self.now, &cinema.zone).ok()?.business_date(cinema.business_day_cutoff))
    }

    /// The policy that most screenings have that are there: another one is a screening's own.
    fn usual_policy(&self) -> Option<&CancellationPolicy> {
        let mut counts: Vec<(&CancellationPolicy, usize)> = Vec::new();
        for policy in self.known.screenings.iter().map(|l| &l.screening.cancellation) {
            match counts.iter_mut().find(|(known, _)| *known == policy) {
                Some((_, count)) => *count += 1,
                None => counts.push((policy, 1)),
            }
        }
        counts.into_iter().max_by_key(|(_, count)| *count).map(|(policy, _)| policy)
    }

    /// Price tables that the file changes under a name that earlier files gave them, and how many screenings to come keep the old one.
    fn new_prices(&self) -> impl Iterator<Item = (&str, usize)> {
        self.tables.iter().filter_map(move |(name, (table, _))| {
            let before = self.known.named(DocumentKind::PriceTable, name).filter(|before| before != table)?;
            let to_come = self.known.screenings.iter().map(|l| &l.screening).filter(|s| s.starts_at.at() > self.now);
            let stay = to_come.filter(|s| s.price_table == before && !self.rows.contains_key(s.id.as_str())).count();
            (stay > 0).then_some((*name, stay))
        })
    }

    /// Halls that the file gives another layout than they have.
    fn halls_with_another_layout(&self) -> impl Iterator<Item = (CinemaId, &Hall)> {
        let before = |cinema, hall| self.known.cinemas.iter().find(|c| c.id == cinema)?.hall(hall);
        let halls = self.cinemas.values().flat_map(|c| c.halls.iter().map(|h| (c.id, h)));
        halls.filter(move |(cinema, h)| before(*cinema, h.id).is_some_and(|known| known.layout != h.layout))
    }
}

fn minutes_between(from: &Moment, to: &Moment) -> i64 {
    to.at().duration_since(from.at()).as_secs() / 60
}

/// A position that is a slip, probably: degrees where millionths of a degree are meant, or far from where the cinema was.
fn strange_position(cinema: &Cinema, before: Option<&Cinema>) -> Option<String> {
    let here = cinema.position;
    let (north, east) = here.degrees();
    let said = format!("its position is {north:.5}, {east:.5}");
    if here.lat_e6().abs() <= 90 && here.lon_e6().abs() <= 180 {
        return Some(format!("{said}: `lat_e6` and `lon_e6` are millionths of a degree, 41.15 is 41150000"));
    }
    let moved = before?.position.distance_m(&here);
    (moved > MOVED_M).then(|| format!("{said}, {:.0} km from where it was", moved / 1000.0))
}

/// What of a screening is not what it was, in words. What follows from another start is not said again.
fn differing(before: &Screening, after: &Screening) -> Vec<String> {
    let members = |s: &Screening| match serde_json::to_value(s) {
        Ok(Value::Object(members)) => members,
        _ => serde_json::Map::new(),
    };
    let films = |s: &Screening| s.items.iter().map(|i| (i.film, i.version)).collect::<Vec<_>>();
    let moved = before.starts_at != after.starts_at;
    let (old, new) = (members(before), members(after));
    let all: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let said = |member: &String| match member.as_str() {
        "starts_at" => Some(format!("begins {} (was {})", poster(after), poster(before))),
        "items" if films(before) == films(after) => None,
        "items" => Some("another film or version".to_owned()),
        "status" => Some(format!("{} (was {})", after.status, before.status)),
        "hall" => Some(format!("in hall {} (was {})", after.hall, before.hall)),
        "price_table" => Some(match (&before.price_range, &after.price_range) {
            (Some(was), Some(is)) if was != is => format!("prices {} (were {})", range(is), range(was)),
            _ => "prices".to_owned(),
        }),
        "cancellation" => {
            Some(format!("cancellation: {} (was: {})", in_words(&after.cancellation), in_words(&before.cancellation)))
        }
        "price_range" if before.price_table != after.price_table => None,
        "ends_at" | "doors_at" | "collect_by" | "sales" | "business_date" | "accessible_release_at" if moved => None,
        other => Some(other.replace('_', " ")),
    };
    let differing = all.into_iter().filter(|member| old.get(*member) != new.get(*member));
    differing.filter_map(said).collect()
}

/// `100 % back until 2 h before, 50 % until 30 min before`.
fn in_words(policy: &CancellationPolicy) -> String {
    let before = |s: u32| match (s / 3600, s / 60 % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    };
    let tiers: Vec<String> = policy
        .tiers
        .iter()
        .map(|tier| format!("{} % back until {} before", tier.refund_percent, before(tier.until_before_start_s)))
        .collect();
    let fee = policy.fee_per_ticket.map(|fee| format!(", less {fee} a ticket")).unwrap_or_default();
    let back = if tiers.is_empty() { "nothing comes back".into() } else { format!("{}{fee}", tiers.join(", ")) };
    let exchange = policy.exchange.map(|rule| {
        let less = rule.fee_per_ticket.map(|fee| format!(", less {fee} a ticket")).unwrap_or_default();
        format!(", exchanged until {} before{less}", before(rule.until_before_start_s))
    });
    format!("{back}{}", exchange.unwrap_or_default())
}

fn range(range: &PriceRange) -> String {
    let PriceRange { lowest, highest } = range;
    if lowest == highest { lowest.to_string() } else { format!("{lowest} to {highest}") }
}

/// Ten times as much, or a tenth.
fn far_apart(one: i64, other: i64) -> bool {
    let (less, more) = (one.min(other), one.max(other));
    less > 0 && more / less >= 10
}

/// What tickets of a table cost.
fn amounts(table: &PriceTable) -> impl Iterator<Item = (String, Money)> {
    table.offers.iter().map(|o| (format!("{} in {}", o.ticket_type, o.zone), o.total))
}

/// Half a euro, or 50 yen: nobody sells a seat for that, and who writes 7 for 7.00 does.
fn too_little(amount: Money) -> bool {
    let least = if amount.currency().minor_digits() > 2 { 500 } else { 50 };
    (1..least).contains(&amount.amount())
}

/// Where it is known what money is worth: no seat costs hundreds, and who writes 90000 meant 900.
fn too_much(amount: Money) -> bool {
    let known = ["AUD", "CAD", "CHF", "EUR", "GBP", "USD"].contains(&amount.currency().to_string().as_str());
    known && amount.amount() > 25_000
}

/// When it begins, as people say it.
fn poster(s: &Screening) -> String {
    s.starts_at.local().strftime("%a %-d %b %Y, %H:%M").to_string()
}

/// Where an adult pays less than somebody who has a reduction: the tickets, by type and zone.
fn upside_down(table: &PriceTable) -> Vec<(String, String)> {
    let audience = |o: &&Offer| table.ticket_type(o.ticket_type).map(|t| t.audience);
    let adults = table.offers.iter().filter(|o| audience(o) == Some(Audience::Adult));
    let reduced = |o: &&Offer| {
        use Audience::{Child, Senior, Student, Teen};
        matches!(audience(o), Some(Child | Teen | Student | Senior))
    };
    let pairs = adults.flat_map(|a| {
        let dearer = move |r: &&Offer| r.zone == a.zone && r.total.amount() > a.total.amount();
        table.offers.iter().filter(reduced).filter(dearer).map(move |r| (a, r))
    });
    let say = |o: &Offer| format!("{} in {} ({})", o.ticket_type, o.zone, o.total);
    pairs.map(|(a, r)| (say(a), say(r))).collect()
}

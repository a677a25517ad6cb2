//! Choosing for people: checked against trying every choice in small halls.

use std::collections::BTreeSet;

use admit_booking::seating::{Hall, Party, Pick, SeatRule};
use admit_booking::{Place, Plan};
use admit_protocol::digest::ContentName;
use admit_protocol::screening::{GroupRule, OrphanRule, SeatRules};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A hall as it is drawn in these tests: a line for each row. `.` free, `x` taken, `W` a space for a wheelchair, `C` the seat of its
/// companion, `s` a seat of a sofa with its neighbour, a blank no seat. Capitals of `W`, `C` and `S` are free, small ones taken.
struct Drawn {
    plan: Plan,
    free: Vec<bool>,
}

fn drawn(rows: &[&str]) -> Drawn {
    let mut seats: Vec<Value> = Vec::new();
    let mut free = Vec::new();
    for (y, row) in rows.iter().enumerate() {
        let signs: Vec<char> = row.chars().collect();
        let id = |x: usize| format!("{}{}", char::from(b'A' + u8::try_from(y).expect("few rows")), x + 1);
        let is_seat = |x: usize| signs.get(x).is_some_and(|sign| *sign != ' ');
        for (x, sign) in signs.iter().enumerate().filter(|(_, sign)| **sign != ' ') {
            let mut seat = json!({"id": id(x), "row": id(x)[..1].to_owned(), "number": (x + 1).to_string(),
                "x": x * 60, "y": y * 100, "zone": if y == 0 { "front" } else { "back" }});
            if x > 0 && is_seat(x - 1) {
                seat["left"] = json!(id(x - 1));
            }
            if is_seat(x + 1) {
                seat["right"] = json!(id(x + 1));
            }
            match sign.to_ascii_uppercase() {
                'W' => seat["kind"] = json!("wheelchair_space"),
                'C' => {
                    let space =
                        [x.wrapping_sub(1), x + 1].into_iter().find(|n| matches!(signs.get(*n), Some('W' | 'w')));
                    seat["kind"] = json!("companion");
                    seat["companion_of"] = json!([id(space.expect("a space beside it"))]);
                }
                'S' => seat["group"] = json!(format!("sofa{y}-{}", x / 2)),
                _ => {}
            }
            seats.push(seat);
            free.push(matches!(sign, '.' | 'W' | 'C' | 'S'));
        }
    }
    let width = rows.iter().map(|row| row.chars().count()).max().unwrap_or(1);
    let layout = json!({
        "screen": {"from": {"x": 0, "y": -200}, "to": {"x": 60 * width, "y": -200}},
        // The middle, two thirds back; a hair to the left, so that nothing is equally good.
        "focal_point": {"x": 30 * (width - 1) - 1, "y": 200 * (rows.len() - 1) / 3},
        "zones": [{"id": "front", "name": {"en": "Front"}}, {"id": "back", "name": {"en": "Back"}}],
        "seats": seats,
    });
    let layout = serde_json::from_value(layout).expect("a layout");
    Drawn { plan: Plan::new(ContentName::of(b"drawn"), layout).expect("sound"), free }
}

impl Drawn {
    fn with<T>(&self, rules: SeatRules, look: impl FnOnce(&Hall<'_>) -> T) -> T {
        let free = |place: Place| self.free[place.index()];
        look(&Hall::new(&self.plan, &free, rules, false))
    }

    fn best(&self, rules: SeatRules, party: &Party) -> Option<Pick> {
        self.with(rules, |hall| hall.best(party, 1).into_iter().next())
    }

    /// The seats of the best pick, by name.
    fn seats(&self, rules: SeatRules, party: &Party) -> String {
        let pick = self.best(rules, party);
        pick.map(|pick| self.names(&pick.places)).unwrap_or_default()
    }

    fn names(&self, places: &[Place]) -> String {
        places.iter().map(|place| self.plan.seat_id(*place).to_string()).collect::<Vec<_>>().join(" ")
    }

    fn places(&self, names: &str) -> Vec<Place> {
        names.split(' ').map(|name| self.plan.place(name.parse().expect("an id")).expect("a seat")).collect()
    }

    fn check(&self, rules: SeatRules, names: &str) -> Result<(), String> {
        self.with(rules, |hall| hall.check(&self.places(names))).map_err(|rule| match rule {
            SeatRule::LeavesAlone(alone) => format!("alone: {}", self.names(&alone)),
            SeatRule::PartOfGroup(rest) => format!("rest: {}", self.names(&rest)),
        })
    }
}

fn party(count: usize) -> Party {
    let zones = ["front", "back"].map(|zone| zone.parse().expect("an id")).into();
    Party { count, zones, ..Party::default() }
}

fn split(count: usize) -> Party {
    Party { split: true, ..party(count) }
}

fn orphans(orphans: OrphanRule) -> SeatRules {
    SeatRules { orphans, orphans_below_percent: 0, ..SeatRules::default() }
}

#[test]
fn a_party_sits_together_around_the_best_place() {
    let hall = drawn(&["......", "......", "......"]);
    assert_eq!(hall.seats(SeatRules::default(), &party(2)), "B3 B4");
    assert_eq!(hall.seats(SeatRules::default(), &party(6)), "B1 B2 B3 B4 B5 B6");
    assert_eq!(hall.seats(SeatRules::default(), &party(7)), "", "no row has so many");
    let picks = hall.with(SeatRules::default(), |h| h.best(&party(2), 3));
    let names: Vec<String> = picks.iter().map(|pick| hall.names(&pick.places)).collect();
    assert_eq!(names, ["B3 B4", "C3 C4", "B1 B2"], "the next best have no seat in common with it");
    let front = Party { zones: ["front".parse().expect("an id")].into(), ..party(2) };
    assert_eq!(hall.seats(SeatRules::default(), &front), "A3 A4");
}

#[test]
fn a_single_seat_is_not_left_over_where_that_can_be_helped_choose_002() {
    let hall = drawn(&[".....", "x...x"]);
    // In the better row a pair would leave one alone.
    assert_eq!(hall.seats(SeatRules::default(), &party(2)), "A1 A2");
    let strict = orphans(OrphanRule::Strict);
    assert_eq!(hall.check(strict, "B2 B3"), Err("alone: B4".into()));
    assert_eq!(hall.check(strict, "B3"), Err("alone: B2 B4".into()));
    assert_eq!(hall.check(strict, "B2 B3 B4"), Ok(()));
    assert_eq!(hall.check(strict, "A2 A3"), Err("alone: A1".into()));
    assert_eq!(hall.check(orphans(OrphanRule::Off), "B3"), Ok(()));
    // What was alone before is nobody's fault.
    let hall = drawn(&[".x..x"]);
    assert_eq!(hall.check(strict, "A3 A4"), Ok(()));
}

#[test]
fn lenient_lets_go_where_one_is_left_anyhow_choose_003() {
    let hall = drawn(&["x...x....x", "..........", ".........."]);
    let lenient = orphans(OrphanRule::Lenient);
    assert_eq!(hall.check(lenient, "A2 A3"), Ok(()), "two of three leave one, wherever they sit");
    assert_eq!(hall.check(lenient, "A3"), Err("alone: A2 A4".into()), "one of three need not leave two");
    assert_eq!(hall.check(lenient, "A6 A7 A8"), Ok(()));
    assert_eq!(hall.check(lenient, "A7 A8"), Err("alone: A6 A9".into()), "two of four can leave a pair");
    // Nearly sold out, every seat may be had.
    let relaxed = SeatRules { orphans_below_percent: 95, ..lenient };
    assert_eq!(hall.check(relaxed, "A3"), Ok(()));
    // Of ten, four are left: not fewer than 40 percent, but fewer than 41.
    let hall_of_ten = drawn(&["x.....", "xxxx"]);
    for (percent, may) in [(40, Err("alone: A2".to_owned())), (41, Ok(()))] {
        let rule = SeatRules { orphans_below_percent: percent, ..orphans(OrphanRule::Strict) };
        assert_eq!(hall_of_ten.check(rule, "A3"), may);
    }
    let strict = SeatRules { orphans_below_percent: 10, ..orphans(OrphanRule::Strict) };
    assert_eq!(hall.check(strict, "A3"), Err("alone: A2 A4".into()));
}

#[test]
fn a_space_for_a_wheelchair_is_no_company_and_no_orphan() {
    let hall = drawn(&["WC..."]);
    let strict = orphans(OrphanRule::Strict);
    // A3 has the companion's seat beside it, which nobody else may buy.
    assert_eq!(hall.check(strict, "A4 A5"), Err("alone: A3".into()));
    assert_eq!(hall.check(strict, "A1 A2"), Ok(()));
    let wheelchair = Party { wheelchairs: 1, ..party(2) };
    assert_eq!(hall.seats(strict, &wheelchair), "A1 A2");
    assert_eq!(hall.seats(SeatRules::default(), &party(4)), "", "others are not offered them");
    // A3 has nobody beside it to begin with.
    assert_eq!(drawn(&["WC."]).check(strict, "A1 A2"), Ok(()));
    // Two who sit in their own come together.
    let hall = drawn(&["W....", ".....", "..W.W"]);
    assert_eq!(hall.seats(strict, &Party { wheelchairs: 2, ..split(2) }), "C3 C5");
    // The seat behind the space may be nearer than the one beside the companion's: side by side they sit all the same.
    let hall = drawn(&["WC....", "......", "......"]);
    for (count, seats) in [(3, "A1 A2 A3"), (5, "A1 A2 A3 A4 A5"), (6, "A1 A2 A3 A4 A5 A6")] {
        assert_eq!(hall.seats(SeatRules::default(), &Party { wheelchairs: 1, ..party(count) }), seats);
        assert_eq!(hall.seats(SeatRules::default(), &Party { wheelchairs: 1, ..split(count) }), seats);
    }
    assert_eq!(drawn(&["..CW", "...."]).seats(SeatRules::default(), &Party { wheelchairs: 1, ..party(3) }), "A2 A3 A4");
    let hall = drawn(&["Wc..."]);
    assert_eq!(hall.seats(strict, &wheelchair), "", "the companion's seat is taken, and nothing is beside the space");
    assert_eq!(hall.seats(strict, &Party { split: true, ..wheelchair }), "A1 A3", "as near as can be");
}

#[test]
fn sofas_are_sold_whole_where_the_house_says_so_choose_005() {
    let whole = SeatRules { groups: GroupRule::Whole, ..SeatRules::default() };
    let hall = drawn(&["SSSS"]);
    assert_eq!(hall.check(whole, "A1"), Err("rest: A2".into()));
    assert_eq!(hall.check(whole, "A2 A3"), Err("rest: A1 A4".into()));
    assert_eq!(hall.check(whole, "A1 A2"), Ok(()));
    assert_eq!(hall.check(SeatRules::default(), "A2 A3"), Ok(()));
    // By place, a sofa is left whole all the same if it can be.
    assert_eq!(hall.seats(SeatRules::default(), &party(2)), "A1 A2");
    assert_eq!(hall.seats(whole, &party(3)), "");
    // What was broken before is sold as it is.
    let hall = drawn(&["sSSS"]);
    assert_eq!(hall.check(whole, "A2"), Ok(()));
}

#[test]
fn a_party_is_split_only_if_it_asks_and_nobody_sits_alone() {
    let hall = drawn(&["..x..", "x...x"]);
    assert_eq!(hall.seats(SeatRules::default(), &party(4)), "");
    let pick = hall.best(SeatRules::default(), &split(4)).expect("room for four");
    assert_eq!((pick.groups, pick.alone), (2, 0), "{}", hall.names(&pick.places));
    assert_eq!(hall.best(SeatRules::default(), &split(8)), None, "there are seven");
    assert_eq!(hall.best(SeatRules::default(), &split(7)).map(|p| p.groups), Some(3));
}

#[test]
fn a_party_that_is_hard_to_split_keeps_nobody_waiting() {
    // Two hundred single seats, and two hundred pairs: every choice of ten would take longer than the film.
    let singles = ". ".repeat(50);
    let pairs = ".. ".repeat(50);
    for row in [&singles, &pairs] {
        let hall = drawn(&[row, row, row, row]);
        for count in [7, 10, 12, 13, 100] {
            let pick = hall.best(SeatRules::default(), &split(count)).expect("room");
            assert_eq!(pick.places.len(), count);
        }
    }
    let hall = drawn(&["...... .....", "x.....x.xxxx"]);
    let pick = hall.best(SeatRules::default(), &split(16)).expect("room");
    assert_eq!(pick.groups, 3, "the longest blocks: {}", hall.names(&pick.places));
    assert_eq!(hall.best(SeatRules::default(), &split(18)), None, "there are seventeen");
}

// ---- against every choice there is

/// What is to be said of a choice, by other means: the same order of what matters.
fn judged(hall: &Drawn, rules: SeatRules, chosen: &[Place]) -> Option<(usize, usize, usize, i64)> {
    let layout = hall.plan.layout();
    let open = |n: usize| hall.free[n] && !matches!(layout.seats[n].kind.as_str(), "wheelchair_space" | "companion");
    let number = |id| layout.seats.iter().position(|s| Some(s.id) == id);
    let beside = |n: usize| [number(layout.seats[n].left), number(layout.seats[n].right)].into_iter().flatten();
    let taken: BTreeSet<usize> = chosen.iter().map(|p| p.index()).collect();
    // Free seats in one piece with this one.
    let block = |n: usize| {
        let mut seen = BTreeSet::from([n]);
        let mut todo = vec![n];
        while let Some(n) = todo.pop() {
            todo.extend(beside(n).filter(|m| open(*m) && seen.insert(*m)));
        }
        seen
    };
    let company = |n: usize, without: &BTreeSet<usize>| beside(n).any(|m| open(m) && !without.contains(&m));
    let alone_after = (0..layout.seats.len()).filter(|n| open(*n) && !taken.contains(n));
    let orphans: Vec<usize> = alone_after.filter(|n| company(*n, &BTreeSet::new()) && !company(*n, &taken)).collect();
    let forbidden = orphans.iter().filter(|n| match rules.orphans {
        OrphanRule::Strict => true,
        OrphanRule::Lenient => block(**n).difference(&taken).count() > 1,
        _ => false,
    });
    if forbidden.count() > 0 {
        return None;
    }
    let mut left: BTreeSet<usize> = taken.clone();
    let (mut groups, mut alone) = (0, 0);
    while let Some(first) = left.pop_first() {
        let (mut size, mut todo) = (1, vec![first]);
        while let Some(n) = todo.pop() {
            for m in beside(n).filter(|m| left.contains(m)).collect::<Vec<_>>() {
                left.remove(&m);
                size += 1;
                todo.push(m);
            }
        }
        groups += 1;
        alone += usize::from(size == 1 && taken.len() > 1);
    }
    let point = |n: &usize| (i64::from(layout.seats[*n].x), i64::from(layout.seats[*n].y));
    let count = i64::try_from(taken.len()).expect("few");
    let sum = taken.iter().map(point).fold((0, 0), |(ax, ay), (x, y)| (ax + x, ay + y));
    let (mx, my) = (sum.0 / count, sum.1 / count);
    let (fx, fy) = (i64::from(layout.focal_point.x), i64::from(layout.focal_point.y));
    let far = |(x, y): (i64, i64)| (x - fx).pow(2) + (y - fy).pow(2) + (x - mx).pow(2) + (y - my).pow(2);
    Some((groups, alone, orphans.len(), taken.iter().map(point).map(far).sum()))
}

fn every_choice(from: &[Place], count: usize, chosen: &mut Vec<Place>, see: &mut dyn FnMut(&[Place])) {
    if chosen.len() == count {
        return see(chosen);
    }
    for (n, place) in from.iter().enumerate() {
        chosen.push(*place);
        every_choice(&from[n + 1..], count, chosen, see);
        chosen.pop();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn nothing_better_is_found_by_trying_every_choice(
        signs in proptest::collection::vec(proptest::sample::select(vec!['.', '.', '.', 'x', ' ']), 15),
        count in 1_usize..=5,
        rule in proptest::sample::select(vec![OrphanRule::Off, OrphanRule::Lenient, OrphanRule::Strict]),
        may_split in any::<bool>(),
    ) {
        let rows: Vec<String> = signs.chunks(5).map(|row| row.iter().collect()).collect();
        prop_assume!(signs.contains(&'.'));
        let hall = drawn(&rows.iter().map(String::as_str).collect::<Vec<_>>());
        let rules = orphans(rule);
        let free: Vec<Place> = hall.plan.places().filter(|p| hall.free[p.index()]).collect();
        let mut best = None;
        every_choice(&free, count, &mut Vec::new(), &mut |chosen| {
            let judged = judged(&hall, rules, chosen).filter(|(groups, ..)| may_split || *groups == 1);
            best = match (best, judged) {
                (Some(best), Some(judged)) => Some(std::cmp::min(best, judged)),
                (best, judged) => best.or(judged),
            };
        });
        let wish = if may_split { split(count) } else { party(count) };
        let found = hall.best(rules, &wish);
        let found = found.map(|pick| (pick.groups, pick.alone, pick.orphans, pick.distance));
        prop_assert_eq!(found, best, "{:?}", rows);
    }
}

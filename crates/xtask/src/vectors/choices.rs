//! Seats that may be chosen, by the rules about what is left over, and seats that a server chooses.

use std::collections::BTreeSet;

use admit_booking::seating::{Hall, Party, SeatRule};
use admit_booking::{Place, Plan};
use admit_protocol::digest::ContentName;
use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

/// Three rows of eight, 60 cm apart: A from wall to wall, B with an aisle in its middle, C with a wheelchair space, its companion's seat
/// and a sofa.
fn layout() -> Value {
    let seat = |row: &str, n: u8| {
        let y = match row {
            "A" => 300,
            "B" => 400,
            _ => 500,
        };
        let zone = if row == "C" { "back" } else { "front" };
        let mut seat = json!({"id": format!("{row}{n}"), "row": row, "number": n.to_string(), "zone": zone, "kind": "standard",
            "x": 60 * i32::from(n), "y": y});
        let aisle = |left: u8| row == "B" && left == 4;
        if n > 1 && !aisle(n - 1) {
            seat["left"] = json!(format!("{row}{}", n - 1));
        }
        if n < 8 && !aisle(n) {
            seat["right"] = json!(format!("{row}{}", n + 1));
        }
        match (row, n) {
            ("C", 1) => seat["kind"] = json!("wheelchair_space"),
            ("C", 2) => {
                seat["kind"] = json!("companion");
                seat["companion_of"] = json!(["C1"]);
            }
            ("C", 7 | 8) => seat["group"] = json!("sofa"),
            _ => {}
        }
        seat
    };
    let seats: Vec<Value> = ["A", "B", "C"].iter().flat_map(|row| (1..=8).map(move |n| seat(row, n))).collect();
    json!({
        "screen": {"from": {"x": 0, "y": 0}, "to": {"x": 540, "y": 0}}, "focal_point": {"x": 200, "y": 400},
        "zones": [{"id": "front", "name": {"en": "Front"}}, {"id": "back", "name": {"en": "Back"}}], "seats": seats,
    })
}

/// All seats but these.
fn all_but(free: &[&str]) -> Vec<String> {
    let all = ["A", "B", "C"].iter().flat_map(|row| (1..=8).map(move |n| format!("{row}{n}")));
    all.filter(|seat| !free.contains(&seat.as_str())).collect()
}

fn these(seats: &[&str]) -> Vec<String> {
    seats.iter().map(|seat| (*seat).to_owned()).collect()
}

pub(super) fn all() -> anyhow::Result<Value> {
    let layout = layout();
    let bytes = layout.to_string();
    let plan = Plan::new(ContentName::of(bytes.as_bytes()), serde_json::from_value(layout.clone())?)?;
    Ok(json!({"layout": layout, "chosen": chosen(&plan)?, "best": best(&plan)?}))
}

/// What is said of a case.
struct Asked<'a> {
    plan: &'a Plan,
    not_free: BTreeSet<Place>,
    rules: &'a Value,
    released: bool,
}

impl<'a> Asked<'a> {
    fn of(plan: &'a Plan, not_free: &[String], rules: &'a Value, released: bool) -> anyhow::Result<Self> {
        let not_free = not_free.iter().map(|seat| place(plan, seat)).collect::<anyhow::Result<_>>()?;
        Ok(Self { plan, not_free, rules, released })
    }

    fn look<T>(&self, look: impl FnOnce(&Hall<'_>) -> T) -> anyhow::Result<T> {
        let free = |place: Place| !self.not_free.contains(&place);
        Ok(look(&Hall::new(self.plan, &free, serde_json::from_value(self.rules.clone())?, self.released)))
    }
}

fn place(plan: &Plan, seat: &str) -> anyhow::Result<Place> {
    plan.place(seat.parse()?).with_context(|| format!("no seat {seat}"))
}

/// Choices, with what they would leave over: nothing, where they may be held.
fn chosen(plan: &Plan) -> anyhow::Result<Value> {
    let (off, strict, lenient) = (json!({}), json!({"orphans": "strict"}), json!({"orphans": "lenient"}));
    let late = json!({"orphans": "strict", "orphans_below_percent": 5});
    let whole = json!({"groups": "whole"});
    let row_end = all_but(&["A1", "A2", "A3", "B5", "B6", "B7", "B8", "C3", "C4", "C5", "C6"]);
    let none = Vec::new;
    type Case<'a> = (&'a str, &'a Value, bool, Vec<String>, &'a [&'a str], &'a str, &'a [&'a str]);
    let cases: [Case<'_>; 22] = [
        ("no rules", &off, false, none(), &["A2"], "", &[]),
        ("the last of a row is left", &strict, false, none(), &["A2"], "left_alone", &["A1"]),
        ("from the end of a row", &strict, false, none(), &["A1"], "", &[]),
        ("two, one seat from the wall", &strict, false, none(), &["A2", "A3"], "left_alone", &["A1"]),
        ("one on each side of it", &strict, false, none(), &["A2", "A4"], "left_alone", &["A1", "A3"]),
        ("it was alone before", &strict, false, these(&["A2"]), &["A3"], "", &[]),
        ("an aisle is an end", &strict, false, none(), &["B6"], "left_alone", &["B5"]),
        ("nobody sits across the aisle", &strict, false, none(), &["B1", "B2", "B3"], "left_alone", &["B4"]),
        ("two of three, strict", &strict, false, row_end.clone(), &["A1", "A2"], "left_alone", &["A3"]),
        ("two of three, lenient: one is left anyhow", &lenient, false, row_end.clone(), &["A1", "A2"], "", &[]),
        ("the middle one of three", &lenient, false, row_end, &["A2"], "left_alone", &["A1", "A3"]),
        ("lenient, and another choice would do", &lenient, false, none(), &["B3"], "left_alone", &["B4"]),
        ("a companion's seat is no company", &strict, false, none(), &["C4", "C5"], "left_alone", &["C3"]),
        ("sold to anybody by now, it is", &strict, true, none(), &["C4", "C5"], "", &[]),
        ("it is never alone before", &strict, false, none(), &["C3", "C4"], "", &[]),
        ("and is then", &strict, true, none(), &["C3", "C4"], "left_alone", &["C2"]),
        ("nearly sold out: two of 22 are left", &strict, false, all_but(&["A1", "A2", "A3"]), &["A2"], "", &[]),
        (
            "the same, where it ends later",
            &late,
            false,
            all_but(&["A1", "A2", "A3"]),
            &["A2"],
            "left_alone",
            &["A1", "A3"],
        ),
        ("half a sofa", &whole, false, none(), &["C7"], "part_of_group", &["C8"]),
        ("a whole sofa", &whole, false, none(), &["C7", "C8"], "", &[]),
        ("what is left of one", &whole, false, these(&["C8"]), &["C7"], "", &[]),
        ("half a sofa, sold by place", &strict, false, none(), &["C8"], "", &[]),
    ];
    let cases = cases.into_iter().map(|(what, rules, released, not_free, seats, reason, left)| {
        let asked = Asked::of(plan, &not_free, rules, released)?;
        let places = seats.iter().map(|seat| place(plan, seat)).collect::<anyhow::Result<Vec<_>>>()?;
        let named = |places: Vec<Place>| places.into_iter().map(|p| plan.seat_id(p).to_string()).collect::<Vec<_>>();
        let ours = match asked.look(|hall| hall.check(&places))? {
            Ok(()) => ("", Vec::new()),
            Err(SeatRule::LeavesAlone(left)) => ("left_alone", named(left)),
            Err(SeatRule::PartOfGroup(left)) => ("part_of_group", named(left)),
        };
        ensure!(ours == (reason, these(left)), "{what}: ours says {ours:?}");
        let conflicts: Vec<Value> = left.iter().map(|seat| json!({"seat": seat, "reason": reason})).collect();
        Ok(json!({"what": what, "seat_rules": rules, "companions_released": released, "not_free": not_free,
            "seats": seats, "conflicts": conflicts}))
    });
    Ok(cases.collect::<anyhow::Result<Vec<_>>>()?.into())
}

/// Parties, with the seats that no other choice is as near as: each of its seats is at least as near to the focal point.
fn best(plan: &Plan) -> anyhow::Result<Value> {
    let (strict, whole) = (json!({"orphans": "strict"}), json!({"groups": "whole"}));
    type Case<'a> = (&'a str, &'a Value, Vec<String>, usize, usize, &'a [&'a str], &'a [&'a str], usize);
    let cases: [Case<'_>; 11] = [
        ("two in an empty hall", &strict, vec![], 2, 0, &["front", "back"], &["B3", "B4"], 8),
        ("the nearest one would leave B4 alone", &strict, vec![], 1, 0, &["front"], &["B4"], 8),
        ("who sits there now has left no place", &strict, these(&["B4"]), 1, 0, &["front"], &["B3"], 8),
        ("an aisle parts", &json!({}), vec![], 5, 0, &["front"], &["A1", "A2", "A3", "A4", "A5"], 8),
        ("in the back", &strict, vec![], 3, 0, &["back"], &["C3", "C4", "C5"], 6),
        ("a sofa, and nothing else", &whole, these(&["C3", "C4", "C5", "C6"]), 2, 0, &["back"], &["C7", "C8"], 2),
        ("no half of it", &whole, these(&["C3", "C4", "C5", "C6"]), 1, 0, &["back"], &[], 2),
        (
            "no space for who did not ask",
            &json!({}),
            all_but(&["C1", "C2", "A8"]),
            1,
            0,
            &["front", "back"],
            &["A8"],
            1,
        ),
        ("a wheelchair and who comes along", &strict, vec![], 2, 1, &["front", "back"], &["C1", "C2"], 8),
        ("not so many together", &strict, these(&["A4"]), 5, 0, &["front"], &[], 4),
        ("more than any row has", &strict, vec![], 9, 0, &["front", "back"], &[], 8),
    ];
    let cases = cases.into_iter().map(|(what, rules, not_free, count, wheelchairs, zones, seats, most)| {
        let asked = Asked::of(plan, &not_free, rules, false)?;
        let zones_of = zones.iter().map(|zone| zone.parse()).collect::<Result<_, _>>()?;
        let party = Party { count, wheelchairs, zones: zones_of, split: false };
        let (pick, together) = asked.look(|hall| (hall.best(&party, 1).pop(), hall.most_together(&party)))?;
        let places = pick.map(|pick| pick.places).unwrap_or_default();
        let ours: Vec<String> = places.into_iter().map(|p| plan.seat_id(p).to_string()).collect();
        ensure!(ours == these(seats) && together == most, "{what}: ours chooses {ours:?}, and has {together} together");
        Ok(json!({"what": what, "seat_rules": rules, "not_free": not_free, "zones": zones, "count": count,
            "wheelchairs": wheelchairs, "seats": seats, "most_together": most}))
    });
    Ok(cases.collect::<anyhow::Result<Vec<_>>>()?.into())
}

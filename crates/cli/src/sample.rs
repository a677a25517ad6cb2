//! A small world to try things in: an art house, a chain, and a cinema whose names are not in Latin script. The films are
//! in the public domain; the cinemas are invented.

use admit_server::bundle::Bundle;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};

/// One operator of the sample world.
pub(crate) struct Operator {
    pub(crate) name: &'static str,
    pub(crate) folder: &'static str,
    pub(crate) bundle: Bundle,
}

/// A hall to be drawn: rows of seats with aisles, an accessible row at the front.
struct Room {
    rows: usize,
    /// Seats between aisles.
    blocks: &'static [usize],
    /// How many rows at the back are premium.
    premium: usize,
    /// How many rows at the front are cheap.
    front: usize,
}

/// Rows skip I and O, which look like digits.
const ROWS: [&str; 18] = ["A", "B", "C", "D", "E", "F", "G", "H", "J", "K", "L", "M", "N", "P", "Q", "R", "S", "T"];
const SEAT_CM: usize = 60;
const AISLE_CM: usize = 120;
const ROW_CM: usize = 110;

fn layout(room: &Room) -> Value {
    let wide: usize = room.blocks.iter().sum::<usize>() * SEAT_CM + (room.blocks.len() - 1) * AISLE_CM;
    let mut seats = Vec::new();
    for (r, row) in ROWS.iter().take(room.rows).enumerate() {
        let zone = if r < room.front {
            "front"
        } else if r + room.premium >= room.rows {
            "premium"
        } else {
            "standard"
        };
        let (mut x, mut number) = (SEAT_CM / 2, 1);
        for (b, block) in room.blocks.iter().enumerate() {
            for n in 0..*block {
                let id = |number: usize| format!("{row}{number}");
                let mut seat = json!({
                    "id": id(number), "row": row, "number": number.to_string(), "x": x, "y": 300 + r * ROW_CM, "zone": zone,
                });
                if n > 0 {
                    seat["left"] = json!(id(number - 1));
                }
                if n + 1 < *block {
                    seat["right"] = json!(id(number + 1));
                }
                // The two outer seats of the first row: a space without a chair, and who comes along.
                if r == 0 && b == 0 && n < 2 {
                    seat["zone"] = json!("standard");
                    seat["kind"] = json!(if n == 0 { "wheelchair_space" } else { "companion" });
                    if n == 1 {
                        seat["companion_of"] = json!([id(1)]);
                    }
                }
                seats.push(seat);
                x += SEAT_CM;
                number += 1;
            }
            x += AISLE_CM;
        }
    }
    let deep = 300 + room.rows * ROW_CM;
    json!({
        "screen": {"from": {"x": wide / 8, "y": 0}, "to": {"x": wide * 7 / 8, "y": 0}},
        "focal_point": {"x": wide / 2, "y": 300 + (deep - 300) * 2 / 3},
        "zones": [
            {"id": "front", "name": {"en": "Front rows", "fr": "Premiers rangs", "ja": "前方席"}},
            {"id": "standard", "name": {"en": "Standard", "fr": "Standard", "ja": "一般席"}},
            {"id": "premium", "name": {"en": "Premium", "fr": "Confort", "ja": "プレミアム席"}},
        ],
        "shapes": [{"kind": "door", "points": [{"x": wide, "y": deep}]}],
        "seats": seats,
    })
}

/// A room without numbers: come in and sit down.
fn free_seating(capacity: u32) -> Value {
    json!({
        "screen": {"from": {"x": 0, "y": 0}, "to": {"x": 600, "y": 0}},
        "focal_point": {"x": 300, "y": 500},
        "zones": [{"id": "floor", "name": {"en": "Floor"}}],
        "areas": [{"id": "floor", "name": {"en": "Floor"}, "zone": "floor", "capacity": capacity}],
        "seats": [],
    })
}

/// Adult, child and carer in each zone, for `prices` in minor units.
fn prices(currency: &str, zones: &[(&str, i64)], fee: i64) -> Value {
    let money = |amount: i64| json!({"amount": amount, "currency": currency});
    let offer = |t: &str, zone: &str, amount: i64| json!({"ticket_type": t, "zone": zone, "base": money(amount), "total": money(amount)});
    let offers: Vec<Value> = zones
        .iter()
        .flat_map(|(zone, adult)| {
            [offer("adult", zone, *adult), offer("child", zone, adult * 2 / 3), offer("carer", zone, 0)]
        })
        .collect();
    let fees = if fee == 0 {
        json!([])
    } else {
        json!([{"id": "booking", "name": {"en": "Booking fee", "fr": "Frais"}, "amount": money(fee)}])
    };
    json!({
        "currency": currency,
        "ticket_types": [
            {"id": "adult", "name": {"en": "Adult", "fr": "Plein tarif", "ja": "一般"}, "audience": "adult"},
            {"id": "child", "name": {"en": "Child", "fr": "Enfant", "ja": "小人"}, "audience": "child", "max_age": 13},
            {"id": "carer", "name": {"en": "Carer", "fr": "Accompagnant", "ja": "付添"}, "audience": "carer",
             "proof": "at_door", "needs_one_of": ["adult", "child"]},
        ],
        "offers": offers,
        "booking_fees": fees,
    })
}

/// The films of these screenings.
fn shown(screenings: &[Value]) -> Vec<Value> {
    let Value::Array(films) = films() else { return Vec::new() };
    let is_shown = |film: &Value| {
        let mut items = screenings.iter().filter_map(|s| s["items"].as_array()).flatten();
        items.any(|item| item["film"] == film["id"])
    };
    films.into_iter().filter(is_shown).collect()
}

fn films() -> Value {
    let silent = json!([{"id": "silent", "kind": "silent"}]);
    let sound = json!([{"id": "original", "kind": "original", "audio_language": "en"},
        {"id": "captioned", "kind": "original", "audio_language": "en", "captions": "open"}]);
    let film = |id: &str,
                title: Value,
                year: u16,
                minutes: u32,
                imdb: &str,
                director: &str,
                versions: &Value,
                genres: Value| {
        let mut film = json!({
            "id": id, "title": title, "release_year": year, "runtime_min": minutes,
            "external_ids": [{"scheme": "imdb", "value": imdb}],
            "people": [{"name": director, "role": "director"}], "genres": genres,
        });
        film["versions"] = versions.clone();
        film
    };
    json!([
        film(
            "nosferatu",
            json!({"de": "Nosferatu, eine Symphonie des Grauens", "en": "Nosferatu"}),
            1922,
            94,
            "tt0013442",
            "F. W. Murnau",
            &silent,
            json!(["horror"])
        ),
        film(
            "joan",
            json!({"fr": "La Passion de Jeanne d'Arc", "en": "The Passion of Joan of Arc"}),
            1928,
            82,
            "tt0019254",
            "Carl Theodor Dreyer",
            &silent,
            json!(["drama"])
        ),
        film(
            "general",
            json!({"en": "The General", "fr": "Le Mécano de la General"}),
            1926,
            78,
            "tt0017925",
            "Buster Keaton",
            &silent,
            json!(["comedy"])
        ),
        film(
            "sherlock-jr",
            json!({"en": "Sherlock Jr."}),
            1924,
            45,
            "tt0015324",
            "Buster Keaton",
            &silent,
            json!(["comedy"])
        ),
        film(
            "caligari",
            json!({"de": "Das Cabinet des Dr. Caligari", "en": "The Cabinet of Dr. Caligari", "ja": "カリガリ博士"}),
            1920,
            77,
            "tt0010323",
            "Robert Wiene",
            &silent,
            json!(["horror"])
        ),
        film(
            "page-of-madness",
            json!({"ja": "狂った一頁", "en": "A Page of Madness"}),
            1926,
            71,
            "tt0017048",
            "Kinugasa Teinosuke",
            &silent,
            json!(["drama"])
        ),
        film(
            "living-dead",
            json!({"en": "Night of the Living Dead"}),
            1968,
            96,
            "tt0063350",
            "George A. Romero",
            &sound,
            json!(["horror"])
        ),
    ])
}

fn policy() -> Value {
    json!({"tiers": [{"until_before_start_s": 86400, "refund_percent": 100}, {"until_before_start_s": 7200, "refund_percent": 50}]})
}

fn bundle(value: Value) -> Bundle {
    serde_json::from_value(value).expect("the sample world is well formed")
}

/// The evening before clocks change next in `zone`, if they ever do.
fn night_of_clock_change(zone: &str, now: Timestamp) -> Option<Date> {
    let zone = TimeZone::get(zone).ok()?;
    let change = zone.following(now).next()?;
    zone.to_datetime(change.timestamp()).date().yesterday().ok()
}

/// All three operators, at `now`.
pub(crate) fn world(now: Timestamp) -> Vec<Operator> {
    vec![
        Operator { name: "Cinéma La Lune", folder: "la-lune", bundle: bundle(la_lune()) },
        Operator { name: "Orpheum Cinemas", folder: "orpheum", bundle: bundle(orpheum(now)) },
        Operator { name: "光座", folder: "hikari-za", bundle: bundle(hikari_za()) },
    ]
}

/// One hall in Paris, three price zones.
fn la_lune() -> Value {
    let shows = [("joan", "18:00"), ("nosferatu", "20:30"), ("general", "14:00")];
    let screenings: Vec<Value> = (0..7)
        .flat_map(|day| shows.map(|(film, time)| {
            json!({"id": format!("{film}-{day}"), "cinema": "la-lune", "hall": "salle", "starts": format!("today+{day} {time}"),
                   "items": [{"film": film}], "price_table": "tarifs", "companion_release_min": 60,
                   "seat_rules": {"orphans": "lenient"}})
        }))
        .collect();
    json!({
        "layouts": {"salle": layout(&Room { rows: 8, blocks: &[6, 6], premium: 2, front: 1 })},
        "price_tables": {"tarifs": prices("EUR", &[("front", 700), ("standard", 950), ("premium", 1200)], 50)},
        "cancellation": policy(),
        "cinemas": [{
            "id": "la-lune", "name": {"fr": "Cinéma La Lune"}, "zone": "Europe/Paris", "currency": "EUR",
            "address": {"street": "12 rue des Dames", "postcode": "75017", "city": {"fr": "Paris"}, "country": "FR"},
            "position": {"lat_e6": 48_884_300, "lon_e6": 2_324_100}, "languages": ["fr", "en"],
            "opening_hours": [{"weekdays": [1, 2, 3, 4, 5, 6, 7], "opens": "13:30:00", "closes": "23:30:00"}],
            "access": {"step_free": true, "hearing_loop": true, "accessible_toilet": true, "assistance_animals": true},
            "halls": [{"id": "salle", "name": {"fr": "Salle Méliès"}, "formats": ["35mm"], "layout": "salle"}],
        }],
        "films": shown(&screenings), "screenings": screenings,
    })
}

/// Two cinemas and twelve halls in Ireland: a free-seating hall, a double bill, a show after midnight, and one on the
/// night on which clocks change.
fn orpheum(now: Timestamp) -> Value {
    let hall = |n: usize, layout: &str| json!({"id": format!("hall-{n}"), "name": {"en": format!("Screen {n}")}, "layout": layout});
    let docklands: Vec<Value> = (1..=8)
        .map(|n| {
            hall(
                n,
                if n == 1 {
                    "grand"
                } else if n == 8 {
                    "foyer"
                } else {
                    "small"
                },
            )
        })
        .collect();
    let riverside: Vec<Value> = (1..=4).map(|n| hall(n, if n == 1 { "grand" } else { "small" })).collect();
    let cinema = |id: &str, name: &str, city: &str, lat: i32, lon: i32, halls: Vec<Value>| {
        json!({
            "id": id, "name": {"en": name}, "zone": "Europe/Dublin", "currency": "EUR", "languages": ["en", "ga"],
            "address": {"street": "1 Quay Street", "city": {"en": city}, "country": "IE"},
            "position": {"lat_e6": lat, "lon_e6": lon}, "schemes": ["cea"],
            "access": {"step_free": true, "lift": true, "hearing_loop": true, "accessible_toilet": true, "parking": true},
            "halls": halls,
        })
    };
    let mut screenings = Vec::new();
    let mut show = |id: String,
                    cinema: &str,
                    hall: usize,
                    starts: String,
                    films: &[&str],
                    prices: &str,
                    more: Value| {
        let items: Vec<Value> = films.iter().map(|f| json!({"film": f})).collect();
        let mut row = json!({"id": id, "cinema": cinema, "hall": format!("hall-{hall}"), "starts": starts, "items": items,
                             "price_table": prices, "companion_release_min": 60});
        for (name, value) in more.as_object().into_iter().flatten() {
            row[name] = value.clone();
        }
        screenings.push(row);
    };
    for day in 0..7 {
        for (n, film) in ["general", "caligari", "nosferatu", "joan"].into_iter().enumerate() {
            show(
                format!("dock-{film}-{day}"),
                "docklands",
                n + 1,
                format!("today+{day} {}:15", 17 + n),
                &[film],
                "evening",
                json!({}),
            );
            show(
                format!("river-{film}-{day}"),
                "riverside",
                n + 1,
                format!("today+{day} {}:45", 16 + n),
                &[film],
                "evening",
                json!({}),
            );
        }
        show(
            format!("dock-keaton-{day}"),
            "docklands",
            6,
            format!("today+{day} 19:30"),
            &["sherlock-jr", "general"],
            "evening",
            json!({"note": {"en": "A double bill: one ticket, two films."}}),
        );
        show(
            format!("dock-foyer-{day}"),
            "docklands",
            8,
            format!("today+{day} 20:00"),
            &["sherlock-jr"],
            "foyer",
            json!({"attributes": ["relaxed"]}),
        );
        // Half past midnight of the next day belongs to this evening.
        show(
            format!("dock-late-{day}"),
            "docklands",
            5,
            format!("today+{} 00:30", day + 1),
            &["living-dead"],
            "evening",
            json!({"attributes": ["over_18"]}),
        );
    }
    if let Some(night) = night_of_clock_change("Europe/Dublin", now) {
        let opens = now.checked_sub(1.hour()).unwrap_or(now);
        show(
            "dock-clock-change".into(),
            "docklands",
            7,
            format!("{night}T23:45"),
            &["living-dead"],
            "evening",
            json!({"sales_open": opens, "note": {"en": "Clocks change during this film."}}),
        );
    }
    json!({
        "layouts": {
            "grand": layout(&Room { rows: 14, blocks: &[5, 10, 5], premium: 4, front: 2 }),
            "small": layout(&Room { rows: 9, blocks: &[5, 5], premium: 2, front: 1 }),
            "foyer": free_seating(60),
        },
        "price_tables": {
            "evening": prices("EUR", &[("front", 800), ("standard", 1100), ("premium", 1450)], 0),
            "foyer": prices("EUR", &[("floor", 900)], 0),
        },
        "cancellation": policy(),
        "cinemas": [
            cinema("docklands", "Orpheum Docklands", "Dublin", 53_345_600, -6_240_100, docklands),
            cinema("riverside", "Orpheum Riverside", "Cork", 51_899_400, -8_470_900, riverside),
        ],
        "films": shown(&screenings), "screenings": screenings,
    })
}

/// One hall in Tokyo; yen have no cents.
fn hikari_za() -> Value {
    let screenings: Vec<Value> = (0..7)
        .flat_map(|day| [("page-of-madness", "19:00"), ("caligari", "21:10")].map(|(film, time)| {
            json!({"id": format!("{film}-{day}"), "cinema": "hikari-za", "hall": "main", "starts": format!("today+{day} {time}"),
                   "items": [{"film": film}], "price_table": "ryokin", "companion_release_min": 60})
        }))
        .collect();
    json!({
        "layouts": {"main": layout(&Room { rows: 10, blocks: &[4, 8, 4], premium: 2, front: 2 })},
        "price_tables": {"ryokin": prices("JPY", &[("front", 1500), ("standard", 1800), ("premium", 2400)], 0)},
        "cancellation": policy(),
        "cinemas": [{
            "id": "hikari-za", "name": {"ja": "光座"}, "zone": "Asia/Tokyo", "currency": "JPY",
            "address": {"street": "神保町 2-3", "postcode": "101-0051", "city": {"ja": "東京", "en": "Tokyo"}, "country": "JP"},
            "position": {"lat_e6": 35_695_800, "lon_e6": 139_757_600}, "languages": ["ja"],
            "access": {"step_free": true},
            "halls": [{"id": "main", "name": {"ja": "本館"}, "layout": "main"}],
        }],
        "films": shown(&screenings), "screenings": screenings,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_sample_world_can_be_sold() {
        // A summer and a winter day, at hours at which it is another day elsewhere.
        for now in ["2026-11-21T23:30:00Z", "2027-07-01T00:30:00Z"] {
            let operators = world(now.parse().expect("an instant"));
            let checked: Vec<_> = operators.iter().map(|o| o.bundle.check(now.parse().expect("an instant"))).collect();
            assert!(
                checked.iter().all(|c| c.refused.is_empty()),
                "{:?}",
                checked.iter().map(|c| &c.refused).collect::<Vec<_>>()
            );
            assert_eq!(checked.iter().map(|c| c.halls).collect::<Vec<_>>(), [1, 12, 1]);
        }
    }
}

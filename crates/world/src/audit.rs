//! What buyers were told against what the databases say, read with SQL of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags};
use serde::Serialize;

use crate::buyers::Sale;

/// What one server's database, or all of them together, came to.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Books {
    pub(crate) bookings: usize,
    pub(crate) tickets: usize,
    /// Seats of a screening with two standing tickets.
    pub(crate) double_sales: usize,
    /// Holds that should have ended and did not.
    pub(crate) stuck_holds: usize,
    /// Bookings that a buyer was told of, and that are not there, or not with those seats and that total. Where nobody paid
    /// in time, the seats are the cinema's again.
    pub(crate) lost: Vec<String>,
    /// Bookings that nobody was told of.
    pub(crate) unknown: usize,
}

impl Books {
    pub(crate) fn add(&mut self, other: &Self) {
        self.bookings += other.bookings;
        self.tickets += other.tickets;
        self.double_sales += other.double_sales;
        self.stuck_holds += other.stuck_holds;
        self.lost.extend_from_slice(&other.lost);
        self.unknown += other.unknown;
    }
}

/// Seats by screening and booking, as names that buyers know, and the total.
type Sold = BTreeMap<(String, String), (BTreeSet<String>, i64)>;

/// The books of a server that stopped at `stopped`.
pub(crate) fn audit(database: &Path, told: &[&Sale], stopped: Timestamp) -> anyhow::Result<Books> {
    let db = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .with_context(|| database.display().to_string())?;
    let sold = sold(&db)?;
    let mut seats: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for ((screening, _), (standing, _)) in &sold {
        for seat in standing {
            *seats.entry((screening, seat)).or_default() += 1;
        }
    }
    let now = Timestamp::now();
    let overdue = "SELECT count(*) FROM hold WHERE state IN ('active', 'paying', 'closing') AND at < ?1";
    let overdue: i64 = db.query_row(overdue, [stopped.as_millisecond()], |row| row.get(0))?;
    let lost = told.iter().filter_map(|sale| {
        let there = sold.get(&(sale.screening.to_string(), sale.booking.to_string()));
        let told: BTreeSet<String> = sale.seats.iter().map(ToString::to_string).collect();
        let fits = there.is_some_and(|(seats, total)| {
            let over = seats.is_empty() && sale.is_over(now);
            (over || *seats == told && !sale.is_over(stopped)) && sale.total.is_none_or(|t| t == *total)
        });
        (!fits).then(|| format!("{sale:?} was told, the books say {there:?}"))
    });
    let known: BTreeSet<String> = told.iter().map(|sale| sale.booking.to_string()).collect();
    Ok(Books {
        bookings: sold.len(),
        tickets: seats.values().sum(),
        double_sales: seats.values().filter(|n| **n > 1).count(),
        stuck_holds: usize::try_from(overdue)?,
        lost: lost.collect(),
        unknown: sold.keys().filter(|(_, booking)| !known.contains(booking)).count(),
    })
}

/// Everything that was booked. A place is a number there; its name is in the layout.
fn sold(db: &Connection) -> anyhow::Result<Sold> {
    let mut layouts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut query = db.prepare(
        "SELECT d.name, s.value ->> '$.id' FROM document d, json_each(d.bytes, '$.seats') s
         WHERE d.kind = 'layout' ORDER BY d.name, s.key",
    )?;
    for row in query.query_map([], |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, String>(1)?)))? {
        let (name, seat) = row?;
        layouts.entry(format!("sha256-{}", URL_SAFE_NO_PAD.encode(name))).or_default().push(seat);
    }
    let mut sold = Sold::new();
    let mut query = db.prepare(
        "SELECT s.id, s.data ->> '$.layout', 'book_' || lower(hex(h.hold)), h.details ->> '$.total',
                (SELECT json_group_array(l.value ->> 0) FROM json_each(h.details, '$.lines') l WHERE l.value ->> 4 = 0)
         FROM hold h JOIN screening s ON s.number = h.screening WHERE h.state IN ('converted', 'cancelled')",
    )?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let (layout, places): (String, String) = (row.get(1)?, row.get(4)?);
        let seats = layouts.get(&layout).with_context(|| format!("layout {layout} is not there"))?;
        let places: Vec<usize> = serde_json::from_str(&places)?;
        let name = |place: &usize| seats.get(*place).cloned().with_context(|| format!("no place {place} in {layout}"));
        let standing = places.iter().map(name).collect::<anyhow::Result<_>>()?;
        sold.insert((row.get(0)?, row.get(2)?), (standing, row.get(3)?));
    }
    Ok(sold)
}

#[cfg(test)]
mod tests {
    use super::*;
    use admit_server::store::sqlite::SqliteStore;

    /// The product's own tables, with rows that the product would never write.
    fn database(holds: &[(u8, &str, i64, &str)]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        drop(SqliteStore::open(folder.path()).expect("opens"));
        let file = folder.path().join("cinema.sqlite");
        let db = Connection::open(&file).expect("opens");
        let name = [7_u8; 32];
        db.execute(
            "INSERT INTO document (name, kind, bytes) VALUES (?1, 'layout', CAST('{\"seats\": [{\"id\": \"A1\"}, {\"id\": \"A2\"}]}' AS BLOB))",
            [name],
        )
        .expect("a layout");
        let layout = format!("{{\"layout\": \"sha256-{}\"}}", URL_SAFE_NO_PAD.encode(name));
        db.execute("INSERT INTO cinema VALUES ('kino', '{}')", []).expect("a cinema");
        db.execute("INSERT INTO screening VALUES (1, 'eight', 'kino', 0, 1, 0, 0, ?1)", [layout]).expect("a screening");
        for (key, state, at, lines) in holds {
            let details = (*state == "converted").then(|| format!("{{\"lines\": {lines}, \"total\": 1000}}"));
            let row = (vec![*key; 16], vec![0_u8; 32], lines, vec![0_u8; 32], state, at, details);
            let sql = "INSERT INTO hold (screening, hold, owner, places, price_table, created_at, seq, version, state, at, answers, details) \
                       VALUES (1, ?1, ?2, ?3, ?4, 0, 1, 1, ?5, ?6, x'', ?7)";
            db.execute(sql, row).expect("a hold");
        }
        (folder, file)
    }

    fn told(key: u8, seats: &[&str], total: i64) -> Sale {
        Sale {
            origin: String::new(),
            screening: "eight".parse().expect("an id"),
            booking: format!("book_{}", format!("{key:02x}").repeat(16)).parse().expect("an id"),
            seats: seats.iter().map(|s| s.parse().expect("an id")).collect(),
            total: Some(total),
            collect_by: None,
        }
    }

    #[test]
    fn books_in_order_are_found_in_order() {
        let (_folder, file) = database(&[(1, "converted", 0, "[[0,0,1000,1,0]]"), (2, "expired", 0, "[]")]);
        let books = audit(&file, &[&told(1, &["A1"], 1000)], Timestamp::now()).expect("reads");
        assert_eq!((books.bookings, books.tickets, books.double_sales, books.stuck_holds), (1, 1, 0, 0));
        assert_eq!((books.lost.len(), books.unknown), (0, 0));
    }

    #[test]
    fn a_seat_sold_twice_is_found() {
        let (_folder, file) =
            database(&[(1, "converted", 0, "[[0,0,1000,1,0]]"), (2, "converted", 0, "[[0,0,1000,1,0]]")]);
        assert_eq!(audit(&file, &[], Timestamp::now()).expect("reads").double_sales, 1);
        // A ticket that was cancelled does not count.
        let (_folder, file) =
            database(&[(1, "converted", 0, "[[0,0,1000,1,1]]"), (2, "converted", 0, "[[0,0,1000,1,0]]")]);
        assert_eq!(audit(&file, &[], Timestamp::now()).expect("reads").double_sales, 0);
    }

    #[test]
    fn a_hold_that_did_not_end_is_found() {
        let (_folder, file) = database(&[(1, "active", 1, "[[0,null]]"), (2, "active", i64::MAX, "[[1,null]]")]);
        assert_eq!(audit(&file, &[], Timestamp::now()).expect("reads").stuck_holds, 1);
    }

    #[test]
    fn seats_that_nobody_paid_for_are_the_cinemas_again() {
        let hour = |h: i64| Timestamp::now() + jiff::SignedDuration::from_hours(h);
        let lost = |lines: &str, collect_by: Timestamp| {
            let (_folder, file) = database(&[(1, "converted", 0, lines)]);
            let sale = Sale { collect_by: Some(collect_by), ..told(1, &["A1"], 1000) };
            audit(&file, &[&sale], Timestamp::now()).expect("reads").lost.len()
        };
        let (standing, revoked) = ("[[0,0,1000,1,0]]", "[[0,0,1000,1,1]]");
        assert_eq!((lost(standing, hour(1)), lost(revoked, hour(1))), (0, 1), "there is time to pay");
        assert_eq!((lost(standing, hour(-1)), lost(revoked, hour(-1))), (1, 0), "there was");
    }

    #[test]
    fn a_booking_that_is_not_as_it_was_told_is_found() {
        let (_folder, file) = database(&[(1, "converted", 0, "[[0,0,1000,1,0]]")]);
        let lost = |sale: Sale| {
            audit(&file, &[&sale], Timestamp::now()).map(|books| (books.lost.len(), books.unknown)).expect("reads")
        };
        assert_eq!(lost(told(1, &["A2"], 1000)), (1, 0), "another seat");
        assert_eq!(lost(told(1, &["A1"], 2000)), (1, 0), "another total");
        assert_eq!(lost(told(9, &["A1"], 1000)), (1, 1), "another booking");
    }
}

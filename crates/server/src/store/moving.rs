//! A cinema's data, taken from one database to another: row by row, and compared row by row before anybody relies on it.

mod postgres;
mod sqlite;

use std::path::Path;

use super::StoreError;
use super::postgres::PostgresStore;
use super::sqlite::SqliteStore;

/// How many rows of each table were moved.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct MovedTable {
    /// The table.
    pub table: &'static str,
    /// Its rows: as many in the new database as in the old one, each with the same values.
    pub rows: u64,
}

/// Copies a cinema from the SQLite file in `folder` to an empty PostgreSQL, and compares. Nobody may sell from either meanwhile.
///
/// # Errors
/// When there is a cinema in the database already, something cannot be read or written, or a row is not what it was; then nothing is
/// in the database.
pub fn to_postgres(folder: &Path, address: &str) -> Result<Vec<MovedTable>, StoreError> {
    // Opened as stores, both have today's tables.
    let to = PostgresStore::open_alone(address)?;
    let from = SqliteStore::open(folder)?;
    let mut from_rows = sqlite::Rows::open(folder)?;
    let mut to_rows = postgres::Rows::open(address)?;
    let moved = copy(&mut from_rows, &mut to_rows, Stays::Nowhere);
    drop((from, to));
    moved
}

/// Copies a cinema from PostgreSQL to a new SQLite file in `folder`, and compares. Refused while a process uses the database;
/// afterwards none sells from it any more.
///
/// # Errors
/// As [`to_postgres`].
pub fn to_sqlite(address: &str, folder: &Path) -> Result<Vec<MovedTable>, StoreError> {
    let from = PostgresStore::open_alone(address)?;
    let to = SqliteStore::open(folder)?;
    let mut from_rows = postgres::Rows::open(address)?;
    let mut to_rows = sqlite::Rows::open(folder)?;
    let moved = copy(&mut from_rows, &mut to_rows, Stays::Nowhere);
    drop((from, to));
    moved
}

/// Copies a cinema to a SQLite file, to look at it there: it stays where it is, and nobody who sells from it waits.
///
/// # Errors
/// As [`to_postgres`].
pub fn copy_to_sqlite(address: &str, folder: &Path) -> Result<Vec<MovedTable>, StoreError> {
    drop(PostgresStore::open(address)?);
    drop(SqliteStore::open(folder)?);
    copy(&mut postgres::Rows::open(address)?, &mut sqlite::Rows::open(folder)?, Stays::There)
}

/// Whether what was copied is still sold from where it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stays {
    There,
    Nowhere,
}

/// Whether nobody may save houses meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Alone {
    Yes,
    No,
}

/// A value, whichever database it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Null,
    Integer(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// 64 bits.
    Integer,
    /// 32 bits, in PostgreSQL.
    Small,
    /// 0 or 1; a truth value in PostgreSQL.
    Truth,
    Text,
    Bytes,
}

/// A table, as both databases can say it.
struct Table {
    name: &'static str,
    columns: &'static [(&'static str, Kind)],
    /// Columns that put its rows in one order.
    order: &'static str,
}

use Kind::{Bytes, Integer, Small, Text, Truth};

/// Every table, each after those that it names.
const TABLES: &[Table] = &[
    Table { name: "setting", columns: &[("name", Text), ("value", Text)], order: "name" },
    Table {
        name: "document",
        columns: &[("name", Bytes), ("kind", Text), ("bytes", Bytes), ("called", Text)],
        order: "name",
    },
    Table { name: "cinema", columns: &[("id", Text), ("data", Text)], order: "id" },
    Table { name: "film", columns: &[("id", Text), ("data", Text)], order: "id" },
    Table {
        name: "screening",
        columns: &[
            ("number", Integer),
            ("id", Text),
            ("cinema", Text),
            ("starts_at", Integer),
            ("changed", Integer),
            ("changed_at", Integer),
            ("removed", Truth),
            ("data", Text),
        ],
        order: "number",
    },
    Table {
        name: "device",
        columns: &[("id", Text), ("name", Text), ("token_hash", Bytes), ("revoked_at", Integer)],
        order: "id",
    },
    Table { name: "house", columns: &[("screening", Integer), ("version", Integer)], order: "screening" },
    Table {
        name: "claim",
        columns: &[("screening", Integer), ("place", Small), ("hold", Bytes), ("block", Text), ("until", Integer)],
        order: "screening, place",
    },
    Table {
        name: "hold",
        columns: &[
            ("screening", Integer),
            ("hold", Bytes),
            ("owner", Bytes),
            ("network", Integer),
            ("places", Text),
            ("price_table", Bytes),
            ("created_at", Integer),
            ("seq", Integer),
            ("version", Integer),
            ("state", Text),
            ("at", Integer),
            ("answers", Bytes),
            ("details", Text),
        ],
        order: "hold",
    },
    Table {
        name: "waitlist_entry",
        columns: &[
            ("screening", Integer),
            ("entry", Bytes),
            ("owner", Bytes),
            ("network", Integer),
            ("best", Text),
            ("buyer", Text),
            ("created_at", Integer),
            ("turn", Integer),
            ("lapses", Integer),
            ("passed_over", Integer),
            ("passed_at", Integer),
            ("state", Text),
            ("hold", Bytes),
            ("answers", Bytes),
        ],
        order: "screening, entry",
    },
    Table {
        name: "queue",
        columns: &[
            ("screening", Integer),
            ("seed", Bytes),
            ("key", Bytes),
            ("places", Integer),
            ("drawn_from", Integer),
            ("next_turn", Integer),
        ],
        order: "screening",
    },
    Table {
        name: "queue_place",
        columns: &[
            ("screening", Integer),
            ("owner", Bytes),
            ("network", Integer),
            ("came_at", Integer),
            ("turn", Integer),
            ("\"left\"", Integer),
        ],
        order: "screening, owner",
    },
    Table {
        name: "answer",
        columns: &[
            ("screening", Integer),
            ("about", Bytes),
            ("key", Bytes),
            ("at", Integer),
            ("status", Small),
            ("body", Bytes),
        ],
        order: "about, key",
    },
    Table {
        name: "scan",
        columns: &[
            ("screening", Integer),
            ("device", Text),
            ("id", Text),
            ("kind", Text),
            ("undoes", Text),
            ("hold", Bytes),
            ("line", Integer),
            ("generation", Integer),
            ("at", Integer),
            ("admitted", Truth),
            ("offline", Truth),
            ("verdict", Text),
        ],
        order: "screening, device, id",
    },
    Table {
        name: "log",
        columns: &[("screening", Integer), ("version", Integer), ("at", Integer), ("entries", Text)],
        order: "screening, version",
    },
    Table {
        name: "till",
        columns: &[
            ("id", Integer),
            ("at", Integer),
            ("by", Text),
            ("screening", Integer),
            ("hold", Bytes),
            ("amount", Integer),
            ("currency", Text),
        ],
        order: "id",
    },
    Table {
        name: "outbox",
        columns: &[
            ("id", Integer),
            ("at", Integer),
            ("kind", Text),
            ("way", Text),
            ("address", Text),
            ("origin", Text),
            ("about", Bytes),
            ("body", Text),
            ("tries", Integer),
            ("due", Integer),
        ],
        order: "id",
    },
    Table {
        name: "webhook",
        columns: &[("url", Text), ("origin", Text), ("asked", Integer), ("proven", Integer)],
        order: "url",
    },
    Table {
        name: "staff",
        columns: &[("login", Text), ("name", Text), ("role", Text), ("password", Text), ("disabled", Truth)],
        order: "login",
    },
    Table {
        name: "session",
        columns: &[("token_hash", Bytes), ("login", Text), ("csrf", Text), ("expires_at", Integer)],
        order: "token_hash",
    },
    Table {
        name: "audit",
        columns: &[("id", Integer), ("at", Integer), ("by", Text), ("did", Text), ("subject", Text)],
        order: "id",
    },
];

impl Table {
    fn names(&self) -> String {
        self.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }
}

/// Where rows are: read in a table's order, written in a transaction.
trait Side {
    /// How many cinemas, screenings and members of staff there are.
    fn population(&mut self) -> Result<i64, StoreError>;
    fn begin(&mut self, alone: Alone) -> Result<(), StoreError>;
    fn read(
        &mut self,
        table: &Table,
        each: &mut dyn FnMut(Vec<Value>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError>;
    /// A part of a table's rows, in its order.
    fn write(&mut self, table: &Table, rows: Vec<Vec<Value>>) -> Result<(), StoreError>;
    /// All rows are there.
    fn written(&mut self) -> Result<(), StoreError>;
    /// All rows are elsewhere: from here nobody sells any more.
    fn leave(&mut self) -> Result<(), StoreError>;
    fn commit(&mut self) -> Result<(), StoreError>;
}

/// Rows that are written at a time.
const PART: usize = 500;

fn copy(from: &mut dyn Side, to: &mut dyn Side, stays: Stays) -> Result<Vec<MovedTable>, StoreError> {
    if to.population()? > 0 {
        let why = "there is a cinema in the new database already: name an empty one";
        return Err(StoreError::Refused(why.into()));
    }
    from.begin(if stays == Stays::There { Alone::No } else { Alone::Yes })?;
    to.begin(Alone::Yes)?;
    for table in TABLES {
        let mut part = Vec::new();
        from.read(table, &mut |row| {
            part.push(row);
            if part.len() >= PART { to.write(table, std::mem::take(&mut part)) } else { Ok(()) }
        })?;
        to.write(table, part)?;
    }
    to.written()?;
    let mut moved = Vec::new();
    for table in TABLES {
        moved.push(MovedTable { table: table.name, rows: compare(table, from, to)? });
    }
    if stays == Stays::Nowhere {
        from.leave()?;
    }
    to.commit()?;
    from.commit()?;
    Ok(moved)
}

/// Compares the rows of a table one by one: through a digest of each, so that any number of them fits in memory.
fn compare(table: &Table, from: &mut dyn Side, to: &mut dyn Side) -> Result<u64, StoreError> {
    let mut before: Vec<[u8; 32]> = Vec::new();
    from.read(table, &mut |row| {
        before.push(digest(&row));
        Ok(())
    })?;
    let mut found: usize = 0;
    let differs = |n: usize, what: &str| StoreError::BadRow {
        table: table.name,
        row: (n + 1).to_string(),
        why: format!("{what}: nothing was moved"),
    };
    to.read(table, &mut |row| {
        match before.get(found) {
            Some(same) if *same == digest(&row) => found += 1,
            Some(_) => return Err(differs(found, "it is not what it was")),
            None => return Err(differs(found, "it was not there before")),
        }
        Ok(())
    })?;
    if found < before.len() {
        return Err(differs(found, "it is not there any more"));
    }
    Ok(u64::try_from(found).unwrap_or(u64::MAX))
}

fn digest(row: &[Value]) -> [u8; 32] {
    let mut bytes = Vec::new();
    for value in row {
        let (tag, value): (u8, &[u8]) = match value {
            Value::Null => (0, &[]),
            Value::Integer(n) => (1, &n.to_be_bytes()),
            Value::Text(text) => (2, text.as_bytes()),
            Value::Bytes(bytes) => (3, bytes),
        };
        bytes.push(tag);
        bytes.extend_from_slice(&(value.len() as u64).to_be_bytes());
        bytes.extend_from_slice(value);
    }
    admit_protocol::digest::sha256(&[&bytes])
}

/// Requests on record at a hold or an entry, without where SQLite keeps their answers: PostgreSQL finds them by what they are about.
fn without_places(answers: &[u8]) -> Vec<u8> {
    let (records, _) = answers.as_chunks::<40>();
    records.iter().flat_map(|record| [&record[..32], &[0; 8]].concat()).collect()
}

//! Rows in SQLite. Answers lie in a table of their own there, and what they are about names them by number.

use std::path::Path;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter};

use super::{Alone, Side, Table, Value, without_places};
use crate::store::StoreError;

const MOVING: &str = "moving rows in SQLite";

pub(super) struct Rows(Connection);

impl Rows {
    pub(super) fn open(folder: &Path) -> Result<Self, StoreError> {
        let db = Connection::open(folder.join("cinema.sqlite")).map_err(StoreError::at(MOVING))?;
        db.pragma_update(None, "synchronous", "FULL").map_err(StoreError::at(MOVING))?;
        Ok(Self(db))
    }

    /// The answers about each hold and waitlist entry, in the order of that and of the key.
    fn answers(&self, each: &mut dyn FnMut(Vec<Value>) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let sql = "SELECT screening, hold AS about, answers FROM hold WHERE length(answers) > 0 \
                   UNION ALL SELECT screening, entry, answers FROM waitlist_entry WHERE length(answers) > 0 ORDER BY about";
        let mut about = self.0.prepare(sql).map_err(StoreError::at(MOVING))?;
        let mut answer =
            self.0.prepare("SELECT at, status, body FROM answer WHERE id = ?1").map_err(StoreError::at(MOVING))?;
        let mut rows = about.query([]).map_err(StoreError::at(MOVING))?;
        while let Some(row) = rows.next().map_err(StoreError::at(MOVING))? {
            let (screening, about) = (value(row, 0)?, value(row, 1)?);
            let Value::Bytes(records) = value(row, 2)? else { continue };
            let (records, _) = records.as_chunks::<40>();
            let mut records: Vec<(&[u8], i64)> = records
                .iter()
                .map(|r| (&r[..16], i64::from_be_bytes(r[32..].try_into().unwrap_or_default())))
                .collect();
            records.sort_unstable();
            for (key, id) in records {
                let read =
                    |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, Vec<u8>>(2)?));
                let found = answer.query_row([id], read).optional().map_err(StoreError::at(MOVING))?;
                // After a day an answer may be gone; the key stays.
                let Some((at, status, body)) = found else { continue };
                let key = Value::Bytes(key.to_vec());
                let row = [Value::Integer(at), Value::Integer(status), Value::Bytes(body)];
                each([vec![screening.clone(), about.clone(), key], row.to_vec()].concat())?;
            }
        }
        Ok(())
    }

    /// Puts an answer where SQLite has answers, and its number into the row that it is about.
    fn put_answer(&self, row: &[Value]) -> Result<(), StoreError> {
        let [_, about, Value::Bytes(key), at, status, body] = row else {
            return Err(StoreError::Refused("an answer has six columns".into()));
        };
        let sql = "INSERT INTO answer (at, status, body) VALUES (?1, ?2, ?3)";
        self.0.prepare_cached(sql).and_then(|mut s| s.execute([at, status, body])).map_err(StoreError::at(MOVING))?;
        let id = self.0.last_insert_rowid();
        let sql =
            "SELECT answers FROM hold WHERE hold = ?1 UNION ALL SELECT answers FROM waitlist_entry WHERE entry = ?1";
        let mut read = self.0.prepare_cached(sql).map_err(StoreError::at(MOVING))?;
        let mut answers: Vec<u8> = read.query_row([about], |row| row.get(0)).map_err(StoreError::at(MOVING))?;
        let (records, _) = answers.as_chunks_mut::<40>();
        for record in records.iter_mut().filter(|record| record[..16] == key[..]) {
            record[32..].copy_from_slice(&id.to_be_bytes());
        }
        // The key is a row of one of them.
        for sql in
            ["UPDATE hold SET answers = ?2 WHERE hold = ?1", "UPDATE waitlist_entry SET answers = ?2 WHERE entry = ?1"]
        {
            let mut put = self.0.prepare_cached(sql).map_err(StoreError::at(MOVING))?;
            put.execute(params![about, answers]).map_err(StoreError::at(MOVING))?;
        }
        Ok(())
    }
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(n) => ValueRef::Integer(*n),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

fn value(row: &Row<'_>, column: usize) -> Result<Value, StoreError> {
    Ok(match row.get_ref(column).map_err(StoreError::at(MOVING))? {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(n) => Value::Integer(n),
        ValueRef::Text(text) => Value::Text(String::from_utf8(text.to_vec()).map_err(StoreError::at(MOVING))?),
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
        ValueRef::Real(_) => return Err(StoreError::Refused("a number with a point in it: no column has one".into())),
    })
}

impl Side for Rows {
    fn population(&mut self) -> Result<i64, StoreError> {
        let sql =
            "SELECT (SELECT count(*) FROM cinema) + (SELECT count(*) FROM screening) + (SELECT count(*) FROM staff)";
        self.0.query_row(sql, [], |row| row.get(0)).map_err(StoreError::at(MOVING))
    }

    fn begin(&mut self, _: Alone) -> Result<(), StoreError> {
        self.0.execute_batch("BEGIN IMMEDIATE").map_err(StoreError::at(MOVING))
    }

    fn read(
        &mut self,
        table: &Table,
        each: &mut dyn FnMut(Vec<Value>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let sql = match table.name {
            "answer" => return self.answers(each),
            // A house's version is the highest of those at its holds, and of its own.
            "house" => "SELECT screening, max(version) FROM (SELECT screening, version FROM house \
                        UNION ALL SELECT screening, version FROM hold) GROUP BY screening ORDER BY screening"
                .to_owned(),
            // What is published from there on is newer.
            "setting" => "SELECT name, value FROM setting WHERE name <> 'manifest' ORDER BY name".to_owned(),
            _ => format!("SELECT {} FROM {} ORDER BY {}", table.names(), table.name, table.order),
        };
        let answers = table.columns.iter().position(|(name, _)| *name == "answers");
        let mut statement = self.0.prepare(&sql).map_err(StoreError::at(MOVING))?;
        let mut rows = statement.query([]).map_err(StoreError::at(MOVING))?;
        while let Some(row) = rows.next().map_err(StoreError::at(MOVING))? {
            let mut values = (0..table.columns.len()).map(|n| value(row, n)).collect::<Result<Vec<_>, _>>()?;
            if let Some(Value::Bytes(answers)) = answers.map(|n| &mut values[n]) {
                *answers = without_places(answers);
            }
            each(values)?;
        }
        Ok(())
    }

    fn write(&mut self, table: &Table, rows: Vec<Vec<Value>>) -> Result<(), StoreError> {
        let places = (1..=table.columns.len()).map(|n| format!("?{n}")).collect::<Vec<_>>().join(", ");
        let (name, columns) = (table.name, table.names());
        let sql = match name {
            "setting" => {
                format!("INSERT INTO setting ({columns}) VALUES ({places}) ON CONFLICT (name) DO UPDATE SET value = ?2")
            }
            _ => format!("INSERT INTO {name} ({columns}) VALUES ({places})"),
        };
        for row in rows {
            if name == "answer" {
                self.put_answer(&row)?;
                continue;
            }
            let mut insert = self.0.prepare_cached(&sql).map_err(StoreError::at(MOVING))?;
            insert.execute(params_from_iter(&row)).map_err(StoreError::at(MOVING))?;
        }
        Ok(())
    }

    fn written(&mut self) -> Result<(), StoreError> {
        // The two clocks of a house are one here: what was logged last.
        Ok(())
    }

    fn leave(&mut self) -> Result<(), StoreError> {
        // One process uses the folder, and that is this one.
        Ok(())
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.0.execute_batch("COMMIT").map_err(StoreError::at(MOVING))
    }
}

//! Rows in PostgreSQL. What only several processes need is not moved: it begins anew.

use bytes::BytesMut;
use tokio::runtime::Runtime;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type};
use tokio_postgres::{Client, NoTls, Row};

use super::{Alone, Kind, Side, TABLES, Table, Value};
use crate::store::StoreError;
use crate::store::postgres::{told, wait};

const MOVING: &str = "moving rows in PostgreSQL";
/// Rows that are read at a time.
const PART: usize = 1000;

pub(super) struct Rows {
    client: Client,
    /// Where the connection runs.
    runtime: Option<Runtime>,
}

impl Drop for Rows {
    fn drop(&mut self) {
        self.runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

fn failed(error: &tokio_postgres::Error) -> StoreError {
    StoreError::at(MOVING)(told(error))
}

impl Rows {
    pub(super) fn open(address: &str) -> Result<Self, StoreError> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(StoreError::at(MOVING))?;
        let address = address.to_owned();
        let connecting = runtime.spawn(async move {
            let (client, connection) = tokio_postgres::connect(&address, NoTls).await?;
            tokio::spawn(connection);
            Ok::<_, tokio_postgres::Error>(client)
        });
        let client = wait(connecting).map_err(StoreError::at(MOVING))?.map_err(|e| failed(&e))?;
        Ok(Self { client, runtime: Some(runtime) })
    }

    fn batch(&self, sql: &str) -> Result<(), StoreError> {
        wait(self.client.batch_execute(sql)).map_err(|e| failed(&e))
    }
}

impl ToSql for Value {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Integer(n) if *ty == Type::BOOL => (*n != 0).to_sql(ty, out),
            Self::Integer(n) if *ty == Type::INT4 => i32::try_from(*n)?.to_sql(ty, out),
            Self::Integer(n) => n.to_sql(ty, out),
            Self::Text(text) => text.to_sql(ty, out),
            Self::Bytes(bytes) => bytes.to_sql(ty, out),
        }
    }

    fn accepts(ty: &Type) -> bool {
        [Type::BOOL, Type::INT4, Type::INT8, Type::TEXT, Type::BYTEA].contains(ty)
    }

    tokio_postgres::types::to_sql_checked!();
}

fn value(row: &Row, column: usize, kind: Kind) -> Result<Value, StoreError> {
    fn get<'a, T: FromSql<'a>>(row: &'a Row, column: usize, of: impl Fn(T) -> Value) -> Result<Value, StoreError> {
        let value: Option<T> = row.try_get(column).map_err(|e| failed(&e))?;
        Ok(value.map_or(Value::Null, of))
    }
    match kind {
        Kind::Integer => get(row, column, Value::Integer),
        Kind::Small => get(row, column, |n: i32| Value::Integer(n.into())),
        Kind::Truth => get(row, column, |truth: bool| Value::Integer(truth.into())),
        Kind::Text => get(row, column, Value::Text),
        Kind::Bytes => get(row, column, Value::Bytes),
    }
}

impl Side for Rows {
    fn population(&mut self) -> Result<i64, StoreError> {
        let sql =
            "SELECT (SELECT count(*) FROM cinema) + (SELECT count(*) FROM screening) + (SELECT count(*) FROM staff)";
        let row = wait(self.client.query_one(sql, &[])).map_err(|e| failed(&e))?;
        row.try_get(0).map_err(|e| failed(&e))
    }

    fn begin(&mut self, alone: Alone) -> Result<(), StoreError> {
        self.batch("BEGIN ISOLATION LEVEL REPEATABLE READ")?;
        match alone {
            // Who sells from here at this moment ends what is under way, and nobody begins anything.
            Alone::Yes => {
                let all = TABLES.iter().map(|table| table.name).collect::<Vec<_>>().join(", ");
                self.batch(&format!("LOCK TABLE {all} IN ACCESS EXCLUSIVE MODE"))
            }
            Alone::No => Ok(()),
        }
    }

    fn read(
        &mut self,
        table: &Table,
        each: &mut dyn FnMut(Vec<Value>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        // Text in the order of its bytes, as SQLite has it.
        let text = |name: &str| table.columns.iter().any(|(known, kind)| *known == name && *kind == Kind::Text);
        let by = |name: &str| if text(name) { format!("{name} COLLATE \"C\"") } else { name.to_owned() };
        let order = table.order.split(", ").map(by).collect::<Vec<_>>().join(", ");
        let filter = match table.name {
            // A house that nobody changed yet has no row in SQLite.
            "house" => " WHERE version > 0",
            // What is published from there on is newer.
            "setting" => " WHERE name NOT IN ('programme', 'manifest')",
            _ => "",
        };
        let (name, columns) = (table.name, table.names());
        self.batch(&format!(
            "DECLARE rows NO SCROLL CURSOR FOR SELECT {columns} FROM {name}{filter} ORDER BY {order}"
        ))?;
        loop {
            let rows = wait(self.client.query(&format!("FETCH {PART} FROM rows"), &[])).map_err(|e| failed(&e))?;
            for row in &rows {
                let kinds = table.columns.iter().enumerate();
                each(kinds.map(|(n, (_, kind))| value(row, n, *kind)).collect::<Result<_, _>>()?)?;
            }
            if rows.len() < PART {
                break;
            }
        }
        self.batch("CLOSE rows")
    }

    fn write(&mut self, table: &Table, rows: Vec<Vec<Value>>) -> Result<(), StoreError> {
        let places = (1..=table.columns.len()).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ");
        let (name, columns) = (table.name, table.names());
        let sql = match name {
            "setting" => {
                format!("INSERT INTO setting ({columns}) VALUES ({places}) ON CONFLICT (name) DO UPDATE SET value = $2")
            }
            // Who follows finds that more than holds changed, and loads.
            "log" => format!("INSERT INTO log ({columns}, holds, whole, batch) VALUES ({places}, '', true, '')"),
            _ => format!("INSERT INTO {name} ({columns}) VALUES ({places})"),
        };
        let statement = wait(self.client.prepare(&sql)).map_err(|e| failed(&e))?;
        let client = &self.client;
        let inserts = rows.iter().map(|row| client.execute_raw(&statement, row));
        // Sent in one go.
        let inserted = wait(futures_util::future::join_all(inserts));
        inserted.into_iter().try_for_each(|one| one.map(drop)).map_err(|e| failed(&e))
    }

    fn written(&mut self) -> Result<(), StoreError> {
        // Every screening has a house here, and the time of its last save.
        self.batch(
            "INSERT INTO house (screening) SELECT number FROM screening ON CONFLICT DO NOTHING;
             UPDATE house h SET now = l.at FROM (SELECT screening, max(at) AS at FROM log GROUP BY screening) AS l
                 WHERE h.screening = l.screening;
             SELECT setval(pg_get_serial_sequence('screening', 'number'), coalesce(max(number), 0) + 1) FROM screening;
             SELECT setval(pg_get_serial_sequence('till', 'id'), coalesce(max(id), 0) + 1) FROM till;
             SELECT setval(pg_get_serial_sequence('outbox', 'id'), coalesce(max(id), 0) + 1) FROM outbox;
             SELECT setval(pg_get_serial_sequence('audit', 'id'), coalesce(max(id), 0) + 1) FROM audit;
             UPDATE setting SET value = (value::bigint + 1)::text WHERE name = 'programme';",
        )
    }

    fn leave(&mut self) -> Result<(), StoreError> {
        // A process that still runs, or starts with old settings, must not sell what is sold elsewhere now.
        self.batch(
            "ALTER TABLE house RENAME TO house_moved;
             ALTER TABLE staff RENAME TO staff_moved;
             ALTER TABLE session RENAME TO session_moved;
             INSERT INTO setting VALUES ('moved', now()::text)",
        )
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.batch("COMMIT")
    }
}

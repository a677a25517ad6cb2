//! One connection to PostgreSQL, and how a thread waits for it.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use tokio::runtime::Runtime;
use tokio_postgres::types::{FromSql, ToSql};
use tokio_postgres::{Client, Config, Error, NoTls, Row, Statement};

use crate::store::StoreError;

/// Runs a future to its end on this thread. The connection itself runs elsewhere, so this may also be called where a runtime must not
/// be blocked on by its own means.
pub(in crate::store) fn wait<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(done) => return done,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// A process that stands still must not keep others from selling. And what finds rows by their keys does so whatever the statistics
/// of a young table say.
const SETTINGS: &str = "SET idle_in_transaction_session_timeout = '10s'; SET lock_timeout = '10s';
    SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET plan_cache_mode = force_generic_plan";

/// A connection, and the statements that were prepared on it.
pub(super) struct Session {
    client: Client,
    statements: HashMap<&'static str, Statement>,
}

/// What a statement is given.
pub(super) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

impl Session {
    /// Connects.
    pub(super) fn open(runtime: &Runtime, config: &Config) -> Result<Self, StoreError> {
        let config = config.clone();
        let connecting = runtime.spawn(async move {
            let (client, connection) = config.connect(NoTls).await?;
            // Ends when the client is dropped, or the connection is lost.
            tokio::spawn(connection);
            client.batch_execute(SETTINGS).await?;
            Ok::<_, Error>(client)
        });
        let client = wait(connecting).map_err(StoreError::at("connecting to PostgreSQL"))?;
        let client = client.map_err(|error| StoreError::at("connecting to PostgreSQL")(told(&error)))?;
        Ok(Self { client, statements: HashMap::new() })
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn client_mut(&mut self) -> &mut Client {
        &mut self.client
    }

    /// Prepares what is not prepared yet, so that what comes next can be sent in one go.
    pub(super) fn prepare<const N: usize>(&mut self, sql: [&'static str; N]) -> Result<[Statement; N], Error> {
        for text in sql {
            if !self.statements.contains_key(text) {
                let statement = wait(self.client.prepare(text))?;
                self.statements.insert(text, statement);
            }
        }
        Ok(sql.map(|text| self.statements[text].clone()))
    }

    pub(super) fn query(&mut self, sql: &'static str, params: Params<'_>) -> Result<Vec<Row>, Error> {
        let [statement] = self.prepare([sql])?;
        wait(self.client.query(&statement, params))
    }

    pub(super) fn execute(&mut self, sql: &'static str, params: Params<'_>) -> Result<u64, Error> {
        let [statement] = self.prepare([sql])?;
        wait(self.client.execute(&statement, params))
    }

    pub(super) fn batch(&self, sql: &str) -> Result<(), Error> {
        wait(self.client.batch_execute(sql))
    }
}

/// What PostgreSQL said, with its own words: the error alone says only "db error".
pub(in crate::store) fn told(error: &Error) -> String {
    match error.as_db_error() {
        Some(said) => format!("{}: {}", said.code().code(), said.message()),
        None => {
            let mut words = error.to_string();
            let mut cause = std::error::Error::source(error);
            while let Some(because) = cause {
                words = format!("{words}: {because}");
                cause = because.source();
            }
            words
        }
    }
}

/// An error of PostgreSQL at this step.
pub(super) fn at(step: &'static str) -> impl FnOnce(Error) -> StoreError {
    move |error| StoreError::at(step)(told(&error))
}

pub(super) fn get<'a, T: FromSql<'a>>(row: &'a Row, column: usize) -> Result<T, StoreError> {
    row.try_get(column).map_err(at("reading a row"))
}

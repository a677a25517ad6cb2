//! Which store a test runs on. The whole suite runs on SQLite, and once more on PostgreSQL where `ADMIT_TEST_STORE` says so.

use std::sync::Arc;

use admit_server::store::StaffStore;
use admit_server::store::postgres::PostgresStore;
use admit_server::store::sqlite::SqliteStore;

/// Which store a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    Memory,
    Sqlite,
    Postgres,
}

/// The database that `cargo xtask test` starts, if there is one.
fn database() -> Option<String> {
    std::env::var("ADMIT_POSTGRES").ok().filter(|address| !address.is_empty())
}

/// Says by name that a test on PostgreSQL is skipped, if it must be.
pub(crate) fn skipped(test: &str) -> bool {
    let skipped = database().is_none();
    if skipped {
        eprintln!("SKIPPED {test}: no PostgreSQL (ADMIT_POSTGRES; `cargo xtask test` starts one)");
    }
    skipped
}

impl On {
    /// What a test runs on that does not say.
    pub(crate) fn usual() -> Self {
        match std::env::var("ADMIT_TEST_STORE").as_deref() {
            Ok("postgres") => Self::Postgres,
            Ok(other) if !other.is_empty() && other != "sqlite" => {
                panic!("ADMIT_TEST_STORE={other}: sqlite or postgres")
            }
            _ => Self::Sqlite,
        }
    }

    /// An empty store, and the folder of who uses it. SQLite's is in there.
    pub(crate) fn store(self) -> (Arc<dyn StaffStore>, tempfile::TempDir) {
        let folder = tempfile::tempdir().expect("a folder");
        let store: Arc<dyn StaffStore> = match self {
            Self::Postgres => Arc::new(postgres(&schema())),
            _ => Arc::new(SqliteStore::open(folder.path()).expect("opens")),
        };
        (store, folder)
    }
}

/// An empty part of the database, for one test: what a process needs to find it.
pub(crate) fn schema() -> String {
    let address = database().expect("ADMIT_POSTGRES names a database");
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("randomness");
    let name = format!("t{:016x}", u64::from_be_bytes(bytes));
    let (made, sql) = (address.clone(), format!("CREATE SCHEMA {name}"));
    let make = async move {
        let (client, connection) = tokio_postgres::connect(&made, tokio_postgres::NoTls).await.expect("connects");
        let connection = tokio::spawn(connection);
        client.batch_execute(&sql).await.expect("a schema");
        drop(client);
        connection.await.expect("runs").expect("ends well");
    };
    // Tests are async themselves; this waits all the same.
    let thread = std::thread::spawn(|| {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(make);
    });
    thread.join().expect("a schema is made");
    format!("{address}?options=-csearch_path%3D{name}")
}

pub(crate) fn postgres(address: &str) -> PostgresStore {
    PostgresStore::open(address).expect("opens")
}

//! Which store a test runs on. The whole suite runs on SQLite, and once more on PostgreSQL where `ADMIT_TEST_STORE` says so.

use std::sync::Arc;

use admit_private_postgres::given;
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

/// Says by name that a test on PostgreSQL is skipped, if it must be.
pub(crate) fn skipped(test: &str) -> bool {
    let skipped = given().is_none();
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
    let address = given().expect("ADMIT_POSTGRES names a database");
    admit_private_postgres::new_schema(&address).expect("a schema")
}

pub(crate) fn postgres(address: &str) -> PostgresStore {
    PostgresStore::open(address).expect("opens")
}

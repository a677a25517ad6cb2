//! A cinema that is sold is taken to PostgreSQL and back, and is what it was.

use std::sync::Arc;

use admit_booking::queue::{Drawn, Line, QueuePlace};
use admit_booking::{Network, Owner};
use admit_server::clock::ManualClock;
use admit_server::store::sqlite::SqliteStore;
use admit_server::store::{AuditEntry, Role, Session, StaffMember, StaffStore, Store, StoreError, moving};
use serde_json::json;

use crate::on;
use crate::stage::{ANNA, BEN, NOON, Stage, bundle, path};

/// Every table of a SQLite cinema as text, row by row; of holds, without where their answers lie.
fn tables(folder: &std::path::Path) -> Vec<(String, Vec<String>)> {
    let db = rusqlite::Connection::open(folder.join("cinema.sqlite")).expect("opens");
    let all = [
        "SELECT * FROM setting ORDER BY 1",
        "SELECT * FROM document ORDER BY 1",
        "SELECT * FROM cinema ORDER BY 1",
        "SELECT * FROM film ORDER BY 1",
        "SELECT * FROM screening ORDER BY 1",
        "SELECT * FROM device ORDER BY 1",
        "SELECT screening, place, hold, block, until FROM claim ORDER BY 1, 2",
        "SELECT screening, hold, owner, network, places, price_table, created_at, seq, version, state, at, details, \
         length(answers), substr(answers, 1, 32) FROM hold ORDER BY 2",
        "SELECT at, status, body FROM answer ORDER BY 1, 2, 3",
        "SELECT * FROM queue ORDER BY 1",
        "SELECT * FROM queue_place ORDER BY 1, 2",
        "SELECT * FROM scan ORDER BY 1, 2, 3",
        "SELECT screening, version, at, entries FROM log ORDER BY 1, 2",
        "SELECT * FROM till ORDER BY 1",
        "SELECT id, at, kind, way, address, origin, about, body, tries, due FROM outbox ORDER BY 1",
        "SELECT * FROM webhook ORDER BY 1",
        "SELECT * FROM staff ORDER BY 1",
        "SELECT * FROM session ORDER BY 1",
        "SELECT * FROM audit ORDER BY 1",
    ];
    let rows = |sql: &str| {
        let mut statement = db.prepare(sql).expect("sql");
        let columns = statement.column_count();
        let row = |row: &rusqlite::Row<'_>| Ok((0..columns).map(|n| format!("{:?}", row.get_ref(n))).collect());
        let read: Vec<String> = statement.query_map([], row).expect("reads").map(|r| r.expect("a row")).collect();
        read
    };
    all.iter().map(|sql| ((*sql).to_owned(), rows(sql))).collect()
}

/// A cinema on SQLite with something in every table.
async fn busy() -> Stage {
    let s = Stage::on(on::On::Sqlite);
    let hold = s.hold(ANNA, &["A1", "A2"]).await;
    let mut with_address = crate::stage::book(&hold, 2050);
    with_address["buyer"] = json!({"email": "anna@example.org"});
    assert_eq!(s.post(ANNA, "/v1/screenings/eight/bookings", &with_address).await.status, 201);
    s.booked(BEN, &["A4"]).await;
    let gone = s.hold(BEN, &["B4"]).await;
    assert_eq!(s.delete(BEN, &path(&gone)).await.status, 204);
    s.hold(BEN, &["B3"]).await;
    s
}

fn staff(store: &dyn StaffStore) {
    let now = NOON.parse().expect("noon");
    let boss = StaffMember { login: "boss".into(), name: "Bossová".into(), role: Role::Admin, disabled: false };
    store.put_staff(&boss, Some("hash")).expect("saves");
    let session = Session {
        token_hash: [7; 32],
        login: "boss".into(),
        csrf: "c".into(),
        expires_at: admit_protocol::time::after(now, 3600),
    };
    store.put_session(&session, now).expect("saves");
    let (queues, eight) = (store.queues().expect("keeps queues"), "eight".parse().expect("id"));
    queues.line(eight, &Line::new([1; 32], [2; 32])).expect("begins");
    let network = Some(Network(u64::MAX));
    let place = QueuePlace { owner: Owner([3; 32]), network, came_at: now, turn: Some(now), left: true };
    let work = queues.work(eight, &mut |rows| {
        let drawn = Some(Drawn { from: now, next: now });
        let line = Line { places: 1, drawn, ..rows.line()? };
        rows.set_line(&line)?;
        rows.put(&place)
    });
    work.expect("works");
    let outbox = store.outbox().expect("keeps an outbox");
    assert!(outbox.may_ask("https://app.example/hook", "https://app.example", now).expect("asks"));
    store.note(&AuditEntry { at: now, by: "boss".into(), did: "x".into(), subject: "y".into() }).expect("saves");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cinema_is_moved_to_postgres_and_back_and_is_what_it_was() {
    if on::skipped("moving::a_cinema_is_moved_to_postgres_and_back_and_is_what_it_was") {
        return;
    }
    let s = busy().await;
    let first = s.post_with_key(ANNA, "/v1/screenings/tomorrow/holds", "k", &json!({"seats": [{"seat": "A1"}]})).await;
    assert_eq!(first.status, 201);
    let Stage { cinema, router, keys, store, folder, .. } = s;
    drop((cinema, router, store));
    let open = loop {
        // The writer's thread lets go of the store when it has seen that nobody is left.
        match SqliteStore::open(folder.path()) {
            Ok(store) => break store,
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
        }
    };
    staff(&open);
    drop(open);
    let before = tables(folder.path());
    assert!(before.iter().filter(|(_, rows)| rows.is_empty()).count() <= 3, "too little is in it: {before:?}");

    let address = on::schema();
    let moved = moving::to_postgres(folder.path(), &address).expect("moves");
    let count = |table: &str| moved.iter().find(|m| m.table == table).map_or(0, |m| m.rows);
    assert_eq!((count("hold"), count("screening"), count("staff"), count("session")), (5, 2, 1, 1));
    assert!(
        matches!(moving::to_postgres(folder.path(), &address), Err(StoreError::Refused(why)) if why.contains("already"))
    );

    // It is sold there, and who asks again gets the same answer.
    let now = NOON.parse().expect("noon");
    let elsewhere = tempfile::tempdir().expect("a folder");
    let clock = Arc::new(ManualClock::new(now));
    let there = Stage::with(Arc::new(on::postgres(&address)), clock, keys, tempfile::tempdir().expect("a folder"));
    let again =
        there.post_with_key(ANNA, "/v1/screenings/tomorrow/holds", "k", &json!({"seats": [{"seat": "A1"}]})).await;
    assert_eq!((first.status, &first.bytes), (again.status, &again.bytes));
    let sold = json!({"held": ["B3"], "sold": ["A1", "A2", "A4"]});
    assert_eq!(there.seats().await["not_free"], sold);

    // Nobody takes it from under a server that sells; once that is gone, none begins to sell there.
    let from_under = moving::to_sqlite(&address, elsewhere.path());
    assert!(matches!(from_under, Err(StoreError::InUse(_))), "{from_under:?}");
    assert_eq!(there.hold(BEN, &["Z1"]).await.code(), "unknown_seat", "it sells on");
    drop(there);
    loop {
        match moving::to_sqlite(&address, elsewhere.path()) {
            Ok(_) => break,
            // Its threads end when they see that nobody is left.
            Err(error) => assert!(matches!(error, StoreError::InUse(_)), "{error}"),
        }
    }
    assert_eq!(tables(elsewhere.path()), before);
    let opened = admit_server::store::postgres::PostgresStore::open(&address);
    assert!(matches!(opened, Err(StoreError::Refused(why)) if why.contains("moved out")));
    let back = SqliteStore::open(elsewhere.path()).expect("opens");
    assert_eq!(back.catalogue().expect("reads").screenings.len(), bundle().check(now).screenings);
}

//! What every store promises, whatever it is made of.

use std::sync::Arc;

use admit_booking::queue::{Drawn, Line, QueuePlace};
use admit_booking::{
    Block, BlockReason, Changes, Claim, Command, Entry, EntryKey, EntryState, Hold, HoldKey, HoldState, House, Network,
    Owner, Place, PlaceHold, example,
};
use admit_protocol::booking::Buyer;
use admit_protocol::hold::Best;
use admit_server::store::sqlite::SqliteStore;
use admit_server::store::{
    About, Answer, BodyPrint, CommitError, KeyPrint, KnownKey, LineRows, NewAnswer, Outcome, Save, Store, StoreError,
};
use admit_server::store::{Layouts, StaffStore as _};
use jiff::Timestamp;

use crate::stage::{On, Stage, bundle};

fn now() -> Timestamp {
    example::NOW.parse().expect("noon")
}

pub(crate) fn placed(key: u128, seat: &str) -> Changes {
    let house = House::new(Arc::new(example::terms()));
    let wish = PlaceHold {
        hold: HoldKey(key),
        owner: Owner([7; 32]),
        network: None,
        seats: vec![(seat.parse().expect("id"), None)],
        areas: vec![],
        best: None,
        ttl_s: None,
        admission: admit_booking::queue::Admission::None,
    };
    house.decide(&Command::PlaceHold(wish), now()).expect("free")
}

pub(crate) fn save<'a>(seen: u64, changes: &'a [Changes], answers: &'a [NewAnswer]) -> Save<'a> {
    Save {
        screening: "eight".parse().expect("id"),
        seen,
        now: now(),
        changes,
        answers,
        log: &[],
        till: &[],
        outbox: &[],
        forgotten: &[],
    }
}

pub(crate) fn load(store: &dyn Store) -> admit_server::store::Loaded {
    let prices = Arc::new(example::prices());
    store.load("eight".parse().expect("id"), &|_| Some(prices.clone())).expect("loads")
}

macro_rules! store_contract {
    ($($name:ident($store:ident) $body:block)*) => {
        mod memory {
            use super::*;
            $(#[test] fn $name() { let (store, _folder) = Stage::store(&bundle(), On::Memory); let $store = &*store; $body })*
        }
        mod sqlite {
            use super::*;
            $(#[test] fn $name() { let (store, _folder) = Stage::store(&bundle(), On::Sqlite); let $store = &*store; $body })*
        }
        mod postgres {
            use super::*;
            $(#[test] fn $name() {
                if crate::on::skipped(concat!("contract::postgres::", stringify!($name))) {
                    return;
                }
                let (store, _folder) = Stage::store(&bundle(), On::Postgres);
                let $store = &*store;
                $body
            })*
        }
    };
}

store_contract! {
    a_house_that_was_never_saved_is_empty(store) {
        let loaded = load(store);
        assert_eq!((loaded.house.version, loaded.house.holds.len()), (0, 0));
    }

    what_was_saved_is_read_back(store) {
        let changes = [placed(1, "A1")];
        assert_eq!(store.save(&[save(0, &changes, &[])]).expect("saves"), [Outcome::Saved]);
        let loaded = load(store);
        assert_eq!(loaded.house.version, 1);
        assert_eq!(loaded.house.claims, changes[0].claimed);
        assert_eq!(loaded.house.holds, changes[0].placed);
    }

    a_save_on_an_old_version_changes_nothing(store) {
        store.save(&[save(0, &[placed(1, "A1")], &[])]).expect("saves");
        assert_eq!(store.save(&[save(0, &[placed(2, "A2")], &[])]).expect("answers"), [Outcome::Conflict]);
        assert_eq!(store.save(&[save(2, &[placed(2, "A2")], &[])]).expect("answers"), [Outcome::Conflict]);
        assert_eq!(load(store).house.claims.len(), 1);
    }

    the_key_forbids_a_second_owner_and_nothing_of_that_save_stays(store) {
        store.save(&[save(0, &[placed(1, "A1")], &[])]).expect("saves");
        let doubled = [placed(2, "A2"), placed(3, "A1")];
        let outcomes = store.save(&[save(1, &doubled, &[])]).expect("answers");
        assert!(matches!(outcomes[..], [Outcome::Broken(_)]), "{outcomes:?}");
        assert_eq!((load(store).house.version, load(store).house.claims.len()), (1, 1));
    }

    freeing_names_the_owner_it_expects(store) {
        store.save(&[save(0, &[placed(1, "A1")], &[])]).expect("saves");
        let wrong = [Changes { freed: vec![(Place(0), Claim::Hold(HoldKey(9)))], ..Changes::default() }];
        assert!(matches!(store.save(&[save(1, &wrong, &[])]).expect("answers")[..], [Outcome::Broken(_)]));
        let right = [Changes { freed: vec![(Place(0), Claim::Hold(HoldKey(1)))], ..Changes::default() }];
        assert_eq!(store.save(&[save(1, &right, &[])]).expect("saves"), [Outcome::Saved]);
        assert!(load(store).house.claims.is_empty());
    }

    a_line_is_begun_once_and_work_that_fails_leaves_nothing(store) {
        let (queues, eight) = (store.queues().expect("keeps queues"), "eight".parse().expect("id"));
        let line = queues.line(eight, &Line::new([1; 32], [2; 32])).expect("begins");
        assert_eq!(line, Line::new([1; 32], [2; 32]));
        assert_eq!(queues.line(eight, &Line::new([3; 32], [4; 32])).expect("reads"), line, "it has its secrets already");
        let place = |who: u8, network| QueuePlace { owner: Owner([who; 32]), network, came_at: now(), turn: None, left: false };
        let (anna, ben) = (place(1, Some(Network(u64::MAX))), place(2, None));
        let put = |rows: &mut dyn LineRows| -> Result<(), StoreError> {
            let mut line = rows.line()?;
            line.places = 2;
            line.drawn = Some(Drawn { from: now(), next: now() });
            rows.set_line(&line)?;
            rows.put(&anna)?;
            rows.put(&ben)
        };
        let failed = queues.work(eight, &mut |rows| {
            put(rows)?;
            Err(StoreError::Refused("no".into()))
        });
        assert!(matches!(failed, Err(CommitError::NotDone(_))), "{failed:?}");
        assert_eq!(queues.place(eight, anna.owner).expect("reads"), None);
        queues.work(eight, &mut |rows| put(rows)).expect("works");
        let after = Line { places: 2, drawn: Some(Drawn { from: now(), next: now() }), ..line };
        assert_eq!(queues.place(eight, anna.owner).expect("reads"), Some((after.clone(), anna)));
        let turn = now() + jiff::SignedDuration::from_micros(1);
        queues
            .work(eight, &mut |rows| {
                assert_eq!((rows.of_network(Network(u64::MAX), now())?, rows.of_network(Network(1), now())?), (1, 0));
                let waiting: std::collections::BTreeSet<Owner> = rows.without_turn()?.into_iter().collect();
                assert_eq!(waiting, [anna.owner, ben.owner].into());
                rows.set_turns(&[(ben.owner, turn)])?;
                assert_eq!(rows.place(ben.owner)?, Some(QueuePlace { turn: Some(turn), ..ben }));
                assert_eq!(rows.without_turn()?, [anna.owner]);
                assert!(rows.remove(anna.owner)? && !rows.remove(anna.owner)?);
                rows.put(&QueuePlace { network: Some(Network(1)), turn: Some(turn), left: true, ..ben })?;
                assert_eq!((rows.of_network(Network(1), now())?, rows.of_network(Network(1), turn)?), (1, 0));
                Ok(())
            })
            .expect("works");
        assert_eq!(queues.place(eight, anna.owner).expect("reads"), None);
        let ben = QueuePlace { network: Some(Network(1)), turn: Some(turn), left: true, ..ben };
        assert_eq!(queues.place(eight, ben.owner).expect("reads"), Some((after, ben)));
    }

    houses_that_are_saved_together_are_saved_both_or_neither(store) {
        let (changes, other) = ([placed(1, "A1")], [placed(2, "A2")]);
        let tomorrow = |seen| Save { screening: "tomorrow".parse().expect("id"), ..save(seen, &other, &[]) };
        let conflict = store.save_together(&[save(0, &changes, &[]), tomorrow(7)]).expect("answers");
        assert_eq!(conflict, Outcome::Conflict);
        assert_eq!(load(store).house.version, 0, "nothing of the first");
        let twice = [placed(3, "A3"), placed(4, "A3")];
        let broken = Save { screening: "tomorrow".parse().expect("id"), ..save(0, &twice, &[]) };
        let said = store.save_together(&[save(0, &changes, &[]), broken]).expect("answers");
        assert!(matches!(said, Outcome::Broken(_)), "{said:?}");
        assert_eq!(load(store).house.version, 0, "nothing of the first");
        assert_eq!(store.save_together(&[save(0, &changes, &[]), tomorrow(0)]).expect("saves"), Outcome::Saved);
        assert_eq!(load(store).house.version, 1);
    }

    one_bad_house_does_not_stop_the_others(store) {
        let good = [placed(1, "A1")];
        let bad = [placed(2, "A1"), placed(3, "A1")];
        let mut other = save(0, &good, &[]);
        other.screening = "tomorrow".parse().expect("id");
        let outcomes = store.save(&[save(0, &bad, &[]), other]).expect("answers");
        assert!(matches!(outcomes[..], [Outcome::Broken(_), Outcome::Saved]), "{outcomes:?}");
    }

    of_two_saves_of_a_house_in_one_batch_the_second_looks_again(store) {
        let (first, second) = ([placed(1, "A1")], [placed(2, "A2")]);
        let outcomes = store.save(&[save(0, &first, &[]), save(0, &second, &[])]).expect("saves");
        assert_eq!(outcomes, [Outcome::Saved, Outcome::Conflict]);
        assert_eq!((load(store).house.version, load(store).house.holds.len()), (1, 1));
    }

    a_waitlist_entry_is_kept_as_the_last_change_leaves_it(store) {
        let waiting = Entry {
            key: EntryKey(7),
            owner: Owner([7; 32]),
            network: Some(Network(3)),
            best: Best { count: 2, zones: vec!["std".parse().expect("id")], ..Best::default() },
            buyer: Some(Buyer { email: Some("anna@mail.example".into()), ..Buyer::default() }),
            created_at: now(),
            turn: 1,
            lapses: 0,
            passed_over: 1,
            passed_at: Some(now()),
            state: EntryState::Waiting,
        };
        let entries = |entries: Vec<Entry>| Changes { entries, ..Changes::default() };
        let answer = Answer { status: 201, body: Some("{}".into()) };
        let known = KnownKey { key: KeyPrint([1; 16]), said: BodyPrint([2; 16]), about: About::Entry(waiting.key) };
        let joined = [entries(vec![waiting.clone()])];
        store.save(&[save(0, &joined, &[NewAnswer { known, answer: answer.clone() }])]).expect("saves");
        assert_eq!((load(store).house.version, load(store).house.entries), (1, vec![waiting.clone()]));
        assert_eq!(load(store).keys, [known]);
        let found = store.answer("eight".parse().expect("id"), known.about, known.key).expect("reads");
        assert_eq!(found, Some(answer));
        let lapsed = Entry { turn: 2, lapses: 1, passed_over: 0, passed_at: None, ..waiting.clone() };
        let offered = Entry { state: EntryState::Offered(HoldKey(1)), ..lapsed.clone() };
        // Of several changes in one batch the last one stands.
        let changes = [entries(vec![lapsed]), placed(1, "A1"), entries(vec![offered.clone()])];
        store.save(&[save(1, &changes, &[])]).expect("saves");
        assert_eq!((load(store).house.entries, load(store).keys), (vec![offered], vec![known]));
    }

    an_answer_is_kept_with_its_effect(store) {
        let answer = Answer { status: 201, body: Some("{}".into()) };
        let known = KnownKey { key: KeyPrint([1; 16]), said: BodyPrint([2; 16]), about: About::Hold(HoldKey(1)) };
        store.save(&[save(0, &[placed(1, "A1")], &[NewAnswer { known, answer: answer.clone() }])]).expect("saves");
        assert_eq!(store.answer("eight".parse().expect("id"), About::Hold(HoldKey(1)), known.key).expect("reads"), Some(answer));
        assert_eq!(store.answer("eight".parse().expect("id"), About::Hold(HoldKey(1)), KeyPrint([3; 16])).expect("reads"), None);
        assert_eq!(store.answer("eight".parse().expect("id"), About::Hold(HoldKey(2)), known.key).expect("reads"), None);
        assert_eq!(load(store).keys, [known]);
        // Also when the hold is over: whoever lost the answer must not hold the same seats again.
        let released = (HoldKey(1), HoldState::Released { at: now() });
        let freed = load(store).house.claims;
        store.save(&[save(1, &[Changes { freed, moved: vec![released], ..Changes::default() }], &[])]).expect("saves");
        let after = load(store);
        assert_eq!((after.keys, after.house.holds.len()), (vec![known], 1));
    }

    states_of_holds_are_read_back(store) {
        store.save(&[save(0, &[placed(1, "A1")], &[])]).expect("saves");
        let released = HoldState::Released { at: now() };
        let moved = [Changes { moved: vec![(HoldKey(1), released.clone())], ..Changes::default() }];
        store.save(&[save(1, &moved, &[])]).expect("saves");
        let holds: Vec<Hold> = load(store).house.holds;
        assert_eq!(holds[0].state, released);
    }
}

#[test]
fn a_save_waits_for_whoever_writes_and_is_not_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open(folder.path()).expect("opens");
    store.edit(&bundle().check(now()).edits, now(), Layouts::Stay).expect("edits");
    let other = rusqlite::Connection::open(folder.path().join("cinema.sqlite")).expect("opens");
    other.execute_batch("BEGIN IMMEDIATE; UPDATE setting SET value = value").expect("writes");
    std::thread::scope(|scope| {
        let saving = scope.spawn(|| store.save(&[save(0, &[placed(1, "A1")], &[])]));
        std::thread::sleep(std::time::Duration::from_millis(200));
        other.execute_batch("COMMIT").expect("commits");
        // One that had read before it began to write would be refused: what it read is old by now.
        let saved = saving.join().expect("ends");
        assert_eq!(saved.expect("saves"), [Outcome::Saved]);
    });
}

#[test]
fn the_log_of_a_busy_store_begins_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open(folder.path()).expect("opens");
    store.edit(&bundle().check(now()).edits, now(), Layouts::Stay).expect("edits");
    let block = Claim::Block(Block { reason: BlockReason::House, until: None });
    let (taken, freed) = (vec![(Place(0), block)], vec![(Place(0), block)]);
    let take = [Changes { claimed: taken, ..Changes::default() }];
    let free = [Changes { freed, ..Changes::default() }];
    // An answer of 200 KB each: some 60 pages a commit, without a pause.
    let body = axum::body::Bytes::from(vec![b' '; 200_000]);
    let answer = Answer { status: 201, body: Some(body) };
    let known = KnownKey { key: KeyPrint([1; 16]), said: BodyPrint([2; 16]), about: About::Hold(HoldKey(1)) };
    store.save(&[save(0, &[placed(1, "A2")], &[])]).expect("saves");
    let extended = HoldState::Active { until: now() };
    for n in 0..1200_u64 {
        let mut changes = if n % 2 == 0 { take.clone() } else { free.clone() };
        changes[0].moved = vec![(HoldKey(1), extended.clone())];
        let new = NewAnswer { known, answer: answer.clone() };
        assert_eq!(store.save(&[save(n + 1, &changes, &[new])]).expect("saves"), [Outcome::Saved]);
    }
    let log = std::fs::metadata(folder.path().join("cinema.sqlite-wal")).expect("a log").len();
    assert!(log < 160 << 20, "240 MB were written, and the log has {} MB", log >> 20);
}

//! What can go wrong between a server and its PostgreSQL.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use admit_booking::{Block, BlockReason, Changes, Claim, HoldKey, Place, example};
use admit_server::clock::{Clock, ManualClock};
use admit_server::keys::KeyRing;
use admit_server::store::postgres::PostgresStore;
use admit_server::store::{Layouts, NewsOf, Outcome, SharedStore as _, StaffStore as _, Store as _, StoreError};
use jiff::Timestamp;

use crate::contract::{load, placed, save};
use crate::on::{self, skipped};
use crate::stage::{ANNA, BEN, NOON, Stage, bundle};

fn store(address: &str) -> PostgresStore {
    let store = on::postgres(address);
    let now = NOON.parse().expect("noon");
    store.edit(&bundle().check(now).edits, now, Layouts::Stay).expect("edits");
    store
}

/// What a wire between a server and its database does when a commit goes through it.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Wire {
    Whole,
    /// It breaks before the commit arrives.
    BreaksBefore,
    /// It breaks after the commit arrived, before anybody hears of it.
    BreaksAfter,
    /// It breaks for who sent it, and the commit arrives half a second later.
    Late,
    /// Nothing goes through.
    Down,
}

/// A wire that a test can break.
struct Cable {
    wire: Arc<AtomicU8>,
    address: String,
    commits_cut: Arc<AtomicUsize>,
    open: Arc<Mutex<Vec<(TcpStream, UnixStream)>>>,
}

impl Cable {
    /// To the database at this address, which is a socket in a folder.
    fn to(address: &str) -> Self {
        let (host, rest) =
            address.strip_prefix("postgres://admit@").and_then(|a| a.split_once('/')).expect("an address");
        let socket = format!("{}/.s.PGSQL.5432", host.replace("%2F", "/").replace("%25", "%"));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let cable = Self {
            wire: Arc::new(AtomicU8::new(Wire::Whole as u8)),
            address: format!("postgres://admit@127.0.0.1:{port}/{rest}"),
            commits_cut: Arc::default(),
            open: Arc::default(),
        };
        let (wire, cut, open) = (cable.wire.clone(), cable.commits_cut.clone(), cable.open.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if wire.load(Ordering::SeqCst) == Wire::Down as u8 {
                    continue;
                }
                let Ok(server) = UnixStream::connect(&socket) else { continue };
                let (Ok(c), Ok(s)) = (client.try_clone(), server.try_clone()) else { continue };
                open.lock().expect("not poisoned").push((c, s));
                carry(client, server, wire.clone(), cut.clone());
            }
        });
        cable
    }

    fn set(&self, wire: Wire) {
        self.wire.store(wire as u8, Ordering::SeqCst);
        if matches!(wire, Wire::Down) {
            for (client, server) in self.open.lock().expect("not poisoned").drain(..) {
                let _ = client.shutdown(std::net::Shutdown::Both);
                let _ = server.shutdown(std::net::Shutdown::Both);
            }
        }
    }
}

/// Carries bytes both ways, on two threads that end with the wire.
fn carry(client: TcpStream, server: UnixStream, wire: Arc<AtomicU8>, cut: Arc<AtomicUsize>) {
    let (Ok(mut from_server), Ok(mut to_client)) = (server.try_clone(), client.try_clone()) else { return };
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from_server, &mut to_client);
        let _ = to_client.shutdown(std::net::Shutdown::Both);
    });
    let (mut from_client, mut to_server) = (client, server);
    std::thread::spawn(move || {
        let (mut bytes, mut sent) = (vec![0; 64 * 1024], Vec::new());
        while let Ok(read @ 1..) = from_client.read(&mut bytes) {
            sent.extend_from_slice(&bytes[..read]);
            let says = |word: &[u8]| sent.windows(word.len()).any(|window| window == word);
            let commits = says(b"COMMIT\0");
            let now = wire.load(Ordering::SeqCst);
            // Nothing of a transaction is to arrive before all of it does.
            if now == Wire::Late as u8 && says(b"BEGIN\0") && !commits {
                continue;
            }
            let breaks = commits && now != Wire::Whole as u8;
            if breaks {
                cut.fetch_add(1, Ordering::SeqCst);
                wire.store(Wire::Whole as u8, Ordering::SeqCst);
                // Nobody hears what the server says to it.
                let _ = from_client.shutdown(std::net::Shutdown::Both);
            }
            if breaks && now == Wire::Late as u8 {
                std::thread::sleep(Duration::from_millis(500));
            }
            let swallowed = breaks && now == Wire::BreaksBefore as u8;
            if !swallowed && to_server.write_all(&sent).is_err() {
                break;
            }
            sent.clear();
            if breaks {
                // The server gets what was sent to it before the end.
                std::thread::sleep(Duration::from_millis(50));
                break;
            }
        }
        let _ = to_server.shutdown(std::net::Shutdown::Both);
    });
}

#[test]
fn a_commit_whose_end_nobody_heard_is_found() {
    if skipped("postgres::a_commit_whose_end_nobody_heard_is_found") {
        return;
    }
    let cable = Cable::to(&on::schema());
    let store = store(&cable.address);
    cable.set(Wire::BreaksAfter);
    assert_eq!(store.save(&[save(0, &[placed(1, "A1")], &[])]).expect("found"), [Outcome::Saved]);
    assert_eq!(cable.commits_cut.load(Ordering::SeqCst), 1, "the test cut nothing");
    assert_eq!(load(&store).house.version, 1);
    cable.set(Wire::BreaksBefore);
    let lost = store.save(&[save(1, &[placed(2, "A2")], &[])]);
    assert!(matches!(lost, Err(admit_server::store::CommitError::NotDone(_))), "{lost:?}");
    assert_eq!(cable.commits_cut.load(Ordering::SeqCst), 2, "the test cut nothing");
    // Whatever of it may still arrive finds another version than the one that it was decided on.
    assert_eq!((load(&store).house.version, load(&store).house.holds.len()), (2, 1));
    assert_eq!(store.save(&[save(1, &[placed(2, "A2")], &[])]).expect("answers"), [Outcome::Conflict]);
    assert_eq!(store.save(&[save(2, &[placed(2, "A2")], &[])]).expect("saves"), [Outcome::Saved]);
}

#[test]
fn a_commit_that_arrives_after_it_was_said_to_be_lost_commits_nothing() {
    if skipped("postgres::a_commit_that_arrives_after_it_was_said_to_be_lost_commits_nothing") {
        return;
    }
    let cable = Cable::to(&on::schema());
    let store = store(&cable.address);
    let programme = load(&store).programme;
    cable.set(Wire::Late);
    let lost = store.save_if_unchanged(&[save(0, &[placed(1, "A1")], &[])], programme);
    assert!(matches!(lost, Err(admit_server::store::CommitError::NotDone(_))), "{lost:?}");
    assert_eq!(cable.commits_cut.load(Ordering::SeqCst), 1, "the test cut nothing");
    std::thread::sleep(Duration::from_millis(800));
    assert_eq!((load(&store).house.version, load(&store).house.holds.len()), (1, 0));
    // Others hear of the step, and that nothing is in it.
    let prices = Arc::new(example::prices());
    let (_, news) = store.news(&[("eight".parse().expect("id"), 0)], &|_| Some(prices.clone())).expect("reads");
    let [Some(news)] = news.as_slice() else { panic!("{news:?}") };
    assert!(matches!(&news.what, NewsOf::Holds(holds) if holds.is_empty()), "{news:?}");
}

#[test]
fn what_was_decided_on_what_is_over_is_not_saved() {
    if skipped("postgres::what_was_decided_on_what_is_over_is_not_saved") {
        return;
    }
    let store = store(&on::schema());
    let programme = load(&store).programme;
    let decided = |seen, changes: &[Changes], programme| {
        store.save_if_unchanged(&[save(seen, changes, &[])], programme).expect("answers")
    };
    let first = placed(1, "A1");
    assert_eq!(decided(0, std::slice::from_ref(&first), programme), Some(vec![Outcome::Saved]));
    let is_as_it_was = || {
        let house = load(&store).house;
        assert_eq!((house.version, house.holds.len()), (1, 1));
        assert_eq!(house.claims, [(Place(0), Claim::Hold(HoldKey(1)))]);
    };
    let gone = Changes {
        freed: first.claimed.clone(),
        moved: vec![(HoldKey(1), admit_booking::HoldState::Released { at: NOON.parse().expect("noon") })],
        ..Changes::default()
    };
    // Another version, another programme, a seat that is somebody's, a hold that is freed by who saw it before it was placed.
    assert_eq!(decided(0, &[placed(2, "A2")], programme), None);
    is_as_it_was();
    assert_eq!(decided(1, &[placed(2, "A2")], programme + 1), None);
    is_as_it_was();
    assert_eq!(decided(1, &[placed(2, "A1")], programme), None);
    is_as_it_was();
    assert_eq!(decided(0, std::slice::from_ref(&gone), programme), None);
    is_as_it_was();
    let unknown = admit_server::store::Save { screening: "nobody".parse().expect("id"), ..save(0, &[], &[]) };
    assert_eq!(store.save_if_unchanged(&[unknown], programme).expect("answers"), None);
    assert_eq!(decided(1, &[gone], programme), Some(vec![Outcome::Saved]));
    assert_eq!(load(&store).house.claims, []);
}

#[test]
fn others_hear_of_holds_by_holds_and_of_the_rest_at_once() {
    if skipped("postgres::others_hear_of_holds_by_holds_and_of_the_rest_at_once") {
        return;
    }
    let store = store(&on::schema());
    let prices = Arc::new(example::prices());
    let news = |seen| {
        let (_, mut news) =
            store.news(&[("eight".parse().expect("id"), seen)], &|_| Some(prices.clone())).expect("reads");
        news.pop().expect("one house")
    };
    assert!(news(0).is_none());
    store.save(&[save(0, &[placed(1, "A1")], &[])]).expect("saves");
    store.save(&[save(1, &[placed(2, "A2")], &[])]).expect("saves");
    let since = |seen| match news(seen).expect("news").what {
        NewsOf::Holds(holds) => holds.into_iter().map(|(hold, _)| hold.key.0).collect::<Vec<_>>(),
        NewsOf::Everything => vec![],
    };
    assert_eq!((since(0), since(1)), (vec![1, 2], vec![2]));
    assert!(news(2).is_none());
    // A block beside a hold is more than holds.
    let mut both = placed(3, "A3");
    both.claimed.push((Place(3), Claim::Block(Block { reason: BlockReason::House, until: None })));
    store.save(&[save(2, &[both], &[])]).expect("saves");
    assert_eq!((since(0), since(2)), (vec![], vec![]));
    // Who saw a version that is not on record loads, too.
    assert!(news(99).is_some_and(|news| news.version == 3 && matches!(news.what, NewsOf::Everything)));
}

#[test]
fn what_comes_and_goes_in_one_batch_leaves_no_trace() {
    if skipped("postgres::what_comes_and_goes_in_one_batch_leaves_no_trace") {
        return;
    }
    let store = store(&on::schema());
    let first = placed(1, "A1");
    let gone = Changes {
        freed: first.claimed.clone(),
        moved: vec![(HoldKey(1), admit_booking::HoldState::Released { at: NOON.parse().expect("noon") })],
        ..Changes::default()
    };
    let changes = [first, gone, placed(2, "A1")];
    assert_eq!(store.save(&[save(0, &changes, &[])]).expect("saves"), [Outcome::Saved]);
    let house = load(&store).house;
    assert_eq!(house.claims, [(Place(0), Claim::Hold(HoldKey(2)))]);
    assert_eq!(house.holds.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_gone_for_a_while_is_a_busy_server_and_then_all_is_as_before() {
    if skipped("postgres::a_database_that_is_gone_for_a_while_is_a_busy_server_and_then_all_is_as_before") {
        return;
    }
    let cable = Cable::to(&on::schema());
    let now = NOON.parse().expect("noon");
    let (keys, _) = KeyRing::generate(now).expect("randomness");
    let folder = tempfile::tempdir().expect("a folder");
    let s = Stage::with(Arc::new(store(&cable.address)), Arc::new(ManualClock::new(now)), keys, folder);
    let hold = s.hold(ANNA, &["A1"]).await;
    assert_eq!(hold.status, 201);
    cable.set(Wire::Down);
    for n in 0..3 {
        let said = s.hold(BEN, &["A2"]).await;
        assert_eq!(said.status.as_u16(), 503, "{}", said.body);
        assert!(said.headers.contains_key("retry-after"));
        // The first may have gone out on the connection that was just lost.
        let unknown = n == 0 && said.code() == "outcome_unknown";
        assert!(unknown || said.code() == "busy", "{}", said.body);
        assert!(
            unknown || said.body["detail"].as_str().is_some_and(|why| why.contains("cannot be reached")),
            "{}",
            said.body
        );
        let seats = s.get(ANNA, "/v1/screenings/eight/seats").await;
        assert_eq!(seats.status, 503, "nobody is shown what may not be so any more");
    }
    cable.set(Wire::Whole);
    assert_eq!(s.hold(BEN, &["A2"]).await.status, 201);
    assert_eq!(s.book(ANNA, &hold, 1050).await.status, 201);
}

#[derive(Debug)]
struct WrongClock;

impl Clock for WrongClock {
    fn now(&self) -> Timestamp {
        admit_protocol::time::after(Timestamp::now(), 60)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_whose_clock_is_a_minute_off_sells_nothing() {
    if skipped("postgres::a_process_whose_clock_is_a_minute_off_sells_nothing") {
        return;
    }
    let store = Arc::new(on::postgres(&on::schema()));
    store.edit(&bundle().check(Timestamp::now()).edits, Timestamp::now(), Layouts::Stay).expect("edits");
    let (keys, _) = KeyRing::generate(Timestamp::now()).expect("randomness");
    let folder = tempfile::tempdir().expect("a folder");
    let s = Stage::with_clock(store, Arc::new(WrongClock), keys, folder);
    let wish = serde_json::json!({"seats": [{"seat": "A1"}]});
    let hold = || s.post(ANNA, "/v1/screenings/tomorrow/holds", &wish);
    // It is noticed within the first look.
    let mut said = hold().await;
    for _ in 0..100 {
        if said.status == 503 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        said = hold().await;
    }
    assert_eq!(said.status, 503, "{}", said.body);
    assert!(said.body["detail"].as_str().is_some_and(|why| why.contains("clock")), "{}", said.body);
}

#[test]
fn an_address_that_leads_nowhere_is_said() {
    let error = |address: &str| match PostgresStore::open(address) {
        Ok(_) => panic!("{address} was opened"),
        Err(error) => error.to_string(),
    };
    assert!(error("postgres://admit@127.0.0.1:1/cinema").starts_with("connecting to PostgreSQL: "));
    assert!(error("no address").starts_with("reading the database's address: "));
    let refused = PostgresStore::open("postgres://admit@db.example/cinema?sslmode=require");
    assert!(matches!(refused, Err(StoreError::Refused(why)) if why.contains("not encrypted yet")));
}

//! What happens around a commit: nobody is told before it, and nobody is told a lie about it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use admit_booking::Prices;
use admit_protocol::digest::ContentName;
use admit_protocol::id::ScreeningId;
use admit_protocol::origin::{Origin, OriginPolicy};
use admit_server::Cinema;
use admit_server::store::{About, Answer, CommitError, KeyPrint, Listing, Loaded, Outcome, Save, Store, StoreError};
use serde_json::json;

use crate::stage::{ANNA, BEN, Stage};

/// A store that does as it is told around saving.
struct Faulty {
    inner: Arc<dyn Store>,
    fault: Mutex<Fault>,
    saves: AtomicUsize,
}

enum Fault {
    None,
    /// Saves only when somebody lets it.
    Wait(mpsc::Receiver<()>),
    /// Saves, and then says that it does not know.
    Lost,
    /// Does not save, and says so.
    Full,
    /// Somebody else was faster, this often.
    Conflicts(usize),
}

impl Store for Faulty {
    fn catalogue(&self) -> Result<Listing, StoreError> {
        self.inner.catalogue()
    }
    fn load(
        &self,
        screening: ScreeningId,
        prices: &dyn Fn(ContentName) -> Option<Arc<Prices>>,
    ) -> Result<Loaded, StoreError> {
        self.inner.load(screening, prices)
    }
    fn answer(&self, screening: ScreeningId, about: About, key: KeyPrint) -> Result<Option<Answer>, StoreError> {
        self.inner.answer(screening, about, key)
    }
    fn save(&self, batch: &[Save<'_>]) -> Result<Vec<Outcome>, CommitError> {
        self.saves.fetch_add(1, Ordering::SeqCst);
        let error = || StoreError::Refused("a fault of the test".into());
        let mut fault = self.fault.lock().expect("not poisoned");
        match &mut *fault {
            Fault::None => {}
            Fault::Wait(go) => go.recv().expect("somebody lets it go"),
            Fault::Lost => {
                self.inner.save(batch)?;
                return Err(CommitError::Unknown(error()));
            }
            Fault::Full => return Err(CommitError::NotDone(error())),
            Fault::Conflicts(0) => {}
            Fault::Conflicts(left) => {
                *left -= 1;
                return Ok(batch.iter().map(|_| Outcome::Conflict).collect());
            }
        }
        self.inner.save(batch)
    }
}

struct Scene {
    stage: Stage,
    faulty: Arc<Faulty>,
    poisoned: Arc<AtomicBool>,
}

fn scene(fault: Fault) -> Scene {
    let mut stage = Stage::new();
    let faulty = Arc::new(Faulty { inner: stage.store.clone(), fault: Mutex::new(fault), saves: AtomicUsize::new(0) });
    let poisoned = Arc::new(AtomicBool::new(false));
    let told = poisoned.clone();
    stage.cinema = Cinema::builder(Origin::parse("https://kino.example", OriginPolicy::Public).expect("origin"))
        .operator(
            admit_protocol::text::Texts::one("en", "Kino").expect("text"),
            admit_protocol::manifest::Contact { email: "a@kino.example".into(), website: None },
        )
        .keys(stage.keys.clone())
        .shared_store(faulty.clone())
        .clock(stage.clock.clone())
        .on_poisoned(move || told.store(true, Ordering::SeqCst))
        .build()
        .expect("builds");
    stage.router = stage.cinema.router();
    Scene { stage, faulty, poisoned }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_told_and_nobody_sees_it_before_it_is_on_disk() {
    let (go, wait) = mpsc::channel();
    let scene = Arc::new(scene(Fault::Wait(wait)));
    let asked = scene.clone();
    let hold = tokio::spawn(async move { asked.stage.hold(ANNA, &["A1"]).await });
    while scene.faulty.saves.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!hold.is_finished(), "D1: an answer before the commit");
    assert_eq!(scene.stage.seats().await["not_free"], json!({}), "what is not committed is not shown");
    go.send(()).expect("the store waits");
    assert_eq!(hold.await.expect("runs").status, 201);
    assert_eq!(scene.stage.seats().await["not_free"], json!({"held": ["A1"]}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_that_rests_on_something_uncommitted_waits_for_it() {
    let (go, wait) = mpsc::channel();
    let scene = Arc::new(scene(Fault::Wait(wait)));
    // Something to be saved keeps the writer busy, so that the two rivals meet in one batch.
    let spawn = |secret: &'static str, seats: &'static [&'static str]| {
        let scene = scene.clone();
        tokio::spawn(async move { scene.stage.hold(secret, seats).await })
    };
    let first = spawn(ANNA, &["A1"]);
    while scene.faulty.saves.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let rivals = [spawn(ANNA, &["A2"]), spawn(BEN, &["A2"])];
    tokio::time::sleep(Duration::from_millis(50)).await;
    go.send(()).expect("the store waits");
    assert_eq!(first.await.expect("runs").status, 201);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(rivals.iter().all(|r| !r.is_finished()), "the loser's answer rests on the winner's commit");
    go.send(()).expect("the store waits");
    let mut codes = Vec::new();
    for rival in rivals {
        codes.push(rival.await.expect("runs").code());
    }
    codes.sort();
    assert_eq!(codes, ["201", "seats_taken"]);
}

#[tokio::test]
async fn an_unknown_outcome_is_said_to_be_unknown_and_nothing_is_sold_any_more() {
    let scene = scene(Fault::Lost);
    let wish = json!({"seats": [{"seat": "A1"}]});
    let said = scene.stage.post_with_key(ANNA, "/v1/screenings/eight/holds", "k", &wish).await;
    assert_eq!((said.status.as_u16(), said.code().as_str()), (503, "outcome_unknown"));
    assert!(said.headers.contains_key("retry-after"));
    assert!(scene.poisoned.load(Ordering::SeqCst) && scene.stage.cinema.is_poisoned());
    assert_eq!(scene.stage.hold(BEN, &["A2"]).await.code(), "outcome_unknown");
    // After a restart the same key tells: it was done.
    let Scene { stage, faulty, .. } = scene;
    let Stage { clock, keys, folder, cinema, router, .. } = stage;
    drop((cinema, router));
    let again = Stage::with(faulty.inner.clone(), clock, keys, folder);
    let said = again.post_with_key(ANNA, "/v1/screenings/eight/holds", "k", &wish).await;
    assert_eq!(
        (said.status.as_u16(), &said.headers["idempotent-replayed"]),
        (201, &http::HeaderValue::from_static("true"))
    );
}

#[tokio::test]
async fn what_was_not_saved_is_a_busy_server_and_can_be_asked_again() {
    let scene = scene(Fault::Full);
    let wish = json!({"seats": [{"seat": "A1"}]});
    let said = scene.stage.post_with_key(ANNA, "/v1/screenings/eight/holds", "k", &wish).await;
    assert_eq!((said.status.as_u16(), said.code().as_str()), (503, "busy"));
    assert!(!scene.poisoned.load(Ordering::SeqCst));
    *scene.faulty.fault.lock().expect("not poisoned") = Fault::None;
    let said = scene.stage.post_with_key(ANNA, "/v1/screenings/eight/holds", "k", &wish).await;
    assert_eq!((said.status.as_u16(), said.headers.contains_key("idempotent-replayed")), (201, false));
}

#[tokio::test]
async fn who_meets_somebody_elses_save_decides_again_a_few_times() {
    let patient = scene(Fault::Conflicts(5));
    assert_eq!(patient.stage.hold(ANNA, &["A1"]).await.status, 201);
    let hopeless = scene(Fault::Conflicts(usize::MAX));
    assert_eq!(hopeless.stage.hold(ANNA, &["A1"]).await.code(), "busy");
}

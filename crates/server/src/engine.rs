//! Everybody who wants something of a house waits in one queue; one writer decides, saves and answers.
//!
//! The loop holds no rule. It takes what is waiting, in order of arrival, decides each command on the house as the commands
//! before it left it, saves what changed in one durable commit, and only then answers. Who loses by what is already
//! committed hears at once, from memory. `spec/rationale.md` says why.

mod batch;
mod exchange;
mod follower;
mod queue;
mod resident;
mod writer;

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::time::Duration;

use admit_booking::{Command, House, Prices, Refusal, Terms};
use admit_http::listen::Stopping;
use admit_protocol::digest::ContentName;
use admit_protocol::id::ScreeningId;
use axum::body::Bytes;
use tokio::sync::{OnceCell, SetError, oneshot};

use self::exchange::ExchangeJob;
pub(crate) use self::exchange::Exchanging;
use self::follower::{Ask, Follower};
use self::queue::QueueJob;
pub(crate) use self::queue::Standing;
pub(crate) use self::resident::Resident;
use crate::answers::Subject;
use crate::cinema::Cinema;
use crate::clock::Clock;
use crate::live::Live;
use crate::store::{Answer, BodyPrint, KeyPrint, KnownKey, Store, StoreError};

/// Commands waiting for the writer. At ten thousand commands a second this is a tenth of a second of work; whoever comes
/// on top is told to come again.
const QUEUE_MAX: usize = 1024;

/// Memory for houses, in MiB, before those that nobody used for longest are put away, if nothing else is said: a hundred thousand
/// bookings.
pub(crate) const HOUSES_MB: usize = 192;

/// So long after another process saved last, this one takes itself to be the only one that sells, in milliseconds: more than clocks of
/// two processes may be apart.
const ALONE_AFTER_MS: i64 = 1500;

/// The seats of one server.
pub(crate) struct Engine {
    shared: Arc<Shared>,
    queue: mpsc::SyncSender<Message>,
    /// Asks something of queues of people.
    lines: mpsc::SyncSender<QueueJob>,
    /// Asks whether a house is as it is in memory; nobody is asked where no other process sells.
    follower: Option<mpsc::SyncSender<Ask>>,
    /// How many calls of the store run beside the writer.
    reads: tokio::sync::Semaphore,
}

/// What the writer and the callers both use.
struct Shared {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    answers: crate::answers::Answers,
    terms: Box<dyn TermsSource>,
    houses: Mutex<HashMap<ScreeningId, Arc<OnceCell<Arc<Resident>>>>>,
    /// Houses that somebody watched, or in which somebody waited, when they were looked at last: few of all.
    followed: Mutex<HashMap<ScreeningId, Weak<Resident>>>,
    /// How much memory houses take, about, and how much they may take, in bytes.
    weight: AtomicUsize,
    houses_bytes: usize,
    /// Set when a commit's outcome is not known: nothing is decided any more until a restart.
    poisoned: AtomicBool,
    /// When another process last saved a house that is in memory here, as far as is known, in milliseconds.
    others_saved: AtomicI64,
    /// Set while this machine's clock is too far from the store's.
    clock_is_wrong: AtomicBool,
    /// What passes of queues are made with, as far as they were asked for.
    pass_keys: Mutex<HashMap<ScreeningId, [u8; 32]>>,
    on_poisoned: Box<dyn Fn() + Send + Sync>,
}

/// Where the engine learns what a screening sells.
pub(crate) trait TermsSource: Send + Sync + 'static {
    /// The terms of a screening, if there is one.
    fn terms(&self, screening: ScreeningId) -> Option<Arc<Terms>>;
    /// A price table that some hold is pinned to.
    fn prices(&self, name: ContentName) -> Option<Arc<Prices>>;
    /// The number of the programme that is in memory.
    fn programme(&self) -> u64;
    /// Reads the programme again, if it is older than this one.
    fn keep_up(&self, programme: u64) -> Result<(), StoreError>;
}

/// Something for the writer to do.
enum Message {
    /// A command.
    Job(Box<Job>),
    /// Tickets of one house are to be given for seats of another.
    Exchange(Box<ExchangeJob>),
    /// A house was loaded: wake up for it.
    Watch(Arc<Resident>),
}

/// A command that waits, and who waits for it.
struct Job {
    resident: Arc<Resident>,
    /// Nothing: only let time pass.
    request: Option<Request>,
    reply: oneshot::Sender<Result<Done, Failed>>,
    /// How often it met somebody else's save, or was decided on what may be over. Such a one is decided while nobody else can save.
    conflicts: u8,
}

/// A command with everything that is recorded about it.
pub(crate) struct Request {
    /// What is asked.
    pub(crate) command: Command,
    /// Who asks, for the audit trail.
    pub(crate) by: String,
    /// The request's key, if it had one.
    pub(crate) key: Option<Key>,
    /// What the answer is about.
    pub(crate) subject: Subject,
}

/// An idempotency key in its scope, and what the request said.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    pub(crate) print: KeyPrint,
    pub(crate) body: BodyPrint,
}

/// What was done.
#[derive(Debug, Clone)]
pub(crate) struct Done {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
    pub(crate) replayed: bool,
}

/// Why something was not done, or may not have been.
#[derive(Debug)]
pub(crate) enum Failed {
    /// By the rules. The number is the house version that this rests on.
    Refused(Refusal, u64),
    /// By the rules, whatever the house is like.
    Ruled(Refusal),
    /// There is no such screening.
    NoScreening,
    /// The store cannot save two houses together.
    OneHouseAtATime,
    /// The key was used for another request.
    KeyReused,
    /// The house changed under us: look again.
    Again,
    /// Too much is waiting.
    Busy,
    /// The store cannot be had just now.
    NoStore,
    /// This machine's clock is not the store's.
    ClockIsWrong,
    /// The commit may have happened or not.
    OutcomeUnknown,
    /// The store failed, or this house is out of order.
    Store(StoreError),
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Engine {
    /// Starts the writer.
    pub(crate) fn start(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        answers: crate::answers::Answers,
        terms: Box<dyn TermsSource>,
        houses_mb: usize,
        on_poisoned: Box<dyn Fn() + Send + Sync>,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            store,
            clock,
            answers,
            terms,
            houses: Mutex::default(),
            followed: Mutex::default(),
            weight: AtomicUsize::new(0),
            houses_bytes: houses_mb << 20,
            poisoned: AtomicBool::new(false),
            others_saved: AtomicI64::new(i64::MIN),
            clock_is_wrong: AtomicBool::new(false),
            pass_keys: Mutex::default(),
            on_poisoned,
        });
        let follower = shared.store.shared().is_some().then(|| {
            let (asks, asked) = mpsc::sync_channel(QUEUE_MAX);
            let follower = Follower::new(shared.clone(), asked);
            std::thread::Builder::new().name("admit-follower".into()).spawn(move || follower.run())?;
            Ok::<_, std::io::Error>(asks)
        });
        let follower = follower.transpose()?;
        let (queue, jobs) = mpsc::sync_channel(QUEUE_MAX);
        let writer = writer::Writer::new(shared.clone(), jobs);
        std::thread::Builder::new().name("admit-writer".into()).spawn(move || writer.run())?;
        let (lines, asked) = mpsc::sync_channel(QUEUE_MAX);
        let worker = shared.clone();
        std::thread::Builder::new().name("admit-queues".into()).spawn(move || worker.work_on_queues(&asked))?;
        Ok(Self { shared, queue, lines, follower, reads: tokio::sync::Semaphore::new(8) })
    }

    /// The house of a screening, loaded once however many ask for it.
    pub(crate) async fn resident(&self, screening: ScreeningId) -> Result<Arc<Resident>, Failed> {
        let known = self.houses().get(&screening).cloned();
        let cell = match known {
            Some(cell) => cell,
            // Only screenings that there are get a place in memory. Another process may just have put it in.
            None if self.shared.terms.terms(screening).is_none() && !self.is_new(screening).await? => {
                return Err(Failed::NoScreening);
            }
            None => self.houses().entry(screening).or_default().clone(),
        };
        let resident = cell.get_or_try_init(|| self.load(screening)).await?.clone();
        resident.touch();
        Ok(resident)
    }

    async fn load(&self, screening: ScreeningId) -> Result<Arc<Resident>, Failed> {
        let shared = self.shared.clone();
        let resident = self.blocking(move || Ok(Arc::new(shared.load(screening)?))).await?;
        self.shared.make_room(resident.weight());
        self.shared.follow_line(&resident);
        // Correctness needs no timer (H4): if the queue is full now, the next command does what is due.
        let _ = self.queue.try_send(Message::Watch(resident.clone()));
        Ok(resident)
    }

    /// Decides, saves and answers. Dropping the future changes nothing: the command runs to its end.
    pub(crate) async fn execute(&self, screening: ScreeningId, request: Request) -> Result<Done, Failed> {
        if self.shared.clock_is_wrong.load(Ordering::Acquire) {
            return Err(Failed::ClockIsWrong);
        }
        let resident = self.resident(screening).await?;
        let (key, subject) = (request.key, request.subject);
        let mut early = resident.refuse_at_once(&request, &*self.shared.clock)?;
        if let (Some(Early::Refused(..)), Some(_)) = (&early, &self.follower) {
            // What is in memory may be over elsewhere: nobody hears no because of that.
            self.look(&resident).await?;
            early = resident.refuse_at_once(&request, &*self.shared.clock)?;
        }
        match early {
            Some(Early::Replay(known)) => return self.replay(&resident, known, subject).await,
            Some(Early::Refused(refusal, seq)) => return Err(Failed::Refused(refusal, seq)),
            None => {}
        }
        match self.enqueue(resident.clone(), Some(request)).await {
            // The same request was committed between our look and the writer's.
            Err(Failed::Again) => match key.and_then(|key| resident.known(&key)) {
                Some(known) => self.replay(&resident, known, subject).await,
                None => Err(Failed::Busy),
            },
            other => other,
        }
    }

    /// Its watchers, as long as there are some; they hear of what other processes save, too.
    pub(crate) fn watch(&self, resident: &Arc<Resident>, cinema: &Cinema, stopping: Option<Stopping>) -> Arc<Live> {
        let live = resident.live(cinema, stopping);
        self.shared.follow(resident);
        live
    }

    /// Refuses a key whose request had an effect here: what it comes with now is something else.
    pub(crate) async fn refuse_known_key(&self, screening: ScreeningId, key: &Key) -> Result<(), Failed> {
        let Ok(resident) = self.resident(screening).await else { return Ok(()) };
        self.look(&resident).await?;
        resident.known(key).map_or(Ok(()), |_| Err(Failed::KeyReused))
    }

    /// Takes over what other processes saved, and makes everything true that is due by now, so that what is read next is so, and shows
    /// no lapsed hold.
    pub(crate) async fn settle(&self, screening: ScreeningId) -> Result<Arc<Resident>, Failed> {
        let resident = self.resident(screening).await?;
        self.look(&resident).await?;
        if resident.is_due(self.shared.clock.now()) {
            self.enqueue(resident.clone(), None).await?;
        }
        Ok(resident)
    }

    /// Waits until a house is as it was saved last, by whom ever, when this was asked.
    async fn look(&self, resident: &Arc<Resident>) -> Result<(), Failed> {
        let Some(follower) = &self.follower else { return Ok(()) };
        let (reply, answer) = oneshot::channel();
        follower.try_send(Ask { resident: resident.clone(), reply }).map_err(|_| Failed::Busy)?;
        answer.await.unwrap_or(Err(Failed::Busy))
    }

    /// Whether a screening that this process does not know is in the programme in force.
    async fn is_new(&self, screening: ScreeningId) -> Result<bool, Failed> {
        Ok(self.follower.is_some() && self.terms(screening).await?.is_some())
    }

    /// What a screening sells by the programme in force, also where another process changed that.
    pub(crate) async fn terms(&self, screening: ScreeningId) -> Result<Option<Arc<Terms>>, Failed> {
        let shared = self.shared.clone();
        if self.follower.is_some() {
            let ours = shared.clone();
            let keep_up = move || {
                if let Some(store) = ours.store.shared() {
                    let (programme, _) = store.news(&[], &|_| None)?;
                    ours.terms.keep_up(programme)?;
                }
                Ok(())
            };
            self.blocking(keep_up).await?;
        }
        Ok(shared.terms.terms(screening))
    }

    async fn enqueue(&self, resident: Arc<Resident>, request: Option<Request>) -> Result<Done, Failed> {
        if self.shared.poisoned.load(Ordering::Acquire) {
            return Err(Failed::OutcomeUnknown);
        }
        if self.shared.clock_is_wrong.load(Ordering::Acquire) {
            return Err(Failed::ClockIsWrong);
        }
        let (reply, answer) = oneshot::channel();
        let job = Job { resident, request, reply, conflicts: 0 };
        self.queue.try_send(Message::Job(Box::new(job))).map_err(|_| Failed::Busy)?;
        // The writer answers every job, or is gone with its outcome.
        answer.await.unwrap_or(Err(Failed::OutcomeUnknown))
    }

    /// The answer that this key got before: byte for byte, or, after a day, as things are now.
    async fn replay(&self, resident: &Resident, known: KnownKey, subject: Subject) -> Result<Done, Failed> {
        let KnownKey { key, about, .. } = known;
        let shared = self.shared.clone();
        let screening = resident.screening();
        let found = self.blocking(move || Ok(shared.store.answer(screening, about, key)?)).await?;
        let Some(Answer { status, body }) = found else { return Err(Failed::Busy) };
        let body = body.unwrap_or_else(|| resident.read(|house| self.shared.answers.now(house, subject, about)));
        Ok(Done { status, body, replayed: true })
    }

    /// Reads from the store where waiting for it holds nobody up: a few at a time.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        run: impl FnOnce() -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, Failed> {
        let _permit = self.reads.acquire().await.map_err(|_| Failed::Busy)?;
        // A store that panics has lost the answer, not the data.
        tokio::task::spawn_blocking(run).await.unwrap_or(Err(Failed::Busy))
    }

    /// Whether a commit's outcome is unknown, so that nothing is sold until a restart.
    pub(crate) fn is_poisoned(&self) -> bool {
        self.shared.poisoned.load(Ordering::Acquire)
    }

    fn houses(&self) -> std::sync::MutexGuard<'_, HashMap<ScreeningId, Arc<OnceCell<Arc<Resident>>>>> {
        self.shared.houses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What can be said without the writer.
enum Early {
    /// The key had its effect before.
    Replay(KnownKey),
    /// By what is committed.
    Refused(Refusal, u64),
}

impl Shared {
    /// Another process saved a house at this time.
    fn others_saved(&self, at: jiff::Timestamp) {
        self.others_saved.fetch_max(at.as_millisecond(), Ordering::AcqRel);
    }

    /// Whether a house is most likely as it is in memory: it was looked at since others saved last, a while later. Whoever decides on
    /// what is over decides in vain.
    fn is_likely_current(&self, resident: &Resident) -> bool {
        let others = self.others_saved.load(Ordering::Acquire);
        others == i64::MIN || resident.current_at() > others.saturating_add(ALONE_AFTER_MS)
    }

    fn load(&self, screening: ScreeningId) -> Result<Resident, Failed> {
        let began = self.clock.now();
        let mut loaded = self.store.load(screening, &|name| self.terms.prices(name));
        if loaded.is_err() && self.store.shared().is_some() {
            // It may rest on prices that another process just put in.
            self.terms.keep_up(u64::MAX)?;
            loaded = self.store.load(screening, &|name| self.terms.prices(name));
        }
        let loaded = loaded?;
        // Its terms are those of the programme that it was read with.
        self.terms.keep_up(loaded.programme)?;
        let terms = self.terms.terms(screening).ok_or(Failed::NoScreening)?;
        let house = House::restore(terms, loaded.house);
        let bad = |broken: admit_booking::Broken| StoreError::BadRow {
            table: "house",
            row: screening.to_string(),
            why: broken.to_string(),
        };
        Ok(Resident::new(screening, house.map_err(bad)?, loaded.keys, began))
    }

    /// Every house in which somebody waits: loaded, to stay.
    fn lines(&self) -> Vec<Arc<Resident>> {
        let lines = self.store.lines().unwrap_or_else(|error| {
            tracing::error!(%error, "who waits could not be read: houses are looked at when somebody asks for them");
            Vec::new()
        });
        let load = |screening: ScreeningId| {
            let cell = self.houses.lock().unwrap_or_else(PoisonError::into_inner).entry(screening).or_default().clone();
            if cell.get().is_none() {
                let mut fresh = match self.load(screening) {
                    Ok(resident) => Arc::new(resident),
                    Err(error) => {
                        tracing::error!(%screening, ?error, "a house in which somebody waits could not be loaded");
                        return None;
                    }
                };
                // Somebody may ask for it at this moment: whichever is there first is the one.
                while let Err(SetError::InitializingError(again)) = cell.set(fresh) {
                    fresh = again;
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            cell.get().cloned()
        };
        lines.into_iter().filter_map(load).inspect(|resident| self.follow_line(resident)).collect()
    }

    /// Takes over a house as it was saved last.
    fn load_again(&self, resident: &Resident) -> Result<(), Failed> {
        let fresh = self.load(resident.screening())?;
        resident.replace(fresh);
        Ok(())
    }

    /// Why a house could not be read: a screening that was taken out is no more, and its house leaves the memory.
    fn why_unread(&self, screening: ScreeningId) -> Failed {
        if self.terms.terms(screening).is_some() {
            return Failed::NoStore;
        }
        self.houses.lock().unwrap_or_else(PoisonError::into_inner).remove(&screening);
        Failed::NoScreening
    }

    /// What other processes save of this house is to be seen here without being asked for, as long as somebody watches it or waits in it.
    fn follow(&self, resident: &Arc<Resident>) {
        if self.store.shared().is_some() {
            let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
            followed.insert(resident.screening(), Arc::downgrade(resident));
        }
    }

    fn follow_line(&self, resident: &Arc<Resident>) {
        if resident.has_line() {
            self.follow(resident);
        }
    }

    /// Houses that somebody watches, or in which somebody waits. Looking at all houses, twenty times a second, would keep everybody waiting.
    fn watched(&self) -> Vec<(ScreeningId, Arc<Resident>)> {
        let mut watched = Vec::new();
        self.followed.lock().unwrap_or_else(PoisonError::into_inner).retain(|id, known| {
            let resident = known.upgrade().filter(|resident| resident.is_watched() || resident.has_line());
            watched.extend(resident.iter().map(|resident| (*id, resident.clone())));
            resident.is_some()
        });
        watched
    }

    /// Puts away houses that nobody used for longest, until a new one of this weight has room. A house that somebody
    /// works with right now stays. Of those that were used in the same minute chance decides: in order of their use, somebody who goes
    /// round all of them would find each one gone.
    fn make_room(&self, weight: usize) {
        let total = self.weight.fetch_add(weight, Ordering::Relaxed) + weight;
        if total <= self.houses_bytes {
            return;
        }
        let mut houses = self.houses.lock().unwrap_or_else(PoisonError::into_inner);
        // Cells are only cloned under this lock, so a count of one stays one.
        let idle = houses.iter().filter(|(_, cell)| Arc::strong_count(cell) == 1);
        let chance = std::hash::RandomState::new();
        let mut idle: Vec<(u64, u64, ScreeningId, usize)> = idle
            .filter_map(|(id, cell)| {
                // Where somebody waits, time must be let pass.
                let resident = cell.get().filter(|r| Arc::strong_count(r) == 1 && !r.has_line())?;
                Some((resident.last_used(), chance.hash_one(id), *id, resident.weight()))
            })
            .collect();
        idle.sort_unstable();
        let mut excess = total - self.houses_bytes / 8 * 7;
        for (_, _, id, weight) in idle {
            if excess == 0 {
                break;
            }
            houses.remove(&id);
            self.weight.fetch_sub(weight, Ordering::Relaxed);
            excess = excess.saturating_sub(weight);
        }
    }

    fn poison(&self) {
        if !self.poisoned.swap(true, Ordering::AcqRel) {
            (self.on_poisoned)();
        }
    }
}

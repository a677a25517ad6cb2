//! A cinema's server: put together by a builder, used through its router.

mod manifest;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use admit_booking::{Prices, Terms};
use admit_outbound::Courier;
use admit_protocol::digest::ContentName;
use admit_protocol::id::ScreeningId;
use admit_protocol::manifest::{Contact, MOVES_MAX};
use admit_protocol::origin::Origin;
use admit_protocol::text::Texts;
use axum::Router;
use jiff::Timestamp;

use self::manifest::Published;
use crate::answers::Answers;
use crate::catalogue::{Catalogue, HouseRules};
use crate::clock::{Clock, SystemClock};
use crate::engine::{Engine, TermsSource};
use crate::keys::KeyRing;
use crate::store::{OutboxStore, Store, StoreError, TrailStore};

/// A cinema's server. Cheap to clone; all clones are the same server.
#[derive(Clone)]
pub struct Cinema(Arc<Inner>);

struct Inner {
    origin: Origin,
    moved_from: BTreeSet<Origin>,
    api_base: String,
    operator: Texts,
    contact: Contact,
    keys: RwLock<Arc<KeyRing>>,
    programme: Arc<ProgrammeSource>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    engine: Engine,
    answers: Answers,
    /// The manifest that was published last.
    manifest: Mutex<Option<Published>>,
    limits_by_network: bool,
    /// Whether it gives receipts.
    receipts: bool,
    /// Who brings notifications, if anybody does.
    courier: Option<Courier>,
    /// Whether a suite moves its clock.
    test_control: bool,
}

/// The catalogue that is in force, for routes and for the engine.
struct ProgrammeSource {
    store: Arc<dyn Store>,
    catalogue: RwLock<Arc<Catalogue>>,
    /// Held while the programme is read: what is read later is newer.
    reading: Mutex<()>,
    rules: HouseRules,
}

impl ProgrammeSource {
    fn current(&self) -> Arc<Catalogue> {
        self.catalogue.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the programme again. Says which screenings that were there before are different now.
    fn reload(&self) -> Result<Vec<ScreeningId>, StoreError> {
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.current();
        let now = Arc::new(Catalogue::new(self.store.catalogue()?, Some(&before))?);
        *self.catalogue.write().unwrap_or_else(PoisonError::into_inner) = now.clone();
        let changed = |id: &ScreeningId| before.screening(*id).is_some_and(|b| Some(b) != now.screening(*id));
        Ok(now.screenings.keys().copied().filter(changed).collect())
    }
}

impl TermsSource for Arc<ProgrammeSource> {
    fn terms(&self, screening: ScreeningId) -> Option<Arc<Terms>> {
        self.current().terms(screening, &self.rules).map(Arc::new)
    }

    fn prices(&self, name: ContentName) -> Option<Arc<Prices>> {
        self.current().prices(name)
    }

    fn programme(&self) -> u64 {
        self.current().programme
    }

    fn keep_up(&self, programme: u64) -> Result<(), StoreError> {
        if self.current().programme < programme { self.reload().map(drop) } else { Ok(()) }
    }
}

/// Why a server was not built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A public server speaks https.
    #[error("{0} is a development address: call `.development()` to serve it on this machine only")]
    NotPublic(Origin),
    /// Something that a server cannot do without was not given.
    #[error("a server needs {0}")]
    Missing(&'static str),
    /// Nobody would believe its manifest.
    #[error("`moved_from` has {0} itself in it, or more than {MOVES_MAX} origins")]
    MovedFrom(Origin),
    /// The rules of the house make no sense.
    #[error("{0}")]
    Rules(String),
    /// What the store lists cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The writer's thread could not be started.
    #[error("the writer could not be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// Puts a server together.
pub struct Builder {
    origin: Origin,
    moved_from: BTreeSet<Origin>,
    development: bool,
    api_base: String,
    operator: Option<Texts>,
    contact: Option<Contact>,
    keys: Option<KeyRing>,
    store: Option<Arc<dyn Store>>,
    rules: HouseRules,
    clock: Option<Arc<dyn Clock>>,
    on_poisoned: Box<dyn Fn() + Send + Sync>,
    limits_by_network: bool,
    houses_mb: usize,
    receipts: bool,
    courier: Option<Courier>,
    test_control: bool,
}

impl Cinema {
    /// Begins a server that is reached at `origin`.
    #[must_use]
    pub fn builder(origin: Origin) -> Builder {
        Builder {
            origin,
            moved_from: BTreeSet::new(),
            development: false,
            api_base: "/v1".into(),
            operator: None,
            contact: None,
            keys: None,
            store: None,
            rules: HouseRules::default(),
            clock: None,
            on_poisoned: Box::new(|| ()),
            limits_by_network: true,
            houses_mb: crate::engine::HOUSES_MB,
            receipts: false,
            courier: None,
            test_control: false,
        }
    }

    /// Everything that buyers, indexes and scanners call: nest or merge it in any axum app. The manifest must stay at
    /// `/.well-known/admit` of the origin, so merge at the root and choose the place of the rest by
    /// [`Builder::api_base`].
    pub fn router(&self) -> Router {
        crate::routes::router(self)
    }

    /// Takes over a programme that has changed in the store. Holds and bookings keep the prices and policies that they
    /// were made with.
    ///
    /// # Errors
    /// When the store cannot be read or lists something that cannot be used; the old programme stays in force.
    pub async fn reload(&self) -> Result<(), StoreError> {
        let source = self.0.programme.clone();
        let panicked = |e| StoreError::at("reading the programme")(e);
        let changed = tokio::task::spawn_blocking(move || source.reload()).await.map_err(panicked)??;
        if self.0.store.shared().is_some() {
            // The edit moved their houses on: every process finds a newer version of them. One looks at who waits.
            self.look_at_lines().await;
            return Ok(());
        }
        let now = self.catalogue();
        // A new screening has no house yet, so nobody has an older picture of it.
        for screening in changed {
            if let Some(terms) = now.terms(screening, &self.0.programme.rules) {
                self.amend(screening, terms).await;
            }
        }
        Ok(())
    }

    /// Lets everything happen in every house that is due by now: holds end, what is unpaid is cancelled, offers lapse. By itself it
    /// does so, too, when somebody looks or a timer goes off: who moves a [`ManualClock`](crate::clock::ManualClock) need not wait.
    pub async fn let_time_pass(&self) {
        let all = self.catalogue().screening_ids();
        self.look_at(all).await;
    }

    /// Offers what the programme in force brings to those who wait.
    async fn look_at_lines(&self) {
        let store = self.0.store.clone();
        let lines = tokio::task::spawn_blocking(move || store.lines()).await.unwrap_or_else(|_| Ok(Vec::new()));
        self.look_at(lines.unwrap_or_default()).await;
    }

    async fn look_at(&self, screenings: Vec<ScreeningId>) {
        for screening in screenings {
            let request = crate::engine::Request {
                command: admit_booking::Command::LookAtLine,
                by: "staff".into(),
                key: None,
                subject: crate::answers::Subject::Nothing,
            };
            if let Err(error) = self.0.engine.execute(screening, request).await {
                tracing::warn!(%screening, ?error, "who waits for a changed screening could not be looked at");
            }
        }
    }

    /// Tells a house its new terms. Its version goes up also when nobody is using it: what clients keep of its seats names
    /// the old prices.
    async fn amend(&self, screening: ScreeningId, terms: Terms) {
        let request = crate::engine::Request {
            command: admit_booking::Command::Amend(Arc::new(terms)),
            by: "staff".into(),
            key: None,
            subject: crate::answers::Subject::Nothing,
        };
        if let Err(error) = self.0.engine.execute(screening, request).await {
            tracing::warn!(%screening, ?error, "a changed screening could not be told to its house");
        }
    }

    /// Whether nothing is sold until a restart, because the outcome of a commit is unknown (D2).
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.0.engine.is_poisoned()
    }

    /// Where this server is.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.0.origin
    }

    pub(crate) fn catalogue(&self) -> Arc<Catalogue> {
        self.0.programme.current()
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    pub(crate) fn answers(&self) -> &Answers {
        &self.0.answers
    }

    /// The keys. A ticket key that nears its end gets a successor, which is kept and listed before it signs (T1): a server that runs
    /// for a year never stands there without one.
    pub(crate) fn keys(&self) -> Arc<KeyRing> {
        let now = self.now();
        let keys = self.0.keys.read().unwrap_or_else(PoisonError::into_inner).clone();
        if !keys.is_due(now) {
            return keys;
        }
        let mut held = self.0.keys.write().unwrap_or_else(PoisonError::into_inner);
        if !held.is_due(now) {
            return held.clone();
        }
        match KeyRing::clone(&held).renewed(now) {
            Ok(renewed) => *held = Arc::new(renewed),
            Err(error) => tracing::error!(%error, "the ticket keys near their end and could not be renewed"),
        }
        let keys = held.clone();
        drop(held);
        *self.0.manifest.lock().unwrap_or_else(PoisonError::into_inner) = None;
        keys
    }

    pub(crate) fn api_base(&self) -> &str {
        &self.0.api_base
    }

    /// The time as this server counts it.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// What receipts are made of, if it gives any.
    pub(crate) fn trail(&self) -> Option<&dyn TrailStore> {
        self.0.store.trail().filter(|_| self.0.receipts)
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.0.store
    }

    /// What notifications leave from, if any do.
    pub(crate) fn outbox(&self) -> Option<&dyn OutboxStore> {
        self.0.store.outbox().filter(|_| self.0.courier.is_some())
    }

    pub(crate) fn courier(&self) -> Option<&Courier> {
        self.0.courier.as_ref()
    }

    /// Whether its clock is the world's, and nobody moves it.
    pub(crate) fn has_real_clock(&self) -> bool {
        self.0.clock.is_real()
    }

    pub(crate) fn has_queues(&self) -> bool {
        self.0.store.queues().is_some()
    }

    pub(crate) fn has_waitlist(&self) -> bool {
        self.0.programme.rules.waitlist
    }

    pub(crate) fn limits_by_network(&self) -> bool {
        self.0.limits_by_network
    }
}

impl Builder {
    /// For development: lets the origin be `http://127.0.0.1:PORT`. Such a server must listen on this machine only.
    #[must_use]
    pub fn development(mut self) -> Self {
        self.development = true;
        self
    }

    /// Where the API begins: a plain path, `/v1` if nothing is said.
    #[must_use]
    pub fn api_base(mut self, path: impl Into<String>) -> Self {
        self.api_base = path.into();
        self
    }

    /// Who runs this server.
    #[must_use]
    pub fn operator(mut self, operator: Texts, contact: Contact) -> Self {
        self.operator = Some(operator);
        self.contact = Some(contact);
        self
    }

    /// Where this server was before: what was bought there is good here, with the same keys. There, a [`Farewell`](crate::Farewell)
    /// says where it went.
    #[must_use]
    pub fn moved_from(mut self, origins: impl IntoIterator<Item = Origin>) -> Self {
        self.moved_from = origins.into_iter().collect();
        self
    }

    /// The keys that sign manifests and tickets.
    #[must_use]
    pub fn keys(mut self, keys: KeyRing) -> Self {
        self.keys = Some(keys);
        self
    }

    /// How much memory screenings may take that somebody looks at or buys for, in MiB; 192 if nothing is said. What does not fit is
    /// read again when it is asked for: a booking takes about 2 KiB.
    #[must_use]
    pub fn memory_for_houses(mut self, mib: usize) -> Self {
        self.houses_mb = mib;
        self
    }

    /// Where everything is kept.
    #[must_use]
    pub fn store(mut self, store: impl Store) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Where everything is kept, shared with somebody else.
    #[must_use]
    pub fn shared_store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// Rules for holds and payment.
    #[must_use]
    pub fn rules(mut self, rules: HouseRules) -> Self {
        self.rules = rules;
        self
    }

    /// Another clock than the system's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Called once when the outcome of a commit is unknown: nothing is sold any more until a restart. Our own program
    /// exits here and recovers at its next start.
    #[must_use]
    pub fn on_poisoned(mut self, call: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_poisoned = Box::new(call);
        self
    }

    /// Counts nothing by network: for servers whose clients' addresses are not known, as behind an app that does not
    /// pass [`admit_http::ClientAddress`] on. Without this, all clients whose address is not known count as one network.
    #[must_use]
    pub fn without_network_limits(mut self) -> Self {
        self.limits_by_network = false;
        self
    }

    /// Signs receipts for holds and bookings, and shows the log of who had which seat (capability `receipts`). With SQLite every sale costs
    /// a little more for it.
    #[must_use]
    pub fn receipts(mut self) -> Self {
        self.receipts = true;
        self
    }

    /// Tells apps by webhooks what becomes of their bookings and waitlist entries (capability `notifications`): this courier brings it, while
    /// [`Cinema::keep_house`] is awaited.
    #[must_use]
    pub fn notifications(mut self, courier: Courier) -> Self {
        self.courier = Some(courier);
        self
    }

    /// Says in its manifest that a suite moves its clock (`spec/v1/control.md`): nobody pays at such a server.
    #[must_use]
    pub fn test_control(mut self) -> Self {
        self.test_control = true;
        self
    }

    /// Reads the programme and starts the writer.
    ///
    /// # Errors
    /// When something is missing, the origin is not public, the rules make no sense, or the store lists what cannot be used.
    pub fn build(self) -> Result<Cinema, BuildError> {
        if self.origin.is_loopback() && !self.development {
            return Err(BuildError::NotPublic(self.origin));
        }
        let store = self.store.ok_or(BuildError::Missing("a store"))?;
        let keys = self.keys.ok_or(BuildError::Missing("keys"))?;
        let operator = self.operator.ok_or(BuildError::Missing("the operator's name"))?;
        let contact = self.contact.ok_or(BuildError::Missing("a contact"))?;
        self.rules.check().map_err(BuildError::Rules)?;
        if self.moved_from.contains(&self.origin) || self.moved_from.len() > MOVES_MAX {
            return Err(BuildError::MovedFrom(self.origin));
        }
        if self.courier.is_some() && store.outbox().is_none() {
            return Err(BuildError::Missing("a store that keeps an outbox, to send notifications"));
        }
        match store.trail() {
            Some(trail) => trail.order_trail(self.receipts)?,
            None if self.receipts => return Err(BuildError::Missing("a store that keeps a trail, to give receipts")),
            None => {}
        }
        let listing = store.catalogue()?;
        let (epoch, latest) = (listing.epoch, listing.latest);
        let catalogue = Catalogue::new(listing, None)?;
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock::starting_after(latest)));
        let answers = Answers { api: format!("{}{}", self.origin, self.api_base), epoch };
        let programme = Arc::new(ProgrammeSource {
            store: store.clone(),
            catalogue: RwLock::new(Arc::new(catalogue)),
            reading: Mutex::default(),
            rules: self.rules,
        });
        let engine = Engine::start(
            store.clone(),
            clock.clone(),
            answers.clone(),
            Box::new(programme.clone()),
            self.houses_mb,
            self.on_poisoned,
        )?;
        Ok(Cinema(Arc::new(Inner {
            origin: self.origin,
            moved_from: self.moved_from,
            api_base: self.api_base,
            operator,
            contact,
            keys: RwLock::new(Arc::new(keys)),
            programme,
            store,
            clock,
            engine,
            answers,
            manifest: Mutex::default(),
            limits_by_network: self.limits_by_network,
            receipts: self.receipts,
            courier: self.courier,
            test_control: self.test_control,
        })))
    }
}

//! An index: what it knows, and how it comes to know it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use admit_client::{Client, ClientError, Resolve};
use admit_protocol::capability::{Capability, Role};
use admit_protocol::cinema::Country;
use admit_protocol::directory::Announcement;
use admit_protocol::id::ListingId;
use admit_protocol::json::MANIFEST_BYTES_MAX;
use admit_protocol::jws::Jws;
use admit_protocol::key::{KeyId, PublicKey, SecretKey};
use admit_protocol::manifest::{Contact, Keys, Manifest};
use admit_protocol::origin::{Origin, OriginError, OriginPolicy};
use admit_protocol::text::Texts;
use admit_protocol::time::after;
use axum::Router;
use jiff::{SignedDuration, Timestamp};

use crate::import::Imported;
use crate::look::{self, Before, Found, Moved, There};
use crate::store::{Quarantine, SqliteStore, StoreError, StoredListing};
use crate::world::{Place, World};

/// F6: strangers cause at most one look at a server in this time.
const LOOK_AGAIN: Duration = Duration::from_secs(300);
/// A look takes no longer: a server that answers slowly, page by page, keeps nobody else waiting.
const LOOK_TIME: Duration = Duration::from_secs(120);
/// Looks under way at once.
const LOOKS_MAX: usize = 8;

/// Who an index is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it is reached.
    pub origin: Origin,
    /// Who runs it.
    pub operator: Texts,
    /// How to reach them.
    pub contact: Contact,
    /// Signs its manifest.
    pub identity: SecretKey,
    /// Kept offline; this is its public half.
    pub recovery: PublicKey,
    /// The recovery key's word for the identity key, where it is not the first.
    pub succession: Option<Jws>,
    /// Which servers it looks at.
    pub origins: OriginPolicy,
}

/// Why an index does not open, or an announcement could not be looked at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The fetcher could not be set up.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The address is none of a server.
    #[error("{0}")]
    Address(#[from] OriginError),
    /// Too many are being looked at.
    #[error("the index is looking at as many servers as it can: try again in a minute")]
    Busy,
}

/// An index. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Index(Arc<Inner>);

struct Inner {
    settings: Settings,
    store: SqliteStore,
    client: Client,
    world: RwLock<Arc<World>>,
    looked: Mutex<HashMap<Origin, Instant>>,
    looks: tokio::sync::Semaphore,
}

/// What a look found that is not taken over yet.
struct Looked {
    announcement: Announcement,
    moved_to: Option<Moved>,
    moved_from: BTreeSet<Origin>,
}

impl Index {
    /// Opens an index on what its store remembers.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn open(settings: Settings, store: SqliteStore) -> Result<Self, IndexError> {
        Self::open_with(settings, store, None)
    }

    /// As [`Index::open`], with another way from names to addresses. Whatever it answers, only global addresses are used.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn open_with(
        settings: Settings,
        store: SqliteStore,
        resolver: Option<Arc<dyn Resolve>>,
    ) -> Result<Self, IndexError> {
        let client = crate::fetcher::client(settings.origins, resolver)?;
        let world = World::new(store.servers()?, store.listings()?);
        Ok(Self(Arc::new(Inner {
            settings,
            store,
            client,
            world: RwLock::new(Arc::new(world)),
            looked: Mutex::default(),
            looks: tokio::sync::Semaphore::new(LOOKS_MAX),
        })))
    }

    /// Everything that apps and servers call.
    pub fn router(&self) -> Router {
        crate::routes::router(self)
    }

    pub(crate) fn world(&self) -> Arc<World> {
        self.0.world.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn rebuild(&self) -> Result<(), StoreError> {
        let world = World::new(self.0.store.servers()?, self.0.store.listings()?);
        *self.0.world.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(world);
        Ok(())
    }

    /// How many cinemas and screenings it knows.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        self.world().counts()
    }

    pub(crate) fn manifest(&self, now: Timestamp) -> Manifest {
        let settings = &self.0.settings;
        Manifest {
            origin: settings.origin.clone(),
            role: Role::Index,
            versions: BTreeSet::from(["v1".to_owned()]),
            api_base: "/v1".into(),
            operator: settings.operator.clone(),
            cinema_pages: Vec::new(),
            keys: Keys {
                identity: settings.identity.public(),
                recovery: settings.recovery,
                succession: settings.succession.clone(),
                ticket: Vec::new(),
            },
            capabilities: [Capability::Screenings].into(),
            auth_methods: Vec::new(),
            payment_methods: Vec::new(),
            hold_policy: None,
            waitlist_policy: None,
            queue_policy: None,
            contact: settings.contact.clone(),
            moved_to: None,
            moved_from: BTreeSet::new(),
            serial: now.as_millisecond().unsigned_abs(),
            issued: now,
            expires: after(now, 24 * 3600),
        }
    }

    pub(crate) fn identity(&self) -> &SecretKey {
        &self.0.settings.identity
    }

    /// Reads an address as people write it.
    ///
    /// # Errors
    /// When it is none of a server that this index looks at.
    pub fn read_origin(&self, text: &str) -> Result<Origin, IndexError> {
        let text = text.trim();
        let address = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        Ok(Origin::parse(&address, self.0.settings.origins)?)
    }

    /// Somebody says that there is a server. Looks at it, at most once in five minutes whoever asks.
    ///
    /// # Errors
    /// When the address is none of a server, too many are being looked at, or the store fails.
    pub async fn announce(&self, text: &str) -> Result<Announcement, IndexError> {
        let origin = self.read_origin(text)?;
        let _permit = self.0.looks.try_acquire().map_err(|_| IndexError::Busy)?;
        if let Some(before) = self.looked_lately(&origin)? {
            return Ok(self.as_of_now(before));
        }
        let found = self.look(&origin).await?;
        Ok(self.as_of_now(found))
    }

    /// Whether a server is listed is a fact of now, not of the last look: one that fails once is still listed as it was.
    fn as_of_now(&self, found: Announcement) -> Announcement {
        let world = self.world();
        // What it says of itself counts only under the keys of who is listed there: anybody may say that they were.
        let keys =
            |origin: &Origin| self.0.store.known(origin).ok().flatten().map(|known| (known.identity, known.recovery));
        let own = keys(&found.origin);
        let was_there = |from: &Origin| own.is_some() && keys(from) == own && world.lists(from);
        let manifest =
            world.manifest(&found.origin).and_then(|jws| jws.unverified::<Manifest>(MANIFEST_BYTES_MAX).ok());
        let still_at = manifest.into_iter().flat_map(|m| m.moved_from).filter(was_there).collect();
        Announcement { listed: world.lists(&found.origin), cinemas: world.cinemas_of(&found.origin), still_at, ..found }
    }

    /// What was found, where it is too soon to look again (F6), also after a restart. Otherwise it may be looked at now, once.
    fn looked_lately(&self, origin: &Origin) -> Result<Option<Announcement>, IndexError> {
        let soon = SignedDuration::try_from(LOOK_AGAIN).unwrap_or_default();
        let before = self.0.store.look(origin)?;
        let lately = before.as_ref().is_some_and(|(at, _)| Timestamp::now().duration_since(*at) < soon);
        if !lately && self.may_look(origin) {
            return Ok(None);
        }
        // Of a first look that is still under way nothing can be said.
        before.map(|(_, found)| Some(found)).ok_or(IndexError::Busy)
    }

    fn may_look(&self, origin: &Origin) -> bool {
        let mut looked = self.0.looked.lock().unwrap_or_else(PoisonError::into_inner);
        looked.retain(|_, at| at.elapsed() < LOOK_AGAIN);
        if looked.contains_key(origin) {
            return false;
        }
        looked.insert(origin.clone(), Instant::now());
        true
    }

    /// Looks at a server now, and takes over what it finds. Where it moved, the index looks there, too; and where it says that it came
    /// from, if it is listed there with the same keys. That is as far as one look goes.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn look(&self, origin: &Origin) -> Result<Announcement, IndexError> {
        let Looked { announcement, moved_to, moved_from } = self.look_at(origin).await?;
        if let Some(Moved { to, asked }) = moved_to {
            let found = match asked {
                true => Some(self.look_at(&to).await?.announcement),
                false => self.0.store.look(&to)?.map(|(_, found)| found),
            };
            self.move_listings(origin, &to, found).await?;
        }
        let known = self.0.store.known(origin)?;
        for from in moved_from {
            let before = self.0.store.known(&from)?;
            let same = before.zip(known).is_some_and(|(a, b)| (a.identity, a.recovery) == (b.identity, b.recovery));
            if same && self.world().lists(&from) && matches!(self.looked_lately(&from), Ok(None)) {
                let moved_to = self.look_at(&from).await?.moved_to;
                if moved_to.is_some_and(|moved| moved.to == *origin) {
                    self.move_listings(&from, origin, Some(announcement.clone())).await?;
                }
            }
        }
        Ok(announcement)
    }

    /// What may be known of the place to which a server moved: it is a place like any other (F6).
    fn there(&self, to: &Origin) -> There {
        match self.looked_lately(to) {
            Ok(None) => There::MayAsk,
            _ => match self.world().manifest(to).and_then(|jws| jws.unverified(MANIFEST_BYTES_MAX).ok()) {
                // It was verified when it was taken over.
                Some(manifest) => There::Said(Box::new(manifest)),
                None => There::NotNow,
            },
        }
    }

    /// Looks at one server, and takes over what is there.
    async fn look_at(&self, origin: &Origin) -> Result<Looked, IndexError> {
        let before = Before { known: self.0.store.known(origin)?, quarantine: self.0.store.quarantine(origin)? };
        let quarantined = before.quarantine;
        let looking = look::look(&self.0.client, origin, before, |to| self.there(to));
        let found = tokio::time::timeout(LOOK_TIME, looking).await;
        let Found { announcement, server, quarantine, moved_to, moved_from } =
            found.unwrap_or_else(|_| look::gave_up(origin, quarantined));
        let why = announcement.steps.iter().find(|step| !step.ok).map(|step| step.detail.as_str());
        tracing::info!(%origin, in_order = why.is_none(), why, "looked at a server");
        let index = self.clone();
        let save = move || -> Result<Announcement, StoreError> {
            index.0.store.put_look(&announcement, Timestamp::now())?;
            if let Some((seen, cinemas)) = server {
                let listing = |cinema| look::listing(&seen.origin, cinema, seen.verified_at);
                index.0.store.put_server(&seen, &cinemas.iter().map(listing).collect::<Vec<_>>())?;
                if quarantined.is_some() {
                    index.0.store.put_quarantine(&announcement.origin, None)?;
                }
                index.rebuild()?;
                index.claim(Some(&seen.origin))?;
            } else if quarantine != quarantined {
                index.0.store.put_quarantine(&announcement.origin, quarantine)?;
            }
            Ok(announcement)
        };
        let panicked = |_| IndexError::Busy;
        let announcement = tokio::task::spawn_blocking(save).await.map_err(panicked)??;
        Ok(Looked { announcement, moved_to, moved_from })
    }

    /// A server moved. Once it is listed where it is now, it is listed there alone, and speaks for the entries that it spoke for.
    async fn move_listings(&self, from: &Origin, to: &Origin, there: Option<Announcement>) -> Result<(), IndexError> {
        // By that very look: one that is in quarantine takes nothing over, also where it is still listed as it was.
        if there.is_none_or(|found| found.steps.is_empty() || found.steps.iter().any(|step| !step.ok)) {
            return Ok(());
        }
        let (index, from, to) = (self.clone(), from.clone(), to.clone());
        let take_over = move || {
            index.0.store.move_server(&from, &to)?;
            index.rebuild()
        };
        Ok(tokio::task::spawn_blocking(take_over).await.map_err(|_| IndexError::Busy)??)
    }

    /// Lets cinemas speak for imported entries at their place whose known website is at the very host of their server. All others stand by
    /// themselves until the operator merges them.
    fn claim(&self, of: Option<&Origin>) -> Result<(), StoreError> {
        let claims = self.world().claims(of);
        for (entry, by) in &claims {
            self.0.store.merge(*entry, Some(*by))?;
        }
        if claims.is_empty() { Ok(()) } else { self.rebuild() }
    }

    /// What the last look at a server found.
    ///
    /// # Errors
    /// When the address is none of a server, or the store fails.
    pub fn why(&self, text: &str) -> Result<Option<Announcement>, IndexError> {
        let origin = self.read_origin(text)?;
        Ok(self.0.store.look(&origin)?.map(|(_, found)| self.as_of_now(found)))
    }

    /// The operator has asked a server that came with other keys than the known ones, and they are its own: the next look believes
    /// them.
    ///
    /// # Errors
    /// When the address is none of a server, or it did not come with this identity key.
    pub fn trust(&self, text: &str, identity: KeyId) -> Result<(), IndexError> {
        let origin = self.read_origin(text)?;
        let Some(quarantine) = self.0.store.quarantine(&origin)? else {
            let why = format!("{origin} came with no other keys than those that are known: there is nothing to trust");
            return Err(StoreError::Refused(why).into());
        };
        let came_with = quarantine.identity.id();
        if came_with != identity {
            let why = format!(
                "{origin} came with the identity key {came_with}, and not with {identity}: ask again which is its own"
            );
            return Err(StoreError::Refused(why).into());
        }
        let trusted = Quarantine { since: Timestamp::UNIX_EPOCH, ..quarantine };
        Ok(self.0.store.put_quarantine(&origin, Some(trusted))?)
    }

    /// Where the operator decides, or did: unconfirmed cinemas with the entries that they may be, and listings that speak for others.
    #[must_use]
    pub fn places(&self) -> Vec<Place> {
        self.world().places()
    }

    /// Takes over entries of somebody's list, as unclaimed. The same entry again is the same listing, changed.
    ///
    /// # Errors
    /// When the store fails; nothing is imported then.
    pub fn import(&self, entries: &[Imported]) -> Result<(), IndexError> {
        // A list that does not say the country must not make us forget it.
        let known = self.0.store.listings()?.into_iter().map(|l| (l.listing.id, l.listing.address.country));
        let known: HashMap<ListingId, Country> = known.collect();
        let listing = |entry: &Imported| {
            let mut listing = entry.listing();
            if let (Country::UNKNOWN, Some(country)) = (listing.address.country, known.get(&listing.id)) {
                listing.address.country = *country;
            }
            StoredListing { listing, merged_into: None }
        };
        self.0.store.put_listings(&entries.iter().map(listing).collect::<Vec<_>>())?;
        self.rebuild()?;
        Ok(self.claim(None)?)
    }

    /// Lets one listing speak for another.
    ///
    /// # Errors
    /// When there is no such listing.
    pub fn merge(&self, listing: ListingId, into: ListingId) -> Result<(), IndexError> {
        let stored = self.0.store.listings()?;
        let of = |id| stored.iter().map(|s| &s.listing).find(|l| l.id == id);
        if let (Some(hidden), Some(speaker)) = (of(listing), of(into))
            && hidden.origin.is_some()
            && speaker.origin.is_none()
        {
            let why = format!("{listing} sells tickets and {into} does not: merge {into} into {listing}");
            return Err(StoreError::Refused(why).into());
        }
        self.0.store.merge(listing, Some(into))?;
        Ok(self.rebuild()?)
    }

    /// Takes a merge back.
    ///
    /// # Errors
    /// When there is no such listing.
    pub fn unmerge(&self, listing: ListingId) -> Result<(), IndexError> {
        if self.0.store.listings()?.iter().any(|s| s.listing.id == listing && s.merged_into.is_none()) {
            return Err(StoreError::Refused(format!("{listing} is shown already")).into());
        }
        self.0.store.merge(listing, None)?;
        Ok(self.rebuild()?)
    }
}

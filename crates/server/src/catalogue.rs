//! What is shown and sold, in memory: an immutable picture that is replaced as a whole when staff change something.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, OnceLock};

use admit_booking::queue::QueueTerms;
use admit_booking::{Plan, Prices, Terms};
use admit_protocol::capability::PaymentMethod;
use admit_protocol::cinema::{Cinema, CinemaPage};
use admit_protocol::digest::ContentName;
use admit_protocol::film::Film;
use admit_protocol::hold::SEATS_PER_HOLD_MAX;
use admit_protocol::id::{CinemaId, DeviceId, FilmId, ScreeningId};
use admit_protocol::json::{self, DOCUMENT_BYTES_MAX, MANIFEST_BYTES_MAX, Numbers};
use admit_protocol::layout::Layout;
use admit_protocol::manifest::{HoldPolicy, WaitlistPolicy};
use admit_protocol::price::PriceTable;
use admit_protocol::queue::QueuePolicy;
use admit_protocol::screening::{Programme, SCREENINGS_PER_PAGE, Screening};
use admit_protocol::time::after;
use axum::body::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::store::{Device, ListedScreening, Listing, RemovedScreening, StoreError};

/// When nothing is said: who pays at the cinema pays half an hour before the start.
const COLLECT_BEFORE_START_S: i64 = 30 * 60;
/// The longest that a buyer can keep seats without paying: with payment and its grace a hold ends within 50 minutes (H1).
const CHOOSING_MAX_S: u32 = 15 * 60;

/// How many pages of cinemas are answered that are named no more: at most 64 MiB.
const FORMER_PAGES_MAX: usize = 256;

/// What is shown and sold.
pub(crate) struct Catalogue {
    /// See [`Listing::programme`].
    pub(crate) programme: u64,
    pub(crate) cinemas: BTreeMap<CinemaId, Cinema>,
    pub(crate) films: BTreeMap<FilmId, Film>,
    pub(crate) screenings: HashMap<ScreeningId, Box<ListedScreening>>,
    /// Screenings of a cinema by start, then id.
    by_cinema: BTreeMap<CinemaId, BTreeMap<(Timestamp, ScreeningId), ()>>,
    /// Every screening once, at its last change.
    pub(crate) changes: BTreeMap<u64, Change>,
    plans: HashMap<ContentName, Arc<Plan>>,
    prices: HashMap<ContentName, Arc<Prices>>,
    documents: HashMap<ContentName, Bytes>,
    pages: BTreeMap<ContentName, Bytes>,
    /// Pages that manifests named not long ago, the last ones at the end: whoever has read one of those asks for them still.
    former_pages: VecDeque<(ContentName, Bytes)>,
    devices: Vec<Device>,
    programmes: BTreeMap<CinemaId, OnceLock<Vec<Page>>>,
}

/// A change of the programme.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// A screening as it is now.
    Listed(ScreeningId),
    /// A screening that is gone.
    Removed(Box<RemovedScreening>),
}

/// A page of a programme, ready to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    pub(crate) etag: ContentName,
    pub(crate) bytes: Bytes,
}

/// Until when what is unpaid stands.
fn collect_by(screening: &Screening) -> Timestamp {
    screening.collect_by.unwrap_or(after(screening.starts_at.at(), -COLLECT_BEFORE_START_S))
}

/// The instants until which something unpaid may stand: who books late has longer (BOOK-005).
pub(crate) fn unpaid_until(screening: &Screening) -> [Timestamp; 3] {
    [collect_by(screening), screening.starts_at.at(), screening.sales.closes_at]
}

impl Catalogue {
    /// Checks and indexes what a store lists. Plans and prices that `before` has are taken from it.
    pub(crate) fn new(listing: Listing, before: Option<&Self>) -> Result<Self, StoreError> {
        let mut catalogue = Self {
            programme: listing.programme,
            cinemas: listing.cinemas.into_iter().map(|c| (c.id, c)).collect(),
            films: listing.films.into_iter().map(|f| (f.id, f)).collect(),
            screenings: HashMap::with_capacity(listing.screenings.len()),
            by_cinema: BTreeMap::new(),
            changes: listing.removed.iter().map(|r| (r.changed, Change::Removed(Box::new(*r)))).collect(),
            plans: HashMap::new(),
            prices: HashMap::new(),
            documents: listing.documents.into_iter().map(|d| (d.name, d.bytes)).collect(),
            pages: BTreeMap::new(),
            former_pages: VecDeque::new(),
            devices: listing.devices,
            programmes: BTreeMap::new(),
        };
        for listed in listing.screenings {
            catalogue.list(listed, before)?;
        }
        for page in pages_of(&catalogue.cinemas) {
            let bytes = crate::answers::json(&page);
            catalogue.pages.insert(ContentName::of(&bytes), bytes);
        }
        let before = before.into_iter().flat_map(|b| b.former_pages.iter().cloned().chain(b.pages.clone()));
        catalogue.former_pages = before.filter(|(name, _)| !catalogue.pages.contains_key(name)).collect();
        let too_many = catalogue.former_pages.len().saturating_sub(FORMER_PAGES_MAX);
        catalogue.former_pages.drain(..too_many);
        catalogue.programmes = catalogue.cinemas.keys().map(|id| (*id, OnceLock::new())).collect();
        Ok(catalogue)
    }

    fn list(&mut self, listed: Box<ListedScreening>, before: Option<&Self>) -> Result<(), StoreError> {
        let screening = &listed.screening;
        let id = screening.id;
        let bad = |why: String| StoreError::BadRow { table: "screening", row: id.to_string(), why };
        screening.check().map_err(|why| bad(why.into()))?;
        if !self.cinemas.contains_key(&screening.cinema) {
            return Err(bad(format!("there is no cinema {}", screening.cinema)));
        }
        if let Some(item) = screening.items.iter().find(|i| !self.films.contains_key(&i.film)) {
            return Err(bad(format!("there is no film {}", item.film)));
        }
        let (layout, table) = (screening.layout, screening.price_table);
        if !self.plans.contains_key(&layout) {
            let known = before.and_then(|b| b.plans.get(&layout).cloned());
            let plan = known.map_or_else(|| self.read_plan(layout).map(Arc::new), Ok).map_err(bad)?;
            self.plans.insert(layout, plan);
        }
        if !self.prices.contains_key(&table) {
            let known = before.and_then(|b| b.prices.get(&table).cloned());
            let prices = known.map_or_else(|| self.read_prices(table).map(Arc::new), Ok).map_err(bad)?;
            self.prices.insert(table, prices);
        }
        self.by_cinema.entry(screening.cinema).or_default().insert((screening.starts_at.at(), id), ());
        self.changes.insert(listed.changed, Change::Listed(id));
        self.screenings.insert(id, listed);
        Ok(())
    }

    fn read_plan(&self, name: ContentName) -> Result<Plan, String> {
        let bytes = self.documents.get(&name).ok_or(format!("layout {name} is missing"))?;
        let layout: Layout =
            json::read(bytes, DOCUMENT_BYTES_MAX, Numbers::Integers).map_err(|e| format!("layout {name}: {e}"))?;
        Plan::new(name, layout).map_err(|e| format!("layout {name}: {e}"))
    }

    fn read_prices(&self, name: ContentName) -> Result<Prices, String> {
        let bytes = self.documents.get(&name).ok_or(format!("price table {name} is missing"))?;
        let table: PriceTable =
            json::read(bytes, DOCUMENT_BYTES_MAX, Numbers::Integers).map_err(|e| format!("price table {name}: {e}"))?;
        Prices::new(name, table).map_err(|e| format!("price table {name}: {e}"))
    }

    /// The prices of this name: also of tables that no screening uses any more, for holds that are pinned to them.
    pub(crate) fn prices(&self, name: ContentName) -> Option<Arc<Prices>> {
        self.prices.get(&name).cloned().or_else(|| self.read_prices(name).ok().map(Arc::new))
    }

    /// A layout or price table, as bytes.
    pub(crate) fn document(&self, name: ContentName) -> Option<&Bytes> {
        self.documents.get(&name)
    }

    /// A page of cinemas.
    pub(crate) fn page(&self, name: ContentName) -> Option<&Bytes> {
        let former = || self.former_pages.iter().find(|(former, _)| *former == name).map(|(_, bytes)| bytes);
        self.pages.get(&name).or_else(former)
    }

    /// The names of all pages of cinemas.
    pub(crate) fn pages(&self) -> Vec<ContentName> {
        self.pages.keys().copied().collect()
    }

    /// A screening.
    pub(crate) fn screening(&self, id: ScreeningId) -> Option<&Screening> {
        self.screenings.get(&id).map(|listed| &listed.screening)
    }

    /// All screenings.
    pub(crate) fn screening_ids(&self) -> Vec<ScreeningId> {
        self.screenings.keys().copied().collect()
    }

    /// The scanner whose token has this hash.
    pub(crate) fn device(&self, token_hash: &[u8; 32]) -> Option<DeviceId> {
        self.devices.iter().find(|d| d.token_hash == *token_hash).map(|d| d.id)
    }

    pub(crate) fn knows_device(&self, id: DeviceId) -> bool {
        self.devices.iter().any(|known| known.id == id)
    }

    /// What a house must know of its screening.
    pub(crate) fn terms(&self, id: ScreeningId, rules: &HouseRules) -> Option<Terms> {
        let screening = self.screening(id)?;
        let starts_at = screening.starts_at.at();
        Some(Terms {
            screening: id,
            plan: self.plans.get(&screening.layout)?.clone(),
            prices: self.prices.get(&screening.price_table)?.clone(),
            status: screening.status,
            sales: screening.sales,
            starts_at,
            ends_at: screening.over_at(),
            hold_policy: rules.hold_policy.clone(),
            cancellation: Arc::new(screening.cancellation.clone()),
            collect_by: collect_by(screening),
            companion_release_at: screening.accessible_release_at,
            seat_rules: screening.seat_rules,
            waitlist: rules.waitlist.then(|| rules.waitlist_policy.clone()),
            queue: screening.queue.map(|announced| QueueTerms { announced, policy: rules.queue_policy.clone() }),
            payment_methods: rules.payment_methods.clone(),
            unpaid_percent_per_network: rules.unpaid_percent_per_network,
        })
    }

    /// A page of a cinema's programme, counted from 0.
    pub(crate) fn programme(&self, cinema: CinemaId, page: usize) -> Option<&Page> {
        self.programmes.get(&cinema)?.get_or_init(|| self.make_programme(cinema)).get(page)
    }

    fn make_programme(&self, cinema: CinemaId) -> Vec<Page> {
        let ids: Vec<ScreeningId> =
            self.by_cinema.get(&cinema).into_iter().flat_map(BTreeMap::keys).map(|(_, id)| *id).collect();
        let none: &[&[ScreeningId]] = &[&[]];
        let chunks: Vec<&[ScreeningId]> = ids.chunks(SCREENINGS_PER_PAGE).collect();
        let chunks = if chunks.is_empty() { none } else { &chunks };
        let page = |(n, ids): (usize, &&[ScreeningId])| {
            let screenings: Vec<Screening> = ids.iter().filter_map(|id| self.screening(*id)).cloned().collect();
            let mut films: Vec<FilmId> = screenings.iter().flat_map(|s| &s.items).map(|i| i.film).collect();
            films.sort_unstable();
            films.dedup();
            let programme = Programme {
                cinema,
                films: films.iter().filter_map(|id| self.films.get(id)).cloned().collect(),
                screenings,
                next: (n + 1 < chunks.len()).then(|| (n + 1).to_string()),
            };
            let bytes = crate::answers::json(&programme);
            Page { etag: ContentName::of(&bytes), bytes }
        };
        chunks.iter().enumerate().map(page).collect()
    }
}

/// Cinemas in pages that every reader takes (HTTP-003): as many on each as fit.
fn pages_of(cinemas: &BTreeMap<CinemaId, Cinema>) -> Vec<CinemaPage> {
    // `{"cinemas":[]}` around them, and a comma after each.
    let most = MANIFEST_BYTES_MAX - 64;
    let mut pages: Vec<CinemaPage> = Vec::new();
    let mut size = most;
    for cinema in cinemas.values() {
        let bytes = crate::answers::json(cinema).len() + 1;
        if size + bytes > most {
            pages.push(CinemaPage { cinemas: Vec::new() });
            size = 0;
        }
        size += bytes;
        if let Some(page) = pages.last_mut() {
            page.cinemas.push(cinema.clone());
        }
    }
    pages
}

/// The longest that an offer to a party in line is held, in seconds: a hold lives for 50 minutes, whatever happens.
const OFFER_MAX_S: u32 = 2700;
/// The most that may wait for one screening: each is in memory.
const ENTRIES_MAX: u32 = 10_000;

/// The most places of one queue: all of them are drawn in one commit.
const PLACES_MAX: u32 = 200_000;

/// Rules of the house that hold for every screening.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HouseRules {
    /// What holds are like.
    pub hold_policy: HoldPolicy,
    /// Whether parties can wait for seats that come free.
    pub waitlist: bool,
    /// What waiting is like.
    pub waitlist_policy: WaitlistPolicy,
    /// What queues are like, at screenings that have one.
    pub queue_policy: QueuePolicy,
    /// How a booking can be paid.
    pub payment_methods: Vec<PaymentMethod>,
    /// How many percent of a screening one network may have unpaid, and never less than one whole hold (`seats_max`); 100 is no limit.
    pub unpaid_percent_per_network: u8,
}

impl Default for HouseRules {
    /// Five-minute holds of ten seats, nothing or payment at the cinema, 30 percent for one network.
    fn default() -> Self {
        Self {
            hold_policy: HoldPolicy::default(),
            waitlist: true,
            waitlist_policy: WaitlistPolicy::default(),
            queue_policy: QueuePolicy::default(),
            payment_methods: vec![PaymentMethod::None, PaymentMethod::AtCinema],
            unpaid_percent_per_network: 30,
        }
    }
}

impl HouseRules {
    /// Whether a house can be run by these rules.
    ///
    /// # Errors
    /// With the rule that makes no sense, and what it may be.
    pub fn check(&self) -> Result<(), String> {
        let hold = &self.hold_policy;
        let times = [1, hold.ttl_min_s, hold.ttl_s, hold.ttl_max_s, hold.choosing_max_s, CHOOSING_MAX_S];
        if !times.is_sorted() {
            return Err(format!(
                "hold_policy: 1 <= ttl_min_s <= ttl_s <= ttl_max_s <= choosing_max_s <= {CHOOSING_MAX_S} seconds"
            ));
        }
        if !(1..=SEATS_PER_HOLD_MAX).contains(&usize::from(hold.seats_max)) || hold.holds_per_buyer == 0 {
            return Err(format!("hold_policy: seats_max is 1 to {SEATS_PER_HOLD_MAX}, holds_per_buyer at least 1"));
        }
        let WaitlistPolicy { offer_ttl_s, entries_max } = self.waitlist_policy;
        if !(60..=OFFER_MAX_S).contains(&offer_ttl_s) || !(1..=ENTRIES_MAX).contains(&entries_max) {
            return Err(format!(
                "waitlist_policy: offer_ttl_s is 60 to {OFFER_MAX_S} seconds, entries_max 1 to {ENTRIES_MAX}"
            ));
        }
        let QueuePolicy { pass_ttl_s, places_per_network, places_max } = self.queue_policy;
        if !(60..=3600).contains(&pass_ttl_s) || places_per_network == 0 || !(1..=PLACES_MAX).contains(&places_max) {
            return Err(format!(
                "queue_policy: pass_ttl_s is 60 to 3600 seconds, places_per_network at least 1, places_max 1 to {PLACES_MAX}"
            ));
        }
        if self.unpaid_percent_per_network > 100 {
            return Err("unpaid_percent_per_network is 0 to 100".into());
        }
        let here = [PaymentMethod::None, PaymentMethod::AtCinema];
        match self.payment_methods.iter().find(|m| !here.contains(m)) {
            Some(_) => Err("payment_methods: only none and at_cinema can be taken yet".into()),
            None if self.payment_methods.is_empty() => Err("payment_methods: name at least one".into()),
            None => Ok(()),
        }
    }
}

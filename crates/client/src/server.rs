//! A cinema's server, as an app sees it: one method for each endpoint.

mod queue;
mod receipts;
mod scanner;

use admit_protocol::booking::{Book, Booking, Cancel, CancellationQuote, QuoteCancellation, Tickets};
use admit_protocol::cinema::Cinema;
use admit_protocol::digest::ContentName;
use admit_protocol::endpoint as at;
use admit_protocol::exchange::{Exchange, ExchangeQuote, QuoteExchange};
use admit_protocol::feed::Feed;
use admit_protocol::film::Film;
use admit_protocol::hold::{ExtendHold, Hold, PlaceHold};
use admit_protocol::id::{BookingId, CinemaId, HoldId, QuoteId, ScreeningId, SeatId, WaitlistEntryId};
use admit_protocol::json::{self, DOCUMENT_BYTES_MAX, MANIFEST_BYTES_MAX, Numbers};
use admit_protocol::jws::Jws;
use admit_protocol::key::PublicKey;
use admit_protocol::layout::Layout;
use admit_protocol::manifest::{Known, MANIFEST_PATH, MOVES_MAX, Manifest, ManifestError};
use admit_protocol::origin::Origin;
use admit_protocol::price::PriceTable;
use admit_protocol::screening::Screening;
use admit_protocol::seats::Seats;
use admit_protocol::ticket::{Ticket, TicketError, screening_digest};
use admit_protocol::waitlist::{JoinWaitlist, WaitlistEntry};
use jiff::Timestamp;
use reqwest::Method;
use serde::de::DeserializeOwned;

use crate::error::ClientError;
use crate::secret::{RequestKey, Secret};
use crate::transport::{Ask, Client, bad_answer};

pub use self::scanner::Scanner;

/// A JWS is larger than what it carries: base64 and a header.
const JWS_BYTES_MAX: usize = MANIFEST_BYTES_MAX / 3 * 4 + 4096;
/// Programme pages that are read of one cinema. At 1,000 screenings a page, nobody shows more.
const PROGRAMME_PAGES_MAX: usize = 100;

/// A server whose manifest was verified.
#[derive(Debug, Clone)]
pub struct Server {
    client: Client,
    manifest: Manifest,
}

impl Client {
    /// Meets a server: fetches its manifest and verifies it. `known` is what was known of it before. One that moved is met where it is
    /// now (MAN-015): its [`Server::origin`] is another one then.
    ///
    /// # Errors
    /// When the address is none of a server, it does not answer, or its manifest is not to be believed.
    pub async fn server(&self, origin: &str, known: Option<Known>) -> Result<Server, ClientError> {
        let first = self.server_at(origin, known).await?;
        self.follow(first, |_| None, |_| ()).await
    }

    /// Goes on to where a server says that it moved, if it says so there, too; `known` is what was known of each origin, and `met` hears
    /// of each.
    pub(crate) async fn follow(
        &self,
        first: Server,
        known: impl Fn(&Origin) -> Option<Known>,
        mut met: impl FnMut(&Server),
    ) -> Result<Server, ClientError> {
        let mut server = first;
        met(&server);
        for _ in 0..MOVES_MAX {
            let Some(to) = &server.manifest.moved_to else { return Ok(server) };
            let there = self.server_at(to.as_str(), known(to)).await?;
            let refused = |source| ClientError::Manifest { origin: there.origin().to_string(), source };
            there.manifest.check_moved_from(&server.manifest).map_err(refused)?;
            met(&there);
            server = there;
        }
        if server.manifest.moved_to.is_none() {
            return Ok(server);
        }
        Err(bad_answer(server.origin(), format!("moved more than {MOVES_MAX} times")))
    }

    /// Meets whatever is at this very address, also if it says that it moved.
    ///
    /// # Errors
    /// As [`Client::server`].
    pub async fn server_at(&self, origin: &str, known: Option<Known>) -> Result<Server, ClientError> {
        let bad = |source| ClientError::Origin { text: origin.to_owned(), source };
        let origin = Origin::parse(origin, self.options.origins).map_err(bad)?;
        let jws = self.manifest(&origin).await?;
        self.server_from(&origin, &jws, known).map_err(|error| {
            let out_of_time = matches!(
                &error,
                ClientError::Manifest { source: ManifestError::Expired(_) | ManifestError::BadLifetime { .. }, .. }
            );
            // The server's word about the time is believed for no more than this message.
            let seconds = self
                .clocks
                .now(&origin)
                .map_or(0, |there| there.duration_since(Timestamp::now()).as_secs().unsigned_abs());
            if out_of_time && seconds >= 120 {
                ClientError::ClocksDiffer { origin: origin.to_string(), seconds }
            } else {
                error
            }
        })
    }

    /// The well-known document of an origin, unverified: for who passes it on.
    ///
    /// # Errors
    /// When it cannot be had, or is no JWS.
    pub async fn manifest(&self, origin: &Origin) -> Result<Jws, ClientError> {
        self.json(origin, &Ask::get(origin.join(MANIFEST_PATH), JWS_BYTES_MAX)).await
    }

    /// Meets a server by a manifest that somebody passed on, such as an index. It is verified like any other.
    ///
    /// # Errors
    /// When it is not to be believed.
    pub fn server_from(&self, origin: &Origin, jws: &Jws, known: Option<Known>) -> Result<Server, ClientError> {
        let refused = |source| ClientError::Manifest { origin: origin.to_string(), source };
        let manifest = Manifest::accept(jws, origin, known, Timestamp::now()).map_err(refused)?;
        Ok(Server { client: self.clone(), manifest })
    }
}

/// A page of cinemas, before each is read.
#[derive(serde::Deserialize)]
struct Cinemas {
    cinemas: Vec<serde_json::Value>,
}

/// A page of a programme, before each of its records is read.
#[derive(serde::Deserialize)]
struct Shown {
    films: Vec<serde_json::Value>,
    screenings: Vec<serde_json::Value>,
    #[serde(default)]
    next: Option<String>,
}

/// The records that can be read: one that cannot is dropped alone.
fn readable<T: DeserializeOwned>(records: &[serde_json::Value]) -> impl Iterator<Item = T> {
    records.iter().filter_map(|record| json::from_value(record).ok())
}

impl Server {
    /// What the server says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its name.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.manifest.origin
    }

    /// What to remember of it, so that nobody can take its place later.
    #[must_use]
    pub fn known(&self) -> Known {
        Known::by(&self.manifest)
    }

    /// Meets it again: what it says of itself now, which must fit what it said before. An app that runs for days does so before
    /// [`Manifest::expires`], and on [`ClientError::Ticket`]; one with a wallet uses [`Wallet::meet`](crate::Wallet::meet), which
    /// remembers.
    ///
    /// # Errors
    /// When it does not answer, or its manifest is not to be believed any more.
    pub async fn again(&self) -> Result<Self, ClientError> {
        self.client.server(self.origin().as_str(), Some(self.known())).await
    }

    /// What time it is there, by its last answer (HTTP-020): `hold.expires_at` less this is what is left of a hold, whatever the
    /// clock here says. The clock here, before it answered for the first time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.client.clocks.now(self.origin()).unwrap_or_else(Timestamp::now)
    }

    fn url(&self, endpoint: at::Endpoint, parameters: &[&str]) -> String {
        self.manifest.api_url(&endpoint.fill(parameters))
    }

    async fn json<T: DeserializeOwned>(&self, ask: Ask<'_>) -> Result<T, ClientError> {
        self.client.json(self.origin(), &ask).await
    }

    /// A document by its name. Other bytes are refused, whoever sent them.
    async fn document<T: DeserializeOwned>(
        &self,
        endpoint: at::Endpoint,
        name: ContentName,
        limit: usize,
    ) -> Result<T, ClientError> {
        let ask = Ask::get(self.url(endpoint, &[&name.to_string()]), limit);
        let bytes = self.client.ask(self.origin(), &ask).await?;
        if !name.fits(&bytes) {
            return Err(ClientError::WrongDocument { origin: self.origin().to_string(), name });
        }
        json::read(&bytes, limit, Numbers::Integers).map_err(|e| bad_answer(self.origin(), e.to_string()))
    }

    /// All cinemas of this server; without those that cannot be read (F5).
    ///
    /// # Errors
    /// When a page cannot be had, or is not the one that the manifest names.
    pub async fn cinemas(&self) -> Result<Vec<Cinema>, ClientError> {
        let mut cinemas = Vec::new();
        for page in &self.manifest.cinema_pages {
            let page: Cinemas = self.document(at::GET_CINEMA_PAGE, *page, MANIFEST_BYTES_MAX).await?;
            cinemas.extend(readable::<Cinema>(&page.cinemas));
        }
        Ok(cinemas)
    }

    /// What a cinema shows: all pages of its programme; without films and screenings that cannot be read (F5).
    ///
    /// # Errors
    /// When a page cannot be had or read.
    pub async fn programme(&self, cinema: CinemaId) -> Result<(Vec<Film>, Vec<Screening>), ClientError> {
        let (mut films, mut screenings): (Vec<Film>, Vec<Screening>) = (Vec::new(), Vec::new());
        let mut cursor = String::new();
        for _ in 0..PROGRAMME_PAGES_MAX {
            let url = format!("{}{cursor}", self.url(at::GET_PROGRAMME, &[cinema.as_str()]));
            let page: Shown = self.json(Ask::get(url, DOCUMENT_BYTES_MAX)).await?;
            let new: Vec<Film> =
                readable(&page.films).filter(|f: &Film| !films.iter().any(|known| known.id == f.id)).collect();
            films.extend(new);
            screenings.extend(readable::<Screening>(&page.screenings));
            let Some(next) = page.next else { return Ok((films, screenings)) };
            let query: String =
                url::form_urlencoded::Serializer::new(String::new()).append_pair("cursor", &next).finish();
            cursor = format!("?{query}");
        }
        Err(bad_answer(self.origin(), format!("a programme of more than {PROGRAMME_PAGES_MAX} pages")))
    }

    /// What changed since `cursor` (capability `feed`).
    ///
    /// # Errors
    /// When it cannot be had or read; `cursor_expired` when the cursor is too old.
    pub async fn feed(&self, cursor: Option<&str>) -> Result<Feed, ClientError> {
        let query =
            cursor.map(|c| url::form_urlencoded::Serializer::new(String::new()).append_pair("cursor", c).finish());
        let query = query.map(|q| format!("?{q}")).unwrap_or_default();
        self.json(Ask::get(format!("{}{query}", self.url(at::GET_FEED, &[])), DOCUMENT_BYTES_MAX)).await
    }

    /// One screening, as it is now: what an index said of it is a hint.
    ///
    /// # Errors
    /// When it cannot be had or read.
    pub async fn screening(&self, screening: ScreeningId) -> Result<Screening, ClientError> {
        self.json(Ask::get(self.url(at::GET_SCREENING, &[screening.as_str()]), DOCUMENT_BYTES_MAX)).await
    }

    /// How seats are arranged.
    ///
    /// # Errors
    /// When it cannot be had, is not the document of that name, or is not sound.
    pub async fn layout(&self, name: ContentName) -> Result<Layout, ClientError> {
        let layout: Layout = self.document(at::GET_LAYOUT, name, DOCUMENT_BYTES_MAX).await?;
        layout.check().map_err(|e| bad_answer(self.origin(), e.to_string()))?;
        Ok(layout)
    }

    /// What seats cost.
    ///
    /// # Errors
    /// When it cannot be had, is not the document of that name, or is not sound.
    pub async fn price_table(&self, name: ContentName) -> Result<PriceTable, ClientError> {
        let table: PriceTable = self.document(at::GET_PRICE_TABLE, name, DOCUMENT_BYTES_MAX).await?;
        table.check().map_err(|e| bad_answer(self.origin(), e.to_string()))?;
        Ok(table)
    }

    /// Which seats are not free.
    ///
    /// # Errors
    /// When it cannot be had or read.
    pub async fn seats(&self, screening: ScreeningId) -> Result<Seats, ClientError> {
        self.json(Ask::get(self.url(at::GET_SEATS, &[screening.as_str()]), DOCUMENT_BYTES_MAX)).await
    }

    /// Opens an answer without an end.
    pub(crate) async fn stream(
        &self,
        endpoint: at::Endpoint,
        parameters: &[&str],
        last: Option<String>,
    ) -> Result<reqwest::Response, ClientError> {
        self.client.stream(self.origin(), &self.url(endpoint, parameters), last).await
    }

    /// Holds seats: all of them or none.
    ///
    /// # Errors
    /// `seats_taken` names every seat in the way.
    pub async fn place_hold(
        &self,
        screening: ScreeningId,
        secret: &Secret,
        key: &RequestKey,
        wish: &PlaceHold,
    ) -> Result<Hold, ClientError> {
        let url = self.url(at::PLACE_HOLD, &[screening.as_str()]);
        self.json(Ask::post(url, wish).by(secret).once(key)).await
    }

    /// A hold of one's own.
    ///
    /// # Errors
    /// `not_found`, also when it is somebody else's.
    pub async fn hold(&self, screening: ScreeningId, secret: &Secret, hold: HoldId) -> Result<Hold, ClientError> {
        let url = self.url(at::GET_HOLD, &[screening.as_str(), hold.as_str()]);
        self.json(Ask::get(url, crate::transport::ANSWER_BYTES_MAX).by(secret)).await
    }

    async fn delete(&self, url: String, secret: &Secret) -> Result<(), ClientError> {
        let ask = Ask { method: Method::DELETE, ..Ask::get(url, crate::transport::ANSWER_BYTES_MAX) };
        self.client.ask(self.origin(), &ask.by(secret)).await.map(drop)
    }

    /// Gives a hold back. Done again, it is done.
    ///
    /// # Errors
    /// `hold_converted` when it is a booking.
    pub async fn release_hold(&self, screening: ScreeningId, secret: &Secret, hold: HoldId) -> Result<(), ClientError> {
        let url = self.url(at::RELEASE_HOLD, &[screening.as_str(), hold.as_str()]);
        self.delete(url, secret).await
    }

    /// More time for a hold (capability `extend`).
    ///
    /// # Errors
    /// `hold_expired` when it is too late.
    pub async fn extend_hold(
        &self,
        screening: ScreeningId,
        secret: &Secret,
        key: &RequestKey,
        hold: HoldId,
        wish: &ExtendHold,
    ) -> Result<Hold, ClientError> {
        let url = self.url(at::EXTEND_HOLD, &[screening.as_str(), hold.as_str()]);
        self.json(Ask::post(url, wish).by(secret).once(key)).await
    }

    /// Puts a party at the end of the line (capability `waitlist`).
    ///
    /// # Errors
    /// `seats_available` when nobody need wait, `never_fits` when it would be in vain.
    pub async fn join_waitlist(
        &self,
        screening: ScreeningId,
        secret: &Secret,
        key: &RequestKey,
        wish: &JoinWaitlist,
    ) -> Result<WaitlistEntry, ClientError> {
        let url = self.url(at::JOIN_WAITLIST, &[screening.as_str()]);
        self.json(Ask::post(url, wish).by(secret).once(key)).await
    }

    /// How a party of one's own stands (capability `waitlist`).
    ///
    /// # Errors
    /// `not_found`, also when it is somebody else's.
    pub async fn waitlist_entry(
        &self,
        screening: ScreeningId,
        secret: &Secret,
        entry: WaitlistEntryId,
    ) -> Result<WaitlistEntry, ClientError> {
        let url = self.url(at::GET_WAITLIST_ENTRY, &[screening.as_str(), entry.as_str()]);
        self.json(Ask::get(url, crate::transport::ANSWER_BYTES_MAX).by(secret)).await
    }

    /// Leaves the line, or declines what is offered (capability `waitlist`). Done again, it is done.
    ///
    /// # Errors
    /// `hold_converted` when it was booked.
    pub async fn leave_waitlist(
        &self,
        screening: ScreeningId,
        secret: &Secret,
        entry: WaitlistEntryId,
    ) -> Result<(), ClientError> {
        let url = self.url(at::LEAVE_WAITLIST, &[screening.as_str(), entry.as_str()]);
        self.delete(url, secret).await
    }

    /// Turns a hold into a booking, for the total that the buyer saw.
    ///
    /// # Errors
    /// `price_changed` with the right total; the hold stays.
    pub async fn book(
        &self,
        screening: ScreeningId,
        secret: &Secret,
        key: &RequestKey,
        book: &Book,
    ) -> Result<Booking, ClientError> {
        let booking: Booking =
            self.json(Ask::post(self.url(at::BOOK, &[screening.as_str()]), book).by(secret).once(key)).await?;
        // F8: what was booked is what the buyer saw.
        if booking.total != book.total {
            let why = format!("booked for {}, but the buyer agreed to {}", booking.total, book.total);
            return Err(bad_answer(self.origin(), why));
        }
        Ok(booking)
    }

    /// A booking of one's own.
    ///
    /// # Errors
    /// `not_found`, also when it is somebody else's.
    pub async fn booking(
        &self,
        screening: ScreeningId,
        secret: &Secret,
        booking: BookingId,
    ) -> Result<Booking, ClientError> {
        let url = self.url(at::GET_BOOKING, &[screening.as_str(), booking.as_str()]);
        self.json(Ask::get(url, crate::transport::ANSWER_BYTES_MAX).by(secret)).await
    }

    /// Has the server forget what a buyer gave to be reached by (PRIV-004). The booking stays.
    ///
    /// # Errors
    /// `not_found`, also when it is somebody else's.
    pub async fn forget_buyer(
        &self,
        screening: ScreeningId,
        secret: &Secret,
        booking: BookingId,
    ) -> Result<(), ClientError> {
        let url = self.url(at::FORGET_BUYER, &[screening.as_str(), booking.as_str()]);
        self.delete(url, secret).await
    }

    /// The tickets of a booking.
    ///
    /// # Errors
    /// `not_found`, also when it is somebody else's; a ticket that this server's keys did not sign is a bad answer.
    pub async fn tickets(
        &self,
        screening: ScreeningId,
        secret: &Secret,
        booking: BookingId,
    ) -> Result<Tickets, ClientError> {
        let url = self.url(at::GET_TICKETS, &[screening.as_str(), booking.as_str()]);
        let tickets: Tickets = self.json(Ask::get(url, crate::transport::ANSWER_BYTES_MAX).by(secret)).await?;
        for ticket in &tickets.tickets {
            let unread = |source| ClientError::Ticket { origin: self.origin().to_string(), source };
            let signed = self.read_ticket(&ticket.code, self.now()).map_err(unread)?;
            if signed.screening != screening_digest(&screening) || signed.id != ticket.id {
                let why = format!("the ticket for {} is signed for another screening or seat", ticket.seat);
                return Err(bad_answer(self.origin(), why));
            }
        }
        Ok(tickets)
    }

    /// What cancelling these tickets would bring back.
    ///
    /// # Errors
    /// `not_cancellable` when the policy does not allow it; [`ClientError::Empty`] when no seat is named.
    pub async fn quote_cancellation(
        &self,
        screening: ScreeningId,
        secret: &Secret,
        booking: BookingId,
        which: Which,
    ) -> Result<CancellationQuote, ClientError> {
        let seats = match which {
            Which::All => Vec::new(),
            // On the wire an empty list is the whole booking: never by accident.
            Which::Seats(none) if none.is_empty() => return Err(ClientError::Empty),
            Which::Seats(seats) => seats,
        };
        let url = self.url(at::QUOTE_CANCELLATION, &[screening.as_str(), booking.as_str()]);
        self.json(Ask::post(url, &QuoteCancellation { seats }).by(secret)).await
    }

    /// Cancels what a quote is for.
    ///
    /// # Errors
    /// `quote_changed` when it does not hold any more.
    pub async fn cancel(
        &self,
        screening: ScreeningId,
        secret: &Secret,
        key: &RequestKey,
        booking: BookingId,
        quote: QuoteId,
    ) -> Result<Booking, ClientError> {
        let url = self.url(at::CANCEL, &[screening.as_str(), booking.as_str()]);
        self.json(Ask::post(url, &Cancel { quote }).by(secret).once(key)).await
    }

    /// What an exchange would come to (capability `exchange`).
    ///
    /// # Errors
    /// `not_found` when booking and hold are not this secret's; `not_cancellable` when the policy does not allow it.
    pub async fn quote_exchange(
        &self,
        screening: ScreeningId,
        secret: &Secret,
        booking: BookingId,
        of: &QuoteExchange,
    ) -> Result<ExchangeQuote, ClientError> {
        let url = self.url(at::QUOTE_EXCHANGE, &[screening.as_str(), booking.as_str()]);
        self.json(Ask::post(url, of).by(secret)).await
    }

    /// Exchanges what a quote is for (capability `exchange`): gives back the new booking.
    ///
    /// # Errors
    /// `quote_changed` when it does not hold any more.
    pub async fn exchange(
        &self,
        screening: ScreeningId,
        secret: &Secret,
        key: &RequestKey,
        booking: BookingId,
        exchange: &Exchange,
    ) -> Result<Booking, ClientError> {
        let url = self.url(at::EXCHANGE, &[screening.as_str(), booking.as_str()]);
        let new: Booking = self.json(Ask::post(url, exchange).by(secret).once(key)).await?;
        if new.screening != exchange.of.screening {
            let why = format!("it exchanged for {}, and was asked for {}", new.screening, exchange.of.screening);
            return Err(bad_answer(self.origin(), why));
        }
        Ok(new)
    }

    /// Reads a ticket that was signed by one of this server's keys, and by one that is still believed at `now`. It says nothing
    /// of whether the ticket is for `now` ([`Ticket::not_before`], [`Ticket::not_after`]), was cancelled or used.
    ///
    /// # Errors
    /// When the code is no ticket of this server.
    pub fn read_ticket(&self, code: &str, now: Timestamp) -> Result<Ticket, TicketError> {
        Ticket::verify(code, |short| self.ticket_keys(short, now))
    }

    /// The ticket keys with this short name that may be believed at `now`.
    #[must_use]
    pub fn ticket_keys(&self, short: [u8; 8], now: Timestamp) -> Vec<PublicKey> {
        let keys = self.manifest.keys.ticket.iter();
        keys.filter(|k| k.verifies(short, now)).map(|k| k.key).collect()
    }
}

/// Which tickets of a booking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// All that are left.
    All,
    /// Those for these seats: at least one.
    Seats(Vec<SeatId>),
}

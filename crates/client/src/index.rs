//! An index, as an app sees it: it helps to find, and is believed in nothing.

use admit_protocol::directory::{Announce, Announcement, FilmsShowing, Listings, ScreeningHints};
use admit_protocol::endpoint as at;
use admit_protocol::geo::Position;
use admit_protocol::json::DOCUMENT_BYTES_MAX;
use admit_protocol::jws::Jws;
use admit_protocol::origin::Origin;
use jiff::civil::Date;

use crate::error::ClientError;
use crate::server::Server;
use crate::transport::{Ask, Client};

/// A place, and how far around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Near {
    /// The place.
    pub position: Position,
    /// How far, in metres.
    pub radius_m: u32,
}

/// What to look for. Nothing said: everything.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// A name or title, as people type it.
    pub text: Option<String>,
    /// Around a place.
    pub near: Option<Near>,
    /// In a box: south, west, north, east, in microdegrees. West may be greater than east: over the antimeridian.
    pub within: Option<[i32; 4]>,
    /// In a city, by name.
    pub city: Option<String>,
    /// In a country: ISO 3166-1 alpha-2.
    pub country: Option<String>,
    /// On one business date: a show after midnight belongs to the evening before.
    pub date: Option<Date>,
    /// How many at most.
    pub limit: Option<usize>,
}

impl Search {
    fn query(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let mut add = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                query.append_pair(name, &value);
            }
        };
        add("q", self.text.clone());
        add("lat_e6", self.near.map(|n| n.position.lat_e6().to_string()));
        add("lon_e6", self.near.map(|n| n.position.lon_e6().to_string()));
        add("radius_m", self.near.map(|n| n.radius_m.to_string()));
        add("box", self.within.map(|b| b.map(|n| n.to_string()).join(",")));
        add("city", self.city.clone());
        add("country", self.country.clone());
        add("date", self.date.map(|d| d.to_string()));
        add("limit", self.limit.map(|n| n.to_string()));
        query.finish()
    }
}

/// An index whose manifest was verified.
#[derive(Debug, Clone)]
pub struct Index {
    client: Client,
    server: Server,
}

impl Client {
    /// Meets an index.
    ///
    /// # Errors
    /// When it does not answer, or its manifest is not to be believed, or it is a cinema's server.
    pub async fn index(&self, origin: &str) -> Result<Index, ClientError> {
        let server = self.server(origin, None).await?;
        if server.manifest().role != admit_protocol::capability::Role::Index {
            let why = "this is a cinema's server, not an index".to_owned();
            return Err(crate::transport::bad_answer(server.origin(), why));
        }
        Ok(Index { client: self.clone(), server })
    }
}

impl Index {
    /// Its name.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        self.server.origin()
    }

    fn url(&self, endpoint: at::Endpoint, query: &str) -> String {
        let url = self.server.manifest().api_url(&endpoint.fill(&[]));
        if query.is_empty() { url } else { format!("{url}?{query}") }
    }

    async fn find<T: serde::de::DeserializeOwned>(
        &self,
        endpoint: at::Endpoint,
        search: &Search,
    ) -> Result<T, ClientError> {
        let ask = Ask::get(self.url(endpoint, &search.query()), DOCUMENT_BYTES_MAX);
        self.client.json(self.origin(), &ask).await
    }

    /// Cinemas by name and place.
    ///
    /// # Errors
    /// When the index does not answer as it must.
    pub async fn cinemas(&self, search: &Search) -> Result<Listings, ClientError> {
        self.find(at::FIND_CINEMAS, search).await
    }

    /// Films that are shown.
    ///
    /// # Errors
    /// When the index does not answer as it must.
    pub async fn films(&self, search: &Search) -> Result<FilmsShowing, ClientError> {
        self.find(at::FIND_FILMS, search).await
    }

    /// Screenings, as hints.
    ///
    /// # Errors
    /// When the index does not answer as it must.
    pub async fn screenings(&self, search: &Search) -> Result<ScreeningHints, ClientError> {
        self.find(at::FIND_SCREENINGS, search).await
    }

    /// A server's manifest as the index passes it on. [`Client::server_from`] verifies it like any other.
    ///
    /// # Errors
    /// When the index does not have it.
    pub async fn manifest(&self, origin: &Origin) -> Result<Jws, ClientError> {
        let query = origin_query(origin.as_str());
        self.client.json(self.origin(), &Ask::get(self.url(at::GET_MANIFEST, &query), DOCUMENT_BYTES_MAX)).await
    }

    /// Tells the index of a server.
    ///
    /// # Errors
    /// When the address is none of a server.
    pub async fn announce(&self, origin: &str) -> Result<Announcement, ClientError> {
        let ask = Ask::post(self.url(at::ANNOUNCE, ""), &Announce { origin: origin.to_owned() });
        self.client.json(self.origin(), &ask).await
    }

    /// Why a server is listed or not.
    ///
    /// # Errors
    /// When nobody announced it.
    pub async fn why(&self, origin: &str) -> Result<Announcement, ClientError> {
        let ask = Ask::get(self.url(at::GET_ANNOUNCEMENT, &origin_query(origin)), DOCUMENT_BYTES_MAX);
        self.client.json(self.origin(), &ask).await
    }
}

fn origin_query(origin: &str) -> String {
    url::form_urlencoded::Serializer::new(String::new()).append_pair("origin", origin).finish()
}

//! An index, as an app sees it: it helps to find, and is believed in nothing.

use std::collections::HashSet;

use admit_protocol::directory::{
    Announce, Announcement, Day, FilmShowing, FilmsShowing, Listing, Listings, ScreeningHint, ScreeningHints,
};
use admit_protocol::endpoint as at;
use admit_protocol::geo::Position;
use admit_protocol::json::DOCUMENT_BYTES_MAX;
use admit_protocol::jws::Jws;
use admit_protocol::origin::Origin;
use futures_util::future::join_all;

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
    /// On one evening: a show after midnight belongs to the evening before.
    pub date: Option<Day>,
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

/// Several indexes, asked at once: no single one decides what can be found. One that does not answer is left out.
#[derive(Debug, Clone)]
pub struct Indexes {
    met: Vec<Index>,
    silent: Vec<(String, String)>,
}

impl Client {
    /// Meets several indexes.
    ///
    /// # Errors
    /// When none of them can be met: then what the last one said.
    pub async fn indexes(&self, origins: &[String]) -> Result<Indexes, ClientError> {
        let (mut met, mut silent, mut failed) = (Vec::new(), Vec::new(), None);
        let asked = join_all(origins.iter().map(|origin| self.index(origin))).await;
        for (origin, index) in origins.iter().zip(asked) {
            match index {
                Ok(index) => met.push(index),
                Err(error) => {
                    silent.push((origin.clone(), error.to_string()));
                    failed = Some(error);
                }
            }
        }
        match (met.is_empty(), failed) {
            (true, Some(error)) => Err(error),
            (true, None) => Err(ClientError::Setup("name at least one index".into())),
            (false, _) => Ok(Indexes { met, silent }),
        }
    }
}

impl Indexes {
    /// Those that could not be met, and why.
    #[must_use]
    pub fn silent(&self) -> &[(String, String)] {
        &self.silent
    }

    /// What all of them say, asked at once; the last failure, if none says anything.
    async fn all<'a, T, F: Future<Output = Result<Vec<T>, ClientError>>>(
        &'a self,
        ask: impl Fn(&'a Index) -> F,
    ) -> Result<Vec<T>, ClientError> {
        let (mut found, mut failed, mut answered) = (Vec::new(), None, false);
        for said in join_all(self.met.iter().map(ask)).await {
            match said {
                Ok(more) => {
                    answered = true;
                    found.extend(more);
                }
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) if !answered => Err(error),
            _ => Ok(found),
        }
    }

    /// Cinemas, each once: of several listings of a server's cinema, the first.
    ///
    /// # Errors
    /// When no index answers as it must.
    pub async fn cinemas(&self, search: &Search) -> Result<Vec<Listing>, ClientError> {
        let mut found = self.all(|index| async move { Ok(index.cinemas(search).await?.listings) }).await?;
        let mut seen = HashSet::new();
        // What an index imported is known by its source, which two indexes may share.
        found.retain(|l| seen.insert((l.origin.clone(), l.cinema, l.source.clone().filter(|_| l.origin.is_none()))));
        if search.near.is_some() {
            found.sort_by_key(|l| l.distance_m);
        }
        found.truncate(search.limit.unwrap_or(usize::MAX));
        Ok(found)
    }

    /// Films, each once. Numbers of screenings are of the index that knows most of it.
    ///
    /// # Errors
    /// When no index answers as it must.
    pub async fn films(&self, search: &Search) -> Result<Vec<FilmShowing>, ClientError> {
        let mut found = self.all(|index| async move { Ok(index.films(search).await?.films) }).await?;
        found.sort_by(|a, b| b.screenings.cmp(&a.screenings).then(a.next_starts_at.cmp(&b.next_starts_at)));
        let mut seen = HashSet::new();
        found.retain(|f| {
            let id = f.film.external_ids.iter().next().map(|x| format!("{}:{}", x.scheme, x.value));
            let title = || format!("{:?} {:?} {:?}", f.film.title, f.film.release_year, f.film.runtime_min);
            seen.insert(id.unwrap_or_else(title))
        });
        found.truncate(search.limit.unwrap_or(usize::MAX));
        Ok(found)
    }

    /// Screenings as hints, each once, by start.
    ///
    /// # Errors
    /// When no index answers as it must.
    pub async fn screenings(&self, search: &Search) -> Result<Vec<ScreeningHint>, ClientError> {
        let mut found = self.all(|index| async move { Ok(index.screenings(search).await?.screenings) }).await?;
        // The latest look at a screening is the best hint.
        found.sort_by_key(|s| std::cmp::Reverse(s.seen_at));
        let mut seen = HashSet::new();
        found.retain(|s| seen.insert((s.origin.clone(), s.screening.id)));
        found.sort_by_key(|s| (s.screening.starts_at.at(), s.screening.id));
        found.truncate(search.limit.unwrap_or(usize::MAX));
        Ok(found)
    }
}

fn origin_query(origin: &str) -> String {
    url::form_urlencoded::Serializer::new(String::new()).append_pair("origin", origin).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_can_be_asked_from_any_task() {
        fn send<T: Send>(_: T) {}
        let (indexes, search) = (Indexes { met: vec![], silent: vec![] }, Search::default());
        send(indexes.cinemas(&search));
        send(indexes.films(&search));
        send(indexes.screenings(&search));
    }
}
